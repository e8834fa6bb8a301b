//! A node that is measured: a process with a configuration, a log and a scratch directory of its own.

use std::{
    fmt::Write,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use proxyherd::core::access::Secret;
use tempfile::TempDir;

use super::log::{self, Event, Micros, now};
use crate::{
    processors,
    rounds::{BenchError, traffic_log::Findings},
    server::Server,
};

/// The herd of all nodes.
pub(crate) const HERD: &str = "bench";
/// The key that a node has for its upstreams.
pub(crate) const KEY_FILE: &str = "key";

/// How often a log is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// On a disk by convention; `/tmp` may be memory.
const SCRATCH: &str = "/var/tmp";
/// What a node would read from the tester's environment.
pub(crate) const NOT_INHERITED: [&str; 7] =
    ["HERD_PLACES_KEY", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"];

/// Writes a dummy key to [`KEY_FILE`] in a folder; a node accepts one only from a file that others may not open.
pub(crate) fn write_key(folder: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(folder.join(KEY_FILE))?;
    file.write_all(b"herd-load-has-no-key\n")
}

/// A node to be started.
#[derive(Clone, Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) id: &'a str,
    pub(crate) listen: SocketAddr,
    /// Its neighbours, and where it is to dial them.
    pub(crate) links: Vec<(&'a str, SocketAddr)>,
    pub(crate) traffic: bool,
    /// Lines for the table `[limits]`.
    pub(crate) limits: &'a str,
    /// Lines for the table `[places]`; beside the configuration there is a file [`KEY_FILE`] that holds some key.
    pub(crate) places: String,
    /// The herd's secret, if it has one. Its peers then speak TLS.
    pub(crate) secret: Option<Secret>,
    /// The only processor it may run on.
    pub(crate) processor: Option<usize>,
}

impl<'a> Plan<'a> {
    pub(crate) fn new(id: &'a str, listen: SocketAddr, links: &[(&'a str, SocketAddr)]) -> Self {
        Self {
            id,
            listen,
            links: links.to_vec(),
            traffic: false,
            limits: "",
            places: String::new(),
            secret: None,
            processor: None,
        }
    }

    /// Starts it, with files of its own.
    pub(crate) fn start(&self, program: &Path) -> Result<Running, BenchError> {
        let scratch = scratch()?;
        let (config, logs) = (scratch.path().join("herd.toml"), scratch.path().join("log"));
        fs::create_dir(&logs).map_err(BenchError::file("cannot make the log's directory"))?;
        fs::write(&config, self.configuration())
            .and_then(|()| write_key(scratch.path()))
            .and_then(|()| match &self.secret {
                Some(secret) => secret.create(&scratch.path().join("secret")).map_err(io::Error::other),
                None => Ok(()),
            })
            .map_err(BenchError::file("cannot write the node's configuration"))?;
        let mut command = Command::new(program);
        command.args(["node", self.id]).arg("--config").arg(config).arg("--log-dir").arg(&logs);
        // No key of the tester's user leaves this machine, and no proxy is between it and an upstream on it.
        for name in NOT_INHERITED {
            command.env_remove(name);
        }
        let started = now();
        let server = match self.processor {
            Some(processor) => processors::only_on(processor, || Server::start(command))
                .map_err(BenchError::file("cannot choose the node's processor"))?,
            None => Server::start(command),
        }?;
        Ok(Running { server, id: self.id.to_owned(), logs, started, _scratch: scratch })
    }

    fn configuration(&self) -> String {
        let Self { id, listen, links, traffic, limits, places, .. } = self;
        let secret = if self.secret.is_some() { "secret_file = \"secret\"\n" } else { "" };
        let names: Vec<_> = links.iter().map(|(name, _)| format!("{name:?}")).collect();
        let mut text = format!(
            "[herd]\nname = {HERD:?}\n{secret}\n[log]\ntraffic = {traffic}\n\n[limits]\n{limits}\n[places]\n{places}\n\
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

/// A node at work. Its files are removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) server: Server,
    /// When its process was made.
    pub(crate) started: Micros,
    id: String,
    logs: PathBuf,
    _scratch: TempDir,
}

impl Running {
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Waits for an event, at `since` or later, that begins like one of these; returns the time of the first.
    pub(crate) fn await_event(
        &self,
        beginnings: &[&str],
        since: Micros,
        within: Duration,
    ) -> Result<Micros, BenchError> {
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
                return Err(BenchError::Late { what: format!("{}'s {beginnings:?}", self.id), within });
            }
            thread::sleep(LOOK);
        }
    }

    /// Ends the node; returns why its log is incomplete, if it is.
    pub(crate) fn stop(self) -> Result<Option<String>, BenchError> {
        let Self { server, logs, .. } = self;
        server.stop()?;
        let findings = Findings::read(&logs).map_err(BenchError::file("cannot read the node's log"))?;
        Ok(findings.objection(0))
    }
}

/// A directory for one server's files, removed when dropped: a log's pages should not be written back during the next
/// run.
pub(crate) fn scratch() -> Result<TempDir, BenchError> {
    let root = std::env::var_os("TMPDIR")
        .filter(|root| !root.is_empty())
        .map_or_else(|| PathBuf::from(SCRATCH), PathBuf::from);
    TempDir::with_prefix_in("herd-load-", root)
        .map_err(BenchError::file("cannot make a scratch directory; set TMPDIR to one on a disk"))
}
