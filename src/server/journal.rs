//! The journal's thread: takes every change, has it written and synced, and writes a snapshot of the map when one is due.
//! `journal` decides what goes where; here is when.

use std::{io, path::PathBuf, thread, time::Duration};

use crossbeam_channel::select;
use parking_lot::Mutex;

use super::{
    Shared,
    commits::{Commits, Uncommitted},
    death_notice::{DEATH, DeathNotice},
    recover::{Telling, recover_into},
    shared::Stop,
};
use crate::{
    config::JournalConfig,
    core::{
        links::{Encoded, Queue},
        model::Tick,
        node::Node,
        store::Cursor,
    },
    journal::{
        Folder, FolderLock, JournalBounds, JournalCondition, JournalWriter, Owner, Recovered,
        RecoveryCondition, RecoveryError, Snapshot,
    },
    log::Log,
    system::{clock, random},
};

/// What is taken from the queue, or put into a snapshot, before anything else is looked at.
const PIECE_BYTES: usize = 1 << 20;
/// So much of a snapshot is brought to the disk at once, so that clients' syncs do not wait for all of it.
const SNAPSHOT_SYNC_BYTES: u64 = 16 << 20;
/// Files of changes may be so many times as long as the last snapshot.
const SNAPSHOT_SHARE: u64 = 4;
/// A snapshot that failed is tried again after this time.
const SNAPSHOT_RETRY_TIME: Duration = Duration::from_secs(30);
/// At a stop, what a disk has refused is tried again after this time.
const LAST_RETRY_TIME: Duration = Duration::from_millis(50);
/// A thread that has nothing to do looks up this often.
const IDLE_TIME: Duration = Duration::from_secs(60);

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The folder cannot be made or written to.
    #[error("{}: {error}; choose another with --data-dir, or let this user write there", .folder.display())]
    Folder {
        /// Which.
        folder: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// Another process uses it.
    #[error(
        "{} is in use by another process, such as a node or `herd journal check`; end that one, or choose another with --data-dir",
        .0.display()
    )]
    InUse(PathBuf),
    /// What is in it cannot be used.
    #[error("{}: {error}", .folder.display())]
    Recovery {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        error: RecoveryError,
    },
}

impl JournalError {
    /// Whether the folder is not this node's, and so will not be at the next start either.
    pub fn is_of_the_folder(&self) -> bool {
        matches!(self, Self::Recovery { error, .. } if !matches!(error, RecoveryError::Disk { .. }))
    }
}

type Salts = fn() -> io::Result<[u8; 16]>;

/// A node's journal before its thread runs.
pub(super) struct Journal {
    writer: JournalWriter<Folder, Salts>,
    queue: Queue,
    /// Changes that are due to be replaced by a snapshot.
    snapshot_bytes: u64,
    recovery: RecoveryCondition,
    /// Bytes of the snapshots that were read, and of the changes.
    found_bytes: (u64, u64),
    /// How long sessions wait for it, if they do.
    commit_time: Option<Duration>,
    _lock: FolderLock,
}

impl Journal {
    /// Reads what the node knew when it ended, and begins to take its changes.
    pub(super) fn open(
        (config, folder): (&JournalConfig, PathBuf),
        node: &Node,
        queue: Queue,
        mut telling: Telling<'_>,
    ) -> Result<Self, JournalError> {
        let disk =
            Folder::at(&folder).map_err(|error| JournalError::Folder { folder: folder.clone(), error })?;
        let lock = disk.lock().map_err(|error| JournalError::Folder { folder: folder.clone(), error })?;
        let lock = lock.ok_or_else(|| JournalError::InUse(folder.clone()))?;
        let owner = Owner { herd: node.herd.clone(), node: node.id.to_string(), placement: node.check };
        let began = clock::tick();
        let (found, bad_lines) = recover_into(node, &disk, &owner, &mut telling)
            .map_err(|error| JournalError::Recovery { folder: folder.clone(), error })?;
        let time = clock::tick().saturating_sub(began);
        tell_recovery(telling.log, &found, (node.store().len(), time, bad_lines));
        // Nobody has changed anything since.
        queue.open();
        let bounds = JournalBounds {
            segment_bytes: config.segment_bytes as u64,
            sync_bytes: config.sync_bytes,
            sync_time: config.sync_time,
            waiting_bytes: config.waiting_bytes,
            retry_time: config.retry_time,
            is_synced: config.is_synced(),
        };
        let recovery = RecoveryCondition {
            bytes: found.bytes,
            time,
            torn: found.torn,
            damage: found.damage.len(),
            set_aside: found.set_aside.len(),
        };
        Ok(Self {
            writer: JournalWriter::new(disk, owner, random::bytes::<16>, bounds, &found),
            queue,
            snapshot_bytes: config.snapshot_bytes as u64,
            recovery,
            found_bytes: (found.snapshot_bytes, found.segment_bytes),
            commit_time: config.commits().then_some(config.commit_time),
            _lock: lock,
        })
    }

    /// What it says about itself before its thread runs.
    pub(super) fn condition(&self) -> JournalCondition {
        JournalCondition {
            is_awaited: self.commit_time.is_some(),
            recovery: self.recovery.clone(),
            ..JournalCondition::default()
        }
    }

    /// Where sessions wait for it, if they do.
    pub(super) fn commits(&self) -> Option<Commits> {
        self.commit_time.map(Commits::new)
    }

    /// Takes changes until the stop, and brings all of them to the disk.
    pub(super) fn run(self, shared: &Shared<'_>, stop: &Stop, condition: &Mutex<JournalCondition>) {
        // Before the keeper, so that it outlives what the keeper holds.
        let _notice = DeathNotice {
            condition,
            release: &|| {
                shared.node.refuse_reports(true);
                // Nobody commits what sessions wait for.
                shared.commits.iter().for_each(|commits| commits.stop(Tick::ZERO, Uncommitted::Panicked));
                shared.log.error(format_args!("nothing is kept until this node restarts: {DEATH}"));
            },
        };
        let mut keeper = Keeper::new(self, (shared.node, shared.log), shared.commits.as_ref(), condition);
        while !stop.is_set() {
            keeper.take(stop);
            keeper.keep();
        }
        keeper.end(stop);
    }
}

fn tell_recovery(log: &Log, found: &Recovered, (clients, time, bad_lines): (usize, Duration, u64)) {
    if found.files > 0 {
        log.info(format_args!(
            "the journal has {clients} clients, read from {} bytes of {} files in {time:?}",
            found.snapshot_bytes + found.segment_bytes,
            found.files
        ));
    }
    if found.torn > 0 {
        log.warn(format_args!(
            "the journal's last {} bytes were not on the disk as a whole when this node ended, and are cut off",
            found.torn
        ));
    }
    for damage in &found.damage {
        let kept = match damage.is_missing {
            true => "everything else in the journal is used",
            false => "what is good of it is used, and the file is kept",
        };
        log.error(format_args!("the journal is damaged: {damage}; {kept}"));
    }
    if bad_lines > 0 {
        log.error(format_args!(
            "the journal has {bad_lines} lines that are neither locations nor tombstones"
        ));
    }
}

/// The thread at work.
struct Keeper<'a> {
    journal: Journal,
    node: &'a Node,
    log: &'a Log,
    commits: Option<&'a Commits>,
    /// The numbers of the last batch that is on the disk, and of the last that was taken.
    committed: u64,
    offered: u64,
    condition: &'a Mutex<JournalCondition>,
    /// What it says about itself, between two looks at it.
    told: JournalCondition,
    underway: Option<Underway>,
    /// The last snapshot's length, and how many bytes of changes came since.
    last_snapshot: u64,
    changed: u64,
    snapshot_not_before: Tick,
    /// Why the last snapshot failed that was tried since the stop.
    last_failure: Option<String>,
    is_ending: bool,
    /// Reused for a snapshot's lines.
    lines: Vec<u8>,
}

/// A snapshot, and how far the walk over the map is.
struct Underway {
    snapshot: Snapshot<std::fs::File>,
    cursor: Cursor,
    synced: u64,
    changed: u64,
}

impl<'a> Keeper<'a> {
    fn new(
        journal: Journal,
        (node, log): (&'a Node, &'a Log),
        commits: Option<&'a Commits>,
        condition: &'a Mutex<JournalCondition>,
    ) -> Self {
        let (last_snapshot, changed) = journal.found_bytes;
        let told = journal.condition();
        Self {
            journal,
            node,
            log,
            commits,
            committed: 0,
            offered: 0,
            condition,
            told,
            underway: None,
            last_snapshot,
            changed,
            snapshot_not_before: Tick::ZERO,
            last_failure: None,
            is_ending: false,
            lines: Vec::new(),
        }
    }

    /// Waits for changes, and takes what there is.
    fn take(&mut self, stop: &Stop) {
        let now = clock::tick();
        let writer = &self.journal.writer;
        let snapshot = writer.needs_snapshot().then_some(self.snapshot_not_before);
        let next = writer.due().into_iter().chain(snapshot).min();
        let due = next.map_or(IDLE_TIME, |next| next.saturating_sub(now));
        let wait = if self.underway.is_some() { Duration::ZERO } else { due };
        let mut batch = None;
        select! {
            recv(self.journal.queue.receiver()) -> taken => batch = taken.ok().map(|batch| self.journal.queue.taken(batch)),
            recv(stop.receiver()) -> _ => {}
            default(wait) => {}
        }
        let mut bytes = 0;
        while let Some(lines) = batch {
            bytes += lines.len();
            self.append(&lines);
            batch = if bytes < PIECE_BYTES { self.journal.queue.take().ok() } else { None };
        }
    }

    fn append(&mut self, lines: &Encoded) {
        if !lines.is_empty() {
            self.journal.writer.append(lines, clock::tick());
            self.changed += lines.len() as u64;
        }
    }

    /// Writes what was taken, syncs what is due, and goes on with a snapshot.
    fn keep(&mut self) {
        self.take_offered();
        let Journal { writer, queue, .. } = &mut self.journal;
        if queue.is_behind() {
            queue.clear_mark();
            writer.miss();
        }
        writer.write(clock::tick());
        let is_awaited = self.offered > self.committed && writer.trouble().is_none();
        if is_awaited || writer.due().is_some_and(|due| due <= clock::tick()) {
            self.sync();
        }
        // Before a snapshot's work, for which nobody is to wait.
        self.commit();
        self.step();
        self.commit();
        self.tell();
    }

    /// Takes all batches that sessions wait for.
    fn take_offered(&mut self) {
        let Some(commits) = self.commits else { return };
        let mut batches = Vec::new();
        let queue = &self.journal.queue;
        self.offered = commits.take(|| batches.extend(std::iter::from_fn(|| queue.take().ok())));
        batches.iter().for_each(|lines| self.append(lines));
    }

    /// Lets the sessions go on whose batches are on the disk.
    fn commit(&mut self) {
        let Some(commits) = self.commits else { return };
        let Journal { writer, queue, .. } = &self.journal;
        // What found no room, in the queue or in memory, is on the disk only with the next snapshot.
        let is_safe = writer.unsynced() == 0 && !writer.is_short() && !queue.is_behind();
        if is_safe && self.offered > self.committed {
            self.committed = self.offered;
            commits.commit(self.offered);
        }
    }

    fn sync(&mut self) {
        let (began, before) = (clock::tick(), self.journal.writer.unsynced());
        self.journal.writer.sync(began);
        if before == 0 {
            return;
        }
        let took = clock::tick().saturating_sub(began);
        self.told.syncs += 1;
        self.told.sync_time += took;
        self.told.sync_time_max = self.told.sync_time_max.max(took);
    }

    /// The next piece of a snapshot, if one is under way or due.
    fn step(&mut self) {
        let now = clock::tick();
        let writer = &mut self.journal.writer;
        let Some(Underway { snapshot, cursor, synced, .. }) = &mut self.underway else {
            let due = self.journal.snapshot_bytes.max(SNAPSHOT_SHARE * self.last_snapshot);
            if (writer.needs_snapshot() || self.changed >= due) && now >= self.snapshot_not_before {
                self.begin(now);
            }
            return;
        };
        self.lines.clear();
        let is_over = cursor.walk(self.node.store(), |_, record| {
            let has_room = self.lines.len() < PIECE_BYTES;
            if has_room {
                record.write(&mut self.lines);
                self.lines.push(b'\n');
            }
            has_room
        });
        let mut written = snapshot.write(&self.lines);
        if snapshot.bytes() - *synced >= SNAPSHOT_SYNC_BYTES {
            *synced = snapshot.bytes();
            written = written.and_then(|()| snapshot.sync());
        }
        if written.is_err() || is_over {
            self.finish(written, now);
        }
    }

    fn begin(&mut self, now: Tick) {
        match self.journal.writer.begin_snapshot(now) {
            Ok(snapshot) => {
                let (cursor, changed) = (Cursor::default(), self.changed);
                self.underway = Some(Underway { snapshot, cursor, synced: 0, changed });
            }
            Err(error) => self.put_off_snapshot(&error, now),
        }
    }

    fn finish(&mut self, written: io::Result<()>, now: Tick) {
        let Some(Underway { snapshot, changed, .. }) = self.underway.take() else { return };
        let writer = &mut self.journal.writer;
        let finished = match written {
            Ok(()) => writer.finish_snapshot(snapshot),
            Err(error) => {
                writer.abandon_snapshot(snapshot);
                Err(error)
            }
        };
        match finished {
            Ok(bytes) => {
                self.changed -= changed;
                self.last_snapshot = bytes;
                self.told.snapshots += 1;
                self.told.snapshot_bytes = bytes;
            }
            Err(error) => self.put_off_snapshot(&error, now),
        }
    }

    fn put_off_snapshot(&mut self, error: &io::Error, now: Tick) {
        let why = format!("the journal's snapshot could not be written: {error}");
        if !self.is_ending {
            self.log.warn(format_args!("{why}; it is tried again in {SNAPSHOT_RETRY_TIME:?}"));
            self.snapshot_not_before = now + SNAPSHOT_RETRY_TIME;
        } else if self.last_failure.as_ref() != Some(&why) {
            // Attempts follow soon upon each other now.
            self.log.warn(format_args!("{why}"));
            self.last_failure = Some(why);
        }
    }

    /// Everything that changed is in the queue by now. A snapshot spares the next start the changes.
    fn end(&mut self, stop: &Stop) {
        while let Ok(lines) = self.journal.queue.take() {
            self.append(&lines);
        }
        if self.journal.queue.is_behind() {
            self.journal.writer.miss();
        }
        self.is_ending = true;
        self.journal.writer.sync_at_last(clock::tick());
        let mut is_wanted = self.changed > 0 || self.journal.writer.needs_snapshot();
        while stop.by().is_none_or(|by| clock::tick() < by) {
            if self.underway.is_some() {
                self.step();
            } else if is_wanted || self.journal.writer.is_short() {
                // Once, and then only for what nothing else has.
                is_wanted = false;
                self.begin(clock::tick());
            } else if self.journal.writer.unsynced() > 0 {
                self.journal.writer.sync_at_last(clock::tick());
            } else {
                break;
            }
            let writer = &self.journal.writer;
            if self.underway.is_none() && (writer.unsynced() > 0 || writer.is_short()) {
                // The disk fails; it may still be freed.
                thread::sleep(LAST_RETRY_TIME);
            }
        }
        if let Some(Underway { snapshot, .. }) = self.underway.take() {
            self.journal.writer.abandon_snapshot(snapshot);
        }
        self.tell();
        if let Some(lack) = self.told.lack() {
            let why = self.journal.writer.trouble().or(self.last_failure.as_deref());
            let why = why.unwrap_or("there was no time for the snapshot that would have them");
            self.log.error(format_args!("the journal {lack}: {why}"));
        }
    }

    /// Brings up to date what others see of it, and logs when the disk begins or ends to fail.
    fn tell(&mut self) {
        let writer = &self.journal.writer;
        let failing = writer.trouble().map(str::to_owned);
        match (&self.told.failing, &failing) {
            (None, Some(why)) => {
                self.told.failures += 1;
                self.log.error(format_args!(
                    "the journal cannot be written: {why}; what changes is kept in memory, and the disk tried again"
                ));
            }
            (Some(_), None) => self.log.info(format_args!("the journal can be written again")),
            _ => {}
        }
        self.node.refuse_reports(failing.is_some() || writer.is_short());
        self.told.failing = failing;
        self.told.appended = writer.appended();
        self.told.unsynced = writer.unsynced();
        self.told.is_short = writer.is_short();
        self.condition.lock().clone_from(&self.told);
    }
}

#[cfg(test)]
mod tests;
