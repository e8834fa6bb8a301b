//! `herd status` on a terminal: colour, and a table that is drawn in place, ends at a key and leaves the terminal as it was.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{Read, Write},
    net::TcpListener,
    os::{fd::OwnedFd, unix::ffi::OsStringExt},
    process::{Child, Command, Stdio},
    thread::{self, JoinHandle},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize},
};

use super::{
    status::{Asked, StandIn, ok, turning, well},
    support::{PATIENCE, eventually, herd_command},
};
use crate::support::skipped;

/// The other screen, without a cursor and without lines that go on in the next row; and back.
const SHOWN: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const HIDDEN: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/// A process whose standard input and output are a terminal, and what it has drawn there.
struct OnTerminal {
    child: Child,
    terminal: File,
    drawn: String,
}

impl OnTerminal {
    fn start(command: Command) -> Self {
        Self::start_reading(command, None)
    }

    /// The same with another standard input.
    fn start_reading(mut command: Command, input: Option<Stdio>) -> Self {
        let terminal: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let name = OsString::from_vec(ptsname(&terminal, Vec::new()).unwrap().into_bytes());
        let inner = File::options().read(true).write(true).open(name).unwrap();
        // Its own end goes with the command, so that the terminal hangs up when the process ends.
        let input = input.unwrap_or_else(|| inner.try_clone().unwrap().into());
        let child = command.stdin(input).stdout(inner).spawn().unwrap();
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

    fn type_in(&mut self, keys: &str) {
        self.terminal.write_all(keys.as_bytes()).unwrap();
    }

    /// Whether keys come at once, and none is shown.
    fn takes_keys(&self) -> bool {
        !tcgetattr(&self.terminal).unwrap().local_modes.intersects(LocalModes::ICANON | LocalModes::ECHO)
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
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
    for environment in [("NO_COLOR", "1"), ("TERM", "dumb"), ("TERM", "")] {
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
    let (before, last) = drawn.split_once(HIDDEN).unwrap();
    let frames: Vec<_> = before.split("\x1b[H").collect();
    assert_eq!(frames[0], SHOWN);
    assert!(frames[1].contains("Ball is draining") && frames[2].contains("\n\x1b[32min step"), "{drawn:?}");
    assert!(frames[1..].iter().all(|frame| frame.ends_with("\x1b[J")), "{drawn:?}");
    // What was seen last stays, without anything that moves the cursor.
    assert!(last.starts_with("pair at 2") && last.ends_with("\x1b[32min step\x1b[0m\r\n\r\n"), "{last:?}");
    assert!(!last.contains("\x1b[H") && !last.contains("\x1b[K"), "{last:?}");
}

/// The letter that `/proc` has for what the process does.
fn state(child: &Child) -> String {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    stat.rsplit_once(") ").unwrap().1[..1].to_owned()
}

#[test]
fn ctrl_z_gives_the_terminal_back_until_the_table_goes_on() {
    let (alford, ball) = (
        StandIn::answering(ok(&well("Alford", &["Ball"]))),
        StandIn::answering(ok(&well("Ball", &["Alford"]))),
    );
    let asked = Asked::pair(&alford, &ball);
    // The next look is far away: what is drawn after the pause is drawn because of it.
    let mut watch = OnTerminal::start(command(&asked, &["--watch", "--interval", "600"], &[]));
    let pid = Pid::from_child(&watch.child);
    let verdict = "in step\x1b[0m\x1b[K\x1b[J";
    for _ in 0..2 {
        watch.drawn.clear();
        // A terminal that was just opened has no size, so nothing is cut.
        kill_process(pid, Signal::WINCH).unwrap();
        watch.read_until(|drawn| drawn.ends_with(verdict));
        kill_process(pid, Signal::TSTP).unwrap();
        watch.read_until(|drawn| drawn.ends_with(HIDDEN));
        eventually("it stops", || state(&watch.child) == "T");
        assert!(!watch.takes_keys());
        watch.drawn.clear();
        kill_process(pid, Signal::CONT).unwrap();
        watch.read_until(|drawn| drawn.ends_with(verdict));
        assert!(watch.drawn.starts_with(SHOWN) && watch.takes_keys(), "{:?}", watch.drawn);
    }
    kill_process(pid, Signal::INT).unwrap();
    assert_eq!(watch.end().1, Some(0));
}

/// A watch of a herd in step, which looks once in ten minutes; once it has drawn that.
fn watching(asked: &Asked) -> OnTerminal {
    let mut watch = OnTerminal::start(command(asked, &["--watch", "--interval", "600"], &[]));
    watch.read_until(|drawn| drawn.ends_with(VERDICT));
    watch
}

/// How a frame of a herd in step ends.
const VERDICT: &str = "in step\x1b[0m\x1b[K\x1b[J";

fn in_step() -> (StandIn, StandIn) {
    let answering = |node: &str, peer: &str| StandIn::answering(ok(&well(node, &[peer])));
    (answering("Alford", "Ball"), answering("Ball", "Alford"))
}

#[test]
fn keys_are_not_shown_and_q_ends_the_watch() {
    let (alford, ball) = in_step();
    let asked = Asked::pair(&alford, &ball);
    for key in ["q", "Q"] {
        let mut watch = watching(&asked);
        assert!(watch.takes_keys());
        watch.type_in(&format!("x\n\x1b[A\x04{key}"));
        watch.read_until(|drawn| drawn.contains(HIDDEN));
        eventually("the terminal has its modes again", || !watch.takes_keys());
        let (drawn, code) = watch.end();
        assert_eq!(code, Some(0), "{drawn:?}");
        let (before, last) = drawn.split_once(HIDDEN).unwrap();
        assert!(before.ends_with(VERDICT) && !before.contains('x'), "{drawn:?}");
        assert!(last.ends_with("\x1b[32min step\x1b[0m\r\n\r\n"), "{last:?}");
    }
}

#[test]
fn terminal_has_its_modes_again_whatever_signal_ends_the_watch() {
    let (alford, ball) = in_step();
    let asked = Asked::pair(&alford, &ball);
    for (signal, code) in
        [(Signal::INT, Some(0)), (Signal::TERM, Some(0)), (Signal::HUP, Some(0)), (Signal::QUIT, None)]
    {
        let mut watch = watching(&asked);
        assert!(watch.takes_keys());
        watch.signal(signal);
        watch.read_until(|drawn| drawn.contains(HIDDEN));
        eventually("the terminal has its modes again", || !watch.takes_keys());
        assert_eq!(watch.end().1, code, "{signal:?}");
    }
}

#[test]
fn input_that_is_no_terminal_is_left_to_others() {
    let (alford, ball) = in_step();
    let asked = Asked::pair(&alford, &ball);
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"q\n").unwrap();
    drop(writer);
    let watch = command(&asked, &["--watch", "--interval", "0.05"], &[]);
    let mut watch = OnTerminal::start_reading(watch, Some(reader.try_clone().unwrap().into()));
    watch.read_until(|drawn| drawn.matches(VERDICT).count() > 5);
    assert!(!watch.takes_keys());
    watch.signal(Signal::INT);
    assert_eq!(watch.end().1, Some(0));
    let mut left = String::new();
    reader.read_to_string(&mut left).unwrap();
    assert_eq!(left, "q\n");
}

#[test]
fn shell_stops_the_watch_brings_it_back_and_ends_it() {
    for (tool, question) in [("bash", "--version"), ("setsid", "--version")] {
        if !Command::new(tool).arg(question).output().is_ok_and(|output| output.status.success()) {
            return skipped("the watch under a shell's job control", &format!("`{tool}` is not there"));
        }
    }
    let (alford, ball) = in_step();
    let asked = Asked::pair(&alford, &ball);
    let mut bash = Command::new("setsid");
    bash.args(["--ctty", "bash", "--norc", "--noprofile", "-i"]).stderr(Stdio::null());
    bash.env("TERM", "xterm").env("PS1", "$ ").env_remove("HISTFILE").env_remove("HERD_CONFIG");
    let mut shell = OnTerminal::start(bash);
    let watch = format!(
        "'{}' status --watch --interval 600 --config '{}'\n",
        env!("CARGO_BIN_EXE_herd"),
        asked.config().display()
    );
    // Both times by keys alone: what a terminal makes of them is what counts.
    shell.type_in(&watch);
    shell.read_until(|drawn| drawn.ends_with(VERDICT));
    shell.type_in("\x1a");
    shell.read_until(|drawn| drawn.contains(HIDDEN));
    shell.drawn.clear();
    shell.type_in("fg\n");
    shell.read_until(|drawn| drawn.contains(SHOWN) && drawn.ends_with(VERDICT));
    assert!(shell.takes_keys());
    shell.type_in("\x03");
    shell.read_until(|drawn| drawn.contains(HIDDEN));
    shell.type_in("echo ended-$?\n");
    shell.read_until(|drawn| drawn.contains("ended-0"));
    // What was stopped ends as well, and leaves the terminal to the shell.
    shell.drawn.clear();
    shell.type_in(&watch);
    shell.read_until(|drawn| drawn.ends_with(VERDICT));
    shell.type_in("\x1a");
    shell.read_until(|drawn| drawn.contains(HIDDEN));
    shell.type_in("echo pid=$(jobs -p)=\n");
    // What was typed is shown, too.
    let pid = |drawn: &str| {
        let said = drawn.rsplit_once("pid=")?.1.split_once('=')?.0;
        said.bytes().all(|byte| byte.is_ascii_digit()).then(|| said.to_owned())
    };
    shell.read_until(|drawn| pid(drawn).is_some());
    let stopped = format!("/proc/{}", pid(&shell.drawn).unwrap());
    assert!(fs::exists(&stopped).unwrap(), "{stopped}");
    shell.type_in("kill %%\n");
    eventually("the watch has ended", || !fs::exists(&stopped).unwrap());
    shell.type_in("exit\n");
    assert_eq!(shell.end().1, Some(0));
}

#[test]
fn what_finds_no_room_is_counted_and_nothing_scrolls() {
    let alford = StandIn::answering(ok(&well("Alford", &["Ball"])));
    let ball = StandIn::answering(ok(&well("Ball", &["Alford"])));
    let asked = Asked::pair(&alford, &ball);
    let mut watch =
        OnTerminal::start(command(&asked, &["--watch", "--interval", "600"], &[("NO_COLOR", "1")]));
    for (rows, columns, shown) in [
        (24, 80, "Ball > Alford  in step  1.2 ms"),
        (
            7,
            80,
            "Ball    running     12s      123  01234567\n... 5 more rows: make the terminal higher\nin step",
        ),
        (6, 12, "Alford  run…\n... 6 more …\nin step"),
        (1, 4, "in …"),
    ] {
        watch.drawn.clear();
        tcsetwinsize(&watch.terminal, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 })
            .unwrap();
        kill_process(Pid::from_child(&watch.child), Signal::WINCH).unwrap();
        watch.read_until(|drawn| {
            drawn.ends_with("\x1b[K\x1b[J")
                && drawn.replace('\r', "").replace("\x1b[K\n", "\n").contains(shown)
        });
        let last = watch.drawn.rsplit("\x1b[H").next().unwrap().replace("\x1b[K", "").replace("\x1b[J", "");
        // The terminal puts a CR of its own before each newline.
        let last = last.replace('\r', "");
        let lines: Vec<_> = last.split('\n').collect();
        assert!(lines.len() <= usize::from(rows), "{rows}: {lines:?}");
        assert!(
            lines.iter().all(|line| line.chars().count() <= usize::from(columns)),
            "{columns}: {lines:?}"
        );
    }
    kill_process(Pid::from_child(&watch.child), Signal::INT).unwrap();
    assert_eq!(watch.end().1, Some(0));
}

/// `herd send` to a server that answers with this.
fn send_to(reply: &'static [u8]) -> (Command, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let served = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
        stream.write_all(reply).unwrap();
    });
    (herd_command(&["send", &address, "WHATSAT x 10 1"]), served)
}

#[test]
fn replies_move_no_cursor_on_a_terminal_and_stay_as_they_are_in_a_pipe() {
    const REPLY: &[u8] = b"AT A +1 \x1b]0;x\x07\xc2\x9b\xff +1+1 1\r\n{\"name\" : \"caf\xc3\xa9\"}\r\n\r\n";
    let (command, served) = send_to(REPLY);
    let (drawn, code) = OnTerminal::start(command).end();
    served.join().unwrap();
    assert_eq!(code, Some(0));
    assert_eq!(drawn, "AT A +1 \\x1b]0;x\\x07\\x9b\\xff +1+1 1\r\n{\"name\" : \"café\"}\r\n\r\n");
    let (mut command, served) = send_to(REPLY);
    assert_eq!(command.output().unwrap().stdout, REPLY);
    served.join().unwrap();
}
