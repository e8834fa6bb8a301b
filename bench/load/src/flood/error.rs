//! Why a flood was not measured.

use std::{io, time::Duration};

use thiserror::Error;

/// What went wrong, and what to do about it.
#[derive(Debug, Error)]
pub enum FloodError {
    /// A plan that makes no sense.
    #[error("{0}")]
    Senseless(&'static str),
    /// No connection.
    #[error("cannot connect to {server}: {source}; check the address and that the server runs")]
    Connect {
        /// As it was named.
        server: String,
        /// Why.
        source: io::Error,
    },
    /// The server has ended the connection.
    #[error("{server} closed the connection: {source}; its log should say why")]
    Closed {
        /// As it was named.
        server: String,
        /// What the system said.
        source: io::Error,
    },
    /// Sockets could not be waited for.
    #[error("cannot wait for sockets: {0}")]
    Poll(io::Error),
    /// Nothing came back.
    #[error("{server} did not answer within {} s; see its log, or raise --timeout", .within.as_secs_f64())]
    Silent {
        /// As it was named.
        server: String,
        /// How long the tester waited.
        within: Duration,
    },
    /// A report was not accepted.
    #[error("{server} answered {line:?} to a report; check that it is a server of this protocol")]
    Refused {
        /// As it was named.
        server: String,
        /// What it said.
        line: String,
    },
    /// A lookup was answered with something that is not an answer.
    #[error("{server} answered {line:?} to a lookup; check that it is a server of this protocol")]
    Wrong {
        /// As it was named.
        server: String,
        /// What it said.
        line: String,
    },
    /// An answer does not end.
    #[error("an answer has not ended after {0} bytes; check that this is a server of this protocol")]
    Endless(usize),
}
