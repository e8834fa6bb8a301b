//! Secrets, tokens, keys and certificates as files: who may read them, and how one is made and changed.

mod certificate;
mod expiry;
pub mod private_file;
mod replacement;
mod secret_file;
mod shown_token;
mod token_file;
mod token_text;

pub use self::{
    certificate::{Certificate, CertificateError},
    secret_file::SecretError,
    shown_token::{ShownTokenError, TokenOut, load_token},
    token_file::{FileVersion, TokensError, change_tokens, load_tokens},
    token_text::{TokenTextFault, parse as parse_tokens, to_text as tokens_text},
};
