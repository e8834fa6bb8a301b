//! What a dialogue asks of its driver, apart from bytes and times, and what it reports about its lines.

use super::Party;
use crate::core::{
    access::Principal,
    model::{ClientId, Location},
    wire::{Invalid, Line, Nonce},
};

/// What a dialogue asks of its driver, and reports to it.
pub trait Host {
    /// Random bytes that nobody can guess, or why there are none.
    fn nonce(&mut self) -> Result<Nonce, String>;

    /// A line was executed. Of one that may hold a token, only what may be shown is told.
    fn said(&mut self, line: Line<'_>, party: &Party, reply: &Reply<'_>);

    /// The places near the client last asked about have been looked up, and this document is the answer.
    fn looked(&mut self, looked: &Looked, document: &[u8]);

    /// Whether the host keeps memory for this connection that a quiet one does not need.
    fn is_grown(&self) -> bool {
        false
    }

    /// Memory that a quiet connection does not need should be given back.
    fn give_back(&mut self) {}

    /// The connection's buffers now hold so many bytes, without the host's own; 0 if that is no more than a quiet
    /// connection needs. Returns whether all connections together hold more than they may. Called when a batch is over,
    /// and before its replies are written.
    fn holds(&mut self, _bytes: usize) -> bool {
        false
    }
}

/// What became of a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reply<'a> {
    /// A neighbour's line was accepted; the answer, if any, is not a location.
    None,
    /// A report was accepted, and the answer is its location.
    At {
        /// The location in the answer.
        location: &'a Location<'a>,
        /// Whether the report was its client's newest.
        is_newest: bool,
    },
    /// The answer is a client's location; the places near it follow.
    Near {
        /// The location in the answer.
        location: &'a Location<'a>,
    },
    /// A client was forgotten, and the answer says so.
    Forgot {
        /// Which.
        client: ClientId<'a>,
    },
    /// A token was valid, and the answer says whose it is.
    Welcome {
        /// Whose.
        principal: &'a Principal,
    },
    /// The line is invalid. A client gets it back.
    Invalid(Invalid),
}

/// The result of a lookup.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Looked {
    /// How many places were found.
    pub results: usize,
    /// Whether the source failed, and the document says so.
    pub is_failed: bool,
}
