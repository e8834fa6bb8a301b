//! Whom a program believes to be a node that it dials over TLS.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, ClientConnection, Connection, Error, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};

use super::{TlsFault, peers::AnyCertificate, provider};
use crate::regular_file;

/// Mozilla's complete list is a quarter of a MiB.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Who must vouch for a node.
#[derive(Clone, Debug)]
pub enum Trust {
    /// One of the authorities that Mozilla's browsers believe.
    Public,
    /// One of these.
    Authorities(Vec<CertificateDer<'static>>),
    /// Nobody: whoever is on the way can read and change everything.
    Anyone,
}

impl Trust {
    /// In the authorities of a PEM file. An error says what is wrong and what to do.
    pub fn in_file(path: &Path) -> Result<Self, String> {
        let file = path.display();
        let cure = "give --ca a PEM file with the certificate of an authority";
        let pem = match regular_file::read(path, FILE_BYTES_MAX) {
            Ok(Some(pem)) => pem,
            Ok(None) => return Err(format!("{file} is over {} MiB; {cure}", FILE_BYTES_MAX >> 20)),
            Err(error) => return Err(format!("{file} cannot be read: {error}; {cure}")),
        };
        let found = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
        let found = found.ok().filter(|found| !found.is_empty());
        let found = found.ok_or_else(|| format!("{file} holds no whole certificate; {cure}"))?;
        let mut roots = RootCertStore::empty();
        let is_good = found.iter().all(|certificate| roots.add(certificate.clone()).is_ok());
        if is_good { Ok(Self::Authorities(found)) } else { Err(format!("{file} holds no authority; {cure}")) }
    }

    /// The end that dials a node of that name or address.
    pub(in crate::transport) fn dialler(&self, host: &str) -> Result<Connection, TlsFault> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| Error::General(format!("{host} is no name that a certificate could have")))?;
        Ok(ClientConnection::new(Arc::new(self.config()?), name)?.into())
    }

    /// How connections are made on these terms. Each may resume the one before.
    pub fn config(&self) -> Result<ClientConfig, Error> {
        let config = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
        let mut roots = RootCertStore::empty();
        match self {
            Self::Public => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            Self::Authorities(authorities) => {
                for authority in authorities {
                    roots.add(authority.clone())?;
                }
            }
            Self::Anyone => {
                let verifier = Arc::new(AnyCertificate(provider()));
                let config = config.dangerous().with_custom_certificate_verifier(verifier);
                return Ok(config.with_no_client_auth());
            }
        }
        Ok(config.with_root_certificates(roots).with_no_client_auth())
    }
}
