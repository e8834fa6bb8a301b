//! A snapshot while it is being written: the whole map, in a file that gets its name once all of it is on the disk.

use std::io;

use super::{
    disk::{Disk, DiskFile, append_all},
    frame::{FrameKind, write_frame},
    header::{FileHeader, Seal},
    names::FileId,
    writer::split_lines,
};

/// The file, and how far it is.
#[derive(Debug)]
pub struct Snapshot<F> {
    id: FileId,
    file: F,
    seal: Seal,
    bytes: u64,
    frames: u64,
    buffer: Vec<u8>,
}

impl<F: DiskFile> Snapshot<F> {
    pub(super) fn begin<D: Disk<File = F>>(disk: &D, header: &FileHeader) -> io::Result<Self> {
        let mut file = disk.create(&header.id.partial_name())?;
        let beginning = header.beginning();
        append_all(&mut file, &beginning)?;
        let bytes = beginning.len() as u64;
        Ok(Self { id: header.id, file, seal: header.seal(), bytes, frames: 0, buffer: Vec::new() })
    }

    /// Appends lines of the map, each with its terminator.
    pub fn write(&mut self, mut lines: &[u8]) -> io::Result<()> {
        self.buffer.clear();
        while !lines.is_empty() {
            let part;
            (part, lines) = split_lines(lines);
            self.frame(FrameKind::Lines, part);
        }
        self.append()
    }

    /// Brings to the disk what was written so far, so that the end does not wait for all of it at once.
    pub fn sync(&mut self) -> io::Result<()> {
        self.file.sync()
    }

    pub(super) fn partial_name(&self) -> String {
        self.id.partial_name()
    }

    /// Its length so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// All of the map is written: brings it to the disk and gives it its name. Returns which files it replaces.
    pub(super) fn finish<D: Disk<File = F>>(mut self, disk: &D) -> io::Result<FinishedSnapshot> {
        self.buffer.clear();
        let frames = self.frames.to_le_bytes();
        self.frame(FrameKind::End, &frames);
        self.append()?;
        self.file.sync()?;
        disk.rename(&self.partial_name(), &self.id.name())?;
        disk.sync()?;
        Ok(FinishedSnapshot { number: self.id.number, bytes: self.bytes })
    }

    fn frame(&mut self, content: FrameKind, bytes: &[u8]) {
        // It counts only as a whole, so how much of it is on the disk is nobody's question.
        let place = (self.bytes + self.buffer.len() as u64, 0);
        write_frame(&self.seal, place, content, bytes, &mut self.buffer);
        self.frames += 1;
    }

    fn append(&mut self) -> io::Result<()> {
        append_all(&mut self.file, &self.buffer)?;
        self.bytes += self.buffer.len() as u64;
        Ok(())
    }
}

/// A snapshot that is on the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct FinishedSnapshot {
    /// All files with lower numbers are in it.
    pub(super) number: u64,
    pub(super) bytes: u64,
}
