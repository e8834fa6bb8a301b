//! TLS under [`super::Stream`]: rustls with ring, driven by the thread that reads and writes the connection. Who the
//! other end is, is not decided here: clients judge the certificate that they are shown, and between peers any certificate
//! will do, because the handshake inside proves the herd's secret for this very connection (PROTOCOL.md).

mod beginning;
mod fault;
mod machine;
mod peers;
mod pool;
mod services;
mod session;
mod trust;
mod unbuffered;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};

pub use self::trust::Trust;
pub(super) use self::{beginning::TlsBeginning, session::TlsSession};
pub(crate) use self::{
    fault::TlsFault,
    peers::PeersTls,
    pool::HandshakePool,
    services::{ServiceTls, TlsService},
};

/// The one provider of cryptography, which ureq has, too.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
