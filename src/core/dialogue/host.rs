//! What a dialogue asks of whoever drives it, beside bytes and times, and what it tells of its lines.

use super::Party;
use crate::core::{
    model::Location,
    wire::{Invalid, Line, Nonce},
};

/// What a dialogue asks of, and tells, whoever drives it.
pub trait Host {
    /// Random bytes that nobody can guess, or why there are none.
    fn nonce(&mut self) -> Result<Nonce, String>;

    /// A line was executed.
    fn said(&mut self, line: Line<'_>, party: Party, reply: &Reply<'_>);

    /// What was near the client that was asked about last has been looked up, and this document is the answer.
    fn looked(&mut self, looked: &Looked, document: &[u8]);

    /// Whether the host keeps memory for this connection that a quiet one does not need.
    fn is_grown(&self) -> bool {
        false
    }

    /// Memory that a quiet connection does not need is to be given back.
    fn give_back(&mut self) {}

    /// The connection's buffers now hold so many bytes, beside the host's own; 0 where that is no more than a quiet
    /// connection needs. Says whether all connections together hold more than they may. Told when a batch is over, and
    /// before its replies are written.
    fn holds(&mut self, _bytes: usize) -> bool {
        false
    }
}

/// What became of a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reply<'a> {
    /// A neighbour's line was taken; what is answered, if anything, is not a location.
    None,
    /// A report was taken, and its location is told.
    At {
        /// What is told.
        location: &'a Location<'a>,
        /// Whether the report was the newest of its client.
        is_newest: bool,
    },
    /// A client's location is told; what is near it follows.
    Near {
        /// What is told.
        location: &'a Location<'a>,
    },
    /// The line is invalid. A client gets it back.
    Invalid(Invalid),
}

/// What came of a lookup.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Looked {
    /// How many places were found.
    pub results: usize,
    /// Whether the source gave no answer, and the document says so.
    pub is_failed: bool,
}
