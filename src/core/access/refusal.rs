//! Why a handshake is refused. A refusal's text is sent to the other node and logged here; it ends with what to do.

use std::{fmt, time::Duration};

use crate::core::model::NodeId;

/// Why a handshake is refused: because of its line, by the node that was dialled, or by the node that dialled.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the texts say what each is")]
pub enum Refusal {
    #[error("this is no HELLO line; is the other end a node of a herd?")]
    NoHello,
    #[error("version {theirs} is not spoken here, only {ours}; run the same release on all nodes")]
    Version { theirs: u64, ours: u64 },
    #[error("the HELLO line does not have its ten fields; run the same release on all nodes")]
    FieldCount,
    #[error("the HELLO line's incarnation and check are not 16 hexadecimal digits each")]
    BadNumbers,
    #[error("the HELLO line's forget_after is neither a whole number of seconds nor -")]
    BadForgetAfter,
    #[error("the HELLO line's nonce is not 32 hexadecimal digits or -, or its proof not 64 or -")]
    BadNonce,

    #[error("this node is of the herd {ours}, not {theirs}; mend the address or the herd's name")]
    OtherHerd { ours: String, theirs: String },
    #[error("{id} has dialled itself; mend the addresses of its links")]
    Itself { id: NodeId },
    #[error("this node is {id}, not {meant}; mend the address of {meant}")]
    OtherNode { id: NodeId, meant: String },
    #[error("{id} has no link to {from}; give both nodes the same configuration")]
    NoLink { id: NodeId, from: String },
    #[error("a HELLO line that asks has no proof; run the same release on all nodes")]
    EarlyProof,
    #[error("{id} has a secret and {from} has none; give both the same secret_file")]
    PeerHasNoSecret { id: NodeId, from: String },
    #[error("{from} has a secret and {id} has none; give both the same secret_file")]
    OnlyPeerHasSecret { id: NodeId, from: String },
    #[error("{id} and {from} place clients differently; give both the same {cure}")]
    OtherPlacement { id: NodeId, from: String, cure: &'static str },
    #[error("{id} keeps locations {ours} and {from} {theirs}; give both the same forget_after")]
    OtherRetention { id: NodeId, from: String, ours: Retention, theirs: Retention },
    #[error(
        "{id} takes peers over TLS only (`peer_tls` is required); set `peer_tls` of {from} to on or required"
    )]
    NoTls { id: NodeId, from: String },
    #[error("{id} takes no peers at its `tls_listen` address, which is for clients; dial its `address`")]
    ForClients { id: NodeId },
    #[error("{id} has no random numbers: {error}; try again")]
    NoRandomNumbers { id: NodeId, error: String },
    #[error("the proof is wrong; give both nodes the same secret_file")]
    WrongProof,
    #[error("another {id} was heard from {silence:?} ago; end one of the two, or wait until it is forgotten")]
    NameInUse { id: NodeId, silence: Duration },

    #[error("it is {from} of the herd {herd}; correct the address")]
    OtherPeer { from: String, herd: String },
    #[error("it answers {to}")]
    AnswersOther { to: String },
    #[error("it has a secret and this node has none; give both the same secret_file")]
    OnlyItHasSecret,
    #[error("it proves no secret; give both nodes the same secret_file")]
    ProvesNothing,
    #[error("its placement key is another; give both nodes the same configuration and secret_file")]
    ItsPlacement,
    #[error("it keeps locations {theirs} and this node {ours}; give both nodes the same forget_after")]
    ItsRetention { ours: Retention, theirs: Retention },
    #[error("its proof is wrong; give both nodes the same secret_file")]
    ItsProof,
}

/// How long a node keeps locations: for so many seconds, or for ever.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retention(pub Option<u64>);

impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(seconds) => write!(f, "for {seconds} s"),
            None => write!(f, "for ever"),
        }
    }
}
