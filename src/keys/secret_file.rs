//! The secret file: read whole and checked, created once, and changed by writing another file beside it and renaming
//! that into place. What its text means is in `core::access`.

use std::{
    io::{self, Write},
    path::Path,
};

use crate::{
    core::access::{RotationFault, Secret, SecretFault},
    keys::{
        private_file::{self, PrivateFileError},
        replacement::{MODE, Replacement, ReplacementError},
    },
    whole_file::NewFile,
};

/// A file of two secrets and many comments is far shorter.
const FILE_BYTES_MAX: usize = 16 * 1024;

/// Why there is no secret, or no changed one; displays as one line.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It is missing, or may not be read.
    #[error(
        "{file}: the secret cannot be read: {error}; make one with `herd secret {file}`, or copy the other nodes' file there"
    )]
    Unreadable {
        /// Its path.
        file: String,
        /// What the system said.
        error: io::Error,
    },
    /// A folder, a pipe or the like.
    #[error("{file} is not a regular file; give secret_file the path of one that `herd secret` made")]
    NotAFile {
        /// Its path.
        file: String,
    },
    /// Users other than its owner may read or write it.
    #[error(
        "{file} is open to users other than its owner (mode {mode:03o}); run `chmod 600 {file}`, and if others may have read it, change the secret"
    )]
    Open {
        /// Its path.
        file: String,
        /// Its permissions.
        mode: u32,
    },
    /// The text is not that of a secret.
    #[error("{file} is not a complete secret file: {fault}; copy it again from where it was made")]
    Invalid {
        /// Its path.
        file: String,
        /// What is wrong.
        fault: SecretFault,
    },
    /// It is not text, or far too long.
    #[error("{file} is not a secret file, or is too long; copy it again from where it was made")]
    NotText {
        /// Its path.
        file: String,
    },
    /// A new one would replace one that exists.
    #[error(
        "{file} is there already, and its placement key would be lost; name another file, or change its secret with --add"
    )]
    Exists {
        /// Its path.
        file: String,
    },
    /// The step is not the next one.
    #[error("{file} {fault}")]
    Rotation {
        /// Its path.
        file: String,
        /// Why not.
        fault: RotationFault,
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

impl Secret {
    /// Reads a file that nobody but its owner may open.
    pub fn load(path: &Path) -> Result<Self, SecretError> {
        let file = || path.display().to_string();
        let bytes = private_file::read(path, FILE_BYTES_MAX).map_err(|fault| match fault {
            PrivateFileError::Unreadable(error) => SecretError::Unreadable { file: file(), error },
            PrivateFileError::NotAFile => SecretError::NotAFile { file: file() },
            PrivateFileError::Open(mode) => SecretError::Open { file: file(), mode },
            PrivateFileError::TooLong => SecretError::NotText { file: file() },
        })?;
        let text = String::from_utf8(bytes).map_err(|_| SecretError::NotText { file: file() })?;
        Self::parse(&text).map_err(|fault| SecretError::Invalid { file: file(), fault })
    }

    /// Writes a file that must not exist yet.
    pub fn create(&self, path: &Path) -> Result<(), SecretError> {
        let file = path.display().to_string();
        let create = || {
            let new = NewFile::create(path, MODE)?;
            new.file().write_all(self.to_text().as_bytes())?;
            new.keep()
        };
        match create() {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(SecretError::Exists { file }),
            Err(error) => Err(SecretError::Unwritable { file, error }),
        }
    }

    /// Reads a file, changes the secret, and replaces the file, completely or not at all.
    pub fn change(
        path: &Path,
        step: impl FnOnce(Self) -> Result<Self, RotationFault>,
    ) -> Result<(), SecretError> {
        let changed = step(Self::load(path)?)
            .map_err(|fault| SecretError::Rotation { file: path.display().to_string(), fault })?;
        let unwritable = |error| SecretError::Unwritable { file: path.display().to_string(), error };
        let replacement = Replacement::begin(path).map_err(|fault| match fault {
            ReplacementError::Unfinished(beside) => {
                SecretError::Unfinished { file: beside.display().to_string() }
            }
            ReplacementError::Unwritable(error) => unwritable(error),
        })?;
        replacement.put(changed.to_text().as_bytes()).map_err(unwritable)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, OpenOptions},
        os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink},
    };

    use super::*;
    use crate::{core::access::SecretKey, keys::replacement::beside};

    fn secret() -> Secret {
        Secret::new(SecretKey::of_bytes([1; 32]), [9; 16])
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn refusal(path: &Path) -> String {
        Secret::load(path).unwrap_err().to_string()
    }

    #[test]
    fn a_new_file_is_its_owners_and_never_takes_anothers_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("herd.secret");
        secret().create(&path).unwrap();
        assert_eq!((mode(&path), Secret::load(&path).unwrap()), (0o600, secret()));
        let other = Secret::new(SecretKey::of_bytes([2; 32]), [8; 16]);
        assert!(matches!(other.create(&path), Err(SecretError::Exists { .. })));
        assert_eq!(Secret::load(&path).unwrap(), secret());
    }

    #[test]
    fn a_file_that_others_may_open_is_refused_with_the_cure() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("herd.secret");
        secret().create(&path).unwrap();
        for open in [0o640, 0o604, 0o620, 0o610, 0o601, 0o644, 0o777] {
            fs::set_permissions(&path, fs::Permissions::from_mode(open)).unwrap();
            let line = refusal(&path);
            assert!(line.contains(&format!("run `chmod 600 {}`", path.display())), "{line}");
            assert!(matches!(
                Secret::change(&path, Secret::switch),
                Err(SecretError::Open { mode, .. }) if mode == open
            ));
        }
        for own in [0o600, 0o400] {
            fs::set_permissions(&path, fs::Permissions::from_mode(own)).unwrap();
            assert_eq!(Secret::load(&path).unwrap(), secret());
        }
    }

    #[test]
    fn what_is_not_a_secret_file_is_refused_in_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("herd.secret");
        assert!(refusal(&path).contains("make one with `herd secret "), "{}", refusal(&path));
        let refuse = |bytes: &[u8], word: &str| {
            let _ = fs::remove_file(&path);
            OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(MODE)
                .open(&path)
                .unwrap()
                .write_all(bytes)
                .unwrap();
            let line = refusal(&path);
            assert!(line.contains(word) && !line.contains('\n'), "{line}");
        };
        let text = secret().to_text();
        refuse(b"", "no placement key");
        refuse(&text.as_bytes()[..text.len() - 2], "line 6 does not have `secret` and 64");
        refuse(b"\xff\xfe", "is not a secret file");
        refuse(format!("{text}{}", "#\n".repeat(10_000)).as_bytes(), "too long");
        let pipe = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
        for path in [folder.path(), &pipe] {
            assert!(refusal(path).contains("not a regular file"), "{}", refusal(path));
        }
    }

    #[test]
    fn a_change_is_whole_and_keeps_mode_link_and_placement() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("herd.secret"), folder.path().join("link"));
        secret().create(&path).unwrap();
        symlink(&path, &link).unwrap();
        let new = SecretKey::of_bytes([2; 32]);
        Secret::change(&link, |secret| secret.add_second(new.clone())).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(
            (mode(&path), Secret::load(&path).unwrap()),
            (0o600, secret().add_second(new.clone()).unwrap())
        );
        Secret::change(&path, Secret::switch).unwrap();
        Secret::change(&path, Secret::drop_second).unwrap();
        assert_eq!(Secret::load(&path).unwrap(), Secret::new(new, secret().placement()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left beside it");
        let refused = Secret::change(&path, Secret::switch).unwrap_err().to_string();
        assert!(refused.ends_with("has no second secret; add one first, with --add"), "{refused}");
    }

    #[test]
    fn two_changes_do_not_overlap() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("herd.secret");
        secret().create(&path).unwrap();
        fs::write(beside(&path), "left over").unwrap();
        let add = |secret: Secret| secret.add_second(SecretKey::of_bytes([2; 32]));
        assert!(matches!(Secret::change(&path, add), Err(SecretError::Unfinished { .. })));
        assert_eq!(Secret::load(&path).unwrap(), secret());
        fs::remove_file(beside(&path)).unwrap();
        Secret::change(&path, add).unwrap();
    }
}
