//! The certificate that a node shows to clients, and its key, as two PEM files: read together, found to belong together,
//! and asked when their time is over. Who vouches for the certificate is its readers' business.

use std::{io, path::Path, sync::Arc};

use rustls::{
    Error, InconsistentKeys,
    crypto::ring,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    sign::CertifiedKey,
};
use zeroize::Zeroizing;

use super::{
    expiry::expiry,
    private_file::{self, PrivateFileError},
};
use crate::{core::model::Timestamp, regular_file};

/// A chain has a few KiB.
const FILE_BYTES_MAX: usize = 1024 * 1024;

/// A certificate and its key.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// What TLS shows and signs with.
    pub shown: Arc<CertifiedKey>,
    /// When its time is over.
    pub expires: Timestamp,
}

/// Why a certificate cannot be used; displays as one line.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the texts say what each field is")]
pub enum CertificateError {
    #[error(
        "{file}: the {what} cannot be read: {error}; name another in [tls], or make one with `herd cert`"
    )]
    Unreadable { file: String, what: &'static str, error: io::Error },
    #[error("{file} is not a regular file; name a PEM file in [tls]")]
    NotAFile { file: String },
    #[error(
        "{file} is open to users other than its owner (mode {mode:03o}); run `chmod 600 {file}`, and if others may have read it, make a new key"
    )]
    Open { file: String, mode: u32 },
    #[error("{file} is too long to hold a {what}; name another in [tls]")]
    TooLong { file: String, what: &'static str },
    #[error("{file} holds no whole {what} in PEM form; copy it again, or name another in [tls]")]
    NoPem { file: String, what: &'static str },
    #[error("{key} is not the key of {certificate}; put the two there that belong together")]
    Mismatch { certificate: String, key: String },
    #[error("{certificate} and {key} cannot be used: {error}; make others")]
    Unusable { certificate: String, key: String, error: Box<Error> },
}

const CERTIFICATE: &str = "certificate";
const KEY: &str = "key";

impl Certificate {
    /// Reads both files. The key's may be opened by its owner only.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, CertificateError> {
        let file = |path: &Path| path.display().to_string();
        let chain = chain(certificate)?;
        let pem = private_file::read(key, FILE_BYTES_MAX).map_err(|fault| match fault {
            PrivateFileError::Unreadable(error) => {
                CertificateError::Unreadable { file: file(key), what: KEY, error }
            }
            PrivateFileError::NotAFile => CertificateError::NotAFile { file: file(key) },
            PrivateFileError::Open(mode) => CertificateError::Open { file: file(key), mode },
            PrivateFileError::TooLong => CertificateError::TooLong { file: file(key), what: KEY },
        })?;
        let pem = Zeroizing::new(pem);
        let no_key = |_: pem::Error| CertificateError::NoPem { file: file(key), what: KEY };
        let private = PrivateKeyDer::from_pem_slice(&pem).map_err(no_key)?;
        let expires = expiry(&chain[0]);
        let shown = CertifiedKey::from_der(chain, private, &ring::default_provider());
        let (certificate, key) = (file(certificate), file(key));
        match (shown, expires) {
            (Ok(shown), Some(expires)) => Ok(Self { shown: Arc::new(shown), expires }),
            (Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)), _) => {
                Err(CertificateError::Mismatch { certificate, key })
            }
            (Err(error), _) => Err(CertificateError::Unusable { certificate, key, error: Box::new(error) }),
            (Ok(_), None) => Err(CertificateError::NoPem { file: certificate, what: CERTIFICATE }),
        }
    }
}

/// The certificates of a file, the shown one first; at least one.
fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let file = || path.display().to_string();
    let pem = match regular_file::read(path, FILE_BYTES_MAX as u64) {
        Ok(Some(pem)) => pem,
        Ok(None) => return Err(CertificateError::TooLong { file: file(), what: CERTIFICATE }),
        Err(error) => return Err(CertificateError::Unreadable { file: file(), what: CERTIFICATE, error }),
    };
    // A file that is still being written ends within a section.
    let chain = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    chain.ok_or_else(|| CertificateError::NoPem { file: file(), what: CERTIFICATE })
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};
    use tempfile::TempDir;

    use super::*;

    struct Pair {
        folder: TempDir,
    }

    impl Pair {
        fn new() -> Self {
            let pair = Self { folder: tempfile::tempdir().unwrap() };
            let (certificate, key) = Self::made();
            pair.write(&certificate, &key);
            pair
        }

        fn made() -> (String, String) {
            let mut params = CertificateParams::new(vec!["alford.example".to_owned()]).unwrap();
            params.not_after = date_time_ymd(2031, 5, 6);
            let key = KeyPair::generate().unwrap();
            (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
        }

        fn write(&self, certificate: &str, key: &str) {
            fs::write(self.certificate(), certificate).unwrap();
            fs::write(self.key(), key).unwrap();
            fs::set_permissions(self.key(), fs::Permissions::from_mode(0o600)).unwrap();
        }

        fn certificate(&self) -> PathBuf {
            self.folder.path().join("node.pem")
        }

        fn key(&self) -> PathBuf {
            self.folder.path().join("node.key")
        }

        fn load(&self) -> Result<Certificate, CertificateError> {
            Certificate::load(&self.certificate(), &self.key())
        }

        #[track_caller]
        fn expect_refused(&self, word: &str) {
            let said = self.load().unwrap_err().to_string();
            assert!(said.contains(word) && said.lines().count() == 1 && said.contains("; "), "{said}");
        }
    }

    #[test]
    fn pair_is_read_with_its_end() {
        let pair = Pair::new();
        let loaded = pair.load().unwrap();
        assert_eq!((loaded.expires, loaded.shown.cert.len()), (Timestamp::new(1_935_792_000, 0), 1));
        // Those in between, and words around them.
        let text = fs::read_to_string(pair.certificate()).unwrap();
        fs::write(pair.certificate(), format!("ours\n{text}theirs\n{}", Pair::made().0)).unwrap();
        assert_eq!(pair.load().unwrap().shown.cert.len(), 2);
    }

    #[test]
    fn what_does_not_belong_together_or_is_not_whole_is_refused_with_the_cure() {
        let pair = Pair::new();
        let (certificate, key) = Pair::made();
        let other = fs::read_to_string(pair.key()).unwrap();
        pair.write(&certificate, &other);
        pair.expect_refused("is not the key of");
        for part in [0, 10, certificate.len() / 2, certificate.len() - 5] {
            pair.write(&certificate[..part], &key);
            pair.expect_refused("holds no whole certificate");
            pair.write(&certificate, &key[..part.min(key.len() - 5)]);
            pair.expect_refused("holds no whole key");
        }
        pair.write(&certificate, &"x".repeat(FILE_BYTES_MAX + 1));
        pair.expect_refused("too long to hold a key");
        pair.write(&key, &key);
        pair.expect_refused("holds no whole certificate");
        pair.write("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &key);
        pair.expect_refused("cannot be used");
        pair.write(&certificate, &key);
        pair.load().unwrap();
        fs::set_permissions(pair.key(), fs::Permissions::from_mode(0o640)).unwrap();
        pair.expect_refused("run `chmod 600 ");
        fs::remove_file(pair.key()).unwrap();
        pair.expect_refused("the key cannot be read");
        fs::remove_file(pair.certificate()).unwrap();
        pair.expect_refused("the certificate cannot be read");
    }
}
