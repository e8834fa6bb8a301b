//! A node as a child process: its start, what it says, its end. Two threads a child read its output and turn it into
//! events; what follows from them is decided in the parent module.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    io::{self, BufRead, BufReader, Read},
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Command, Stdio},
    thread::{self, Scope},
};

use crossbeam_channel::Sender;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use super::Plan;
use crate::core::model::NodeId;

/// What happens to a herd. The number is the child's, in the order of the configuration.
pub(super) enum ChildEvent {
    /// A line on a child's standard output.
    Said(usize, String),
    /// A line on a child's standard error.
    Complained(usize, String),
    /// A child has ended; the last event of it, and it is still to be reaped.
    Gone(usize),
    /// The user wants an end.
    Signal,
}

/// One node's process.
pub(super) struct Child {
    pub(super) id: NodeId,
    /// Where it said it listens.
    pub(super) listening: Option<String>,
    /// Whom it said it is linked to.
    pub(super) linked: BTreeSet<String>,
    /// What it complained of before the herd was up.
    pub(super) complaints: Vec<String>,
    /// Whether it has been reaped.
    pub(super) gone: bool,
    /// Holds the lifeline, the child's standard input, whose end makes the child drain.
    process: std::process::Child,
}

/// No child's line is kept beyond this length.
const LINE_BYTES: u64 = 4096;

impl Child {
    /// Starts the plan's node with this number; its events go to `events` until it is gone.
    pub(super) fn start<'scope>(
        plan: &Plan<'_>,
        number: usize,
        scope: &'scope Scope<'scope, '_>,
        events: &Sender<ChildEvent>,
    ) -> io::Result<Self> {
        let id = plan.herd.nodes[number].id.clone();
        let mut process = command(plan, &id).spawn()?;
        let (stdout, stderr) = (process.stdout.take(), process.stderr.take());
        let pid = Pid::from_child(&process);
        let child = Self {
            id,
            listening: None,
            linked: BTreeSet::new(),
            complaints: Vec::new(),
            gone: false,
            process,
        };
        // From here on `child` is dropped, and with it the lifeline, if a thread cannot be made.
        let (said, complained) = (events.clone(), events.clone());
        let name = |stream| thread::Builder::new().name(format!("{stream}-{}", child.id));
        let complaints = name("stderr").spawn_scoped(scope, move || {
            each_line(stderr, |line| complained.send(ChildEvent::Complained(number, line)).is_ok());
        })?;
        name("stdout").spawn_scoped(scope, move || {
            each_line(stdout, |line| said.send(ChildEvent::Said(number, line)).is_ok());
            // So that what it complained of at last comes before its end.
            let _ = complaints.join();
            wait_unreaped(pid);
            let _ = said.send(ChildEvent::Gone(number));
        })?;
        Ok(child)
    }

    /// Takes in a line of its standard output. Returns whether it tells how far its recovery is.
    pub(super) fn hear(&mut self, line: &str) -> bool {
        match line.split_once(' ') {
            Some(("listening", address)) => self.listening = Some(address.to_owned()),
            Some(("linked", peer)) => drop(self.linked.insert(peer.to_owned())),
            Some(("journal:", _)) => return true,
            _ => {}
        }
        false
    }

    /// Signals it, unless it has ended. Its number cannot mean another process: only [`Child::reap`] frees it.
    pub(super) fn signal(&self, signal: Signal) {
        if !self.gone {
            // It may have ended this moment, which is what was wanted.
            let _ = kill_process(Pid::from_child(&self.process), signal);
        }
    }

    /// Ends its standard input, at which it drains.
    pub(super) fn end_lifeline(&mut self) {
        self.process.stdin = None;
    }

    /// After its [`ChildEvent::Gone`]: how it ended.
    pub(super) fn reap(&mut self) -> ChildEnd {
        self.gone = true;
        match self.process.wait() {
            Ok(status) => {
                // A node that SIGTERM ends outright had not begun to serve, or it would have drained: it read its
                // journal, for instance.
                let well = status.success() || status.signal() == Some(Signal::TERM.as_raw());
                ChildEnd { well, how: status.to_string() }
            }
            Err(error) => ChildEnd { well: false, how: format!("nobody knows how: {error}") },
        }
    }
}

/// The end of a process.
pub(super) struct ChildEnd {
    /// Whether it ended as it should.
    pub(super) well: bool,
    /// `exit status: 1`, `signal: 9 (SIGKILL)`
    pub(super) how: String,
}

pub(super) fn command(plan: &Plan<'_>, id: &NodeId) -> Command {
    let (program, first) = plan.program;
    let mut command = Command::new(program);
    command.args(first).args([OsStr::new("node"), OsStr::new(id.as_str())]);
    if let Some(config) = plan.config {
        command.arg("--config").arg(config);
    }
    if let Some(base_port) = plan.base_port {
        command.arg("--base-port").arg(base_port.to_string());
    }
    if let Some(data_dir) = plan.data_dir {
        command.arg("--data-dir").arg(data_dir);
    }
    command.arg("--log-dir").arg(plan.log_dir).arg("--lifeline");
    // The flags say it all: without --config it is the built-in herd that is meant, without --base-port its own ports.
    for variable in ["HERD_CONFIG", "HERD_LOG_DIR", "HERD_DATA_DIR", "HERD_BASE_PORT"] {
        command.env_remove(variable);
    }
    // A Ctrl-C at the terminal is for `up` alone, which then ends the children in order.
    command.process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Calls `take` for each line until it declines or the stream ends. A longer line comes in pieces.
fn each_line(stream: Option<impl Read>, take: impl Fn(String) -> bool) {
    let Some(mut stream) = stream.map(BufReader::new) else { return };
    let mut line = Vec::new();
    while matches!(stream.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line), Ok(1..)) {
        if !take(String::from_utf8_lossy(&line).trim_end().to_owned()) {
            return;
        }
        line.clear();
    }
}

/// Waits for the end of a process and leaves it unreaped, so that its number stays its own.
fn wait_unreaped(pid: Pid) {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while matches!(waitid(WaitId::Pid(pid), options), Err(rustix::io::Errno::INTR)) {}
}
