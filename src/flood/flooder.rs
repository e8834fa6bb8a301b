//! One neighbour's flooder: a thread that dials, shakes hands, writes what the outbox holds, and dials again. It carries
//! out what `link` says is due; what it writes was encoded by others.

use std::{
    cell::OnceCell,
    fmt,
    io::{self, ErrorKind, Read},
    net::TcpStream,
    time::Duration,
};

use crossbeam_channel::{Receiver, TryRecvError, select};
use crossbeam_utils::Backoff;

use super::{Due, Link, Queue, Resolve, outbox::Encoded, resolver::Resolver};
use crate::{
    clock::{self, Tick},
    config::{Address, Limits},
    log::{Log, Traffic},
    model::NodeId,
    protocol::{Hello, Line, LineBuffer, READ_BYTES_MAX, REFUSED, write_idle},
    socket,
};

/// How long after stop a neighbour has to take what its outbox holds, at most; never more than a quarter of the drain.
const FLUSH_TIME_MAX: Duration = Duration::from_secs(2);

/// The longest answer to a handshake.
const ANSWER_BYTES_MAX: usize = 1024;

/// What a flooder needs of its node. Everything is shared; nothing is waited for.
pub struct Wiring<'a> {
    /// The herd's name.
    pub herd: &'a str,
    /// This node.
    pub id: &'a NodeId,
    /// This node's start.
    pub incarnation: u64,
    /// The placement key's check value.
    pub check: u64,
    /// The node's limits.
    pub limits: &'a Limits,
    /// The node's log.
    pub log: &'a Log,
    /// How names are resolved.
    pub resolve: Resolve,
    /// Disconnected when the node stops.
    pub stop: Receiver<()>,
    /// What else the flooder asks of its node.
    pub host: &'a dyn Host,
}

/// What a flooder asks of its node.
pub trait Host: Sync {
    /// A handshake has succeeded.
    fn linked(&self, peer: &NodeId);

    /// A number for a connection, not used before.
    fn next_connection(&self) -> u64;

    /// 64 random bits.
    fn random(&self) -> u64;
}

/// The thread's state.
pub struct Flooder<'a> {
    wiring: Wiring<'a>,
    peer: &'a NodeId,
    address: &'a Address,
    /// Gets a word when the neighbour has connected to this node.
    called: Receiver<()>,
    queue: Queue,
    link: Link,
    resolver: Resolver,
    /// The last failure told to the log.
    told: String,
    traffic: Traffic,
    flush_by: OnceCell<Tick>,
}

/// Why there is no connection, or no longer.
#[derive(Debug)]
enum Lost {
    Resolving(io::Error),
    NoAddress,
    Connecting(io::Error),
    Handshake(io::Error),
    Refused(String),
    Stranger(String),
    Closed,
    Writing(io::Error),
    Slow(Duration),
    Stopped,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolving(error) => write!(f, "its name is not resolved: {error}"),
            Self::NoAddress => write!(f, "its name has no address"),
            Self::Connecting(error) => write!(f, "it cannot be reached: {error}"),
            Self::Handshake(error) => write!(f, "it does not answer the handshake: {error}"),
            Self::Refused(why) => write!(f, "it refused the handshake: {why}"),
            Self::Stranger(why) => write!(f, "whoever answers there is not it: {why}"),
            Self::Closed => write!(f, "it closed the connection"),
            Self::Writing(error) => write!(f, "writing failed: {error}"),
            Self::Slow(limit) => write!(f, "it did not take what was written within {limit:?}"),
            Self::Stopped => write!(f, "this node stops"),
        }
    }
}

impl<'a> Flooder<'a> {
    /// A flooder that will dial `peer` at `address`.
    pub fn new(
        wiring: Wiring<'a>,
        peer: &'a NodeId,
        address: &'a Address,
        link: Link,
        queue: Queue,
        called: Receiver<()>,
    ) -> Self {
        let resolver = Resolver::new(wiring.resolve.clone(), &address.host, address.port);
        let (told, traffic, flush_by) = (String::new(), Traffic::default(), OnceCell::new());
        Self { wiring, peer, address, called, queue, link, resolver, told, traffic, flush_by }
    }

    /// Keeps the link until stop.
    pub fn run(mut self) {
        loop {
            if self.is_stopped() {
                return;
            }
            if let Due::Wait(until) = self.link.due(clock::tick()) {
                select! {
                    recv(self.wiring.stop) -> _ => return,
                    recv(self.called) -> _ => self.link.neighbour_called(clock::tick()),
                    default(until.saturating_sub(clock::tick())) => {}
                }
                continue;
            }
            match self.dial().and_then(|stream| self.drive(&stream)) {
                Err(Lost::Stopped) => return,
                Err(lost) => self.fail(&lost),
                Ok(never) => match never {},
            }
        }
    }

    fn is_stopped(&self) -> bool {
        matches!(self.wiring.stop.try_recv(), Err(TryRecvError::Disconnected))
    }

    /// Once the node stops: until when the neighbour may take what is queued for it.
    fn flush_by(&self) -> Option<Tick> {
        self.is_stopped().then(|| *self.flush_by.get_or_init(|| clock::tick() + self.flush_time()))
    }

    fn flush_time(&self) -> Duration {
        FLUSH_TIME_MAX.min(self.wiring.limits.drain_time / 4)
    }

    /// Says what is new about a failure: the first since the link was up, and any whose reason is another.
    fn fail(&mut self, lost: &Lost) {
        let was_up = self.link.is_up();
        self.link.failed(clock::tick(), self.wiring.host.random());
        let text = lost.to_string();
        if was_up {
            self.wiring.log.warn(format_args!("lost {}: {text}", self.peer));
        } else if text != self.told {
            self.wiring.log.warn(format_args!("no link to {} at {} yet: {text}", self.peer, self.address));
        }
        self.told = text;
    }

    /// Connects and shakes hands.
    fn dial(&mut self) -> Result<TcpStream, Lost> {
        let limits = self.wiring.limits;
        let addresses =
            self.resolver.addresses(limits.connect_time, &self.wiring.stop).map_err(Lost::Resolving)?;
        let mut failure = Lost::NoAddress;
        for address in addresses {
            if self.is_stopped() {
                return Err(Lost::Stopped);
            }
            match TcpStream::connect_timeout(&address, limits.connect_time) {
                Ok(stream) => {
                    self.shake_hands(&stream)?;
                    return Ok(stream);
                }
                Err(error) => failure = Lost::Connecting(error),
            }
        }
        Err(failure)
    }

    fn shake_hands(&self, stream: &TcpStream) -> Result<(), Lost> {
        let Wiring { herd, id, incarnation, check, .. } = self.wiring;
        let mut hello = Vec::new();
        Hello::new(herd, id, self.peer, incarnation, check).write(&mut hello);
        socket::prepare(stream).map_err(Lost::Handshake)?;
        let deadline = clock::tick() + self.wiring.limits.connect_time;
        socket::write_all(stream, &hello, || clock::tick() >= deadline).map_err(Lost::Handshake)?;
        let mut buffer = LineBuffer::new(ANSWER_BYTES_MAX);
        read_until_line(stream, &mut buffer, deadline).map_err(Lost::Handshake)?;
        let Some(Line::Whole(answer, _)) = buffer.take_lines().next() else {
            return Err(Lost::Stranger("its answer is too long for a handshake".into()));
        };
        if let Some(why) = answer.strip_prefix(REFUSED) {
            return Err(Lost::Refused(String::from_utf8_lossy(why).into_owned()));
        }
        let theirs = Hello::parse(answer).map_err(Lost::Stranger)?;
        if theirs.incarnation == incarnation {
            return Err(Lost::Stranger(format!(
                "{} leads back to this node; mend its address",
                self.address
            )));
        }
        if theirs.from != self.peer.as_bytes() || theirs.herd != herd.as_bytes() {
            let (from, herd) = (String::from_utf8_lossy(theirs.from), String::from_utf8_lossy(theirs.herd));
            return Err(Lost::Stranger(format!(
                "{} is {from} of the herd {herd}; mend the address",
                self.address
            )));
        }
        if theirs.to != id.as_bytes() {
            return Err(Lost::Stranger(format!("it answers {}", String::from_utf8_lossy(theirs.to))));
        }
        if theirs.check != check {
            return Err(Lost::Stranger(
                "its placement key is another; give both nodes the same configuration".into(),
            ));
        }
        Ok(())
    }

    /// Writes batches and idle lines until the connection is lost or the node stops.
    fn drive(&mut self, stream: &TcpStream) -> Result<Never, Lost> {
        let connection = self.wiring.host.next_connection();
        self.link.linked(clock::tick());
        self.told.clear();
        self.queue.open();
        self.wiring.log.info(format_args!("linked {} at {} as #{connection}", self.peer, self.address));
        self.wiring.host.linked(self.peer);
        let ended = self.write_batches(stream, connection);
        self.queue.close();
        ended
    }

    fn write_batches(&mut self, stream: &TcpStream, connection: u64) -> Result<Never, Lost> {
        let mut joined = Vec::new();
        loop {
            if self.flush_by.get().is_some_and(|&flush_by| clock::tick() >= flush_by) {
                return Err(Lost::Stopped);
            }
            let Some(first) = self.next_batch() else {
                if self.is_stopped() {
                    return Err(Lost::Stopped);
                }
                if self.link.due(clock::tick()) == Due::Idle {
                    joined.clear();
                    write_idle(&mut joined);
                    self.write(stream, &joined)?;
                }
                continue;
            };
            let Ok(second) = self.queue.take() else {
                self.write(stream, &first)?;
                self.log_sent(connection, &first);
                continue;
            };
            // What has piled up goes out in writes as large as a session's reads.
            joined.clear();
            joined.extend_from_slice(&first);
            joined.extend_from_slice(&second);
            while joined.len() < READ_BYTES_MAX
                && let Ok(batch) = self.queue.take()
            {
                joined.extend_from_slice(&batch);
            }
            self.write(stream, &joined)?;
            self.log_sent(connection, &joined);
            if joined.capacity() > 4 * READ_BYTES_MAX {
                joined = Vec::new();
            }
        }
    }

    /// The next batch; `None` when an idle line is due, the node stops with nothing queued, or the wait ended early.
    fn next_batch(&self) -> Option<Encoded> {
        // On a busy link the next batch is some microseconds away, less than falling asleep and being woken costs.
        let backoff = Backoff::new();
        while !backoff.is_completed() {
            if let Ok(batch) = self.queue.take() {
                return Some(batch);
            }
            backoff.snooze();
        }
        let Due::Wait(until) = self.link.due(clock::tick()) else { return None };
        select! {
            recv(self.queue.receiver()) -> batch => Some(self.queue.taken(batch.ok()?)),
            // What was queued before the stop is still to be written.
            recv(self.wiring.stop) -> _ => self.queue.take().ok(),
            default(until.saturating_sub(clock::tick())) => None,
        }
    }

    fn write(&mut self, stream: &TcpStream, bytes: &[u8]) -> Result<(), Lost> {
        if socket::is_closed(stream) {
            return Err(Lost::Closed);
        }
        let limit = self.wiring.limits.write_time;
        let deadline = clock::tick() + limit;
        let is_over = || clock::tick() >= self.flush_by().unwrap_or(deadline).min(deadline);
        socket::write_all(stream, bytes, is_over).map_err(|error| match error.kind() {
            ErrorKind::TimedOut if self.is_stopped() => Lost::Stopped,
            ErrorKind::TimedOut => Lost::Slow(limit),
            _ => Lost::Writing(error),
        })?;
        self.link.spoke(clock::tick());
        Ok(())
    }

    fn log_sent(&mut self, connection: u64, bytes: &[u8]) {
        if !self.wiring.log.takes_traffic() {
            return;
        }
        self.traffic.begin(clock::wall(), connection);
        for line in bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            self.traffic.line_out(line);
        }
        self.traffic.finish(self.wiring.log);
    }
}

/// A value that cannot be: driving a link only ever ends with a reason.
enum Never {}

/// Reads until the first line is whole, which must be by `deadline`.
fn read_until_line(mut stream: &TcpStream, buffer: &mut LineBuffer, deadline: Tick) -> io::Result<()> {
    loop {
        let left = deadline.saturating_sub(clock::tick());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        let space = buffer.space();
        match stream.read(space) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                let has_line = space[..count].contains(&b'\n');
                buffer.filled(count);
                if has_line {
                    return Ok(());
                }
            }
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) => {}
            Err(error) => return Err(error),
        }
    }
}
