//! The time of one flood hop: from a client's write to a node until the report's AT line has reached the node's
//! neighbour. The tester is both the client and the neighbour, so one clock sees both ends.

mod at_line;
mod hello;
mod neighbour;

pub use hello::{HelloError, answer, hello};
pub use neighbour::{Link, Neighbour};

use std::{
    fmt,
    io::{self, BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use serde::Serialize;
use thiserror::Error;

use crate::{
    clock::{Clock, nanoseconds},
    load::Load,
    outcome::{Latency, histogram, told},
    reply,
    requests::Composer,
    stamp::Stamp,
    words::{as_seconds, milliseconds},
};

/// The client whose reports are timed.
const CLIENT: u32 = 0;
/// How long a link may take to carry its first report: a node may still be backing off.
const FIRST_CONTACT: Duration = Duration::from_secs(10);
/// How long to wait for the first reports before a newer one is sent.
const FIRST_TRY: Duration = Duration::from_millis(250);
/// How long any other report may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many hops to time.
#[derive(Clone, Copy, Debug, Serialize, clap::Args)]
pub struct HopPlan {
    /// Hops before any is counted
    #[arg(long, value_name = "N", default_value_t = 500)]
    pub warmup: u32,
    /// Hops that follow one another at once
    #[arg(long, value_name = "N", default_value_t = 5_000)]
    pub back_to_back: u32,
    /// Hops that each follow a pause
    #[arg(long, value_name = "N", default_value_t = 500)]
    pub idle: u32,
    /// That pause
    #[arg(long, value_name = "MILLISECONDS", value_parser = milliseconds, default_value = "2")]
    #[serde(rename = "pause_seconds", serialize_with = "as_seconds")]
    pub pause: Duration,
}

/// What the hops took.
#[derive(Clone, Debug, Serialize)]
pub struct HopOutcome {
    /// The plan that was followed.
    pub plan: HopPlan,
    /// One after the other.
    pub back_to_back: Option<Latency>,
    /// After a pause each.
    pub idle: Option<Latency>,
    /// Reports sent in all.
    pub sent: u64,
}

impl fmt::Display for HopOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HopPlan { back_to_back, idle, pause, .. } = self.plan;
        writeln!(f, "back to back ({back_to_back})  {}", told(self.back_to_back))?;
        write!(f, "after {pause:?} ({idle})  {}", told(self.idle))
    }
}

/// Why hops could not be timed.
#[derive(Debug, Error)]
pub enum HopError {
    /// A socket failed.
    #[error("{what}: {source}")]
    Socket {
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// The node did not come.
    #[error("no node connected within {} s; is --listen the address its configuration gives this neighbour?", .0.as_secs())]
    NoLink(Duration),
    /// The node's first line was not meant for us.
    #[error("the node's handshake does not fit: {0}")]
    Hello(#[from] HelloError),
    /// The report did not come through.
    #[error("a report did not reach the neighbour in time; the node's log should say why")]
    Lost,
    /// The client got something else.
    #[error("the node answered {0:?} to a report")]
    Wrong(String),
}

impl HopError {
    pub(crate) fn socket(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Socket { what, source }
    }
}

/// Times all the hops of a plan through the node at `node`, whose link to us is `link`.
pub fn measure(link: Link, node: SocketAddr, plan: HopPlan) -> Result<HopOutcome, HopError> {
    let mut timer = Timer::start(link, node, plan)?;
    timer.back_to_back(plan.back_to_back)?;
    timer.idle(plan.idle)?;
    Ok(timer.outcome())
}

/// Times hops through one node, a few at a time, so that several nodes can take turns.
#[derive(Debug)]
pub struct Timer {
    link: Link,
    reporter: Reporter,
    plan: HopPlan,
    back_to_back: Histogram<u64>,
    idle: Histogram<u64>,
}

impl Timer {
    /// Connects as a client, waits for the first report to come through, and warms up.
    pub fn start(link: Link, node: SocketAddr, plan: HopPlan) -> Result<Self, HopError> {
        let reporter = Reporter::connect(node)?;
        let mut timer = Self { link, reporter, plan, back_to_back: histogram(), idle: histogram() };
        timer.first_contact()?;
        timer.link.set_patience(PATIENCE)?;
        for _ in 0..plan.warmup {
            timer.hop()?;
        }
        Ok(timer)
    }

    /// Times this many hops, each of which follows the one before at once.
    pub fn back_to_back(&mut self, count: u32) -> Result<(), HopError> {
        for _ in 0..count {
            let taken = self.hop()?;
            self.back_to_back.saturating_record(nanoseconds(taken));
        }
        Ok(())
    }

    /// Times this many hops, each of which follows the plan's pause.
    pub fn idle(&mut self, count: u32) -> Result<(), HopError> {
        for _ in 0..count {
            thread::sleep(self.plan.pause);
            let taken = self.hop()?;
            self.idle.saturating_record(nanoseconds(taken));
        }
        Ok(())
    }

    /// What has been timed.
    pub fn outcome(&self) -> HopOutcome {
        HopOutcome {
            plan: self.plan,
            back_to_back: Latency::of(&self.back_to_back),
            idle: Latency::of(&self.idle),
            sent: self.reporter.sent,
        }
    }

    /// Sends reports until one arrives: a node may finish its handshake with us before its link queues anything.
    fn first_contact(&mut self) -> Result<(), HopError> {
        self.link.set_patience(FIRST_TRY)?;
        let deadline = Instant::now() + FIRST_CONTACT;
        while Instant::now() < deadline {
            let stamp = self.reporter.report()?;
            self.reporter.take_reply()?;
            match self.link.await_report(stamp.text()) {
                Err(HopError::Lost) => {}
                other => return other,
            }
        }
        Err(HopError::Lost)
    }

    fn hop(&mut self) -> Result<Duration, HopError> {
        let start = Instant::now();
        let stamp = self.reporter.report()?;
        self.link.await_report(stamp.text())?;
        let taken = start.elapsed();
        self.reporter.take_reply()?;
        Ok(taken)
    }
}

/// The client's end.
#[derive(Debug)]
struct Reporter {
    stream: BufReader<TcpStream>,
    clock: Clock,
    composer: Composer,
    line: Vec<u8>,
    sent: u64,
}

impl Reporter {
    fn connect(node: SocketAddr) -> Result<Self, HopError> {
        let stream = TcpStream::connect(node).map_err(HopError::socket("cannot connect to the node"))?;
        stream
            .set_nodelay(true)
            .and_then(|()| stream.set_read_timeout(Some(PATIENCE)))
            .map_err(HopError::socket("cannot set up the client's socket"))?;
        let clock = Clock::start();
        let composer = Composer::new(&Load::on(node), clock.posix_ns(0));
        Ok(Self { stream: BufReader::new(stream), clock, composer, line: Vec::new(), sent: 0 })
    }

    fn report(&mut self) -> Result<Stamp, HopError> {
        self.line.clear();
        self.composer.set_time(self.clock.posix_ns(self.clock.elapsed_ns()));
        let stamp = self.composer.report(&mut self.line, CLIENT);
        self.sent += 1;
        self.stream
            .get_mut()
            .write_all(&self.line)
            .map_err(HopError::socket("cannot send a report to the node"))?;
        Ok(stamp)
    }

    fn take_reply(&mut self) -> Result<(), HopError> {
        self.line.clear();
        self.stream.read_until(b'\n', &mut self.line).map_err(HopError::socket("no reply from the node"))?;
        if reply::is_at_line(&self.line) {
            Ok(())
        } else {
            Err(HopError::Wrong(String::from_utf8_lossy(&self.line).into_owned()))
        }
    }
}
