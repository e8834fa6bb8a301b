//! A link as a machine without sockets, clocks or threads: when to dial, what to write, when to read and when to rest,
//! and when to give up. A thread drives it, and so does the simulation.

mod stopping;

use std::{collections::VecDeque, time::Duration};

pub use self::stopping::Lack;
pub(super) use self::stopping::Stopping;
use super::{
    Dialled, Ends, Event, LinkTimes, Lost, Queue,
    connection::{Connection, Doing, OUT_BYTES_KEPT},
    count_lines,
    dialect::{Dialect, Wait},
    dialling::Dialling,
    herd::HerdDialect,
    plain::Plain,
};
use crate::core::{
    Rules,
    model::{NodeId, Tick},
    store::Store,
    wire::PlainForm,
};

/// How many bytes of updates go out at once: enough for a busy link to write seldom, and few enough that neither repair
/// nor the answers wait for long. One batch more may be included.
pub const NEWS_BYTES_MAX: usize = 64 * 1024;

/// How soon to look again at a neighbour that may send what nobody asked for, while it does so.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What to do next for a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Dial the neighbour.
    Dial,
    /// There is no connection, and none is made until then, unless the neighbour connects to this node.
    Pause {
        /// When to dial.
        until: Tick,
    },
    /// Write as much as can be sent until then, or less.
    Write {
        /// When the neighbour is given up if it has accepted nothing more.
        until: Tick,
    },
    /// Read what has arrived, without waiting.
    Look,
    /// Show the neighbour the end of the output by a half-close; it may still send something.
    HalfClose,
    /// Wait for the neighbour, and for nothing else.
    Listen {
        /// At most until then.
        until: Tick,
    },
    /// Nothing to do, unless something is queued.
    Rest {
        /// Until then.
        until: Tick,
    },
    /// Close the connection, if there is one.
    HangUp,
    /// The node stops, and the neighbour has what it lacked, or time is up.
    End,
}

/// One link, as its driver sees it.
///
/// [`Link::step`] says what to do. The driver does that one thing, tells the link the result, and asks again; if there
/// is no result, because nothing was there to read or time was up, it only asks again.
///
/// | step | to be done | what may come of it |
/// |---|---|---|
/// | [`Step::Dial`] | dial the neighbour | [`Link::connected`], [`Link::failed`] |
/// | [`Step::Pause`] | wait for the neighbour's call | [`Link::called`] |
/// | [`Step::Write`] | write some of [`Link::output`] | [`Link::wrote`], [`Link::failed`] |
/// | [`Step::HalfClose`] | end the output; only a [`super::Single`] asks for it | [`super::Single::half_closed`] |
/// | [`Step::Look`] | read what is there into [`Link::space`] | [`Link::received`], [`Link::failed`] |
/// | [`Step::Listen`] | wait for bytes, and for nothing else; read them | [`Link::received`], [`Link::failed`] |
/// | [`Step::Rest`] | wait until [`Link::has_news`] | |
/// | [`Step::HangUp`] | close the connection, if there is one | [`Link::hung_up`] |
/// | [`Step::End`] | nothing more | |
///
/// Every wait also ends when the node stops, which [`Link::stop`] says, and may end too early. After each call
/// [`Link::event`] says what has happened, and after the end [`Link::lack`] what was not handed over.
///
/// ```
/// use std::time::Duration;
///
/// use proxyherd::core::{
///     links::{Dialled, Ends, Event, Link, LinkTimes, Step, outbox},
///     model::NodeId,
///     store::{Placement, Store},
///     wire::Nonce,
/// };
///
/// let (herd, placement) = ("test".to_owned(), Placement::of_herd("test"));
/// let (id, peer) = (NodeId::new("A").unwrap(), NodeId::new("B").unwrap());
/// let ends = Ends { herd, id, peer, incarnation: 1, check: 9, forget_after: None, secret: None };
/// let store = Store::new(placement, 10);
/// let (outbox, queue) = outbox(1000);
/// let mut link = Link::new(ends, LinkTimes::default(), queue);
///
/// // What the neighbour will have said, and what is said to it. Time passes by waiting only.
/// let mut coming = &b"HELLO 2 test B A 0000000000000000 0000000000000009 - - -\nSUM 0000000000000000 0\nDONE 1\n"[..];
/// let (mut written, mut events, mut now) = (Vec::new(), Vec::new(), Duration::ZERO);
/// loop {
///     match link.step(now, &store) {
///         Step::Dial => link.connected(now, Dialled::plain(Nonce::of_bytes([7; Nonce::BYTES])), &store),
///         Step::Pause { until } => now = until,
///         Step::Write { .. } => {
///             // A pipe that takes eight bytes at a time.
///             let taken = link.output().len().min(8);
///             written.extend_from_slice(&link.output()[..taken]);
///             link.wrote(taken);
///         }
///         Step::Look | Step::HalfClose => {}
///         Step::Listen { .. } => {
///             let length = coming.iter().position(|&byte| byte == b'\n').map_or(0, |end| end + 1);
///             link.space()[..length].copy_from_slice(&coming[..length]);
///             link.received(length, now, 0, &store);
///             coming = &coming[length..];
///         }
///         Step::Rest { .. } => {
///             assert!(!link.has_news() && link.is_quiet());
///             outbox.offer(&b"AT news\n"[..].into());
///             coming = b"PONG 1 1.5\n";
///             link.stop(now + Duration::from_secs(2));
///         }
///         Step::HangUp => link.hung_up(now, 0),
///         Step::End => break,
///     }
///     events.extend(std::iter::from_fn(|| link.event()));
/// }
/// let written = String::from_utf8(written).unwrap();
/// let hello = "HELLO 2 test A B 0000000000000001 0000000000000009 - - -\n";
/// assert_eq!(written, format!("{hello}SUM 0\nDONE 1\nAT news\nPING 1\n"));
/// assert!(matches!(events[..2], [Event::Greeting, Event::Sent { .. }]));
/// assert!(events.contains(&Event::Up));
/// assert!(matches!(events[events.len() - 2..], [Event::Sent { updates: 1, .. }, Event::Pong { .. }]));
/// assert_eq!(link.lack(&store), None);
/// ```
#[derive(Debug)]
pub struct Link {
    speech: Speech,
    times: LinkTimes,
    queue: Queue,
    dialling: Dialling,
    connection: Option<Connection>,
    /// Why to give up the connection, or dialling.
    failure: Option<Lost>,
    /// Set once the node stops.
    stopping: Option<Stopping>,
    events: VecDeque<Event>,
}

/// What a connection's dialect is made from.
#[derive(Debug)]
enum Speech {
    Herd(Ends, Rules),
    Plain(NodeId, PlainForm),
}

impl Link {
    /// A link to one of this program's nodes. It dials at once.
    pub fn new(ends: Ends, times: LinkTimes, queue: Queue) -> Self {
        Self::with_rules(ends, times, queue, Rules::SOUND)
    }

    /// The same with rules that may be wrong.
    pub fn with_rules(ends: Ends, times: LinkTimes, queue: Queue, rules: Rules) -> Self {
        Self::of(Speech::Herd(ends, rules), times, queue)
    }

    /// A link from the node `id` to a third-party node that wants lines of that form.
    pub fn plain(id: NodeId, form: PlainForm, times: LinkTimes, queue: Queue) -> Self {
        Self::of(Speech::Plain(id, form), times, queue)
    }

    fn of(speech: Speech, times: LinkTimes, queue: Queue) -> Self {
        let dialling = Dialling::new(&times);
        let (connection, failure, stopping, events) = (None, None, None, VecDeque::new());
        Self { speech, times, queue, dialling, connection, failure, stopping, events }
    }

    /// The queue of what waits to be written; to wait for more of it.
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Whether something waits to be written, which ends a rest.
    pub fn has_news(&self) -> bool {
        !self.queue.receiver().is_empty()
    }

    /// Whether updates are queued and written.
    pub fn is_up(&self) -> bool {
        self.dialling.is_up()
    }

    /// Whether nothing is queued, asked or known to be missing.
    pub fn is_quiet(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.dialect.is_quiet())
            && !self.queue.is_behind()
            && !self.has_news()
    }

    /// Whether it holds more memory than a link at rest needs.
    pub fn is_grown(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| {
            connection.out.capacity() > OUT_BYTES_KEPT || connection.answers.is_grown()
        })
    }

    /// The bytes to write.
    pub fn output(&self) -> &[u8] {
        self.connection.as_ref().map_or(&[], |connection| &connection.out[connection.written..])
    }

    /// The updates in what is being written, or was written last.
    pub fn news(&self) -> &[u8] {
        self.connection.as_ref().map_or(&[], |connection| &connection.out[..connection.news])
    }

    /// The space to read into; empty without a connection.
    pub fn space(&mut self) -> &mut [u8] {
        self.connection.as_mut().map_or(&mut [], |connection| connection.answers.space())
    }

    /// The events since the last call, first to last.
    pub fn event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The neighbour has just connected to this node, so it can be dialled without waiting.
    pub fn called(&mut self, now: Tick) {
        self.dialling.called(now);
    }

    /// A connection is made.
    pub fn connected(&mut self, now: Tick, dialled: Dialled, store: &Store) {
        let mut out = Vec::new();
        let dialect: Box<dyn Dialect> = match &self.speech {
            Speech::Herd(ends, rules) => {
                Box::new(HerdDialect::greet(ends.clone(), self.times, *rules, now, dialled, store, &mut out))
            }
            Speech::Plain(id, form) => Box::new(Plain::new(id.clone(), form.clone(), self.times, now)),
        };
        let mut connection = Connection::new(dialect, out, now, &self.times);
        if connection.out.is_empty() {
            // Without a handshake there is nothing to wait for.
            connection.look(None);
            self.come_up(now);
        } else {
            self.events.push_back(Event::Greeting);
        }
        self.connection = Some(connection);
    }

    /// So much of [`Link::output`] is written.
    pub fn wrote(&mut self, count: usize) {
        let Some(connection) = &mut self.connection else { return };
        if !connection.wrote(count) {
            // If it cannot send unasked, it may not read either.
            if let Doing::Writing { until } = connection.doing
                && connection.dialect.says_unasked()
            {
                connection.look(Some(until));
            }
            return;
        }
        let (bytes, updates) = (connection.out.len(), connection.updates);
        self.events.push_back(Event::Sent { bytes, updates, pinged_at: connection.dialect.pinged_at() });
        self.events.extend(connection.dialect.written());
        connection.look(None);
    }

    /// So much was read into [`Link::space`]; nothing at the end of the input. `random` is any 64 random bits.
    pub fn received(&mut self, count: usize, now: Tick, random: u64, store: &Store) {
        let Some(connection) = &mut self.connection else { return };
        if count == 0 {
            // What is being written may still be accepted.
            if !matches!(connection.doing, Doing::Looking { write_until: Some(_), .. }) {
                self.failure.get_or_insert(Lost::Closed);
            }
            return;
        }
        (connection.has_come, connection.has_heard) = (true, true);
        // Even if it completes no line yet.
        connection.dialect.moved(now);
        connection.answers.filled(count);
        let mut is_linked = false;
        for line in connection.answers.take_lines() {
            match connection.dialect.hear(line, now, random, store, &self.queue) {
                Ok(Some(Event::Up)) => is_linked = true,
                Ok(event) => self.events.extend(event),
                Err(why) => {
                    self.failure.get_or_insert(Lost::Broken(why));
                    break;
                }
            }
        }
        if is_linked {
            self.come_up(now);
        }
    }

    /// Dialling, reading or writing failed, for this reason.
    pub fn failed(&mut self, why: String) {
        self.failure.get_or_insert(Lost::Failed(why));
    }

    /// The connection is closed, or there was none. `random` is any 64 random bits.
    pub fn hung_up(&mut self, now: Tick, random: u64) {
        let was_connected = self.connection.take().is_some();
        match &mut self.stopping {
            Some(stopping) if was_connected => stopping.lost(self.failure.as_ref()),
            Some(stopping) => stopping.not_reached(now),
            None => {}
        }
        self.queue.close();
        let was_up = self.is_up();
        self.dialling.lost(now, random);
        if !was_connected && self.stopping.as_ref().is_some_and(Stopping::is_to_dial) {
            self.dialling.called(now);
        }
        self.events.extend(self.failure.take().map(|why| Event::Lost { why, was_up }));
    }

    /// What to do at `now`.
    pub fn step(&mut self, now: Tick, store: &Store) -> Step {
        if self.failure.is_some() {
            return Step::HangUp;
        }
        if self.is_over(now, store) {
            return Step::End;
        }
        let is_news_urgent = self.is_news_urgent(now);
        let Some(connection) = &mut self.connection else {
            let until = self.dialling.dial_at();
            if now < until {
                return Step::Pause { until: self.no_later(until) };
            }
            self.stopping.iter_mut().for_each(Stopping::dials);
            return Step::Dial;
        };
        connection.heed_progress(now, &self.times);
        connection.has_heard &= !matches!(connection.doing, Doing::Waiting);
        if matches!(connection.doing, Doing::Waiting) && !is_news_urgent {
            connection.look(None);
        }
        if let Doing::Looking { left, write_until } = connection.doing {
            if left > 0 && std::mem::take(&mut connection.has_come) {
                connection.doing = Doing::Looking { left: left - 1, write_until };
                return Step::Look;
            }
            connection.doing = write_until.map_or(Doing::Waiting, |until| Doing::Writing { until });
        }
        let stepped = match connection.doing {
            Doing::Writing { until } => self.write_on(now, until),
            _ => self.go_on(now, store),
        };
        stepped.unwrap_or_else(|lost| {
            self.failure = Some(lost);
            Step::HangUp
        })
    }

    /// Updates need not wait until the neighbour has been read, but no neighbour is given up unread, nor left unread
    /// for two pieces of updates: after each write, the link looks for what has arrived.
    fn is_news_urgent(&self, now: Tick) -> bool {
        let silent_at = self.connection.as_ref().and_then(|connection| connection.dialect.silent_at());
        self.has_news() && silent_at.is_none_or(|silent_at| now < silent_at)
    }

    /// Updates are queued from now on. Whatever a dialect reads from the store to see what the neighbour lacks, it
    /// reads later.
    fn come_up(&mut self, now: Tick) {
        self.queue.open();
        self.dialling.up(now);
        self.stopping.iter_mut().for_each(Stopping::up);
        self.events.push_back(Event::Up);
    }

    /// The neighbour has not accepted everything yet.
    fn write_on(&mut self, now: Tick, until: Tick) -> Result<Step, Lost> {
        if now >= until
            && let Some(connection) = &mut self.connection
        {
            return Err(connection.not_taken(now, &self.times));
        }
        Ok(Step::Write { until: self.no_later(until) })
    }

    /// What is next, now that everything that has arrived is read: at most a piece of updates and a piece of repair are
    /// written, so that neither starves the other.
    fn go_on(&mut self, now: Tick, store: &Store) -> Result<Step, Lost> {
        let is_up = self.is_up();
        let Some(connection) = &mut self.connection else { return Ok(Step::HangUp) };
        connection.clear_output();
        let Connection { dialect, out, .. } = connection;
        dialect.check(now).map_err(Lost::Broken)?;
        while is_up
            && out.len() < NEWS_BYTES_MAX
            && let Ok(batch) = self.queue.take()
        {
            dialect.write_news(&batch, out);
        }
        (connection.news, connection.updates) = (out.len(), count_lines(out));
        dialect.tells(connection.updates);
        let wait = match self.stopping {
            None => Some(dialect.next(now, store, &self.queue, out)),
            Some(_) => dialect.last(now, store, &self.queue, out),
        };
        if !connection.out.is_empty() {
            let until = connection.begin_write(now, &self.times);
            return Ok(Step::Write { until: self.no_later(until) });
        }
        connection.doing = Doing::Waiting;
        self.events.extend(connection.dialect.written());
        Ok(match wait {
            None => Step::End,
            Some(Wait::Answer(until)) => Step::Listen { until: self.no_later(until) },
            // More may be on its way.
            Some(Wait::News(until)) if connection.has_heard && connection.dialect.says_unasked() => {
                Step::Rest { until: until.min(now + LOOK_AGAIN) }
            }
            Some(Wait::News(until)) => {
                if connection.answers.is_grown() {
                    connection.answers.shrink();
                }
                Step::Rest { until }
            }
        })
    }
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
