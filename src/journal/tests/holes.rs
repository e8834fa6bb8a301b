//! Frames that are lost although later ones are there: torn if they were never synced, as a power cut leaves them, and
//! damaged if something knows that they were.

use std::ops::Range;

use super::*;

const SEGMENT: &str = "segment-0000000001";
/// Frames that may be lost, each with one line.
const FRAMES: usize = 5;

/// A segment whose first line is synced, and whose next frames are written but not synced.
struct Unsynced {
    disk: FakeDisk,
    node: Node,
    /// Where those frames are.
    frames: Vec<Range<usize>>,
}

impl Unsynced {
    fn new(is_synced: bool) -> Self {
        let disk = FakeDisk::new();
        let mut node = Node::start_with(&disk, JournalBounds { segment_bytes: 1 << 20, is_synced, ..BOUNDS });
        node.append(1);
        node.sync();
        let mut unsynced = Self { disk, node, frames: Vec::new() };
        unsynced.frames = (0..FRAMES).map(|_| unsynced.write()).collect();
        unsynced
    }

    /// Writes a frame with one line, and returns where it is.
    fn write(&mut self) -> Range<usize> {
        let begin = self.disk.bytes(SEGMENT).len();
        self.node.append(1);
        self.node.write();
        begin..self.disk.bytes(SEGMENT).len()
    }

    /// Ends the segment, and begins another with one more line.
    fn rotate(&mut self) {
        let now = self.node.now();
        let snapshot = self.node.writer.begin_snapshot(now).unwrap();
        self.node.writer.abandon_snapshot(snapshot);
        self.node.append(1);
        self.node.sync();
    }

    /// Every set of these frames.
    fn losses(&self) -> impl Iterator<Item = Loss> {
        (0..1 << FRAMES).map(|set| {
            let lost: Vec<_> = (0..FRAMES).filter(|frame| set & (1 << frame) != 0).collect();
            let disk = self.disk.after_kill();
            lost.iter().for_each(|frame| disk.bytes(SEGMENT)[self.frames[*frame].clone()].fill(0));
            let bytes = lost.iter().map(|frame| self.frames[*frame].len() as u64).sum();
            // The first line is in no frame that may be lost.
            let is_left = |(number, _): &(usize, &String)| !lost.iter().any(|frame| frame + 1 == *number);
            let left = self.node.lines.iter().enumerate().filter(is_left);
            Loss { disk, bytes, left: left.map(|(_, line)| line.clone()).collect(), lost }
        })
    }
}

/// A disk that has lost some frames.
struct Loss {
    disk: FakeDisk,
    lost: Vec<usize>,
    bytes: u64,
    /// The lines that are left.
    left: BTreeSet<String>,
}

/// How much is torn, and how much damaged.
fn torn_and_damaged(found: &Recovered) -> (u64, u64) {
    (found.torn, found.damage.iter().map(|damage| damage.bytes.unwrap()).sum())
}

/// The next node on that disk begins a segment with one more line; the lines that are there then.
fn go_on(disk: &FakeDisk, left: &BTreeSet<String>) -> BTreeSet<String> {
    let mut next = Node::start(disk);
    next.append(1);
    next.sync();
    assert_eq!(files(disk).len(), 2, "{:?}", files(disk));
    left.union(&next.all()).cloned().collect()
}

#[test]
fn frames_that_were_never_synced_are_torn_whichever_are_lost_and_stay_so() {
    for is_synced in [true, false] {
        for Loss { disk, lost, bytes, left } in Unsynced::new(is_synced).losses() {
            let (lines, found) = read(&disk);
            assert_eq!((lines, torn_and_damaged(&found)), (left.clone(), (bytes, 0)), "{lost:?}");
            let left = go_on(&disk, &left);
            let (lines, found) = read(&disk);
            assert_eq!((lines, torn_and_damaged(&found)), (left, (bytes, 0)), "{lost:?}, a start later");
        }
    }
}

#[test]
fn same_frames_are_damaged_if_a_later_one_knows_that_they_were_synced() {
    let mut unsynced = Unsynced::new(true);
    unsynced.node.sync();
    unsynced.write();
    for Loss { disk, lost, bytes, left } in unsynced.losses() {
        let (lines, found) = read(&disk);
        assert_eq!((lines, torn_and_damaged(&found)), (left.clone(), (0, bytes)), "{lost:?}");
        let left = go_on(&disk, &left);
        let (lines, found) = read(&disk);
        assert_eq!((lines, torn_and_damaged(&found)), (left, (0, bytes)), "{lost:?}, a start later");
    }
}

#[test]
fn same_frames_are_damaged_if_the_next_segment_knows_that_they_were_synced() {
    let mut unsynced = Unsynced::new(true);
    unsynced.rotate();
    for Loss { disk, lost, bytes, left } in unsynced.losses() {
        let (lines, found) = read(&disk);
        assert_eq!((lines, torn_and_damaged(&found)), (left, (0, bytes)), "{lost:?}");
    }
}

#[test]
fn damage_and_what_a_power_cut_has_torn_are_told_apart_in_one_file() {
    let mut unsynced = Unsynced::new(true);
    unsynced.node.sync();
    let torn = unsynced.write();
    unsynced.write();
    let Unsynced { disk, frames, .. } = &unsynced;
    disk.bytes(SEGMENT)[frames[1].clone()].fill(0);
    disk.bytes(SEGMENT)[torn.clone()].fill(0);
    let damage = Damage {
        file: SEGMENT.to_owned(),
        at: frames[1].start as u64,
        bytes: Some(frames[1].len() as u64),
        is_missing: false,
    };
    let (left, found) = read(disk);
    assert_eq!((found.torn, &found.damage[..]), (torn.len() as u64, &[damage][..]));
    let later = go_on(disk, &left);
    let (lines, again) = read(disk);
    assert_eq!((lines, again.torn, again.damage), (later, found.torn, found.damage));
}

/// Nobody knows that they were synced, so the next start tells them again.
#[test]
fn frames_that_are_lost_after_a_start_has_told_them_again_are_no_loss() {
    let mut unsynced = Unsynced::new(true);
    unsynced.node.sync();
    let all = go_on(&unsynced.disk, &unsynced.node.all());
    for Loss { disk, lost, bytes, .. } in unsynced.losses() {
        let (lines, found) = read(&disk);
        assert_eq!((lines, torn_and_damaged(&found)), (all.clone(), (bytes, 0)), "{lost:?}");
    }
}

/// What a segment that was given up had not synced is told again in the next one, and no loss there.
#[test]
fn holes_in_what_was_given_up_are_torn() {
    let mut unsynced = Unsynced::new(true);
    unsynced.disk.fail_at(unsynced.disk.operations(), DiskFault::Error(Errno::IO));
    unsynced.node.sync();
    assert_eq!((unsynced.node.safe(), files(&unsynced.disk).len()), (unsynced.node.all(), 2));
    for Loss { disk, lost, bytes, .. } in unsynced.losses() {
        let (lines, found) = read(&disk);
        assert_eq!((lines, torn_and_damaged(&found)), (unsynced.node.all(), (bytes, 0)), "{lost:?}");
    }
}

#[test]
fn flipped_bit_costs_its_frame_which_is_damaged_if_synced_and_torn_if_not() {
    let mut unsynced = Unsynced::new(true);
    unsynced.node.sync();
    let mut frames = unsynced.frames.clone();
    frames.extend([unsynced.write(), unsynced.write()]);
    let Unsynced { disk, node, .. } = &unsynced;
    let all = node.all();
    for (number, frame) in frames.iter().enumerate() {
        // Behind its front and its line it is filled up.
        let line = &node.lines[number + 1];
        let content = frame.start..frame.start + 16 + line.len();
        let bytes = frame.len() as u64;
        for bit in frame.start * 8..frame.end * 8 {
            disk.bytes(SEGMENT)[bit / 8] ^= 1 << (bit % 8);
            let (lines, found) = read(disk);
            disk.bytes(SEGMENT)[bit / 8] ^= 1 << (bit % 8);
            let told = torn_and_damaged(&found);
            if !content.contains(&(bit / 8)) {
                assert_eq!((lines, told), (all.clone(), (0, 0)), "bit {bit}");
                continue;
            }
            let missing: Vec<_> = all.difference(&lines).collect();
            assert_eq!(missing, [line], "bit {bit}");
            assert_eq!(told, if number < FRAMES { (0, bytes) } else { (bytes, 0) }, "bit {bit}");
        }
    }
}
