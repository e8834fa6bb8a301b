//! Why a connection ended, in the words of the log.

use std::{fmt, io, net::IpAddr, time::Duration};

use crate::core::{access::Refusal, wire::OtherProtocol};

/// Why a connection ended.
#[derive(Debug)]
pub(super) enum Ended {
    ByClient,
    Reset(io::Error),
    Idle(Duration),
    SlowLine(Duration),
    SlowReader(Duration),
    SilentPeer(Duration),
    NoHandshake,
    NoProof(Duration),
    Refused(Refusal),
    NoPlainNeighbour(IpAddr),
    NoAddress(io::Error),
    OtherProtocol(OtherProtocol),
    Draining,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByClient => write!(f, "the other end closed it"),
            Self::Reset(error) => write!(f, "it broke: {error}"),
            Self::Idle(limit) => write!(f, "nothing came for {limit:?}"),
            Self::SlowLine(limit) => write!(f, "a line was not whole {limit:?} after its first byte"),
            Self::SlowReader(limit) => write!(f, "its replies were not taken within {limit:?}"),
            Self::SilentPeer(limit) => write!(f, "the neighbour was silent for {limit:?}"),
            Self::NoHandshake => {
                write!(f, "this node has as many clients as it takes, and it is not a neighbour")
            }
            Self::NoProof(limit) => write!(f, "the herd's secret was not proved within {limit:?}"),
            Self::Refused(why) => write!(f, "its handshake was refused: {why}"),
            Self::NoPlainNeighbour(ip) => write!(f, "{ip} is not the address of a plain neighbour"),
            Self::NoAddress(error) => {
                write!(f, "whether it is a plain neighbour cannot be found out: {error}")
            }
            Self::OtherProtocol(OtherProtocol::Http) => write!(f, "it speaks HTTP"),
            Self::OtherProtocol(OtherProtocol::Tls) => write!(f, "it speaks TLS"),
            Self::Draining => write!(f, "this node stops"),
        }
    }
}
