//! Each second's histograms as an HdrHistogram log, which its own tools read. Values are nanoseconds; tags say which latency
//! of which kind. A thread of its own writes, so that the load does not wait for a disk.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    thread::{self, JoinHandle},
    time::{Duration, SystemTime},
};

use crossbeam_channel::{Receiver, Sender, bounded};
use hdrhistogram::{
    Histogram,
    serialization::{
        V2DeflateSerializer,
        interval_log::{IntervalLogWriterBuilder, Tag},
    },
};

use super::RunError;
use crate::drive::Tick;

/// Histograms that may wait to be written.
const QUEUE: usize = 64;
/// Nanoseconds in a unit of the maximum that accompanies each histogram: milliseconds, as others write it.
const MAX_VALUE_DIVISOR: f64 = 1e6;

/// A log that is being filled.
#[derive(Debug)]
pub(super) struct HdrLog {
    path: PathBuf,
    intervals: Sender<Interval>,
    thread: JoinHandle<io::Result<()>>,
}

#[derive(Debug)]
struct Interval {
    since: Duration,
    lasted: Duration,
    tag: &'static str,
    histogram: Histogram<u64>,
}

/// What the loop notes its seconds with.
#[derive(Debug)]
pub(super) struct Writer(Sender<Interval>);

impl Writer {
    pub(super) fn note(&self, tick: &Tick<'_>) {
        let names = [("IAMAT-service", "IAMAT-response"), ("WHATSAT-service", "WHATSAT-response")];
        for (latencies, (service, response)) in tick.latencies.iter().zip(names) {
            for (tag, histogram) in [(service, &latencies.service), (response, &latencies.response)] {
                if !histogram.is_empty() {
                    let Tick { since, lasted, .. } = *tick;
                    let interval = Interval { since, lasted, tag, histogram: histogram.clone() };
                    // A writer that has ended says why when it is joined.
                    let _ended = self.0.send(interval);
                }
            }
        }
    }
}

impl HdrLog {
    /// Makes the file.
    pub(super) fn create(path: &Path) -> Result<Self, RunError> {
        let file = File::create(path).map_err(RunError::write(path))?;
        let (intervals, queue) = bounded(QUEUE);
        let thread = thread::Builder::new()
            .name("hdr-log".to_owned())
            .spawn(move || fill(BufWriter::new(file), &queue))
            .map_err(RunError::write(path))?;
        Ok(Self { path: path.to_owned(), intervals, thread })
    }

    pub(super) fn writer(&self) -> Writer {
        Writer(self.intervals.clone())
    }

    /// Waits until everything is written; every writer must be gone by now.
    pub(super) fn finish(self) -> Result<(), RunError> {
        let Self { path, intervals, thread } = self;
        drop(intervals);
        let written = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        written.map_err(RunError::write(&path))
    }
}

fn fill(mut out: impl Write, queue: &Receiver<Interval>) -> io::Result<()> {
    let mut serializer = V2DeflateSerializer::new();
    let now = SystemTime::now();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment("[Histogram log format version 1.3]")
        .add_comment("Latencies in nanoseconds, maxima in milliseconds")
        .with_start_time(now)
        .with_base_time(now)
        .with_max_value_divisor(MAX_VALUE_DIVISOR)
        .begin_log_with(&mut out, &mut serializer)?;
    for Interval { since, lasted, tag, histogram } in queue {
        log.write_histogram(&histogram, since, lasted, Tag::new(tag))
            .map_err(|error| io::Error::other(error.to_string()))?;
    }
    out.flush()
}
