//! The clocks. The only file that reads them; everything else gets a `Now`, a `Timestamp` or a `Tick` as an argument.

use std::{
    sync::LazyLock,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use chrono::{DateTime, SecondsFormat, Utc};
use rustix::time::{ClockId, clock_gettime};

use crate::core::model::{Now, Tick, Timestamp};

/// Reads both clocks.
pub fn now() -> Now {
    Now { wall: wall(), tick: tick() }
}

/// Reads the clock that may jump. A machine that believes it is before 1970 reports 1970.
pub fn wall() -> Timestamp {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::new(since_1970.as_secs(), since_1970.subsec_nanos())
}

/// Reads the clock that does not jump.
pub fn tick() -> Tick {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed()
}

/// How long this thread has had a processor.
pub fn thread_cpu() -> Duration {
    let spent = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(spent.tv_sec.unsigned_abs(), u32::try_from(spent.tv_nsec).unwrap_or_default())
}

/// How long the machine has been up, sleep included: the clock by which /proc dates a process's start.
pub fn since_boot() -> Duration {
    let up = clock_gettime(ClockId::Boottime);
    Duration::new(up.tv_sec.unsigned_abs(), u32::try_from(up.tv_nsec).unwrap_or_default())
}

/// `2026-11-21T04:09:12.123456Z`, for the log.
pub fn utc_text(at: Timestamp) -> String {
    let since_1970 = at.as_nanoseconds();
    let seconds = i64::try_from(since_1970 / 1_000_000_000).unwrap_or(i64::MAX);
    let nanoseconds = (since_1970 % 1_000_000_000) as u32;
    DateTime::<Utc>::from_timestamp(seconds, nanoseconds)
        .unwrap_or_default()
        .to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// `20261121T040912Z`, for the names of files.
pub fn compact_text(at: Timestamp) -> String {
    format_seconds(at, "%Y%m%dT%H%M%SZ")
}

/// `Sat, 21 Nov 2026 04:09:12 GMT`, for HTTP.
pub fn http_date(at: Timestamp) -> String {
    format_seconds(at, "%a, %d %b %Y %H:%M:%S GMT")
}

fn format_seconds(at: Timestamp, format: &str) -> String {
    let seconds = i64::try_from(at.as_nanoseconds() / 1_000_000_000).unwrap_or(i64::MAX);
    DateTime::<Utc>::from_timestamp(seconds, 0).unwrap_or_default().format(format).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utc_text_is_rfc_3339_to_the_microsecond() {
        let at = Timestamp::parse(b"1479413884.392014450").unwrap();
        assert_eq!(utc_text(at), "2016-11-17T20:18:04.392014Z");
    }

    #[test]
    fn compact_text_is_the_basic_form_of_iso_8601() {
        let at = Timestamp::parse(b"784111777.9").unwrap();
        assert_eq!(compact_text(at), "19941106T084937Z");
    }

    #[test]
    fn http_date_is_the_fixed_form_of_rfc_9110() {
        let at = Timestamp::parse(b"784111777.9").unwrap();
        assert_eq!(http_date(at), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
