//! The journal's thread: waits for changes and for the time of what is due, and passes on what the journal's `Keeper`
//! says. What is done when, and what goes where, is decided in `journal`.

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
        links::Queue,
        model::Tick,
        node::{Node, Retainer},
    },
    journal::{
        Folder, FolderLock, JournalBounds, JournalCondition, JournalWriter, Keeper, KeeperEvent, Owner,
        Recovered, RecoveryError, SnapshotBounds,
    },
    log::Log,
    system::{clock, random},
};

/// What is taken from the queue before anything else is looked at.
const PIECE_BYTES: usize = 1 << 20;
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
    keeper: Keeper<Folder, Salts>,
    /// How long sessions wait for it, if they do.
    commit_time: Option<Duration>,
    _lock: FolderLock,
}

impl Journal {
    /// Reads what the node knew when it ended, and begins to take its changes.
    pub(super) fn open(
        (config, folder): (&JournalConfig, PathBuf),
        node: &Node,
        (queue, retainer): (Queue, Option<&mut Retainer>),
        mut telling: Telling<'_>,
    ) -> Result<Self, JournalError> {
        let disk =
            Folder::at(&folder).map_err(|error| JournalError::Folder { folder: folder.clone(), error })?;
        let lock = disk.lock().map_err(|error| JournalError::Folder { folder: folder.clone(), error })?;
        let lock = lock.ok_or_else(|| JournalError::InUse(folder.clone()))?;
        let owner = Owner { herd: node.herd.clone(), node: node.id.to_string(), placement: node.check };
        let began = clock::tick();
        let mut recover = || {
            recover_into(node, &disk, (&owner, config.waiting_bytes), &mut telling)
                .map_err(|error| JournalError::Recovery { folder: folder.clone(), error })
        };
        let (mut found, mut read) = recover()?;
        let is_to_be_read_again =
            retainer.is_some_and(|retainer| retainer.recovered(node, read.watermark, clock::now()));
        if is_to_be_read_again {
            (found, read) = recover()?;
        }
        let time = clock::tick().saturating_sub(began);
        tell_recovery(telling.log, &found, (node.store().len(), time, read.bad_lines));
        let bounds = JournalBounds {
            segment_bytes: config.segment_bytes as u64,
            sync_bytes: config.sync_bytes,
            sync_time: config.sync_time,
            waiting_bytes: config.waiting_bytes,
            retry_time: config.retry_time,
            is_synced: config.is_synced(),
        };
        let snapshots = SnapshotBounds { bytes: config.snapshot_bytes as u64, ..SnapshotBounds::default() };
        let writer = JournalWriter::new(disk, owner, random::bytes::<16> as Salts, bounds, &found);
        let keeper = Keeper::new(writer, queue, snapshots, (&found, time), config.commits());
        let commit_time = config.commits().then_some(config.commit_time);
        Ok(Self { keeper, commit_time, _lock: lock })
    }

    /// What it says about itself before its thread runs.
    pub(super) fn condition(&self) -> JournalCondition {
        self.keeper.condition().clone()
    }

    /// Where sessions wait for it, if they do.
    pub(super) fn commits(&self) -> Option<Commits> {
        self.commit_time.map(Commits::new)
    }

    /// Takes changes until the stop, and brings all of them to the disk.
    pub(super) fn run(self, shared: &Shared<'_>, stop: &Stop, condition: &Mutex<JournalCondition>) {
        // Before the journal, so that it outlives what that holds.
        let _notice = DeathNotice {
            condition,
            release: &|| {
                shared.node.refuse_reports(true);
                // Nobody commits what sessions wait for.
                shared.commits.iter().for_each(|commits| commits.stop(Tick::ZERO, Uncommitted::Panicked));
                shared.log.error(format_args!("nothing is kept until this node restarts: {DEATH}"));
            },
        };
        let (node, log, commits) = (shared.node, shared.log, shared.commits.as_ref());
        let mut running = Running { journal: self, node, log, commits, condition };
        while !stop.is_set() {
            running.take(stop);
            running.keep();
        }
        running.end(stop);
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
            "{} bytes of the journal's last changes were not on the disk as a whole when this node ended, and are left out",
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
struct Running<'a> {
    journal: Journal,
    node: &'a Node,
    log: &'a Log,
    commits: Option<&'a Commits>,
    condition: &'a Mutex<JournalCondition>,
}

impl Running<'_> {
    /// Waits for changes, and takes what there is.
    fn take(&mut self, stop: &Stop) {
        let keeper = &mut self.journal.keeper;
        let wait = keeper.due().map_or(IDLE_TIME, |due| due.saturating_sub(clock::tick()));
        let mut batch = None;
        select! {
            recv(keeper.queue().receiver()) -> taken => batch = taken.ok().map(|batch| keeper.queue().taken(batch)),
            recv(stop.receiver()) -> _ => {}
            default(wait) => {}
        }
        let mut bytes = 0;
        while let Some(lines) = batch {
            bytes += lines.len();
            keeper.take(&lines, clock::tick());
            batch = if bytes < PIECE_BYTES { keeper.queue().take().ok() } else { None };
        }
    }

    /// Has it write what was taken, sync what is due, and go on with a snapshot.
    fn keep(&mut self) {
        self.take_offered();
        let keeper = &mut self.journal.keeper;
        keeper.write(clock::tick());
        if keeper.is_sync_due(clock::tick()) {
            keeper.sync(clock::tick);
        }
        // Before a snapshot's work, for which nobody is to wait.
        self.commit();
        self.journal.keeper.step(self.node.store(), clock::tick());
        self.commit();
        self.tell();
        if self.journal.keeper.is_in_snapshot() {
            // It would use its turn to the end; sessions that are due go first.
            thread::yield_now();
        }
    }

    /// Takes all batches that sessions wait for.
    fn take_offered(&mut self) {
        let Some(commits) = self.commits else { return };
        let keeper = &mut self.journal.keeper;
        let mut count = 0;
        let last = commits.take(|| count = keeper.queue().receiver().len());
        // One by one: with all of them beside a queue that fills up again, memory would be needed for both.
        for _ in 0..count {
            let Ok(batch) = keeper.queue().take() else { break };
            keeper.take(&batch, clock::tick());
        }
        keeper.has_taken(last);
    }

    /// Lets the sessions go on whose batches are on the disk.
    fn commit(&mut self) {
        if let Some(commits) = self.commits
            && let Some(last) = self.journal.keeper.commit()
        {
            commits.commit(last);
        }
    }

    /// Everything that changed is in the queue by now.
    fn end(&mut self, stop: &Stop) {
        self.journal.keeper.stop(clock::tick());
        while stop.by().is_none_or(|by| clock::tick() < by)
            && let Some(pause) = self.journal.keeper.step_to_end(self.node.store(), clock::tick())
        {
            self.log_events();
            thread::sleep(pause);
        }
        self.journal.keeper.end();
        self.tell();
    }

    /// Lets others see what it says about itself.
    fn tell(&mut self) {
        self.journal.keeper.look();
        self.log_events();
        let keeper = &self.journal.keeper;
        self.node.refuse_reports(keeper.refuses_reports());
        self.condition.lock().clone_from(keeper.condition());
    }

    fn log_events(&mut self) {
        while let Some(event) = self.journal.keeper.event() {
            match event {
                KeeperEvent::Failing(_) | KeeperEvent::Lacking { .. } => {
                    self.log.error(format_args!("{event}"));
                }
                KeeperEvent::NoSnapshot { .. } => self.log.warn(format_args!("{event}")),
                KeeperEvent::Mended => self.log.info(format_args!("{event}")),
            }
        }
    }
}

#[cfg(test)]
mod tests;
