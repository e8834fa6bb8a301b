//! Secrets and keys as files: who may read them, and how one is made and changed.

pub mod private_file;
mod secret_file;

pub use self::secret_file::SecretError;
