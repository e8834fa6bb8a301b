//! One neighbour's flooder: a thread that dials, writes what the link gives it, hands over what it hears, and dials again.
//! What is said and when is for `link`; what news is made of was encoded by others.

use std::{
    cell::OnceCell,
    fmt,
    io::{self, ErrorKind},
    thread,
    time::Duration,
};

use crossbeam_channel::{Receiver, Select, TryRecvError, select};
use memchr::memchr_iter;

use super::resolver::{Resolve, Resolver};
use crate::{
    config::{Address, Limits},
    core::{
        links::{Broken, Conversation, Health, Heard, Next, RoundOver, Vigil},
        model::{NodeId, Tick},
        store::Store,
        wire::{ANSWER_BYTES_MAX, LineBuffer, Nonce, READ_BYTES_MAX},
    },
    log::{Log, RateLimit, Traffic},
    system::clock,
    transport::Stream,
};

/// How long after stop a neighbour has to take what its outbox holds, at most; never more than a quarter of the drain.
const FLUSH_TIME_MAX: Duration = Duration::from_secs(2);

/// How long one read blocks before stop is looked at.
const LISTEN_SLICE: Duration = Duration::from_millis(100);

/// How often a plain neighbour's answers are read at a time, 16 KiB or more each: more than a socket holds.
const READS_MAX: usize = 1024;

/// What a flooder needs of its node. Everything is shared; nothing is waited for.
pub(super) struct Wiring<'a> {
    /// What it knows.
    pub store: &'a Store,
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
pub(super) trait Host: Sync {
    /// A handshake has succeeded.
    fn linked(&self, peer: &NodeId);

    /// A number for a connection, not used before.
    fn next_connection(&self) -> u64;

    /// 64 random bits.
    fn random(&self) -> u64;

    /// A number that nobody can guess; an error where the system has none.
    fn nonce(&self) -> io::Result<Nonce>;
}

/// The thread's state.
pub(super) struct Flooder<'a> {
    wiring: Wiring<'a>,
    peer: &'a NodeId,
    address: &'a Address,
    /// Gets a word when the neighbour has connected to this node.
    called: Receiver<()>,
    link: Conversation,
    health: &'a Health,
    resolver: Resolver,
    /// The last failure told to the log.
    told: String,
    /// Whoever answers in the neighbour's place may give another reason each time.
    strangers: RateLimit,
    vigil: Vigil,
    /// Whether the neighbour was told to be in step when last it was spoken of.
    told_in_step: bool,
    traffic: Traffic,
    flush_by: OnceCell<Tick>,
}

/// Why there is no connection, or no longer.
#[derive(Debug)]
enum Lost {
    Resolving(io::Error),
    NoAddress,
    Connecting(io::Error),
    Broken(Broken),
    Closed,
    Reading(io::Error),
    Writing(io::Error),
    Slow(Duration),
    Randomness(io::Error),
    Stopped,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolving(error) => write!(f, "its name is not resolved: {error}"),
            Self::NoAddress => write!(f, "its name has no address"),
            Self::Connecting(error) => write!(f, "it cannot be reached: {error}"),
            Self::Broken(why) => write!(f, "{why}"),
            Self::Closed => write!(f, "it closed the connection"),
            Self::Reading(error) => write!(f, "reading failed: {error}"),
            Self::Writing(error) => write!(f, "writing failed: {error}"),
            Self::Slow(limit) => write!(f, "it did not take what was written within {limit:?}"),
            Self::Randomness(error) => write!(f, "the system has no random numbers for a handshake: {error}"),
            Self::Stopped => write!(f, "this node stops"),
        }
    }
}

impl<'a> Flooder<'a> {
    /// A flooder that will dial `peer` at `address`.
    pub(super) fn new(
        wiring: Wiring<'a>,
        peer: &'a NodeId,
        address: &'a Address,
        link: Conversation,
        health: &'a Health,
        called: Receiver<()>,
    ) -> Self {
        let resolver = Resolver::new(wiring.resolve.clone(), &address.host, address.port);
        let (told, traffic, flush_by) = (String::new(), Traffic::default(), OnceCell::new());
        let (vigil, strangers, told_in_step) = (Vigil::default(), RateLimit::default(), false);
        Self {
            wiring,
            peer,
            address,
            called,
            link,
            health,
            resolver,
            told,
            strangers,
            vigil,
            told_in_step,
            traffic,
            flush_by,
        }
    }

    /// Keeps the link until stop.
    pub(super) fn run(mut self) {
        self.keep_linked();
        if let Some(count) = self.strangers.take_untold() {
            let log = self.wiring.log;
            log.warn(format_args!(
                "no link to {}: {count} more failures since the last such line",
                self.peer
            ));
        }
    }

    fn keep_linked(&mut self) {
        loop {
            if self.is_stopped() {
                return;
            }
            if let Ok((Next::Rest(until), _)) =
                self.link.next(clock::tick(), self.wiring.store, &mut Vec::new())
            {
                select! {
                    recv(self.wiring.stop) -> _ => return,
                    recv(self.called) -> _ => self.link.neighbour_called(clock::tick()),
                    default(until.saturating_sub(clock::tick())) => {}
                }
                continue;
            }
            match self.dial().and_then(|stream| self.keep(&stream)) {
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
        let (was_up, now) = (self.link.is_up(), clock::tick());
        self.link.lost(now, self.wiring.host.random());
        let text = lost.to_string();
        self.health.down(&text);
        if was_up {
            self.wiring.log.warn(format_args!("lost {}: {text}", self.peer));
        } else if text != self.told {
            let untold = match lost {
                Lost::Broken(_) => {
                    // What is not told now is told when it fails so again.
                    let Some(untold) = self.strangers.allow(now) else { return };
                    untold.to_string()
                }
                _ => String::new(),
            };
            let (peer, address) = (self.peer, self.address);
            self.wiring.log.warn(format_args!("no link to {peer} at {address} yet: {text}{untold}"));
        }
        self.told = text;
    }

    fn dial(&mut self) -> Result<Stream, Lost> {
        let limits = self.wiring.limits;
        let addresses =
            self.resolver.addresses(limits.connect_time, &self.wiring.stop).map_err(Lost::Resolving)?;
        let mut failure = Lost::NoAddress;
        for address in addresses {
            if self.is_stopped() {
                return Err(Lost::Stopped);
            }
            match Stream::connect(&address, limits.connect_time) {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = Lost::Connecting(error),
            }
        }
        Err(failure)
    }

    /// Does what the link says until it is lost or the node stops.
    fn keep(&mut self, stream: &Stream) -> Result<Never, Lost> {
        stream.prepare().map_err(Lost::Writing)?;
        let connection = self.wiring.host.next_connection();
        let mut answers = LineBuffer::new(ANSWER_BYTES_MAX);
        let mut out = Vec::new();
        let nonce = self.wiring.host.nonce().map_err(Lost::Randomness)?;
        self.link.connected(clock::tick(), nonce, self.wiring.store, &mut out);
        if self.link.is_up() {
            self.tell_link(connection);
        } else {
            self.health.greeting();
        }
        self.write(stream, &out)?;
        self.health.sent(out.len(), 0);
        let mut has_written = true;
        let is_plain = matches!(self.link, Conversation::Plain(_));
        loop {
            // News need not wait until the neighbour has been heard, but nobody is given up unheard, nor goes unheard for
            // two pieces of news.
            let is_urgent = !has_written
                && !self.link.queue().receiver().is_empty()
                && self.link.silent_at().is_none_or(|silent_at| clock::tick() < silent_at);
            let mut has_heard = false;
            if !is_urgent {
                // A node written by others may answer everything, and while it cannot it does not read: all of its answers
                // are taken.
                for _ in 0..if is_plain { READS_MAX } else { 1 } {
                    if !self.listen(stream, &mut answers, None, connection)? {
                        break;
                    }
                    has_heard = true;
                }
            }
            has_written = false;
            if self.is_stopped() {
                if self.flush_by().is_none_or(|flush_by| clock::tick() >= flush_by) || !self.link.is_up() {
                    return Err(Lost::Stopped);
                }
                self.link.stop();
            }
            out.clear();
            let (next, over) =
                self.link.next(clock::tick(), self.wiring.store, &mut out).map_err(Lost::Broken)?;
            match next {
                Next::Write { news } => {
                    self.write(stream, &out)?;
                    self.health.sent(out.len(), memchr_iter(b'\n', &out[..news]).count());
                    self.health.pinged(self.link.pinged_at());
                    self.log_sent(connection, &out[..news]);
                    has_written = true;
                }
                Next::Listen(until) => {
                    self.listen(stream, &mut answers, Some(until), connection)?;
                }
                // More answers may be on their way.
                Next::Rest(until) if has_heard && is_plain => {
                    self.rest(until.min(clock::tick() + LISTEN_SLICE));
                }
                Next::Rest(until) => self.rest(until),
                Next::Flushed | Next::Dial => return Err(Lost::Stopped),
            }
            if let Some(over) = over {
                self.health.round(&over, clock::tick());
                self.tell_sweep(&over);
            }
            if out.capacity() > 4 * READ_BYTES_MAX {
                out = Vec::new();
            }
        }
    }

    /// Waits until something is queued, the node stops, or that moment.
    fn rest(&mut self, until: Tick) {
        let queue = self.link.queue().receiver();
        let began = clock::tick();
        let awake_until = self.vigil.until(began).map_or(began, |awake_until| awake_until.min(until));
        while queue.is_empty() && clock::tick() < awake_until {
            thread::yield_now();
        }
        if queue.is_empty() {
            let mut select = Select::new();
            select.recv(queue);
            select.recv(&self.wiring.stop);
            // What woke it is seen by the link; a wait that ends too early, too.
            let _ = select.ready_timeout(until.saturating_sub(clock::tick()));
        }
        self.vigil.ended(began, clock::tick());
    }

    /// Hands over what the neighbour has said: what is there already, or what comes until that moment. Whether there was
    /// anything.
    fn listen(
        &mut self,
        stream: &Stream,
        answers: &mut LineBuffer,
        until: Option<Tick>,
        connection: u64,
    ) -> Result<bool, Lost> {
        let received = match until {
            None => stream.receive_now(answers.space()),
            Some(until) => {
                let wait = until.saturating_sub(clock::tick()).min(LISTEN_SLICE);
                if wait.is_zero() {
                    return Ok(false);
                }
                stream.set_read_timeout(wait).map_err(Lost::Reading)?;
                stream.read(answers.space())
            }
        };
        match received {
            Ok(Some(0)) => return Err(Lost::Closed),
            Ok(Some(count)) => answers.filled(count),
            Ok(None) => return Ok(false),
            Err(error) => return Err(Lost::Reading(error)),
        }
        for line in answers.take_lines() {
            let random = || self.wiring.host.random();
            let heard = self.link.hear(line, clock::tick(), random, self.wiring.store);
            match heard.map_err(Lost::Broken)? {
                Heard::Nothing => {}
                Heard::Pong(_) => self.health.pinged(None),
                Heard::Linked => self.tell_link(connection),
                Heard::Round(over) => {
                    self.health.round(&over, clock::tick());
                    self.tell_round(&over);
                }
            }
        }
        Ok(true)
    }

    /// The link is made, on the connection of that number.
    fn tell_link(&mut self, connection: u64) {
        self.health.up();
        self.told.clear();
        let (peer, address) = (self.peer, self.address);
        self.wiring.log.info(format_args!("linked {peer} at {address} as #{connection}"));
        self.wiring.host.linked(peer);
    }

    /// Says that a node written by others has been told everything.
    fn tell_sweep(&self, over: &RoundOver) {
        let RoundOver { number, took, pushed, .. } = *over;
        let pushed = Counted(pushed, "location");
        self.wiring
            .log
            .info(format_args!("told {} all there is: sweep {number} took {took:?}, {pushed}", self.peer));
    }

    /// Says what a round has found. One that is not the first and finds nothing is not worth a line.
    fn tell_round(&mut self, over: &RoundOver) {
        let RoundOver { number, took, differing, lasting, pushed, in_step } = *over;
        if number == 1 || differing > 0 || in_step != self.told_in_step {
            self.told_in_step = in_step;
            let step = if in_step { "in step" } else { "not yet in step" };
            self.wiring.log.info(format_args!(
                "{step} with {}: round {number} took {took:?}, found {} and pushed {}",
                self.peer,
                Counted(differing, "difference"),
                Counted(pushed, "location")
            ));
        }
        if lasting > 0 {
            self.wiring.log.warn(format_args!(
                "{} differs from this node as it did a round ago ({}); look whether it can reach this node",
                self.peer,
                Counted(lasting, "difference")
            ));
        }
    }

    fn write(&mut self, stream: &Stream, bytes: &[u8]) -> Result<(), Lost> {
        let limit = self.wiring.limits.write_time.min(self.wiring.limits.liveness_time);
        let begun = clock::tick();
        // A neighbour that takes nothing says nothing either, and is not waited for longer than one that is only silent.
        let deadline = self.link.silent_at().map_or(begun + limit, |silent_at| silent_at.min(begun + limit));
        let is_plain = matches!(self.link, Conversation::Plain(_));
        let is_over = || {
            // A node written by others may answer everything, and read no more until its answers are taken.
            if is_plain {
                throw_away(stream);
            }
            clock::tick() >= self.flush_by().unwrap_or(deadline).min(deadline)
        };
        stream.write_all(bytes, is_over).map_err(|error| match error.kind() {
            ErrorKind::TimedOut if self.is_stopped() => Lost::Stopped,
            ErrorKind::TimedOut => Lost::Slow(limit),
            _ => Lost::Writing(error),
        })
    }

    fn log_sent(&mut self, connection: u64, bytes: &[u8]) {
        if !self.wiring.log.takes_traffic() {
            return;
        }
        self.traffic.begin(clock::wall(), connection);
        for line in bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            self.traffic.line_out(line.trim_ascii_end());
        }
        self.traffic.finish(self.wiring.log);
    }
}

/// Reads what has come, up to a bound, for nobody. How the connection ends is seen elsewhere.
fn throw_away(stream: &Stream) {
    let mut bytes = [0; 16 * 1024];
    for _ in 0..READS_MAX {
        if !matches!(stream.receive_now(&mut bytes), Ok(Some(count)) if count > 0) {
            return;
        }
    }
}

/// `1 difference`, `2 differences`.
struct Counted(usize, &'static str);

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.0, self.1, if self.0 == 1 { "" } else { "s" })
    }
}

/// A value that cannot be: driving a link only ever ends with a reason.
enum Never {}
