//! What a run counts: replies and their latencies by kind, failures by kind, the first replies that were wrong.

use hdrhistogram::Histogram;

use super::owed::{Kind, Sent};
use crate::outcome::{Errors, Mismatch, histogram};

/// So many wrong replies are kept to be shown.
const SHOWN: usize = 3;
/// So much of each line of them.
const SHOWN_BYTES: usize = 300;

/// Which replies count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Window {
    /// None.
    Shut,
    /// Those that come while it is open.
    Arriving,
    /// Those that answer requests planned between these times.
    Planned { from_ns: u64, until_ns: u64 },
}

/// Latencies of one kind of requests, in nanoseconds.
#[derive(Clone, Debug)]
pub struct Latencies {
    /// From the write to the reply.
    pub service: Histogram<u64>,
    /// From the planned moment to the reply.
    pub response: Histogram<u64>,
}

impl Default for Latencies {
    fn default() -> Self {
        Self::new()
    }
}

impl Latencies {
    /// Empty.
    pub fn new() -> Self {
        Self { service: histogram(), response: histogram() }
    }

    /// Of all kinds together.
    pub fn all(by_kind: &[Self]) -> Self {
        let mut all = Self::new();
        by_kind.iter().for_each(|of_kind| all.take_in(&mut of_kind.clone()));
        all
    }

    /// What clients met: response times if there are any.
    pub fn met(self) -> Histogram<u64> {
        if self.response.is_empty() { self.service } else { self.response }
    }

    /// Adds another's, and empties it.
    pub fn take_in(&mut self, other: &mut Self) {
        // Both are made alike, so every value of one fits the other.
        let _fits = (self.service.add(&other.service), self.response.add(&other.response));
        other.service.reset();
        other.response.reset();
    }
}

/// The counts of a run.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) window: Window,
    /// By kind, since the last time they were taken in.
    pub(crate) fresh: [Latencies; 2],
    /// Replies that count, also since then.
    pub(crate) fresh_replies: u64,
    pub(crate) counts: Counts,
    /// All replies.
    pub(crate) replies: u64,
    pub(crate) errors: Errors,
    pub(crate) mismatches: Vec<Mismatch>,
}

/// What is taken back with a turn that does not count.
#[derive(Clone, Debug)]
pub(crate) struct Counts {
    pub(crate) totals: [Latencies; 2],
    /// Replies that count, by kind.
    pub(crate) counted: [u64; 2],
    /// Those of them that came before the window's end.
    pub(crate) in_time: u64,
    /// By target, like `counted`.
    pub(crate) by_target: Vec<u64>,
    /// How much later than planned the tester itself was.
    pub(crate) late: Histogram<u64>,
}

impl Tally {
    pub(crate) fn new(targets: usize) -> Self {
        let totals = [Latencies::new(), Latencies::new()];
        let by_target = vec![0; targets];
        Self {
            window: Window::Shut,
            fresh: totals.clone(),
            fresh_replies: 0,
            counts: Counts { totals, counted: [0; 2], in_time: 0, by_target, late: histogram() },
            replies: 0,
            errors: Errors::default(),
            mismatches: Vec::new(),
        }
    }

    /// Counts answers that came at `now_ns`.
    pub(crate) fn settle(&mut self, sent: Sent, target: usize, now_ns: u64) {
        let Sent { kind, planned_ns, sent_ns, requests } = sent;
        let count = u64::from(requests);
        self.replies += count;
        let (counts, in_time) = match self.window {
            Window::Shut => (false, false),
            Window::Arriving => (true, true),
            Window::Planned { from_ns, until_ns } => {
                ((from_ns..until_ns).contains(&planned_ns), now_ns < until_ns)
            }
        };
        if !counts {
            return;
        }
        let latencies = &mut self.fresh[kind as usize];
        latencies.service.saturating_record_n(now_ns.saturating_sub(sent_ns), count);
        if matches!(self.window, Window::Planned { .. }) {
            latencies.response.saturating_record_n(now_ns.saturating_sub(planned_ns), count);
        }
        self.fresh_replies += count;
        self.counts.counted[kind as usize] += count;
        self.counts.by_target[target] += count;
        if in_time {
            self.counts.in_time += count;
        }
    }

    /// Notes requests that will not be answered. A client that asked at a planned time has waited at least until now.
    pub(crate) fn give_up(&mut self, sent: Sent, now_ns: u64) {
        if let Window::Planned { from_ns, until_ns } = self.window
            && (from_ns..until_ns).contains(&sent.planned_ns)
        {
            let waited = now_ns.saturating_sub(sent.planned_ns);
            self.fresh[sent.kind as usize].response.saturating_record_n(waited, u64::from(sent.requests));
        }
    }

    /// Adds what is fresh to the totals.
    pub(crate) fn take_in(&mut self) {
        for (total, fresh) in self.counts.totals.iter_mut().zip(&mut self.fresh) {
            total.take_in(fresh);
        }
        self.fresh_replies = 0;
    }

    /// Keeps a wrong reply, to be shown with what it should have answered.
    pub(crate) fn show(&mut self, sent: impl FnOnce() -> String, got: &[u8]) {
        if self.mismatches.len() < SHOWN {
            let got = String::from_utf8_lossy(&got[..got.len().min(SHOWN_BYTES)]).into_owned();
            self.mismatches.push(Mismatch { sent: sent(), got });
        }
    }
}

/// The place of a kind in what is counted by kind.
pub(crate) const KINDS: [Kind; 2] = [Kind::Report, Kind::Lookup];
