//! Turns that do not count: what was measured before one can be put back after it, and a turn that was abandoned leaves
//! nothing to the next. What was sent stays, since a server's log holds it, and so does each reply that was wrong: no host
//! makes a reply wrong.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::{
    Drive, connect,
    connection::{Bytes, Connection},
    tally::Latencies,
};
use crate::{
    load::LoadError,
    outcome::{End, Errors},
};

/// What the turns so far have measured.
#[derive(Clone, Debug)]
pub struct Measured {
    totals: [Latencies; 2],
    counted: [u64; 2],
    in_time: u64,
    by_target: Vec<u64>,
    late: Histogram<u64>,
    errors: Errors,
    elapsed: Duration,
    cpu: Duration,
    waited: Duration,
    bytes: Bytes,
    end: End,
    gave_up: Option<String>,
    in_flight: u64,
}

impl Measured {
    /// Whether all turns went to their ends. One that was given up or cut off was no longer under the load.
    pub fn is_whole(&self) -> bool {
        self.end == End::Complete
    }
}

impl Drive {
    /// What the turns so far have measured.
    pub fn measured(&mut self) -> Measured {
        self.tally.take_in();
        let Self { tally, elapsed, cpu, waited, bytes, end, gave_up, in_flight, .. } = &*self;
        Measured {
            totals: tally.totals.clone(),
            counted: tally.counted,
            in_time: tally.in_time,
            by_target: tally.by_target.clone(),
            late: tally.late.clone(),
            errors: tally.errors,
            elapsed: *elapsed,
            cpu: *cpu,
            waited: *waited,
            bytes: *bytes,
            end: *end,
            gave_up: gave_up.clone(),
            in_flight: *in_flight,
        }
    }

    /// Has measured this, and nothing else but replies that were wrong. Fails if the turn that is dropped was abandoned
    /// and the server does not take new connections.
    pub fn restore(&mut self, measured: &Measured) -> Result<(), LoadError> {
        self.tally.take_in();
        let was_abandoned = self.is_over();
        // What a dropped turn got no answer to may never have reached the server.
        self.sent = self.sent + measured.errors.unanswered - self.tally.errors.unanswered;
        let Measured { totals, counted, in_time, by_target, late, errors, .. } = measured.clone();
        let tally = &mut self.tally;
        (tally.totals, tally.counted, tally.in_time) = (totals, counted, in_time);
        (tally.by_target, tally.late) = (by_target, late);
        let Errors { refused, wrong, surplus, .. } = tally.errors;
        tally.errors = Errors { refused, wrong, surplus, ..errors };
        let Measured { elapsed, cpu, waited, bytes, end, gave_up, in_flight, .. } = measured.clone();
        (self.elapsed, self.cpu, self.waited, self.bytes) = (elapsed, cpu, waited, bytes);
        (self.end, self.gave_up, self.in_flight) = (end, gave_up, in_flight);
        if was_abandoned && !self.is_over() { self.reopen_all() } else { Ok(()) }
    }

    /// Whether a turn that counts was not taken to its end; then no more are taken.
    pub fn is_over(&self) -> bool {
        self.end != End::Complete
    }

    /// Requests sent in all turns, those included that do not count, except what was not answered in these.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Replaces all connections, on which replies to an abandoned turn could still come.
    fn reopen_all(&mut self) -> Result<(), LoadError> {
        let Self { load, connections, questioner, poll, .. } = self;
        for connection in connections.iter_mut() {
            let Connection { keys, quota, due, left, .. } = connection;
            questioner.forget(keys);
            (*quota, *due, *left) = (0, 0, 0);
            connection.hang_up();
        }
        self.closed.clear();
        self.outstanding = 0;
        // A server that hangs may leave even a connection waiting.
        connect(load, connections, poll.registry(), load.patience)
    }
}
