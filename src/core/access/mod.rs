//! Who is let in, and who may do what: what proves that a node belongs to the herd, which of two connections under one name
//! is believed, why a handshake is refused; and whom a client's token is for, and what that one may report and see.

mod pattern;
mod peer_tls;
mod peers;
mod principal;
mod quota;
mod refusal;
mod secret;
mod table;
mod token;
mod tokens;

pub use self::{
    pattern::{PATTERN_BYTES_MAX, PATTERNS_MAX, Pattern, PatternFault, Patterns},
    peer_tls::PeerTls,
    peers::Peers,
    principal::{Account, Act, Principal},
    quota::{Allowance, Bucket, Charge, Ledger, Quota, QuotaRules},
    refusal::{Refusal, Retention},
    secret::{RotationFault, Secret, SecretFault, SecretKey},
    table::{Access, Anyone, TokenChanges},
    token::{Token, TokenHash, find_token},
    tokens::{TOKENS_MAX, TokenEntry, TokenGroup, TokenList, TokenRole, TokensFault},
};

#[cfg(test)]
mod tests;
