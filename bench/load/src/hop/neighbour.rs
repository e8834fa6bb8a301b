//! The tester as a node's neighbour: it accepts the flooder's connection, answers its handshake, and from then on
//! reads. It answers pings, and rounds like a node that has nothing.

use std::{
    io::{self, BufRead, BufReader, ErrorKind, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{HopError, at_line, hello};
use crate::{
    clock::Clock,
    listener::{self, READ_BYTES},
};

const NS_A_SECOND: u64 = 1_000_000_000;

/// How long a node may take for its side of the handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// A neighbour that waits to be called.
#[derive(Debug)]
pub struct Neighbour {
    listener: TcpListener,
    herd: String,
    id: String,
}

impl Neighbour {
    /// Listens as node `id` of `herd`.
    pub fn listen(address: SocketAddr, herd: &str, id: &str) -> Result<Self, HopError> {
        let listener =
            listener::bind(address).map_err(HopError::socket("cannot listen as the node's neighbour"))?;
        Ok(Self { listener, herd: herd.to_owned(), id: id.to_owned() })
    }

    /// Where it listens.
    pub fn address(&self) -> Result<SocketAddr, HopError> {
        self.listener.local_addr().map_err(HopError::socket("the neighbour's listener has no address"))
    }

    /// Waits for the node's flooder and completes the handshake with it.
    pub fn accept(&self, patience: Duration) -> Result<Link, HopError> {
        self.await_caller(patience)?;
        let (stream, _caller) =
            self.listener.accept().map_err(HopError::socket("cannot accept the node's link"))?;
        stream.set_nodelay(true).map_err(HopError::socket("cannot set up the link's socket"))?;
        let mut link = Link {
            check: 0,
            stream: BufReader::with_capacity(READ_BYTES, stream),
            line: Vec::new(),
            patience: HANDSHAKE,
        };
        link.set_patience(HANDSHAKE)?;
        let read = link.next_line().map_err(HopError::socket("no handshake from the node"))?;
        let (answer, check) = hello::answer(read, &self.herd, &self.id)?;
        link.check = check;
        let answered = link.stream.get_mut().write_all(format!("{answer}\n").as_bytes());
        answered.map_err(HopError::socket("cannot answer the node's handshake"))?;
        Ok(link)
    }

    fn await_caller(&self, patience: Duration) -> Result<(), HopError> {
        let limit = Timespec::try_from(patience).ok();
        let mut waiting = [PollFd::new(&self.listener, PollFlags::IN)];
        match poll(&mut waiting, limit.as_ref()) {
            Ok(0) => Err(HopError::NoLink(patience)),
            Ok(_) => Ok(()),
            Err(error) => Err(HopError::Socket { what: "cannot wait for the node", source: error.into() }),
        }
    }
}

/// The node's link to us.
#[derive(Debug)]
pub struct Link {
    check: u64,
    stream: BufReader<TcpStream>,
    /// Kept between reads, since a timeout may cut a line in two.
    line: Vec<u8>,
    patience: Duration,
}

impl Link {
    /// The node's check value, which a node that calls it must know.
    pub fn check(&self) -> u64 {
        self.check
    }

    /// How long a report may take.
    pub fn set_patience(&mut self, patience: Duration) -> Result<(), HopError> {
        self.patience = patience;
        let stream = self.stream.get_ref();
        stream.set_read_timeout(Some(patience)).map_err(HopError::socket("cannot set the link's timeout"))
    }

    /// Reads until the report with this timestamp has arrived; earlier ones and other lines are skipped.
    pub fn await_report(&mut self, stamp: &[u8]) -> Result<(), HopError> {
        let deadline = Instant::now() + self.patience;
        loop {
            match self.next_line() {
                Ok(line) if at_line::timestamp(line) == Some(stamp) => return Ok(()),
                Ok(line) if !line.starts_with(b"AT ") => {
                    let answer = answer(line);
                    self.stream
                        .get_mut()
                        .write_all(answer.as_bytes())
                        .map_err(HopError::socket("cannot answer the node"))?;
                }
                // An idle node keeps talking, so the socket's own timeout would never come.
                Ok(_) if Instant::now() > deadline => return Err(HopError::Lost),
                Ok(_) => {}
                Err(error) if is_timeout(&error) => return Err(HopError::Lost),
                Err(source) => return Err(HopError::Socket { what: "the node closed its link", source }),
            }
        }
    }

    /// The next whole line, without its newline.
    fn next_line(&mut self) -> io::Result<&[u8]> {
        if self.line.last() == Some(&b'\n') {
            self.line.clear();
        }
        self.stream.read_until(b'\n', &mut self.line)?;
        match &self.line[..] {
            [line @ .., b'\n'] => Ok(line),
            _ => Err(ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// What a neighbour answers that has nothing; nobody waits for what is pushed to it.
fn answer(line: &[u8]) -> String {
    let line = String::from_utf8_lossy(line);
    match line.split_once(' ').unwrap_or((&line, "")) {
        ("PING", number) => {
            let ns = Clock::start().posix_ns(0);
            format!("PONG {number} {}.{:09}\n", ns / NS_A_SECOND, ns % NS_A_SECOND)
        }
        ("SUM", watermark) => format!("SUM {:016x} {watermark}\n", 0),
        ("DONE", number) => format!("DONE {number}\n"),
        _ => String::new(),
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
