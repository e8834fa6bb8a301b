//! Who is let in: what proves that a node is of the herd, which of two connections that claim one name is believed, and why
//! a handshake is refused.

mod peers;
mod refusal;
mod secret;

pub use self::{
    peers::Peers,
    refusal::Refusal,
    secret::{RotationFault, Secret, SecretFault, SecretKey},
};
