//! A server in a process of its own: started, awaited until it listens, ended by its process id. Dropping it ends it,
//! so that no failed run leaves a server running.

use std::{
    io::{self, BufRead, BufReader},
    net::{SocketAddr, TcpStream},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, unbounded};
use rustix::{
    io::Errno,
    net::{AddressFamily, SocketType, bind, socket},
    process::{Pid, Signal, kill_process},
};
use thiserror::Error;

use crate::usage::{self, Usage};

/// How long a server may take until it listens.
const START: Duration = Duration::from_secs(20);
/// How long it may take to drain; a node gives up by itself after ten seconds.
const DRAIN: Duration = Duration::from_secs(15);
/// How long an address may stay taken: longer than the kernel remembers ended connections.
const FREE: Duration = Duration::from_secs(90);
/// How often to look for its end.
const TICK: Duration = Duration::from_millis(2);

/// Why a server is not available.
#[derive(Debug, Error)]
pub enum ServerError {
    /// No such program, or no right to run it.
    #[error("cannot start {program}: {source}; give the path of a program that can be run")]
    Start {
        /// What was to be run.
        program: String,
        /// Why it was not.
        source: io::Error,
    },
    /// It ended, or printed nothing in time.
    #[error("{} did not print `listening ADDRESS` within {} s; run it by hand to see why", .0, START.as_secs())]
    Silent(String),
    /// It ended, or accepted no connection in time.
    #[error("{program} took no connection at {address} within {} s; run it by hand to see why", START.as_secs())]
    Unreachable {
        /// What was run.
        program: String,
        /// Where it was to listen.
        address: SocketAddr,
    },
    /// Something else has its address.
    #[error(
        "{} is taken, and was for {} s; end what listens there, such as the server of an earlier run",
        .0, FREE.as_secs()
    )]
    Taken(SocketAddr),
    /// It did not end when asked.
    #[error("{} did not end within {} s of SIGTERM and was killed; see its log", .0, DRAIN.as_secs())]
    Undying(String),
    /// It could not be waited for.
    #[error("cannot wait for the server: {0}")]
    Wait(#[from] io::Error),
}

/// This tester's own program, to be started as another server.
pub(crate) fn own_program() -> Result<Command, ServerError> {
    let start = |source| ServerError::Start { program: "the tester".to_owned(), source };
    std::env::current_exe().map(Command::new).map_err(start)
}

/// Waits until a server can listen there, even one that does not share its address with what is left of connections.
pub(crate) fn await_free(address: SocketAddr) -> Result<(), ServerError> {
    let deadline = Instant::now() + FREE;
    while !is_free(address) {
        if Instant::now() >= deadline {
            return Err(ServerError::Taken(address));
        }
        thread::sleep(TICK);
    }
    Ok(())
}

/// The standard library's listeners share, and so would not see connections that linger.
fn is_free(address: SocketAddr) -> bool {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let bound = socket(family, SocketType::STREAM, None).and_then(|socket| bind(socket, &address));
    bound != Err(Errno::ADDRINUSE)
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    program: String,
    child: Child,
    address: SocketAddr,
    reader: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts `command` and waits until it says where it listens.
    pub fn start(command: Command) -> Result<Self, ServerError> {
        // Made before the wait, so that a server that stays silent is ended as well.
        let (mut server, lines) = Self::spawn(command)?;
        server.address = await_address(&lines).ok_or_else(|| ServerError::Silent(server.program.clone()))?;
        Ok(server)
    }

    /// Starts `command`, which should listen at `address`, and waits until it accepts a connection there.
    pub fn start_at(command: Command, address: SocketAddr) -> Result<Self, ServerError> {
        let (mut server, _lines) = Self::spawn(command)?;
        server.address = address;
        let deadline = Instant::now() + START;
        while TcpStream::connect(address).is_err() {
            if Instant::now() >= deadline || server.ended()?.is_some() {
                return Err(ServerError::Unreachable { program: server.program.clone(), address });
            }
            thread::sleep(TICK);
        }
        Ok(server)
    }

    fn spawn(mut command: Command) -> Result<(Self, Receiver<String>), ServerError> {
        let program = program_name(&command);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|source| ServerError::Start { program: program.clone(), source })?;
        let (reader, lines) = match child.stdout.take().map(read_lines) {
            Some(Ok((reader, lines))) => (Some(reader), lines),
            _ => (None, crossbeam_channel::never()),
        };
        let unspecified = SocketAddr::from(([0, 0, 0, 0], 0));
        Ok((Self { program, child, address: unspecified, reader }, lines))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its resident memory, in bytes.
    pub fn resident_bytes(&self) -> io::Result<u64> {
        usage::resident_bytes(self.child.id())
    }

    /// CPU time that all of its threads have used, user and kernel together, to about a hundredth of a second.
    pub fn cpu(&self) -> io::Result<Duration> {
        usage::cpu(self.child.id()).map(|(user, system)| user + system)
    }

    /// What it has used since it began.
    pub fn usage(&self) -> io::Result<Usage> {
        Usage::of(self.child.id())
    }

    /// How many files and sockets it has open.
    pub fn descriptors(&self) -> io::Result<usize> {
        usage::descriptors(self.child.id())
    }

    /// How it ended, if it has ended by itself.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Halts it, as a suspended machine does.
    pub fn pause(&self) -> io::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it continue.
    pub fn resume(&self) -> io::Result<()> {
        self.signal(Signal::CONT)
    }

    /// Only this server's own process, which is not waited for before it is dropped, so the id is still its own.
    fn signal(&self, signal: Signal) -> io::Result<()> {
        let pid = Pid::from_raw(self.child.id().cast_signed()).ok_or(io::ErrorKind::NotFound)?;
        Ok(kill_process(pid, signal)?)
    }

    /// Asks it to drain and waits for its end.
    pub fn stop(mut self) -> Result<ExitStatus, ServerError> {
        self.end()?.ok_or_else(|| ServerError::Undying(self.program.clone()))
    }

    /// Ends the process, gently and then by force; `None` when force was needed.
    fn end(&mut self) -> io::Result<Option<ExitStatus>> {
        // Sent only to a child that has not been waited for, so the id cannot be another's by now.
        if self.child.try_wait()?.is_none()
            && let Some(pid) = Pid::from_raw(self.child.id().cast_signed())
        {
            kill_process(pid, Signal::TERM)?;
            // One that was paused receives the first signal only after this one.
            kill_process(pid, Signal::CONT)?;
        }
        let deadline = Instant::now() + DRAIN;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            thread::sleep(TICK);
        }
        self.child.kill()?;
        self.child.wait()?;
        Ok(None)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.end());
        // The reader ends with the pipe, whose other end died with the process.
        if let Some(reader) = self.reader.take() {
            drop(reader.join());
        }
    }
}

fn program_name(command: &Command) -> String {
    let path = std::path::Path::new(command.get_program());
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// Reads all the server ever prints, so that it never blocks on a full pipe.
fn read_lines(stdout: ChildStdout) -> io::Result<(JoinHandle<()>, Receiver<String>)> {
    let (sender, receiver) = unbounded();
    let body = move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // After the start nobody listens any more; the reading goes on.
            let _unheard = sender.send(line);
        }
    };
    let reader = thread::Builder::new().name("server-output".to_owned()).spawn(body)?;
    Ok((reader, receiver))
}

fn await_address(lines: &Receiver<String>) -> Option<SocketAddr> {
    let deadline = Instant::now() + START;
    while let Ok(line) = lines.recv_deadline(deadline) {
        if let Some(address) = listening(&line) {
            return Some(address);
        }
    }
    None
}

fn listening(line: &str) -> Option<SocketAddr> {
    line.strip_prefix("listening ")?.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_only_talks_is_not_a_server() {
        let mut command = Command::new("echo");
        command.arg("hello");
        assert!(matches!(Server::start(command), Err(ServerError::Silent(_))));
    }

    #[test]
    fn a_server_that_says_nothing_is_awaited_where_it_is_to_listen() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let sleep = || {
            let mut command = Command::new("sleep");
            command.arg("60");
            command
        };
        assert_eq!(Server::start_at(sleep(), address).unwrap().address(), address);
        drop(listener);
        // One that ends is no longer waited for.
        assert!(matches!(
            Server::start_at(Command::new("true"), address),
            Err(ServerError::Unreachable { .. })
        ));
    }

    #[test]
    fn an_address_is_free_once_nothing_listens_there() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert!(!is_free(address));
        // The server ends this connection first, so the kernel remembers it.
        let client = TcpStream::connect(address).unwrap();
        drop(listener.accept().unwrap());
        assert_eq!(io::Read::read(&mut &client, &mut [0]).unwrap(), 0);
        drop((client, listener));
        assert!(!is_free(address), "what lingers counts");
        assert!(std::net::TcpListener::bind(address).is_ok(), "although some servers would not care");
        let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(is_free(other) && await_free(other).is_ok());
    }

    #[test]
    fn a_server_says_where_it_listens() {
        assert_eq!(listening("listening 127.0.0.1:80"), Some(SocketAddr::from(([127, 0, 0, 1], 80))));
        assert_eq!(listening("linked Bench"), None);
    }

    #[test]
    fn a_server_that_heeds_the_signal_is_stopped_and_reaped() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo listening 127.0.0.1:80; exec sleep 60"]);
        let server = Server::start(command).unwrap();
        assert!(!server.stop().unwrap().success());
    }
}
