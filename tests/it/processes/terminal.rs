//! `herd status` on a terminal: colour, and a table that is drawn in place and leaves the terminal as it was.

use std::{
    ffi::OsString,
    fs::File,
    io::Read,
    os::{fd::OwnedFd, unix::ffi::OsStringExt},
    process::{Child, Command},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};

use super::{
    status::{Asked, StandIn, ok, turning, well},
    support::PATIENCE,
};

/// A process whose standard output is a terminal, and what it has drawn there.
struct OnTerminal {
    child: Child,
    terminal: File,
    drawn: String,
}

impl OnTerminal {
    fn start(mut command: Command) -> Self {
        let terminal: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let name = OsString::from_vec(ptsname(&terminal, Vec::new()).unwrap().into_bytes());
        let inner = File::options().read(true).write(true).open(name).unwrap();
        // Its own end goes with the command, so that the terminal hangs up when the process ends.
        let child = command.stdout(inner).spawn().unwrap();
        Self { child, terminal: File::from(terminal), drawn: String::new() }
    }

    /// Reads until `enough` of all that was drawn, or to the end.
    fn read_until(&mut self, enough: impl Fn(&str) -> bool) {
        let patience = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
        let mut buffer = [0; 4096];
        while !enough(&self.drawn) {
            let mut wait = [PollFd::new(&self.terminal, PollFlags::IN)];
            assert_ne!(poll(&mut wait, Some(&patience)).unwrap(), 0, "nothing more: {:?}", self.drawn);
            // A terminal whose other end is closed is an error to read.
            let Ok(count @ 1..) = self.terminal.read(&mut buffer) else { return };
            self.drawn += &String::from_utf8_lossy(&buffer[..count]);
        }
    }

    /// All it draws until it ends, and its exit code.
    fn end(mut self) -> (String, Option<i32>) {
        self.read_until(|_| false);
        (std::mem::take(&mut self.drawn), self.child.wait().unwrap().code())
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn command(asked: &Asked, arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = asked.command(arguments);
    command.env_remove("NO_COLOR").env("TERM", "xterm").envs(environment.iter().copied());
    command
}

#[test]
fn colour_is_for_terminals_that_want_it() {
    let (alford, ball) = (
        StandIn::answering(ok(&well("Alford", &["Ball"]))),
        StandIn::answering(ok(&well("Ball", &["Alford"]))),
    );
    let asked = Asked::pair(&alford, &ball);
    let shown = |arguments: &[&str], environment: &[(&str, &str)]| {
        let (drawn, code) = OnTerminal::start(command(&asked, arguments, environment)).end();
        assert_eq!(code, Some(0));
        drawn
    };
    for environment in [&[][..], &[("NO_COLOR", "")]] {
        let drawn = shown(&[], environment);
        assert!(drawn.contains("Ball    \x1b[32mrunning\x1b[0m "), "{drawn:?}");
        assert!(drawn.ends_with("\x1b[32min step\x1b[0m\r\n"), "{drawn:?}");
    }
    for environment in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        assert!(!shown(&[], &[environment]).contains('\x1b'), "{environment:?}");
    }
    assert!(!shown(&["--json"], &[]).contains('\x1b'));
}

#[test]
fn watch_draws_in_place_and_leaves_the_terminal_as_it_was() {
    let (alford, ball) = (StandIn::answering(ok(&well("Alford", &["Ball"]))), turning(false));
    let asked = Asked::pair(&alford, &ball);
    let mut watch = OnTerminal::start(command(&asked, &["--watch", "--interval", "0.05"], &[]));
    watch.read_until(|drawn| drawn.contains("\n\x1b[32min step"));
    kill_process(Pid::from_child(&watch.child), Signal::INT).unwrap();
    let (drawn, code) = watch.end();
    assert_eq!(code, Some(0), "{drawn:?}");
    let (before, last) = drawn.split_once("\x1b[?25h\x1b[?1049l").unwrap();
    let frames: Vec<_> = before.split("\x1b[H").collect();
    assert_eq!(frames[0], "\x1b[?1049h\x1b[?25l");
    assert!(frames[1].contains("Ball is draining") && frames[2].contains("\n\x1b[32min step"), "{drawn:?}");
    assert!(frames[1..].iter().all(|frame| frame.ends_with("\x1b[J")), "{drawn:?}");
    // What was seen last stays, without anything that moves the cursor.
    assert!(last.starts_with("pair at 2") && last.ends_with("\x1b[32min step\x1b[0m\r\n\r\n"), "{last:?}");
    assert!(!last.contains("\x1b[H") && !last.contains("\x1b[K"), "{last:?}");
}
