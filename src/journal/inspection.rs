//! Looks at a journal and changes nothing in it: what a start would find, told by the start's own recovery, which is
//! given a disk that takes no change.

use std::io;

use super::{
    disk::{Disk, DiskFile, read_full},
    header::{BEGINNING_BYTES_MAX, FileHeader, Owner},
    names::{FileId, FileKind, is_of_a_journal, is_set_aside},
    recovery::{BytesRead, Recovered, RecoveryError, recover},
};
use crate::core::wire::WATERMARK;

/// What is in a folder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Inspection {
    /// Whose journal it is; unknown if no file says so.
    pub owner: Option<Owner>,
    /// How many snapshots there are.
    pub snapshots: usize,
    /// How many segments there are.
    pub segments: usize,
    /// How many records a start would read.
    pub records: u64,
    /// What else it would find.
    pub found: Recovered,
}

impl Inspection {
    /// Whether nothing is missing of what had been on the disk, and nothing damaged is kept aside.
    pub fn is_whole(&self) -> bool {
        self.found.damage.is_empty() && self.found.set_aside.is_empty()
    }

    /// Whether nothing is in it yet.
    pub fn is_empty(&self) -> bool {
        self.snapshots + self.segments + self.found.set_aside.len() == 0
    }
}

/// Whether it is a journal's folder, though nothing may be in it yet.
///
/// # Errors
///
/// If it cannot be read.
pub fn is_journal<D: Disk>(disk: &D) -> io::Result<bool> {
    Ok(disk.names()?.iter().any(|name| is_of_a_journal(name)))
}

/// Reads a journal, whoever it belongs to. `tell` is told how far it is, as by [`recover`].
///
/// # Errors
///
/// If its files are of several owners, of a newer format, or cannot be read.
pub fn inspect<D: Disk>(disk: &D, tell: impl FnMut(BytesRead)) -> Result<Inspection, RecoveryError> {
    let disk = Untouched(disk);
    let of_folder = |source| RecoveryError::Disk { file: "the journal's folder".to_owned(), source };
    let ids: Vec<_> =
        disk.names().map_err(of_folder)?.iter().filter_map(|name| FileId::of_name(name)).collect();
    let owner = ids.iter().find_map(|id| owner_of(&disk, *id).transpose()).transpose()?;
    // If no file has a header, none is compared with this.
    let nobody = Owner { herd: String::new(), node: String::new(), placement: 0 };
    let mut records = 0;
    let is_record = |line: &&[u8]| !line.starts_with(WATERMARK);
    let count = |lines: &[u8]| {
        records += lines.split_inclusive(|byte| *byte == b'\n').filter(is_record).count() as u64;
    };
    let found = recover(&disk, (owner.as_ref().unwrap_or(&nobody), 0), count, tell)?;
    let of_kind = |kind| ids.iter().filter(|id| id.kind == kind).count();
    let (snapshots, segments) = (of_kind(FileKind::Snapshot), of_kind(FileKind::Segment));
    Ok(Inspection { owner, snapshots, segments, records, found })
}

/// What became of damaged files that were kept aside.
#[derive(Debug, Default)]
pub struct Dismissed {
    /// The names of those that are gone.
    pub removed: Vec<String>,
    /// Those that are still there, and why.
    pub failed: Vec<(String, io::Error)>,
    /// Why a power cut may bring back those that are gone, if it may.
    pub unsynced: Option<io::Error>,
}

/// Removes the damaged files that are kept aside, all that can be removed. A node that runs does not use them.
///
/// # Errors
///
/// If the folder cannot be read.
pub fn dismiss<D: Disk>(disk: &D) -> io::Result<Dismissed> {
    let mut names = disk.names()?;
    names.retain(|name| is_set_aside(name));
    names.sort_unstable();
    let mut dismissed = Dismissed::default();
    for name in names {
        match disk.remove(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => dismissed.failed.push((name, error)),
            // Somebody else may have removed it meanwhile.
            Ok(()) | Err(_) => dismissed.removed.push(name),
        }
    }
    if !dismissed.removed.is_empty() {
        dismissed.unsynced = disk.sync().err();
    }
    Ok(dismissed)
}

/// Whose a file says it is, if it says so.
fn owner_of<D: Disk>(disk: &D, id: FileId) -> Result<Option<Owner>, RecoveryError> {
    let unreadable = |source| RecoveryError::Disk { file: id.name(), source };
    let mut file = disk.open(&id.name()).map_err(unreadable)?;
    let mut window = vec![0; BEGINNING_BYTES_MAX];
    let read = read_full(&mut file, &mut window).map_err(unreadable)?;
    let header = FileHeader::parse(&window[..read]).ok().filter(|(header, _)| header.id == id);
    Ok(header.map(|(header, _)| header.owner))
}

/// A disk as it is, whatever is asked of it.
struct Untouched<'d, D>(&'d D);

struct UntouchedFile<F>(F);

impl<D: Disk> Disk for Untouched<'_, D> {
    type File = UntouchedFile<D::File>;

    fn names(&self) -> io::Result<Vec<String>> {
        self.0.names()
    }

    fn create(&self, _: &str) -> io::Result<Self::File> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn open(&self, name: &str) -> io::Result<Self::File> {
        self.0.open(name).map(UntouchedFile)
    }

    fn bytes(&self, name: &str) -> io::Result<u64> {
        self.0.bytes(name)
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    /// A start removes what was not finished, and goes on.
    fn remove(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

impl<F: DiskFile> DiskFile for UntouchedFile<F> {
    fn append(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}
