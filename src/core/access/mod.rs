//! Who is let in: what proves that a node belongs to the herd, which of two connections under one name is believed, and
//! why a handshake is refused.

mod peers;
mod quota;
mod refusal;
mod secret;

pub use self::{
    peers::Peers,
    quota::{Allowance, Bucket, Charge, Ledger, Quota, QuotaRules},
    refusal::{Refusal, Retention},
    secret::{RotationFault, Secret, SecretFault, SecretKey},
};
