//! Secrets, keys and certificates as files: who may read them, and how one is made and changed.

mod certificate;
mod expiry;
pub mod private_file;
mod secret_file;

pub use self::{
    certificate::{Certificate, CertificateError},
    secret_file::SecretError,
};
