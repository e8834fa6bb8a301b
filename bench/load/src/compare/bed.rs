//! Where the subjects run: a loopback address and a scratch directory, and a process for each. Ports are fixed
//! and below the ephemeral range, so that no client's socket can be sitting on one.

use std::{
    fs, io,
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::PathBuf,
    process::Command,
    time::Duration,
};

use tempfile::TempDir;

use super::{CompareError, Comparison, Subject, traffic_log::Findings};
use crate::{
    clock::Clock,
    iamat::Composer,
    reply,
    server::{Server, ServerError},
};

pub(super) const HERD: &str = "bench";
pub(super) const NODE: &str = "Solo";
pub(super) const NEIGHBOUR: &str = "Bench";

/// The first port for subjects, and for their neighbours; subjects may run side by side.
const SERVER_PORTS: u16 = 21_600;
const NEIGHBOUR_PORTS: u16 = 21_610;
/// How long a single report may wait for its answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// On a disk by convention, where `/tmp` may be memory.
const SCRATCH: &str = "/var/tmp";

#[derive(Debug)]
pub(super) struct Bed<'a> {
    comparison: &'a Comparison,
    address: Ipv4Addr,
}

impl<'a> Bed<'a> {
    pub(super) fn new(comparison: &'a Comparison) -> Self {
        // An address of this process's own, so that two testers at once do not meet.
        let [.., high, low] = std::process::id().to_be_bytes();
        Self { comparison, address: Ipv4Addr::new(127, 77, high, low.clamp(1, 254)) }
    }

    pub(super) fn neighbour_address(&self, subject: Subject) -> SocketAddr {
        SocketAddr::from((self.address, NEIGHBOUR_PORTS + subject as u16))
    }

    fn server_address(&self, subject: Subject) -> SocketAddr {
        SocketAddr::from((self.address, SERVER_PORTS + subject as u16))
    }

    /// Starts echo or a node by itself.
    pub(super) fn start_for_throughput(
        &self,
        subject: Subject,
        line_length: usize,
    ) -> Result<Running, CompareError> {
        if subject.is_node() {
            return self.start_node(subject, &self.alone(subject));
        }
        let mut command = Command::new(&self.comparison.tester);
        command.arg("echo").arg(format!("--listen={}", self.server_address(subject)));
        command.arg(format!("--line-length={line_length}"));
        Running::start(command, None)
    }

    /// Starts the skeleton or a node, linked with the neighbour.
    pub(super) fn start_for_hops(&self, subject: Subject) -> Result<Running, CompareError> {
        if subject.is_node() {
            return self.start_node(subject, &self.linked(subject));
        }
        let mut command = Command::new(&self.comparison.tester);
        command.arg("skeleton").arg(format!("--listen={}", self.server_address(subject)));
        command.arg(format!("--neighbour={}", self.neighbour_address(subject)));
        command.args(["--herd", HERD, "--id", NODE, "--peer", NEIGHBOUR]);
        Running::start(command, None)
    }

    fn start_node(&self, subject: Subject, nodes: &str) -> Result<Running, CompareError> {
        let scratch = Scratch::new(subject == Subject::NodeLogging)?;
        let config = scratch.directory.path().join("herd.toml");
        let text = format!("[herd]\nname = \"{HERD}\"\n\n[log]\ntraffic = {}\n\n{nodes}", scratch.logging);
        fs::write(&config, text).map_err(CompareError::file("cannot write the node's configuration"))?;
        let mut command = Command::new(&self.comparison.herd);
        command.args(["node", NODE]).arg("--config").arg(config).arg("--log-dir").arg(scratch.log());
        Running::start(command, Some(scratch))
    }

    fn alone(&self, subject: Subject) -> String {
        format!("[[node]]\nid = \"{NODE}\"\nlisten = \"{}\"\n", self.server_address(subject))
    }

    fn linked(&self, subject: Subject) -> String {
        let neighbour = self.neighbour_address(subject);
        let alone = self.alone(subject);
        format!(
            "{alone}links = [\"{NEIGHBOUR}\"]\n\n[[node]]\nid = \"{NEIGHBOUR}\"\nlisten = \"{neighbour}\"\n"
        )
    }

    /// How long a node's answer is to the last of the clients, whose number is as long as most: the length
    /// that echo must answer with.
    pub(super) fn reply_length(&self) -> Result<usize, CompareError> {
        let running = self.start_node(Subject::Node, &self.alone(Subject::Node))?;
        let reply = ask(running.address(), self.comparison.clients.saturating_sub(1))
            .map_err(CompareError::file("no answer to a single report"))?;
        running.stop(1)?;
        if reply::is_at_line(&reply) {
            Ok(reply.len())
        } else {
            Err(CompareError::Wrong(String::from_utf8_lossy(&reply).into_owned()))
        }
    }
}

/// Sends one report of client `number`; gives the answer without its newline.
fn ask(server: SocketAddr, number: u32) -> io::Result<Vec<u8>> {
    let stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut line = Vec::new();
    Composer::new(Clock::start().posix_ns(0)).append(&mut line, number);
    (&stream).write_all(&line)?;
    line.clear();
    BufReader::new(&stream).read_until(b'\n', &mut line)?;
    Ok(line.trim_ascii_end().to_vec())
}

/// A node's files, removed when dropped: a log's pages are not to be written back during the next run.
#[derive(Debug)]
struct Scratch {
    directory: TempDir,
    logging: bool,
}

impl Scratch {
    fn new(logging: bool) -> Result<Self, CompareError> {
        let root = std::env::var_os("TMPDIR").map_or_else(|| PathBuf::from(SCRATCH), PathBuf::from);
        let directory = TempDir::with_prefix_in("herd-load-", root)
            .map_err(CompareError::file("cannot make a scratch directory; set TMPDIR to one on a disk"))?;
        let scratch = Self { directory, logging };
        fs::create_dir(scratch.log()).map_err(CompareError::file("cannot make the log's directory"))?;
        Ok(scratch)
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }
}

/// A subject at work.
#[derive(Debug)]
pub(super) struct Running {
    server: Server,
    scratch: Option<Scratch>,
}

impl Running {
    fn start(command: Command, scratch: Option<Scratch>) -> Result<Self, CompareError> {
        Ok(Self { server: Server::start(command)?, scratch })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Ends the subject; gives why a run of `sent` reports does not count, if it does not.
    pub(super) fn stop(self, sent: u64) -> Result<Option<String>, CompareError> {
        let Self { server, scratch } = self;
        let drained = match server.stop() {
            Ok(_status) => None,
            Err(ServerError::Undying { program }) => Some(format!("{program} had to be killed")),
            Err(error) => return Err(error.into()),
        };
        let Some(scratch) = scratch.filter(|scratch| scratch.logging) else { return Ok(drained) };
        let findings =
            Findings::read(&scratch.log()).map_err(CompareError::file("cannot read the node's log"))?;
        Ok(drained.or_else(|| findings.objection(sent)))
    }
}
