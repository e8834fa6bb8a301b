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

use rustls::{
    CipherSuite,
    crypto::{CryptoProvider, ring},
};

pub use self::trust::Trust;
pub(super) use self::{beginning::TlsBeginning, session::TlsSession};
pub(crate) use self::{
    fault::TlsFault,
    peers::PeersTls,
    pool::HandshakePool,
    services::{ServiceTls, TlsService},
};

/// The one provider of cryptography, ureq's, too. It prefers AES with keys of 128 bits: no attack comes near those either,
/// and the SHA-256 that goes with it has instructions of its own on most processors, unlike SHA-384.
pub(super) fn provider() -> Arc<CryptoProvider> {
    let mut provider = ring::default_provider();
    // Stable, so the rest stays in rustls's order.
    provider.cipher_suites.sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
    Arc::new(provider)
}
