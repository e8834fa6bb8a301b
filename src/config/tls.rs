//! What nodes show to clients that speak TLS. Whether peers do is said in `[herd]`; they need no certificate.

use std::{path::PathBuf, time::Duration};

use super::settings::table;

/// What stands for a node's id in the names of files.
const NODE: &str = "{node}";

table! {
    /// The table `[tls]`.
    #[derive(Clone, PartialEq, Eq, Debug)]
    pub struct TlsConfig fills "tls" {
        /// The certificate that clients are shown, and those between it and its authority, as a PEM file. `{node}` in the path
        /// stands for a node's id. A node that has `tls_listen` needs it, and so does one with `http` if `[http] tls` is true.
        certificate_file: Option<PathBuf> = "certificate_file", Path {};
        /// The certificate's key, as a PEM file that nobody but its owner may open. `{node}` in the path stands for a node's id.
        key_file: Option<PathBuf> = "key_file", Path {};
        /// How often a node looks whether the two files have changed. SIGHUP makes it look at once.
        watch_time: Duration = "watch_seconds", Seconds { default: 10.0, min: 0.05, max: 3_600.0 }, "from one look at the files to the next";
    }
}

/// Where one node's certificate and its key are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CertificateFiles {
    /// The certificate's.
    pub certificate: PathBuf,
    /// The key's.
    pub key: PathBuf,
}

impl TlsConfig {
    /// The files of the node of that id; `None` if none are named.
    pub fn files(&self, id: &str) -> Option<CertificateFiles> {
        // A path that is not text came from nowhere: configurations are text.
        let own = |path: &PathBuf| PathBuf::from(path.to_string_lossy().replace(NODE, id));
        let (certificate, key) = (self.certificate_file.as_ref()?, self.key_file.as_ref()?);
        Some(CertificateFiles { certificate: own(certificate), key: own(key) })
    }

    /// The paths in it.
    pub(super) fn paths_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        [&mut self.certificate_file, &mut self.key_file].into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_a_nodes_own_where_their_names_say_so() {
        let config = TlsConfig {
            certificate_file: Some("/etc/tls/{node}.pem".into()),
            key_file: Some("/etc/tls/all.key".into()),
            ..TlsConfig::default()
        };
        let files =
            CertificateFiles { certificate: "/etc/tls/Alford.pem".into(), key: "/etc/tls/all.key".into() };
        assert_eq!(config.files("Alford"), Some(files));
        assert_eq!(TlsConfig::default().files("Alford"), None);
    }
}
