//! A node's log: events, by fern, and all traffic, by batch, in one file and in order, or events in a file of their own, or
//! all of it on standard output. The audit log stands apart.
//! Nobody waits for the disk: what has no room is dropped and counted. Each node owns its logger; none is installed for the
//! whole process, so that a library's records go nowhere.

mod audit;
mod buffer;
mod condition;
mod file;
mod open;
mod output;
mod rate_limit;
mod traffic;

use std::{fmt, io, path::PathBuf, sync::Arc, time::Duration};

use ::log::{Level, LevelFilter, Log as _, Record};
use crossbeam_channel::{Receiver, bounded, select};

use self::{
    audit::Trail,
    buffer::Buffer,
    file::LogFile,
    open::Target,
    output::{Output, OutputOptions},
};
pub use self::{
    audit::{AuditKind, ShownId},
    condition::{Failing, LogCondition},
    open::LogError,
    rate_limit::{RateLimit, Untold},
    traffic::Traffic,
};
use crate::{
    core::model::Tick,
    system::{clock, standard_error},
    text::Escaped,
};

/// How often the buffer is written out, if it does not fill before.
const TICK: Duration = Duration::from_millis(20);

/// Of what may wait for the disk, one part of so many is for events alone.
const EVENTS_PART: usize = 8;

/// Where nodes log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LogDir {
    /// To files in this folder.
    Folder(PathBuf),
    /// To standard output, all of it.
    StandardOutput,
}

/// What is logged.
#[derive(Clone, Copy, Debug)]
pub struct LogContent {
    /// Whether lines of clients and AT lines are logged.
    pub traffic: bool,
    /// Whether JSON replies are logged whole.
    pub bodies: bool,
    /// Whether the begin and the end of each connection are logged.
    pub connections: bool,
}

/// Where the audit log is, and how much of it is kept.
#[derive(Clone, Debug)]
pub struct AuditOptions {
    /// The file. Its folder is made if it is not there.
    pub path: PathBuf,
    /// What may wait for the disk, in bytes.
    pub buffer_bytes: usize,
    /// How large a file may grow, in bytes.
    pub file_bytes: usize,
    /// How many older files are kept beside the current one.
    pub files_kept: usize,
}

/// What is logged to files, to which, and how much is kept.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// The file. Its folder is made if it is not there.
    pub path: PathBuf,
    /// Another file, which has the events instead.
    pub events_path: Option<PathBuf>,
    /// The audit log. Without one, its entries are events.
    pub audit: Option<AuditOptions>,
    /// What is logged.
    pub content: LogContent,
    /// What may wait for the disk, in bytes.
    pub buffer_bytes: usize,
    /// How large a file may grow, in bytes.
    pub file_bytes: usize,
    /// How many older files are kept beside each current one.
    pub files_kept: usize,
}

/// The log. Shared by all threads of a node.
pub struct Log {
    events: Box<dyn ::log::Log>,
    main: Output,
    /// Where events go, if not there.
    apart: Option<Output>,
    /// The audit log, if it has a file of its own, and what writes to it.
    audit: Option<(Output, Box<dyn ::log::Log>)>,
    trail: Trail,
    half_full: Receiver<()>,
    content: LogContent,
}

impl Log {
    /// Opens or makes the files, for their owner only, as they are from then on.
    pub fn open(options: LogOptions) -> Result<Self, LogError> {
        let LogOptions { path, events_path, audit, content, buffer_bytes, file_bytes, files_kept } = options;
        let (wake, half_full) = bounded(1);
        let open = |path, buffer_bytes| {
            let target = Target::File(path);
            Output::open(OutputOptions { target, buffer_bytes, file_bytes, files_kept }, wake.clone())
        };
        let main = open(path, buffer_bytes)?;
        // The part of the buffer that traffic leaves free for events.
        let apart = events_path.map(|path| open(path, buffer_bytes / EVENTS_PART)).transpose()?;
        let audit = audit.map(|AuditOptions { path, buffer_bytes, file_bytes, files_kept }| {
            let target = Target::File(path);
            let output = Output::open(OutputOptions { target, buffer_bytes, file_bytes, files_kept }, wake)?;
            let entries = lines_into(&output.buffer, |out, message, _| {
                out.finish(format_args!("{} {}", clock::utc_text(clock::wall()), Escaped(message)));
            });
            Ok::<_, LogError>((output, entries))
        });
        let audit = audit.transpose()?;
        Ok(Self { audit, ..Self::over((main, apart), half_full, content) })
    }

    /// Logs to standard output, of which `buffer_bytes` may wait for whoever reads it. It is never opened again.
    pub fn on_standard_output(content: LogContent, buffer_bytes: usize) -> Result<Self, LogError> {
        let (wake, half_full) = bounded(1);
        let options =
            OutputOptions { target: Target::StandardOutput, buffer_bytes, file_bytes: 0, files_kept: 0 };
        Ok(Self::over((Output::open(options, wake)?, None), half_full, content))
    }

    fn over((main, apart): (Output, Option<Output>), half_full: Receiver<()>, content: LogContent) -> Self {
        let events = lines_into(&apart.as_ref().unwrap_or(&main).buffer, |out, message, record| {
            let time = clock::utc_text(clock::wall());
            out.finish(format_args!("{time} {:5} {}", record.level(), Escaped(message)));
        });
        Self { events, main, apart, audit: None, trail: Trail::default(), half_full, content }
    }

    /// Whether it goes to standard output, where nothing else may go then.
    pub fn is_on_standard_output(&self) -> bool {
        self.main.target == Target::StandardOutput
    }

    /// Events first, so that what has become of traffic finds room among them.
    fn outputs(&self) -> impl Iterator<Item = &Output> {
        self.apart.iter().chain([&self.main]).chain(self.audit.iter().map(|(output, _)| output))
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
        self.events.log(&record(level, what));
    }

    /// An entry of the audit log.
    fn enter(&self, what: fmt::Arguments<'_>) {
        match &self.audit {
            Some((_, entries)) => entries.log(&record(Level::Info, what)),
            None => self.info(format_args!("audit: {what}")),
        }
    }

    /// Whether traffic is wanted; where it is not, nobody should format it.
    pub fn takes_traffic(&self) -> bool {
        self.content.traffic
    }

    /// Whether whole JSON replies are wanted.
    pub fn takes_bodies(&self) -> bool {
        self.content.bodies
    }

    /// Whether the begin and the end of each connection are wanted.
    pub fn takes_connections(&self) -> bool {
        self.content.connections
    }

    /// Appends a batch's traffic, whole lines that are formatted already; drops and counts them where there is no room.
    fn traffic(&self, block: &[u8], lines: u64) {
        self.main.buffer.append_traffic(block, lines);
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
            self.write_all(clock::tick());
            if is_last {
                // What the first write said of itself, such as lines dropped.
                self.write_all(clock::tick());
                self.outputs().for_each(|output| Self::tell_losses(output, &output.file.lock()));
                return;
            }
        }
    }

    /// Writes the buffer out in the caller's thread, for a start that takes long: its log thread does not run yet.
    pub fn write_now(&self) {
        self.write_all(clock::tick());
    }

    fn write_all(&self, now: Tick) {
        self.outputs().for_each(|output| self.write_out(output, &mut output.file.lock(), now));
    }

    fn write_out(&self, output: &Output, file: &mut LogFile, now: Tick) {
        let failed_before = file.failure().map(str::to_owned);
        let which = self.which(output);
        output.watch.begin(now);
        if output.take_moved() {
            file.reopen();
        }
        for remark in file.take_remarks() {
            self.warn(format_args!("{remark}{which}"));
        }
        file.write(now, |spare| output.buffer.swap(spare));
        output.watch.end(now, file.failure());
        // Where nothing can be written, they are reported once it can be. By now there is room to say so.
        if file.failure().is_none() {
            self.warn_of_dropped(output);
        }
        match (failed_before, file.failure()) {
            (None, Some(failure)) => {
                tell_standard_error(
                    output,
                    format_args!("cannot be written: {failure}; the node goes on without"),
                );
            }
            (Some(failure), None) => {
                self.warn(format_args!("the log could not be written for a while: {failure}{which}"));
            }
            _ => {}
        }
    }

    /// What tells one file from the other, where there are two.
    fn which(&self, output: &Output) -> String {
        let is_one_of_two = self.apart.is_some() || self.is_audit(output);
        if is_one_of_two { format!(" ({})", output.target) } else { String::new() }
    }

    fn is_audit(&self, output: &Output) -> bool {
        self.audit.as_ref().is_some_and(|(audit, _)| std::ptr::eq(audit, output))
    }

    fn warn_of_dropped(&self, output: &Output) {
        let (dropped, why) = (output.buffer.take_dropped(), output.target.slowness());
        if dropped.lines > 0 {
            self.warn(format_args!("{} traffic lines dropped: {why}", dropped.lines));
        }
        if dropped.events > 0 {
            let which = if self.is_audit(output) { self.which(output) } else { String::new() };
            self.warn(format_args!("{} events dropped: {why}{which}", dropped.events));
        }
    }

    /// What will never be in the log, once nobody writes to it any more.
    fn tell_losses(output: &Output, file: &LogFile) {
        let dropped = output.buffer.take_dropped();
        let lost = file.unwritten_lines() + output.buffer.lines() + dropped.lines + dropped.events;
        if lost > 0 {
            let why = file.failure().unwrap_or_else(|| output.target.slowness());
            tell_standard_error(output, format_args!("lacks {lost} lines, which are lost: {why}"));
        }
    }

    /// How the log is: of two files, the one that cannot be written. Waits for no disk.
    pub fn condition(&self, now: Tick) -> LogCondition {
        let mut condition = LogCondition::default();
        for output in self.outputs() {
            let dropped = output.buffer.dropped();
            condition.dropped_lines += dropped.lines;
            condition.dropped_events += dropped.events;
            condition.failing = condition.failing.or_else(|| {
                let Failing { duration, error } = output.watch.failing(now)?;
                Some(Failing { duration, error: format!("{error}{}", self.which(output)) })
            });
        }
        condition
    }

    /// Has the writer close the files and open them by their names as the start does, for those who moved them.
    pub fn reopen(&self) {
        self.outputs().for_each(Output::set_moved);
    }

    /// What the log lacks of a process that ends without its log thread, which does not come back from a write.
    pub fn tell_stalled(&self) {
        let stalled = self.outputs().find(|output| output.watch.is_writing()).unwrap_or(&self.main);
        for output in self.outputs() {
            let lines = output.buffer.lines();
            if std::ptr::eq(output, stalled) {
                let why = output.target.stall();
                tell_standard_error(
                    output,
                    format_args!("lacks {lines} lines at least, which are lost: {why}"),
                );
            } else if lines > 0 {
                let cause = &stalled.target;
                let why = format_args!(
                    "lacks {lines} lines, which are lost: a write to the log {cause} does not end"
                );
                tell_standard_error(output, why);
            }
        }
    }
}

fn record<'a>(level: Level, what: fmt::Arguments<'a>) -> Record<'a> {
    Record::builder().level(level).target("herd").args(what).build()
}

/// What formats records as lines, and appends them to a buffer.
fn lines_into(
    buffer: &Arc<Buffer>,
    format: impl Fn(fern::FormatCallback<'_>, &fmt::Arguments<'_>, &Record<'_>) + Send + Sync + 'static,
) -> Box<dyn ::log::Log> {
    let writer = EventWriter { line: Vec::new(), buffer: Arc::clone(buffer) };
    let output = fern::Output::writer(Box::new(writer), "\n");
    fern::Dispatch::new().level(LevelFilter::Info).format(format).chain(output).into_log().1
}

/// Says it where it can be seen, since the log cannot.
fn tell_standard_error(output: &Output, what: fmt::Arguments<'_>) {
    standard_error::say(format_args!("the log {} {what}", output.target));
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
mod apart_tests;
#[cfg(test)]
mod tests;
