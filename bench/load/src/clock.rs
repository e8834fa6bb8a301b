//! The clocks of one run: how long it has lasted, what POSIX time that is, and how much CPU its thread has used.
//! Nothing else in this package reads the wall clock for a report's timestamp.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// A monotonic clock that also knows the wall time of its start, so that timestamps never go back.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    wall_at_start_ns: u64,
}

impl Clock {
    /// Starts at the present moment.
    pub fn start() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { start: Instant::now(), wall_at_start_ns: nanoseconds(wall) }
    }

    /// Nanoseconds since the start.
    pub fn elapsed_ns(&self) -> u64 {
        nanoseconds(self.start.elapsed())
    }

    /// POSIX nanoseconds at the moment `elapsed_ns` after the start.
    pub fn posix_ns(&self, elapsed_ns: u64) -> u64 {
        self.wall_at_start_ns + elapsed_ns
    }
}

/// A duration in whole nanoseconds; five centuries are more than any run lasts.
pub fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// CPU time the calling thread has used, user and kernel together.
pub fn thread_cpu() -> Duration {
    let spent = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(spent.tv_sec.unsigned_abs(), u32::try_from(spent.tv_nsec).unwrap_or(0))
}
