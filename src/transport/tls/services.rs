//! TLS for clients and for the web face, under a certificate of the operator's that can be replaced while the node runs.

use std::sync::Arc;

use parking_lot::RwLock;
use rustls::{
    Error, ServerConfig,
    crypto::ring::Ticketer,
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::provider;

/// How many tickets a connection gets with which it can be resumed.
const TICKETS: usize = 1;

/// What a client wants of the node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TlsService {
    /// To speak in lines. It need not say so.
    Lines,
    /// HTTP.
    Web,
}

/// What serves TLS to clients.
#[derive(Debug)]
pub(crate) struct ServiceTls {
    shown: Arc<ShownCertificate>,
    lines: Arc<ServerConfig>,
    web: Arc<ServerConfig>,
}

/// The certificate that new connections are shown.
#[derive(Debug)]
struct ShownCertificate(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for ShownCertificate {
    fn resolve(&self, _client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read()))
    }
}

impl ServiceTls {
    /// Shows that certificate.
    pub(crate) fn new(certificate: Arc<CertifiedKey>) -> Result<Self, Error> {
        let shown = Arc::new(ShownCertificate(RwLock::new(certificate)));
        let config = |inside: &[&[u8]]| -> Result<Arc<ServerConfig>, Error> {
            let config = ServerConfig::builder_with_provider(provider());
            let config = config.with_safe_default_protocol_versions()?.with_no_client_auth();
            let mut config = config.with_cert_resolver(Arc::clone(&shown) as _);
            config.alpn_protocols = inside.iter().map(|protocol| protocol.to_vec()).collect();
            // What is needed to resume is in the ticket, so the node keeps nothing of clients that have left.
            config.ticketer = Ticketer::new()?;
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = TICKETS;
            Ok(Arc::new(config))
        };
        let (lines, web) = (config(&[])?, config(&[b"http/1.1"])?);
        Ok(Self { shown, lines, web })
    }

    /// Shows another certificate from the next handshake on.
    pub(crate) fn show(&self, certificate: Arc<CertifiedKey>) {
        *self.shown.0.write() = certificate;
    }

    pub(in crate::transport) fn config(&self, service: TlsService) -> Arc<ServerConfig> {
        Arc::clone(match service {
            TlsService::Lines => &self.lines,
            TlsService::Web => &self.web,
        })
    }
}
