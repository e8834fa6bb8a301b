//! Where the nodes of a part run: an address of this process's own, a port and a scratch directory for each node, and
//! a configuration of its own, so that a forwarder can stand between two of them.

use std::{
    fmt::Write,
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{
    log::{self, Event, Micros},
    peer::Peer,
};
use crate::{
    clock::Clock,
    compare::{CompareError, traffic_log::Findings},
    hop::Neighbour,
    server::Server,
};

/// The herd all nodes are of.
pub(super) const HERD: &str = "bench";
/// The neighbour that the tester plays.
pub(super) const TESTER: &str = "Bench";

/// The first port; below the ephemeral range, so that no client's socket can be sitting on one.
const PORTS: u16 = 21_620;
/// The tester's, where nobody listens but while the check value is asked for.
const TESTER_PORT: u16 = 9;
/// How long a node may take to call its neighbour.
const CALL: Duration = Duration::from_secs(30);
/// How often a log is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// On a disk by convention, where `/tmp` may be memory.
const SCRATCH: &str = "/var/tmp";

/// A node to be started.
#[derive(Clone, Debug)]
pub(super) struct Plan<'a> {
    pub(super) id: &'a str,
    pub(super) listen: SocketAddr,
    /// Its neighbours, and where it is to dial them.
    pub(super) links: Vec<(&'a str, SocketAddr)>,
    pub(super) traffic: bool,
    /// Lines for the table `[limits]`.
    pub(super) limits: &'a str,
}

impl<'a> Plan<'a> {
    pub(super) fn new(id: &'a str, listen: SocketAddr, links: &[(&'a str, SocketAddr)]) -> Self {
        Self { id, listen, links: links.to_vec(), traffic: false, limits: "" }
    }

    fn configuration(&self) -> String {
        let Self { id, listen, links, traffic, limits } = self;
        let names: Vec<_> = links.iter().map(|(name, _)| format!("{name:?}")).collect();
        let mut text = format!(
            "[herd]\nname = {HERD:?}\n\n[log]\ntraffic = {traffic}\n\n[limits]\n{limits}\n\
             [[node]]\nid = {id:?}\nlisten = \"{listen}\"\nlinks = [{}]\n",
            names.join(", ")
        );
        for (name, address) in links {
            // Writing to a string cannot fail.
            let _infallible = write!(text, "\n[[node]]\nid = {name:?}\nlisten = \"{address}\"\n");
        }
        text
    }
}

/// The nodes' surroundings.
#[derive(Debug)]
pub(super) struct Bed<'a> {
    herd: &'a Path,
    ip: Ipv4Addr,
    /// What a neighbour must know to be let in.
    check: u64,
}

impl<'a> Bed<'a> {
    /// Starts a node once, to see that it can be and to hear the herd's check value.
    pub(super) fn new(herd: &'a Path) -> Result<Self, CompareError> {
        let [.., high, low] = std::process::id().to_be_bytes();
        let mut bed = Self { herd, ip: Ipv4Addr::new(127, 78, high, low.clamp(1, 254)), check: 0 };
        let neighbour = Neighbour::listen(bed.address(TESTER_PORT), HERD, TESTER)?;
        let node = bed.start(&Plan::new("Solo", bed.address(0), &[bed.tester()]))?;
        bed.check = neighbour.accept(CALL)?.check();
        node.stop()?;
        Ok(bed)
    }

    /// The address of that number, up to 8.
    pub(super) fn address(&self, number: u16) -> SocketAddr {
        SocketAddr::from((self.ip, PORTS + number))
    }

    /// The tester, as a node's neighbour that it will not reach.
    pub(super) fn tester(&self) -> (&'static str, SocketAddr) {
        (TESTER, self.address(TESTER_PORT))
    }

    pub(super) fn start(&self, plan: &Plan<'_>) -> Result<Running, CompareError> {
        self.start_program(self.herd, plan)
    }

    pub(super) fn start_program(&self, program: &Path, plan: &Plan<'_>) -> Result<Running, CompareError> {
        let root = std::env::var_os("TMPDIR").map_or_else(|| PathBuf::from(SCRATCH), PathBuf::from);
        let scratch = TempDir::with_prefix_in("herd-load-", root)
            .map_err(CompareError::file("cannot make a scratch directory; set TMPDIR to one on a disk"))?;
        let (config, logs) = (scratch.path().join("herd.toml"), scratch.path().join("log"));
        fs::create_dir(&logs).map_err(CompareError::file("cannot make the log's directory"))?;
        fs::write(&config, plan.configuration())
            .map_err(CompareError::file("cannot write the node's configuration"))?;
        let mut command = Command::new(program);
        command.args(["node", plan.id]).arg("--config").arg(config).arg("--log-dir").arg(&logs);
        let started = now();
        let server = Server::start(command)?;
        Ok(Running { server, id: plan.id.to_owned(), logs, started, _scratch: scratch })
    }

    /// A link to the node, as its neighbour's.
    pub(super) fn dial(&self, node: &Running) -> Result<Peer, CompareError> {
        Peer::dial(node.address(), &node.id, self.check)
    }

    /// Waits until two nodes have the same sum; why they are not alike, if they do not come to it.
    pub(super) fn await_alike(
        &self,
        nodes: [&Running; 2],
        within: Duration,
    ) -> Result<Option<String>, CompareError> {
        let deadline = Instant::now() + within;
        let mut peers = [self.dial(nodes[0])?, self.dial(nodes[1])?];
        loop {
            let [one, other] = &mut peers;
            if one.ask("SUM")? == other.ask("SUM")? {
                return Ok(None);
            }
            if Instant::now() >= deadline {
                return Ok(Some(format!("the nodes' sums still differ {} s later", within.as_secs())));
            }
            thread::sleep(LOOK);
        }
    }
}

/// A node at work. Its files are removed when it is dropped.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) server: Server,
    /// When its process was made.
    pub(super) started: Micros,
    id: String,
    logs: PathBuf,
    _scratch: TempDir,
}

impl Running {
    pub(super) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Waits until an event that begins like one of these is told of which came at `since` or later; the moment of the first.
    pub(super) fn await_event(
        &self,
        beginnings: &[&str],
        since: Micros,
        within: Duration,
    ) -> Result<Micros, CompareError> {
        let deadline = Instant::now() + within;
        let path = self.logs.join(format!("{}.log", self.id));
        let is_it = |event: &&Event| {
            event.at >= since && beginnings.iter().any(|beginning| event.text.starts_with(beginning))
        };
        loop {
            if let Some(event) = log::events(&path).iter().find(is_it) {
                return Ok(event.at);
            }
            if Instant::now() >= deadline {
                return Err(CompareError::Late { what: format!("{}'s {beginnings:?}", self.id), within });
            }
            thread::sleep(LOOK);
        }
    }

    /// Ends the node; why its log is not whole, if it is not.
    pub(super) fn stop(self) -> Result<Option<String>, CompareError> {
        let Self { server, logs, .. } = self;
        server.stop()?;
        let findings = Findings::read(&logs).map_err(CompareError::file("cannot read the node's log"))?;
        Ok(findings.objection(0))
    }
}

/// The present, as the logs tell it.
pub(super) fn now() -> Micros {
    (Clock::start().posix_ns(0) / 1_000).cast_signed()
}

/// From one moment of the logs to a later one.
pub(super) fn seconds_between(from: Micros, to: Micros) -> f64 {
    (to - from) as f64 / 1e6
}

/// Names what was being done when a socket failed.
pub(super) fn failed(what: &'static str) -> impl FnOnce(io::Error) -> CompareError {
    CompareError::file(what)
}
