//! Files that are for one user only, secrets and keys: checked on the open descriptor, read whole within a bound. What
//! the bytes mean is up to their readers.

use std::{
    env,
    ffi::OsStr,
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
};

use crate::regular_file;

/// Where systemd places the credentials of a unit, according to the environment of its processes.
const CREDENTIALS_VARIABLE: &str = "CREDENTIALS_DIRECTORY";

/// What the owner may do with a private file.
const OWNERS: u32 = 0o700;

/// What a group may additionally do with a credential. systemd places credentials with mode 0440 and an access list
/// that names the unit's user; the list's mask then stands where a group's permissions would.
const READERS: u32 = 0o040;

/// Why a file was not read.
#[derive(Debug)]
pub(crate) enum PrivateFileError {
    /// It is missing, or may not be read.
    Unreadable(io::Error),
    /// A folder, a pipe or the like.
    NotAFile,
    /// Users other than its owner may open it. These are its permissions.
    Open(u32),
    /// It is longer than such a file can be.
    TooLong,
}

impl From<regular_file::RegularFileError> for PrivateFileError {
    fn from(fault: regular_file::RegularFileError) -> Self {
        match fault {
            regular_file::RegularFileError::Unreadable(error) => Self::Unreadable(error),
            regular_file::RegularFileError::NotAFile => Self::NotAFile,
        }
    }
}

/// Reads a file that nobody but its owner may open, or one of the credentials that systemd has placed for this process,
/// which a group may read.
pub(crate) fn read(path: &Path, bytes_max: usize) -> Result<Vec<u8>, PrivateFileError> {
    let file = regular_file::open(path)?;
    let about = file.metadata().map_err(PrivateFileError::Unreadable)?;
    let mode = about.mode() & 0o777;
    let allowed = match env::var_os(CREDENTIALS_VARIABLE) {
        Some(folder) if lies_in(&about, path, &folder) => OWNERS | READERS,
        _ => OWNERS,
    };
    if mode & !allowed != 0 {
        return Err(PrivateFileError::Open(mode));
    }
    regular_file::read_within(file, bytes_max as u64)
        .map_err(PrivateFileError::Unreadable)?
        .ok_or(PrivateFileError::TooLong)
}

/// Whether an open file is directly in a folder, wherever links on the way to either lead. The path only says where to
/// look: the entry there must be the very file that is open, or links changed in the meantime would decide.
fn lies_in(open: &Metadata, path: &Path, folder: &OsStr) -> bool {
    let (Ok(file), Ok(folder)) = (fs::canonicalize(path), fs::canonicalize(folder)) else { return false };
    let is_same = |there: Metadata| (there.dev(), there.ino()) == (open.dev(), open.ino());
    file.parent() == Some(&folder) && fs::symlink_metadata(&file).is_ok_and(is_same)
}

#[cfg(test)]
mod tests {
    use std::{
        fs::OpenOptions,
        os::unix::fs::{OpenOptionsExt, symlink},
    };

    use super::*;

    #[test]
    fn a_file_lies_in_its_own_folder_only_and_by_where_links_lead() {
        let root = tempfile::tempdir().unwrap();
        let [credentials, other] = ["credentials", "other"].map(|name| root.path().join(name));
        for folder in [&credentials, &other, &credentials.join("below")] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("key"), "x").unwrap();
        }
        symlink(&credentials, root.path().join("way")).unwrap();
        symlink(credentials.join("key"), other.join("into")).unwrap();
        symlink(other.join("key"), credentials.join("out")).unwrap();
        let lies_in = |path: &str, folder: &str| {
            let (path, folder) = (root.path().join(path), root.path().join(folder));
            fs::metadata(&path).is_ok_and(|open| lies_in(&open, &path, folder.as_ref()))
        };
        for path in ["credentials/key", "way/key", "other/into", "other/../credentials/key"] {
            assert!(lies_in(path, "credentials") && lies_in(path, "way"), "{path}");
        }
        for path in ["other/key", "credentials/out", "credentials/below/key", "credentials/none"] {
            assert!(!lies_in(path, "credentials"), "{path}");
        }
        assert!(!lies_in("other/key", "") && !lies_in("other/key", "none"));
    }

    #[test]
    fn a_link_that_is_turned_after_the_opening_moves_no_file_into_the_folder() {
        let root = tempfile::tempdir().unwrap();
        let [credentials, other] = ["credentials", "other"].map(|name| root.path().join(name));
        for folder in [&credentials, &other] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("key"), "x").unwrap();
        }
        let path = root.path().join("key");
        symlink(other.join("key"), &path).unwrap();
        let open = fs::metadata(&path).unwrap();
        fs::remove_file(&path).unwrap();
        symlink(credentials.join("key"), &path).unwrap();
        assert!(!lies_in(&open, &path, credentials.as_ref()));
        assert!(lies_in(&fs::metadata(&path).unwrap(), &path, credentials.as_ref()));
    }

    #[test]
    fn what_is_read_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).unwrap();
        fs::write(&path, "12345").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        assert!(matches!(read(&path, 4), Err(PrivateFileError::TooLong)));
    }
}
