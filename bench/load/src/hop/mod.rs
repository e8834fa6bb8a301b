//! The time of one flood hop: from a client's write to a node until the report's AT line has reached the node's
//! neighbour. The tester is both the client and the neighbour, so one clock sees both ends.

mod at_line;
mod hello;
mod neighbour;

pub use hello::{Hello, HelloError};
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
    iamat::{Composer, Stamp},
    outcome::{Latency, histogram},
    reply,
};

/// The client whose reports are timed.
const CLIENT: u32 = 0;
/// How long a link may take to carry its first report: a node may still be backing off.
const FIRST_CONTACT: Duration = Duration::from_secs(10);
/// How long the first reports are waited for before a newer one is sent.
const FIRST_TRY: Duration = Duration::from_millis(250);
/// How long any other report may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many hops to time.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct HopPlan {
    /// Hops before any is counted.
    pub warmup: u32,
    /// Hops each of which follows the one before at once.
    pub back_to_back: u32,
    /// Hops each of which follows a pause.
    pub idle: u32,
    /// That pause, in milliseconds.
    pub pause_ms: u64,
}

/// What the hops took.
#[derive(Clone, Debug, Serialize)]
pub struct HopOutcome {
    /// The plan that was followed.
    pub plan: HopPlan,
    /// One after the other.
    pub back_to_back: Latency,
    /// After a pause each.
    pub idle: Latency,
    /// Reports sent in all.
    pub sent: u64,
}

impl fmt::Display for HopOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HopPlan { back_to_back, idle, pause_ms, .. } = self.plan;
        writeln!(f, "back to back ({back_to_back})  {}", self.back_to_back)?;
        write!(f, "after {pause_ms} ms ({idle})  {}", self.idle)
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
    /// The node's first line was not for us.
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

/// Times hops through the node at `node`, whose link to us is `link`.
pub fn measure(link: &mut Link, node: SocketAddr, plan: HopPlan) -> Result<HopOutcome, HopError> {
    let mut reporter = Reporter::connect(node)?;
    first_contact(link, &mut reporter)?;
    link.set_patience(PATIENCE)?;
    let no_pause = Duration::ZERO;
    hops(link, &mut reporter, plan.warmup, no_pause)?;
    let back_to_back = hops(link, &mut reporter, plan.back_to_back, no_pause)?;
    let idle = hops(link, &mut reporter, plan.idle, Duration::from_millis(plan.pause_ms))?;
    Ok(HopOutcome {
        plan,
        back_to_back: Latency::of(&back_to_back),
        idle: Latency::of(&idle),
        sent: reporter.sent,
    })
}

/// Reports until one comes through: a node may answer our handshake's end with a link that does not queue yet.
fn first_contact(link: &mut Link, reporter: &mut Reporter) -> Result<(), HopError> {
    link.set_patience(FIRST_TRY)?;
    let deadline = Instant::now() + FIRST_CONTACT;
    while Instant::now() < deadline {
        let stamp = reporter.report()?;
        reporter.take_reply()?;
        match link.await_report(stamp.text()) {
            Err(HopError::Lost) => {}
            other => return other,
        }
    }
    Err(HopError::Lost)
}

fn hops(
    link: &mut Link,
    reporter: &mut Reporter,
    count: u32,
    pause: Duration,
) -> Result<Histogram<u64>, HopError> {
    let mut taken = histogram();
    for _ in 0..count {
        if !pause.is_zero() {
            thread::sleep(pause);
        }
        let start = Instant::now();
        let stamp = reporter.report()?;
        link.await_report(stamp.text())?;
        taken.saturating_record(nanoseconds(start.elapsed()));
        reporter.take_reply()?;
    }
    Ok(taken)
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
        let composer = Composer::new(clock.posix_ns(0));
        Ok(Self { stream: BufReader::new(stream), clock, composer, line: Vec::new(), sent: 0 })
    }

    fn report(&mut self) -> Result<Stamp, HopError> {
        self.line.clear();
        self.composer.set_time(self.clock.posix_ns(self.clock.elapsed_ns()));
        let stamp = self.composer.append(&mut self.line, CLIENT);
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
