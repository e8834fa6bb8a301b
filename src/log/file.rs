//! The log's file: appended to, rotated by size between two lines, opened anew when it was moved. A disk that is full is
//! tried again at every tick, and continued where it stopped.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    num::NonZeroU64,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// A buffer larger than this is given back once the log is quiet.
const QUIET_BYTES: usize = 64 * 1024;

/// How much is written before the system is told that it will not be read again soon.
const ADVICE_BYTES: u64 = 8 << 20;

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
#[error("the log {} cannot be opened: {error}; choose a folder this user may write to with --log-dir", path.display())]
pub struct LogError {
    path: PathBuf,
    error: io::Error,
}

/// The file, and what is on its way into it.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: Option<File>,
    size: u64,
    /// Up to where the system has been told to let go of the file's pages.
    advised: u64,
    size_max: u64,
    kept: usize,
    /// What is being written, and how much of it has been.
    pending: Vec<u8>,
    written: usize,
    failure: Option<String>,
}

impl LogFile {
    pub(super) fn open(path: PathBuf, size_max: u64, kept: usize) -> Result<Self, LogError> {
        let open = || {
            if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            }
            open_at_line_start(&path)
        };
        let (file, size) = open().map_err(|error| LogError { path: path.clone(), error })?;
        let (pending, written, failure) = (Vec::new(), 0, None);
        Ok(Self { path, file: Some(file), size, advised: size, size_max, kept, pending, written, failure })
    }

    /// Why the last attempt to write failed, if it did.
    pub(super) fn failures(&self) -> Option<String> {
        self.failure.clone()
    }

    /// Says it where it can be seen, since the log cannot.
    pub(super) fn tell_standard_error(&self, failure: &str) {
        let path = self.path.display();
        let _ = writeln!(
            io::stderr(),
            "herd: the log {path} cannot be written: {failure}; the node goes on without"
        );
    }

    /// Forgets the open file; the next write opens the name anew.
    pub(super) fn reopen(&mut self) {
        // A line that is half written is ended in the file it began in, or it would be split.
        if self.written > 0 {
            let _ = self.write_through(self.line_end(self.written));
        }
        self.file = None;
    }

    /// Writes what is still pending, then what `swap` puts in the place of an empty buffer.
    pub(super) fn write(&mut self, swap: impl FnOnce(&mut Vec<u8>)) {
        self.failure = None;
        if let Err(error) = self.write_pending() {
            self.failure = Some(error.to_string());
            return;
        }
        if self.pending.capacity() > QUIET_BYTES && self.pending.len() < self.pending.capacity() / 64 {
            self.pending = Vec::new();
        }
        self.pending.clear();
        self.written = 0;
        swap(&mut self.pending);
        if let Err(error) = self.write_pending() {
            self.failure = Some(error.to_string());
        }
    }

    fn write_pending(&mut self) -> io::Result<()> {
        while self.written < self.pending.len() {
            if self.file.is_none() {
                let (file, size) = open_at_line_start(&self.path)?;
                (self.file, self.size, self.advised) = (Some(file), size, size);
            }
            let end = self.end_within_room();
            if end == self.written {
                self.rotate()?;
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
        if rest.len() <= room {
            return self.pending.len();
        }
        let is_mid_line = self.written > 0 && self.pending[self.written - 1] != b'\n';
        match memchr::memrchr(b'\n', &rest[..room]) {
            Some(last) => self.written + last + 1,
            None if self.size == 0 || is_mid_line => self.line_end(self.written),
            None => self.written,
        }
    }

    fn line_end(&self, from: usize) -> usize {
        memchr::memchr(b'\n', &self.pending[from..]).map_or(self.pending.len(), |newline| from + newline + 1)
    }

    fn write_through(&mut self, end: usize) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        while self.written < end {
            match file.write(&self.pending[self.written..end]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.written += count;
                    self.size += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.size - self.advised >= ADVICE_BYTES {
            let_go(file, self.advised, self.size);
            self.advised = self.size;
        }
        Ok(())
    }

    /// `node.log` becomes `node.log.1`, that `node.log.2`, and so on; the oldest goes.
    fn rotate(&mut self) -> io::Result<()> {
        self.file = None;
        let name = |number: usize| match number {
            0 => self.path.clone(),
            _ => PathBuf::from(format!("{}.{number}", self.path.display())),
        };
        if self.kept == 0 {
            return remove(&self.path);
        }
        for number in (0..self.kept).rev() {
            match fs::rename(name(number), name(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Has the system begin to write out what was written since the last time, and free the pages from before, which are
/// written out by now. Without it a busy log takes the memory's page cache from everyone, and every write pays for new
/// pages instead of reusing a few. A hint: nothing waits, and what the disk has not taken yet stays.
fn let_go(file: &File, from: u64, to: u64) {
    let from = from.saturating_sub(ADVICE_BYTES);
    let _ = rustix::fs::fadvise(file, from, NonZeroU64::new(to - from), rustix::fs::Advice::DontNeed);
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Opens for appending; ends a line that a killed process left half written. Returns the file and its size.
fn open_at_line_start(path: &Path) -> io::Result<(File, u64)> {
    let mut file = OpenOptions::new().append(true).read(true).create(true).mode(0o600).open(path)?;
    let is_file = file.metadata()?.is_file();
    let size = if is_file { file.seek(SeekFrom::End(0))? } else { 0 };
    if size > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
            return Ok((file, size + 1));
        }
    }
    Ok((file, size))
}
