//! The journal on disks that fail. What a map would hold is the set of all lines here; a snapshot has all of them.

use std::{cell::Cell, collections::BTreeSet, io, time::Duration};

use rustix::io::Errno;

use super::{
    fake_disk::{Dice, DiskFault, FakeDisk},
    names::FileId,
    recovery::RecoveryError,
    *,
};

mod folder;
mod holes;
mod inspection;
mod progress;
mod strain;

const BOUNDS: JournalBounds = JournalBounds {
    segment_bytes: 700,
    sync_bytes: 400,
    sync_time: Duration::from_secs(1),
    waiting_bytes: 2000,
    retry_time: Duration::from_secs(1),
    is_synced: true,
};

/// How much of what may be lost a start remembers.
const ROOM: usize = BOUNDS.waiting_bytes;

fn owner() -> Owner {
    Owner { herd: "quick".to_owned(), node: "Alford".to_owned(), placement: 77 }
}

fn line(number: usize) -> String {
    format!("AT Alford +0.263873386 kiwi{number}.cs.ucla.edu +34.068930-118.445127 {number}\n")
}

/// What a journal holds.
fn read(disk: &FakeDisk) -> (BTreeSet<String>, Recovered) {
    let mut lines = BTreeSet::new();
    let found = recover(
        disk,
        (&owner(), ROOM),
        |text| {
            let text = std::str::from_utf8(text).unwrap();
            assert!(text.ends_with('\n'), "{text:?}");
            lines.extend(text.split_inclusive('\n').map(str::to_owned));
        },
        |_| {},
    );
    (lines, found.unwrap())
}

/// A node's journal at work: lines are appended, written, synced, and now and then all are in a snapshot.
struct Node {
    writer: JournalWriter<FakeDisk, fn() -> io::Result<[u8; 16]>>,
    lines: Vec<String>,
    /// Where each ends, in bytes of lines appended.
    ends: Vec<u64>,
    seconds: u64,
}

thread_local! {
    static SALTS: Cell<u8> = const { Cell::new(0) };
}

fn salt() -> io::Result<[u8; 16]> {
    SALTS.set(SALTS.get().wrapping_add(1));
    Ok([SALTS.get(); 16])
}

impl Node {
    fn start(disk: &FakeDisk) -> Self {
        Self::start_with(disk, BOUNDS)
    }

    fn start_with(disk: &FakeDisk, bounds: JournalBounds) -> Self {
        let owned = (&owner(), bounds.waiting_bytes);
        let found = recover(disk, owned, |_| {}, |_| {}).unwrap_or_default();
        let writer = JournalWriter::new(disk.clone(), owner(), salt as fn() -> _, bounds, &found);
        Self { writer, lines: Vec::new(), ends: Vec::new(), seconds: 0 }
    }

    fn now(&mut self) -> Duration {
        self.seconds += 10;
        Duration::from_secs(self.seconds)
    }

    fn append(&mut self, count: usize) {
        let now = self.now();
        let first = self.lines.len();
        let lines: Vec<_> = (first..first + count).map(line).collect();
        let end = self.writer.append(lines.concat().as_bytes(), now);
        self.ends.extend(lines.iter().map(|_| end));
        self.lines.extend(lines);
    }

    fn write(&mut self) {
        let now = self.now();
        self.writer.write(now);
    }

    fn sync(&mut self) {
        let now = self.now();
        self.writer.sync(now);
    }

    /// Writes a snapshot of what there is, while more comes.
    fn snapshot(&mut self) -> bool {
        let now = self.now();
        let Ok(mut snapshot) = self.writer.begin_snapshot(now) else { return false };
        let lines = self.lines.clone();
        self.append(1);
        self.write();
        if lines.chunks(3).try_for_each(|lines| snapshot.write(lines.concat().as_bytes())).is_err() {
            self.writer.abandon_snapshot(snapshot);
            return false;
        }
        self.writer.finish_snapshot(snapshot).is_ok()
    }

    /// The lines that are said to be on the disk.
    fn safe(&self) -> BTreeSet<String> {
        let synced = self.writer.synced();
        let lines = self.lines.iter().zip(&self.ends).filter(|(_, end)| **end <= synced);
        lines.map(|(line, _)| line.clone()).collect()
    }

    fn all(&self) -> BTreeSet<String> {
        self.lines.iter().cloned().collect()
    }

    /// A day of it.
    fn work(&mut self, mut check: impl FnMut(&Self)) {
        for step in 0..24 {
            match step {
                4 | 14 => drop(self.snapshot()),
                _ if step % 6 == 5 => self.sync(),
                _ if step % 2 == 0 => self.append(1 + step % 5),
                _ => self.write(),
            }
            check(self);
        }
        self.append(2);
        self.sync();
        check(self);
    }
}

/// Asserts that the disk holds what is said to be safe and nothing that was never appended.
fn assert_holds(disk: &FakeDisk, node: &Node, what: &str) -> Recovered {
    let (lines, found) = read(disk);
    let missing: Vec<_> = node.safe().difference(&lines).cloned().collect();
    assert!(missing.is_empty(), "{what}: lost {missing:?}, {found:?}");
    assert!(lines.is_subset(&node.all()), "{what}: invented {lines:?}");
    found
}

#[test]
fn all_that_was_synced_is_read_again_and_the_next_start_goes_on() {
    let disk = FakeDisk::new();
    let mut node = Node::start(&disk);
    node.work(|_| {});
    assert_eq!((node.writer.unsynced(), node.safe()), (0, node.all()));
    let (lines, found) = read(&disk);
    assert_eq!((lines, found.torn, &found.damage[..]), (node.all(), 0, &[][..]));
    assert!(found.files > 1, "{found:?}");
    let mut next = Node::start(&disk);
    (next.lines, next.ends) = (node.lines.clone(), vec![0; node.lines.len()]);
    next.append(3);
    next.sync();
    assert_eq!(read(&disk).0, next.all());
}

#[test]
fn kill_loses_nothing_that_was_written_and_a_power_cut_nothing_that_was_synced() {
    let disk = FakeDisk::new();
    let mut node = Node::start(&disk);
    let mut dice = Dice::new(1);
    node.work(|node| {
        for cut in 0..20 {
            let found = assert_holds(&disk.after_power_cut(&mut dice), node, &format!("cut {cut}"));
            assert_eq!(found.damage, [], "a power cut is not damage");
        }
        assert_holds(&disk.after_kill(), node, "kill");
    });
    node.append(2);
    node.write();
    assert_eq!(read(&disk.after_kill()).0, node.all());
}

#[test]
fn every_operation_may_fail_and_nothing_is_lost() {
    let operations = {
        let disk = FakeDisk::new();
        Node::start(&disk).work(|_| {});
        disk.operations()
    };
    assert!(operations > 50, "{operations}");
    let faults = [Errno::IO, Errno::NOSPC, Errno::INTR].map(DiskFault::Error);
    for fault in faults.into_iter().chain([DiskFault::Short]) {
        for number in 0..operations {
            let disk = FakeDisk::new();
            disk.fail_at(number, fault);
            let mut node = Node::start(&disk);
            let (mut dice, what) = (Dice::new(number as u64), format!("{fault:?} at {number}"));
            node.work(|node| {
                for _ in 0..3 {
                    let found = assert_holds(&disk.after_power_cut(&mut dice), node, &what);
                    assert_eq!(found.damage, [], "{what}");
                }
            });
            node.sync();
            assert_eq!(node.writer.trouble(), None, "{what}");
            assert_eq!(node.safe(), node.all(), "{what}");
            assert_eq!(read(&disk.after_kill()).0, node.all(), "{what}");
        }
    }
}

#[test]
fn crash_at_every_operation_loses_nothing_that_was_safe() {
    let operations = {
        let disk = FakeDisk::new();
        Node::start(&disk).work(|_| {});
        disk.operations()
    };
    for number in 0..operations {
        let disk = FakeDisk::new();
        disk.fail_at(number, DiskFault::Crash);
        let mut node = Node::start(&disk);
        node.work(|_| {});
        let mut dice = Dice::new(number as u64);
        for cut in 0..10 {
            let after = disk.after_power_cut(&mut dice);
            let found = assert_holds(&after, &node, &format!("crash at {number}, cut {cut}"));
            assert_eq!(found.damage, [], "crash at {number}, cut {cut}");
            // What recovery itself does may be interrupted, too.
            assert_holds(&after.after_power_cut(&mut dice), &node, &format!("again at {number}, cut {cut}"));
        }
        assert_holds(&disk.after_kill(), &node, &format!("kill at {number}"));
    }
}

/// A small journal of three segments, and a snapshot if wanted.
fn small(has_snapshot: bool) -> (FakeDisk, Node) {
    let disk = FakeDisk::new();
    let mut node = Node::start(&disk);
    for count in [2, 3, 1, 2, 4, 1, 2, 2] {
        node.append(count);
        node.sync();
    }
    if has_snapshot {
        assert!(node.snapshot());
        node.append(1);
        node.sync();
    }
    (disk, node)
}

fn files(disk: &FakeDisk) -> Vec<String> {
    disk.names().unwrap()
}

#[test]
fn every_flipped_bit_costs_one_frame_and_is_told() {
    for has_snapshot in [false, true] {
        let (disk, node) = small(has_snapshot);
        let names = files(&disk);
        assert!(names.len() >= 2, "{names:?}");
        for name in &names {
            let bits = disk.bytes(name).len() * 8;
            for bit in 0..bits {
                disk.bytes(name)[bit / 8] ^= 1 << (bit % 8);
                let (lines, found) = read(&disk);
                let missing: Vec<_> = node.lines.iter().filter(|line| !lines.contains(*line)).collect();
                assert!(lines.is_subset(&node.all()), "{name}, bit {bit}");
                assert!(missing.len() <= 4, "{name}, bit {bit}: {missing:?}");
                let is_told = found.torn > 0 || !found.damage.is_empty();
                assert!(missing.is_empty() || is_told, "{name}, bit {bit}: {missing:?} untold");
                disk.bytes(name)[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }
}

#[test]
fn every_truncation_keeps_what_is_before_it_and_is_told() {
    let (disk, node) = small(false);
    let names = files(&disk);
    for (index, name) in names.iter().enumerate() {
        let whole = disk.bytes(name).clone();
        for length in 0..whole.len() {
            disk.bytes(name).truncate(length);
            let (lines, found) = read(&disk);
            assert!(lines.is_subset(&node.all()));
            let is_last = index + 1 == names.len();
            // The end of the last one may never have been on the disk: nobody can tell where it was.
            let is_told = is_last || !found.damage.is_empty() || lines == node.all();
            assert!(is_told, "{name} to {length}: {found:?}");
            *disk.bytes(name) = whole.clone();
        }
    }
}

/// etcd-io/etcd#5230, #6515: zeros, as preallocation or a file system leaves them, are no records.
#[test]
fn zeros_at_the_end_are_no_frames() {
    let (disk, node) = small(false);
    let last = files(&disk).pop().unwrap();
    disk.bytes(&last).extend([0; 5000]);
    let (lines, found) = read(&disk);
    assert_eq!((lines, found.torn, &found.damage[..]), (node.all(), 5000, &[][..]));
}

/// redis/redis#5177: garbage in the tail does not keep a node from starting, now or later.
#[test]
fn garbage_at_the_end_is_cut_and_the_journal_goes_on() {
    let (disk, node) = small(false);
    let last = files(&disk).pop().unwrap();
    disk.bytes(&last).extend(b"\xf5\x10\0\0\0\0\0\0garbage that looks like the beginning of a frame");
    let mut next = Node::start(&disk);
    (next.lines, next.ends) = (node.lines.clone(), vec![0; node.lines.len()]);
    next.append(2);
    next.sync();
    let (lines, found) = read(&disk);
    assert_eq!(lines, next.all());
    assert!(found.torn > 0 && found.damage.is_empty(), "{found:?}");
}

/// fjall-rs/fjall#311: damage in the middle is not taken for a torn tail; what follows it is used.
#[test]
fn damage_in_the_middle_is_told_and_what_follows_is_used() {
    let (disk, node) = small(false);
    let name = files(&disk).remove(1);
    let middle = disk.bytes(&name).len() / 2;
    disk.bytes(&name)[middle] ^= 0xff;
    let (lines, found) = read(&disk);
    let [damage] = &found.damage[..] else { panic!("{found:?}") };
    assert_eq!((&damage.file, found.torn), (&name, 0));
    let missing = node.all().difference(&lines).count();
    assert!((1..=4).contains(&missing), "{missing}");
    assert!(lines.contains(node.lines.last().unwrap()));
}

/// nats-io/nats-server#7549: one flipped bit in a snapshot does not take the rest with it.
#[test]
fn damaged_snapshot_gives_what_is_good_of_it() {
    let (disk, node) = small(true);
    let name = files(&disk).into_iter().find(|name| name.starts_with("snapshot")).unwrap();
    let middle = disk.bytes(&name).len() / 2;
    disk.bytes(&name)[middle] ^= 4;
    let (lines, found) = read(&disk);
    assert!(found.damage.iter().all(|damage| damage.file == name) && !found.damage.is_empty(), "{found:?}");
    assert!(node.all().difference(&lines).count() <= 3);
}

/// redis/redis#8751 and the fsync lesson of 2018: a file that failed once is left alone. The fake disk makes such a
/// file's later syncs succeed and lose its bytes, so syncing it again would be seen as a loss.
#[test]
fn failed_sync_is_not_repeated_on_the_same_file() {
    for failing in 0..40 {
        let disk = FakeDisk::new();
        let mut node = Node::start(&disk);
        disk.fail_at(disk.operations() + failing, DiskFault::Error(Errno::IO));
        for _ in 0..6 {
            node.append(2);
            node.sync();
            let mut dice = Dice::new(failing as u64);
            assert_holds(&disk.after_power_cut(&mut dice), &node, &format!("failing {failing}"));
        }
        assert_eq!(node.safe(), node.all());
    }
}

#[test]
fn bytes_that_look_like_frames_are_not_taken_for_frames() {
    let (disk, _) = small(false);
    let name = files(&disk).pop().unwrap();
    // Whole frames of this very journal, which a client that had read the disk could send as its id.
    let stolen = disk.bytes(&name).clone();
    let mut node = Node::start(&disk);
    let mut text = b"AT Alford +0.1 ".to_vec();
    text.extend(stolen.iter().map(|byte| if byte.is_ascii_whitespace() { b'_' } else { *byte }));
    text.extend(b" +1+1 1\n");
    let now = node.now();
    node.writer.append(&text, now);
    node.sync();
    let last = files(&disk).pop().unwrap();
    // Its own frame is damaged, so that its inside is searched.
    let begin = disk.bytes(&last).len() - text.len();
    disk.bytes(&last)[begin] ^= 1;
    let mut lines = Vec::new();
    let found = recover(&disk, (&owner(), ROOM), |text| lines.push(text.to_vec()), |_| {}).unwrap();
    assert!(found.torn > 0, "{found:?}");
    let texts = lines.concat();
    assert!(!texts.windows(4).any(|word| word == b"+1+1"), "it was read");
    let (own, _) = small(false);
    assert_eq!(found.bytes, read(&own).1.bytes);
}

#[test]
fn full_disk_costs_nothing_while_there_is_memory_and_a_snapshot_brings_the_rest() {
    let disk = FakeDisk::new();
    let mut node = Node::start(&disk);
    node.append(3);
    node.sync();
    disk.set_room(Some(40));
    for _ in 0..8 {
        node.append(2);
        node.sync();
        assert_holds(&disk.after_kill(), &node, "full");
    }
    assert!(
        node.writer.trouble().unwrap().contains("No space left on device"),
        "{:?}",
        node.writer.trouble()
    );
    assert!(!node.writer.is_short() && node.writer.unsynced() > 0);
    let files_of_a_full_disk = files(&disk).len();
    // More than memory may hold.
    node.append(30);
    assert!(node.writer.is_short());
    node.sync();
    assert!(!node.snapshot());
    assert!(files(&disk).len() <= files_of_a_full_disk + 1, "{:?}", files(&disk));
    disk.set_room(None);
    node.append(1);
    node.sync();
    assert_ne!(node.safe(), node.all(), "what was dropped is said to be safe");
    assert_holds(&disk.after_kill(), &node, "freed");
    assert!(node.snapshot());
    node.sync();
    assert_eq!((node.safe(), node.writer.is_short(), node.writer.trouble()), (node.all(), false, None));
    assert_eq!(read(&disk.after_kill()).0, node.all());
}

#[test]
fn files_of_others_are_refused_and_left_alone() {
    let (disk, _) = small(false);
    let names = files(&disk);
    let refused = |owner: &Owner| {
        recover(&disk, (owner, ROOM), |_| panic!("it was read"), |_| {}).unwrap_err().to_string()
    };
    let other = Owner { node: "Ball".to_owned(), ..owner() };
    assert_eq!(
        refused(&other),
        "segment-0000000001 is of node Alford of herd quick; give each node a folder of its own"
    );
    assert!(refused(&Owner { herd: "other".to_owned(), ..owner() }).contains("herd quick"));
    let rekeyed = Owner { placement: 78, ..owner() };
    assert!(refused(&rekeyed).starts_with("segment-0000000001 was written under another placement key"));
    assert_eq!(files(&disk), names);
    disk.fail_at(disk.operations() + 1, DiskFault::Error(Errno::IO));
    assert!(matches!(recover(&disk, (&owner(), ROOM), |_| {}, |_| {}), Err(RecoveryError::Disk { .. })));
}

#[test]
fn real_folder_does_what_the_fake_one_does() {
    let parent = tempfile::tempdir().unwrap();
    let folder = Folder::at(&parent.path().join("a/b")).unwrap();
    let found = recover(&folder, (&owner(), ROOM), |_| {}, |_| {}).unwrap();
    let mut writer = JournalWriter::new(folder.clone(), owner(), salt, BOUNDS, &found);
    let now = Duration::ZERO;
    for number in 0..20 {
        writer.append(line(number).as_bytes(), now);
        writer.sync(now);
    }
    let mut snapshot = writer.begin_snapshot(now).unwrap();
    (0..20).for_each(|number| snapshot.write(line(number).as_bytes()).unwrap());
    assert!(writer.finish_snapshot(snapshot).is_ok());
    writer.append(line(20).as_bytes(), now);
    writer.sync(now);
    assert_eq!((writer.trouble(), writer.unsynced()), (None, 0));
    let mut lines = Vec::new();
    let found = recover(&folder, (&owner(), ROOM), |text| lines.extend_from_slice(text), |_| {}).unwrap();
    assert_eq!(lines, (0..21).map(line).collect::<String>().as_bytes());
    assert_eq!((found.torn, &found.damage[..]), (0, &[][..]));
    let mut names = folder.names().unwrap();
    names.sort();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(FileId::of_name(&names[1]).is_some());
}
