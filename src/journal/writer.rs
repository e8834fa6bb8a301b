//! Appends changes to the journal's last segment and brings them to the disk; begins another segment when one is full,
//! or when it has failed.
//!
//! What is not known to be on the disk stays in memory, so that it can be told again in another file: after a failed
//! sync the system may have dropped what it could not write and call the pages clean, so a file that failed once is
//! never written to or synced again. What memory has no room for is left to the next snapshot.

use std::{io, mem, time::Duration};

use super::{
    disk::{Disk, DiskFile, append_all},
    frame::{CONTENT_BYTES_MAX, FrameKind, write_frame},
    header::{Before, FileHeader, Owner, Seal},
    names::{FileId, remove_before},
    recovery::Recovered,
    rules::JournalRules,
    snapshot::{FinishedSnapshot, Snapshot},
    unsynced::UnsyncedLines,
};
use crate::core::model::Tick;

/// How much a journal keeps where, and for how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct JournalBounds {
    /// A segment that is longer is followed by another.
    pub segment_bytes: u64,
    /// So many bytes are synced at once,
    pub sync_bytes: usize,
    /// and what is so old.
    pub sync_time: Duration,
    /// What waits in memory while the disk fails, at most.
    pub waiting_bytes: usize,
    /// A disk that failed is tried again after this time.
    pub retry_time: Duration,
    /// Whether anything is synced; if not, what the system was given counts as safe.
    pub is_synced: bool,
}

impl Default for JournalBounds {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            sync_bytes: 16 << 20,
            sync_time: Duration::from_secs(1),
            waiting_bytes: 32 << 20,
            retry_time: Duration::from_secs(1),
            is_synced: true,
        }
    }
}

/// The journal's end that is written to. `S` draws the salt of each new file.
#[derive(Debug)]
pub struct JournalWriter<D: Disk, S> {
    disk: D,
    owner: Owner,
    salts: S,
    bounds: JournalBounds,
    pub(super) rules: JournalRules,
    segment: Option<OpenSegment<D::File>>,
    /// The number of the next file.
    next: u64,
    /// The segment before the next one.
    before: Before,
    /// Lines that are not known to be on the disk; the first `written` bytes of them are in the segment.
    waiting: Vec<u8>,
    written: usize,
    /// When the first of them came.
    waiting_since: Option<Tick>,
    /// How many bytes of lines were appended in all.
    appended: u64,
    /// How many of them the recovery had read, and no change has brought.
    told_again: u64,
    /// Lines that were dropped for want of room.
    gap: Option<Gap>,
    trouble: Option<Trouble>,
    /// Whether a snapshot is wanted, though nothing is missing that was appended.
    is_snapshot_wanted: bool,
    /// Files to be kept aside when a snapshot replaces them.
    damaged: Vec<FileId>,
    /// Reused for frames.
    frames: Vec<u8>,
}

/// A segment that is appended to.
#[derive(Debug)]
struct OpenSegment<F> {
    number: u64,
    file: F,
    seal: Seal,
    bytes: u64,
    /// Where its frames begin.
    begin: u64,
    /// How many bytes of it count as safe: nothing else has their lines any more.
    safe: u64,
}

impl<F> OpenSegment<F> {
    /// How many bytes of it are on the disk for certain. Where nothing is synced but the header, that is all, though the
    /// rest counts as safe: what a power cut takes of that is no damage.
    fn on_disk(&self, is_synced: bool) -> u64 {
        if is_synced { self.safe } else { self.begin }
    }
}

/// Lines that no segment has. The map has them, and so will a snapshot that is begun after them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Gap {
    /// How much was on the disk before it.
    from: u64,
    /// How much had been appended when the last of them came.
    until: u64,
    /// Whether a snapshot has begun that will have them.
    is_covered: bool,
}

/// Why nothing is written at present.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Trouble {
    why: String,
    retry_at: Tick,
    /// From the last attempt to that time; twice as long after the next.
    wait: Duration,
}

/// A disk that fails is tried again after this time at the latest.
const RETRY_TIME_MAX: Duration = Duration::from_secs(30);
/// So many bytes of frames are appended at once, so that a disk that is nearly full takes what it can.
const APPEND_BYTES: usize = 64 << 10;

impl<D: Disk, S: FnMut() -> io::Result<[u8; 16]>> JournalWriter<D, S> {
    /// Goes on after the files that [`recover`] has found.
    ///
    /// [`recover`]: super::recover
    pub fn new(disk: D, owner: Owner, salts: S, bounds: JournalBounds, found: &Recovered) -> Self {
        Self::with_rules((disk, owner), salts, bounds, found, JournalRules::SOUND)
    }

    /// The same with rules that may be wrong.
    pub fn with_rules(
        (disk, owner): (D, Owner),
        salts: S,
        bounds: JournalBounds,
        found: &Recovered,
        rules: JournalRules,
    ) -> Self {
        let (next, before) = found.end();
        let damaged: Vec<_> =
            found.damage.iter().filter_map(|damage| FileId::of_name(&damage.file)).collect();
        let mut writer = Self {
            disk,
            owner,
            salts,
            bounds,
            rules,
            segment: None,
            next,
            before,
            waiting: Vec::new(),
            written: 0,
            waiting_since: None,
            appended: 0,
            told_again: 0,
            gap: None,
            trouble: None,
            // What is good of damaged files is soon to be in one without damage.
            is_snapshot_wanted: !found.damage.is_empty(),
            damaged,
            frames: Vec::new(),
        };
        if bounds.is_synced && rules.tells_unsynced_again {
            writer.tell_again(&found.unsynced);
        }
        writer
    }

    /// What the recovery has read that may never get to the disk is told as if it came now.
    fn tell_again(&mut self, UnsyncedLines { lines, is_short }: &UnsyncedLines) {
        if !lines.is_empty() {
            self.told_again = self.append(lines, Tick::ZERO);
        }
        if *is_short {
            self.miss();
        }
    }

    /// Takes lines, each with its terminator. They are on the disk once [`JournalWriter::synced`] has reached what this returns.
    pub fn append(&mut self, lines: &[u8], now: Tick) -> u64 {
        self.appended += lines.len() as u64;
        self.waiting.extend_from_slice(lines);
        self.waiting_since.get_or_insert(now);
        if self.waiting.len() > self.bounds.waiting_bytes {
            self.widen_gap(self.appended - self.waiting.len() as u64);
            self.give_up_segment();
            self.waiting = Vec::new();
            self.waiting_since = None;
        }
        self.appended
    }

    /// Lines were lost before they came here, which are in the map.
    pub fn miss(&mut self) {
        self.widen_gap(self.synced());
    }

    fn widen_gap(&mut self, synced: u64) {
        let from = self.gap.map_or(synced, |gap| gap.from);
        self.gap = Some(Gap { from, until: self.appended, is_covered: false });
    }

    /// How many bytes of lines are on the disk: all that were appended up to there.
    pub fn synced(&self) -> u64 {
        self.gap.map_or(self.appended - self.waiting.len() as u64, |gap| gap.from)
    }

    /// How many bytes of changes were appended.
    pub fn appended(&self) -> u64 {
        self.appended - self.told_again
    }

    /// Bytes of lines that are not on the disk.
    pub fn unsynced(&self) -> u64 {
        self.appended - self.synced()
    }

    /// Why it fails, if the disk does.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_ref().map(|trouble| &*trouble.why)
    }

    /// Whether lines were dropped for want of room, and no snapshot has brought them to the disk yet.
    pub fn is_short(&self) -> bool {
        self.gap.is_some()
    }

    /// Whether a snapshot is due, whatever the length of the segments.
    pub fn needs_snapshot(&self) -> bool {
        self.is_snapshot_wanted || self.gap.is_some_and(|gap| !gap.is_covered)
    }

    /// When to call [`JournalWriter::sync`]; `None` if nothing waits and the disk is well.
    pub fn due(&self) -> Option<Tick> {
        if let Some(trouble) = &self.trouble {
            return Some(trouble.retry_at);
        }
        let since = self.waiting_since?;
        let is_much = self.waiting.len() >= self.bounds.sync_bytes;
        Some(if is_much { since } else { since + self.bounds.sync_time })
    }

    /// Hands to the system what waits, which then survives the end of this process.
    pub fn write(&mut self, now: Tick) {
        if self.trouble.is_none() && self.written < self.waiting.len() {
            self.attempt(now, if self.bounds.is_synced { Self::write_waiting } else { Self::write_and_sync });
        }
    }

    /// Brings to the disk what waits; not before a disk that failed is to be tried again.
    pub fn sync(&mut self, now: Tick) {
        if self.trouble.as_ref().is_none_or(|trouble| now >= trouble.retry_at) {
            self.attempt(now, Self::write_and_sync);
        }
    }

    /// The same without regard to when the disk failed.
    pub fn sync_at_last(&mut self, now: Tick) {
        self.attempt(now, Self::write_and_sync);
    }

    /// Ends the segment and begins a snapshot, which is to get the map as it is from now on.
    ///
    /// # Errors
    ///
    /// If the disk fails. That segments can be written nonetheless is told by [`JournalWriter::trouble`].
    pub fn begin_snapshot(&mut self, now: Tick) -> io::Result<Snapshot<D::File>> {
        let mut number = self.next;
        if self.rules.rotates_before_snapshot {
            let rotated = self.rotate();
            self.note(rotated, now)?;
            number = self.next - 1;
        }
        let id = FileId::snapshot(number);
        let header = self.header(id)?;
        let snapshot = Snapshot::begin(&self.disk, &header);
        if snapshot.is_err() {
            self.forget_snapshot(&id.partial_name());
        }
        let snapshot = snapshot?;
        self.is_snapshot_wanted = false;
        if let Some(gap) = &mut self.gap {
            gap.is_covered = true;
        }
        Ok(snapshot)
    }

    /// The whole map is in the snapshot: what it has is on the disk, and the files before it go. Returns its length.
    ///
    /// # Errors
    ///
    /// If the disk fails; the files before it stay.
    pub fn finish_snapshot(&mut self, snapshot: Snapshot<D::File>) -> io::Result<u64> {
        let partial = snapshot.partial_name();
        let rotated = if self.rules.rotates_before_snapshot { Ok(()) } else { self.rotate() };
        let finished = rotated.and_then(|()| snapshot.finish(&self.disk));
        if finished.is_err() {
            self.forget_snapshot(&partial);
        }
        let FinishedSnapshot { number, bytes } = finished?;
        // One that has grown since the snapshot was begun is not covered any more.
        self.gap = self.gap.filter(|gap| !gap.is_covered);
        // What stays is read once more at the next start, and nothing is lost by that.
        let _ = remove_before(&self.disk, number, &self.damaged);
        Ok(bytes)
    }

    /// The snapshot is not going to be finished.
    pub fn abandon_snapshot(&mut self, snapshot: Snapshot<D::File>) {
        let partial = snapshot.partial_name();
        drop(snapshot);
        self.forget_snapshot(&partial);
    }

    /// What only it would have had needs another.
    fn forget_snapshot(&mut self, partial: &str) {
        // The next start removes it, too.
        let _ = self.disk.remove(partial);
        self.is_snapshot_wanted = true;
        if let Some(gap) = &mut self.gap {
            gap.is_covered = false;
        }
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.write_waiting()?;
        self.end_segment()?;
        self.begin_segment()
    }

    fn note<T>(&mut self, done: io::Result<T>, now: Tick) -> io::Result<T> {
        self.trouble = match &done {
            Ok(_) => None,
            Err(error) => {
                self.leave_segment();
                let last = self.trouble.as_ref().map(|trouble| trouble.wait * 2);
                let wait =
                    last.unwrap_or(self.bounds.retry_time).min(RETRY_TIME_MAX.max(self.bounds.retry_time));
                Some(Trouble { why: error.to_string(), retry_at: now + wait, wait })
            }
        };
        done
    }

    /// Does it with the present segment, and if that fails, once more with a new one.
    fn attempt(&mut self, now: Tick, action: fn(&mut Self) -> io::Result<()>) {
        let done = action(self).or_else(|_| {
            self.leave_segment();
            action(self)
        });
        // It is kept as the trouble.
        let _ = self.note(done, now);
    }

    /// It has failed.
    fn leave_segment(&mut self) {
        if self.rules.leaves_failed_files {
            self.give_up_segment();
        }
    }

    /// What was in it and is not safe is told again in the next. If nothing else was in it, it goes: on a disk that fails
    /// there must not be one for each attempt.
    fn give_up_segment(&mut self) {
        self.written = 0;
        let Some(segment) = self.segment.take() else { return };
        if segment.safe > segment.begin {
            let bytes = segment.on_disk(self.bounds.is_synced);
            self.before = Before { number: segment.number, bytes };
        } else {
            let _ = self.disk.remove(&FileId::segment(segment.number).name());
        }
    }

    fn write_and_sync(&mut self) -> io::Result<()> {
        if self.trouble.is_some() && self.segment.is_none() {
            // Whether the disk is well again shows even if nothing waits.
            self.begin_segment()?;
        }
        self.write_waiting()?;
        if let Some(segment) = self.segment.as_mut().filter(|_| self.written > 0) {
            if self.bounds.is_synced {
                segment.file.sync()?;
            }
            segment.safe = segment.bytes;
            self.forget_written();
        }
        Ok(())
    }

    /// What was written is safe.
    fn forget_written(&mut self) {
        self.waiting.drain(..mem::take(&mut self.written));
        if self.waiting.is_empty() {
            self.waiting_since = None;
        }
    }

    fn write_waiting(&mut self) -> io::Result<()> {
        while self.written < self.waiting.len() {
            if self.segment.as_ref().is_some_and(|segment| segment.bytes >= self.bounds.segment_bytes) {
                self.end_segment()?;
            }
            if self.segment.is_none() {
                self.begin_segment()?;
            }
            let Some(segment) = &mut self.segment else { return Ok(()) };
            self.frames.clear();
            let synced = segment.on_disk(self.bounds.is_synced);
            let mut rest = &self.waiting[self.written..];
            let is_room = |frames: &[u8]| {
                frames.len() < APPEND_BYTES
                    && segment.bytes + (frames.len() as u64) < self.bounds.segment_bytes
            };
            while !rest.is_empty() && is_room(&self.frames) {
                let lines;
                (lines, rest) = split_lines(rest);
                let offset = segment.bytes + self.frames.len() as u64;
                write_frame(&segment.seal, (offset, synced), FrameKind::Lines, lines, &mut self.frames);
            }
            let rest = rest.len();
            if let Err(error) = append_all(&mut segment.file, &self.frames) {
                // What a full disk has taken before is not told again each time.
                if self.written > 0 && (!self.bounds.is_synced || segment.file.sync().is_ok()) {
                    segment.safe = segment.bytes;
                    self.forget_written();
                }
                return Err(error);
            }
            segment.bytes += self.frames.len() as u64;
            self.written = self.waiting.len() - rest;
        }
        Ok(())
    }

    /// Syncs the segment, so that the next one may get frames.
    fn end_segment(&mut self) -> io::Result<()> {
        let Some(segment) = &mut self.segment else { return Ok(()) };
        if self.bounds.is_synced {
            segment.file.sync()?;
        }
        segment.safe = segment.bytes;
        self.forget_written();
        self.give_up_segment();
        Ok(())
    }

    fn begin_segment(&mut self) -> io::Result<()> {
        let id = FileId::segment(self.next);
        // A number is used once, whatever becomes of its file.
        self.next += 1;
        let header = self.header(id)?;
        let mut file = self.disk.create(&id.name())?;
        let beginning = header.beginning();
        let begun =
            append_all(&mut file, &beginning).and_then(|()| file.sync()).and_then(|()| self.disk.sync());
        if let Err(error) = begun {
            // It has nothing in it; on a full disk there must not be one for each attempt.
            let _ = self.disk.remove(&id.name());
            return Err(error);
        }
        let bytes = beginning.len() as u64;
        self.segment = Some(OpenSegment {
            number: id.number,
            file,
            seal: header.seal(),
            bytes,
            begin: bytes,
            safe: bytes,
        });
        Ok(())
    }

    fn header(&mut self, id: FileId) -> io::Result<FileHeader> {
        Ok(FileHeader { id, owner: self.owner.clone(), salt: (self.salts)()?, before: self.before })
    }
}

/// Cuts lines so that the first part fits into a frame.
pub(super) fn split_lines(lines: &[u8]) -> (&[u8], &[u8]) {
    if lines.len() <= CONTENT_BYTES_MAX {
        return (lines, &[]);
    }
    let end = memchr::memrchr(b'\n', &lines[..CONTENT_BYTES_MAX]);
    // No line is longer than that.
    lines.split_at(end.map_or(CONTENT_BYTES_MAX, |end| end + 1))
}
