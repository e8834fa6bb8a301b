//! Turns that do not count: what was measured before one can be put back after it. What was sent, and what failed,
//! stays.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::{Drive, connection::Bytes, tally::Latencies};

/// What the turns so far have measured.
#[derive(Clone, Debug)]
pub struct Measured {
    totals: [Latencies; 2],
    counted: [u64; 2],
    in_time: u64,
    by_target: Vec<u64>,
    late: Histogram<u64>,
    elapsed: Duration,
    cpu: Duration,
    waited: Duration,
    bytes: Bytes,
}

impl Drive {
    /// What the turns so far have measured.
    pub fn measured(&mut self) -> Measured {
        self.tally.take_in();
        let Self { tally, elapsed, cpu, waited, bytes, .. } = &*self;
        Measured {
            totals: tally.totals.clone(),
            counted: tally.counted,
            in_time: tally.in_time,
            by_target: tally.by_target.clone(),
            late: tally.late.clone(),
            elapsed: *elapsed,
            cpu: *cpu,
            waited: *waited,
            bytes: *bytes,
        }
    }

    /// Has measured this, and nothing else.
    pub fn restore(&mut self, measured: &Measured) {
        self.tally.take_in();
        let Measured { totals, counted, in_time, by_target, late, elapsed, cpu, waited, bytes } =
            measured.clone();
        (self.elapsed, self.cpu, self.waited, self.bytes) = (elapsed, cpu, waited, bytes);
        let tally = &mut self.tally;
        (tally.totals, tally.counted, tally.in_time) = (totals, counted, in_time);
        (tally.by_target, tally.late) = (by_target, late);
    }

    /// Requests sent in all turns, those included that do not count.
    pub fn sent(&self) -> u64 {
        self.sent
    }
}
