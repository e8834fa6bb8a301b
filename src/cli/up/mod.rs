//! `herd up`: every node as its own process, watched until the user or the last node ends it. What the nodes are told
//! and what they say goes through `child`; nothing here serves anybody.

mod child;
mod handover;
mod table;
#[cfg(test)]
mod tests;

use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    io::{self, IsTerminal, Write},
    net::{TcpListener, ToSocketAddrs},
    num::NonZeroU16,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    thread::{self, Scope},
    time::Duration,
};

use crossbeam_channel::{Receiver, Sender, bounded};
use rustix::process::Signal;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use self::{
    child::{Child, ChildEnd, ChildEvent},
    handover::Handover,
};
use super::{
    CommandError, Common, check_files, complain,
    signals::{ENDING, SignalPipe},
};
use crate::{
    config::{Herd, PlacesSource},
    log::LogDir,
    places,
    system::{clock, signals::is_ignored},
    text::say,
};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  herd up                                        the built-in herd; logs in ./herd-logs
  herd up --config config/2020.toml --log-dir /var/log/herd
  herd up --base-port 21600 --log-dir two        a second herd beside the first

Ctrl-C, SIGTERM or SIGHUP lets every node finish what it has in hand; a second one kills.
Under nohup it goes on when its terminal closes.
A node that ends by itself is reported with the command that brings it back, and the
others go on. That command can be pasted in any folder.")]
pub(super) struct Args {}

/// How long a herd may take until every node listens and every link is up, from the last time that a node told how far
/// the recovery of its journal is.
const READY_TIME: Duration = Duration::from_secs(30);
/// How long beyond its own limit a node may take to drain.
const GRACE_TIME: Duration = Duration::from_secs(5);
/// Complaints of one node that are kept while the herd starts.
const COMPLAINTS_MAX: usize = 100;

/// A key is never printed.
const KEY_TOO: &str = " where HERD_PLACES_KEY is set as it is here";

/// What to run, and how to speak of it.
struct Plan<'p> {
    herd: &'p Herd,
    /// The nodes' program and its first arguments.
    program: (&'p OsStr, &'p [OsString]),
    /// How the user calls this program.
    typed: &'p OsStr,
    /// How it can be called in any folder.
    callable: &'p Path,
    /// Where the nodes' processes read the configuration; absolute.
    config: Option<&'p Path>,
    /// The same as the user may type it in the folder where this runs.
    typed_config: Option<&'p Path>,
    /// Where the user wants the ports, in place of where the configuration has them.
    base_port: Option<NonZeroU16>,
    /// Whether those paths lead to what this process keeps of a pipe.
    is_piped: bool,
    log_dir: &'p Path,
    /// Where the user wants what the nodes know to be kept, in place of where the configuration says.
    data_dir: Option<&'p Path>,
    /// What ends it, as a sentence.
    ending: &'p str,
    /// Whether the nodes have a key of this process's environment.
    has_key: bool,
    /// Whether how far recoveries are is shown on standard error, a terminal.
    shows_progress: bool,
    ready_time: Duration,
}

pub(super) fn run(_: &Args, common: &Common) -> Result<(), CommandError> {
    let whole = common.herd()?;
    let herd = whole.own();
    if herd.nodes.is_empty() {
        let name = &herd.name;
        return Err(CommandError::Usage(format!(
            "all nodes of {name} are of dialect \"plain\"; start their own programs"
        )));
    }
    let LogDir::Folder(log_dir) = common.log_dir() else {
        return Err(CommandError::Usage(
            "herd up cannot log to standard output, where each node tells it how far it is; give a folder with \
             --log-dir, or start each node with `herd node NAME --log-dir -`"
                .to_owned(),
        ));
    };
    let plain = whole.plain_nodes();
    if !plain.is_empty() {
        let names: Vec<_> = plain.into_iter().map(crate::core::model::NodeId::as_str).collect();
        complain(&format!("left to their own programs (dialect \"plain\"): {}", names.join(", ")));
    }
    check_files(&herd)?;
    refuse_taken_addresses(&herd)?;
    let program = env::current_exe().map_err(|error| {
        CommandError::Failed(format!(
            "cannot find this program's own file: {error}; call it by its full path"
        ))
    })?;
    let given = common.config.as_deref();
    let handover = Handover::new(given, &whole).map_err(|error| {
        CommandError::Failed(format!("cannot hand the configuration on: {error}; give it as a file"))
    })?;
    let typed = env::args_os().next().unwrap_or_else(|| "herd".into());
    let plan = Plan {
        herd: &herd,
        program: (program.as_os_str(), &[]),
        typed: &typed,
        callable: &callable(&typed, &program),
        config: handover.path.as_deref(),
        typed_config: handover.typed(given),
        base_port: common.base_port,
        is_piped: handover.is_piped(),
        log_dir: &log_dir,
        data_dir: common.data_dir.as_deref(),
        ending: &ending(is_ignored, std::process::id()),
        has_key: asks_google(&herd) && env::var_os(places::key::VARIABLE).is_some_and(|key| !key.is_empty()),
        shows_progress: io::stderr().is_terminal(),
        ready_time: READY_TIME,
    };
    let signals = SignalPipe::listen(&ENDING).map_err(CommandError::Signals)?;
    let (sender, events) = bounded(64);
    thread::scope(|scope| {
        let watched = sender.clone();
        let watch = || {
            let watched = watched;
            while signals.wait() && watched.send(ChildEvent::Signal).is_ok() {}
        };
        let _stop = StopOnDrop(&signals);
        thread::Builder::new()
            .name("signals".into())
            .spawn_scoped(scope, watch)
            .map_err(CommandError::Signals)?;
        supervise(&plan, scope, &sender, events, &mut io::stdout(), &mut io::stderr())
    })
}

/// The program as it can be called in any folder: as the user called it, where that is a path to it, or its own file.
fn callable(typed: &OsStr, own: &Path) -> PathBuf {
    let called = std::path::absolute(typed).ok().filter(|_| typed.as_bytes().contains(&b'/'));
    let is_own = |path: &PathBuf| fs::canonicalize(path).is_ok_and(|path| path == own);
    called.filter(is_own).unwrap_or_else(|| own.to_owned())
}

fn asks_google(herd: &Herd) -> bool {
    let mut sources = herd.places.then.iter().chain([&herd.places.source]);
    sources.any(|source| matches!(source, PlacesSource::Google | PlacesSource::GoogleNew))
}

/// What ends this process. A shell without job control has what it starts with `&` ignore SIGINT, and `nohup` SIGHUP.
fn ending(is_ignored: impl Fn(i32) -> bool, pid: u32) -> String {
    if !is_ignored(SIGINT) {
        return "Ctrl-C ends the herd.".to_owned();
    }
    let others = [(SIGTERM, ""), (SIGHUP, "-HUP ")];
    // The nodes end by themselves, and drain.
    let option =
        others.into_iter().find(|&(signal, _)| !is_ignored(signal)).map_or("-KILL ", |(_, option)| option);
    format!("Ctrl-C does not end the herd, which was started with SIGINT ignored; `kill {option}{pid}` does.")
}

/// Lets the scope end, also when it is left by an error.
struct StopOnDrop<'s>(&'s SignalPipe);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Tells a herd that is up already, or another program in its place, before anything is started. The nodes' own
/// listening decides; this only says it sooner and of all nodes at once.
fn refuse_taken_addresses(herd: &Herd) -> Result<(), CommandError> {
    let is_taken = |host: &str, port: u16| {
        let addresses = (host, port).to_socket_addrs().into_iter().flatten();
        let mut refusals = addresses.filter_map(|address| TcpListener::bind(address).err());
        refusals.any(|error| error.kind() == io::ErrorKind::AddrInUse)
    };
    let taken = herd.nodes.iter().filter(|node| is_taken(&node.listen.host, node.listen.port));
    let taken: Vec<_> = taken.map(|node| format!("{} ({})", node.listen, node.id)).collect();
    if taken.is_empty() {
        return Ok(());
    }
    let verb = if taken.len() == 1 { "is" } else { "are" };
    let taken = taken.join(", ");
    let cure = "end what listens there (is this herd up already?) or give other ports with --base-port";
    Err(CommandError::Failed(format!("{taken} {verb} taken; {cure}")))
}

/// Starts, watches and ends the herd. When it returns, no child is left.
fn supervise<'scope>(
    plan: &Plan<'_>,
    scope: &'scope Scope<'scope, '_>,
    sender: &Sender<ChildEvent>,
    events: Receiver<ChildEvent>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<(), CommandError> {
    let mut up = RunningHerd { plan, children: Vec::new(), events, err };
    let started = up.start(scope, sender).and_then(|()| up.wait_until_ready());
    let wish = match started {
        Ok(Wish::Run) => {
            // Whoever started us may not care to read this; the herd runs all the same.
            let _ =
                out.write_all(table::up_text(plan, &up.addresses()).as_bytes()).and_then(|()| out.flush());
            up.report_early_complaints();
            up.watch()
        }
        other => other,
    };
    let asked_to_end = matches!(wish, Ok(Wish::End));
    let ended = up.end(asked_to_end);
    wish.and(ended)
}

/// What is to become of the herd.
enum Wish {
    Run,
    End,
}

/// The herd's processes and what comes from them.
struct RunningHerd<'u, 'p, E> {
    plan: &'u Plan<'p>,
    children: Vec<Child>,
    events: Receiver<ChildEvent>,
    err: &'u mut E,
}

impl<E: Write> RunningHerd<'_, '_, E> {
    fn start<'scope>(
        &mut self,
        scope: &'scope Scope<'scope, '_>,
        sender: &Sender<ChildEvent>,
    ) -> Result<(), CommandError> {
        for (number, node) in self.plan.herd.nodes.iter().enumerate() {
            let child = Child::start(self.plan, number, scope, sender).map_err(|error| {
                CommandError::Failed(format!("cannot start {}: {error}; nothing is left running", node.id))
            })?;
            self.children.push(child);
        }
        Ok(())
    }

    /// Until every node listens and every link is up at both ends.
    fn wait_until_ready(&mut self) -> Result<Wish, CommandError> {
        let mut deadline = clock::tick() + self.plan.ready_time;
        let mut has_read = false;
        while !self.missing().is_empty() {
            let left = deadline.saturating_sub(clock::tick());
            match self.events.recv_timeout(left) {
                Ok(ChildEvent::Said(number, line)) => {
                    if self.children[number].hear(&line) {
                        if self.plan.shows_progress {
                            self.pass_on(number, &line);
                        }
                        has_read = true;
                        deadline = clock::tick() + self.plan.ready_time;
                    }
                }
                Ok(ChildEvent::Complained(number, line)) => {
                    let complaints = &mut self.children[number].complaints;
                    complaints.truncate(COMPLAINTS_MAX - 1);
                    complaints.push(line);
                }
                Ok(ChildEvent::Gone(number)) => return Err(self.failed_start(number)),
                Ok(ChildEvent::Signal) => return Ok(Wish::End),
                Err(_) => return Err(self.late(has_read)),
            }
        }
        Ok(Wish::Run)
    }

    /// What has not been heard yet, as text.
    fn missing(&self) -> Vec<String> {
        let nodes = self.plan.herd.nodes.iter().zip(&self.children);
        let missing = nodes.filter_map(|(node, child)| {
            if child.listening.is_none() {
                return Some(format!("{} does not listen", node.id));
            }
            let unlinked = node.links.iter().filter(|link| !child.linked.contains(link.as_str()));
            let unlinked: Vec<_> = unlinked.map(crate::core::model::NodeId::as_str).collect();
            let text = || format!("{} has no link to {}", node.id, unlinked.join(", "));
            (!unlinked.is_empty()).then(text)
        });
        missing.collect()
    }

    fn late(&self, has_read: bool) -> CommandError {
        let (missing, seconds) = (self.missing().join("; "), self.plan.ready_time.as_secs_f32());
        let time = match has_read {
            true => format!("{seconds} s after the last progress of a journal"),
            false => format!("after {seconds} s"),
        };
        let logs = self.plan.log_dir.display();
        CommandError::Failed(format!("not up {time}: {missing}; the logs in {logs} say why"))
    }

    /// One line for a node that ended before the herd was up: its own last words where it had any.
    fn failed_start(&mut self, number: usize) -> CommandError {
        let child = &mut self.children[number];
        let ChildEnd { how, .. } = child.reap();
        let why = match child.complaints.last() {
            Some(line) => line.strip_prefix("herd: ").unwrap_or(line).to_owned(),
            None => format!("it ended at once ({how}); its log may say why"),
        };
        CommandError::Failed(format!("{} did not start, and nothing is left running: {why}", child.id))
    }

    fn addresses(&self) -> Vec<String> {
        self.children.iter().map(|child| child.listening.clone().unwrap_or_default()).collect()
    }

    fn report_early_complaints(&mut self) {
        for child in &mut self.children {
            for line in child.complaints.drain(..) {
                say(self.err, &child.id, line);
            }
        }
    }

    /// Until the user wants an end, or no node is left.
    fn watch(&mut self) -> Result<Wish, CommandError> {
        while self.children.iter().any(|child| !child.gone) {
            match self.events.recv() {
                Ok(ChildEvent::Said(..)) => {}
                Ok(ChildEvent::Complained(number, line)) => self.pass_on(number, &line),
                Ok(ChildEvent::Gone(number)) => self.report_end(number),
                Ok(ChildEvent::Signal) | Err(_) => return Ok(Wish::End),
            }
        }
        Err(CommandError::Failed(
            "every node has ended; the logs say why, herd up starts them again".to_owned(),
        ))
    }

    fn pass_on(&mut self, number: usize, line: &str) {
        say(self.err, &self.children[number].id, line);
    }

    fn report_end(&mut self, number: usize) {
        let ChildEnd { how, .. } = self.children[number].reap();
        let left = self.children.iter().filter(|child| !child.gone).count();
        let id = &self.children[number].id;
        let command = table::cure(self.plan, &["node", id.as_str()]);
        let key = if self.plan.has_key { KEY_TOO } else { "" };
        say(
            self.err,
            "herd",
            format_args!(
                "{id} has ended ({how}), {left} go on; to bring it back, in another terminal{key}: {command}"
            ),
        );
    }

    /// Asks every node to drain and waits; kills what is left after a second signal or too long a time. Where the
    /// user asked for the end, a node that did not end well is a failure.
    fn end(&mut self, asked: bool) -> Result<(), CommandError> {
        let signal_all = |children: &[Child], signal| children.iter().for_each(|child| child.signal(signal));
        signal_all(&self.children, Signal::TERM);
        // Where SIGTERM was ignored at the start, the nodes ignore it, too.
        self.children.iter_mut().for_each(Child::end_lifeline);
        if asked {
            say(self.err, "herd", "ending every node; a second signal kills those that are left");
        }
        let deadline = clock::tick() + self.plan.herd.limits.drain_time + GRACE_TIME;
        let (mut killed, mut ill) = (false, Vec::new());
        while self.children.iter().any(|child| !child.gone) {
            let left = deadline.saturating_sub(clock::tick());
            // What has been killed ends without any further deadline.
            let event = if killed { self.events.recv().ok() } else { self.events.recv_timeout(left).ok() };
            match event {
                Some(ChildEvent::Said(..)) => {}
                Some(ChildEvent::Complained(number, line)) if asked => self.pass_on(number, &line),
                Some(ChildEvent::Complained(..)) => {}
                Some(ChildEvent::Gone(number)) => {
                    let child = &mut self.children[number];
                    let ChildEnd { well, how } = child.reap();
                    if !well {
                        ill.push(format!("{} ({how})", child.id));
                    }
                }
                Some(ChildEvent::Signal) | None => {
                    killed = true;
                    signal_all(&self.children, Signal::KILL);
                }
            }
        }
        match (asked && !ill.is_empty(), killed) {
            (false, _) => Ok(()),
            (true, false) => {
                Err(CommandError::Failed(format!("did not end well: {}; see their logs", ill.join(", "))))
            }
            (true, true) => Err(CommandError::Failed(format!(
                "killed before they had drained: {}; see their logs",
                ill.join(", ")
            ))),
        }
    }
}
