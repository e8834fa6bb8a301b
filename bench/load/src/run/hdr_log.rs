//! Each second's histograms as an HdrHistogram log, which its own tools read. Values are nanoseconds; tags say which latency
//! of which kind. A thread of its own writes, so that the load does not wait for a disk.

use std::{
    io::{self, BufWriter},
    path::{Path, PathBuf},
    thread::{self, JoinHandle},
    time::{Duration, SystemTime},
};

use crossbeam_channel::{Receiver, Sender, bounded};
use hdrhistogram::serialization::{
    V2DeflateSerializer,
    interval_log::{IntervalLogWriterBuilder, Tag},
};

use super::RunError;
use crate::{
    drive::{Latencies, Tick},
    whole::WholeFile,
};

/// Histograms that may wait to be written.
const QUEUE: usize = 64;
/// Nanoseconds in a unit of the maximum that accompanies each histogram: milliseconds, as others write it.
const MAX_VALUE_DIVISOR: f64 = 1e6;

/// A log that is being filled.
#[derive(Debug)]
pub(super) struct HdrLog {
    path: PathBuf,
    intervals: Sender<Interval>,
    thread: JoinHandle<io::Result<WholeFile>>,
}

#[derive(Debug)]
struct Interval {
    since: Duration,
    lasted: Duration,
    latencies: [Latencies; 2],
}

/// What the loop notes its seconds with.
#[derive(Debug)]
pub(super) struct Writer(Sender<Interval>);

impl Writer {
    pub(super) fn note(&self, tick: &Tick<'_>) {
        let Tick { since, lasted, .. } = *tick;
        // A writer that has ended says why when it is joined.
        let _ended = self.0.send(Interval { since, lasted, latencies: tick.latencies.clone() });
    }
}

impl HdrLog {
    /// Begins to fill a file, which will be at `path`.
    pub(super) fn begin(file: WholeFile, path: &Path) -> Result<Self, RunError> {
        let (intervals, queue) = bounded(QUEUE);
        let thread = thread::Builder::new()
            .name("hdr-log".to_owned())
            .spawn(move || fill(file, &queue))
            .map_err(RunError::write(path))?;
        Ok(Self { path: path.to_owned(), intervals, thread })
    }

    pub(super) fn writer(&self) -> Writer {
        Writer(self.intervals.clone())
    }

    /// Waits until everything is written, and puts the file in its place; every writer must be gone by now.
    pub(super) fn finish(self) -> Result<(), RunError> {
        let Self { path, intervals, thread } = self;
        drop(intervals);
        let written = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        written.and_then(WholeFile::put).map_err(RunError::write(&path))
    }
}

fn fill(file: WholeFile, queue: &Receiver<Interval>) -> io::Result<WholeFile> {
    let mut out = BufWriter::new(file);
    let mut serializer = V2DeflateSerializer::new();
    let now = SystemTime::now();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment("[Histogram log format version 1.3]")
        .add_comment("Latencies in nanoseconds, maxima in milliseconds")
        .with_start_time(now)
        .with_base_time(now)
        .with_max_value_divisor(MAX_VALUE_DIVISOR)
        .begin_log_with(&mut out, &mut serializer)?;
    for Interval { since, lasted, latencies } in queue {
        for (of_kind, kind) in latencies.iter().zip(["IAMAT", "WHATSAT"]) {
            for (of, histogram) in [("service", &of_kind.service), ("response", &of_kind.response)] {
                if !histogram.is_empty() {
                    let tag = format!("{kind}-{of}");
                    log.write_histogram(histogram, since, lasted, Tag::new(&tag))
                        .map_err(|error| io::Error::other(error.to_string()))?;
                }
            }
        }
    }
    Ok(out.into_inner()?)
}
