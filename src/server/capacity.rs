//! How many connections this machine lets a node have. Beyond some of these limits the standard library aborts instead
//! of failing, so a node must stay well below them.

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{config::Limits, log::Log};

/// Descriptors for everything but connections: log, listeners, libraries, names being resolved.
const DESCRIPTORS_KEPT: u64 = 256;
/// Memory mappings for everything but sessions' threads.
const MAPPINGS_KEPT: u64 = 4096;
/// A thread's mappings: its stack and guard page, and the signal stack and guard page that std adds.
const MAPPINGS_A_THREAD: u64 = 4;
/// Threads for everything but sessions, and for other programs.
const THREADS_KEPT: u64 = 512;

/// What the system allows this process. `u64::MAX` where there is no limit.
#[derive(Clone, Copy, Debug)]
struct Allowed {
    descriptors: u64,
    mappings: u64,
    mappings_used: u64,
    threads: u64,
}

/// What a node may hold in addition to clients' connections.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Others {
    /// Links. Each has one connection that this node dials.
    pub(super) links: usize,
    /// Links to peers, for which seats are kept.
    pub(super) peers: usize,
    /// Connections from third-party neighbours.
    pub(super) third_party: usize,
    /// Connections of the web face.
    pub(super) web: usize,
    /// Connections to upstreams, each made on behalf of a client's connection.
    pub(super) upstream: usize,
}

/// How many seats are kept for so many peers.
pub(super) fn reserved(peers: usize) -> usize {
    2 * peers + 4
}

/// Raises the descriptor limit as far as possible, and returns how many connections a node may have: what is
/// configured, or, if the system allows less, that number, which is then logged.
pub(super) fn connections(limits: &Limits, others: Others, log: &Log) -> usize {
    let descriptors = raise_descriptors();
    let allowed = Allowed { descriptors, ..Allowed::read() };
    let (most, what) = allowed.connections(others);
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
        // The limit does not apply to root.
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

    /// The most client connections possible beside everything else, and which limit decides it. Always at least one.
    fn connections(self, others: Others) -> (u64, &'static str) {
        let Others { links, peers, third_party, web, upstream } = others;
        let reserved = (reserved(peers) + third_party + web) as u64;
        let by_descriptors = self.descriptors.saturating_sub(DESCRIPTORS_KEPT + links as u64);
        // There are never more connections to upstreams than clients' connections to make them for.
        let by_descriptors = by_descriptors - (upstream as u64).min(by_descriptors.div_ceil(2));
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

/// Raises the soft limit to the hard one, and returns what is then allowed.
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

    const ALONE: Others = Others { links: 0, peers: 0, third_party: 0, web: 0, upstream: 0 };
    const PLENTY: Allowed =
        Allowed { descriptors: u64::MAX, mappings: u64::MAX, mappings_used: 100, threads: u64::MAX };

    #[test]
    fn the_tightest_limit_binds_and_is_named() {
        let (most, what) =
            Allowed { descriptors: 1256, ..PLENTY }.connections(Others { links: 2, peers: 2, ..ALONE });
        assert_eq!((most, what), (990, "raise the descriptor limit (ulimit -n)"));
        let (most, what) = Allowed { mappings: 65_530, ..PLENTY }.connections(ALONE);
        assert_eq!((most, what), (15_329, "raise vm.max_map_count"));
        let (most, what) = Allowed { threads: 1512, mappings: 65_530, ..PLENTY }.connections(ALONE);
        assert_eq!(most, 996);
        assert!(what.starts_with("raise the limit on threads"), "{what}");
    }

    #[test]
    fn a_starved_node_still_takes_one_connection() {
        let others = Others { links: 2, peers: 2, third_party: 0, web: 64, upstream: 1024 };
        assert_eq!(Allowed { descriptors: 64, ..PLENTY }.connections(others).0, 1);
    }

    #[test]
    fn descriptors_are_kept_for_links_the_web_face_and_upstreams() {
        let most = |descriptors, others| Allowed { descriptors, ..PLENTY }.connections(others).0;
        let others = Others { links: 300, peers: 300, third_party: 0, web: 64, upstream: 1024 };
        let kept = DESCRIPTORS_KEPT + 300 + reserved(300) as u64 + 64;
        assert_eq!(most(20_000 + kept, Others { upstream: 0, ..others }), 20_000);
        assert_eq!(most(20_000 + kept, others), 20_000 - 1024);
        // Each of the few connections can have at most one upstream call made for it.
        let few = Others { upstream: 1024, ..ALONE };
        let most_of_few = most(1024, few);
        assert_eq!(most_of_few, (1024 - DESCRIPTORS_KEPT) / 2 - reserved(0) as u64);
        assert!(2 * (most_of_few + reserved(0) as u64) + DESCRIPTORS_KEPT <= 1024);
    }

    #[test]
    fn this_machine_says_what_it_allows() {
        let allowed = Allowed::read();
        assert!(allowed.mappings_used > 10, "{allowed:?}");
        assert!(allowed.threads > 0 && allowed.mappings > 0, "{allowed:?}");
    }
}
