//! The log's file: appended to, rotated by size between two lines, opened again when it was moved, created again when it
//! was removed. A disk that is full is tried again at every tick, and continued where it stopped. Standard output stands in
//! for a file, and is neither rotated nor opened again.

use std::{
    fs::{self, File},
    io::{self, Write},
    num::NonZeroU64,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::event::{PollFd, PollFlags, poll};

use super::open::{self, LogError, LogFault, Target};
use crate::core::model::Tick;

/// A buffer larger than this is given back once the log is quiet.
const QUIET_BYTES: usize = 64 * 1024;

/// How much is written before the system is told that it will not be read again soon.
const ADVICE_BYTES: u64 = 8 << 20;

/// How often it is looked whether the file was removed.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The file, and what is on its way into it.
#[derive(Debug)]
pub(super) struct LogFile {
    target: Target,
    file: Option<File>,
    /// Pipes, devices and standard output have no size, and are not rotated.
    has_size: bool,
    /// Whether the file ends with half a line of a process that was killed. It is ended with the first that follows, so
    /// that a node starts on a full disk.
    ends_mid_line: bool,
    size: u64,
    /// Up to where the system has been told to let go of the file's pages.
    advised: u64,
    size_max: u64,
    kept: usize,
    /// What is being written, and how much of it has been.
    pending: Vec<u8>,
    written: usize,
    failure: Option<String>,
    looked_at: Tick,
    /// What an operator should know, and the log does not say yet.
    remarks: Vec<String>,
}

impl LogFile {
    pub(super) fn open(target: Target, size_max: u64, kept: usize) -> Result<Self, LogError> {
        let mut log = Self {
            target,
            file: None,
            has_size: true,
            ends_mid_line: false,
            size: 0,
            advised: 0,
            size_max,
            kept,
            pending: Vec::new(),
            written: 0,
            failure: None,
            looked_at: Tick::ZERO,
            remarks: Vec::new(),
        };
        match log.open_target() {
            Ok(()) => {
                log.look_around();
                Ok(log)
            }
            Err(fault) => Err(LogError { target: log.target, fault }),
        }
    }

    fn open_target(&mut self) -> Result<(), LogFault> {
        let opened = match &self.target {
            Target::File(path) => open::open(path, &mut self.remarks)?,
            Target::StandardOutput => open::standard_output()?,
        };
        (self.file, self.has_size) = (Some(opened.file), opened.is_file);
        (self.size, self.advised) = (opened.size, opened.size);
        self.ends_mid_line = opened.is_mid_line;
        Ok(())
    }

    /// What is beside the file that an operator should know of: its folder, and older files.
    fn look_around(&mut self) {
        let Target::File(path) = &self.target else { return };
        open::look_at_folder(path, &mut self.remarks);
        for number in 1..=self.kept {
            let older = numbered(path, number);
            if open::close_older(&older, &mut self.remarks).is_err() {
                break;
            }
        }
    }

    /// Why the last attempt to write failed, if it did.
    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// What an operator should know since this was last asked.
    pub(super) fn take_remarks(&mut self) -> Vec<String> {
        std::mem::take(&mut self.remarks)
    }

    /// Has it be another file from the next time on that it is opened by its name.
    #[cfg(test)]
    pub(super) fn rename(&mut self, path: &Path) {
        self.target = Target::File(path.to_owned());
    }

    /// How many lines are still to be written, one that is half written too.
    pub(super) fn unwritten_lines(&self) -> u64 {
        lines(&self.pending[self.written..])
    }

    /// Closes the file, and opens the name as the start does, with all that this creates and checks. Standard output stays.
    pub(super) fn reopen(&mut self) {
        if self.target == Target::StandardOutput {
            return;
        }
        self.close();
        match self.open_target() {
            Ok(()) => self.look_around(),
            Err(fault) => self.failure = Some(fault.to_string()),
        }
    }

    /// Closes the file. A line that is half written is ended in the file it began in, or else written again as a whole in
    /// the next.
    fn close(&mut self) {
        let end = self.line_end(self.written);
        if self.is_mid_line() && self.write_through(end).is_err() {
            self.written =
                memchr::memrchr(b'\n', &self.pending[..self.written]).map_or(0, |newline| newline + 1);
        }
        self.file = None;
    }

    /// Writes what is still pending, then what `swap` puts in the place of an empty buffer.
    pub(super) fn write(&mut self, now: Tick, swap: impl FnOnce(&mut Vec<u8>)) {
        if now.saturating_sub(self.looked_at) >= LOOK_INTERVAL {
            self.looked_at = now;
            self.look_for_removal();
        }
        self.failure = self.try_write(swap).err().map(|fault| fault.to_string());
    }

    fn try_write(&mut self, swap: impl FnOnce(&mut Vec<u8>)) -> Result<(), LogFault> {
        self.write_pending()?;
        if self.pending.capacity() > QUIET_BYTES && self.pending.len() < self.pending.capacity() / 64 {
            self.pending = Vec::new();
        }
        self.pending.clear();
        self.written = 0;
        swap(&mut self.pending);
        self.write_pending()
    }

    /// A file that has no name any more is seen by nobody, and keeps its room on the disk.
    fn look_for_removal(&mut self) {
        let named = self.file.as_ref().filter(|_| self.has_size);
        let about = named.and_then(|file| file.metadata().ok());
        if about.is_some_and(|about| about.is_file() && about.nlink() == 0) {
            self.close();
            self.remarks.push("the log was removed and is created again; what was in it is gone".to_owned());
        }
    }

    fn write_pending(&mut self) -> Result<(), LogFault> {
        if self.file.is_none() {
            self.open_target()?;
        }
        while self.written < self.pending.len() {
            let end = self.end_within_room();
            if end == self.written {
                self.rotate()?;
                self.open_target()?;
            } else {
                self.write_through(end)?;
            }
        }
        Ok(())
    }

    /// How far the file has room for whole lines; for one line at least, where it is empty or a line is half written.
    fn end_within_room(&self) -> usize {
        let rest = &self.pending[self.written..];
        let room = usize::try_from(self.size_max.saturating_sub(self.size)).unwrap_or(usize::MAX);
        if rest.len() <= room || !self.has_size {
            return self.pending.len();
        }
        match memchr::memrchr(b'\n', &rest[..room]) {
            Some(last) => self.written + last + 1,
            None if self.size == 0 || self.is_mid_line() => self.line_end(self.written),
            None => self.written,
        }
    }

    fn is_mid_line(&self) -> bool {
        self.written > 0 && self.pending[self.written - 1] != b'\n'
    }

    fn line_end(&self, from: usize) -> usize {
        memchr::memchr(b'\n', &self.pending[from..]).map_or(self.pending.len(), |newline| from + newline + 1)
    }

    fn write_through(&mut self, end: usize) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        if self.ends_mid_line {
            file.write_all(b"\n")?;
            self.ends_mid_line = false;
            self.size += 1;
        }
        while self.written < end {
            match file.write(&self.pending[self.written..end]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.written += count;
                    self.size += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Whoever shares a pipe or a terminal may have made it so; it is waited for as if nobody had.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait_for_room(file)?,
                Err(error) => return Err(error),
            }
        }
        if self.has_size && self.size - self.advised >= ADVICE_BYTES {
            let_go(file, self.advised, self.size);
            self.advised = self.size;
        }
        Ok(())
    }

    /// `node.log` becomes `node.log.1`, that `node.log.2`, and so on; the oldest goes.
    fn rotate(&mut self) -> io::Result<()> {
        // What has no name has no size either, and never comes here.
        let Target::File(path) = &self.target else { return Ok(()) };
        self.file = None;
        if self.kept == 0 {
            return remove(path);
        }
        for number in (0..self.kept).rev() {
            match fs::rename(numbered(path, number), numbered(path, number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The name of a log that was rotated so many times.
fn numbered(path: &Path, number: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    if number > 0 {
        name.push(format!(".{number}"));
    }
    name.into()
}

/// Counts lines; what has no newline after it is one too.
pub(super) fn lines(bytes: &[u8]) -> u64 {
    let whole = memchr::memchr_iter(b'\n', bytes).count();
    whole as u64 + u64::from(bytes.last().is_some_and(|&last| last != b'\n'))
}

/// Has the system begin to write out what was written since the last time, and free the pages from before, which are
/// written out by now. Without it a busy log takes the memory's page cache from everyone, and every write pays for new
/// pages instead of reusing a few. A hint: nothing waits, and what the disk has not taken yet stays.
fn let_go(file: &File, from: u64, to: u64) {
    let from = from.saturating_sub(ADVICE_BYTES);
    let _ = rustix::fs::fadvise(file, from, NonZeroU64::new(to - from), rustix::fs::Advice::DontNeed);
}

/// Waits until the other end takes more, or is gone.
fn wait_for_room(file: &File) -> io::Result<()> {
    match poll(&mut [PollFd::new(file, PollFlags::OUT)], None) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
