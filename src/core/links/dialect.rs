//! What differs between the two kinds of link. A link waits, writes and counts; its dialect, a new one for each
//! connection, knows what to say.

use std::{fmt, time::Duration};

use super::{Event, Queue};
use crate::core::{access::Refusal, model::Tick, store::Store, wire::Line};

/// What is said on one connection, and what the answers mean.
pub(super) trait Dialect: fmt::Debug + Send {
    /// Appends updates in the form that the neighbour wants.
    fn write_news(&self, batch: &[u8], out: &mut Vec<u8>);

    /// Whether the neighbour is given up at `now`, after everything it sent has been read.
    fn check(&mut self, _now: Tick) -> Result<(), Broken> {
        Ok(())
    }

    /// Appends what else must be said at `now`, at most a piece of repair. If there is nothing, returns what to wait
    /// for.
    fn next(&mut self, now: Tick, store: &Store, queue: &Queue, out: &mut Vec<u8>) -> Wait;

    /// The same for a node that stops: what the neighbour still lacks, and a question whose answer confirms it,
    /// whatever the intervals between rounds or pings are. `None` if it has everything.
    fn last(&mut self, now: Tick, store: &Store, queue: &Queue, out: &mut Vec<u8>) -> Option<Wait>;

    /// So many updates are written next, before what [`Dialect::next`] or [`Dialect::last`] appends.
    fn tells(&mut self, updates: usize);

    /// How many updates the neighbour may not have received.
    fn unconfirmed(&self) -> usize;

    /// What [`Dialect::next`] appended has been written, or there was nothing.
    fn written(&mut self) -> Option<Event> {
        None
    }

    /// Bytes have arrived from the neighbour, or bytes in front of others have been sent: it lives.
    fn moved(&mut self, _now: Tick) {}

    /// Handles a line from the neighbour. `random` is any 64 random bits.
    fn hear(
        &mut self,
        _line: Line<'_>,
        _now: Tick,
        _random: u64,
        _store: &Store,
        _queue: &Queue,
    ) -> Result<Option<Event>, Broken> {
        Ok(None)
    }

    /// Whether the neighbour may send what nobody asked for, and may read nothing while it cannot.
    fn says_unasked(&self) -> bool {
        false
    }

    /// When a neighbour that owes an answer is given up, unless bytes move before, or it answers.
    fn silent_at(&self) -> Option<Tick> {
        None
    }

    /// When the oldest unanswered ping was sent.
    fn pinged_at(&self) -> Option<Tick> {
        None
    }

    /// Whether the neighbour has been sent everything once, and no round or sweep is in progress.
    fn is_quiet(&self) -> bool;
}

/// What to wait for, and until when at most.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wait {
    /// An answer, and nothing else.
    Answer(Tick),
    /// Updates.
    News(Tick),
}

/// Why the node stops talking to a neighbour that it was greeting, or linked to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Broken {
    /// The neighbour refused the handshake, for this reason.
    Refused(String),
    /// Something other than the neighbour answers.
    Stranger(Refusal),
    /// The handshake was not answered in this time.
    NoGreeting(Duration),
    /// It owes an answer, and no byte has moved for this long.
    Silent(Duration),
    /// Bytes move, but a question or a ping has not been answered for this long.
    Overdue(Duration),
    /// It has answered a later question before an earlier one.
    OutOfOrder,
    /// An answer that fits no question.
    Nonsense,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => write!(f, "it refused the handshake: {why}"),
            Self::Stranger(why) => write!(f, "something else answers there: {why}"),
            Self::NoGreeting(limit) => write!(f, "it did not answer the handshake within {limit:?}"),
            Self::Silent(limit) => write!(f, "it has answered nothing for {limit:?}"),
            Self::Overdue(limit) => write!(f, "it has not answered a question within {limit:?}"),
            Self::OutOfOrder => {
                write!(f, "it skipped an earlier question; run the same release on all nodes")
            }
            Self::Nonsense => write!(f, "its answer matches no question; run the same release on all nodes"),
        }
    }
}
