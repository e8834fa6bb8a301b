//! How a log is, for those who ask: whether it can be written, since when not, and what it had no room for. It is told
//! without waiting for the disk, which may hold up the log's own thread for as long as it likes.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use parking_lot::Mutex;

use crate::core::model::Tick;

/// A write that takes longer than this is a disk that hangs.
const STALL_TIME: Duration = Duration::from_secs(5);

/// Stands for no write at all.
const IDLE: u64 = u64::MAX;

/// A log at one moment.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct LogCondition {
    /// Why nothing can be written, if nothing can.
    pub failing: Option<Failing>,
    /// Traffic lines for which there was no room since the node's start.
    pub dropped_lines: u64,
    /// Events for which there was none.
    pub dropped_events: u64,
}

/// A log that cannot be written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failing {
    /// For how long.
    pub duration: Duration,
    /// Why.
    pub error: String,
}

/// What the log's thread says of its writes.
#[derive(Debug)]
pub(super) struct Watch {
    /// When the write began that is going on, in nanoseconds.
    writing_since: AtomicU64,
    failing: Mutex<Option<(Tick, String)>>,
    /// What a write that does not return means.
    stall: &'static str,
}

impl Watch {
    pub(super) fn new(stall: &'static str) -> Self {
        Self { writing_since: AtomicU64::new(IDLE), failing: Mutex::default(), stall }
    }

    /// A write begins.
    pub(super) fn begin(&self, now: Tick) {
        let now = u64::try_from(now.as_nanos()).unwrap_or(IDLE);
        self.writing_since.store(now, Ordering::Relaxed);
    }

    /// The write that began `then` has ended, and why it failed if it did.
    pub(super) fn end(&self, then: Tick, failure: Option<&str>) {
        self.writing_since.store(IDLE, Ordering::Relaxed);
        let mut failing = self.failing.lock();
        let since = failing.as_ref().map_or(then, |&(since, _)| since);
        *failing = failure.map(|error| (since, error.to_owned()));
    }

    /// Whether a write is going on.
    pub(super) fn is_writing(&self) -> bool {
        self.writing_since.load(Ordering::Relaxed) != IDLE
    }

    /// Why nothing can be written, if nothing can.
    pub(super) fn failing(&self, now: Tick) -> Option<Failing> {
        let stalled = self.stalled(now);
        let failing = self.failing.lock();
        let failed = failing
            .as_ref()
            .map(|(since, error)| Failing { duration: now.saturating_sub(*since), error: error.clone() });
        failed.or(stalled)
    }

    fn stalled(&self, now: Tick) -> Option<Failing> {
        let since = self.writing_since.load(Ordering::Relaxed);
        let duration = now.saturating_sub(Duration::from_nanos(since));
        let stalls = since != IDLE && duration >= STALL_TIME;
        stalls.then(|| Failing { duration, error: self.stall.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_lasts_from_its_first_write_and_tells_the_latest_reason() {
        let watch = Watch::new("it hangs");
        let at = Duration::from_secs;
        let write = |now, failure| {
            watch.begin(now);
            watch.end(now, failure);
        };
        write(at(1), None);
        assert_eq!(watch.failing(at(9)), None);
        write(at(10), Some("full"));
        write(at(11), Some("gone"));
        assert_eq!(watch.failing(at(15)), Some(Failing { duration: at(5), error: "gone".into() }));
        write(at(16), None);
        assert_eq!(watch.failing(at(17)), None);
        write(at(18), Some("full"));
        assert_eq!(watch.failing(at(18)).unwrap().duration, at(0));
    }

    #[test]
    fn write_that_does_not_end_is_a_failure_after_a_while() {
        let watch = Watch::new("it hangs");
        let at = Duration::from_secs;
        watch.begin(at(10));
        assert_eq!(watch.failing(at(14)), None);
        let failing = watch.failing(at(15)).unwrap();
        assert_eq!((failing.duration, failing.error.as_str()), (at(5), "it hangs"));
        watch.end(at(10), None);
        assert_eq!(watch.failing(at(99)), None);
    }
}
