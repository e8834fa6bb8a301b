//! Reads a journal: the newest snapshot that is whole, and every segment since. A file of somebody else's stops it
//! before anything is read. What cannot be read is told: what had been on the disk is damaged, what may never have been
//! there is torn. A power cut tears what was not synced, in any order, so good frames after a hole say nothing of the hole
//! by being there; but each says how much of its file was synced before it. What is read beyond that is good, and may be in
//! the system's memory only (`unsynced`).

use std::{collections::BTreeMap, fmt, io};

use thiserror::Error;

use super::{
    disk::{Disk, read_full},
    frame::{FrameKind, Frames, Piece},
    header::{BEGINNING_BYTES_MAX, Before, FileHeader, HeaderFault, Owner},
    lines::has_forgetting,
    names::{FileId, FileKind, is_partial, is_set_aside},
    unsynced::{UnsyncedFrames, UnsyncedLines},
};
use crate::text::size;

/// Why a journal cannot be used.
#[derive(Debug, Error)]
pub enum RecoveryError {
    /// It is another node's.
    #[error("{file} is of node {} of herd {}; give each node a folder of its own", .owner.node, .owner.herd)]
    Foreign {
        /// Which file says so.
        file: String,
        /// Whose it is.
        owner: Owner,
    },
    /// It is this node's, and was written under another secret.
    #[error(
        "{file} was written under another placement key, of another secret file or of none; restore that one, or move the folder away"
    )]
    OtherPlacement {
        /// Which file says so.
        file: String,
    },
    /// It was written by a newer version.
    #[error("{file} has format {format}, of a newer version; run that version, or move the folder away")]
    Newer {
        /// Which file says so.
        file: String,
        /// The format.
        format: u32,
    },
    /// The disk cannot be read.
    #[error("cannot read {file}: {source}")]
    Disk {
        /// Which file; the folder for its list of files.
        file: String,
        /// Why not.
        source: io::Error,
    },
}

/// Bytes that had been on the disk and are unreadable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damage {
    /// In which file.
    pub file: String,
    /// Where they begin.
    pub at: u64,
    /// How many; unknown where the file ends too early.
    pub bytes: Option<u64>,
    /// Whether the whole file is gone.
    pub is_missing: bool,
}

/// Displays as `FILE lacks 64 bytes from 4096 on`, or `FILE is missing`.
impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, at, bytes, is_missing } = self;
        match bytes {
            _ if *is_missing => write!(f, "{file} is missing"),
            Some(bytes) => write!(f, "{file} lacks {bytes} bytes from {at} on"),
            None => write!(f, "{file} lacks all from byte {at} on"),
        }
    }
}

/// What was found.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Recovered {
    /// Files that were read.
    pub files: usize,
    /// Bytes of lines that were read.
    pub bytes: u64,
    /// Bytes that had not been on the disk as a whole when the node ended.
    pub torn: u64,
    /// What is missing.
    pub damage: Vec<Damage>,
    /// Files that were damaged at an earlier start, and are kept for whoever wants to look at them.
    pub set_aside: Vec<String>,
    /// Bytes of snapshots.
    pub snapshot_bytes: u64,
    /// Bytes of frames in segments.
    pub segment_bytes: u64,
    /// Whether segments tell that clients were forgotten, or what is old, of which files may have more than that.
    pub(super) has_forgettings: bool,
    /// What may be in the system's memory only.
    pub(super) unsynced: UnsyncedLines,
    /// The number of the next file, and the segment before it.
    next: u64,
    before: Before,
}

impl Recovered {
    /// Where a writer goes on.
    pub(super) fn end(&self) -> (u64, Before) {
        (self.next, self.before)
    }
}

/// How far a recovery is, in bytes of files. Displays as `3.1 GB of 8.0 GB`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct BytesRead {
    /// What has been read.
    pub read: u64,
    /// What is to be read in all; more once a snapshot turns out to be damaged.
    pub of: u64,
}

impl fmt::Display for BytesRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", size(self.read), size(self.of))
    }
}

/// What gets the lines, and who is told how far it is.
struct Intake<T, P> {
    take: T,
    tell: P,
    /// How much is remembered of what may be in the system's memory only, in bytes.
    room: usize,
    bytes: BytesRead,
}

impl<T, P: FnMut(BytesRead)> Intake<T, P> {
    fn read_until(&mut self, read: u64) {
        self.bytes.read = read;
        (self.tell)(self.bytes);
    }

    /// These are still to be read, from that number on.
    fn expect(&mut self, files: &BTreeMap<FileId, Known>, from: u64) {
        let needed = files.iter().filter(|(id, _)| id.number >= from).map(|(_, known)| known.bytes);
        self.bytes.of = self.bytes.read + needed.sum::<u64>();
        (self.tell)(self.bytes);
    }
}

/// A file whose header has been read.
struct Known {
    /// How long it is.
    bytes: u64,
    /// Where its frames begin.
    begin: usize,
    header: FileHeader,
}

/// How a file was found.
struct FileFound {
    /// Where its last good frame ends.
    good_until: u64,
    /// How much of it had been on the disk, at least, as its frames tell.
    synced: u64,
    holes: Vec<Hole>,
    /// Whether it has everything up to the end of a snapshot.
    is_whole: bool,
}

/// Bytes of a file that are no frame: between good frames, or behind the last.
struct Hole {
    at: u64,
    bytes: u64,
}

impl Hole {
    fn damage(&self, id: FileId) -> Damage {
        Damage { file: id.name(), at: self.at, bytes: Some(self.bytes), is_missing: false }
    }
}

/// Reads the journal of that owner. `take` gets its lines, many at a time, in no particular order. `tell` is told how far
/// it is, at the beginning and after each frame: once a second is enough to pass on. Of what may be in the system's memory
/// only, so many bytes as `room` are remembered for the writer that goes on.
///
/// # Errors
///
/// If a file is another node's, of a newer format, or cannot be read.
pub fn recover<D: Disk>(
    disk: &D,
    (owner, room): (&Owner, usize),
    take: impl FnMut(&[u8]),
    tell: impl FnMut(BytesRead),
) -> Result<Recovered, RecoveryError> {
    let of_folder = |source| RecoveryError::Disk { file: "the journal's folder".to_owned(), source };
    let names = disk.names().map_err(of_folder)?;
    let set_aside = names.iter().filter(|name| is_set_aside(name)).cloned().collect();
    let mut found = Recovered { set_aside, ..Recovered::default() };
    let (mut files, mut headless) = (BTreeMap::new(), BTreeMap::new());
    for id in names.iter().filter_map(|name| FileId::of_name(name)) {
        found.next = found.next.max(id.number + 1);
        match open(disk, id, owner)? {
            Ok(known) => drop(files.insert(id, known)),
            Err(bytes) => drop(headless.insert(id, bytes)),
        }
    }
    found.next = found.next.max(1);
    // Only now is it certain that the folder is this node's.
    for name in names.iter().filter(|name| is_partial(name)) {
        disk.remove(name).map_err(|source| RecoveryError::Disk { file: name.clone(), source })?;
    }

    let mut intake = Intake { take, tell, room, bytes: BytesRead::default() };
    let mut replaced = 0;
    let snapshots: Vec<_> = files.keys().copied().filter(|id| id.kind == FileKind::Snapshot).collect();
    let newest = snapshots.last().map_or(0, |id| id.number);
    for id in snapshots.into_iter().rev() {
        intake.expect(&files, id.number);
        let Some(known) = files.remove(&id) else { continue };
        // It got its name after it had been synced.
        let known = (known, u64::MAX);
        let FileFound { good_until, holes, is_whole, .. } = read(disk, id, known, &mut found, &mut intake)?;
        if is_whole {
            replaced = id.number;
            break;
        }
        let damages = found.damage.len();
        found.damage.extend(holes.iter().filter(|hole| hole.at < good_until).map(|hole| hole.damage(id)));
        if found.damage.len() == damages {
            found.damage.push(Damage { file: id.name(), at: good_until, bytes: None, is_missing: false });
        }
    }
    let is_needed = |id: &FileId| id.number >= replaced;
    files.retain(|id, _| is_needed(id) && id.kind == FileKind::Segment);
    headless.retain(|id, _| is_needed(id));
    let told = Told::by(files.values().map(|known| &known.header));
    note_missing(&told, (&files, &headless), newest, &mut found);
    intake.expect(&files, 0);
    read_segments(disk, files, &told, &mut found, &mut intake)?;
    Ok(found)
}

/// What segments say of those before them.
struct Told {
    /// How many bytes of a segment were on the disk when its successor was begun.
    bytes: BTreeMap<u64, u64>,
    /// Segments, and which each takes for the one before it.
    before: Vec<(u64, u64)>,
}

impl Told {
    fn by<'h>(headers: impl Iterator<Item = &'h FileHeader> + Clone) -> Self {
        let bytes = headers.clone().map(|header| (header.before.number, header.before.bytes)).collect();
        Self { bytes, before: headers.map(|header| (header.id.number, header.before.number)).collect() }
    }

    /// How many bytes of that segment had been on the disk, if a later one knows. One that was passed over was given up
    /// with nothing in it that had been.
    fn of(&self, number: u64) -> Option<u64> {
        let is_passed = || self.before.iter().any(|(later, before)| *later > number && *before < number);
        self.bytes.get(&number).copied().or_else(|| is_passed().then_some(0))
    }
}

/// Notes what has no header, or is gone although its successor knows it and no snapshot, from `newest` back, had replaced
/// it.
fn note_missing(
    told: &Told,
    (files, headless): (&BTreeMap<FileId, Known>, &BTreeMap<FileId, usize>),
    newest: u64,
    found: &mut Recovered,
) {
    for (id, bytes) in headless {
        // One that got no further than its header had nothing in it, as after a power cut.
        let is_told = told.of(id.number).is_some_and(|bytes| bytes > 0);
        if *bytes < BEGINNING_BYTES_MAX && !is_told && id.kind == FileKind::Segment {
            found.torn += *bytes as u64;
        } else {
            found.damage.push(Damage { file: id.name(), at: 0, bytes: None, is_missing: false });
        }
    }
    let had_some = |(number, bytes): &(&u64, &u64)| **number >= newest.max(1) && **bytes > 0;
    for (number, _) in told.bytes.iter().filter(had_some) {
        let id = FileId::segment(*number);
        if !files.contains_key(&id) && !headless.contains_key(&id) {
            found.damage.push(Damage { file: id.name(), at: 0, bytes: None, is_missing: true });
        }
    }
}

fn read_segments<D: Disk>(
    disk: &D,
    files: BTreeMap<FileId, Known>,
    told: &Told,
    found: &mut Recovered,
    intake: &mut Intake<impl FnMut(&[u8]), impl FnMut(BytesRead)>,
) -> Result<(), RecoveryError> {
    let last = files.keys().next_back().copied();
    for (id, known) in files {
        let known = (known, told.of(id.number).unwrap_or(0));
        let FileFound { good_until, synced, holes, .. } = read(disk, id, known, found, intake)?;
        let is_last = Some(id) == last;
        if is_last {
            // What is beyond may never get to the disk, and must not count as damage then because of what follows it.
            found.before = Before { number: id.number, bytes: synced };
        }
        let synced = match told.of(id.number) {
            Some(bytes) => synced.max(bytes),
            None if is_last => synced,
            // Its successor is gone or unreadable, and may have known that all of it was.
            None => u64::MAX,
        };
        let (damaged, torn): (Vec<_>, Vec<_>) = holes.into_iter().partition(|hole| hole.at < synced);
        found.damage.extend(damaged.iter().map(|hole| hole.damage(id)));
        found.torn += torn.iter().map(|hole| hole.bytes).sum::<u64>();
        let has_tail = damaged.last().is_some_and(|hole| hole.at == good_until);
        if told.of(id.number).is_some_and(|bytes| good_until < bytes) && !has_tail {
            found.damage.push(Damage { file: id.name(), at: good_until, bytes: None, is_missing: false });
        }
    }
    Ok(())
}

/// Reads a file's header. Without one that is whole, returns how much of the beginning there is.
fn open<D: Disk>(disk: &D, id: FileId, owner: &Owner) -> Result<Result<Known, usize>, RecoveryError> {
    let unreadable = |source| RecoveryError::Disk { file: id.name(), source };
    let mut file = disk.open(&id.name()).map_err(unreadable)?;
    let mut window = vec![0; BEGINNING_BYTES_MAX];
    let read = read_full(&mut file, &mut window).map_err(unreadable)?;
    window.truncate(read);
    match FileHeader::parse(&window) {
        Ok((header, begin)) if header.id == id => {
            if header.owner.herd != owner.herd || header.owner.node != owner.node {
                return Err(RecoveryError::Foreign { file: id.name(), owner: header.owner });
            }
            if header.owner.placement != owner.placement {
                return Err(RecoveryError::OtherPlacement { file: id.name() });
            }
            let bytes = disk.bytes(&id.name()).map_err(unreadable)?;
            Ok(Ok(Known { bytes, begin, header }))
        }
        Err(HeaderFault::Newer(format)) => Err(RecoveryError::Newer { file: id.name(), format }),
        // A file that was given another's name counts as damaged, too.
        Ok(_) | Err(HeaderFault::Damaged) => Ok(Err(read)),
    }
}

/// Reads a file of which so many bytes are told to have been on the disk.
fn read<D: Disk>(
    disk: &D,
    id: FileId,
    (known, told): (Known, u64),
    found: &mut Recovered,
    intake: &mut Intake<impl FnMut(&[u8]), impl FnMut(BytesRead)>,
) -> Result<FileFound, RecoveryError> {
    let unreadable = |source| RecoveryError::Disk { file: id.name(), source };
    let Known { bytes, begin, header } = known;
    let before = intake.bytes.read;
    found.files += 1;
    // Opened anew: a long row of segments has more files than may be open at once.
    let mut file = disk.open(&id.name()).map_err(unreadable)?;
    let mut beginning = vec![0; begin];
    read_full(&mut file, &mut beginning).map_err(unreadable)?;
    let mut frames = Frames::new(&mut file, header.seal(), begin as u64);
    let mut unsynced = (told < bytes).then(|| UnsyncedFrames::beside(&found.unsynced, intake.room));
    let (mut count, mut holes, mut is_whole) = (0_u64, Vec::new(), false);
    loop {
        match frames.next().map_err(unreadable)? {
            Piece::Frame(FrameKind::Lines, lines) => {
                count += 1;
                found.bytes += lines.len() as u64;
                found.has_forgettings |= id.kind == FileKind::Segment && has_forgetting(lines);
                (intake.take)(lines);
                if let Some(unsynced) = &mut unsynced {
                    let lines = lines.to_vec();
                    unsynced.add(frames.good_until(), lines, frames.synced().max(told));
                }
                intake.read_until(before + frames.good_until());
            }
            Piece::Frame(FrameKind::End, told) => is_whole = *told == count.to_le_bytes(),
            Piece::Bad { at, bytes } => holes.push(Hole { at, bytes }),
            Piece::End => break,
        }
    }
    let (good_until, synced) = (frames.good_until(), frames.synced());
    unsynced.into_iter().for_each(|frames| frames.end(synced.max(told), &mut found.unsynced));
    let end = holes.last().map_or(good_until, |hole| good_until.max(hole.at + hole.bytes));
    match id.kind {
        FileKind::Snapshot => found.snapshot_bytes += end,
        FileKind::Segment => found.segment_bytes += end - begin as u64,
    }
    intake.read_until(before + bytes);
    let is_whole = is_whole && holes.is_empty();
    Ok(FileFound { good_until, synced, holes, is_whole })
}
