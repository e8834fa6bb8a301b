//! Who is let in: what proves that a node belongs to the herd, which of two connections under one name is believed, and
//! why a handshake is refused.

mod peer_tls;
mod peers;
mod refusal;
mod secret;

pub use self::{
    peer_tls::PeerTls,
    peers::Peers,
    refusal::{Refusal, Retention},
    secret::{RotationFault, Secret, SecretFault, SecretKey},
};
