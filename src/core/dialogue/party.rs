//! Whose a connection is, and why it ends.

use std::{fmt, time::Duration};

use crate::core::{
    access::Refusal,
    model::{Location, Tick},
    wire::{Invalid, OtherProtocol},
};

/// Whose a connection is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Party {
    /// Nobody's yet: what comes first decides. Its lines are a client's.
    Stranger,
    /// A client's.
    Client(Principal),
    /// The peer's at the end of that link, after its handshake.
    Peer(usize),
    /// A third-party node's: the one at the end of that link, or one of several at its address.
    Plain(Option<usize>),
}

/// Who a client's connection is for. There is nothing to tell clients apart by yet.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Principal;

impl Party {
    /// Whether its lines are a client's, which are all answered.
    pub fn is_client(self) -> bool {
        matches!(self, Self::Stranger | Self::Client(_))
    }

    /// The link to whom it is, where it is a neighbour's.
    pub fn link(self) -> Option<usize> {
        match self {
            Self::Peer(link) | Self::Plain(Some(link)) => Some(link),
            Self::Stranger | Self::Client(_) | Self::Plain(None) => None,
        }
    }
}

/// By which door a connection came in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Opening {
    /// The one for all.
    Common {
        /// Whether its seat is kept for peers, so that it must be earned by a handshake.
        is_kept: bool,
    },
    /// The one for third-party nodes: it is one of these links', by its address.
    Plain(Vec<usize>),
}

/// A neighbour's connection is known to be its.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Joined {
    /// Its link.
    pub link: usize,
    /// Its earlier connection, which is to be closed.
    pub replaces: Option<u64>,
}

/// How long a connection may take for what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Times {
    /// A connection that says nothing for so long is closed.
    pub idle: Duration,
    /// A line is whole so long after its first byte.
    pub line: Duration,
    /// A handshake, and a proof that was asked for.
    pub handshake: Duration,
    /// A peer that is silent for so long is gone.
    pub liveness: Duration,
}

/// What became of a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reply<'a> {
    /// A neighbour's line was taken; what is answered, if anything, is not a location.
    None,
    /// A report was taken, and its location is told.
    At {
        /// What is told.
        location: Location<'a>,
        /// Whether the report was the newest of its client.
        is_newest: bool,
    },
    /// A client's location is told; what is near it follows.
    Near {
        /// What is told.
        location: Location<'a>,
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

/// Why a dialogue ends its connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Closing {
    /// The other end has said all it has to say.
    ByPeer,
    /// Nothing came for this long.
    Idle(Duration),
    /// A line was not whole in this time.
    SlowLine(Duration),
    /// A peer was silent for this long.
    SilentPeer(Duration),
    /// The seat is kept for peers, and this is none, or not in time.
    NoHandshake,
    /// The herd's secret was not proved in this time.
    NoProof(Duration),
    /// The handshake was refused.
    Refused(Refusal),
    /// It speaks another protocol.
    OtherProtocol(OtherProtocol),
}

impl fmt::Display for Closing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByPeer => write!(f, "the other end closed it"),
            Self::Idle(limit) => write!(f, "nothing came for {limit:?}"),
            Self::SlowLine(limit) => write!(f, "a line was not whole {limit:?} after its first byte"),
            Self::SilentPeer(limit) => write!(f, "the neighbour was silent for {limit:?}"),
            Self::NoHandshake => {
                write!(f, "this node has as many clients as it takes, and it is not a neighbour")
            }
            Self::NoProof(limit) => write!(f, "the herd's secret was not proved within {limit:?}"),
            Self::Refused(why) => write!(f, "its handshake was refused: {why}"),
            Self::OtherProtocol(OtherProtocol::Http) => write!(f, "it speaks HTTP"),
            Self::OtherProtocol(OtherProtocol::Tls) => write!(f, "it speaks TLS"),
        }
    }
}

/// When something must come, and why the connection ends if nothing does.
pub(super) type Deadline = (Tick, Closing);
