//! A node that the system gives too few threads to start with: one line, exit code 1, and no process that listens and
//! serves nobody. The limit is the system's own, for a user who has no other process. Needs `setpriv` and `prlimit`, and
//! the right to become that user.

use std::{
    fs,
    io::ErrorKind,
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{self, Command, Output, Stdio},
};

use super::support::{Herd, Process};
use crate::support::skipped;

const CONFIG: &str = "[herd]\nname = \"few\"\n[[node]]\nid = \"A\"\nlisten = \"127.0.0.1:11600\"\n\
    http = \"127.0.0.1:11700\"\nplain_listen = \"127.0.0.1:11800\"\nlinks = [\"P\"]\n\
    [[node]]\nid = \"P\"\nlisten = \"127.0.0.1:11601\"\ndialect = \"plain\"\n";

/// The threads of that node, in the order in which they are made, after the first.
const THREADS: [&str; 5] = ["log", "flood-P", "accept-http", "accept", "accept-plain"];

/// `program` as a user who may have so many threads, of which the system counts those on the whole machine. So it is
/// nobody's number, and that of no other run of these tests.
fn as_user(threads: usize, program: &Path) -> Command {
    let user = (1_000_000_000 + process::id()).to_string();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", &user, "--regid", &user, "--clear-groups", "prlimit"]);
    command.arg(format!("--nproc={threads}")).arg(program);
    command.env_remove("HERD_CONFIG").env_remove("HERD_LOG_DIR");
    command
}

/// Why this cannot be tested here.
fn obstacle() -> Option<String> {
    for tool in ["setpriv", "prlimit"] {
        let asked = Command::new(tool).arg("--version").stdout(Stdio::null()).status();
        if asked.is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            return Some(format!("there is no `{tool}` here; install util-linux"));
        }
    }
    let Output { status, stderr, .. } = as_user(1, Path::new("true")).output().unwrap();
    (!status.success()).then(|| {
        format!("no other user can be had: {}; run this as root", String::from_utf8_lossy(&stderr).trim())
    })
}

#[test]
fn node_with_too_few_threads_ends_with_one_line() {
    if let Some(why) = obstacle() {
        return skipped("a node without threads", &why);
    }
    let herd = Herd::new(CONFIG);
    let program = herd.config.with_file_name("herd");
    // Where the tests lie, that user may not be let in. A file that this process had open for writing could not be
    // started as long as a child begun meanwhile by another test still held it, too.
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_herd")).arg(&program).status().unwrap();
    assert!(copied.success());
    fs::create_dir(&herd.logs).unwrap();
    let folder = herd.config.parent().unwrap();
    for (path, mode) in [(folder, 0o755), (&program, 0o755), (&herd.config, 0o644), (&herd.logs, 0o777)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let node = |threads| {
        let mut command = as_user(threads, &program);
        command.args(["node", "A", "--lifeline", "--config"]).arg(&herd.config);
        command.arg("--log-dir").arg(&herd.logs);
        Process::start(command)
    };
    for (before, missing) in THREADS.into_iter().enumerate() {
        let mut process = node(1 + before);
        let status = process.end();
        let said = process.all_complaints();
        assert_eq!(status.code(), Some(1), "{missing}: {said:?}");
        let [line] = &said[..] else { panic!("{missing}: {said:?}") };
        assert!(line.starts_with(&format!("herd: the thread {missing} cannot be started: ")), "{line}");
        for port in [":11600", ":11700", ":11800"] {
            let refused = TcpStream::connect(herd.listens_at("A").replace(":11600", port)).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "{missing}");
        }
    }
    let mut process = node(1 + THREADS.len());
    let listening = format!("listening {}", herd.listens_at("A"));
    process.hear(&listening, |said| said.contains(&listening));
    process.end_input();
    assert_eq!(process.end().code(), Some(0), "{:?}", process.all_complaints());
}
