//! The closed loop: one thread, every connection, a fixed number of reports in flight on each. A reply is what
//! makes room for the next report.

use std::{io, time::Duration};

use crate::{
    clock::{Clock, nanoseconds, thread_cpu},
    connection::{Connection, Wrong},
    iamat::Composer,
    keys::{Order, Walk, slices},
    load::{Length, Load, LoadError},
    outcome::{Latency, Outcome, histogram},
};
use hdrhistogram::Histogram;
use mio::{Events, Interest, Poll, Token};

/// The most that is read from a socket at once.
const READ_BYTES: usize = 256 * 1024;
/// Sockets handled between two waits.
const EVENTS: usize = 1024;
/// Makes the run.
pub fn drive(load: &Load) -> Result<Outcome, LoadError> {
    if load.connections == 0 {
        return Err(LoadError::Nothing("-c"));
    }
    if load.pipeline == 0 {
        return Err(LoadError::Nothing("-P"));
    }
    if load.clients < load.connections {
        return Err(LoadError::TooFewClients { clients: load.clients, connections: load.connections });
    }
    let mut drive = Drive::open(load.clone())?;
    drive.turn()?;
    Ok(drive.outcome())
}

/// What was counted, and when.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at_ns: u64,
    cpu: Duration,
    waited_ns: u64,
    replies: u64,
}

/// A load with its connections open, that can be let loose turn by turn while other servers have theirs.
#[derive(Debug)]
pub struct Drive {
    load: Load,
    clock: Clock,
    poll: Poll,
    connections: Vec<Connection>,
    shares: Vec<u64>,
    composer: Composer,
    latency: Histogram<u64>,
    /// Latencies outside of what is measured.
    other_latency: Histogram<u64>,
    is_measuring: bool,
    elapsed: Duration,
    cpu: Duration,
    waited: Duration,
    measured: u64,
    wrong: Wrong,
    buffer: Vec<u8>,
    sent: u64,
    replies: u64,
    waited_ns: u64,
}

impl Drive {
    /// Connects.
    pub fn open(load: Load) -> Result<Self, LoadError> {
        let clock = Clock::start();
        let poll = Poll::new()?;
        let mut connections = Vec::with_capacity(load.connections as usize);
        let mut shares = Vec::with_capacity(load.connections as usize);
        let order = order(load.length);
        for (index, slice) in slices(load.clients, load.connections).enumerate() {
            let address = load.targets[index % load.targets.len()];
            let walk = Walk::new(&slice, order);
            shares.push(share(&load, index as u64, walk.length()));
            let mut connection = Connection::open(address, walk, load.verify)
                .map_err(|source| LoadError::Connect { address, source })?;
            // Edge-triggered: an event for writing comes only after a write that did not fit.
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut connection.stream, Token(index), interest)?;
            connections.push(connection);
        }
        Ok(Self {
            load,
            clock,
            poll,
            connections,
            shares,
            composer: Composer::new(clock.posix_ns(0)),
            latency: histogram(),
            other_latency: histogram(),
            is_measuring: false,
            elapsed: Duration::ZERO,
            cpu: Duration::ZERO,
            waited: Duration::ZERO,
            measured: 0,
            wrong: Wrong::default(),
            buffer: vec![0; READ_BYTES],
            sent: 0,
            replies: 0,
            waited_ns: 0,
        })
    }

    /// Warms up, then measures once more, as long as the load says.
    pub fn turn(&mut self) -> Result<(), LoadError> {
        if !self.load.warmup.is_zero() {
            self.connections.iter_mut().for_each(|connection| connection.set_quota(u64::MAX));
            self.fill()?;
            self.turn_until(Some(self.clock.elapsed_ns() + nanoseconds(self.load.warmup)))?;
        }
        let began = self.begin_measuring()?;
        let end = match self.load.length {
            Length::Time(time) => Some(began.at_ns + nanoseconds(time)),
            Length::Requests(_) | Length::EveryClient => None,
        };
        self.turn_until(end)?;
        self.end_measuring(began);
        // What is still in flight is not counted, but it is awaited and judged.
        self.connections.iter_mut().for_each(|connection| connection.set_quota(0));
        self.turn_until(None)
    }

    /// What all turns together have found.
    pub fn outcome(self) -> Outcome {
        let mut outcome = Outcome::measured(self.elapsed, self.measured, self.cpu, self.waited);
        outcome.latency = Latency::of(&self.latency);
        outcome.sent = self.sent;
        outcome.wrong = self.wrong.count;
        outcome.first_wrong = self.wrong.first.map(|line| String::from_utf8_lossy(&line).into_owned());
        outcome
    }

    fn begin_measuring(&mut self) -> Result<Mark, LoadError> {
        // Reports of the warm-up still in flight will be counted, so they are part of the share.
        for (connection, share) in self.connections.iter_mut().zip(&self.shares) {
            connection.set_quota(share.saturating_sub(u64::from(connection.outstanding())));
        }
        self.is_measuring = true;
        let mark = self.mark();
        self.fill()?;
        Ok(mark)
    }

    fn end_measuring(&mut self, began: Mark) {
        let ended = self.mark();
        self.is_measuring = false;
        self.elapsed += Duration::from_nanos(ended.at_ns - began.at_ns);
        self.cpu += ended.cpu - began.cpu;
        self.waited += Duration::from_nanos(ended.waited_ns - began.waited_ns);
        self.measured += ended.replies - began.replies;
    }

    fn mark(&self) -> Mark {
        Mark {
            at_ns: self.clock.elapsed_ns(),
            cpu: thread_cpu(),
            waited_ns: self.waited_ns,
            replies: self.replies,
        }
    }

    /// Brings every connection up to its full window.
    fn fill(&mut self) -> Result<(), LoadError> {
        for connection in &mut self.connections {
            let now_ns = self.clock.elapsed_ns();
            self.composer.set_time(self.clock.posix_ns(now_ns));
            let room = self.load.pipeline - connection.outstanding();
            self.sent += u64::from(connection.send(room, now_ns, &mut self.composer)?);
        }
        Ok(())
    }

    /// Turns the loop until this moment, or until nothing is outstanding.
    fn turn_until(&mut self, end_ns: Option<u64>) -> Result<(), LoadError> {
        let mut events = Events::with_capacity(EVENTS);
        let mut last_reply_ns = self.clock.elapsed_ns();
        let mut now_ns = last_reply_ns;
        while self.sent > self.replies && end_ns.is_none_or(|end| now_ns < end) {
            let wait =
                Duration::from_nanos(end_ns.map_or(u64::MAX, |end| end - now_ns)).min(self.load.patience);
            match self.poll.poll(&mut events, Some(wait)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error.into()),
                _ => {}
            }
            let woken_ns = self.clock.elapsed_ns();
            self.waited_ns += woken_ns - now_ns;
            let before = self.replies;
            for event in &events {
                self.serve(event.token().0)?;
            }
            now_ns = self.clock.elapsed_ns();
            if self.replies > before {
                last_reply_ns = now_ns;
            } else if now_ns - last_reply_ns >= nanoseconds(self.load.patience) {
                return Err(LoadError::Stalled {
                    outstanding: self.sent - self.replies,
                    patience: self.load.patience,
                });
            }
        }
        Ok(())
    }

    /// One connection's turn: take the replies in, send as many reports.
    fn serve(&mut self, index: usize) -> Result<(), LoadError> {
        let connection = &mut self.connections[index];
        let replies = connection.receive(&mut self.buffer, &mut self.wrong)?;
        let now_ns = self.clock.elapsed_ns();
        let latency = if self.is_measuring { &mut self.latency } else { &mut self.other_latency };
        connection.settle(replies, now_ns, latency)?;
        self.replies += u64::from(replies);
        self.composer.set_time(self.clock.posix_ns(now_ns));
        self.sent += u64::from(connection.send(replies, now_ns, &mut self.composer)?);
        Ok(())
    }
}

fn order(length: Length) -> Order {
    if length == Length::EveryClient { Order::Sequential } else { Order::Scattered }
}

/// How many reports the connection at `index`, which owns `clients` clients, sends in all.
fn share(load: &Load, index: u64, clients: u32) -> u64 {
    let connections = u64::from(load.connections);
    match load.length {
        Length::Time(_) => u64::MAX,
        Length::EveryClient => u64::from(clients),
        Length::Requests(all) => all / connections + u64::from(index < all % connections),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(length: Length) -> Load {
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
        Load { connections: 3, pipeline: 2, clients: 10, length, ..Load::on(address) }
    }

    #[test]
    fn the_shares_of_the_connections_add_up() {
        let total = |length| (0..3).map(|index| share(&load(length), index, 4)).sum::<u64>();
        assert_eq!(total(Length::Requests(100)), 100);
        assert_eq!(total(Length::Requests(2)), 2);
        assert_eq!(total(Length::EveryClient), 12);
    }

    #[test]
    fn fewer_clients_than_connections_are_refused() {
        let few = Load { clients: 2, ..load(Length::EveryClient) };
        assert!(matches!(drive(&few), Err(LoadError::TooFewClients { clients: 2, connections: 3 })));
    }
}
