//! A node that the system gives too few threads to start with: one line, exit code 1, and no process that listens and
//! serves nobody. The limit is the system's own, for a user who has no other process. Needs `setpriv` and `prlimit`, and
//! the right to become that user; without that right the test says loudly that it tests nothing.

use std::{
    env, fs,
    io::{self, ErrorKind, Write},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output, Stdio},
};

use super::support::Process;

/// Nobody's.
const USER: &str = "718281";

const CONFIG: &str = "[herd]\nname = \"few\"\n[[node]]\nid = \"A\"\nlisten = \"127.71.82.81:11600\"\n\
    http = \"127.71.82.81:11700\"\nplain_listen = \"127.71.82.81:11800\"\nlinks = [\"P\"]\n\
    [[node]]\nid = \"P\"\nlisten = \"127.71.82.81:11601\"\ndialect = \"plain\"\n";

/// The threads of that node, in the order in which they are made, after the first.
const THREADS: [&str; 5] = ["log", "flood-P", "accept-http", "accept", "accept-plain"];

/// `program` as a user who may have so many threads.
fn as_user(threads: usize, program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid", USER, "--regid", USER, "--clear-groups", "prlimit"]);
    command.arg(format!("--nproc={threads}")).arg(program);
    command.env_remove("HERD_CONFIG").env_remove("HERD_LOG_DIR");
    command
}

/// Why this cannot be tested here.
fn obstacle() -> Option<String> {
    for tool in ["setpriv", "prlimit"] {
        let asked = Command::new(tool).arg("--version").stdout(Stdio::null()).status();
        if asked.is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "in CI, `{tool}` must be there");
            return Some(format!("there is no `{tool}` here; install util-linux"));
        }
    }
    let Output { status, stderr, .. } = as_user(1, Path::new("true")).output().unwrap();
    (!status.success()).then(|| String::from_utf8_lossy(&stderr).trim().to_owned())
}

#[test]
fn node_with_too_few_threads_ends_with_one_line() {
    if let Some(why) = obstacle() {
        // Past the harness, which keeps back what a test prints that does not fail.
        let said = format!("\nNOT TESTED, a node without threads: {why}\n");
        io::stderr().write_all(said.as_bytes()).unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let allow = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    // Where the tests lie, that user may not be let in.
    fs::copy(env!("CARGO_BIN_EXE_herd"), path("herd")).unwrap();
    fs::write(path("few.toml"), CONFIG).unwrap();
    fs::create_dir(path("logs")).unwrap();
    for (name, mode) in [("", 0o755), ("herd", 0o755), ("few.toml", 0o644), ("logs", 0o777)] {
        allow(&path(name), mode);
    }
    let node = |threads| {
        let mut command = as_user(threads, &path("herd"));
        command.arg("node").arg("A").arg("--config").arg(path("few.toml"));
        command.arg("--log-dir").arg(path("logs")).arg("--lifeline");
        Process::start(command)
    };
    for (before, missing) in THREADS.into_iter().enumerate() {
        let mut process = node(1 + before);
        let status = process.end();
        let said = process.all_complaints();
        assert_eq!(status.code(), Some(1), "{missing}: {said:?}");
        let [line] = &said[..] else { panic!("{missing}: {said:?}") };
        assert!(line.starts_with(&format!("herd: the thread {missing} cannot be made: ")), "{line}");
        for port in [11600, 11700, 11800] {
            let refused = TcpStream::connect(("127.71.82.81", port)).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "{missing}");
        }
    }
    let mut process = node(1 + THREADS.len());
    process.hear("it listens", |said| said.iter().any(|line| line == "listening 127.71.82.81:11600"));
    process.end_input();
    assert_eq!(process.end().code(), Some(0), "{:?}", process.all_complaints());
}
