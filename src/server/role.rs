//! What a node's threads are for: their names, and when in a drain it is their turn to end.

use std::fmt;

use crate::core::model::NodeId;

/// What a thread is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Role {
    /// Writes the log.
    Log,
    /// Keeps the link to that neighbour.
    Flooder(NodeId),
    /// Takes connections at that door.
    Accept(DoorKind),
    /// Serves the connection of that number: a client's or a neighbour's.
    Session(u64),
    /// Serves the web face's connection of that number.
    Http(u64),
}

/// Where connections come in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DoorKind {
    /// For clients and peers.
    Clients,
    /// For third-party nodes.
    Plain,
    /// The web face's.
    Web,
}

/// When in a drain a thread ends: each turn begins once the threads of the one before have ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum DrainTurn {
    /// Those who take in what clients and neighbours say.
    First,
    /// Those who pass it on, and those who tell of the drain.
    Second,
    /// The log's, which tells of all others.
    Last,
}

impl Role {
    pub(super) fn turn(&self) -> DrainTurn {
        match self {
            Self::Session(_) | Self::Accept(DoorKind::Clients | DoorKind::Plain) => DrainTurn::First,
            Self::Flooder(_) | Self::Http(_) | Self::Accept(DoorKind::Web) => DrainTurn::Second,
            Self::Log => DrainTurn::Last,
        }
    }
}

impl DoorKind {
    /// What serves the connection of that number.
    pub(super) fn serving(self, number: u64) -> Role {
        match self {
            Self::Clients | Self::Plain => Role::Session(number),
            Self::Web => Role::Http(number),
        }
    }
}

/// The thread's name.
impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log => write!(f, "log"),
            Self::Flooder(peer) => write!(f, "flood-{peer}"),
            Self::Accept(DoorKind::Clients) => write!(f, "accept"),
            Self::Accept(DoorKind::Plain) => write!(f, "accept-plain"),
            Self::Accept(DoorKind::Web) => write!(f, "accept-http"),
            Self::Session(number) => write!(f, "session-{number}"),
            Self::Http(number) => write!(f, "http-{number}"),
        }
    }
}
