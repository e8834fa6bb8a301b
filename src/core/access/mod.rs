//! Who is let in: what proves that a node is of the herd, and which of two connections that claim one name is believed.

mod peers;
mod secret;

pub(crate) use self::secret::{Hex, from_hex};
pub use self::{
    peers::{Admission, Peers},
    secret::{Key, RotationFault, Secret, SecretFault},
};
