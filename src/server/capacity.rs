//! How many connections this machine lets a node have. Beyond some of these limits the standard library does not fail
//! but aborts, so they are kept by not going near them.

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{config::Limits, log::Log};

/// Descriptors for what is not a connection: links, log, listener, libraries.
const DESCRIPTORS_KEPT: u64 = 256;
/// Memory mappings for what is not a session's thread.
const MAPPINGS_KEPT: u64 = 4096;
/// A thread's mappings: its stack and guard page, and the signal stack and guard page std gives it.
const MAPPINGS_A_THREAD: u64 = 4;
/// Threads for what is not a session, and for other programs.
const THREADS_KEPT: u64 = 512;

/// What the system allows this process. `u64::MAX` where there is no limit.
#[derive(Clone, Copy, Debug)]
struct Allowed {
    descriptors: u64,
    mappings: u64,
    mappings_used: u64,
    threads: u64,
}

/// How many seats are kept for the neighbours of so many links.
pub(super) fn reserved(links: usize) -> usize {
    2 * links + 4
}

/// Raises the descriptor limit as far as it goes, and tells how many connections a node may have: what is configured, or
/// what the system allows if that is less, which is logged. The web face and third-party neighbours may have `others` more.
pub(super) fn connections(limits: &Limits, links: usize, others: usize, log: &Log) -> usize {
    let descriptors = raise_descriptors();
    let allowed = Allowed { descriptors, ..Allowed::read() };
    let (most, what) = allowed.connections((reserved(links) + others) as u64);
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    if most < limits.connections {
        log.warn(format_args!("at most {most} connections instead of {}: {what}", limits.connections));
    }
    most.min(limits.connections)
}

impl Allowed {
    fn read() -> Self {
        let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse().ok();
        let running =
            || fs::read_to_string("/proc/loadavg").ok()?.split(['/', ' ']).nth(4)?.parse::<u64>().ok();
        let system =
            ["/proc/sys/kernel/threads-max", "/proc/sys/kernel/pid_max"].map(number).into_iter().flatten();
        let system = system.min().unwrap_or(u64::MAX).saturating_sub(running().unwrap_or(0));
        // Root is not held to it.
        let of_user =
            if rustix::process::getuid().is_root() { None } else { getrlimit(Resource::Nproc).current };
        let of_group = control_group().and_then(|group| {
            let left = number(&format!("{group}/pids.max"))?
                .saturating_sub(number(&format!("{group}/pids.current"))?);
            Some(left)
        });
        Self {
            descriptors: u64::MAX,
            mappings: number("/proc/sys/vm/max_map_count").unwrap_or(u64::MAX),
            mappings_used: fs::read("/proc/self/maps")
                .map_or(0, |maps| memchr::memchr_iter(b'\n', &maps).count() as u64),
            threads: system.min(of_user.unwrap_or(u64::MAX)).min(of_group.unwrap_or(u64::MAX)),
        }
    }

    /// The most connections, `reserved` more being kept for peers, and the limit that binds. At least one, come what may.
    fn connections(self, reserved: u64) -> (u64, &'static str) {
        let by_descriptors = self.descriptors.saturating_sub(DESCRIPTORS_KEPT);
        let by_mappings =
            self.mappings.saturating_sub(self.mappings_used + MAPPINGS_KEPT) / MAPPINGS_A_THREAD;
        let by_threads = self.threads.saturating_sub(THREADS_KEPT);
        let (most, what) = [
            (by_descriptors, "raise the descriptor limit (ulimit -n)"),
            (by_mappings, "raise vm.max_map_count"),
            (
                by_threads,
                "raise the limit on threads (ulimit -u, kernel.threads-max, kernel.pid_max, pids.max)",
            ),
        ]
        .into_iter()
        .min_by_key(|&(most, _)| most)
        .unwrap_or((u64::MAX, ""));
        (most.saturating_sub(reserved).max(1), what)
    }
}

/// Sets the soft limit to the hard one; what is then allowed.
fn raise_descriptors() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// The folder of this process's control group (version 2).
fn control_group() -> Option<String> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    Some(format!("/sys/fs/cgroup{}", path.trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLENTY: Allowed =
        Allowed { descriptors: u64::MAX, mappings: u64::MAX, mappings_used: 100, threads: u64::MAX };

    #[test]
    fn the_tightest_limit_binds_and_is_named() {
        let (most, what) = Allowed { descriptors: 1256, ..PLENTY }.connections(8);
        assert_eq!((most, what), (992, "raise the descriptor limit (ulimit -n)"));
        let (most, what) = Allowed { mappings: 65_530, ..PLENTY }.connections(0);
        assert_eq!((most, what), (15_333, "raise vm.max_map_count"));
        let (most, what) = Allowed { threads: 1512, mappings: 65_530, ..PLENTY }.connections(0);
        assert_eq!(most, 1000);
        assert!(what.starts_with("raise the limit on threads"), "{what}");
    }

    #[test]
    fn a_starved_node_still_takes_one_connection() {
        assert_eq!(Allowed { descriptors: 64, ..PLENTY }.connections(8).0, 1);
    }

    #[test]
    fn this_machine_says_what_it_allows() {
        let allowed = Allowed::read();
        assert!(allowed.mappings_used > 10, "{allowed:?}");
        assert!(allowed.threads > 0 && allowed.mappings > 0, "{allowed:?}");
    }
}
