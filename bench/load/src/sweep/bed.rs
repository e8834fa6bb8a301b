//! Where the servers of a sweep run: a loopback address of its own, a scratch directory for each, a process for each. Ports
//! are fixed and below the ephemeral range, so that no client's socket can be sitting on one.

use std::{
    cell::Cell,
    env, fs,
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use tempfile::TempDir;

use super::{
    certificates,
    pauses::{Collector, Pauses},
    plan::{Plan, Ready, Server as Kind},
    template::{Template, Words},
    tokens,
};
use crate::{
    rounds::{
        BenchError,
        folder::output,
        node::{NOT_INHERITED, scratch, write_key},
        traffic_log::Findings,
    },
    server::{Server, ServerError, await_free},
    tls::Tls,
};

/// The ports, one after another, so that none is taken again while its connections linger.
const PORTS: std::ops::Range<u16> = 21_600..22_600;
/// More than a server logs in a turn of half a second.
const WARM_BYTES: u64 = 256 << 20;
/// A node that is alone is called this.
pub(super) const ALONE: &str = "Solo";

#[derive(Debug)]
pub(super) struct Bed {
    address: Ipv4Addr,
    next_port: Cell<u16>,
    /// Relative programs and files are found from here, and servers are started here.
    root: PathBuf,
    /// The words that are the same for all servers.
    words: Words,
    upstream: Option<Server>,
}

/// A server that cannot be started here, and why.
#[derive(Clone, Debug)]
pub(super) struct Missing {
    pub(super) server: String,
    pub(super) reason: String,
}

/// A server to be started.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) id: String,
    pub(super) address: SocketAddr,
    /// The neighbours that it gets.
    pub(super) neighbours: Vec<(String, SocketAddr)>,
    /// The tables `[[node]]` of its whole herd.
    pub(super) nodes: String,
}

/// A server at work. Its files are removed when it is dropped.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) server: Server,
    log: Option<PathBuf>,
    /// How connections speak TLS with it, and where, if they do.
    secured: Option<(Tls, SocketAddr)>,
    pauses: Option<(Collector, PathBuf)>,
    started: Instant,
    scratch: TempDir,
}

impl Bed {
    /// `herd` is the node's program; otherwise the one beside this tester.
    pub(super) fn new(plan: &Path, herd: Option<&Path>) -> Result<Self, BenchError> {
        let tester = env::current_exe().map_err(BenchError::file("cannot find the tester's own program"))?;
        let herd = herd.map_or_else(|| Ok(tester.with_file_name("herd")), std::path::absolute);
        let herd = herd.map_err(BenchError::file("cannot find the herd program"))?;
        let [.., high, low] = std::process::id().to_be_bytes();
        let address = Ipv4Addr::new(127, 77, high, low.clamp(1, 254));
        let root = root(plan).map_err(BenchError::file("cannot find the plan's repository"))?;
        // target/release/herd-load
        let target = tester.parent().and_then(Path::parent).unwrap_or(Path::new("target"));
        let own_python = target.join("models/bin/python");
        let python = if own_python.exists() { own_python } else { PathBuf::from("python3") };
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let words = Words::from([
            ("herd", text(&herd)),
            ("herd-load", text(&tester)),
            ("bin", text(tester.parent().unwrap_or(Path::new(".")))),
            ("target", text(target)),
            ("python", text(&python)),
            ("root", text(&root)),
            ("host", address.to_string()),
        ]);
        Ok(Self { address, next_port: Cell::new(PORTS.start), root, words, upstream: None })
    }

    /// Starts what the servers ask for places, if any of them does.
    pub(super) fn start_upstream(&mut self, plan: &Plan) -> Result<(), BenchError> {
        if plan.servers.iter().any(|server| server.names("upstream")) {
            let mut command = Command::new(&self.words["herd-load"]);
            command.arg("upstream").arg(format!("--listen={}", self.next_address()));
            command.arg(format!("--delay={}", plan.upstream_delay_ms));
            let upstream = Server::start(command)?;
            self.words.insert("upstream", format!("http://{}", upstream.address()));
            self.upstream = Some(upstream);
        }
        Ok(())
    }

    pub(super) fn next_address(&self) -> SocketAddr {
        let port = self.next_port.get();
        self.next_port.set(if port + 1 < PORTS.end { port + 1 } else { PORTS.start });
        SocketAddr::from((self.address, port))
    }

    /// Why a server cannot be started here, if it cannot; otherwise what it says its version is.
    pub(super) fn find(&self, kind: &Kind) -> Result<Option<String>, Missing> {
        let missing = |reason: String| Missing { server: kind.name.clone(), reason };
        let program = kind.command[0].fill(&self.words);
        if !self.is_there(&program) {
            return Err(missing(format!("the program {} is not there", self.public(&program))));
        }
        for needed in &kind.needs {
            let path = needed.fill(&self.words);
            if !self.root.join(&path).exists() {
                return Err(missing(format!("{} is not there", self.public(&path))));
            }
        }
        let Some(mut command) = self.command(&kind.version, &self.words) else { return Ok(None) };
        let said = output(&mut command)
            .ok_or_else(|| missing("the command that tells its version fails".to_owned()))?;
        Ok(said.lines().next().map(str::to_owned))
    }

    /// A program is a path, from the root if it is relative, or a name to be looked up.
    fn is_there(&self, program: &str) -> bool {
        if program.contains('/') {
            return self.root.join(program).is_file();
        }
        let path = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&path).any(|folder| folder.join(program).is_file())
    }

    /// A path as it may be published: without what is above the repository and the build's directory.
    pub(super) fn public(&self, text: &str) -> String {
        let [target, root] = ["target", "root"].map(|name| &*self.words[name]);
        text.replace(target, "target").replace(&format!("{root}/"), "")
    }

    fn command(&self, words_of: &[Template], words: &Words) -> Option<Command> {
        let (program, arguments) = words_of.split_first()?;
        let mut command = Command::new(program.fill(words));
        command.args(arguments.iter().map(|argument| argument.fill(words))).current_dir(&self.root);
        // No key of the tester's user leaves this machine, and no proxy stands before an upstream on it.
        for name in NOT_INHERITED {
            command.env_remove(name);
        }
        Some(command)
    }

    /// A place for a server that is linked with none; where it listens itself, if that is fixed.
    pub(super) fn alone(&self, kind: &Kind) -> Place {
        let address = kind.listen.unwrap_or_else(|| self.next_address());
        let nodes = format!("[[node]]\nid = \"{ALONE}\"\nlisten = \"{address}\"\n");
        Place { id: ALONE.to_owned(), address, neighbours: Vec::new(), nodes }
    }

    /// Starts a server, with files of its own.
    pub(super) fn start(&self, kind: &Kind, place: &Place) -> Result<Running, BenchError> {
        let scratch = scratch()?;
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let config = scratch.path().join("config");
        let mut words = self.words.clone();
        words.extend([
            ("id", place.id.clone()),
            ("listen", place.address.to_string()),
            ("host", place.address.ip().to_string()),
            ("port", place.address.port().to_string()),
            ("dir", text(scratch.path())),
            ("config", text(&config)),
            ("nodes", place.nodes.clone()),
        ]);
        let write = |path: &Path, text: &str| {
            fs::write(path, text).map_err(BenchError::file("cannot write a server's configuration"))
        };
        write_key(scratch.path()).map_err(BenchError::file("cannot write a server's key"))?;
        if kind.token {
            let path = scratch.path().join("herd.tokens");
            tokens::write(&path).map_err(|error| {
                BenchError::file("cannot write a server's tokens")(io::Error::other(error))
            })?;
            words.insert("tokens", text(&path));
        }
        let mut secured = None;
        if kind.tls {
            let [certificate, key] = ["node.pem", "node.key"].map(|name| scratch.path().join(name));
            let address = self.next_address();
            secured = Some((certificates::write([&certificate, &key], address.ip(), kind.resume)?, address));
            words.extend([("certificate", text(&certificate)), ("key", text(&key))]);
            words.insert("tls_listen", address.to_string());
        }
        if let Some(template) = &kind.config {
            write(&config, &template.fill(&words))?;
        }
        let log = kind.log.as_ref().map(|log| PathBuf::from(log.fill(&words)));
        let pauses = kind.pauses.as_ref().map(|log| (log.format, PathBuf::from(log.file.fill(&words))));
        if let Some(log) = &log {
            fs::create_dir_all(log).map_err(BenchError::file("cannot make the log's directory"))?;
        }
        let Some(mut command) = self.command(&kind.command, &words) else {
            // A plan without a program is refused when it is read.
            return Err(ServerError::Silent(kind.name.clone()).into());
        };
        for (id, address) in &place.neighbours {
            words.extend([("id", id.clone()), ("address", address.to_string())]);
            command.args(kind.peer.iter().map(|argument| argument.fill(&words)));
        }
        if let Some(address) = kind.listen {
            await_free(address)?;
        }
        let started = Instant::now();
        let server = match kind.ready {
            Ready::Line => Server::start(command)?,
            Ready::Connect => Server::start_at(command, place.address)?,
        };
        Ok(Running { server, log, secured, pauses, started, scratch })
    }
}

impl Running {
    /// Where it is asked.
    pub(super) fn address(&self) -> SocketAddr {
        self.secured.as_ref().map_or(self.server.address(), |(_, address)| *address)
    }

    /// How TLS is spoken with it, if it is.
    pub(super) fn tls(&self) -> Option<Tls> {
        self.secured.as_ref().map(|(tls, _)| tls.clone())
    }

    /// What it says of its pauses between these moments, if it says that at all.
    pub(super) fn pauses(&self, spans: &[(Instant, Instant)]) -> Result<Option<Pauses>, BenchError> {
        let age = |moment: Instant| moment.saturating_duration_since(self.started);
        let spans: Vec<_> = spans.iter().map(|(from, to)| (age(*from), age(*to))).collect();
        let read = self.pauses.as_ref().map(|(collector, log)| collector.read(log, &spans));
        read.transpose().map_err(BenchError::file("cannot read a server's log of its pauses"))
    }

    /// Has a server that writes a log find the memory for it in the same state whatever ran before: pages that this
    /// machine has written to lately. Pages of which a virtual machine has none from its host yet cost several times as
    /// much.
    pub(super) fn warm(&self) -> Result<(), BenchError> {
        let Self { log: Some(_), scratch, .. } = self else { return Ok(()) };
        let warm = || -> io::Result<()> {
            let mut file = tempfile::tempfile_in(scratch)?;
            let block = vec![b'\n'; 1 << 20];
            (0..WARM_BYTES >> 20).try_for_each(|_| file.write_all(&block))
        };
        warm().map_err(BenchError::file("cannot write and remove a file beside a server's log"))
    }

    /// Ends the server; why a run of `sent` requests does not count, if it does not.
    pub(super) fn stop(self, sent: u64) -> Result<Option<String>, BenchError> {
        let Self { mut server, log, scratch: _scratch, .. } = self;
        if let Some(status) = server.ended().map_err(BenchError::file("cannot wait for a server"))? {
            return Ok(Some(format!("the server ended by itself, {status}")));
        }
        match server.stop() {
            Ok(_status) => {}
            Err(undying @ ServerError::Undying(_)) => return Ok(Some(undying.to_string())),
            Err(error) => return Err(error.into()),
        }
        let Some(log) = log else { return Ok(None) };
        let findings = Findings::read(&log).map_err(BenchError::file("cannot read a server's log"))?;
        Ok(findings.objection(sent))
    }
}

/// The repository that a plan is in; the current directory for a plan that is in none.
pub(super) fn root(plan: &Path) -> io::Result<PathBuf> {
    let plan = plan.canonicalize()?;
    let is_root = |folder: &&Path| folder.join("Cargo.lock").is_file();
    plan.ancestors().find(is_root).map_or_else(env::current_dir, |root| Ok(root.to_owned()))
}
