//! The tester as a neighbour that dials: it does the handshake, sends the node what it likes, and reads the answers.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
    sync::LazyLock,
    time::{Duration, Instant},
};

use proxyherd::core::wire::{Channel, Hello, is_welcome};

use super::{
    bed::{HERD, TESTER},
    secured::{self, PeerStream},
};
use crate::{clock::Clock, hop::hello, listener::READ_BYTES, rounds::BenchError};

/// How long an answer may take, with everything that was written before it still to be done.
const PATIENCE: Duration = Duration::from_secs(60);

/// All connections are of one start of this neighbour, so that a new one takes the place of the last, whose end the node may
/// not have seen yet; another start would be refused until then.
static INCARNATION: LazyLock<u64> = LazyLock::new(|| Clock::start().posix_ns(0));

/// A connection to a node, past the handshake.
#[derive(Debug)]
pub(super) struct Peer {
    stream: BufReader<PeerStream>,
}

impl Peer {
    pub(super) fn dial(node: SocketAddr, id: &str, check: u64) -> Result<Self, BenchError> {
        let mut peer = Self { stream: BufReader::new(PeerStream::Plain(Self::connect(node)?)) };
        let answer = peer.ask(&hello(HERD, TESTER, id, *INCARNATION, check))?;
        let _theirs =
            Hello::parse(answer.as_bytes()).map_err(|_| BenchError::WrongToNeighbour(answer.clone()))?;
        Ok(peer)
    }

    /// A link over TLS to a node of a herd that has [`secured::secret`].
    pub(super) fn dial_secured(node: SocketAddr, id: &str) -> Result<Self, BenchError> {
        let failed = BenchError::file("cannot speak TLS with the node");
        let (stream, channel) = PeerStream::secured(Self::connect(node)?).map_err(failed)?;
        let mut peer = Self { stream: BufReader::new(stream) };
        peer.prove(id, channel)?;
        Ok(peer)
    }

    fn prove(&mut self, id: &str, channel: Channel) -> Result<(), BenchError> {
        let plain = hello(HERD, TESTER, id, 0, secured::check());
        let hello = secured::hello(&plain).map_err(BenchError::file("cannot say hello"))?;
        let answer = self.ask(&hello)?;
        let welcome = self.ask(&secured::proof(channel, &hello, &answer, *INCARNATION))?;
        if is_welcome(welcome.as_bytes()) { Ok(()) } else { Err(BenchError::WrongToNeighbour(welcome)) }
    }

    fn connect(node: SocketAddr) -> Result<TcpStream, BenchError> {
        let stream = TcpStream::connect(node).map_err(BenchError::file("cannot connect to the node"))?;
        stream
            .set_nodelay(true)
            .and_then(|()| stream.set_read_timeout(Some(PATIENCE)))
            .map_err(BenchError::file("cannot set up the link's socket"))?;
        Ok(stream)
    }

    /// Writes a line and reads the answer to it.
    pub(super) fn ask(&mut self, question: &str) -> Result<String, BenchError> {
        self.write(format!("{question}\n").as_bytes())?;
        let mut answer = String::new();
        self.stream.read_line(&mut answer).map_err(BenchError::file("no answer from the node"))?;
        answer.truncate(answer.trim_end().len());
        Ok(answer)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), BenchError> {
        self.stream.get_mut().write_all(bytes).map_err(BenchError::file("cannot write to the node"))
    }

    /// Writes whole lines, in writes like a flooder's; returns how long it took until the node had done everything they
    /// say.
    pub(super) fn tell(&mut self, lines: &[u8]) -> Result<Duration, BenchError> {
        let began = Instant::now();
        for piece in lines.chunks(READ_BYTES) {
            self.write(piece)?;
        }
        let answer = self.ask("PING 1")?;
        let took = began.elapsed();
        if answer.starts_with("PONG 1 ") { Ok(took) } else { Err(BenchError::WrongToNeighbour(answer)) }
    }
}
