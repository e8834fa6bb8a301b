//! A closed loop of lookups: one thread, every connection, a fixed number of WHATSATs in flight on each. Every reply is
//! read to its end and looked at, the first of each connection as a whole.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, Read, Write},
    net::SocketAddr,
    time::Duration,
};

use hdrhistogram::Histogram;
use mio::{Events, Interest, Poll, Token, net::TcpStream};

use super::replies::{Expected, Replies};
use crate::{
    clock::{Clock, nanoseconds, thread_cpu},
    iamat::client_id,
    keys::{Order, Walk, slices},
    load::LoadError,
    outcome::{Latency, Outcome, histogram},
    rounds::BenchError,
};

/// The most that is read from a socket at once.
const READ_BYTES: usize = 256 * 1024;
/// Sockets handled between two waits.
const EVENTS: usize = 1024;
/// With no reply at all for this long, the run is given up; longer than a node lets a lookup take.
const STALL: Duration = Duration::from_secs(10);
/// So much of a wrong reply is shown.
const SHOWN_BYTES: usize = 300;

/// What is asked, by how many.
#[derive(Clone, Copy, Debug)]
pub(super) struct Questions {
    pub(super) node: SocketAddr,
    pub(super) connections: u32,
    /// In flight on each connection.
    pub(super) window: u32,
    /// Each connection asks about clients of its own; where they are too few for that, all ask about all.
    pub(super) clients: u32,
    pub(super) radius_km: u32,
    pub(super) bound: u32,
    pub(super) expected: Expected,
}

/// The loop with its connections open.
#[derive(Debug)]
pub(super) struct Lookups {
    questions: Questions,
    clock: Clock,
    poll: Poll,
    askers: Vec<Asker>,
    buffer: Vec<u8>,
    tally: Tally,
    waited_ns: u64,
}

/// What came back.
#[derive(Debug)]
struct Tally {
    latency: Histogram<u64>,
    sent: u64,
    replies: u64,
    wrong: u64,
    first_wrong: Option<String>,
}

#[derive(Debug)]
struct Asker {
    stream: TcpStream,
    walk: Walk,
    /// Questions it may still ask.
    quota: u64,
    /// When each question left that is not answered.
    asked_ns: VecDeque<u64>,
    /// The client of the first question, until it is answered.
    first: Option<String>,
    has_asked: bool,
    replies: Replies,
    out: Vec<u8>,
    /// How much of `out` the socket has taken.
    taken: usize,
}

impl Lookups {
    /// Connects.
    pub(super) fn open(questions: Questions) -> Result<Self, BenchError> {
        let Questions { node, connections, clients, .. } = questions;
        let connect = |source| LoadError::Connect { address: node, source };
        let poll = Poll::new().map_err(LoadError::from)?;
        let shares: Vec<_> = if clients < connections {
            (0..connections).map(|_| 0..clients).collect()
        } else {
            slices(clients, connections).collect()
        };
        let mut askers = Vec::new();
        for (index, share) in shares.iter().enumerate() {
            let mut asker = Asker::open(node, Walk::new(share, Order::Scattered)).map_err(connect)?;
            // Edge-triggered: an event for writing comes only after a write that did not fit.
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut asker.stream, Token(index), interest).map_err(connect)?;
            askers.push(asker);
        }
        let tally = Tally { latency: histogram(), sent: 0, replies: 0, wrong: 0, first_wrong: None };
        let buffer = vec![0; READ_BYTES];
        Ok(Self { questions, clock: Clock::start(), poll, askers, buffer, tally, waited_ns: 0 })
    }

    /// Has every connection ask so often, and waits for nothing.
    pub(super) fn ask(&mut self, times: u64) -> Result<(), BenchError> {
        for asker in &mut self.askers {
            asker.quota = times;
            let room = self.questions.window.saturating_sub(asker.asked_ns.len() as u32);
            let sent = asker.send(room, self.clock.elapsed_ns(), &self.questions);
            self.tally.sent += u64::from(sent.map_err(LoadError::from)?);
        }
        Ok(())
    }

    /// Waits until all is answered; as long as something keeps coming.
    pub(super) fn await_all(&mut self) -> Result<(), BenchError> {
        self.turn_until(None)
    }

    /// Takes in what has come; how many questions are not answered yet.
    pub(super) fn unanswered(&mut self) -> Result<u64, BenchError> {
        for index in 0..self.askers.len() {
            self.serve(index)?;
        }
        Ok(self.tally.sent - self.tally.replies)
    }

    /// Asks for so long, after a first answer on each connection; what was found meanwhile.
    pub(super) fn measure(&mut self, time: Duration) -> Result<Outcome, BenchError> {
        self.ask(1)?;
        self.await_all()?;
        self.tally.latency.reset();
        let (began_ns, cpu, waited_ns, replies) =
            (self.clock.elapsed_ns(), thread_cpu(), self.waited_ns, self.tally.replies);
        self.ask(u64::MAX)?;
        self.turn_until(Some(began_ns + nanoseconds(time)))?;
        let elapsed = Duration::from_nanos(self.clock.elapsed_ns() - began_ns);
        let waited = Duration::from_nanos(self.waited_ns - waited_ns);
        let mut outcome =
            Outcome::measured(elapsed, self.tally.replies - replies, thread_cpu() - cpu, waited);
        outcome.latency = Latency::of(&self.tally.latency);
        // What is still in flight is not counted, but it is awaited and judged.
        self.askers.iter_mut().for_each(|asker| asker.quota = 0);
        self.await_all()?;
        outcome.sent = self.tally.sent;
        outcome.wrong = self.tally.wrong;
        outcome.first_wrong.clone_from(&self.tally.first_wrong);
        Ok(outcome)
    }

    /// Why what was asked so far does not count, if it does not.
    pub(super) fn objection(&self) -> Option<String> {
        let Tally { wrong, first_wrong, .. } = &self.tally;
        first_wrong.as_ref().map(|first| format!("{wrong} wrong replies, the first: {first:?}"))
    }

    /// Turns the loop until this moment, or until nothing is outstanding.
    fn turn_until(&mut self, end_ns: Option<u64>) -> Result<(), BenchError> {
        let mut events = Events::with_capacity(EVENTS);
        let mut now_ns = self.clock.elapsed_ns();
        let mut last_reply_ns = now_ns;
        while self.tally.sent > self.tally.replies && end_ns.is_none_or(|end| now_ns < end) {
            let wait = Duration::from_nanos(end_ns.map_or(u64::MAX, |end| end - now_ns)).min(STALL);
            match self.poll.poll(&mut events, Some(wait)) {
                Err(error) if error.kind() != ErrorKind::Interrupted => {
                    return Err(LoadError::from(error).into());
                }
                _ => {}
            }
            let woken_ns = self.clock.elapsed_ns();
            self.waited_ns += woken_ns - now_ns;
            let before = self.tally.replies;
            for event in &events {
                self.serve(event.token().0)?;
            }
            now_ns = self.clock.elapsed_ns();
            if self.tally.replies > before {
                last_reply_ns = now_ns;
            } else if now_ns - last_reply_ns >= nanoseconds(STALL) {
                return Err(self.stalled());
            }
        }
        Ok(())
    }

    /// One connection's turn: take the replies in, ask as often again.
    fn serve(&mut self, index: usize) -> Result<(), BenchError> {
        let asker = &mut self.askers[index];
        let replies =
            asker.receive(&mut self.buffer, &self.clock, &self.questions.expected, &mut self.tally)?;
        let sent = asker.send(replies, self.clock.elapsed_ns(), &self.questions).map_err(LoadError::from)?;
        self.tally.sent += u64::from(sent);
        Ok(())
    }

    /// A refusal is one line and no document, so that its end is awaited in vain.
    fn stalled(&self) -> BenchError {
        let refusal =
            self.askers.iter().map(|asker| asker.replies.partial()).find(|text| text.starts_with(b"?"));
        match refusal {
            Some(text) => BenchError::WrongToLookup(shown(text)),
            None => LoadError::Stalled { outstanding: self.tally.sent - self.tally.replies, patience: STALL }
                .into(),
        }
    }
}

impl Asker {
    fn open(node: SocketAddr, walk: Walk) -> io::Result<Self> {
        let stream = std::net::TcpStream::connect(node)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream: TcpStream::from_std(stream),
            walk,
            quota: 0,
            asked_ns: VecDeque::new(),
            first: None,
            has_asked: false,
            replies: Replies::default(),
            out: Vec::new(),
            taken: 0,
        })
    }

    /// Reads all there is; how many replies that completes.
    fn receive(
        &mut self,
        buffer: &mut [u8],
        clock: &Clock,
        expected: &Expected,
        tally: &mut Tally,
    ) -> Result<u32, LoadError> {
        let mut replies = 0;
        loop {
            let count = match self.stream.read(buffer) {
                Ok(0) => return Err(io::Error::from(ErrorKind::UnexpectedEof).into()),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(replies),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            let now_ns = clock.elapsed_ns();
            let Self { replies: cutter, first, asked_ns, .. } = self;
            let mut surplus = false;
            replies += cutter.feed(&buffer[..count], |reply| {
                let is_right =
                    expected.seems(reply) && first.take().is_none_or(|client| expected.is(reply, &client));
                if !is_right {
                    tally.wrong += 1;
                    tally.first_wrong.get_or_insert_with(|| shown(reply));
                }
                tally.replies += 1;
                match asked_ns.pop_front() {
                    Some(asked) => tally.latency.saturating_record(now_ns.saturating_sub(asked)),
                    None => surplus = true,
                }
            });
            if surplus {
                let what = "the server sent more replies than it was asked for";
                return Err(io::Error::new(ErrorKind::InvalidData, what).into());
            }
            // A short read has emptied the socket; the next arrival is a new event.
            if count < buffer.len() {
                return Ok(replies);
            }
        }
    }

    /// Asks up to `wanted` times, fewer when the quota ends; gives how often.
    fn send(&mut self, wanted: u32, now_ns: u64, questions: &Questions) -> io::Result<u32> {
        let count = u64::from(wanted).min(self.quota) as u32;
        self.quota -= u64::from(count);
        for _ in 0..count {
            let client = client_id(self.walk.step());
            writeln!(self.out, "WHATSAT {client} {} {}", questions.radius_km, questions.bound)?;
            self.asked_ns.push_back(now_ns);
            if !self.has_asked {
                (self.has_asked, self.first) = (true, Some(client));
            }
        }
        self.flush()?;
        Ok(count)
    }

    /// Writes what the socket takes; the rest waits for the next event.
    fn flush(&mut self) -> io::Result<()> {
        while self.taken < self.out.len() {
            match self.stream.write(&self.out[self.taken..]) {
                Ok(count) => self.taken += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.out.clear();
        self.taken = 0;
        Ok(())
    }
}

/// The beginning of a reply, as text.
fn shown(reply: &[u8]) -> String {
    String::from_utf8_lossy(&reply[..reply.len().min(SHOWN_BYTES)]).into_owned()
}
