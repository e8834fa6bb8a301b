//! A node as a process of its own: signals, standard input as a lifeline, and standard output for announcements or the log.

use std::{
    io::{self, IsTerminal, Read, Write},
    os::{fd::AsFd, unix::net::UnixStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::event::{PollFd, PollFlags, poll};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ},
    flag,
    low_level::pipe,
};

use super::{Announcement, Controls, Lacking, Server, StartError, Surroundings};
use crate::{
    config::Herd,
    core::model::NodeId,
    log::LogDir,
    system::{scheduling, signals::is_ignored, standard_error},
};

/// Runs one node until SIGTERM or SIGINT, or until standard input ends if it is the `lifeline`. SIGHUP reopens the log, and
/// takes the tokens and the certificate anew;
/// a second signal to stop ends the process at once, with status 1. While the node does not serve yet, as in a long
/// recovery, the first ends it as if nothing caught it: there is nothing to drain. A SIGTERM or SIGINT that was ignored at
/// the start stays ignored. SIGHUP does not, since it never ends a node: a log must be reopened under `nohup`, too.
/// Returns what its end left undone.
///
/// Announcements go to standard output, a line each, unless the log goes there: then they are lines of the log. How far a
/// recovery is goes to a terminal that shows only standard error, too.
pub fn run_node(herd: &Herd, id: &NodeId, log_dir: &LogDir, lifeline: bool) -> Result<Lacking, StartError> {
    let mut signals = Signals::catch()?;
    let surroundings = match log_dir {
        LogDir::Folder(_) => Surroundings {
            announce: Box::new(|announcement| print(&announcement)),
            ..Surroundings::default()
        },
        LogDir::StandardOutput => Surroundings::default(),
    };
    let server = Server::bind(herd, id, log_dir, surroundings)?;
    signals.begin_to_serve();
    // Before any other thread exists: threads inherit it.
    let taking_turns = if herd.limits.batch_scheduling { scheduling::take_turns() } else { Ok(()) };
    server.run(|controls| {
        if let Err(error) = taking_turns {
            controls.log.warn(format_args!(
                "the system refused SCHED_BATCH ({error}); set batch_scheduling to false to stop asking"
            ));
        }
        signals.wait_for_stop(controls, lifeline);
    })
}

/// One line for the program that started the node and reads its standard output.
fn print(announcement: &Announcement) {
    if matches!(announcement, Announcement::Reading(_))
        && io::stderr().is_terminal()
        && !io::stdout().is_terminal()
    {
        standard_error::say(announcement);
    }
    let mut out = io::stdout().lock();
    let printed = writeln!(out, "{announcement}");
    // A node carries on when nobody reads its standard output any more.
    let _ = printed.and_then(|()| out.flush());
}

/// Signals, as bytes in pipes that a thread can wait for.
struct Signals {
    stop: UnixStream,
    /// Kept open so that reading `stop` never ends early.
    _stopper: UnixStream,
    hang_up: UnixStream,
    /// Whether a signal to stop ends the process as if nothing here caught it.
    is_starting: Arc<AtomicBool>,
}

impl Signals {
    fn catch() -> io::Result<Self> {
        let (stop, stopper) = UnixStream::pair()?;
        let (hang_up, hanger_up) = UnixStream::pair()?;
        let is_starting = Arc::new(AtomicBool::new(true));
        let is_second = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT].into_iter().filter(|&signal| !is_ignored(signal)) {
            flag::register_conditional_default(signal, Arc::clone(&is_starting))?;
            // In this order: the first signal finds the flag clear and sets it, and the second finds it set.
            flag::register_conditional_shutdown(signal, 1, Arc::clone(&is_second))?;
            flag::register(signal, Arc::clone(&is_second))?;
            pipe::register(signal, stopper.try_clone()?)?;
        }
        pipe::register(SIGHUP, hanger_up)?;
        // A log that has reached the file-size limit cannot be written, which is no reason to die.
        flag::register(SIGXFSZ, Arc::default())?;
        Ok(Self { stop, _stopper: stopper, hang_up, is_starting })
    }

    /// From here on there is something to drain.
    fn begin_to_serve(&self) {
        self.is_starting.store(false, Ordering::SeqCst);
    }

    fn wait_for_stop(&mut self, controls: &Controls<'_>, lifeline: bool) {
        let stdin = io::stdin();
        loop {
            let wanted = PollFlags::IN;
            let mut waits = vec![PollFd::new(&self.stop, wanted), PollFd::new(&self.hang_up, wanted)];
            let stdin = stdin.as_fd();
            if lifeline {
                waits.push(PollFd::from_borrowed_fd(stdin, wanted));
            }
            // A signal interrupts the wait; its byte is there at the next one.
            let _ = poll(&mut waits, None);
            let [has_stopped, has_hung_up, has_input] =
                [0, 1, 2].map(|at| waits.get(at).is_some_and(|wait: &PollFd<'_>| !wait.revents().is_empty()));
            drop(waits);
            if has_stopped || has_input && has_ended(&mut io::stdin().lock()) {
                return;
            }
            if has_hung_up {
                has_ended(&mut self.hang_up);
                controls.reopen_log();
                controls.reload_certificate();
                controls.reread_tokens();
            }
        }
    }
}

/// Discards what has arrived; returns whether it was the end of the input.
fn has_ended(input: &mut impl Read) -> bool {
    !matches!(input.read(&mut [0; 64]), Ok(count) if count > 0)
}
