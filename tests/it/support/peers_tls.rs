//! The test's end of a TLS connection with a node: as a peer has it, or as a peer should not.

use std::sync::Arc;

use proxyherd::core::wire::{Channel, Exporter};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::{
    ClientConfig, ClientConnection, Connection, DigitallySignedStruct, Error, ServerConfig, ServerConnection,
    SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime},
    version::{TLS12, TLS13},
};

/// What peers speak in TLS.
pub(crate) const ALPN: &[u8] = b"proxyherd";

/// Believes everyone.
#[derive(Debug)]
struct Believer;

impl ServerCertVerifier for Believer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

fn protocols(alpn: &[&[u8]]) -> Vec<Vec<u8>> {
    alpn.iter().map(|protocol| protocol.to_vec()).collect()
}

/// The end that dials, and offers these protocols inside.
pub(crate) fn dialler(alpn: &[&[u8]]) -> Connection {
    dialler_of(&[&TLS13], alpn)
}

/// The same, of TLS 1.2.
pub(crate) fn old_dialler(alpn: &[&[u8]]) -> Connection {
    dialler_of(&[&TLS12], alpn)
}

fn dialler_of(versions: &[&'static rustls::SupportedProtocolVersion], alpn: &[&[u8]]) -> Connection {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_protocol_versions(versions).unwrap().dangerous();
    let mut config = config.with_custom_certificate_verifier(Arc::new(Believer)).with_no_client_auth();
    config.alpn_protocols = protocols(alpn);
    ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap().into()
}

/// The end that is dialled, and takes these protocols inside. Its certificate was good for a year, long ago.
pub(crate) fn acceptor(alpn: &[&[u8]]) -> Connection {
    let mut params = CertificateParams::new(vec!["somebody.example".to_owned()]).unwrap();
    params.not_before = date_time_ymd(2010, 1, 1);
    params.not_after = date_time_ymd(2011, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let mut config = config.with_single_cert(vec![certificate.der().clone()], key).unwrap();
    config.alpn_protocols = protocols(alpn);
    ServerConnection::new(Arc::new(config)).unwrap().into()
}

/// What proofs on that connection cover.
pub(crate) fn channel(connection: &Connection) -> Channel {
    let exporter = [0; Exporter::BYTES];
    let exporter = connection.export_keying_material(exporter, b"EXPORTER-Channel-Binding", Some(b""));
    Channel::Tls(Exporter::of_bytes(exporter.unwrap()))
}
