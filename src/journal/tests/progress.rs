//! How far a recovery is, as it is told.

use super::{super::names::FileKind, *};

/// What is told of a recovery of that disk.
fn told(disk: &FakeDisk) -> Vec<BytesRead> {
    let mut told = Vec::new();
    recover(disk, (&owner(), ROOM), |_| {}, |bytes| told.push(bytes)).unwrap();
    told
}

fn length(disk: &FakeDisk, is_one: impl Fn(FileId) -> bool) -> u64 {
    let ids = files(disk).into_iter().filter(|name| FileId::of_name(name).is_some_and(&is_one));
    ids.map(|name| disk.bytes(&name).len() as u64).sum()
}

#[test]
fn recovery_tells_how_much_it_has_read_of_how_much() {
    let disk = FakeDisk::new();
    assert!(told(&disk).iter().all(|bytes| bytes.of == 0));
    let mut node = Node::start(&disk);
    node.work(|_| {});
    let all = length(&disk, |_| true);
    let told = told(&disk);
    assert_eq!(told[0], BytesRead { read: 0, of: all });
    assert_eq!(*told.last().unwrap(), BytesRead { read: all, of: all });
    assert!(told.is_sorted_by_key(|bytes| bytes.read) && told.len() > 10, "{told:?}");
}

#[test]
fn more_is_to_be_read_once_a_snapshot_is_damaged() {
    let disk = FakeDisk::new();
    let mut node = Node::start(&disk);
    node.append(9);
    node.sync();
    let first = node.writer.begin_snapshot(Duration::ZERO).unwrap();
    let number = files(&disk).iter().filter_map(|name| FileId::of_name(name)).map(|id| id.number).max();
    // As a crash leaves them before the old files are removed: one that is not whole, and what it was to replace.
    drop(first);
    let partial = FileId::snapshot(number.unwrap()).partial_name();
    disk.rename(&partial, &FileId::snapshot(number.unwrap()).name()).unwrap();
    let snapshot = length(&disk, |id| id.kind == FileKind::Snapshot);
    let all = length(&disk, |_| true);
    let told = told(&disk);
    assert!(told[0].of < all && snapshot > 0, "{told:?}");
    assert_eq!(*told.last().unwrap(), BytesRead { read: all, of: all });
}
