//! The loop that makes a load: one thread, every connection. In a closed loop a reply makes room for the next request;
//! in an open loop requests leave at planned times, and lateness is the server's fault.

mod again;
mod channel;
mod connection;
mod inbox;
mod owed;
mod pace;
mod plan;
mod questioner;
mod tally;
mod turning;

use std::{
    io,
    os::fd::AsRawFd,
    panic::resume_unwind,
    sync::{Arc, atomic::AtomicBool},
    thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use mio::{Interest, Poll, Registry, Token, unix::SourceFd};
use rustix::{
    fd::OwnedFd,
    time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    },
};

use crate::{
    clock::{Clock, nanoseconds, thread_cpu},
    keys::Keys,
    load::{Length, Load, LoadError},
    outcome::{Client, End, Errors, Latency, OfKind, OfTarget, Outcome},
};
pub use again::Measured;
use connection::{Bytes, Connection};
use inbox::Judge;
use owed::Kind;
use pace::Schedule;
use plan::{check, keys, share};
use questioner::Questioner;
pub use tally::Latencies;
use tally::{KINDS, Tally, Window};

/// The most that is read from a socket at once.
const READ_BYTES: usize = 256 * 1024;
/// The token of the timer that planned times wait for.
const TIMER: Token = Token(usize::MAX - 1);
/// How often an observer hears of a run.
const TICK: Duration = Duration::from_secs(1);

/// Makes the run.
pub fn drive(load: &Load) -> Result<Outcome, LoadError> {
    let mut drive = Drive::open(load.clone())?;
    drive.turn()?;
    Ok(drive.outcome())
}

/// What an observer hears each second.
#[derive(Debug)]
pub struct Tick<'a> {
    /// How long the run has been measuring; `None` while it warms up, or waits for the last replies.
    pub measuring: Option<Duration>,
    /// When these latencies began to be noted.
    pub since: Duration,
    /// How long ago that was.
    pub lasted: Duration,
    /// Replies that count, meanwhile.
    pub replies: u64,
    /// Their latencies by kind, in nanoseconds.
    pub latencies: &'a [Latencies; 2],
    /// Failures since the start.
    pub errors: Errors,
}

type Observer = Box<dyn FnMut(&Tick<'_>)>;

/// What was counted, and when.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at_ns: u64,
    cpu: Duration,
    waited_ns: u64,
    bytes: Bytes,
}

/// How far a part of a run goes.
#[derive(Clone, Copy, Debug)]
struct Until {
    /// At the latest until here.
    end_ns: u64,
    /// Whether nothing more is sent, and the answers are all that is waited for.
    drains: bool,
}

/// A load with its connections open, which can run turn by turn while other servers have theirs.
pub struct Drive {
    load: Load,
    clock: Clock,
    poll: Poll,
    timer: OwnedFd,
    connections: Vec<Connection>,
    questioner: Questioner,
    judge: Judge,
    tally: Tally,
    buffer: Vec<u8>,
    sent: u64,
    /// Requests not answered.
    outstanding: u64,
    /// Connections without a socket that have something to send.
    closed: Vec<usize>,
    /// Of an open loop in this turn, and how many of its requests were dealt to connections.
    schedule: Option<Schedule>,
    dealt: u64,
    planned_end_ns: u64,
    observer: Option<Observer>,
    ticked_ns: u64,
    measuring_since_ns: Option<u64>,
    last_reply_ns: u64,
    waited_ns: u64,
    connecting: Duration,
    so_far: SoFar,
    /// Set by others, to interrupt the run.
    interrupt: Option<Arc<AtomicBool>>,
}

/// What all turns have come to.
#[derive(Clone, Debug, Default)]
struct SoFar {
    elapsed: Duration,
    cpu: Duration,
    waited: Duration,
    bytes: Bytes,
    end: End,
    gave_up: Option<String>,
    in_flight: u64,
}

impl Drive {
    /// Connects, the idle connections first.
    pub fn open(load: Load) -> Result<Self, LoadError> {
        check(&load)?;
        let clock = Clock::start();
        let poll = Poll::new()?;
        let timer = timer(&poll, load.rate.is_some())?;
        let mut connections = Vec::with_capacity((load.connections + load.idle) as usize);
        for (index, keys) in keys(&load)?.into_iter().enumerate() {
            connections.push(Connection::new(index % load.targets.len(), keys, &load));
        }
        for index in 0..load.idle as usize {
            // It never sends a request.
            connections.push(Connection::new(index % load.targets.len(), Keys::in_turn(0..1), &load));
        }
        if let Some(tls) = &load.tls {
            let failed = |(address, source)| LoadError::Connect { address, source };
            // Each that is open gives its own to one that opens later.
            let tickets = if load.reconnect { load.connections } else { CONNECTING_MAX as u32 };
            tls.prepare(&load.targets, (tickets, load.patience)).map_err(failed)?;
        }
        let began = Instant::now();
        connect(&load, &mut connections, poll.registry(), Duration::MAX)?;
        Ok(Self {
            clock,
            poll,
            timer,
            connections,
            questioner: Questioner::new(&load, clock.posix_ns(0)),
            judge: Judge::new(&load),
            tally: Tally::new(load.targets.len()),
            buffer: vec![0; READ_BYTES],
            sent: 0,
            outstanding: 0,
            closed: Vec::new(),
            schedule: None,
            dealt: 0,
            planned_end_ns: 0,
            observer: None,
            ticked_ns: 0,
            measuring_since_ns: None,
            last_reply_ns: 0,
            waited_ns: 0,
            connecting: began.elapsed(),
            so_far: SoFar::default(),
            interrupt: None,
            load,
        })
    }

    /// Has an observer hear of the run each second, and at the end of what is measured.
    pub fn observe(&mut self, observer: impl FnMut(&Tick<'_>) + 'static) {
        self.observer = Some(Box::new(observer));
    }

    /// Has the run end early, with what it has by then, once this is set.
    pub fn end_once(&mut self, interrupt: Arc<AtomicBool>) {
        self.interrupt = Some(interrupt);
    }

    /// Warms up, then measures once more for as long as the load says, then waits for all answers.
    pub fn turn(&mut self) -> Result<(), LoadError> {
        let started_ns = self.clock.elapsed_ns();
        (self.ticked_ns, self.last_reply_ns) = (started_ns, started_ns);
        let warm_ns = started_ns + nanoseconds(self.load.warmup);
        self.plan(started_ns, warm_ns);
        if warm_ns > started_ns {
            self.set_quotas(|_| u64::MAX);
            self.run(Until { end_ns: warm_ns, drains: false })?;
        }
        let end_ns = self.begin_measuring(warm_ns);
        let began = self.mark();
        self.run(Until { end_ns, drains: false })?;
        self.end_measuring(began, end_ns);
        self.drain()
    }

    /// How long each turn runs before it measures.
    pub fn warmup(&self) -> Duration {
        self.load.warmup
    }

    /// The combined results of all turns.
    pub fn outcome(&mut self) -> Outcome {
        self.tally.take_in();
        let Self { load, tally, so_far, .. } = &*self;
        let counts = &tally.counts;
        let latencies = |of: &Latencies| (Latency::of(&of.service), Latency::of(&of.response));
        let (service, response) = latencies(&Latencies::all(&counts.totals));
        let mut kinds = Vec::new();
        if load.mix.iamat > 0 && load.mix.whatsat > 0 {
            for kind in KINDS {
                let (service, response) = latencies(&counts.totals[kind as usize]);
                let name = if kind == Kind::Report { "IAMAT" } else { "WHATSAT" };
                kinds.push(OfKind { kind: name, replies: counts.counted[kind as usize], service, response });
            }
        }
        let mut targets = Vec::new();
        if load.targets.len() > 1 {
            let of = |(address, replies): (&std::net::SocketAddr, &u64)| OfTarget {
                address: address.to_string(),
                replies: *replies,
            };
            targets = load.targets.iter().zip(&counts.by_target).map(of).collect();
        }
        let seconds = so_far.elapsed.as_secs_f64().max(1e-9);
        let [sent_bytes_rate, received_bytes_rate] =
            [so_far.bytes.sent, so_far.bytes.received].map(|bytes| bytes as f64 / seconds);
        Outcome {
            replies: counts.counted.iter().sum(),
            in_time: counts.in_time,
            seconds,
            rate: counts.in_time as f64 / seconds,
            target_rate: load.rate,
            service,
            response,
            kinds,
            targets,
            client: Client::measured(so_far.elapsed, so_far.cpu, so_far.waited, Latency::of(&counts.late)),
            ceiling: None,
            connecting_seconds: self.connecting.as_secs_f64(),
            sent_bytes_rate,
            received_bytes_rate,
            sent: self.sent,
            in_flight: so_far.in_flight,
            errors: tally.errors,
            mismatches: tally.mismatches.clone(),
            end: so_far.end,
            gave_up: so_far.gave_up.clone(),
        }
    }

    /// What clients met in all turns: response times if there are any, else service times.
    pub fn met(&mut self) -> Histogram<u64> {
        self.tally.take_in();
        Latencies::all(&self.tally.counts.totals).met()
    }

    /// Makes every connection send so many requests in a closed loop, and waits for nothing.
    pub fn ask(&mut self, times: u64) {
        self.set_quotas(|_| times);
        self.last_reply_ns = self.clock.elapsed_ns();
        self.ticked_ns = self.last_reply_ns;
        self.send_all();
    }

    /// Handles what has arrived; returns how many requests are not answered yet.
    pub fn unanswered(&mut self) -> u64 {
        (0..self.load.connections as usize).for_each(|index| self.serve(index));
        self.outstanding
    }

    /// Waits until everything asked is answered, while something keeps arriving.
    pub fn await_all(&mut self) -> Result<(), LoadError> {
        self.run(Until { end_ns: u64::MAX, drains: true })
    }

    /// Lays out the planned times of a turn that begins here, if it is an open loop's.
    fn plan(&mut self, started_ns: u64, warm_ns: u64) {
        let Some(rate) = self.load.rate else { return };
        let schedule = Schedule::new(started_ns, rate, self.load.connections);
        self.planned_end_ns = match self.load.length {
            Length::Time(time) => warm_ns + nanoseconds(time),
            Length::Requests(requests) => schedule.planned_ns(schedule.due(warm_ns, warm_ns) + requests),
            Length::EveryClient => {
                schedule.planned_ns(schedule.due(warm_ns, warm_ns) + u64::from(self.load.clients))
            }
        };
        self.schedule = Some(schedule);
        self.dealt = 0;
        for connection in &mut self.connections {
            (connection.due, connection.left) = (0, 0);
        }
    }

    /// Opens the window of what counts; returns when to close it at the latest.
    fn begin_measuring(&mut self, warm_ns: u64) -> u64 {
        self.tally.take_in();
        self.measuring_since_ns = Some(self.clock.elapsed_ns());
        if self.schedule.is_some() {
            let until_ns = self.planned_end_ns;
            self.tally.window = Window::Planned { from_ns: warm_ns, until_ns };
            self.set_quotas(|_| u64::MAX);
            return until_ns;
        }
        self.tally.window = Window::Arriving;
        let load = self.load.clone();
        // Requests of the warm-up still in flight will be counted, so they are part of the share.
        self.set_quotas(|(index, connection)| {
            share(&load, index as u64, &connection.keys).saturating_sub(u64::from(connection.owed.requests()))
        });
        match load.length {
            Length::Time(time) => self.clock.elapsed_ns() + nanoseconds(time),
            Length::Requests(_) | Length::EveryClient => u64::MAX,
        }
    }

    fn end_measuring(&mut self, began: Mark, end_ns: u64) {
        let ended = self.mark();
        self.measuring_since_ns = None;
        // An open loop measures what was planned for a time, and so for the whole of it.
        let until_ns = if self.schedule.is_some() { end_ns.min(ended.at_ns) } else { ended.at_ns };
        let from_ns = match self.tally.window {
            Window::Planned { from_ns, .. } => from_ns,
            _ => began.at_ns,
        };
        self.so_far.elapsed += Duration::from_nanos(until_ns.saturating_sub(from_ns));
        self.so_far.cpu += ended.cpu.saturating_sub(began.cpu);
        self.so_far.waited += Duration::from_nanos(ended.waited_ns - began.waited_ns);
        self.so_far.bytes.sent += ended.bytes.sent - began.bytes.sent;
        self.so_far.bytes.received += ended.bytes.received - began.bytes.received;
        if self.schedule.is_none() {
            self.tell(ended.at_ns);
            self.tally.window = Window::Shut;
        }
    }

    /// Waits for what is still in flight, as long as the grace lasts. In a closed loop it is not counted, but awaited and
    /// judged; in an open loop, what was planned must still leave, too.
    fn drain(&mut self) -> Result<(), LoadError> {
        if self.schedule.is_none() {
            self.set_quotas(|_| 0);
        }
        let end_ns = self.clock.elapsed_ns().saturating_add(nanoseconds(self.load.grace));
        let until = Until { end_ns, drains: true };
        self.run(until)?;
        if self.so_far.end == End::Complete && !self.is_done(until) {
            self.abandon(self.clock.elapsed_ns(), End::GraceOver);
        }
        self.tell(self.clock.elapsed_ns());
        self.tally.window = Window::Shut;
        self.schedule = None;
        Ok(())
    }

    fn set_quotas(&mut self, quota: impl Fn((usize, &Connection)) -> u64) {
        for (index, connection) in
            self.connections.iter_mut().take(self.load.connections as usize).enumerate()
        {
            connection.quota = quota((index, connection));
        }
    }

    fn mark(&self) -> Mark {
        let mut bytes = Bytes::default();
        for connection in &self.connections {
            bytes.sent += connection.bytes.sent;
            bytes.received += connection.bytes.received;
        }
        Mark { at_ns: self.clock.elapsed_ns(), cpu: thread_cpu(), waited_ns: self.waited_ns, bytes }
    }
}

impl std::fmt::Debug for Drive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Drive").field("load", &self.load).field("sent", &self.sent).finish_non_exhaustive()
    }
}

/// How many connect at once: enough that neither end waits for the other, and fewer than a server's backlog takes.
const CONNECTING_MAX: usize = 16;

/// Connects, the idle connections first, unless each request has a connection of its own; none may take longer than this.
fn connect(
    load: &Load,
    connections: &mut [Connection],
    registry: &Registry,
    within: Duration,
) -> Result<(), LoadError> {
    if load.reconnect {
        return Ok(());
    }
    let (asking, idle) = connections.split_at_mut(load.connections as usize);
    let first_idle = asking.len();
    for (first, connections) in [(first_idle, idle), (0, asking)] {
        open(load, (first, connections), registry, within)?;
    }
    Ok(())
}

/// Opens connections of which the first has this number, several at once.
fn open(
    load: &Load,
    (first, connections): (usize, &mut [Connection]),
    registry: &Registry,
    within: Duration,
) -> Result<(), LoadError> {
    let share = connections.len().div_ceil(CONNECTING_MAX).max(1);
    let open_share = |first: usize, share: &mut [Connection]| {
        share.iter_mut().zip(first..).try_for_each(|(connection, index)| {
            let address = load.targets[connection.target];
            let opened = connection.open(address, registry, Token(index), within);
            opened.map_err(|source| LoadError::Connect { address, source })
        })
    };
    thread::scope(|scope| {
        let shares = connections.chunks_mut(share).zip((first..).step_by(share));
        let opening: Vec<_> =
            shares.map(|(share, first)| scope.spawn(move || open_share(first, share))).collect();
        opening.into_iter().try_for_each(|share| share.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

/// A timer that wakes the loop with nanosecond precision; its own waits only have milliseconds.
fn timer(poll: &Poll, is_used: bool) -> io::Result<OwnedFd> {
    let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
    if is_used {
        poll.registry().register(&mut SourceFd(&timer.as_raw_fd()), TIMER, Interest::READABLE)?;
    }
    Ok(timer)
}

/// Has the timer go off after so many nanoseconds.
fn arm(timer: &OwnedFd, after_ns: u64) -> io::Result<()> {
    let seconds =
        |ns: u64| Timespec { tv_sec: (ns / 1_000_000_000) as i64, tv_nsec: (ns % 1_000_000_000) as i64 };
    let once = Itimerspec { it_interval: seconds(0), it_value: seconds(after_ns.max(1)) };
    timerfd_settime(timer, TimerfdTimerFlags::empty(), &once)?;
    Ok(())
}
