//! Frames: pieces of a file that are there whole or not at all. Each is checked together with its place, so that what
//! a client wrote into its id, zeros that a file system left, or a frame of an earlier file at the same place are not
//! taken for frames. Each also tells how much of its file was on the disk when it was written, so that what a power cut
//! took of the rest is told from damage.
//!
//! | bytes | of a frame, numbers in little-endian order |
//! |---|---|
//! | 1 | its kind |
//! | 3 | how many bytes of content it has |
//! | 4 | how far it begins behind what was on the disk, in units of 8 bytes; all bits set if that is not known |
//! | 8 | the check of its place, of what stands above, and of its content |
//! | | its content, and zeros up to a multiple of 8 |

use std::io;

use super::{
    disk::{DiskFile, read_full},
    header::Seal,
};
use crate::core::wire::PEER_LINE_BYTES_MAX;

/// Of a front and the check behind it.
const FRONT_BYTES: usize = 16;
/// Frames begin at multiples of this.
const ALIGNMENT: usize = 8;
/// What a frame holds, at most: the longest line with its terminator, or many short ones.
pub(super) const CONTENT_BYTES_MAX: usize = PEER_LINE_BYTES_MAX + 1;
const FRAME_BYTES_MAX: usize = (FRONT_BYTES + CONTENT_BYTES_MAX).next_multiple_of(ALIGNMENT);
/// A piece of a file that is read at once.
const WINDOW_BYTES: usize = 1 << 20;

/// What a frame holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FrameKind {
    /// AT lines, each with its terminator.
    Lines,
    /// The end of a snapshot: how many frames came before it.
    End,
}

impl FrameKind {
    const ALL: [Self; 2] = [Self::Lines, Self::End];

    /// In no text: UTF-8 has no such byte.
    fn byte(self) -> u8 {
        match self {
            Self::Lines => 0xf5,
            Self::End => 0xfa,
        }
    }
}

/// What a frame says of itself, but for its check.
#[derive(Clone, Copy, Debug)]
struct FrameFront {
    kind: FrameKind,
    length: usize,
    distance: u32,
}

/// The distance of a frame that does not know how much of its file is on the disk, or is too far from there to say so.
const DISTANCE_UNKNOWN: u32 = u32::MAX;

impl FrameFront {
    /// Of a frame that begins at `offset` of a file whose first `synced` bytes are on the disk.
    fn new(kind: FrameKind, length: usize, offset: u64, synced: u64) -> Self {
        let distance = (offset - synced) / ALIGNMENT as u64;
        Self { kind, length, distance: u32::try_from(distance).unwrap_or(DISTANCE_UNKNOWN) }
    }

    /// Its bytes as one number.
    fn word(self) -> u64 {
        u64::from(self.kind.byte()) | (self.length as u64) << 8 | u64::from(self.distance) << 32
    }

    fn parse(word: u64) -> Option<Self> {
        let kind = FrameKind::ALL.into_iter().find(|kind| kind.byte() == word as u8)?;
        let length = (word >> 8) as usize & 0xff_ffff;
        (length <= CONTENT_BYTES_MAX).then_some(Self { kind, length, distance: (word >> 32) as u32 })
    }

    /// How many bytes of its file were on the disk, at least, if it begins at `offset`.
    fn synced(self, offset: u64) -> u64 {
        match self.distance {
            DISTANCE_UNKNOWN => 0,
            distance => offset.saturating_sub(u64::from(distance) * ALIGNMENT as u64),
        }
    }
}

/// Appends a frame that will begin at `offset` of its file, of which the first `synced` bytes are on the disk; 0 if that is
/// not known.
pub(super) fn write_frame(
    seal: &Seal,
    (offset, synced): (u64, u64),
    content: FrameKind,
    bytes: &[u8],
    out: &mut Vec<u8>,
) {
    debug_assert!(bytes.len() <= CONTENT_BYTES_MAX && synced <= offset);
    debug_assert!([offset, synced].iter().all(|at| at.is_multiple_of(ALIGNMENT as u64)));
    let begin = out.len();
    let word = FrameFront::new(content, bytes.len(), offset, synced).word();
    out.extend_from_slice(&word.to_le_bytes());
    out.extend_from_slice(&seal.check(offset, word, bytes).to_le_bytes());
    out.extend_from_slice(bytes);
    out.resize(begin + (out.len() - begin).next_multiple_of(ALIGNMENT), 0);
}

/// What comes next in a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Piece<'a> {
    Frame(FrameKind, &'a [u8]),
    /// So many bytes from there are no frame.
    Bad {
        at: u64,
        bytes: u64,
    },
    End,
}

/// Reads a file's frames, one after another.
#[derive(Debug)]
pub(super) struct Frames<'f, F> {
    file: &'f mut F,
    seal: Seal,
    /// Of the file, from `base` on; what is before `next` has been dealt with.
    window: Vec<u8>,
    base: u64,
    next: usize,
    is_at_end: bool,
    /// Where good frames ended.
    good_until: u64,
    /// How much of the file was on the disk when they were written, as the one says that knows most.
    synced: u64,
}

impl<'f, F: DiskFile> Frames<'f, F> {
    /// Of a file that was read as far as `offset`, where its frames begin.
    pub(super) fn new(file: &'f mut F, seal: Seal, offset: u64) -> Self {
        Self {
            file,
            seal,
            window: Vec::new(),
            base: offset,
            next: 0,
            is_at_end: false,
            good_until: offset,
            synced: 0,
        }
    }

    /// Where the last good frame ends.
    pub(super) fn good_until(&self) -> u64 {
        self.good_until
    }

    /// How much of the file had been on the disk, at least, as the frames so far tell.
    pub(super) fn synced(&self) -> u64 {
        self.synced
    }

    /// The next piece. After a bad one the next is a good frame, or the end.
    pub(super) fn next(&mut self) -> io::Result<Piece<'_>> {
        let from = self.base + self.next as u64;
        let found = loop {
            if self.window.len() - self.next < FRAME_BYTES_MAX && !self.is_at_end {
                self.refill()?;
            }
            if self.next >= self.window.len() {
                break None;
            }
            let at = self.base + self.next as u64;
            if let Some(frame) = frame_at(&self.seal, at, &self.window[self.next..]) {
                break Some((at, frame));
            }
            self.next = (self.next + ALIGNMENT).min(self.window.len());
        };
        let at = found.map_or(self.base + self.window.len() as u64, |(at, _)| at);
        if at > from {
            return Ok(Piece::Bad { at: from, bytes: at - from });
        }
        let Some((_, front)) = found else { return Ok(Piece::End) };
        let begin = self.next + FRONT_BYTES;
        self.next = (begin + front.length).next_multiple_of(ALIGNMENT).min(self.window.len());
        self.good_until = self.base + self.next as u64;
        self.synced = self.synced.max(front.synced(at));
        Ok(Piece::Frame(front.kind, &self.window[begin..begin + front.length]))
    }

    fn refill(&mut self) -> io::Result<()> {
        self.window.drain(..self.next);
        self.base += self.next as u64;
        self.next = 0;
        let had = self.window.len();
        self.window.resize(had + WINDOW_BYTES, 0);
        let read = read_full(self.file, &mut self.window[had..])?;
        self.window.truncate(had + read);
        self.is_at_end = read < WINDOW_BYTES;
        Ok(())
    }
}

/// What the frame says of itself at the beginning of these bytes, which are at that place of its file; its content follows.
fn frame_at(seal: &Seal, offset: u64, bytes: &[u8]) -> Option<FrameFront> {
    let (word, rest) = bytes.split_first_chunk()?;
    let (check, rest) = rest.split_first_chunk()?;
    let word = u64::from_le_bytes(*word);
    let front = FrameFront::parse(word)?;
    let content = rest.get(..front.length)?;
    (seal.check(offset, word, content) == u64::from_le_bytes(*check)).then_some(front)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_knows_what_was_synced_unless_that_is_too_far_back() {
        let synced_of = |offset, synced| {
            let front = FrameFront::new(FrameKind::Lines, CONTENT_BYTES_MAX, offset, synced);
            let read = FrameFront::parse(front.word()).unwrap();
            assert_eq!((read.kind, read.length), (FrameKind::Lines, CONTENT_BYTES_MAX));
            read.synced(offset)
        };
        let farthest = (u64::from(DISTANCE_UNKNOWN) - 1) * ALIGNMENT as u64;
        for synced in [0, 8, 272, 1 << 40] {
            for distance in [0, 8, 1 << 20, farthest] {
                assert_eq!(synced_of(synced + distance, synced), synced, "{distance} behind");
            }
            for distance in [farthest + 8, farthest + 16, 1 << 40] {
                assert_eq!(synced_of(synced + distance, synced), 0, "{distance} behind");
            }
        }
        let longer = FrameFront { kind: FrameKind::End, length: CONTENT_BYTES_MAX + 1, distance: 0 };
        assert!(FrameFront::parse(longer.word()).is_none());
    }
}
