//! Google's key: from the environment or a file, into requests, and nowhere else.

use std::{env, fmt, io, path::Path};

use crate::keys::private_file::{self, PrivateFileError};

/// The environment variable that holds it.
pub const VARIABLE: &str = "HERD_PLACES_KEY";

const LENGTH_MAX: usize = 512;

/// A file of one key and some white space is far shorter.
const FILE_BYTES_MAX: usize = 2 * LENGTH_MAX;

/// A key. Its `Debug` form shows only that there is one.
#[derive(Clone)]
pub struct ApiKey(String);

/// Why there is no key; displays as one line, which never holds a key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Neither place has one.
    #[error(
        "Google needs a key: set {VARIABLE}, or write the key to a file and set key_file in [places] to its path"
    )]
    Missing,
    /// The file is missing, or may not be read.
    #[error(
        "{file}: Google's key cannot be read: {error}; give key_file in [places] the path of a file with it, or set {VARIABLE}"
    )]
    Unreadable {
        /// Its path.
        file: String,
        /// What the system said.
        error: io::Error,
    },
    /// A folder, a pipe or the like.
    #[error(
        "{file} is not a regular file; give key_file in [places] the path of a file with Google's key, or set {VARIABLE}"
    )]
    NotAFile {
        /// Its path.
        file: String,
    },
    /// Users other than its owner may read or write it.
    #[error(
        "{file} is open to users other than its owner (mode {mode:03o}); run `chmod 600 {file}`, and if others may have read it, have Google issue another key"
    )]
    Open {
        /// Its path.
        file: String,
        /// Its permissions.
        mode: u32,
    },
    /// Something other than a key.
    #[error(
        "{place} does not hold a Google key: that is one word of at most {LENGTH_MAX} letters, digits and punctuation marks; copy it again"
    )]
    Invalid {
        /// Where it should be.
        place: String,
    },
}

impl ApiKey {
    /// The key from the environment, or from the file.
    pub fn find(file: Option<&Path>) -> Result<Self, KeyError> {
        match (env::var_os(VARIABLE).filter(|value| !value.is_empty()), file) {
            (Some(value), _) => {
                let text = value.into_string().unwrap_or_default();
                Self::parse(&text).ok_or_else(|| KeyError::Invalid { place: VARIABLE.to_owned() })
            }
            (None, Some(path)) => Self::load(path),
            (None, None) => Err(KeyError::Missing),
        }
    }

    /// Reads a file that nobody but its owner may open.
    fn load(path: &Path) -> Result<Self, KeyError> {
        let file = || path.display().to_string();
        let invalid = || KeyError::Invalid { place: file() };
        let bytes = private_file::read(path, FILE_BYTES_MAX).map_err(|fault| match fault {
            PrivateFileError::Unreadable(error) => KeyError::Unreadable { file: file(), error },
            PrivateFileError::NotAFile => KeyError::NotAFile { file: file() },
            PrivateFileError::Open(mode) => KeyError::Open { file: file(), mode },
            PrivateFileError::TooLong => invalid(),
        })?;
        str::from_utf8(&bytes).ok().and_then(Self::parse).ok_or_else(invalid)
    }

    fn parse(text: &str) -> Option<Self> {
        let word = text.trim();
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
        let is_key = !word.is_empty() && word.len() <= LENGTH_MAX && word.bytes().all(is_plain);
        is_key.then(|| Self(word.to_owned()))
    }

    /// The key itself, for a request. Needs no escape in a URL.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }

    /// A text from the upstream without the key, in case it contains it.
    pub(super) fn scrub(&self, text: &str) -> String {
        text.replace(&self.0, "[key]")
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey")
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::{
        fs::{self, OpenOptions, Permissions},
        os::unix::fs::{OpenOptionsExt, PermissionsExt},
    };

    use super::*;

    /// A key for the tests of others.
    pub(in crate::places) fn key(text: &str) -> ApiKey {
        ApiKey::parse(text).unwrap()
    }

    #[test]
    fn a_key_is_one_plain_word() {
        assert_eq!(ApiKey::parse("AIza-x_9.~\n").unwrap().expose(), "AIza-x_9.~");
        for text in ["", " \n", "two words", "a&b", "a\u{e9}", "a\nb"] {
            assert!(ApiKey::parse(text).is_none(), "{text:?}");
        }
        assert!(ApiKey::parse(&"x".repeat(LENGTH_MAX)).is_some());
        assert!(ApiKey::parse(&"x".repeat(LENGTH_MAX + 1)).is_none());
    }

    #[test]
    fn what_shows_a_key_does_not_show_it() {
        let key = ApiKey::parse("distinctive").unwrap();
        assert_eq!(format!("{key:?}"), "ApiKey");
        assert_eq!(key.scrub("The key distinctive is invalid"), "The key [key] is invalid");
    }

    #[test]
    fn a_file_without_a_key_is_told_in_one_line_that_does_not_show_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("places.key");
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).unwrap();
        for text in [&b"not one word"[..], b"not\xff", &[b'x'; 10_000]] {
            fs::write(&path, text).unwrap();
            let error = ApiKey::load(&path).unwrap_err().to_string();
            assert!(
                error.contains("places.key does not hold a Google key") && !error.contains("not one"),
                "{error}"
            );
        }
        fs::write(&path, "  AIzaX\r\n").unwrap();
        assert_eq!(ApiKey::load(&path).unwrap().expose(), "AIzaX");
        assert!(
            ApiKey::load(&folder.path().join("none")).unwrap_err().to_string().contains("cannot be read")
        );
    }

    #[test]
    fn a_key_that_others_may_open_is_refused_with_the_cure() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("places.key");
        fs::write(&path, "AIzaX").unwrap();
        for open in [0o666, 0o644, 0o640, 0o620, 0o602, 0o601] {
            fs::set_permissions(&path, Permissions::from_mode(open)).unwrap();
            let error = ApiKey::load(&path).unwrap_err().to_string();
            assert!(
                error.contains(&format!("(mode {open:o}); run `chmod 600 {}`", path.display())),
                "{error}"
            );
            assert!(!error.contains("AIza") && !error.contains('\n'), "{error}");
        }
        for own in [0o600, 0o400] {
            fs::set_permissions(&path, Permissions::from_mode(own)).unwrap();
            assert_eq!(ApiKey::load(&path).unwrap().expose(), "AIzaX");
        }
    }

    #[test]
    fn what_is_no_file_is_refused_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
        for path in [folder.path(), &pipe] {
            let error = ApiKey::load(path).unwrap_err().to_string();
            assert!(error.contains("is not a regular file"), "{error}");
        }
    }
}
