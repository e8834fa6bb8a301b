//! A token's own file, for its holder: what programs read it from, so that it stands in no argument and no environment.

use std::{io, path::Path};

use zeroize::Zeroizing;

use super::replacement::{Replacement, ReplacementError};
use crate::{
    core::access::Token,
    keys::private_file::{self, PrivateFileError},
};

/// A token and what may stand around it is far shorter.
const FILE_BYTES_MAX: usize = 1024;

/// Why there is no token; displays as one line, which shows nothing of the file's content.
#[derive(Debug, thiserror::Error)]
pub enum ShownTokenError {
    /// It is missing, or may not be read.
    #[error("{file}: the token cannot be read: {error}; `herd token add NAME --to {file}` makes one")]
    Unreadable {
        /// Its path.
        file: String,
        /// What the system said.
        error: io::Error,
    },
    /// Users other than its owner may read it.
    #[error(
        "{file} is open to users other than its owner (mode {mode:03o}); run `chmod 600 {file}`, and if others may have read it, run `herd token rotate`"
    )]
    Open {
        /// Its path.
        file: String,
        /// Its permissions.
        mode: u32,
    },
    /// It holds something else.
    #[error(
        "{file} does not hold a token, `herd_` and 40 hexadecimal digits, and nothing else; copy it again from where it was made"
    )]
    NoToken {
        /// Its path.
        file: String,
    },
    /// A new token would replace something else.
    #[error("{file} is there already; name another file, or remove it")]
    Exists {
        /// Its path.
        file: String,
    },
    /// The disk or the folder does not allow writing it.
    #[error("{file}: the token cannot be written there: {error}; name a file elsewhere")]
    Unwritable {
        /// Its path.
        file: String,
        /// What the system said.
        error: io::Error,
    },
}

/// Reads the token of a file that nobody but its owner may open.
pub fn load_token(path: &Path) -> Result<Token, ShownTokenError> {
    let file = || path.display().to_string();
    let bytes = private_file::read(path, FILE_BYTES_MAX).map_err(|fault| match fault {
        PrivateFileError::Unreadable(error) => ShownTokenError::Unreadable { file: file(), error },
        PrivateFileError::Open(mode) => ShownTokenError::Open { file: file(), mode },
        PrivateFileError::NotAFile | PrivateFileError::TooLong => ShownTokenError::NoToken { file: file() },
    })?;
    let bytes = Zeroizing::new(bytes);
    Token::parse(bytes.trim_ascii()).ok_or_else(|| ShownTokenError::NoToken { file: file() })
}

/// A file for a token that is not in force yet. Dropping it leaves what was there.
pub struct TokenOut {
    replacement: Replacement,
    file: String,
}

impl TokenOut {
    /// Begins to write it. Something that is there already stays unless it is replaced, which only a token may be.
    pub fn begin(path: &Path, replaces_token: bool) -> Result<Self, ShownTokenError> {
        let file = path.display().to_string();
        let is_replaced = replaces_token && load_token(path).is_ok();
        if path.symlink_metadata().is_ok() && !is_replaced {
            return Err(ShownTokenError::Exists { file });
        }
        let replacement = Replacement::begin(path).map_err(|fault| match fault {
            ReplacementError::Unfinished(beside) => {
                ShownTokenError::Exists { file: beside.display().to_string() }
            }
            ReplacementError::Unwritable(error) => ShownTokenError::Unwritable { file: file.clone(), error },
        })?;
        Ok(Self { replacement, file })
    }

    /// Writes the token, which is in force by now.
    pub fn put(self, token: &Token) -> Result<(), ShownTokenError> {
        let Self { replacement, file } = self;
        let text = Zeroizing::new(format!("{}\n", token.text()));
        replacement.put(text.as_bytes()).map_err(|error| ShownTokenError::Unwritable { file, error })
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn token_is_written_for_its_owner_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kiwi.token");
        let [first, second] = [1, 2].map(|byte| Token::of_bytes([byte; Token::RANDOM_BYTES]));
        drop(TokenOut::begin(&path, false).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        TokenOut::begin(&path, false).unwrap().put(&first).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(load_token(&path).unwrap(), first);
        assert!(matches!(TokenOut::begin(&path, false), Err(ShownTokenError::Exists { .. })));
        TokenOut::begin(&path, true).unwrap().put(&second).unwrap();
        assert_eq!(load_token(&path).unwrap(), second);
        // What is not a token's is not replaced by one.
        let other = folder.path().join("other");
        fs::write(&other, "x").unwrap();
        assert!(matches!(TokenOut::begin(&other, true), Err(ShownTokenError::Exists { .. })));
    }

    #[test]
    fn what_is_no_token_or_open_to_others_is_refused_and_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kiwi.token");
        assert!(matches!(load_token(&path), Err(ShownTokenError::Unreadable { .. })));
        let token = Token::of_bytes([1; Token::RANDOM_BYTES]);
        for (text, mode, word) in [
            (format!("{} x", token.text()), 0o600, "does not hold a token"),
            ("x".repeat(2000), 0o600, "does not hold a token"),
            (token.text().to_owned(), 0o640, "run `chmod 600 "),
        ] {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let line = load_token(&path).unwrap_err().to_string();
            assert!(line.contains(word) && !line.contains(token.text()) && !line.contains('\n'), "{line}");
        }
    }
}
