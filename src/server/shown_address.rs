//! Where a connection comes from, for people.

use std::{fmt, net::SocketAddr};

/// Where a connection comes from, as the log shows it.
pub(super) struct ShownAddress(pub(super) Option<SocketAddr>);

impl fmt::Display for ShownAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => write!(f, "{address}"),
            None => f.write_str("an address it has left"),
        }
    }
}
