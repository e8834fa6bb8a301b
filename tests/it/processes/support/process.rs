//! A process a test has started: what it says, by line, and its end, which comes with the test's at the latest.
//! What it says means nothing here.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::process::ExitStatusExt,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    thread,
    time::Instant,
};

use crossbeam_channel::{Receiver, RecvTimeoutError, never, unbounded};
use rustix::process::{Pid, Signal, kill_process};

use super::{PATIENCE, eventually};

/// `herd` with these arguments, whatever the environment of the tests.
pub(crate) fn herd_command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_herd"));
    command.args(arguments).env_remove("HERD_CONFIG").env_remove("HERD_LOG_DIR").env_remove("HERD_BASE_PORT");
    command
}

/// A running process. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    complaints: Receiver<String>,
    /// What it has said so far on standard output, as far as it was listened to.
    pub(crate) said: Vec<String>,
    /// The same of standard error.
    pub(crate) complained: Vec<String>,
}

impl Process {
    /// Starts it with pipes at all three ends.
    pub(crate) fn start(command: Command) -> Self {
        Self::start_into(command, Stdio::piped())
    }

    /// The same with another standard output, which the test reads, or leaves unread.
    pub(crate) fn start_into(mut command: Command, stdout: impl Into<Stdio>) -> Self {
        command.stdin(Stdio::piped()).stdout(stdout).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take();
        let lines = child.stdout.take().map_or_else(never, lines_of);
        let complaints = lines_of(child.stderr.take().unwrap());
        Self { child, stdin, lines, complaints, said: Vec::new(), complained: Vec::new() }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Listens to standard output until `enough` of all it has said.
    #[track_caller]
    pub(crate) fn hear(&mut self, what: &str, mut enough: impl FnMut(&[String]) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        self.said.extend(self.lines.try_iter());
        while !enough(&self.said) {
            match self.lines.recv_deadline(deadline) {
                Ok(line) => self.said.push(line),
                Err(error) => {
                    self.complained.extend(self.complaints.try_iter());
                    panic!(
                        "not heard ({error}): {what}; said {:?}, complained {:?}",
                        self.said, self.complained
                    );
                }
            }
        }
    }

    /// How often it has said this line.
    pub(crate) fn count_said(&mut self, line: &str) -> usize {
        self.said.extend(self.lines.try_iter());
        self.said.iter().filter(|said| *said == line).count()
    }

    /// Waits for a line on standard error for which `is_it` holds.
    #[track_caller]
    pub(crate) fn complaint(&mut self, what: &str, is_it: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(line) = self.complained.iter().find(|line| is_it(line)) {
                return line.clone();
            }
            match self.complaints.recv_deadline(deadline) {
                Ok(line) => self.complained.push(line),
                Err(error) => panic!("no complaint ({error}): {what}; there were {:?}", self.complained),
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Its standard input, for a test that has much to write.
    pub(crate) fn take_input(&mut self) -> ChildStdin {
        self.stdin.take().unwrap()
    }

    /// Every line of its standard output that was not heard yet, until it ends.
    pub(crate) fn each_line(&mut self, mut take: impl FnMut(String)) {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => take(line),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => panic!("nothing more said, and no end"),
            }
        }
    }

    /// Ends its standard input.
    pub(crate) fn end_input(&mut self) {
        self.stdin = None;
    }

    /// Waits for its end, and takes in what it said until then.
    #[track_caller]
    pub(crate) fn end(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the process ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        // Both channels close with the process, unless it has left its outputs to others.
        self.said.extend(self.lines.try_iter());
        self.complained.extend(self.complaints.try_iter());
        status.unwrap()
    }

    /// All of its standard error; after its end.
    pub(crate) fn all_complaints(&mut self) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        while let Ok(line) = self.complaints.recv_deadline(deadline) {
            self.complained.push(line);
        }
        self.complained.clone()
    }

    /// As with `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::KILL);
        assert_eq!(self.end().signal(), Some(Signal::KILL.as_raw()));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Its number is its own until it is reaped.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn lines_of(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = unbounded();
    thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                return;
            }
        }
    });
    receiver
}

/// A process that another one of the test has started: told from later ones of its number by its start time. Dropping it
/// kills it, so that a failed test leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) pid: Pid,
    started: String,
}

impl Watched {
    /// `None` if there is no such process any more.
    fn new(pid: Pid) -> Option<Self> {
        let started = Stat::read(pid)?.started;
        Some(Self { pid, started })
    }

    /// Whether it has ended. A zombie has.
    pub(crate) fn is_gone(&self) -> bool {
        Stat::read(self.pid).is_none_or(|stat| stat.started != self.started || stat.state == "Z")
    }

    /// The words of its command line.
    pub(crate) fn words(&self) -> Vec<String> {
        let bytes = fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        bytes.split(|&byte| byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
    }

    pub(crate) fn kill(&self) {
        if !self.is_gone() {
            let _ = kill_process(self.pid, Signal::KILL);
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The processes that `parent` has started and that have not ended.
pub(crate) fn children_of(parent: Pid) -> Vec<Watched> {
    let parent = parent.to_string();
    let numbers = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let number = entry.ok()?.file_name().to_str()?.parse().ok()?;
        Pid::from_raw(number)
    });
    let children = numbers.filter(|&pid| Stat::read(pid).is_some_and(|stat| stat.parent == parent));
    children.filter_map(Watched::new).collect()
}

/// What matters here of `/proc/PID/stat`.
struct Stat {
    state: String,
    parent: String,
    started: String,
}

impl Stat {
    fn read(pid: Pid) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may hold anything.
        let fields: Vec<_> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |at: usize| fields.get(at).map(|field| (*field).to_owned());
        Some(Self { state: field(0)?, parent: field(1)?, started: field(19)? })
    }
}
