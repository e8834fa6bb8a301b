//! Why a connection ends, as far as its dialogue decides that, and in which words it is told.

use std::{fmt, time::Duration};

use crate::core::{
    access::{Quota, Refusal},
    wire::OtherProtocol,
};

/// Why a dialogue ends its connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Closing {
    /// The other end has said all it has to say.
    ByPeer,
    /// Nothing came for this long.
    Idle(Duration),
    /// A line was incomplete after this time.
    SlowLine(Duration),
    /// A peer was silent for this long.
    SilentPeer(Duration),
    /// The seat is kept for peers, and this is not a peer's connection, or was too late to prove it.
    NoHandshake,
    /// It speaks the peers' TLS, but no HELLO came within this time, or something else came first.
    NoGreeting(Duration),
    /// The herd's secret was not proved in this time.
    NoProof(Duration),
    /// The other end has ended its handshake without a proof: this end's may have been wrong.
    EndedUnproved,
    /// The handshake was refused.
    Refused(Box<Refusal>),
    /// It has shown too many tokens that are not valid.
    WrongTokens,
    /// It speaks another protocol.
    OtherProtocol(OtherProtocol),
    /// All connections together hold too much, and this one has so many bytes of an incomplete line.
    Crowded(usize),
    /// The same, and this one has lines that wait for that quota.
    CrowdedAtRest(Quota),
}

impl fmt::Display for Closing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByPeer => write!(f, "the other end closed it"),
            Self::Idle(limit) => write!(f, "it sent nothing for {limit:?}"),
            Self::SlowLine(limit) => write!(f, "a line was incomplete {limit:?} after its first byte"),
            Self::SilentPeer(limit) => write!(f, "the neighbour was silent for {limit:?}"),
            Self::NoHandshake => {
                write!(
                    f,
                    "this node accepts no more clients, or no more from its address, and it is not a peer"
                )
            }
            Self::NoGreeting(limit) => {
                write!(f, "it speaks the peers' TLS, but did not say HELLO within {limit:?}, or not first")
            }
            Self::NoProof(limit) => write!(f, "the herd's secret was not proved within {limit:?}"),
            Self::EndedUnproved => {
                write!(
                    f,
                    "it ended its handshake before its proof; if it is a neighbour, its own log says why"
                )
            }
            Self::Refused(why) => write!(f, "its handshake was refused: {why}"),
            Self::WrongTokens => write!(f, "its tokens were wrong, three times"),
            Self::OtherProtocol(OtherProtocol::Http) => write!(f, "it speaks HTTP"),
            Self::OtherProtocol(OtherProtocol::Tls) => write!(f, "it speaks TLS"),
            Self::Crowded(bytes) => {
                write!(
                    f,
                    "all buffers together hold `connection_buffer_bytes`, and after {bytes} bytes its line is still incomplete"
                )
            }
            Self::CrowdedAtRest(quota) => {
                write!(
                    f,
                    "all buffers together hold `connection_buffer_bytes`, and its lines wait because of {quota}"
                )
            }
        }
    }
}
