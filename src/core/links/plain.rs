//! The dialect of a link with a third-party node, which knows AT lines and nothing else, acknowledges nothing, and
//! cannot be asked. So it is sent updates as they come, and everything after each connect and each loss.

use super::{
    Event, LinkTimes, Queue, RoundOver,
    dialect::{Dialect, Wait},
};
use crate::core::{
    model::{Location, NodeId, Tick},
    store::{Cursor, Store},
    wire::PlainForm,
};

/// How much of a sweep is sent at once, so that updates need not wait for long; one line more may be included.
const SWEEP_BYTES_MAX: usize = 64 * 1024;

/// What is sent to one neighbour on one connection.
#[derive(Debug)]
pub(super) struct Plain {
    id: NodeId,
    form: PlainForm,
    times: LinkTimes,
    sweeps: u64,
    sweep: Option<Sweep>,
    /// No sweep begins before this.
    no_sweep_before: Tick,
    /// A sweep whose last piece is not written yet.
    over: Option<RoundOver>,
    /// How many updates are being written.
    unwritten: usize,
}

/// The progress of a sweep.
#[derive(Debug)]
struct Sweep {
    began: Tick,
    cursor: Cursor,
    told: usize,
}

impl Plain {
    /// What the node `id` sends in that form, from `now` on.
    pub(super) fn new(id: NodeId, form: PlainForm, times: LinkTimes, now: Tick) -> Self {
        Self { id, form, times, sweeps: 0, sweep: None, no_sweep_before: now, over: None, unwritten: 0 }
    }
}

impl Plain {
    /// Continues a sweep, or begins one that is due and not too early.
    fn sweep(&mut self, now: Tick, not_before: Tick, store: &Store, queue: &Queue, out: &mut Vec<u8>) {
        let is_due = self.sweeps == 0 || queue.is_behind();
        if self.sweep.is_none() && is_due && now >= not_before {
            queue.clear_mark();
            self.sweeps += 1;
            self.sweep = Some(Sweep { began: now, cursor: Cursor::default(), told: 0 });
        }
        if let Some(sweep) = &mut self.sweep
            && sweep.tell_piece(store, &self.id, &self.form, out)
        {
            let took = now.saturating_sub(sweep.began);
            self.no_sweep_before = sweep.began + self.times.round_gap.max(2 * took);
            let (number, pushed, in_step) = (self.sweeps, sweep.told, !queue.is_behind());
            self.over = Some(RoundOver { number, took, differing: 0, lasting: 0, pushed, in_step });
            self.sweep = None;
        }
    }
}

impl Dialect for Plain {
    fn write_news(&self, batch: &[u8], out: &mut Vec<u8>) {
        for line in batch.split_inclusive(|&byte| byte == b'\n') {
            self.form.write_again(line, out);
        }
    }

    fn next(&mut self, now: Tick, store: &Store, queue: &Queue, out: &mut Vec<u8>) -> Wait {
        self.sweep(now, self.no_sweep_before, store, queue, out);
        // From time to time it is checked whether the neighbour is still there.
        let look_at = now + self.times.ping;
        let sweep_at = if queue.is_behind() { self.no_sweep_before } else { Tick::MAX };
        Wait::News(look_at.min(sweep_at))
    }

    /// It confirms nothing: what has been written to it counts as accepted.
    fn last(&mut self, now: Tick, store: &Store, queue: &Queue, out: &mut Vec<u8>) -> Option<Wait> {
        self.sweep(now, now, store, queue, out);
        None
    }

    fn tells(&mut self, updates: usize) {
        self.unwritten = updates;
    }

    fn unconfirmed(&self) -> usize {
        self.unwritten
    }

    fn written(&mut self) -> Option<Event> {
        self.unwritten = 0;
        self.over.take().map(Event::Swept)
    }

    fn says_unasked(&self) -> bool {
        true
    }

    fn is_quiet(&self) -> bool {
        self.sweep.is_none() && self.over.is_none() && self.sweeps > 0
    }
}

impl Sweep {
    /// Appends the next piece; returns whether it was the last.
    fn tell_piece(&mut self, store: &Store, id: &NodeId, form: &PlainForm, out: &mut Vec<u8>) -> bool {
        let end = out.len() + SWEEP_BYTES_MAX;
        self.cursor.walk(store, |_, record| {
            let seen = |location: &&Location<'_>| form.may_see.match_client(location.client);
            let Some(location) = record.location().filter(seen) else { return true };
            if out.len() >= end {
                return false;
            }
            form.write(location, id, out);
            self.told += 1;
            true
        })
    }
}

#[cfg(test)]
#[path = "plain_tests.rs"]
mod tests;
