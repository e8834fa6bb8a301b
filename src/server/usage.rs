//! What the system reports about this process: memory, descriptors, threads, processor time. 0 for what it does not
//! report.

use std::{fs, time::Duration};

use rustix::process::{Resource, getrlimit};

use crate::{core::model::Timestamp, system::clock, web::Process};

/// When this process started, in POSIX seconds: the present time minus its age.
pub(super) fn process_started(now: Timestamp) -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    now.as_nanoseconds() as f64 / 1e9 - age_seconds(clock::since_boot(), &stat)
}

fn age_seconds(since_boot: Duration, stat: &str) -> f64 {
    let started = after_name(stat).nth(19).and_then(|ticks| ticks.parse::<u64>().ok());
    let started = started.map(|ticks| ticks as f64 / rustix::param::clock_ticks_per_second() as f64);
    started.map_or(0.0, |started| since_boot.as_secs_f64() - started).max(0.0)
}

/// Reads it, from /proc. The caller passes `started_seconds`, so that it is the same each time.
pub(super) fn read(started_seconds: f64) -> Process {
    let text = |path| fs::read_to_string(path).unwrap_or_default();
    Process {
        resident_bytes: resident_pages(&text("/proc/self/statm")) * rustix::param::page_size() as u64,
        // Reading the folder opens one more, which does not count.
        descriptors: fs::read_dir("/proc/self/fd").map_or(0, |open| open.count().saturating_sub(1) as u64),
        descriptors_max: getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX),
        threads: threads(&text("/proc/self/status")),
        cpu_seconds: cpu_ticks(&text("/proc/self/stat")) as f64
            / rustix::param::clock_ticks_per_second() as f64,
        started_seconds,
    }
}

fn resident_pages(statm: &str) -> u64 {
    statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or_default()
}

fn threads(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("Threads:"));
    line.and_then(|count| count.trim().parse().ok()).unwrap_or_default()
}

/// In user and kernel mode.
fn cpu_ticks(stat: &str) -> u64 {
    after_name(stat).skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
}

/// The fields from the third on. The name in parentheses may hold anything, so they are counted from its end.
fn after_name(stat: &str) -> impl Iterator<Item = &str> {
    stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_where_proc_5_says() {
        assert_eq!(resident_pages("4412 1893 1102 2 0 240 0\n"), 1893);
        assert_eq!(threads("Name:\therd\nThreads:\t17\nSigQ:\t0/1\n"), 17);
        let stat = "7 (odd ) name) S 1 7 7 0 -1 4194560 130 0 0 0 21 13 0 0 20 0 1 0 100 1 1";
        assert_eq!(cpu_ticks(stat), 34);
        let age = age_seconds(Duration::from_millis(350_250), stat);
        assert_eq!(age, 350.25 - 100.0 / rustix::param::clock_ticks_per_second() as f64);
        assert_eq!(age_seconds(Duration::from_secs(5), ""), 0.0);
        assert_eq!((resident_pages(""), threads(""), cpu_ticks("")), (0, 0, 0));
    }

    #[test]
    fn this_process_is_measured() {
        let usage = read(5.0);
        assert!(usage.resident_bytes > 1 << 20 && usage.threads >= 1, "{usage:?}");
        assert!(usage.descriptors >= 3 && usage.descriptors_max >= usage.descriptors, "{usage:?}");
    }
}
