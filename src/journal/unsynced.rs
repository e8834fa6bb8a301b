//! What a recovery has read without anything that tells that it had been synced: it may be in the system's memory only, and
//! never get to the disk, since a sync of it may have failed. It is told again in the next segment.

use std::collections::VecDeque;

/// Such lines.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct UnsyncedLines {
    /// Each with its terminator.
    pub(super) lines: Vec<u8>,
    /// Whether there were more than there was room for; only a snapshot has all of them.
    pub(super) is_short: bool,
}

/// The frames of one file while it is read: each tells how much had been synced when it was written, and so may be told to
/// have been synced by one that follows.
pub(super) struct UnsyncedFrames {
    /// Where each ends, and its lines.
    frames: VecDeque<(u64, Vec<u8>)>,
    bytes: usize,
    room: usize,
    /// Where the last one ended that was dropped for want of room.
    dropped_until: u64,
}

impl UnsyncedFrames {
    /// Of which so many bytes are remembered, beside what was found in other files.
    pub(super) fn beside(found: &UnsyncedLines, room: usize) -> Self {
        let room = room.saturating_sub(found.lines.len());
        Self { frames: VecDeque::new(), bytes: 0, room, dropped_until: 0 }
    }

    /// A frame with these lines ends there, and the file is known to have been synced as far as `synced`.
    pub(super) fn add(&mut self, end: u64, lines: Vec<u8>, synced: u64) {
        self.bytes += lines.len();
        self.frames.push_back((end, lines));
        self.forget(|end, bytes, room| end <= synced || bytes > room);
    }

    fn forget(&mut self, is_first: impl Fn(u64, usize, usize) -> bool) {
        while let Some((end, lines)) = self.frames.front()
            && is_first(*end, self.bytes, self.room)
        {
            (self.dropped_until, self.bytes) = (*end, self.bytes - lines.len());
            self.frames.pop_front();
        }
    }

    /// The file is read, and was synced as far as `synced`.
    pub(super) fn end(mut self, synced: u64, found: &mut UnsyncedLines) {
        found.is_short |= self.dropped_until > synced;
        self.forget(|end, _, _| end <= synced);
        self.frames.into_iter().for_each(|(_, lines)| found.lines.extend(lines));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three frames of four bytes each end at 10, 20 and 30; the second knows that the first was synced, and what follows
    /// the last that the file was synced as far as `synced`.
    fn found(room: usize, synced: u64) -> (String, bool) {
        let mut found = UnsyncedLines { lines: b"was\n".to_vec(), is_short: false };
        let mut frames = UnsyncedFrames::beside(&found, room);
        for (end, lines, synced) in [(10, "one\n", 0), (20, "two\n", 10), (30, "six\n", 10)] {
            frames.add(end, lines.as_bytes().to_vec(), synced);
        }
        frames.end(synced, &mut found);
        (String::from_utf8(found.lines).unwrap(), found.is_short)
    }

    #[test]
    fn what_is_told_to_have_been_synced_is_not_told_again() {
        assert_eq!(found(100, 10), ("was\ntwo\nsix\n".to_owned(), false));
        assert_eq!(found(100, 20), ("was\nsix\n".to_owned(), false));
        assert_eq!(found(100, 30), ("was\n".to_owned(), false));
    }

    #[test]
    fn what_there_is_no_room_for_is_missed_unless_it_was_synced() {
        assert_eq!(found(12, 10), ("was\ntwo\nsix\n".to_owned(), false));
        assert_eq!(found(11, 10), ("was\nsix\n".to_owned(), true));
        assert_eq!(found(11, 20), ("was\nsix\n".to_owned(), false));
        assert_eq!(found(0, 10), ("was\n".to_owned(), true));
        assert_eq!(found(0, 30), ("was\n".to_owned(), false));
    }
}
