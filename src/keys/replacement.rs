//! How a private file is changed: written beside its place, completely, and renamed into it. Of two changes at one time, one
//! is refused.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{MetadataExt, fchown},
    path::{Path, PathBuf},
};

use crate::whole_file::{Existing, NewFile};

/// The owner may read and write; nobody else may do anything.
pub(super) const MODE: u32 = 0o600;

/// What is to take the place of a file, or to be the first there. Dropping it changes nothing.
pub(super) struct Replacement {
    new: NewFile,
    place: PathBuf,
    /// Whose the file is that is there.
    owner: Option<(u32, u32)>,
}

/// Why a change did not begin.
pub(super) enum ReplacementError {
    /// This file beside it is left over, or in use.
    Unfinished(PathBuf),
    /// The disk or the folder does not allow it.
    Unwritable(io::Error),
}

impl Replacement {
    /// Begins a change. Nobody else can until it has ended.
    pub(super) fn begin(path: &Path) -> Result<Self, ReplacementError> {
        let unwritable = ReplacementError::Unwritable;
        // If the path is a link, its target is changed.
        let (place, owner) = match fs::canonicalize(path) {
            Ok(place) => {
                let about = fs::metadata(&place).map_err(unwritable)?;
                (place, Some((about.uid(), about.gid())))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => (path.to_owned(), None),
            Err(error) => return Err(unwritable(error)),
        };
        let beside = beside(&place);
        let new = NewFile::create(&beside, MODE).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => ReplacementError::Unfinished(beside),
            _ => unwritable(error),
        })?;
        Ok(Self { new, place, owner })
    }

    /// Puts this text in its place.
    pub(super) fn put(self, text: &[u8]) -> io::Result<()> {
        let Self { new, place, owner } = self;
        let about = new.file().metadata()?;
        if let Some((user, group)) = owner
            && (about.uid(), about.gid()) != (user, group)
        {
            fchown(new.file(), Some(user), Some(group))?;
        }
        new.file().write_all(text)?;
        new.file().sync_all()?;
        let existing = if owner.is_some() { Existing::Replaced } else { Existing::Kept };
        // At worst a loss of power undoes the change, and the previous file is back, complete.
        new.put(&place, existing).map(drop)
    }
}

/// Where the changed file is written first.
pub(super) fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}
