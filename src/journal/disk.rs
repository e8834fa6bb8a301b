//! All that a journal asks of a file system, and the real one.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, OFlags, flock},
    io::Errno,
};

use super::names::LOCK;
use crate::regular_file::{self, RegularFileError};

/// A folder with files. What is done to it survives a power cut only as far as it was synced: a file's bytes by
/// [`DiskFile::sync`], its name, and that it is gone, by [`Disk::sync`].
pub trait Disk {
    /// An open file.
    type File: DiskFile;

    /// The names of its files, in any order.
    fn names(&self) -> io::Result<Vec<String>>;

    /// Makes a file that did not exist, to append to.
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// Opens a file, to read it from its beginning.
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// How long a file is.
    fn bytes(&self, name: &str) -> io::Result<u64>;

    /// Gives a file another name, which replaces what has that name.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Brings names to the disk.
    fn sync(&self) -> io::Result<()>;
}

/// An open file of a [`Disk`].
pub trait DiskFile {
    /// Appends some of the bytes, at least one, and returns how many.
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Brings the bytes to the disk. A file whose sync failed must not be synced again: the system may have marked as
    /// clean what it could not write, and would report success.
    fn sync(&mut self) -> io::Result<()>;

    /// Reads some bytes, none at the end.
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize>;
}

/// A real folder, for one user only.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder at that path, which is made if it is missing.
    ///
    /// # Errors
    ///
    /// If it cannot be made, or is no folder.
    pub fn at(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        // So that a folder made just now is there after a power cut, with what is in it.
        let above = path.canonicalize()?;
        above.ancestors().skip(1).take(2).try_for_each(|folder| File::open(folder)?.sync_all())?;
        Ok(Self(path.to_owned()))
    }

    /// The folder at that path, if there is one. Makes nothing.
    ///
    /// # Errors
    ///
    /// If it cannot be found out.
    pub fn existing(path: &Path) -> io::Result<Option<Self>> {
        match fs::metadata(path) {
            Ok(found) => Ok(found.is_dir().then(|| Self(path.to_owned()))),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The same as [`Folder::lock`] for those who only look, of whom there may be several: makes no file, and needs no
    /// leave to write.
    ///
    /// # Errors
    ///
    /// If the folder cannot be read.
    pub fn lock_to_look(&self) -> io::Result<LookersLock> {
        match regular_file::open(&self.path(LOCK)) {
            Ok(file) => {
                let lock = locked(file, FlockOperation::NonBlockingLockShared)?;
                Ok(lock.map_or(LookersLock::InUse, LookersLock::Locked))
            }
            Err(RegularFileError::Unreadable(error)) if error.kind() == io::ErrorKind::NotFound => {
                Ok(LookersLock::Needless)
            }
            Err(fault) => {
                let error = io::Error::from(fault);
                Err(io::Error::new(error.kind(), format!("{LOCK}: {error}")))
            }
        }
    }

    /// Keeps other processes from using it, until what is returned is dropped; `None` if one does.
    ///
    /// # Errors
    ///
    /// If the folder cannot be written to.
    pub fn lock(&self) -> io::Result<Option<FolderLock>> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            // A pipe of that name must not hold up the start.
            .custom_flags(OFlags::NONBLOCK.bits() as i32)
            .open(self.path(LOCK))?;
        locked(file, FlockOperation::NonBlockingLockExclusive)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

fn locked(file: File, operation: FlockOperation) -> io::Result<Option<FolderLock>> {
    match flock(&file, operation) {
        Ok(()) => Ok(Some(FolderLock(file))),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Of a folder; the system ends it with the process, however that ends.
#[derive(Debug)]
pub struct FolderLock(#[expect(dead_code, reason = "it is open for as long as the lock holds")] File);

/// What came of locking a folder to look at it.
#[derive(Debug)]
pub enum LookersLock {
    /// No node starts on it until this is dropped.
    Locked(FolderLock),
    /// A node uses it.
    InUse,
    /// No node has ever used it.
    Needless,
}

impl Disk for Folder {
    type File = File;

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            // What is not text was not named by a journal.
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().append(true).create_new(true).mode(0o600).open(self.path(name))
    }

    fn open(&self, name: &str) -> io::Result<File> {
        Ok(regular_file::open(&self.path(name))?)
    }

    fn bytes(&self, name: &str) -> io::Result<u64> {
        Ok(fs::metadata(self.path(name))?.len())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }
}

impl DiskFile for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        Read::read(self, into)
    }
}

/// Appends all of the bytes.
pub(super) fn append_all(file: &mut impl DiskFile, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.append(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads until the space is full or the file ends, and returns how much that was.
pub(super) fn read_full(file: &mut impl DiskFile, space: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < space.len() {
        match file.read(&mut space[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
