//! One point in one round: each server is started, measured at rest, with connections and with clients, and is then put
//! under the load, turn by turn. A failure at one server is a finding about that server; the others go on.

use std::{
    collections::BTreeMap,
    io,
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use super::{
    bed::{Bed, Running},
    order::Order,
    pauses::Pauses,
    plan::{Plan, Server as Kind},
    point::Point,
};
use crate::{
    disturbance::{Disturbance, Watch},
    drive::{Drive, drive},
    load::{Length, Load},
    outcome::Outcome,
    rounds::BenchError,
    server::Server,
    usage::Usage,
};

/// How long a server's memory may take to stay as it is, and its connections to close.
const SETTLE: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(10);

/// What was found of a server at a point.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    pub(super) memory: Memory,
    /// From the first connect until a request on one more connection, after all others, is answered.
    pub(super) accept_all: Duration,
    pub(super) prefill: Outcome,
    pub(super) turns: Turns,
    pub(super) outcome: Outcome,
    /// While it was measured, where the server tells them.
    pub(super) pauses: Option<Pauses>,
    /// Why it does not count, if it does not.
    pub(super) objection: Option<String>,
}

/// A server's resident memory, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Memory {
    /// After its start.
    pub(super) rest: u64,
    /// With all of the point's connections open, and nothing sent on them.
    pub(super) connected: u64,
    /// After the prefill, its connections closed.
    pub(super) filled: u64,
    /// After the last turn, the connections still open.
    pub(super) loaded: u64,
}

/// Measures a point's servers side by side, or each alone.
pub(super) fn measure(
    bed: &Bed,
    plan: &Plan,
    point: &Point,
    order: &Order,
    watch: &Watch<'_>,
) -> Vec<(String, Result<Measured, BenchError>)> {
    let kinds: Vec<&Kind> = point.servers.iter().filter_map(|name| plan.server(name)).collect();
    if point.is_together() {
        return take_turns(bed, point, &kinds, order.turns(), watch);
    }
    let alone = vec![vec![0]; point.turns as usize];
    let one = |index: &usize| take_turns(bed, point, &kinds[*index..=*index], &alone, watch);
    order.first().iter().flat_map(one).collect()
}

/// All servers side by side, in these orders, so that whatever the machine does for a while, it does to all of them.
fn take_turns(
    bed: &Bed,
    point: &Point,
    kinds: &[&Kind],
    turns: &[Vec<usize>],
    watch: &Watch<'_>,
) -> Vec<(String, Result<Measured, BenchError>)> {
    let start = |&index: &usize| {
        let kind = kinds[index];
        (index, (kind.name.clone(), Driven::start(bed, point, kind, watch)))
    };
    let first = turns.iter().take(1).flatten().take_while(|_| !watch.is_stopped());
    // Each is a running server, or why it no longer runs.
    let mut subjects: BTreeMap<usize, _> = first.map(start).collect();
    for &index in turns.iter().flatten() {
        let subject = subjects.get_mut(&index).filter(|_| !watch.is_stopped());
        let Some((_, subject)) = subject else { return Vec::new() };
        let failed = subject.as_mut().ok().and_then(|driven| driven.turn(watch).err());
        if let Some(error) = failed {
            // Dropped, and so ended, at once: nobody takes turns with what is left of it.
            *subject = Err(error);
        }
    }
    subjects.into_values().map(|(name, subject)| (name, subject.and_then(Driven::finish))).collect()
}

#[derive(Debug)]
struct Driven {
    // First, so that the connections close before the server is ended.
    drive: Drive,
    running: Running,
    memory: Memory,
    accept_all: Duration,
    /// Requests sent beside the drive's own.
    sent_before: u64,
    prefill: Outcome,
    /// Of the turns that count.
    turns: Turns,
}

/// What servers did in turns.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns {
    /// Of their processes, warming up included.
    pub(super) usage: Usage,
    /// How many requests they got, likewise.
    pub(super) requests: u64,
    /// What else the machine did meanwhile.
    pub(super) disturbance: Option<Disturbance>,
    /// From the end of each one's warm-up until the last of its replies.
    spans: Vec<(Instant, Instant)>,
}

impl Turns {
    /// Has a drive take one more turn, again while it is disturbed, and counts what `usage` says the servers used. After a
    /// turn that was given up none follows.
    pub(super) fn take(
        &mut self,
        drive: &mut Drive,
        watch: &Watch<'_>,
        usage: impl Fn() -> Result<Usage, BenchError>,
        prepare: impl Fn() -> Result<(), BenchError>,
    ) -> Result<(), BenchError> {
        if drive.is_over() {
            return Ok(());
        }
        let earlier = drive.measured();
        let measure = || {
            drive.restore(&earlier)?;
            let (sent, before) = (drive.sent(), usage()?);
            let measured_from = Instant::now() + drive.warmup();
            drive.turn()?;
            let span = (measured_from, Instant::now());
            Ok::<_, BenchError>((drive.measured(), usage()?.since(&before), drive.sent() - sent, span))
        };
        let (kept, seen) = watch.prepared(prepare, measure, |(measured, ..)| measured.is_whole())?;
        let (measured, used, requests, span) = kept;
        drive.restore(&measured)?;
        self.spans.push(span);
        self.usage = self.usage.and(&used);
        self.requests += requests;
        self.disturbance = match (self.disturbance, seen) {
            (Some(earlier), Some(seen)) => Some(earlier.and(&seen)),
            (earlier, seen) => earlier.or(seen),
        };
        Ok(())
    }
}

impl Driven {
    fn start(bed: &Bed, point: &Point, kind: &Kind, watch: &Watch<'_>) -> Result<Self, BenchError> {
        let running = bed.start(kind, &bed.alone(kind))?;
        let load = point.load(vec![running.address()], kind);
        let load = Load { tls: running.tls(), resume: kind.resume, ..load };
        let rest = running.server.resident_bytes().map_err(gone)?;
        let mut memory = Memory { rest, ..Memory::default() };
        let descriptors = running.server.descriptors().map_err(gone)?;
        let (accept_all, connected, asked) = crowd(&running, &load)?;
        memory.connected = connected;
        await_closed(&running.server, descriptors)?;
        let prefill = drive(&Load { verify: kind.verify, ..load.prefill() })?;
        await_closed(&running.server, descriptors)?;
        memory.filled = settled(&running.server)?;
        let mut drive = Drive::open(load)?;
        drive.end_once(watch.stop());
        let (sent_before, turns) = (asked + prefill.sent, Turns::default());
        Ok(Self { drive, running, memory, accept_all, sent_before, prefill, turns })
    }

    fn turn(&mut self, watch: &Watch<'_>) -> Result<(), BenchError> {
        let Self { drive, running, turns, .. } = self;
        turns.take(drive, watch, || running.server.usage().map_err(gone), || running.warm())
    }

    fn finish(self) -> Result<Measured, BenchError> {
        let Self { mut drive, running, mut memory, accept_all, sent_before, prefill, turns } = self;
        memory.loaded = running.server.resident_bytes().map_err(gone)?;
        let pauses = running.pauses(&turns.spans)?;
        let outcome = drive.outcome();
        // A server that closes connections first leaves its port taken for a minute.
        drop(drive);
        let unlogged = running.stop(sent_before + outcome.sent)?;
        let objection = prefill.objection().or_else(|| outcome.objection()).or(unlogged);
        Ok(Measured { memory, accept_all, prefill, turns, outcome, pauses, objection })
    }
}

/// Opens all connections of a load and sends nothing on them: returns how long that took, the server's memory then, and
/// how many requests were made. Servers accept in order, so one more connection that is answered comes after all of
/// them.
fn crowd(running: &Running, load: &Load) -> Result<(Duration, u64, u64), BenchError> {
    let began = Instant::now();
    let count = load.connections + load.idle;
    let one = Load { connections: 1, idle: 0, pipeline: 1, length: Length::Requests(1), ..load.prefill() };
    let silent = match &load.tls {
        None => {
            let silent = (0..count).map(|_| TcpStream::connect(running.address())).collect::<io::Result<_>>();
            Silent::Plain(silent.map_err(BenchError::file("cannot open a point's connections"))?)
        }
        Some(_) => Silent::Secured(Box::new(Drive::open(Load {
            reconnect: false,
            half_close: false,
            idle: count,
            ..one.clone()
        })?)),
    };
    let asked = drive(&one)?;
    let accept_all = began.elapsed();
    let connected = settled(&running.server)?;
    drop(silent);
    Ok((accept_all, connected, asked.sent))
}

/// Connections on which nothing is sent, closed when dropped.
enum Silent {
    Plain(#[expect(dead_code, reason = "it is only held")] Vec<TcpStream>),
    /// After their handshakes.
    Secured(#[expect(dead_code, reason = "it is only held")] Box<Drive>),
}

fn gone(source: io::Error) -> BenchError {
    BenchError::File { what: "cannot read the server's /proc, it has probably ended", source }
}

/// A server's memory once it no longer changes.
fn settled(server: &Server) -> Result<u64, BenchError> {
    let deadline = Instant::now() + SETTLE;
    let mut before = server.resident_bytes().map_err(gone)?;
    loop {
        thread::sleep(LOOK);
        let now = server.resident_bytes().map_err(gone)?;
        if now == before || Instant::now() >= deadline {
            return Ok(now);
        }
        before = now;
    }
}

/// Waits until a server has closed what was opened since it had so many descriptors; if it is slow, continues.
fn await_closed(server: &Server, at_rest: usize) -> Result<(), BenchError> {
    let deadline = Instant::now() + SETTLE;
    while server.descriptors().map_err(gone)? > at_rest && Instant::now() < deadline {
        thread::sleep(LOOK);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        cell::Cell,
        net::TcpListener,
        sync::{Arc, atomic::AtomicBool},
    };

    use super::*;
    use crate::disturbance::{Demands, Limits};

    #[test]
    fn a_turn_that_is_given_up_is_taken_again_and_none_follows_one_that_stays_so() {
        // It takes connections, and answers nothing.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let short = Duration::from_millis(20);
        let load = Load {
            connections: 2,
            length: Length::Time(short),
            patience: short,
            ..Load::on(silent.local_addr().unwrap())
        };
        let mut drive = Drive::open(load).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let limits = Limits { max_steal: 1.0, max_foreign: 1.0, tries: 2 };
        let watch = Watch::new(limits, &Demands::default(), &stop, &|_| {});
        let (mut turns, looks) = (Turns::default(), Cell::new(0));
        let usage = || {
            looks.set(looks.get() + 1);
            Ok(Usage::default())
        };
        turns.take(&mut drive, &watch, usage, || Ok(())).unwrap();
        assert_eq!(looks.get(), 4, "before and after each of two tries");
        turns.take(&mut drive, &watch, usage, || Ok(())).unwrap();
        assert_eq!((looks.get(), turns.spans.len()), (4, 1));
        let outcome = drive.outcome();
        assert_eq!((outcome.errors.unanswered, outcome.sent), (2, 2), "of the try that is kept");
    }
}
