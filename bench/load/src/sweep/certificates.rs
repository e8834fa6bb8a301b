//! The certificate of a server that speaks TLS with its clients, and how a sweep's connections speak it. It is worth
//! nothing elsewhere.

use std::{fs::OpenOptions, io::Write, net::IpAddr, os::unix::fs::OpenOptionsExt, path::Path};

use proxyherd::transport::Trust;
use rcgen::{CertificateParams, KeyPair};

use crate::{rounds::BenchError, tls::Tls};

/// Writes a certificate for a server at that address, and its key. Returns how it is spoken to.
pub(super) fn write(files: [&Path; 2], ip: IpAddr, is_resumed: bool) -> Result<Tls, BenchError> {
    let made = || -> Result<Tls, Box<dyn std::error::Error + Send + Sync>> {
        let [certificate_file, key_file] = files;
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(vec![ip.to_string()])?.self_signed(&key)?;
        for (file, text) in [(certificate_file, certificate.pem()), (key_file, key.serialize_pem())] {
            // A node takes a key only from a file that others may not open.
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
            file.write_all(text.as_bytes())?;
        }
        Ok(Tls::new(&Trust::in_file(certificate_file)?, &[ip.to_string()], is_resumed)?)
    };
    made()
        .map_err(|error| BenchError::file("cannot make a server's certificate")(std::io::Error::other(error)))
}
