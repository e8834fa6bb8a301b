//! A node's log: events, by fern, and all traffic, by batch, in one file and in order. Nobody waits for the disk: what
//! has no room is dropped and counted. Each node owns its logger; none is installed for the whole process, so that a
//! library's records go nowhere.

mod buffer;
mod condition;
mod file;
mod open;
mod rate_limit;
mod traffic;

use std::{
    fmt, io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ::log::{Level, LevelFilter, Log as _, Record};
use crossbeam_channel::{Receiver, bounded, select};
use parking_lot::Mutex;

use self::{buffer::Buffer, condition::Watch, file::LogFile};
pub use self::{
    condition::{Failing, LogCondition},
    open::LogError,
    rate_limit::RateLimit,
    traffic::Traffic,
};
use crate::{
    core::model::Tick,
    system::clock,
    text::{self, Escaped},
};

/// How often the buffer is written out, if it does not fill before.
const TICK: Duration = Duration::from_millis(20);

/// What is logged, where, and how much is kept.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// The file. Its folder is made if it is not there.
    pub path: PathBuf,
    /// Whether lines of clients and AT lines are logged.
    pub traffic: bool,
    /// Whether JSON replies are logged whole.
    pub bodies: bool,
    /// What may wait for the disk, in bytes.
    pub buffer_bytes: usize,
    /// How large a file may grow, in bytes.
    pub file_bytes: usize,
    /// How many older files are kept beside the current one.
    pub files_kept: usize,
}

/// The log. Shared by all threads of a node.
pub struct Log {
    events: Box<dyn ::log::Log>,
    buffer: Arc<Buffer>,
    path: PathBuf,
    file: Mutex<LogFile>,
    watch: Watch,
    is_moved: AtomicBool,
    half_full: Receiver<()>,
    takes_traffic: bool,
    takes_bodies: bool,
}

impl Log {
    /// Opens or makes the file, for its owner only, as it is from then on.
    pub fn open(options: LogOptions) -> Result<Self, LogError> {
        let LogOptions { path, traffic, bodies, buffer_bytes, file_bytes, files_kept } = options;
        let file = LogFile::open(path.clone(), file_bytes as u64, files_kept)?;
        let (wake, half_full) = bounded(1);
        let buffer = Arc::new(Buffer::new(buffer_bytes, wake));
        let (_, events) = fern::Dispatch::new()
            .level(LevelFilter::Info)
            .format(|out, message, record| {
                let time = clock::utc_text(clock::wall());
                out.finish(format_args!("{time} {:5} {}", record.level(), Escaped(message)));
            })
            .chain(fern::Output::writer(
                Box::new(EventWriter { line: Vec::new(), buffer: Arc::clone(&buffer) }),
                "\n",
            ))
            .into_log();
        Ok(Self {
            events,
            buffer,
            path,
            file: Mutex::new(file),
            watch: Watch::default(),
            is_moved: AtomicBool::new(false),
            half_full,
            takes_traffic: traffic,
            takes_bodies: bodies,
        })
    }

    /// Something an operator may want to know.
    pub fn info(&self, what: fmt::Arguments<'_>) {
        self.event(Level::Info, what);
    }

    /// Something an operator may have to mend.
    pub fn warn(&self, what: fmt::Arguments<'_>) {
        self.event(Level::Warn, what);
    }

    /// Something that should not have happened.
    pub fn error(&self, what: fmt::Arguments<'_>) {
        self.event(Level::Error, what);
    }

    fn event(&self, level: Level, what: fmt::Arguments<'_>) {
        self.events.log(&Record::builder().level(level).target("herd").args(what).build());
    }

    /// Whether traffic is wanted; where it is not, nobody should format it.
    pub fn takes_traffic(&self) -> bool {
        self.takes_traffic
    }

    /// Whether whole JSON replies are wanted.
    pub fn takes_bodies(&self) -> bool {
        self.takes_bodies
    }

    /// Appends a batch's traffic, whole lines that are formatted already; drops and counts them where there is no room.
    fn traffic(&self, block: &[u8], lines: u64) {
        self.buffer.append_traffic(block, lines);
    }

    /// The log thread: writes the buffer out at every tick and when it is half full, until the channel closes, and then
    /// once more.
    pub fn write_until(&self, stop: &Receiver<()>) {
        self.write_by(stop, TICK);
    }

    fn write_by(&self, stop: &Receiver<()>, tick: Duration) {
        loop {
            let is_last = select! {
                recv(stop) -> _ => true,
                recv(self.half_full) -> _ => false,
                default(tick) => false,
            };
            let mut file = self.file.lock();
            self.write_out(&mut file, clock::tick());
            if is_last {
                // What the first write said of itself, such as lines dropped.
                self.write_out(&mut file, clock::tick());
                self.tell_losses(&file);
                return;
            }
        }
    }

    fn write_out(&self, file: &mut LogFile, now: Tick) {
        let failed_before = file.failure().map(str::to_owned);
        self.watch.begin(now);
        if self.is_moved.swap(false, Ordering::Relaxed) {
            file.reopen();
        }
        for remark in file.take_remarks() {
            self.warn(format_args!("{remark}"));
        }
        // Where nothing can be written, they are reported once it can be.
        if failed_before.is_none() {
            self.warn_of_dropped();
        }
        file.write(now, |spare| self.buffer.swap(spare));
        self.watch.end(now, file.failure());
        match (failed_before, file.failure()) {
            (None, Some(failure)) => {
                self.tell_standard_error(format_args!(
                    "cannot be written: {failure}; the node goes on without"
                ));
            }
            (Some(failure), None) => {
                self.warn(format_args!("the log could not be written for a while: {failure}"));
            }
            _ => {}
        }
    }

    fn warn_of_dropped(&self) {
        let dropped = self.buffer.take_dropped();
        if dropped.lines > 0 {
            self.warn(format_args!(
                "{} traffic lines dropped: the disk is slower than the traffic, or full",
                dropped.lines
            ));
        }
        if dropped.events > 0 {
            self.warn(format_args!(
                "{} events dropped: the disk is slower than they came, or full",
                dropped.events
            ));
        }
    }

    /// What will never be in the log, once nobody writes to it any more.
    fn tell_losses(&self, file: &LogFile) {
        let dropped = self.buffer.take_dropped();
        let lost = file.unwritten_lines() + self.buffer.lines() + dropped.lines + dropped.events;
        if lost > 0 {
            let why = file.failure().unwrap_or("the disk is slower than they came");
            self.tell_standard_error(format_args!("lacks {lost} lines, which are lost: {why}"));
        }
    }

    /// Says it where it can be seen, since the log cannot.
    fn tell_standard_error(&self, what: fmt::Arguments<'_>) {
        text::say(&mut io::stderr(), "herd", format_args!("the log {} {what}", self.path.display()));
    }

    /// How the log is. Waits for no disk.
    pub fn condition(&self, now: Tick) -> LogCondition {
        let dropped = self.buffer.dropped();
        LogCondition {
            failing: self.watch.failing(now),
            dropped_lines: dropped.lines,
            dropped_events: dropped.events,
        }
    }

    /// Has the writer close the file and open it by its name as the start does, for those who moved it.
    pub fn reopen(&self) {
        self.is_moved.store(true, Ordering::Relaxed);
    }

    /// What the log lacks of a process that ends without its log thread, which does not come back from a write.
    pub fn tell_stalled(&self) {
        self.tell_standard_error(format_args!(
            "lacks {} lines at least, which are lost: the disk does not end a write",
            self.buffer.lines()
        ));
    }
}

/// Makes one append of an event, which fern formats in several writes.
struct EventWriter {
    line: Vec<u8>,
    buffer: Arc<Buffer>,
}

impl io::Write for EventWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.line.is_empty() {
            self.buffer.append_event(&self.line);
            self.line.clear();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
