//! A journal at work on disks that fail, step by step: what is committed when, what is told, and what is done at a stop.

use std::sync::Arc;

use rustix::io::Errno;

use super::*;
use crate::{
    core::{
        links::{Outbox, outbox},
        store::Placement,
    },
    journal::{
        JournalBounds, Owner,
        fake_disk::{DiskFault, FakeDisk},
        recover, store_lines,
    },
};

const SECOND: Duration = Duration::from_secs(1);

/// How much of what may be lost a start remembers.
const ROOM: usize = 1 << 20;

/// A location of each of these clients.
fn batch(clients: impl Iterator<Item = usize>) -> Encoded {
    let line = |client| format!("AT Alford +0.100000000 kiwi-{client} +34.068930-118.445127 1400000000\n");
    Arc::from(clients.map(line).collect::<String>().as_bytes())
}

fn owner() -> Owner {
    Owner { herd: "quick".to_owned(), node: "Alford".to_owned(), placement: 77 }
}

fn store() -> Store {
    Store::new(Placement::of_herd("quick"), usize::MAX)
}

/// A node's journal, and what its driver would know.
struct Scene {
    disk: FakeDisk,
    store: Store,
    outbox: Outbox,
    keeper: Keeper<FakeDisk, fn() -> io::Result<[u8; 16]>>,
    offered: u64,
    now: Tick,
}

impl Scene {
    fn new(queue_bytes: usize, bounds: SnapshotBounds) -> Self {
        Self::on(FakeDisk::new(), queue_bytes, bounds)
    }

    /// After a start that has read what is on that disk.
    fn on(disk: FakeDisk, queue_bytes: usize, bounds: SnapshotBounds) -> Self {
        let store = store();
        let (outbox, queue) = outbox(queue_bytes);
        let found = recover(&disk, (&owner(), ROOM), |_| {}, |_| {}).unwrap();
        let salts: fn() -> _ = || Ok([7; 16]);
        let writer = JournalWriter::new(disk.clone(), owner(), salts, JournalBounds::default(), &found);
        let keeper = Keeper::new(writer, queue, bounds, (&found, Duration::ZERO), true);
        Self { disk, store, outbox, keeper, offered: 0, now: Tick::ZERO }
    }

    /// Stores these clients' locations and offers them. Returns the batch's number.
    fn offer(&mut self, clients: std::ops::Range<usize>) -> u64 {
        let batch = batch(clients);
        assert_eq!(store_lines(&self.store, &batch).bad_lines, 0);
        self.outbox.offer(&batch);
        self.offered += 1;
        self.offered
    }

    /// One turn of its driver, which takes no time. Returns what is committed.
    fn turn(&mut self) -> Option<u64> {
        let keeper = &mut self.keeper;
        let batches: Vec<_> = std::iter::from_fn(|| keeper.queue().take().ok()).collect();
        batches.iter().for_each(|batch| keeper.take(batch, self.now));
        keeper.has_taken(self.offered);
        keeper.write(self.now);
        if keeper.is_sync_due(self.now) {
            keeper.sync(|| self.now);
        }
        let first = keeper.commit();
        keeper.step(&self.store, self.now);
        keeper.commit().or(first)
    }

    fn events(&mut self) -> Vec<String> {
        self.keeper.look();
        std::iter::from_fn(|| self.keeper.event()).map(|event| event.to_string()).collect()
    }

    /// How many clients the next start will know if the process is killed now.
    fn kept(&self) -> usize {
        let known = store();
        let take = |lines: &[u8]| assert_eq!(store_lines(&known, lines).bad_lines, 0);
        recover(&self.disk.after_kill(), (&owner(), ROOM), take, |_| {}).unwrap();
        known.len()
    }
}

#[test]
fn batch_is_committed_once_it_is_synced_and_those_that_are_taken_later_are_not() {
    let mut scene = Scene::new(10_000, SnapshotBounds::default());
    let first = scene.offer(0..2);
    let batches: Vec<_> = std::iter::from_fn(|| scene.keeper.queue().take().ok()).collect();
    batches.iter().for_each(|batch| scene.keeper.take(batch, scene.now));
    scene.keeper.has_taken(first);
    scene.keeper.write(scene.now);
    assert_eq!((scene.keeper.commit(), scene.kept()), (None, 2), "it is written, not synced");
    assert!(scene.keeper.is_sync_due(scene.now));
    let second = scene.offer(2..3);
    scene.keeper.sync(|| scene.now);
    assert_eq!((scene.keeper.commit(), scene.keeper.commit()), (Some(first), None));
    assert_eq!((scene.turn(), scene.kept()), (Some(second), 3));
    assert_eq!((scene.keeper.due(), scene.keeper.condition().syncs), (None, 2));
}

#[test]
fn what_nobody_waits_for_is_synced_when_it_is_old_enough() {
    let mut scene = Scene::new(10_000, SnapshotBounds::default());
    scene.keeper.take(&batch(0..1), SECOND);
    scene.keeper.write(SECOND);
    assert_eq!(scene.keeper.due(), Some(2 * SECOND));
    assert!(!scene.keeper.is_sync_due(SECOND) && scene.keeper.is_sync_due(2 * SECOND));
    let times = std::cell::Cell::new(2 * SECOND);
    scene.keeper.sync(|| times.replace(times.get() + SECOND));
    let JournalCondition { syncs, sync_time, unsynced, appended, .. } = scene.keeper.look();
    assert_eq!((*syncs, *sync_time, *unsynced), (1, SECOND, 0));
    assert_eq!(*appended, batch(0..1).len() as u64);
}

#[test]
fn batch_that_found_no_room_is_committed_once_a_snapshot_has_it() {
    let mut scene = Scene::new(100, SnapshotBounds::default());
    scene.offer(9..10);
    let number = scene.offer(0..2);
    assert!(scene.outbox.is_behind());
    assert_eq!((scene.turn(), scene.keeper.refuses_reports()), (None, true));
    assert_eq!(scene.keeper.look().lack(), Some(JournalLack::Uncounted));
    assert_eq!(scene.keeper.due(), Some(Tick::ZERO), "a snapshot is under way");
    assert_eq!((scene.turn(), scene.kept()), (Some(number), 3));
    assert_eq!((scene.keeper.refuses_reports(), scene.keeper.look().lack()), (false, None));
}

#[test]
fn snapshot_is_written_in_pieces_between_which_changes_are_synced() {
    let bounds = SnapshotBounds { bytes: 1_000, piece_bytes: 100, ..SnapshotBounds::default() };
    let mut scene = Scene::new(100_000, bounds);
    let first = scene.offer(0..40);
    assert_eq!(scene.turn(), Some(first));
    let mut turns = 0;
    while scene.keeper.look().snapshots == 0 {
        let number = scene.offer(40 + turns..41 + turns);
        assert_eq!(scene.turn(), Some(number), "nobody waits for a snapshot");
        turns += 1;
    }
    assert!(turns > 10, "{turns}");
    assert_eq!(scene.kept(), 40 + turns);
    assert!(scene.keeper.look().snapshot_bytes > 0 && scene.keeper.due().is_none());
}

#[test]
fn what_was_forgotten_leaves_the_files_within_the_hour() {
    let mut scene = Scene::new(10_000, SnapshotBounds::default());
    let hour = SnapshotBounds::default().forgetting_time;
    scene.offer(0..2);
    scene.turn();
    assert_eq!(scene.keeper.forgetting_due, None);
    let forgot = |client| {
        format!("AT Alford +0.100000000 b +1+1 1\nFORGOT kiwi-{client} 1400000000000 1400000000 Alford\n")
    };
    for (client, at) in [(0, 1), (1, 5)] {
        scene.now = SECOND * at;
        let batch: Encoded = Arc::from(forgot(client).as_bytes());
        assert_eq!(store_lines(&scene.store, &batch).bad_lines, 0);
        scene.outbox.offer(&batch);
        scene.offered += 1;
        scene.turn();
    }
    let snapshots = |scene: &Scene| scene.keeper.condition.snapshots;
    let started_anew = |scene: &Scene| Scene::on(scene.disk.clone(), 10_000, SnapshotBounds::default());
    assert_eq!(started_anew(&scene).keeper.due(), Some(Tick::ZERO), "how long ago is unknown after a start");
    // Because of the first of them, and not before.
    assert_eq!(scene.keeper.due(), Some(SECOND + hour));
    scene.now = hour;
    scene.turn();
    assert!(!scene.keeper.is_in_snapshot());
    scene.now = SECOND + hour;
    scene.turn();
    assert!(scene.keeper.is_in_snapshot());
    // This one comes too late for the snapshot under way.
    let batch: Encoded = Arc::from(&b"FORGOT late 1400000000000 0 Alford\n"[..]);
    scene.outbox.offer(&batch);
    scene.offered += 1;
    scene.turn();
    assert_eq!((snapshots(&scene), scene.keeper.due()), (1, Some(SECOND + hour * 2)));
    scene.now += hour;
    scene.turn();
    scene.turn();
    assert_eq!(snapshots(&scene), 2);
    assert_eq!(started_anew(&scene).keeper.due(), None, "a snapshot has nothing but the tombstone");
}

#[test]
fn disk_that_begins_and_ends_to_fail_is_told_once_each_and_nothing_is_committed_meanwhile() {
    let mut scene = Scene::new(10_000, SnapshotBounds::default());
    scene.disk.set_room(Some(10));
    let number = scene.offer(0..1);
    for _ in 0..3 {
        assert_eq!(scene.turn(), None);
        scene.now += SECOND / 10;
    }
    let failing = "the journal cannot be written: No space left on device (os error 28); \
                   what changes is kept in memory, and the disk tried again";
    assert_eq!((scene.events(), scene.keeper.refuses_reports()), (vec![failing.to_owned()], true));
    scene.disk.set_room(None);
    scene.now = scene.keeper.due().unwrap();
    assert_eq!(scene.turn(), Some(number));
    assert_eq!(scene.events(), ["the journal can be written again"]);
    assert_eq!((scene.keeper.refuses_reports(), scene.keeper.condition().failures), (false, 1));
}

#[test]
fn snapshot_that_fails_is_put_off_and_told() {
    let bounds = SnapshotBounds { bytes: 10, ..SnapshotBounds::default() };
    let mut scene = Scene::new(10_000, bounds);
    let number = scene.offer(0..1);
    // A segment: file, header, two syncs, frame, sync; its end, another, and then the snapshot's file.
    scene.disk.fail_at(scene.disk.operations() + 11, DiskFault::Error(Errno::IO));
    assert_eq!(scene.turn(), Some(number));
    let told = "the journal's snapshot could not be written: Input/output error (os error 5); \
                it is tried again in 30s";
    assert_eq!(scene.events(), [told]);
    assert_eq!(scene.keeper.due(), Some(bounds.retry_time));
    scene.now = bounds.retry_time;
    assert_eq!([scene.turn(), scene.turn()], [None; 2]);
    assert_eq!((scene.keeper.look().snapshots, scene.events().len()), (1, 0));
}

#[test]
fn stop_takes_what_is_left_and_says_what_it_could_not_keep() {
    let mut scene = Scene::new(10_000, SnapshotBounds::default());
    scene.offer(0..2);
    scene.keeper.stop(scene.now);
    while let Some(pause) = scene.keeper.step_to_end(&scene.store, scene.now) {
        assert_eq!(pause, Duration::ZERO);
    }
    scene.keeper.end();
    assert_eq!((scene.kept(), scene.keeper.look().snapshots, scene.events().len()), (2, 1, 0));
    let mut scene = Scene::new(10_000, SnapshotBounds::default());
    scene.offer(0..2);
    scene.disk.set_room(Some(0));
    scene.keeper.stop(scene.now);
    for _ in 0..3 {
        assert_eq!(scene.keeper.step_to_end(&scene.store, scene.now), Some(LAST_RETRY_TIME));
    }
    scene.keeper.end();
    let events = scene.events();
    let bytes = batch(0..2).len();
    assert_eq!(
        events.last().unwrap(),
        &format!(
            "the journal lacks {bytes} bytes of the last changes: No space left on device (os error 28)"
        )
    );
    assert_eq!(events.iter().filter(|event| event.contains("snapshot could not")).count(), 1, "{events:?}");
}
