//! A herd of processes: its configuration with an address of its own, its nodes by id, started, stopped, killed and
//! brought back one by one, and what they know.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use proxyherd::config;
use rustix::process::Signal;
use tempfile::TempDir;

use super::{Client, Process, eventually, herd_command, traffic};
use crate::support::own_ip;

/// The herd, some of its nodes running.
#[derive(Debug)]
pub(crate) struct Herd {
    _folder: TempDir,
    pub(crate) config: PathBuf,
    pub(crate) logs: PathBuf,
    parsed: config::Herd,
    running: BTreeMap<String, Process>,
    /// By node and neighbour: how often the link had been announced when the neighbour was last started.
    stale_links: BTreeMap<(String, String), usize>,
}

/// The text of a configuration that is shipped.
pub(crate) fn shipped(file: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("config").join(file)).unwrap();
    // The herd's file will lie elsewhere.
    text.replace("\"../data/", &format!("\"{}/", root.join("data").display()))
}

/// A herd of one node, Solo, with more of a configuration.
pub(crate) fn solo(more: &str) -> Herd {
    Herd::new(&format!(
        "[herd]\nname = \"solo\"\n[[node]]\nid = \"Solo\"\nlisten = \"127.0.0.1:11600\"\n{more}"
    ))
}

impl Herd {
    /// Writes the configuration, each 127.0.0.1 in it replaced by an address that no other test has. Starts nothing.
    pub(crate) fn new(text: &str) -> Self {
        let text = text.replace("127.0.0.1", &own_ip().to_string());
        let folder = tempfile::tempdir().unwrap();
        let (config, logs) = (folder.path().join("herd.toml"), folder.path().join("logs"));
        fs::write(&config, &text).unwrap();
        let parsed = config::Herd::parse(&text, "herd.toml").unwrap();
        assert!(parsed.nodes.iter().all(|node| node.listen.port < 32768), "no port the system gives out");
        let (running, stale_links) = (BTreeMap::new(), BTreeMap::new());
        Self { _folder: folder, config, logs, parsed, running, stale_links }
    }

    /// The ids, in the order of the configuration.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.parsed.nodes.iter().map(|node| node.id.to_string()).collect()
    }

    /// Where it listens.
    pub(crate) fn listens_at(&self, id: &str) -> String {
        self.parsed.node(id).unwrap().listen.to_string()
    }

    /// Where its neighbours dial it.
    pub(crate) fn address(&self, id: &str) -> String {
        self.parsed.node(id).unwrap().address.to_string()
    }

    pub(crate) fn neighbours(&self, id: &str) -> Vec<String> {
        self.parsed.node(id).unwrap().links.iter().map(ToString::to_string).collect()
    }

    /// `herd` with these arguments, then the herd's own.
    pub(crate) fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = herd_command(arguments);
        command.arg("--config").arg(&self.config).arg("--log-dir").arg(&self.logs);
        command
    }

    /// Starts a node and waits until it listens; how long that took. It also ends when the tests do, however they do.
    pub(crate) fn start(&mut self, id: &str) -> Duration {
        assert!(!self.running.contains_key(id), "{id} runs already");
        // Before its start: a neighbour may be linked to it before it can be heard here that it listens.
        for peer in self.neighbours(id) {
            let announced = |process: &mut Process| process.count_said(&format!("linked {id}"));
            let before = self.running.get_mut(&peer).map_or(0, announced);
            self.stale_links.insert((peer.clone(), id.to_owned()), before);
            self.stale_links.insert((id.to_owned(), peer), 0);
        }
        let started = Instant::now();
        let mut process = Process::start(self.command(&["node", id, "--lifeline"]));
        let listening = format!("listening {}", self.listens_at(id));
        process.hear(&listening, |said| said.contains(&listening));
        self.running.insert(id.to_owned(), process);
        started.elapsed()
    }

    /// Starts all nodes, and waits until all links are up.
    pub(crate) fn start_all(&mut self) {
        for id in self.ids() {
            self.start(&id);
        }
        self.wait_for_links();
    }

    /// Waits until every two neighbours that run are linked, both ways, since the later of them started.
    #[track_caller]
    pub(crate) fn wait_for_links(&mut self) {
        let running: Vec<_> = self.running.keys().cloned().collect();
        for id in &running {
            for peer in self.neighbours(id).into_iter().filter(|peer| running.contains(peer)) {
                let stale = self.stale_links.get(&(id.clone(), peer.clone())).copied().unwrap_or(0);
                let linked = format!("linked {peer}");
                let count = |said: &[String]| said.iter().filter(|line| **line == linked).count();
                let what = format!("{id} says {linked}");
                self.process(id).hear(&what, |said| count(said) > stale);
            }
        }
    }

    pub(crate) fn process(&mut self, id: &str) -> &mut Process {
        self.running.get_mut(id).unwrap()
    }

    /// Ends a node as an operator would.
    pub(crate) fn stop(&mut self, id: &str) {
        let mut process = self.running.remove(id).unwrap();
        process.signal(Signal::TERM);
        let status = process.end();
        assert!(status.success(), "{id}: {status}, {:?}", process.complained);
    }

    /// The same for a node that cannot finish, and so exits 1; all that it complained of.
    pub(crate) fn stop_in_vain(&mut self, id: &str) -> Vec<String> {
        let mut process = self.running.remove(id).unwrap();
        process.signal(Signal::TERM);
        assert_eq!(process.end().code(), Some(1), "{id}: {:?}", process.complained);
        process.all_complaints()
    }

    /// As with `kill -9`.
    pub(crate) fn kill(&mut self, id: &str) {
        self.running.remove(id).unwrap().kill();
    }

    pub(crate) fn client(&self, id: &str) -> Client {
        Client::connect(&self.listens_at(id))
    }

    /// What a node's web face answers, head and all.
    #[track_caller]
    pub(crate) fn answer(&self, id: &str, path: &str) -> String {
        let address = self.parsed.node(id).unwrap().http.as_ref().expect("it has a web face").to_string();
        let mut client = Client::connect(&address);
        client
            .send(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes());
        String::from_utf8(client.rest()).unwrap()
    }

    /// A page of a node's web face.
    #[track_caller]
    pub(crate) fn page(&self, id: &str, path: &str) -> String {
        let answer = self.answer(id, path);
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    /// The value of a metric, by its name and labels.
    #[track_caller]
    pub(crate) fn metric(&self, id: &str, name: &str) -> f64 {
        let page = self.page(id, "/metrics");
        let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("{name} in {page}")).parse().unwrap()
    }

    /// Reports a client's location at a node; the AT line it answers.
    pub(crate) fn report(&self, id: &str, client: &str, time: &str) -> String {
        let text = format!("{client} +34.068930-118.445127 {time}");
        let at = self.client(id).ask(&format!("IAMAT {text}"));
        assert!(at.starts_with(&format!("AT {id} ")) && at.ends_with(&format!(" {text}")), "{at:?}");
        at
    }

    /// Whether WHATSAT at a node answers this AT line, byte for byte.
    pub(crate) fn answers(&self, id: &str, client: &str, at: &str) -> bool {
        self.client(id).whatsat(client).0 == at
    }

    /// Waits until WHATSAT answers this AT line at each of these nodes.
    #[track_caller]
    pub(crate) fn wait_until_known(&self, ids: &[&str], client: &str, at: &str) {
        for id in ids {
            eventually(&format!("{id} answers {at}"), || self.answers(id, client, at));
        }
    }

    pub(crate) fn log_path(&self, id: &str) -> PathBuf {
        self.logs.join(format!("{id}.log"))
    }

    /// A node's log as it is now, without a line that is still being written.
    pub(crate) fn log(&self, id: &str) -> Vec<String> {
        let bytes = fs::read(self.log_path(id)).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(str::to_owned).collect()
    }

    /// Waits for a line in a node's log that holds all of these.
    #[track_caller]
    pub(crate) fn wait_for_log(&self, id: &str, parts: &[&str]) {
        let has_line = || self.log(id).iter().any(|line| parts.iter().all(|part| line.contains(part)));
        eventually(&format!("the log of {id} says {parts:?}"), has_line);
    }

    /// Waits for the line in a node's log that says that a neighbour has all it has, behind these first lines; the line.
    #[track_caller]
    pub(crate) fn wait_for_step(&self, id: &str, peer: &str, lines: usize) -> String {
        let told = format!("INFO  in step with {peer}: round ");
        let mut found = None;
        eventually(&format!("the log of {id} says {told}"), || {
            found = self.log(id).into_iter().skip(lines).find(|line| line.contains(&told));
            found.is_some()
        });
        found.unwrap()
    }

    /// By connection: how often a node has sent or taken an AT line as a peer's, the sender's id behind it.
    pub(crate) fn flooded(&self, id: &str, direction: char, at: &str) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for line in self.log(id) {
            let Some((connection, way, text)) = traffic(&line) else { continue };
            if way == direction && text.strip_prefix(at).is_some_and(|rest| rest.starts_with(' ')) {
                *counts.entry(connection.to_owned()).or_default() += 1;
            }
        }
        counts
    }
}
