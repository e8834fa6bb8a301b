//! What the tests share: running the tester, its servers, and a small honest node. All of it ends on drop.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Command, Output},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use herd_load::server::Server;
use serde_json::Value;

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
        "-p",
        "proxyherd",
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

/// A node that answers reports as the protocol says, or as `answer` does.
#[derive(Debug)]
pub(crate) struct FakeNode {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    accept: Option<JoinHandle<()>>,
}

impl FakeNode {
    pub(crate) fn honest() -> Self {
        Self::answering(|report| {
            let fields = report.strip_prefix("IAMAT").unwrap_or_default();
            format!("AT Solo +0.000012345{fields}\n")
        })
    }

    pub(crate) fn answering(answer: fn(&str) -> String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let accept = thread::spawn(move || {
            thread::scope(|scope| {
                for stream in listener.incoming().map_while(Result::ok) {
                    if stopped.load(Ordering::Relaxed) {
                        return;
                    }
                    scope.spawn(move || session(&stream, answer));
                }
            });
        });
        Self { address, stop, accept: Some(accept) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
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

fn session(mut stream: &TcpStream, answer: fn(&str) -> String) {
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        if stream.write_all(answer(&line).as_bytes()).is_err() {
            return;
        }
    }
}
