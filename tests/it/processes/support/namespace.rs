//! Networks of a test's own: a namespace with its loopback, and a switch between several. Needs `ip`, and the right to make
//! a namespace; without that right it says loudly that nothing is tested.

use std::{
    fs::File,
    io::ErrorKind,
    os::fd::AsFd,
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::support::{skipped, skipped_in_ci_too};

/// What `ip` says where the machine does not allow what it is asked, or its kernel lacks it.
const REFUSALS: [&str; 5] = [
    "Operation not permitted",
    "Permission denied",
    "Read-only file system",
    "Operation not supported",
    "Unknown device type",
];

/// A namespace, deleted when dropped.
pub(crate) struct Namespace {
    name: String,
}

/// Why `ip` did not do what it was asked.
enum IpFault {
    /// It is missing.
    Missing,
    /// What it said.
    Failed(String),
}

fn ip(words: &[&str]) -> Result<(), IpFault> {
    match Command::new("ip").args(words).output() {
        Err(error) if error.kind() == ErrorKind::NotFound => Err(IpFault::Missing),
        Err(error) => panic!("{error}"),
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(IpFault::Failed(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
    }
}

/// Whether it was done. Where it cannot be done here, that is said: then `subject` is not tested.
#[track_caller]
fn is_done(done: Result<(), IpFault>, subject: &str) -> bool {
    match done {
        Ok(()) => true,
        Err(IpFault::Missing) => {
            skipped(subject, "there is no `ip` here; install iproute2");
            false
        }
        Err(IpFault::Failed(said)) => {
            assert!(REFUSALS.iter().any(|why| said.contains(why)), "{said}");
            skipped_in_ci_too(subject, &format!("no network can be made here: {said}"));
            false
        }
    }
}

impl Namespace {
    /// With its loopback up. `None` where there can be none, which it has said: then `subject` is not tested.
    pub(crate) fn new(subject: &str) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("proxyherd-test-{}-{count}", std::process::id());
        if !is_done(ip(&["netns", "add", &name]), subject) {
            return None;
        }
        let namespace = Self { name };
        namespace.ip("link set lo up");
        // Where a namespace can be made but not entered, the machine does not allow it either.
        if let Err(error) = thread::scope(|scope| scope.spawn(|| namespace.enter()).join().unwrap()) {
            skipped_in_ci_too(subject, &format!("no network namespace can be entered here: {error}"));
            return None;
        }
        Some(namespace)
    }

    /// The same with a switch in it, into which others can be plugged.
    pub(crate) fn switch(subject: &str) -> Option<Self> {
        let switch = Self::new(subject)?;
        if !is_done(switch.try_ip("link add name switch type bridge"), subject) {
            return None;
        }
        switch.ip("link set switch up");
        Some(switch)
    }

    /// Joins it to a switch by a cable of its own, under this address.
    pub(crate) fn plug_into(&self, switch: &Self, address: &str) {
        // No address is there twice, so no cable is.
        let port = format!("to-{address}");
        switch.ip(&format!("link add name {port} type veth peer name eth0 netns {}", self.name));
        switch.ip(&format!("link set {port} master switch up"));
        self.ip(&format!("address add {address}/24 dev eth0"));
        self.ip("link set eth0 up");
    }

    /// Has `ip` do this in it.
    #[track_caller]
    pub(crate) fn ip(&self, words: &str) {
        match self.try_ip(words) {
            Ok(()) => {}
            Err(IpFault::Missing) => panic!("`ip` has gone"),
            Err(IpFault::Failed(said)) => panic!("ip {words}: {said}"),
        }
    }

    fn try_ip(&self, words: &str) -> Result<(), IpFault> {
        ip(&["-n", &self.name].into_iter().chain(words.split(' ')).collect::<Vec<_>>())
    }

    /// Moves this thread into it, and what the thread will start: threads, processes, sockets.
    pub(crate) fn enter(&self) -> rustix::io::Result<()> {
        let file = File::open(PathBuf::from("/run/netns").join(&self.name)).unwrap();
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
    }

    /// Does something in it.
    pub(crate) fn within<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        let inside = || {
            self.enter().unwrap();
            act()
        };
        thread::scope(|scope| scope.spawn(inside).join())
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Processes that are still in it keep it until they end; its name is gone at once.
        let deleted = Command::new("ip").args(["netns", "delete", &self.name]).status();
        assert!(thread::panicking() || deleted.is_ok_and(|status| status.success()), "{} is left", self.name);
    }
}
