//! The prober: one thread, with one connection to the server where reports are made and one to each that should learn
//! of them, or one for each request. It writes a marker's report, then asks each server about it, again as soon as it
//! has answered, until it knows.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    os::fd::AsFd,
    time::Duration,
};

use hdrhistogram::Histogram;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{
    FloodError, FloodPlan,
    answer::Answers,
    endpoint::{Endpoint, connect},
    marker::{Marker, lookup},
};
use crate::{
    clock::{Clock, nanoseconds},
    outcome::histogram,
};

/// The most that is read from a socket at once.
const READ_BYTES: usize = 64 * 1024;

/// Connections to a server, one after another, or one for all; on each at most one answer is awaited.
#[derive(Debug)]
struct Connection {
    server: Endpoint,
    address: SocketAddr,
    /// Whether it is for one request.
    is_short: bool,
    half_closes: bool,
    /// There is none between a request that was answered and the next, if each has its own.
    stream: Option<TcpStream>,
    /// Whether a request was written on it.
    is_used: bool,
    answers: Answers,
}

impl Connection {
    fn open(server: &Endpoint, plan: &FloodPlan, answers: Answers) -> Result<Self, FloodError> {
        let stream = server.connect()?;
        let failed = |source| FloodError::Connect { server: server.to_string(), source };
        let address = stream.peer_addr().map_err(failed)?;
        let (is_short, half_closes, stream) = (plan.is_short(), plan.half_close, Some(stream));
        Ok(Self { server: server.clone(), address, is_short, half_closes, stream, is_used: false, answers })
    }

    /// A line fits the socket's buffer, because the one before was answered, or is no longer awaited.
    fn write(&mut self, line: &[u8]) -> Result<(), FloodError> {
        if self.is_short && self.is_used {
            self.hang_up();
        }
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => connect(self.address)
                .map_err(|source| FloodError::Connect { server: self.server.to_string(), source })?,
        };
        let written = stream.write_all(line).and_then(|()| match self.half_closes {
            true => stream.shutdown(Shutdown::Write),
            false => Ok(()),
        });
        (self.stream, self.is_used) = (Some(stream), true);
        written.map_err(|source| self.closed(source))
    }

    /// The first lines of the answers that have come.
    fn read(&mut self, buffer: &mut [u8]) -> Result<Vec<Vec<u8>>, FloodError> {
        let Some(stream) = &mut self.stream else { return Ok(Vec::new()) };
        let lines = match stream.read(buffer) {
            Ok(0) => {
                let last = self.answers.end().filter(|_| self.is_short);
                vec![last.ok_or_else(|| self.closed(io::ErrorKind::UnexpectedEof.into()))?]
            }
            Ok(count) => self.answers.feed(&buffer[..count])?,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Vec::new()
            }
            Err(error) => return Err(self.closed(error)),
        };
        if self.is_short && !lines.is_empty() {
            self.hang_up();
        }
        Ok(lines)
    }

    /// Lets go of a connection, with a reset: of many a second, none may linger on its port.
    fn hang_up(&mut self) {
        if let Some(stream) = self.stream.take() {
            let _refused = rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO));
        }
        self.is_used = false;
        self.answers.forget();
    }

    /// What to wait for, if anything can come.
    fn awaited(&self) -> Option<PollFd<'_>> {
        self.stream.as_ref().map(|stream| PollFd::from_borrowed_fd(stream.as_fd(), PollFlags::IN))
    }

    fn closed(&self, source: io::Error) -> FloodError {
        FloodError::Closed { server: self.server.to_string(), source }
    }

    fn wrong(&self, line: &[u8]) -> FloodError {
        FloodError::Wrong {
            server: self.server.to_string(),
            line: String::from_utf8_lossy(line).into_owned(),
        }
    }

    fn silent(&self, within: Duration) -> FloodError {
        FloodError::Silent { server: self.server.to_string(), within }
    }
}

/// A question that is not answered yet.
#[derive(Clone, Copy, Debug)]
struct Question {
    /// The marker it is about, by its number.
    marker: u64,
    asked_ns: u64,
}

/// When a node was seen to know of a report, in nanoseconds from just before that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// The last question that was answered `?` was sent: the node learned of it after that.
    pub(super) not_before_ns: u64,
    /// The question was sent whose answer tells the report.
    pub(super) asked_ns: u64,
    /// That answer was read: the node learned of it before then.
    pub(super) answered_ns: u64,
}

/// What became of one marker.
#[derive(Debug)]
pub(super) struct Marked {
    /// Until the report was answered, in nanoseconds; none when that took too long.
    pub(super) replied_ns: Option<u64>,
    /// By node; `None` if it was not known in time.
    pub(super) seen: Vec<Option<Seen>>,
}

/// A server that should learn of reports.
#[derive(Debug)]
struct Node {
    connection: Connection,
    /// No longer asked.
    is_given_up: bool,
    question: Option<Question>,
    /// When to ask next, on the prober's clock.
    due_ns: Option<u64>,
    /// When the last question about the present marker was sent.
    asked_ns: Option<u64>,
    /// When the last question about it was sent that was answered `?`.
    unknown_ns: Option<u64>,
    seen: Option<Seen>,
    /// From one question about a marker to the next, in nanoseconds.
    spacing: Histogram<u64>,
}

impl Node {
    fn open(server: &Endpoint, plan: &FloodPlan) -> Result<Self, FloodError> {
        Ok(Self {
            connection: Connection::open(server, plan, Answers::of_lookups())?,
            is_given_up: false,
            question: None,
            due_ns: None,
            asked_ns: None,
            unknown_ns: None,
            seen: None,
            spacing: histogram(),
        })
    }

    /// Turns to the next marker; a question about the last one may still be open, and delays the next.
    fn begin(&mut self, now_ns: u64) {
        (self.asked_ns, self.unknown_ns, self.seen) = (None, None, None);
        self.due_ns = (!self.is_given_up && self.question.is_none()).then_some(now_ns);
    }

    fn is_awaited(&self) -> bool {
        !self.is_given_up && self.seen.is_none()
    }

    fn ask(&mut self, marker: u64, line: &[u8], now_ns: u64) -> Result<(), FloodError> {
        self.question = Some(Question { marker, asked_ns: now_ns });
        self.due_ns = None;
        if let Some(before) = self.asked_ns.replace(now_ns) {
            self.spacing.saturating_record(now_ns - before);
        }
        self.connection.write(line)
    }
}

/// The marker in progress.
#[derive(Debug)]
struct Current {
    number: u64,
    marker: Marker,
    /// Just before the report was written.
    reported_ns: u64,
}

/// All connections, and what is asked on them.
#[derive(Debug)]
pub(super) struct Prober {
    clock: Clock,
    from: Connection,
    nodes: Vec<Node>,
    location: String,
    timeout: Duration,
    /// From one question to the next, at least.
    spacing_ns: u64,
    /// Whether sockets are looked at without ever sleeping.
    spins: bool,
    /// The beginning of the markers' ids, which no other run has.
    prefix: String,
    count: u64,
    /// Reports that are not answered yet.
    owed: u32,
    ready: Vec<bool>,
    buffer: Vec<u8>,
}

impl Prober {
    pub(super) fn open(plan: &FloodPlan) -> Result<Self, FloodError> {
        let clock = Clock::start();
        Ok(Self {
            clock,
            from: Connection::open(&plan.from, plan, Answers::of_reports())?,
            nodes: plan.to.iter().map(|to| Node::open(to, plan)).collect::<Result<_, _>>()?,
            location: plan.location.clone(),
            timeout: plan.timeout,
            spacing_ns: nanoseconds(plan.spacing),
            spins: plan.spin,
            prefix: format!("marker-{:x}-{:x}", clock.posix_ns(0), std::process::id()),
            count: 0,
            owed: 0,
            ready: Vec::new(),
            buffer: vec![0; READ_BYTES],
        })
    }

    /// No longer asks a node.
    pub(super) fn give_up(&mut self, node: usize) {
        self.nodes[node].is_given_up = true;
    }

    /// Forgets how far apart questions were so far.
    pub(super) fn forget_spacing(&mut self) {
        self.nodes.iter_mut().for_each(|node| node.spacing.reset());
    }

    /// From one question about a marker to the next at a node, in nanoseconds.
    pub(super) fn spacing(&self, node: usize) -> &Histogram<u64> {
        &self.nodes[node].spacing
    }

    /// Asks one node alone about a client that nobody has, so many times; returns how long each took, in nanoseconds.
    pub(super) fn round_trips(&mut self, node: usize, trips: u32) -> Result<Histogram<u64>, FloodError> {
        let line = lookup(&format!("{}-nobody", self.prefix));
        let mut took = histogram();
        let Self { nodes, clock, buffer, timeout, spins, .. } = self;
        let connection = &mut nodes[node].connection;
        for _ in 0..trips {
            let asked_ns = clock.elapsed_ns();
            connection.write(line.as_bytes())?;
            let answer = loop {
                let waited = Duration::from_nanos(clock.elapsed_ns() - asked_ns);
                if waited >= *timeout {
                    return Err(connection.silent(*timeout));
                }
                wait(connection.awaited().as_mut_slice(), *timeout - waited, *spins)?;
                if let Some(line) = connection.read(buffer)?.first() {
                    break line.clone();
                }
            };
            if !answer.starts_with(b"?") {
                return Err(connection.wrong(&answer));
            }
            took.saturating_record(clock.elapsed_ns() - asked_ns);
        }
        Ok(took)
    }

    /// Makes one report and asks all nodes about it until they know, or until time is up.
    pub(super) fn mark(&mut self) -> Result<Marked, FloodError> {
        self.count += 1;
        let client = format!("{}-{}", self.prefix, self.count);
        let marker = Marker::new(client, &self.location, self.clock.posix_ns(self.clock.elapsed_ns()));
        let (report, lookup) = (marker.report(), marker.lookup());
        let current = Current { number: self.count, marker, reported_ns: self.clock.elapsed_ns() };
        self.from.write(report.as_bytes())?;
        // What is owed on an earlier connection will not come any more.
        self.owed = if self.from.is_short { 1 } else { self.owed + 1 };
        self.nodes.iter_mut().for_each(|node| node.begin(current.reported_ns));
        let end_ns = current.reported_ns + nanoseconds(self.timeout);
        let mut replied_ns = None;
        loop {
            let now_ns = self.ask_those_due(&current, lookup.as_bytes())?;
            let is_over = replied_ns.is_some() && !self.nodes.iter().any(Node::is_awaited);
            if is_over || now_ns >= end_ns {
                let seen = self.nodes.iter().map(|node| node.seen).collect();
                return Ok(Marked { replied_ns, seen });
            }
            let due_ns = self.nodes.iter().filter_map(|node| node.due_ns).min().unwrap_or(end_ns);
            self.wait_for_sockets(Duration::from_nanos(due_ns.min(end_ns).saturating_sub(now_ns)))?;
            if self.ready[0] && self.hear_reply(&current)? {
                replied_ns = Some(self.clock.elapsed_ns() - current.reported_ns);
            }
            for node in 0..self.nodes.len() {
                if self.ready[node + 1] {
                    self.hear_answer(node, &current)?;
                }
            }
        }
    }

    /// Asks the nodes that are due; returns the present moment.
    fn ask_those_due(&mut self, current: &Current, line: &[u8]) -> Result<u64, FloodError> {
        let mut now_ns = self.clock.elapsed_ns();
        for node in &mut self.nodes {
            if node.due_ns.is_some_and(|due_ns| due_ns <= now_ns) {
                node.ask(current.number, line, now_ns)?;
                now_ns = self.clock.elapsed_ns();
            }
        }
        Ok(now_ns)
    }

    /// Notes which sockets have something, the first being that of reports.
    fn wait_for_sockets(&mut self, most: Duration) -> Result<(), FloodError> {
        let Self { from, nodes, ready, spins, .. } = self;
        let all = || std::iter::once(&*from).chain(nodes.iter().map(|node| &node.connection));
        let mut fds: Vec<_> = all().filter_map(Connection::awaited).collect();
        wait(&mut fds, most, *spins)?;
        let mut looked = fds.iter().map(|fd| !fd.revents().is_empty());
        ready.clear();
        ready.extend(all().map(|to| to.stream.is_some() && looked.next().unwrap_or_default()));
        Ok(())
    }

    /// Whether the present marker's report was answered. Answers come in order, so those owed before it come first.
    fn hear_reply(&mut self, current: &Current) -> Result<bool, FloodError> {
        let mut is_replied = false;
        for line in self.from.read(&mut self.buffer)? {
            if !line.starts_with(b"AT ") || self.owed == 0 {
                let line = String::from_utf8_lossy(&line).into_owned();
                return Err(FloodError::Refused { server: self.from.server.to_string(), line });
            }
            self.owed -= 1;
            is_replied |= current.marker.is_told_by(&line);
        }
        Ok(is_replied)
    }

    fn hear_answer(&mut self, index: usize, current: &Current) -> Result<(), FloodError> {
        let node = &mut self.nodes[index];
        let answers = node.connection.read(&mut self.buffer)?;
        let now_ns = self.clock.elapsed_ns();
        for line in answers {
            let Some(Question { marker, asked_ns }) = node.question.take() else {
                return Err(node.connection.wrong(&line));
            };
            if marker != current.number {
                // It was about an earlier marker; whatever it says, the present one is asked about now.
                node.due_ns = node.is_awaited().then_some(now_ns);
            } else if line.starts_with(b"?") {
                node.unknown_ns = Some(asked_ns);
                node.due_ns = Some(now_ns.max(asked_ns + self.spacing_ns));
            } else if current.marker.is_told_by(&line) {
                let since = |at_ns: u64| at_ns.saturating_sub(current.reported_ns);
                node.seen = Some(Seen {
                    not_before_ns: node.unknown_ns.map_or(0, since),
                    asked_ns: since(asked_ns),
                    answered_ns: since(now_ns),
                });
            } else {
                return Err(node.connection.wrong(&line));
            }
        }
        Ok(())
    }
}

/// Waits for one of these, or only looks.
fn wait(fds: &mut [PollFd<'_>], most: Duration, spins: bool) -> Result<(), FloodError> {
    let most = if spins { Duration::ZERO } else { most };
    let most =
        Timespec::try_from(most).map_err(|_| FloodError::Senseless("a wait is too long; lower --timeout"))?;
    match poll(fds, Some(&most)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(FloodError::Poll(error.into())),
    }
}
