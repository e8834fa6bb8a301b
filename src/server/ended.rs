//! Why a connection ended, in the words of the log.

use std::{fmt, io, net::IpAddr, time::Duration};

use crate::core::dialogue::Closing;

/// Why a connection ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// Its dialogue says so.
    Said(Closing),
    Reset(io::Error),
    SlowReader(Duration),
    NoPlainNeighbour(IpAddr),
    NoAddress(io::Error),
    Draining,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said(why) => write!(f, "{why}"),
            Self::Reset(error) => write!(f, "it broke: {error}"),
            Self::SlowReader(limit) => write!(f, "its replies were not taken within {limit:?}"),
            Self::NoPlainNeighbour(ip) => write!(f, "{ip} is not the address of a plain neighbour"),
            Self::NoAddress(error) => {
                write!(f, "whether it is a plain neighbour cannot be found out: {error}")
            }
            Self::Draining => write!(f, "this node stops"),
        }
    }
}
