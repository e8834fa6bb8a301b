//! TLS between peers: version 1.3 only, under a key made at start that certifies nothing. Nothing is resumed, and nothing
//! is sent before the handshake is over.

use std::{io, sync::Arc};

use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, Connection, DigitallySignedStruct, Error, ServerConfig, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime},
    server::NoServerSessionStorage,
    version::TLS13,
};

use super::{fault::TlsFault, provider};

/// What peers' TLS carries, by which a node tells it from that of others on the same port.
const PEERS_ALPN: &[u8] = b"proxyherd";

/// Names nobody: it is not sent, and no certificate is asked for it.
const NOBODY: &str = "peer.invalid";

/// Both ends of the peers' TLS of one node.
#[derive(Clone, Debug)]
pub(crate) struct PeersTls {
    pub(super) server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl PeersTls {
    /// With a new key.
    pub(crate) fn new() -> io::Result<Self> {
        Self::made().map_err(io::Error::other)
    }

    fn made() -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(vec![NOBODY.to_owned()])?.self_signed(&key)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let server = ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13])?;
        let mut server =
            server.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key)?;
        server.alpn_protocols = vec![PEERS_ALPN.to_vec()];
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        let client = ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13])?;
        let mut client = client
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider())))
            .with_no_client_auth();
        client.alpn_protocols = vec![PEERS_ALPN.to_vec()];
        client.resumption = Resumption::disabled();
        client.enable_sni = false;
        Ok(Self { server: Arc::new(server), client: Arc::new(client) })
    }

    /// The end that dials.
    pub(super) fn dialler(&self) -> Result<Connection, TlsFault> {
        let nobody = ServerName::try_from(NOBODY).map_err(|_| Error::General(NOBODY.to_owned()))?;
        Ok(ClientConnection::new(Arc::clone(&self.client), nobody)?.into())
    }

    /// Whether these are what peers offer.
    pub(super) fn is_offered(mut protocols: impl Iterator<Item = impl AsRef<[u8]>>) -> bool {
        protocols.any(|protocol| protocol.as_ref() == PEERS_ALPN)
    }

    /// Whether a connection carries what peers say.
    pub(super) fn is_agreed(connection: &Connection) -> bool {
        connection.alpn_protocol() == Some(PEERS_ALPN)
    }
}

/// Accepts any certificate whose owner has its key. Whoever that is must prove the herd's secret over this connection.
#[derive(Debug)]
pub(super) struct AnyCertificate(pub(super) Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
