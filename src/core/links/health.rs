//! What is reported about a link: its events, for the log, and its state, for status. Its flooder and the neighbour's
//! session write it, and anyone may read it.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use parking_lot::Mutex;

use super::{Broken, clock::ClockOffset};
use crate::core::{
    model::{Tick, Timestamp},
    wire::Invalid,
};

/// An event on a link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A connection is made, and the handshake is not done.
    Greeting,
    /// The handshake is done, or not needed: from now on updates are queued.
    Up,
    /// Something was written; [`super::Link::news`] is the updates in it.
    Sent {
        /// How many bytes.
        bytes: usize,
        /// How many lines of updates are in it; what a round pushes is reported at its end.
        updates: usize,
        /// When the oldest unanswered ping was sent.
        pinged_at: Option<Tick>,
    },
    /// A ping was answered.
    Pong {
        /// How long after it.
        took: Duration,
        /// The neighbour's clock when it took the ping.
        time: Timestamp,
    },
    /// A round is over.
    Round(RoundOver),
    /// A round has ended without comparing the stores, since their watermarks differ or move.
    NotCompared {
        /// The neighbour's watermark.
        watermark: u64,
    },
    /// A third-party node has been sent everything.
    Swept(RoundOver),
    /// The connection is lost, or could not be made.
    Lost {
        /// Why.
        why: Lost,
        /// Whether the link was up.
        was_up: bool,
    },
}

/// How a round ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RoundOver {
    /// Counted from 1 for each connection.
    pub number: u64,
    /// How long it took.
    pub took: Duration,
    /// Parts of the stores that differed: leaves, or shards and all where one side had nothing.
    pub differing: usize,
    /// How many of those differed in the same way in the round before.
    pub lasting: usize,
    /// Locations pushed.
    pub pushed: usize,
    /// Whether the neighbour has everything that this node had when the round began, and nothing was lost since.
    pub in_step: bool,
}

/// Why there is no connection, or no longer one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Lost {
    /// What the neighbour sent, or failed to send.
    Broken(Broken),
    /// The neighbour closed it.
    Closed,
    /// None of the remaining output was accepted for this long.
    Stuck(Duration),
    /// Some was accepted, but the output was not all accepted in this time.
    Slow(Duration),
    /// The connection was not ended in this time after the line.
    Unended(Duration),
    /// What failed, in the words of the driver.
    Failed(String),
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(why) => write!(f, "{why}"),
            Self::Closed => write!(f, "it closed the connection"),
            Self::Stuck(limit) => write!(f, "it accepted no bytes for {limit:?}"),
            Self::Slow(limit) => write!(f, "it did not accept a write within {limit:?}"),
            Self::Unended(limit) => write!(
                f,
                "it did not end the connection within {limit:?} of its line; remove per_connection = \"one\" if that node \
                 keeps connections open"
            ),
            Self::Failed(why) => write!(f, "{why}"),
        }
    }
}

/// The state of the connection that this node dials.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum LinkState {
    /// There is no connection.
    #[default]
    Down,
    /// There is a connection, but the handshake is not done.
    Greeting,
    /// The handshake is done.
    Up,
}

impl LinkState {
    /// As status shows it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Greeting => "greeting",
            Self::Up => "up",
        }
    }
}

/// The state of a link, and counts since the node's start. One thread at a time writes each value; readers see them in
/// no particular order.
#[derive(Default, Debug)]
pub struct Health {
    now: Mutex<Current>,
    connects: AtomicU64,
    sent_bytes: AtomicU64,
    sent_updates: AtomicU64,
    received_bytes: AtomicU64,
    received_updates: AtomicU64,
    bad_lines: AtomicU64,
    /// For a third-party node that shares its address with others: what came from there, from whichever of them.
    updates_at_address: AtomicU64,
    bad_lines_at_address: AtomicU64,
    /// Locations and bad lines, including those from its address, at the time the link was last lost.
    before: [AtomicU64; 2],
    /// Why a line was skipped last.
    last_bad: Mutex<Option<Invalid>>,
    /// The neighbour's own connections to this node.
    connections: AtomicU64,
    rounds: AtomicU64,
    rounds_received: AtomicU64,
    differences: AtomicU64,
    /// The neighbour's watermark, where it is another than this node's; 0 if none is known.
    watermark: AtomicU64,
    /// When a round last found the neighbour in step, on any connection; in nanoseconds plus one, so that 0 means
    /// never.
    in_step_at: AtomicU64,
}

/// The state of the present connection, or of there being none. It is replaced as a whole when that changes, so that
/// nothing about one connection is reported of the next.
#[derive(Clone, Default, Debug)]
struct Current {
    state: LinkState,
    is_in_step: bool,
    lasting: u64,
    pinged_at: Option<Tick>,
    clock: ClockOffset,
    failure: Option<String>,
}

/// The values of [`Health`] when it was asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Condition {
    /// The state of the connection that this node dials.
    pub state: LinkState,
    /// How many times it came up.
    pub connects: u64,
    /// Bytes written to the neighbour.
    pub sent_bytes: u64,
    /// Locations written to it, as updates or as repair.
    pub sent_updates: u64,
    /// Bytes received from it.
    pub received_bytes: u64,
    /// Locations received from it.
    pub received_updates: u64,
    /// Whether it is connected to this node.
    pub is_connected_here: bool,
    /// Lines from it that were skipped.
    pub bad_lines: u64,
    /// Lines that were skipped from a third-party node's address, when it was unclear which of the nodes there sent
    /// them.
    pub bad_lines_at_address: u64,
    /// Why one of either was last skipped.
    pub last_bad: Option<Invalid>,
    /// Whether lines of either kind have come since the link was last lost, and all were skipped.
    pub is_refused: bool,
    /// Rounds completed.
    pub rounds: u64,
    /// Rounds of the neighbour's that ended here.
    pub rounds_received: u64,
    /// Differences found by all rounds.
    pub differences: u64,
    /// Differences that the last round on this connection found unchanged from the one before.
    pub lasting: u64,
    /// Whether the last round on this connection left the neighbour in step.
    pub is_in_step: bool,
    /// How long ago a round last did so.
    pub since_in_step: Option<Duration>,
    /// The age of the oldest unanswered ping; 0 if there is none, `None` if the link is not up.
    pub lag: Option<Duration>,
    /// How far the neighbour's clock is ahead of this node's, in nanoseconds; `None` if the link is not up, or no ping
    /// has been answered yet.
    pub clock_offset_ns: Option<i64>,
    /// Why the link was lost, or is not up.
    pub failure: Option<String>,
}

fn stamp(at: Tick) -> u64 {
    u64::try_from(at.as_nanos()).unwrap_or(u64::MAX - 1) + 1
}

fn age(stamp: u64, now: Tick) -> Option<Duration> {
    let at = Duration::from_nanos(stamp.checked_sub(1)?);
    Some(now.saturating_sub(at))
}

impl Health {
    /// The neighbour is being greeted.
    pub fn greeting(&self) {
        let mut now = self.now.lock();
        // The reason for having no link is worth keeping until there is one.
        let failure = now.failure.take();
        *now = Current { state: LinkState::Greeting, failure, ..Current::default() };
    }

    /// The handshake is done.
    pub fn up(&self) {
        self.connects.fetch_add(1, Ordering::Relaxed);
        *self.now.lock() = Current { state: LinkState::Up, ..Current::default() };
    }

    /// The link is lost, or could not be made.
    pub fn down(&self, why: &str) {
        let mut now = self.now.lock();
        if now.state == LinkState::Up {
            // The next node to come under its name may speak differently.
            for (before, count) in self.before.iter().zip(self.said()) {
                before.store(count, Ordering::Relaxed);
            }
            self.watermark.store(0, Ordering::Relaxed);
        }
        *now = Current { failure: Some(why.to_owned()), ..Current::default() };
    }

    /// So many bytes were written, with so many updates in them; what a round pushes is counted at its end.
    pub fn sent(&self, bytes: usize, updates: usize) {
        self.sent_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.sent_updates.fetch_add(updates as u64, Ordering::Relaxed);
    }

    /// When the oldest unanswered ping was sent.
    pub fn pinged(&self, at: Option<Tick>) {
        self.now.lock().pinged_at = at;
    }

    /// A ping was answered after that time, with the neighbour's time, at `now`.
    pub fn ponged(&self, took: Duration, theirs: Timestamp, now: Timestamp) {
        let mut current = self.now.lock();
        current.pinged_at = None;
        current.clock.answered(took, theirs, now);
    }

    /// A round has ended.
    pub fn round(&self, over: &RoundOver, now: Tick) {
        self.rounds.fetch_add(1, Ordering::Relaxed);
        self.sent_updates.fetch_add(over.pushed as u64, Ordering::Relaxed);
        self.differences.fetch_add(over.differing as u64, Ordering::Relaxed);
        self.watermark.store(0, Ordering::Relaxed);
        if over.in_step {
            self.in_step_at.store(stamp(now), Ordering::Relaxed);
        }
        let mut current = self.now.lock();
        (current.lasting, current.is_in_step) = (over.lasting as u64, over.in_step);
    }

    /// The neighbour has told its watermark.
    pub fn told_watermark(&self, watermark: u64) {
        self.watermark.store(watermark, Ordering::Relaxed);
    }

    /// The neighbour's watermark, where it was another than this node's when it was last told; otherwise 0.
    pub fn watermark(&self) -> u64 {
        self.watermark.load(Ordering::Relaxed)
    }

    /// The neighbour has connected to this node.
    pub fn connected_here(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    /// One of its connections has ended.
    pub fn left(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }

    /// The neighbour sent so much to this node. With bad lines comes the reason for the last of them.
    pub fn received(
        &self,
        bytes: usize,
        updates: u32,
        (bad_lines, last_bad): (u32, Option<Invalid>),
        rounds: u32,
    ) {
        self.received_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.received_updates.fetch_add(u64::from(updates), Ordering::Relaxed);
        self.bad_lines.fetch_add(u64::from(bad_lines), Ordering::Relaxed);
        self.rounds_received.fetch_add(u64::from(rounds), Ordering::Relaxed);
        self.refused(last_bad);
    }

    /// A node at a third-party node's address sent so much to this node: the neighbour, or another one there.
    pub fn received_at_address(&self, updates: u32, (bad_lines, last_bad): (u32, Option<Invalid>)) {
        self.updates_at_address.fetch_add(u64::from(updates), Ordering::Relaxed);
        self.bad_lines_at_address.fetch_add(u64::from(bad_lines), Ordering::Relaxed);
        self.refused(last_bad);
    }

    fn refused(&self, last_bad: Option<Invalid>) {
        if last_bad.is_some() {
            *self.last_bad.lock() = last_bad;
        }
    }

    /// Locations and bad lines so far, including those from the address.
    fn said(&self) -> [u64; 2] {
        let sum = |of: [&AtomicU64; 2]| of.map(|count| count.load(Ordering::Relaxed)).iter().sum();
        [
            sum([&self.received_updates, &self.updates_at_address]),
            sum([&self.bad_lines, &self.bad_lines_at_address]),
        ]
    }

    /// Its present state.
    pub fn condition(&self, now: Tick) -> Condition {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Current { state, is_in_step, lasting, pinged_at, clock, failure } = self.now.lock().clone();
        let [updates, bad_lines] = self.said();
        let [updates_before, bad_lines_before] = self.before.each_ref().map(read);
        let lag = || pinged_at.map(|at| now.saturating_sub(at)).unwrap_or_default();
        Condition {
            state,
            connects: read(&self.connects),
            sent_bytes: read(&self.sent_bytes),
            sent_updates: read(&self.sent_updates),
            received_bytes: read(&self.received_bytes),
            received_updates: read(&self.received_updates),
            is_connected_here: read(&self.connections) > 0,
            bad_lines: read(&self.bad_lines),
            bad_lines_at_address: read(&self.bad_lines_at_address),
            last_bad: *self.last_bad.lock(),
            is_refused: updates == updates_before && bad_lines > bad_lines_before,
            rounds: read(&self.rounds),
            rounds_received: read(&self.rounds_received),
            differences: read(&self.differences),
            lasting,
            is_in_step,
            since_in_step: age(read(&self.in_step_at), now),
            lag: (state == LinkState::Up).then(lag),
            clock_offset_ns: clock.nanoseconds(),
            failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(milliseconds: u64) -> Tick {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn link_is_in_step_from_a_good_round_until_it_is_lost() {
        let health = Health::default();
        let over = RoundOver { number: 1, took: at(2), differing: 3, lasting: 1, pushed: 9, in_step: true };
        assert_eq!(health.condition(at(0)).state, LinkState::Down);
        health.greeting();
        health.up();
        health.round(&over, at(1000));
        let good = health.condition(at(1500));
        assert_eq!((good.state, good.is_in_step, good.since_in_step), (LinkState::Up, true, Some(at(500))));
        assert_eq!((good.rounds, good.differences, good.lasting, good.connects), (1, 3, 1, 1));
        health.round(&RoundOver { in_step: false, ..over }, at(2000));
        assert!(!health.condition(at(2000)).is_in_step);
        health.round(&over, at(3000));
        health.down("it closed the connection");
        let lost = health.condition(at(4000));
        assert_eq!(
            (lost.state, lost.is_in_step, lost.since_in_step),
            (LinkState::Down, false, Some(at(1000)))
        );
        assert_eq!(lost.failure.as_deref(), Some("it closed the connection"));
    }

    #[test]
    fn nothing_of_a_connection_outlives_it_but_what_is_counted() {
        let health = Health::default();
        let over = RoundOver { number: 2, took: at(2), differing: 3, lasting: 3, pushed: 9, in_step: true };
        let of_the_connection =
            |now: Condition| (now.state, now.is_in_step, now.lasting, now.lag, now.failure.is_some());
        for counted in 1..=2 {
            health.up();
            health.round(&over, at(10));
            health.pinged(Some(at(20)));
            let up = health.condition(at(25));
            assert_eq!(of_the_connection(up), (LinkState::Up, true, 3, Some(at(5)), false));
            health.down("gone");
            let down = health.condition(at(30));
            assert_eq!((down.rounds, down.differences, down.connects), (counted, 3 * counted, counted));
            assert_eq!(of_the_connection(down), (LinkState::Down, false, 0, None, true));
            health.greeting();
            let greeting = health.condition(at(30));
            assert_eq!(of_the_connection(greeting), (LinkState::Greeting, false, 0, None, true));
        }
        health.up();
        let again = health.condition(at(40));
        assert_eq!(of_the_connection(again), (LinkState::Up, false, 0, Some(at(0)), false));
    }

    #[test]
    fn neighbour_is_refused_while_none_of_its_lines_since_the_link_was_lost_was_taken() {
        let health = Health::default();
        let why = Some(Invalid::Empty);
        let is_refused = || health.condition(at(0)).is_refused;
        health.up();
        assert!(!is_refused(), "it has said nothing");
        health.received(9, 0, (2, why), 0);
        assert!(is_refused());
        health.received(9, 1, (0, None), 0);
        assert!(!is_refused());
        health.received(9, 0, (1, why), 0);
        assert!(!is_refused(), "it has been understood");
        health.down("gone");
        health.received(9, 0, (1, why), 0);
        assert!(is_refused(), "the next one in its name has not");
        health.down("not there yet");
        health.up();
        assert!(is_refused(), "what came before the link was up counts");
        health.received_at_address(1, (0, None));
        assert!(!is_refused(), "it may have been it");
        health.received_at_address(0, (3, Some(Invalid::TooLong)));
        let now = health.condition(at(0));
        assert_eq!((now.bad_lines, now.bad_lines_at_address), (4, 3));
        assert_eq!(now.last_bad, Some(Invalid::TooLong));
    }

    #[test]
    fn clock_offset_is_of_the_present_connection_and_an_answer_ends_the_lag() {
        let health = Health::default();
        let time = |seconds| Timestamp::new(seconds, 0);
        health.up();
        assert_eq!(health.condition(at(0)).clock_offset_ns, None);
        health.pinged(Some(at(7)));
        health.ponged(at(2), time(103), time(100));
        let now = health.condition(at(20));
        assert_eq!((now.lag, now.clock_offset_ns), (Some(at(0)), Some(3_001_000_000)));
        health.down("gone");
        assert_eq!(health.condition(at(20)).clock_offset_ns, None);
    }

    #[test]
    fn lag_is_the_age_of_the_oldest_unanswered_ping_of_a_link_that_is_up() {
        let health = Health::default();
        assert_eq!(health.condition(at(5)).lag, None);
        health.up();
        assert_eq!(health.condition(at(5)).lag, Some(at(0)));
        health.pinged(Some(at(7)));
        assert_eq!(health.condition(at(10)).lag, Some(at(3)));
        health.pinged(None);
        assert_eq!(health.condition(at(10)).lag, Some(at(0)));
        health.pinged(Some(at(11)));
        health.down("gone");
        assert_eq!(health.condition(at(12)).lag, None);
    }
}
