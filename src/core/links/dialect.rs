//! What differs between the two kinds of link. A link waits, writes and counts; its dialect, new with each connection, knows
//! what is said.

use std::{fmt, time::Duration};

use super::{Event, Queue};
use crate::core::{access::Refusal, model::Tick, store::Store, wire::Line};

/// What is said on one connection, and what is made of the answers.
pub(super) trait Dialect: fmt::Debug + Send {
    /// Appends news in the form the neighbour wants.
    fn write_news(&self, batch: &[u8], out: &mut Vec<u8>);

    /// Whether the neighbour is given up at `now`, all that has come from it having been heard.
    fn check(&mut self, _now: Tick) -> Result<(), Broken> {
        Ok(())
    }

    /// Appends what else is to be said at `now`, at most a piece of repair. Gives what to wait for where there is nothing.
    fn next(&mut self, now: Tick, store: &Store, queue: &Queue, out: &mut Vec<u8>) -> Wait;

    /// The same for a node that stops: what the neighbour still lacks, and a question whose answer confirms it, whatever the
    /// times between rounds or pings are. `None` where it has all.
    fn last(&mut self, now: Tick, store: &Store, queue: &Queue, out: &mut Vec<u8>) -> Option<Wait>;

    /// So many updates are written next, before what [`Dialect::next`] or [`Dialect::last`] appends.
    fn tells(&mut self, updates: usize);

    /// How many updates the neighbour may not have taken.
    fn unconfirmed(&self) -> usize;

    /// What [`Dialect::next`] appended has been written, or there was nothing.
    fn written(&mut self) -> Option<Event> {
        None
    }

    /// Bytes have come from the neighbour, or have gone that were in the way of others: it lives.
    fn moved(&mut self, _now: Tick) {}

    /// Takes a line of the neighbour. `random` is any 64 random bits.
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

    /// Whether the neighbour may say what nobody asked for, and may read nothing while it cannot.
    fn says_unasked(&self) -> bool {
        false
    }

    /// When the neighbour is given up that owes an answer, unless bytes move before, or it answers.
    fn silent_at(&self) -> Option<Tick> {
        None
    }

    /// When the oldest ping was sent that is not answered.
    fn pinged_at(&self) -> Option<Tick> {
        None
    }

    /// Whether the neighbour has been told everything once, and nothing is being found out or told again.
    fn is_quiet(&self) -> bool;
}

/// What is waited for, at most until then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wait {
    /// An answer, and nothing else.
    Answer(Tick),
    /// News.
    News(Tick),
}

/// Why a neighbour that was being greeted, or was linked, is not spoken with any more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Broken {
    /// The neighbour refused the handshake, for this reason.
    Refused(String),
    /// Whoever answers is not the neighbour.
    Stranger(Refusal),
    /// The handshake was not answered in this time.
    NoGreeting(Duration),
    /// It owes an answer, and no byte has moved for this long.
    Silent(Duration),
    /// Bytes move, but a question, or a ping, is not answered for this long.
    Overdue(Duration),
    /// It has answered what was asked later, and not yet what was asked before.
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
