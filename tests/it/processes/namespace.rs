//! A herd in a network namespace of its own, whose whole network is taken down under load and brought up again: nothing is
//! closed, nothing can be reached, and what was on its way comes late or never. Needs `ip`, and the right to make a
//! namespace; without that right the test says loudly that it tests nothing.

use std::{
    fs,
    fs::File,
    io::ErrorKind,
    os::fd::AsFd,
    path::PathBuf,
    process::{Command, Output},
    thread,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::support::{Load, heavy, line_of, wait_until_agreed};
use crate::support::{skipped, skipped_in_ci_too};

const ALL: [&str; 3] = ["A", "B", "C"];

/// A namespace, deleted when dropped.
pub(super) struct Namespace {
    name: String,
}

impl Namespace {
    /// `None` where there can be none, which it has said: then `subject` is not tested.
    pub(super) fn new(subject: &str) -> Option<Self> {
        let name = format!("proxyherd-test-{}", std::process::id());
        let Output { status, stderr, .. } = match Command::new("ip").args(["netns", "add", &name]).output() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                skipped(subject, "there is no `ip` here; install iproute2");
                return None;
            }
            output => output.unwrap(),
        };
        if !status.success() {
            let said = String::from_utf8_lossy(&stderr);
            let is_refused = ["Operation not permitted", "Permission denied", "Read-only file system"];
            assert!(is_refused.iter().any(|why| said.contains(why)), "{said}");
            skipped_in_ci_too(subject, &format!("no network namespace can be made here: {}", said.trim()));
            return None;
        }
        let namespace = Self { name };
        namespace.set("up");
        // Where a namespace can be made but not entered, the machine does not allow it either.
        if let Err(error) = thread::scope(|scope| scope.spawn(|| namespace.enter()).join().unwrap()) {
            skipped_in_ci_too(subject, &format!("no network namespace can be entered here: {error}"));
            return None;
        }
        Some(namespace)
    }

    /// Takes its only network down, or up.
    pub(super) fn set(&self, state: &str) {
        let arguments = ["-n", &self.name, "link", "set", "lo", state];
        let output = Command::new("ip").args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Moves this thread into it, and what the thread will start: threads, processes, sockets.
    pub(super) fn enter(&self) -> rustix::io::Result<()> {
        let file = File::open(PathBuf::from("/run/netns").join(&self.name)).unwrap();
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Processes that are still in it keep it until they end; its name is gone at once.
        let deleted = Command::new("ip").args(["netns", "delete", &self.name]).status();
        assert!(thread::panicking() || deleted.is_ok_and(|status| status.success()), "{} is left", self.name);
    }
}

#[test]
fn herd_whose_network_goes_away_under_load_is_whole_once_it_is_back() {
    let _turn = heavy();
    let Some(namespace) = Namespace::new("a herd whose network goes away") else { return };
    thread::scope(|scope| {
        let test = scope.spawn(|| {
            namespace.enter().unwrap();
            take_the_network_away(&namespace);
        });
        test.join().unwrap();
    });
}

fn take_the_network_away(namespace: &Namespace) {
    let mut herd = line_of(&ALL, "liveness_seconds = 1\n");
    herd.start_all();
    let load = Load::start(&herd, &ALL);
    load.wait_for_more(&ALL, 1000);
    let network = |of: &str| fs::read_link(of).unwrap();
    assert_ne!(network("/proc/thread-self/ns/net"), network("/proc/self/ns/net"), "it is another one");

    namespace.set("down");
    for (id, peer) in [("A", "B"), ("B", "A"), ("B", "C"), ("C", "B")] {
        herd.wait_for_log(id, &[&format!("WARN  lost {peer}: it ")]);
        herd.wait_for_log(id, &[&format!("WARN  no link to {peer} at ")]);
    }
    let lines = ALL.map(|id| herd.log(id).len());
    namespace.set("up");
    for (id, peer, lines) in
        [("A", "B", lines[0]), ("B", "A", lines[1]), ("B", "C", lines[1]), ("C", "B", lines[2])]
    {
        herd.wait_for_step(id, peer, lines);
    }
    load.wait_for_more(&ALL, 500);
    wait_until_agreed(&herd, &ALL, &load.end());
}
