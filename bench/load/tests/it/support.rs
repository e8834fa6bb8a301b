//! What the tests share: running the tester, its servers, and a small honest node. All of it ends on drop.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread::{self, JoinHandle},
};

use herd_load::server::Server;
use serde_json::Value;
use tempfile::TempDir;

/// The tester, with these arguments.
pub(crate) fn tester(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_herd-load"));
    command.args(arguments);
    command
}

/// Runs the tester to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    tester(arguments).output().unwrap()
}

/// The JSON a run printed.
pub(crate) fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("no JSON; standard error: {}", String::from_utf8_lossy(&output.stderr)))
}

/// The figures of a run's raw data, without what is noted about the run itself.
pub(crate) fn figures(raw: &str) -> Vec<Value> {
    let lines = raw.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line.get("run").is_none()).collect()
}

/// The node beside this tester, built as it was.
pub(crate) fn herd() -> PathBuf {
    let tester = PathBuf::from(env!("CARGO_BIN_EXE_herd-load"));
    let folder = tester.parent().unwrap();
    let mut build = Command::new(env!("CARGO"));
    build.args([
        "build",
        "--quiet",
        "--offline",
        "--locked",
        // The features of its dependencies are then those of the whole workspace, as they are built elsewhere.
        "--workspace",
        "--bin",
        "herd",
        "--target-dir",
    ]);
    build.arg(folder.parent().unwrap()).current_dir(env!("CARGO_MANIFEST_DIR"));
    if folder.ends_with("release") {
        build.arg("--release");
    }
    assert!(build.status().unwrap().success());
    folder.join("herd")
}

/// An echo server on a port of its own.
pub(crate) fn echo() -> Server {
    Server::start(tester(&["echo", "--line-length", "86"])).unwrap()
}

/// The answer to a report, as the protocol has it.
pub(crate) fn honest(report: &str) -> String {
    let fields = report.strip_prefix("IAMAT").unwrap_or_default();
    format!("AT Solo +0.000012345{fields}\n")
}

/// A node that answers reports as the protocol says, or as `answer` does.
#[derive(Debug)]
pub(crate) struct FakeNode {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    connections: Arc<AtomicU32>,
    accept: Option<JoinHandle<()>>,
}

impl FakeNode {
    pub(crate) fn honest() -> Self {
        Self::answering(honest)
    }

    /// What it answers each line with; after an empty answer it closes the connection.
    pub(crate) fn answering(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self::once(false, answer)
    }

    /// The same; it may close each connection after one answer.
    pub(crate) fn once(hangs_up: bool, answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let connections = Arc::new(AtomicU32::new(0));
        let (stopped, accepted) = (Arc::clone(&stop), Arc::clone(&connections));
        let accept = thread::spawn(move || {
            let answer = &answer;
            thread::scope(|scope| {
                for stream in listener.incoming().map_while(Result::ok) {
                    if stopped.load(Ordering::Relaxed) {
                        return;
                    }
                    accepted.fetch_add(1, Ordering::Relaxed);
                    scope.spawn(move || session(&stream, hangs_up, answer));
                }
            });
        });
        Self { address, stop, connections, accept: Some(accept) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many it has accepted.
    pub(crate) fn connections(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for FakeNode {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(self.address));
        if let Some(accept) = self.accept.take() {
            drop(accept.join());
        }
    }
}

fn session(mut stream: &TcpStream, hangs_up: bool, answer: &(impl Fn(&str) -> String + Sync)) {
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        let text = answer(&line);
        if text.is_empty() || stream.write_all(text.as_bytes()).is_err() || hangs_up {
            return;
        }
    }
}

/// A real node without neighbours, its files gone with it.
#[derive(Debug)]
pub(crate) struct RealNode {
    pub(crate) server: Server,
    /// Where its counters are.
    pub(crate) http: String,
    /// Where it speaks TLS, if it does.
    pub(crate) tls_address: String,
    directory: TempDir,
}

impl RealNode {
    pub(crate) fn start() -> Self {
        Self::configured("", tempfile::tempdir().unwrap())
    }

    /// One that wants tokens, and the file of one that may do everything.
    pub(crate) fn with_tokens() -> (Self, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let [tokens, token] = ["herd.tokens", "ops.token"].map(|name| directory.path().join(name));
        let mut add = Command::new(herd());
        add.args(["token", "add", "ops", "--role", "operator", "--tokens-file"])
            .arg(&tokens)
            .arg("--to")
            .arg(&token);
        assert!(add.status().unwrap().success());
        let access = "[access]\nclients = \"tokens\"\ntokens_file = \"herd.tokens\"\n";
        (Self::configured(access, directory), token)
    }

    /// One that also takes clients over TLS, at an address that its certificate names.
    pub(crate) fn with_tls() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut cert = Command::new(herd());
        cert.arg("cert").arg(directory.path().join("tls")).args(["127.0.0.1", "--name", "node"]);
        assert!(cert.output().unwrap().status.success());
        let tls = "[tls]\ncertificate_file = \"tls/node.pem\"\nkey_file = \"tls/node.key\"\n";
        Self::configured(tls, directory)
    }

    fn configured(more: &str, directory: TempDir) -> Self {
        let config = directory.path().join("herd.toml");
        // Ports that were free a moment ago.
        let free = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [http, tls_address] = free.map(|listener| listener.local_addr().unwrap().to_string());
        let tls =
            if more.contains("[tls]") { format!("tls_listen = \"{tls_address}\"\n") } else { String::new() };
        let text = format!(
            "[herd]\nname = \"bench\"\n{more}[log]\ntraffic = false\n[[node]]\nid = \"Solo\"\nlisten = \"127.0.0.1:0\"\nhttp = \"{http}\"\n{tls}"
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new(herd());
        command.args(["node", "Solo", "--config"]).arg(config).arg("--log-dir").arg(directory.path());
        Self { server: Server::start(command).unwrap(), http, tls_address, directory }
    }

    /// Where its files are.
    pub(crate) fn folder(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn address(&self) -> String {
        self.server.address().to_string()
    }
}
