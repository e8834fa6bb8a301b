//! A journal that is only looked at, and one whose damaged files are dismissed.

use super::*;

/// All files with their bytes.
fn contents(disk: &FakeDisk) -> Vec<(String, Vec<u8>)> {
    files(disk)
        .into_iter()
        .map(|name| {
            let bytes = disk.bytes(&name).clone();
            (name, bytes)
        })
        .collect()
}

#[test]
fn look_finds_what_a_start_would_find_and_changes_nothing() {
    let disk = FakeDisk::new();
    let mut node = Node::start(&disk);
    node.work(|_| {});
    // An unfinished snapshot, a flipped bit and a torn end.
    drop(node.writer.begin_snapshot(Duration::ZERO).unwrap());
    let last = files(&disk).into_iter().rfind(|name| FileId::of_name(name).is_some()).unwrap();
    node.append(9);
    node.sync();
    node.append(1);
    node.write();
    let length = disk.bytes(&last).len();
    disk.bytes(&last)[length / 3] ^= 1;
    disk.bytes(&last).truncate(length - 1);
    let before = contents(&disk);
    let mut progress = Vec::new();
    let seen = inspect(&disk, |bytes| progress.push(bytes)).unwrap();
    let last = progress.last().unwrap();
    assert!(progress[0].read == 0 && last.read > 0 && last.read == last.of, "{progress:?}");
    assert_eq!(contents(&disk), before);
    assert!(before.iter().any(|(name, _)| name.ends_with(".partial")), "{seen:?}");
    assert_eq!(seen.owner, Some(owner()));
    let mut lines = 0;
    let count = |text: &[u8]| lines += text.iter().filter(|byte| **byte == b'\n').count() as u64;
    let found = recover(&disk, (&owner(), 0), count, |_| {}).unwrap();
    assert_eq!((&seen.found, seen.records), (&found, lines));
    assert!(!seen.is_whole() && lines > 0, "{seen:?}");
}

#[test]
fn empty_folder_has_no_journal_and_a_new_one_is_whole() {
    let disk = FakeDisk::new();
    assert!(!is_journal(&disk).unwrap());
    // As a node leaves it that was told nothing.
    drop(disk.create("lock").unwrap());
    let seen = inspect(&disk, |_| {}).unwrap();
    assert!(is_journal(&disk).unwrap() && seen.is_empty() && seen.is_whole(), "{seen:?}");
    let mut node = Node::start(&disk);
    node.append(3);
    node.sync();
    let seen = inspect(&disk, |_| {}).unwrap();
    assert!(seen.is_whole() && !seen.is_empty(), "{seen:?}");
    assert_eq!((seen.snapshots, seen.segments, seen.records), (0, 1, 3));
}

#[test]
fn dismissing_removes_what_is_kept_aside_and_nothing_else() {
    let disk = FakeDisk::new();
    let mut node = Node::start(&disk);
    node.append(3);
    node.sync();
    let whole = contents(&disk);
    for name in ["segment-0000000000.damaged", "snapshot-0000000000.damaged", "notes.damaged"] {
        drop(disk.create(name).unwrap());
    }
    assert!(!inspect(&disk, |_| {}).unwrap().is_whole());
    let removed = || dismiss(&disk).unwrap().removed;
    assert_eq!(removed(), ["segment-0000000000.damaged", "snapshot-0000000000.damaged"]);
    assert_eq!(removed(), [""; 0]);
    // Gone for good, also if the power is cut now.
    for seed in 0..20 {
        assert!(inspect(&disk.after_power_cut(&mut Dice::new(seed)), |_| {}).unwrap().is_whole());
    }
    disk.remove("notes.damaged").unwrap();
    assert_eq!(contents(&disk), whole);
}

#[test]
fn dismissing_goes_on_after_a_failure_and_tells_what_is_left() {
    let disk = FakeDisk::new();
    let names = [0, 1, 2].map(|number| format!("segment-000000000{number}.damaged"));
    names.iter().for_each(|name| drop(disk.create(name).unwrap()));
    // The list of names is the first operation.
    disk.fail_at(disk.operations() + 1, DiskFault::Error(Errno::ACCESS));
    let Dismissed { removed, failed, unsynced } = dismiss(&disk).unwrap();
    assert_eq!(removed, names[1..]);
    assert!(failed.len() == 1 && failed[0].0 == names[0] && unsynced.is_none(), "{failed:?}");
    // As if another had removed it meanwhile; and the folder cannot be synced.
    disk.fail_at(disk.operations() + 1, DiskFault::Error(Errno::NOENT));
    let Dismissed { removed, failed, .. } = dismiss(&disk).unwrap();
    assert_eq!((&removed[..], failed.len()), (&names[..1], 0));
    disk.fail_at(disk.operations() + 2, DiskFault::Error(Errno::IO));
    let Dismissed { removed, unsynced, .. } = dismiss(&disk).unwrap();
    assert_eq!((&removed[..], unsynced.is_some()), (&names[..1], true));
}
