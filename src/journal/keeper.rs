//! A journal at work, without its thread: has changes written and synced, and writes a snapshot of the map when one is
//! due. `writer` decides what goes into which file; here is when. Nothing in it waits or reads a clock: its driver says how
//! late it is, and passes on what is committed, what is to be logged, and what the journal says about itself.
//!
//! A driver takes batches, as many as it likes at once, then calls [`Keeper::write`]; [`Keeper::sync`] if that is due;
//! [`Keeper::commit`], [`Keeper::step`], and [`Keeper::commit`] again; and waits until something is in the queue or
//! [`Keeper::due`].

use std::{collections::VecDeque, fmt, io, time::Duration};

use super::{
    condition::{JournalCondition, JournalLack, RecoveryCondition},
    disk::Disk,
    lines::{has_forgetting, write_lines},
    recovery::Recovered,
    snapshot::Snapshot,
    writer::JournalWriter,
};
use crate::core::{
    links::{Encoded, Queue},
    model::Tick,
    store::{Cursor, Store},
};

/// At a stop, what a disk has refused is tried again after this time.
const LAST_RETRY_TIME: Duration = Duration::from_millis(50);

/// When a snapshot is due, and in which pieces it is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SnapshotBounds {
    /// Files of changes may have so many bytes, however short the last snapshot is.
    pub bytes: u64,
    /// They may be so many times as long as the last snapshot.
    pub share: u64,
    /// What is put into it before anything else is looked at, in bytes.
    pub piece_bytes: usize,
    /// So much of it is brought to the disk at once, so that clients' syncs do not wait for all of it.
    pub sync_bytes: u64,
    /// One that failed is tried again after this time.
    pub retry_time: Duration,
    /// After a client was forgotten, or what is old, files before it are replaced within this time, however short they
    /// are.
    pub forgetting_time: Duration,
}

impl Default for SnapshotBounds {
    fn default() -> Self {
        Self {
            bytes: 256 << 20,
            share: 4,
            piece_bytes: 64 << 10,
            sync_bytes: 1 << 20,
            retry_time: Duration::from_secs(30),
            forgetting_time: Duration::from_secs(3_600),
        }
    }
}

/// What a keeper has for the log. Displays as the line that says it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeeperEvent {
    /// Writing has begun to fail, and why.
    Failing(String),
    /// What failed works again.
    Mended,
    /// A snapshot could not be written.
    NoSnapshot {
        /// Why not.
        why: String,
        /// When it is tried again; at a stop, that is soon, or never.
        again_in: Option<Duration>,
    },
    /// At its end, something is not on the disk.
    Lacking {
        /// What.
        lack: JournalLack,
        /// Why not.
        why: String,
    },
}

impl fmt::Display for KeeperEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failing(why) => write!(
                f,
                "the journal cannot be written: {why}; what changes is kept in memory, and the disk tried again"
            ),
            Self::Mended => write!(f, "the journal can be written again"),
            Self::NoSnapshot { why, again_in } => {
                write!(f, "the journal's snapshot could not be written: {why}")?;
                again_in.map_or(Ok(()), |time| write!(f, "; it is tried again in {time:?}"))
            }
            Self::Lacking { lack, why } => write!(f, "the journal {lack}: {why}"),
        }
    }
}

/// A journal from its start to its end. `S` draws the salt of each new file.
#[derive(Debug)]
pub struct Keeper<D: Disk, S> {
    writer: JournalWriter<D, S>,
    queue: Queue,
    bounds: SnapshotBounds,
    /// The numbers of the last batch that is on the disk, and of the last that was taken.
    committed: u64,
    taken: u64,
    /// What it says about itself, as of the last look.
    condition: JournalCondition,
    underway: Option<Underway<D::File>>,
    /// The last snapshot's length, and how many bytes of changes came since.
    last_snapshot: u64,
    changed: u64,
    snapshot_not_before: Tick,
    /// When a snapshot is due because a client was forgotten of whom there may be more than a tombstone in files, or what
    /// is old.
    forgetting_due: Option<Tick>,
    /// Why the last snapshot failed that was tried since the stop.
    last_failure: Option<KeeperEvent>,
    is_ending: bool,
    /// Whether the stop still wants the snapshot that only spares the next start the changes.
    is_last_wanted: bool,
    events: VecDeque<KeeperEvent>,
    /// Reused for a snapshot's lines.
    lines: Vec<u8>,
}

/// A snapshot, and how far the walk over the map is.
#[derive(Debug)]
struct Underway<F> {
    snapshot: Snapshot<F>,
    cursor: Cursor,
    synced: u64,
    changed: u64,
    /// When it was due for those who were forgotten before it was begun: it has nothing of them.
    forgetting_due: Option<Tick>,
}

impl<D: Disk, S: FnMut() -> io::Result<[u8; 16]>> Keeper<D, S> {
    /// Goes on after the recovery, which took `time`, and opens the queue: nothing may have changed since. `is_awaited`
    /// if reports are acknowledged only once they are on the disk.
    pub fn new(
        writer: JournalWriter<D, S>,
        queue: Queue,
        bounds: SnapshotBounds,
        (found, time): (&Recovered, Duration),
        is_awaited: bool,
    ) -> Self {
        queue.open();
        let recovery = RecoveryCondition {
            bytes: found.bytes,
            time,
            torn: found.torn,
            damage: found.damage.len(),
            set_aside: found.set_aside.len(),
        };
        Self {
            writer,
            queue,
            bounds,
            committed: 0,
            taken: 0,
            condition: JournalCondition { is_awaited, recovery, ..JournalCondition::default() },
            underway: None,
            last_snapshot: found.snapshot_bytes,
            changed: found.segment_bytes,
            snapshot_not_before: Tick::ZERO,
            // How long ago they were forgotten is unknown.
            forgetting_due: found.has_forgettings.then_some(Tick::ZERO),
            last_failure: None,
            is_ending: false,
            is_last_wanted: false,
            events: VecDeque::new(),
            lines: Vec::new(),
        }
    }

    /// Where changes wait, to be taken out by the driver and given to [`Keeper::take`].
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// When there is something to do though no change comes; `None` if there will be nothing.
    pub fn due(&self) -> Option<Tick> {
        if self.underway.is_some() {
            return Some(Tick::ZERO);
        }
        let needed = self.writer.needs_snapshot().then_some(Tick::ZERO);
        let snapshot = needed.into_iter().chain(self.forgetting_due).min();
        let snapshot = snapshot.map(|due| due.max(self.snapshot_not_before));
        self.writer.due().into_iter().chain(snapshot).min()
    }

    /// Whether a snapshot is under way.
    pub fn is_in_snapshot(&self) -> bool {
        self.underway.is_some()
    }

    /// Takes a batch, which came out of the queue.
    pub fn take(&mut self, batch: &Encoded, now: Tick) {
        if !batch.is_empty() {
            self.writer.append(batch, now);
            self.changed += batch.len() as u64;
            if self.forgetting_due.is_none() && has_forgetting(batch) {
                self.forgetting_due = Some(now + self.bounds.forgetting_time);
            }
        }
    }

    /// All batches up to that number have been taken, or have left a mark at the queue: everything is gone that was in the
    /// queue when `last` was the number of the last batch that had been offered.
    pub fn has_taken(&mut self, last: u64) {
        self.taken = last;
    }

    /// Hands to the system what was taken, which then survives the end of this process.
    pub fn write(&mut self, now: Tick) {
        if self.queue.is_behind() {
            self.queue.clear_mark();
            self.writer.miss();
        }
        self.writer.write(now);
    }

    /// Whether to call [`Keeper::sync`]: somebody waits for it, or it is time.
    pub fn is_sync_due(&self, now: Tick) -> bool {
        let is_awaited = self.taken > self.committed && self.writer.trouble().is_none();
        is_awaited && self.writer.rules.syncs_before_commit || self.writer.due().is_some_and(|due| due <= now)
    }

    /// Brings to the disk what was written. `now` is asked before and after.
    pub fn sync(&mut self, now: impl Fn() -> Tick) {
        let (began, unsynced) = (now(), self.writer.unsynced());
        self.writer.sync(began);
        if unsynced == 0 {
            return;
        }
        let took = now().saturating_sub(began);
        let JournalCondition { syncs, sync_time, sync_time_max, .. } = &mut self.condition;
        (*syncs, *sync_time, *sync_time_max) = (*syncs + 1, *sync_time + took, took.max(*sync_time_max));
    }

    /// The number up to which all batches are on the disk, if that is more than at the last call.
    pub fn commit(&mut self) -> Option<u64> {
        // What found no room, in the queue or in memory, is on the disk only with the next snapshot. A mark that is at the
        // queue by now is of a later batch than what was taken: `write` has cleared that of an earlier one, and told it.
        let is_synced = self.writer.unsynced() == 0 || !self.writer.rules.syncs_before_commit;
        if !is_synced || self.writer.is_short() || self.taken == self.committed {
            return None;
        }
        self.committed = self.taken;
        Some(self.committed)
    }

    /// The next piece of a snapshot, if one is under way or due.
    pub fn step(&mut self, store: &Store, now: Tick) {
        let Some(Underway { snapshot, cursor, synced, .. }) = &mut self.underway else {
            let due = self.bounds.bytes.max(self.bounds.share * self.last_snapshot);
            let is_due = self.changed >= due || self.forgetting_due.is_some_and(|due| now >= due);
            if (self.writer.needs_snapshot() || is_due) && now >= self.snapshot_not_before {
                self.begin(now);
            }
            return;
        };
        self.lines.clear();
        let is_over = write_lines(cursor, store, self.bounds.piece_bytes, &mut self.lines);
        let mut written = snapshot.write(&self.lines);
        if snapshot.bytes() - *synced >= self.bounds.sync_bytes {
            *synced = snapshot.bytes();
            written = written.and_then(|()| snapshot.sync());
        }
        if written.is_err() || is_over {
            self.finish(written, now);
        }
    }

    fn begin(&mut self, now: Tick) {
        match self.writer.begin_snapshot(now) {
            Ok(snapshot) => {
                let (cursor, changed) = (Cursor::default(), self.changed);
                let forgetting_due = self.forgetting_due.take();
                self.underway = Some(Underway { snapshot, cursor, synced: 0, changed, forgetting_due });
            }
            Err(error) => self.put_off_snapshot(&error, now),
        }
    }

    fn finish(&mut self, written: io::Result<()>, now: Tick) {
        let Some(Underway { snapshot, changed, forgetting_due, .. }) = self.underway.take() else { return };
        let finished = match written {
            Ok(()) => self.writer.finish_snapshot(snapshot),
            Err(error) => {
                self.writer.abandon_snapshot(snapshot);
                Err(error)
            }
        };
        match finished {
            Ok(bytes) => {
                self.changed -= changed;
                self.last_snapshot = bytes;
                self.condition.snapshots += 1;
                self.condition.snapshot_bytes = bytes;
            }
            Err(error) => {
                self.forgetting_due = forgetting_due.or(self.forgetting_due);
                self.put_off_snapshot(&error, now);
            }
        }
    }

    fn put_off_snapshot(&mut self, error: &io::Error, now: Tick) {
        let again_in = (!self.is_ending).then_some(self.bounds.retry_time);
        let event = KeeperEvent::NoSnapshot { why: error.to_string(), again_in };
        if !self.is_ending {
            self.snapshot_not_before = now + self.bounds.retry_time;
            self.events.push_back(event);
        } else if self.last_failure.as_ref() != Some(&event) {
            // Attempts follow soon upon each other now.
            self.last_failure = Some(event.clone());
            self.events.push_back(event);
        }
    }

    /// The node stops, and everything that changed is in the queue: takes it, and brings it to the disk. A snapshot, which
    /// spares the next start the changes, and what else is left to do come with [`Keeper::step_to_end`].
    pub fn stop(&mut self, now: Tick) {
        while let Ok(batch) = self.queue.take() {
            self.take(&batch, now);
        }
        if self.queue.is_behind() {
            self.writer.miss();
        }
        self.is_ending = true;
        self.writer.sync_at_last(now);
        self.is_last_wanted = self.changed > 0 || self.writer.needs_snapshot();
    }

    /// The next piece of what a stop leaves to do. Returns after which time to call it again; `None` once all is done.
    pub fn step_to_end(&mut self, store: &Store, now: Tick) -> Option<Duration> {
        if self.underway.is_some() {
            self.step(store, now);
        } else if self.is_last_wanted || self.writer.is_short() {
            // Once, and then only for what nothing else has.
            self.is_last_wanted = false;
            self.begin(now);
        } else if self.writer.unsynced() > 0 {
            self.writer.sync_at_last(now);
        } else {
            return None;
        }
        // A disk that fails may still be freed.
        let fails = self.underway.is_none() && (self.writer.unsynced() > 0 || self.writer.is_short());
        Some(if fails { LAST_RETRY_TIME } else { Duration::ZERO })
    }

    /// There is no more time, or nothing more to do.
    pub fn end(&mut self) {
        if let Some(Underway { snapshot, .. }) = self.underway.take() {
            self.writer.abandon_snapshot(snapshot);
        }
        if let Some(lack) = self.look().lack() {
            let trouble = self.writer.trouble().map(str::to_owned);
            let why = trouble.or_else(|| self.last_failure.as_ref().map(KeeperEvent::to_string));
            let why =
                why.unwrap_or_else(|| "there was no time for the snapshot that would have them".to_owned());
            self.events.push_back(KeeperEvent::Lacking { lack, why });
        }
    }

    /// Whether reports are to be refused, if they are acknowledged only once they are on the disk.
    pub fn refuses_reports(&self) -> bool {
        self.writer.trouble().is_some() || self.writer.is_short()
    }

    /// Brings up to date what it says about itself. That the disk begins or ends to fail becomes an event.
    pub fn look(&mut self) -> &JournalCondition {
        let failing = self.writer.trouble().map(str::to_owned);
        match (&self.condition.failing, &failing) {
            (None, Some(why)) => {
                self.condition.failures += 1;
                self.events.push_back(KeeperEvent::Failing(why.clone()));
            }
            (Some(_), None) => self.events.push_back(KeeperEvent::Mended),
            _ => {}
        }
        self.condition.failing = failing;
        self.condition.appended = self.writer.appended();
        self.condition.unsynced = self.writer.unsynced();
        self.condition.is_short = self.writer.is_short();
        &self.condition
    }

    /// What it said about itself at the last look.
    pub fn condition(&self) -> &JournalCondition {
        &self.condition
    }

    /// The next event, if there is one.
    pub fn event(&mut self) -> Option<KeeperEvent> {
        self.events.pop_front()
    }
}

#[cfg(test)]
mod tests;
