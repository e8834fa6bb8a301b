//! Frames: pieces of a file that are there whole or not at all. Each is checked together with its place, so that what
//! a client wrote into its id, zeros that a file system left, or a frame of an earlier file at the same place are not
//! taken for frames.

use std::io;

use super::{
    disk::{DiskFile, read_full},
    header::Seal,
};
use crate::core::wire::PEER_LINE_BYTES_MAX;

/// No text, and no UTF-8.
const MAGIC: [u8; 3] = [0x9d, 0xf1, 0xe5];
/// Magic, kind, length, check.
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

    fn byte(self) -> u8 {
        match self {
            Self::Lines => 1,
            Self::End => 2,
        }
    }
}

fn form(content: FrameKind, length: usize) -> u64 {
    u64::from(content.byte()) << 32 | length as u64
}

/// Appends a frame that will begin at that place of its file.
pub(super) fn write_frame(seal: &Seal, offset: u64, content: FrameKind, bytes: &[u8], out: &mut Vec<u8>) {
    debug_assert!(bytes.len() <= CONTENT_BYTES_MAX && offset.is_multiple_of(ALIGNMENT as u64));
    let begin = out.len();
    out.extend_from_slice(&MAGIC);
    out.push(content.byte());
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(&seal.check(offset, form(content, bytes.len()), bytes).to_le_bytes());
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
}

impl<'f, F: DiskFile> Frames<'f, F> {
    /// Of a file that was read as far as `offset`, where its frames begin.
    pub(super) fn new(file: &'f mut F, seal: Seal, offset: u64) -> Self {
        Self { file, seal, window: Vec::new(), base: offset, next: 0, is_at_end: false, good_until: offset }
    }

    /// Where the last good frame ends.
    pub(super) fn good_until(&self) -> u64 {
        self.good_until
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
        let Some((_, (content, length))) = found else { return Ok(Piece::End) };
        let begin = self.next + FRONT_BYTES;
        self.next = (begin + length).next_multiple_of(ALIGNMENT).min(self.window.len());
        self.good_until = self.base + self.next as u64;
        Ok(Piece::Frame(content, &self.window[begin..begin + length]))
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

/// The frame at the beginning of these bytes, which are at that place of its file.
fn frame_at(seal: &Seal, offset: u64, bytes: &[u8]) -> Option<(FrameKind, usize)> {
    let (front, rest) = bytes.split_first_chunk::<FRONT_BYTES>()?;
    let ([magic @ .., kind], after) = front.split_first_chunk::<4>()?;
    let (length, check) = after.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length) as usize;
    if *magic != MAGIC || length > CONTENT_BYTES_MAX {
        return None;
    }
    let content = FrameKind::ALL.into_iter().find(|content| content.byte() == *kind)?;
    let check = u64::from_le_bytes(check.try_into().ok()?);
    let bytes = rest.get(..length)?;
    (seal.check(offset, form(content, length), bytes) == check).then_some((content, length))
}
