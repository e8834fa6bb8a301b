//! A journal whose disk is nearly full, whose snapshots fail, and whose folder has been through something.

use super::*;

/// A killed process has written lines that nothing has synced, or whose sync has failed; the next start reads them from the
/// system's memory, and does not rely on that.
#[test]
fn what_a_start_has_read_is_on_the_disk_after_its_first_sync() {
    for has_failed in [false, true] {
        let disk = FakeDisk::new();
        let mut node = Node::start(&disk);
        node.append(1);
        node.sync();
        node.append(3);
        node.write();
        if has_failed {
            // There is no room to tell them again.
            disk.fail_at(disk.operations(), DiskFault::Error(Errno::IO));
            disk.set_room(Some(0));
            node.sync();
            assert_eq!(node.safe().len(), 1);
        }
        let disk = disk.after_kill();
        let mut next = Node::start(&disk);
        assert_eq!(read(&disk).0, node.all());
        next.sync();
        assert_eq!((next.writer.unsynced(), next.writer.needs_snapshot()), (0, false));
        assert_eq!(next.writer.appended(), 0, "nothing has changed");
        let mut dice = Dice::new(3);
        for _ in 0..20 {
            let (lines, found) = read(&disk.after_power_cut(&mut dice));
            assert_eq!((lines, &found.damage[..]), (node.all(), &[][..]), "has failed: {has_failed}");
        }
    }
}

#[test]
fn more_than_a_start_may_remember_needs_a_snapshot() {
    let disk = FakeDisk::new();
    let mut node = Node::start(&disk);
    (0..4).for_each(|_| {
        node.append(1);
        node.write();
    });
    let length = node.lines.concat().len();
    for (room, is_short) in [(length, false), (length - 1, true)] {
        let disk = disk.after_kill();
        let mut next = Node::start_with(&disk, JournalBounds { waiting_bytes: room, ..BOUNDS });
        assert_eq!((next.writer.is_short(), next.writer.needs_snapshot()), (is_short, is_short));
        (next.lines, next.ends) = (node.lines.clone(), vec![length as u64; node.lines.len()]);
        next.sync();
        assert!(next.snapshot() && !next.writer.is_short());
        next.sync();
        assert_eq!(read(&disk.after_power_cut(&mut Dice::new(4))).0, next.all());
    }
}

#[test]
fn start_that_syncs_nothing_tells_nothing_again() {
    let disk = FakeDisk::new();
    let mut node = Node::start(&disk);
    node.append(3);
    node.write();
    assert_eq!(Node::start_with(&disk.after_kill(), NEVER_SYNCED).writer.unsynced(), 0);
}

#[test]
fn disk_that_is_nearly_full_takes_what_it_can_and_keeps_no_file_of_a_failure() {
    let disk = FakeDisk::new();
    let bounds =
        JournalBounds { segment_bytes: 1 << 20, sync_bytes: 1 << 20, waiting_bytes: 4 << 20, ..BOUNDS };
    let mut node = Node::start_with(&disk, bounds);
    node.append(1);
    node.sync();
    disk.set_room(Some(0));
    node.append(20_000);
    node.sync();
    let (unsynced, files_before) = (node.writer.unsynced(), files(&disk).len());
    for _ in 0..10 {
        node.sync();
    }
    assert_eq!(files(&disk).len(), files_before, "{:?}", files(&disk));
    // Room for a file with some of it, time and again.
    for _ in 0..3 {
        disk.set_room(Some(300_000));
        node.seconds += 60;
        node.sync();
        assert_holds(&disk.after_kill(), &node, "a little room");
    }
    assert!(node.writer.unsynced() < unsynced, "nothing of {unsynced} bytes was taken");
    disk.set_room(None);
    node.seconds += 60;
    node.sync();
    assert_eq!((node.safe(), node.writer.trouble()), (node.all(), None));
    let found = assert_holds(&disk.after_kill(), &node, "all room");
    assert_eq!(found.damage, []);
}

#[test]
fn snapshot_that_fails_is_no_trouble_of_the_segments() {
    for number in 0..6 {
        let disk = FakeDisk::new();
        let mut node = Node::start(&disk);
        node.append(3);
        node.sync();
        // Behind the rotation: its own file, its lines, its sync, its name.
        let operations = disk.operations();
        disk.fail_at(operations + 5 + number, DiskFault::Error(Errno::NOSPC));
        let is_written = node.snapshot();
        assert_eq!(node.writer.trouble(), None, "operation {number}");
        assert!(is_written || node.writer.needs_snapshot(), "operation {number}");
        node.append(1);
        node.sync();
        assert_eq!(node.safe(), node.all(), "operation {number}");
        assert!(node.snapshot());
        assert!(files(&disk).iter().all(|name| !name.ends_with(".partial")), "{:?}", files(&disk));
        assert_eq!(read(&disk.after_kill()).0, node.all());
    }
}

#[test]
fn damage_wants_a_snapshot_and_makes_nothing_less_safe() {
    let (disk, _) = small(false);
    let name = files(&disk).remove(1);
    let middle = disk.bytes(&name).len() / 2;
    disk.bytes(&name)[middle] ^= 0xff;
    let mut node = Node::start(&disk);
    assert!(node.writer.needs_snapshot() && !node.writer.is_short());
    node.append(2);
    node.sync();
    assert_eq!(node.writer.unsynced(), 0, "what was appended is on the disk");
    assert!(node.snapshot());
    assert!(!node.writer.needs_snapshot());
    assert!(files(&disk).contains(&format!("{name}.damaged")), "{:?}", files(&disk));
}

#[test]
fn what_is_dropped_during_a_snapshot_needs_another() {
    let disk = FakeDisk::new();
    let mut node = Node::start(&disk);
    node.append(1);
    let now = node.now();
    let mut snapshot = node.writer.begin_snapshot(now).unwrap();
    snapshot.write(node.lines.concat().as_bytes()).unwrap();
    node.writer.miss();
    assert!(node.writer.finish_snapshot(snapshot).is_ok());
    assert!(node.writer.is_short() && node.writer.needs_snapshot());
    assert!(node.snapshot());
    assert!(!node.writer.is_short());
}

#[test]
fn file_of_another_name_is_left_alone_and_a_number_beyond_all_is_none() {
    let (disk, node) = small(false);
    for name in ["movie.partial", "segment-18446744073709551615", "x.damaged"] {
        drop(disk.create(name).unwrap());
    }
    drop(disk.create("snapshot-0000000009.partial").unwrap());
    let (lines, found) = read(&disk);
    assert_eq!((lines, &found.set_aside[..]), (node.all(), &[][..]));
    let names = files(&disk);
    assert!(
        names.contains(&"movie.partial".to_owned()) && names.contains(&"x.damaged".to_owned()),
        "{names:?}"
    );
    assert!(!names.contains(&"snapshot-0000000009.partial".to_owned()), "{names:?}");
}

#[test]
fn snapshots_that_fail_leave_no_row_of_empty_segments() {
    let disk = FakeDisk::new();
    let mut node = Node::start(&disk);
    node.append(1);
    node.sync();
    for _ in 0..5 {
        let now = node.now();
        let snapshot = node.writer.begin_snapshot(now).unwrap();
        node.writer.abandon_snapshot(snapshot);
    }
    assert_eq!(files(&disk), ["segment-0000000001", "segment-0000000006"]);
    node.append(1);
    node.sync();
    let (lines, found) = read(&disk);
    assert_eq!((lines, &found.damage[..]), (node.all(), &[][..]));
}

/// `sync = "never"`.
const NEVER_SYNCED: JournalBounds = JournalBounds { is_synced: false, ..BOUNDS };

/// What the system was given counts as safe, and must stay, whatever becomes of its segment.
#[test]
fn kill_loses_nothing_though_nothing_is_ever_synced() {
    let operations = {
        let disk = FakeDisk::new();
        Node::start_with(&disk, NEVER_SYNCED).work(|_| {});
        disk.operations()
    };
    for number in 0..operations {
        let disk = FakeDisk::new();
        disk.fail_at(number, DiskFault::Error(Errno::NOSPC));
        let mut node = Node::start_with(&disk, NEVER_SYNCED);
        let what = format!("failure at {number}");
        node.work(|node| {
            let found = assert_holds(&disk.after_kill(), node, &what);
            assert_eq!(found.damage, [], "{what}");
        });
        node.sync();
        assert_eq!((node.safe(), node.writer.trouble()), (node.all(), None), "{what}");
    }
}

#[test]
fn torn_end_of_what_was_never_synced_is_no_damage() {
    let disk = FakeDisk::new();
    let mut node = Node::start_with(&disk, NEVER_SYNCED);
    for _ in 0..9 {
        node.append(2);
        node.write();
    }
    let names = files(&disk);
    assert!(names.len() > 1, "{names:?}");
    let length = disk.bytes(&names[0]).len();
    disk.bytes(&names[0]).truncate(length - 40);
    let (_, found) = read(&disk);
    assert!(found.torn > 0 && found.damage.is_empty(), "{found:?}");
}
