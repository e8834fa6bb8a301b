//! The tokens file: read whole and checked, and changed by writing another file beside it and renaming that into place. What
//! its text means is in `token_text`, what its tokens may do in `core::access`.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

use super::{
    replacement::{Replacement, ReplacementError},
    token_text::{self, TokenTextFault},
};
use crate::{
    core::access::{TokenList, TokensFault},
    keys::private_file::{self, PrivateFileError},
};

/// A hundred thousand tokens, with several patterns each, take less.
const FILE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Why there are no tokens, or no changed ones; displays as one line.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// It is missing, or may not be read.
    #[error("{file}: the tokens cannot be read: {error}; make them with `herd token add`")]
    Unreadable {
        /// Its path.
        file: String,
        /// What the system said.
        error: io::Error,
    },
    /// A folder, a pipe or the like.
    #[error("{file} is not a regular file; give tokens_file the path of one that `herd token add` made")]
    NotAFile {
        /// Its path.
        file: String,
    },
    /// Users other than its owner may read or write it.
    #[error(
        "{file} is open to users other than its owner (mode {mode:03o}); run `chmod 600 {file}`, and if others may have written to it, check what it says"
    )]
    Open {
        /// Its path.
        file: String,
        /// Its permissions.
        mode: u32,
    },
    /// The text is not that of tokens.
    #[error("{file}: {fault}")]
    Invalid {
        /// Its path.
        file: String,
        /// What is wrong.
        fault: TokenTextFault,
    },
    /// It is not text, or far too long.
    #[error(
        "{file} is not a file of tokens, or is too long; give tokens_file the path of one that `herd token add` made"
    )]
    NotText {
        /// Its path.
        file: String,
    },
    /// There is no token of that name.
    #[error("{file} has no token called {name}; `herd token list` says which it has")]
    NoSuchToken {
        /// Its path.
        file: String,
        /// The name.
        name: String,
    },
    /// A file beside it is left over, or in use.
    #[error(
        "{file} is there already, from a change that is in progress or was interrupted; if none is in progress, remove it and try again"
    )]
    Unfinished {
        /// The path of the file beside it.
        file: String,
    },
    /// The disk or the folder does not allow writing it.
    #[error("{file}: cannot be written: {error}; the file that was there, if any, is unchanged")]
    Unwritable {
        /// Its path.
        file: String,
        /// What the system said.
        error: io::Error,
    },
}

/// What tells one version of a file from another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileVersion {
    device: u64,
    inode: u64,
    bytes: u64,
    /// When its content or its permissions changed last.
    changed: (i64, i64),
}

impl FileVersion {
    /// Of the file at that path; `None` if there is none, or none that can be looked at.
    pub fn of(path: &Path) -> Option<Self> {
        let about = fs::metadata(path).ok()?;
        let changed = (about.ctime(), about.ctime_nsec());
        Some(Self { device: about.dev(), inode: about.ino(), bytes: about.len(), changed })
    }
}

/// Reads a file that nobody but its owner may open.
pub fn load_tokens(path: &Path) -> Result<TokenList, TokensError> {
    let file = || path.display().to_string();
    let bytes = private_file::read(path, FILE_BYTES_MAX).map_err(|fault| match fault {
        PrivateFileError::Unreadable(error) => TokensError::Unreadable { file: file(), error },
        PrivateFileError::NotAFile => TokensError::NotAFile { file: file() },
        PrivateFileError::Open(mode) => TokensError::Open { file: file(), mode },
        PrivateFileError::TooLong => TokensError::NotText { file: file() },
    })?;
    let text = String::from_utf8(bytes).map_err(|_| TokensError::NotText { file: file() })?;
    token_text::parse(&text).map_err(|fault| TokensError::Invalid { file: file(), fault })
}

/// Reads a file, changes its list, and replaces the file, completely or not at all. One that is not there is made, if
/// `is_made`. A change by another process in between is not lost: of two at one time, one is refused.
pub fn change_tokens(
    path: &Path,
    is_made: bool,
    step: impl FnOnce(&mut TokenList) -> Result<(), TokensError>,
) -> Result<(), TokensError> {
    let file = path.display().to_string();
    let replacement = Replacement::begin(path).map_err(|fault| match fault {
        ReplacementError::Unfinished(beside) => {
            TokensError::Unfinished { file: beside.display().to_string() }
        }
        ReplacementError::Unwritable(error) => TokensError::Unwritable { file: file.clone(), error },
    })?;
    let mut list = match load_tokens(path) {
        Err(TokensError::Unreadable { error, .. }) if is_made && error.kind() == io::ErrorKind::NotFound => {
            TokenList::default()
        }
        loaded => loaded?,
    };
    step(&mut list)?;
    let rule = |fault: TokensFault| TokensError::Invalid { file: file.clone(), fault: fault.into() };
    list.check().map_err(rule)?;
    let text = token_text::to_text(&list);
    replacement.put(text.as_bytes()).map_err(|error| TokensError::Unwritable { file, error })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::core::access::{Patterns, Token, TokenEntry, TokenRole};

    fn entry(name: &str, number: u8) -> TokenEntry {
        let hash = Token::of_bytes([number; Token::RANDOM_BYTES]).hash();
        let (may_report, may_see, groups) = (Patterns::all(), Patterns::none(), Vec::new());
        TokenEntry {
            name: name.to_owned(),
            hash,
            role: TokenRole::Client,
            may_report,
            may_see,
            groups,
            expires: None,
        }
    }

    fn add(path: &Path, name: &str, number: u8) -> Result<(), TokensError> {
        change_tokens(path, true, |list| {
            list.tokens.push(entry(name, number));
            Ok(())
        })
    }

    #[test]
    fn a_file_is_made_for_its_owner_and_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("herd.tokens");
        let none = change_tokens(&path, false, |_| Ok(()));
        assert!(matches!(none, Err(TokensError::Unreadable { .. })));
        add(&path, "kiwi", 1).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let version = FileVersion::of(&path).unwrap();
        assert_eq!(FileVersion::of(&path), Some(version));
        add(&path, "weka", 2).unwrap();
        assert_ne!(FileVersion::of(&path), Some(version));
        assert_eq!(load_tokens(&path).unwrap().tokens, [entry("kiwi", 1), entry("weka", 2)]);
        let before = fs::read(&path).unwrap();
        for refused in [add(&path, "kiwi", 3), add(&path, "kea", 1), add(&path, "a b", 3)] {
            assert!(matches!(refused, Err(TokensError::Invalid { .. })));
        }
        assert_eq!(fs::read(&path).unwrap(), before);
        let names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["herd.tokens"], "nothing is left beside it");
    }

    #[test]
    fn of_two_changes_at_one_time_one_is_refused_and_none_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("herd.tokens");
        add(&path, "kiwi", 1).unwrap();
        change_tokens(&path, false, |list| {
            assert!(matches!(add(&path, "weka", 2), Err(TokensError::Unfinished { .. })));
            list.tokens.push(entry("kea", 3));
            Ok(())
        })
        .unwrap();
        assert_eq!(load_tokens(&path).unwrap().tokens, [entry("kiwi", 1), entry("kea", 3)]);
    }

    #[test]
    fn a_file_that_others_may_open_or_that_is_none_is_refused_with_the_cure() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("herd.tokens");
        add(&path, "kiwi", 1).unwrap();
        for (mode, is_taken) in [(0o640, false), (0o604, false), (0o620, false), (0o600, true), (0o400, true)]
        {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            match load_tokens(&path) {
                Ok(_) => assert!(is_taken, "{mode:o}"),
                Err(error) => assert!(!is_taken && error.to_string().contains("run `chmod 600 "), "{error}"),
            }
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, b"\xff").unwrap();
        assert!(matches!(load_tokens(&path), Err(TokensError::NotText { .. })));
        assert!(matches!(load_tokens(folder.path()), Err(TokensError::NotAFile { .. })));
    }
}
