//! A link, without sockets or clocks: when to dial, what to say, what to make of the answers, when to give up. Its flooder
//! asks what is next, carries it out, and hands over what it hears. The simulation does the same.

use std::{collections::HashMap, fmt, time::Duration};

use super::{Backoff, LinkTimes, Queue, handshake::Ends};
use crate::core::{
    Rules,
    access::Refusal,
    model::Tick,
    repair::{Findings, Need, Part, Round},
    store::Store,
    wire::{Answer, Nonce, Proof, READ_BYTES_MAX, write_ping, write_proof},
};

/// What a link wants next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// The neighbour is to be dialled: then say [`Link::connected`], or [`Link::lost`].
    Dial,
    /// What was appended is to be written. So many bytes at its beginning are news; the rest is repair.
    Write {
        /// How many.
        news: usize,
    },
    /// The neighbour is to be listened to, until then at most, and to nothing else.
    Listen(Tick),
    /// Nothing is to be done until then, unless something is queued before.
    Rest(Tick),
    /// The link is stopping, and all that was queued has been written.
    Flushed,
}

/// What came of what was heard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Heard {
    /// Nothing to speak of.
    Nothing,
    /// The handshake is done, and news is queued from now on.
    Linked,
    /// A ping was answered after this long.
    Pong(Duration),
    /// A round is over.
    Round(RoundOver),
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
    /// Of those, how many differed in the same way in the round before.
    pub lasting: usize,
    /// Locations pushed.
    pub pushed: usize,
    /// Whether the neighbour has all this node had when the round began, and nothing was lost since.
    pub in_step: bool,
}

/// Why a link that was being made, or was up, is neither.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Broken {
    /// The neighbour refused the handshake, for this reason.
    Refused(String),
    /// Whoever answers is not the neighbour.
    Stranger(Refusal),
    /// The handshake was not answered in this time.
    NoGreeting(Duration),
    /// Nothing was heard for this long.
    Silent(Duration),
    /// An answer that fits no question.
    Nonsense,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => write!(f, "it refused the handshake: {why}"),
            Self::Stranger(why) => write!(f, "whoever answers there is not it: {why}"),
            Self::NoGreeting(limit) => write!(f, "it did not answer the handshake within {limit:?}"),
            Self::Silent(limit) => write!(f, "it has answered nothing for {limit:?}"),
            Self::Nonsense => write!(f, "its answer fits no question; run the same release on all nodes"),
        }
    }
}

/// One link, as its flooder sees it.
#[derive(Debug)]
pub struct Link {
    ends: Ends,
    times: LinkTimes,
    queue: Queue,
    backoff: Backoff,
    state: State,
    is_stopping: bool,
    /// What differed in the last round.
    differed: HashMap<Part, (u64, u64)>,
    rules: Rules,
}

#[derive(Debug)]
enum State {
    Down {
        dial_at: Tick,
    },
    Greeting {
        until: Tick,
        nonce: Nonce,
        said: Said,
        /// The sum of all, read too early; only for rules that are wrong.
        early_sum: Option<u64>,
    },
    Up(Box<Up>),
}

/// How far this node has come in a handshake.
#[derive(Clone, Copy, Debug)]
enum Said {
    Hello,
    /// The neighbour has proved itself; this is to be written.
    Unsaid(Proof),
    Proof,
}

#[derive(Debug)]
struct Up {
    since: Tick,
    /// When it last said anything, or might have if it had been asked.
    waiting_since: Tick,
    ping_at: Tick,
    pings: u64,
    /// The ping that is not answered yet.
    ping: Option<Ping>,
    rounds: u64,
    round: Option<Round>,
    round_began: Tick,
    /// When a round is due though nothing is known to be missing.
    round_at: Tick,
    /// Before this no round begins.
    no_round_before: Tick,
    early_sum: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Ping {
    sent: Tick,
    /// When to look for the answer.
    look_at: Tick,
}

/// How soon an answer to a ping is looked for at first; then after twice as long each time, up to the second of these.
const LOOK: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(100));

impl Link {
    /// A link that dials at once.
    pub fn new(ends: Ends, times: LinkTimes, queue: Queue) -> Self {
        Self::with_rules(ends, times, queue, Rules::SOUND)
    }

    /// The same with rules that may be wrong.
    pub fn with_rules(ends: Ends, times: LinkTimes, queue: Queue, rules: Rules) -> Self {
        Self {
            ends,
            times,
            queue,
            backoff: Backoff::new(times.backoff_min, times.backoff_max, times.backoff_reset),
            state: State::Down { dial_at: Tick::ZERO },
            is_stopping: false,
            differed: HashMap::new(),
            rules,
        }
    }

    /// What waits to be written; to wait for more of it.
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Whether the handshake is done and nothing has failed since.
    pub fn is_up(&self) -> bool {
        matches!(self.state, State::Up(_))
    }

    /// Whether nothing is queued, asked or known to be missing.
    pub fn is_quiet(&self) -> bool {
        matches!(&self.state, State::Up(up) if up.round.is_none() && up.rounds > 0)
            && !self.queue.is_behind()
            && self.queue.receiver().is_empty()
    }

    /// When the oldest ping was sent that is not answered.
    pub fn pinged_at(&self) -> Option<Tick> {
        let State::Up(up) = &self.state else { return None };
        up.ping.map(|ping| ping.sent)
    }

    /// When the neighbour is gone that owes an answer, unless it is heard before.
    pub fn silent_at(&self) -> Option<Tick> {
        let State::Up(up) = &self.state else { return None };
        up.is_owed().then(|| up.waiting_since + self.times.liveness)
    }

    /// What is left in the queue is written, and nothing else begun.
    pub fn stop(&mut self) {
        self.is_stopping = true;
    }

    /// A connection is there: appends the handshake. `nonce` is made of random bytes that nobody can guess.
    pub fn connected(&mut self, now: Tick, nonce: Nonce, store: &Store, out: &mut Vec<u8>) {
        self.ends.write_hello(nonce, out);
        let early_sum = (!self.rules.opens_before_sums).then(|| store.sum());
        let until = now + self.times.greeting;
        self.state = State::Greeting { until, nonce, said: Said::Hello, early_sum };
    }

    /// The connection broke, or dialling failed. `random` is any 64 random bits.
    pub fn lost(&mut self, now: Tick, random: u64) {
        self.queue.close();
        if let State::Up(up) = &self.state {
            self.backoff.was_up(now.saturating_sub(up.since));
        }
        self.state = State::Down { dial_at: now + self.backoff.next_wait(random) };
    }

    /// The neighbour has just connected to this node, so it can be dialled without waiting.
    pub fn neighbour_called(&mut self, now: Tick) {
        if let State::Down { dial_at } = &mut self.state {
            *dial_at = now;
        }
    }

    /// What to do at `now`, all that was heard until then having been handed over. Appends what is to be written: at most
    /// a piece of news and a piece of repair, so that neither starves the other.
    pub fn next(&mut self, now: Tick, store: &Store, out: &mut Vec<u8>) -> Result<Next, Broken> {
        let Self { times, queue, rules, .. } = self;
        let up = match &mut self.state {
            State::Down { dial_at } if now >= *dial_at => return Ok(Next::Dial),
            State::Down { dial_at } => return Ok(Next::Rest(*dial_at)),
            State::Greeting { until, .. } if now >= *until => return Err(Broken::NoGreeting(times.greeting)),
            State::Greeting { said: said @ Said::Unsaid(_), .. } => {
                if let Said::Unsaid(proof) = std::mem::replace(said, Said::Proof) {
                    write_proof(&proof, out);
                }
                return Ok(Next::Write { news: 0 });
            }
            State::Greeting { until, .. } => return Ok(Next::Listen(*until)),
            State::Up(up) => up,
        };
        if !up.is_owed() {
            // One that is asked each second is heard each second. Where it was not asked, it is not to blame.
            up.waiting_since = up.waiting_since.max(now.saturating_sub(times.ping));
        }
        let silent_at = up.waiting_since + times.liveness;
        if now >= silent_at {
            return Err(Broken::Silent(times.liveness));
        }
        let before = out.len();
        while out.len() - before < READ_BYTES_MAX
            && let Ok(batch) = queue.take()
        {
            out.extend_from_slice(&batch);
        }
        let news = out.len() - before;
        if self.is_stopping {
            return Ok(if news > 0 { Next::Write { news } } else { Next::Flushed });
        }
        up.ping(now, times, out);
        if up.round.is_none() && up.is_round_due(now, queue, *rules) {
            queue.clear_mark();
            up.begin_round(now, store, *rules);
        }
        let need = up.round.as_mut().map(|round| round.next(store, out));
        if out.len() > before {
            return Ok(Next::Write { news });
        }
        if need == Some(Need::Answer) {
            let ping_at = if up.ping.is_none() { up.ping_at } else { Tick::MAX };
            return Ok(Next::Listen(silent_at.min(ping_at)));
        }
        let look_at = up.ping.map_or(up.ping_at, |ping| ping.look_at);
        let is_behind = rules.heeds_marks && queue.is_behind();
        let round_at = if is_behind { up.no_round_before } else { up.round_at.max(up.no_round_before) };
        let silent_at = if up.ping.is_some() { silent_at } else { Tick::MAX };
        Ok(Next::Rest(look_at.min(round_at).min(silent_at)))
    }

    /// Takes a line of the neighbour, given without its terminator. `random` gives any 64 random bits.
    pub fn hear(
        &mut self,
        line: &[u8],
        now: Tick,
        random: impl FnOnce() -> u64,
        store: &Store,
    ) -> Result<Heard, Broken> {
        let up = match &mut self.state {
            State::Down { .. } => return Ok(Heard::Nothing),
            State::Greeting { nonce, said, early_sum, .. } => {
                match said {
                    Said::Hello => {
                        if let Some(proof) = self.ends.check_answer(line, *nonce)? {
                            *said = Said::Unsaid(proof);
                            return Ok(Heard::Nothing);
                        }
                    }
                    // It has not seen this node's proof.
                    Said::Unsaid(_) => return Err(Broken::Nonsense),
                    Said::Proof => Ends::check_welcome(line)?,
                }
                let early_sum = *early_sum;
                // In this order: queue, clear the mark (as the round begins), read the sums.
                self.queue.open();
                self.state =
                    State::Up(Box::new(Up::new(now, self.rules.round_on_connect, &self.times, early_sum)));
                self.differed.clear();
                return Ok(Heard::Linked);
            }
            State::Up(up) => up,
        };
        up.waiting_since = now;
        let answer = Answer::parse(line).ok_or(Broken::Nonsense)?;
        if let Answer::Pong(number) = answer {
            let ping = up.ping.take().filter(|_| number == up.pings).ok_or(Broken::Nonsense)?;
            return Ok(Heard::Pong(now.saturating_sub(ping.sent)));
        }
        let round = up.round.as_mut().ok_or(Broken::Nonsense)?;
        let found = round.answered(&answer, store).map_err(|_unfitting| Broken::Nonsense)?;
        let Some(found) = found else { return Ok(Heard::Nothing) };
        up.round = None;
        let over = up.end_round(&found, &self.differed, now, random(), &self.times);
        self.differed = found.pairs;
        Ok(Heard::Round(RoundOver { in_step: !self.queue.is_behind(), ..over }))
    }
}

impl Up {
    fn new(now: Tick, round_at_once: bool, times: &LinkTimes, early_sum: Option<u64>) -> Self {
        Self {
            since: now,
            waiting_since: now,
            ping_at: now + times.ping,
            pings: 0,
            ping: None,
            rounds: 0,
            round: None,
            round_began: now,
            round_at: if round_at_once { now } else { now + times.round },
            no_round_before: now,
            early_sum,
        }
    }

    /// Whether the neighbour has been asked something it has not answered.
    fn is_owed(&self) -> bool {
        self.ping.is_some() || self.round.is_some()
    }

    /// Pings if it is time for it, or puts off looking for the answer.
    fn ping(&mut self, now: Tick, times: &LinkTimes, out: &mut Vec<u8>) {
        match &mut self.ping {
            Some(ping) if now >= ping.look_at => {
                ping.look_at = now + now.saturating_sub(ping.sent).clamp(LOOK.0, LOOK.1);
            }
            None if now >= self.ping_at => {
                self.pings += 1;
                write_ping(self.pings, out);
                self.ping = Some(Ping { sent: now, look_at: now + LOOK.0 });
                self.ping_at = now + times.ping;
            }
            _ => {}
        }
    }

    fn is_round_due(&self, now: Tick, queue: &Queue, rules: Rules) -> bool {
        let is_wanted = now >= self.round_at || rules.heeds_marks && queue.is_behind();
        is_wanted && now >= self.no_round_before
    }

    fn begin_round(&mut self, now: Tick, store: &Store, rules: Rules) {
        self.rounds += 1;
        self.round_began = now;
        let sum = self.early_sum.take().unwrap_or_else(|| store.sum());
        self.round = Some(Round::new(self.rounds, sum, rules));
    }

    fn end_round(
        &mut self,
        found: &Findings,
        earlier: &HashMap<Part, (u64, u64)>,
        now: Tick,
        random: u64,
        times: &LinkTimes,
    ) -> RoundOver {
        let took = now.saturating_sub(self.round_began);
        self.no_round_before = self.round_began + times.round_gap.max(2 * took);
        // Three to five quarters, so that the links of a herd do not keep step.
        let half = times.round.as_nanos() as u64 / 2;
        let jitter = Duration::from_nanos(((u128::from(half) * u128::from(random)) >> 64) as u64);
        self.round_at = now + times.round * 3 / 4 + jitter;
        RoundOver {
            number: self.rounds,
            took,
            differing: found.differing,
            lasting: found.lasting(earlier),
            pushed: found.pushed,
            in_step: false,
        }
    }
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
