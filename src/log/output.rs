//! One file of a log, or standard output, and what waits for it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crossbeam_channel::Sender;
use parking_lot::Mutex;

use super::{LogError, buffer::Buffer, condition::Watch, file::LogFile, open::Target};

/// Where it is, how much may wait for it, and how much of it is kept.
#[derive(Clone, Debug)]
pub(super) struct OutputOptions {
    pub(super) target: Target,
    pub(super) buffer_bytes: usize,
    pub(super) file_bytes: usize,
    pub(super) files_kept: usize,
}

/// The file and its buffer.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) target: Target,
    pub(super) buffer: Arc<Buffer>,
    pub(super) file: Mutex<LogFile>,
    pub(super) watch: Watch,
    is_moved: AtomicBool,
}

impl Output {
    /// Opens or makes the file. `wake` is told when the buffer is half full.
    pub(super) fn open(options: OutputOptions, wake: Sender<()>) -> Result<Self, LogError> {
        let OutputOptions { target, buffer_bytes, file_bytes, files_kept } = options;
        Ok(Self {
            file: Mutex::new(LogFile::open(target.clone(), file_bytes as u64, files_kept)?),
            watch: Watch::new(target.stall()),
            target,
            buffer: Arc::new(Buffer::new(buffer_bytes, wake)),
            is_moved: AtomicBool::new(false),
        })
    }

    /// Has the writer open the file by its name, before it writes.
    pub(super) fn set_moved(&self) {
        self.is_moved.store(true, Ordering::Relaxed);
    }

    /// Whether it is to be opened by its name. Asked by the writer, who then does it.
    pub(super) fn take_moved(&self) -> bool {
        self.is_moved.swap(false, Ordering::Relaxed)
    }
}
