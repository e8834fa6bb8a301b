//! A herd with a secret, whose peers speak TLS: how the tester speaks it, and proves the secret over it.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    sync::Arc,
};

use proxyherd::{
    core::{
        access::{Secret, SecretKey},
        store::Placement,
        wire::{Channel, Exporter, Hello, Nonce, Prover, Transcript, write_proof},
    },
    transport::Trust,
};
use rustls::{ClientConnection, StreamOwned, pki_types::ServerName};

/// What peers' TLS says that it carries, and the label of what binds a proof to it.
const ALPN: &[u8] = b"proxyherd";
const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

/// The secret of such a herd; it is worth nothing elsewhere.
pub(super) fn secret() -> Secret {
    Secret::new(SecretKey::of_bytes([0x5e; 32]), [0x5e; 16])
}

/// By which its nodes know that they place clients alike.
pub(super) fn check() -> u64 {
    Placement::of_key(secret().placement()).check()
}

/// The HELLO line that asks for the node's proof, without its newline.
pub(super) fn hello(plain: &str) -> io::Result<String> {
    let mut hello = Hello::parse(plain.as_bytes()).map_err(io::Error::other)?;
    (hello.nonce, hello.incarnation) = (Some(Nonce::of_bytes([7; Nonce::BYTES])), 0);
    Ok(String::from_utf8_lossy(&hello.to_line()).into_owned())
}

/// The PROOF line that answers the node's, without its newline.
pub(super) fn proof(channel: Channel, hello: &str, answer: &str, incarnation: u64) -> String {
    let transcript = Transcript::new(channel, hello.as_bytes(), answer.as_bytes());
    let proof = transcript.prove(Prover::Dialler { incarnation }, &secret());
    let mut line = Vec::new();
    write_proof(&proof, incarnation, &mut line);
    String::from_utf8_lossy(&line).trim_end().to_owned()
}

/// A connection of peers.
#[derive(Debug)]
pub(super) enum PeerStream {
    Plain(TcpStream),
    Secured(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl PeerStream {
    /// Speaks TLS as peers do.
    pub(super) fn secured(mut tcp: TcpStream) -> io::Result<(Self, Channel)> {
        let mut config = Trust::Anyone.config().map_err(io::Error::other)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        let nobody = ServerName::try_from("peer.invalid").map_err(io::Error::other)?;
        let mut connection = ClientConnection::new(Arc::new(config), nobody).map_err(io::Error::other)?;
        connection.complete_io(&mut tcp)?;
        let exported = connection.export_keying_material([0; Exporter::BYTES], EXPORTER_LABEL, Some(b""));
        let exporter = Exporter::of_bytes(exported.map_err(io::Error::other)?);
        Ok((Self::Secured(Box::new(StreamOwned::new(connection, tcp))), Channel::Tls(exporter)))
    }
}

impl Read for PeerStream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(bytes),
            Self::Secured(stream) => stream.read(bytes),
        }
    }
}

impl Write for PeerStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Secured(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Secured(stream) => stream.flush(),
        }
    }
}
