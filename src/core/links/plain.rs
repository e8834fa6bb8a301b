//! A link to a node written by others, without sockets or clocks: it knows AT lines and nothing else, acknowledges
//! nothing, and cannot be asked. So it is told the news as it comes; and after each connect and each loss, everything.

use super::{LinkTimes, Next, Queue, RoundOver, dialling::Dialling};
use crate::core::{
    model::{NodeId, Tick},
    store::{KeyHash, Store},
    wire::{PlainForm, READ_BYTES_MAX, write_flooded},
};

/// One link, as its flooder sees it.
#[derive(Debug)]
pub struct PlainLink {
    id: NodeId,
    form: PlainForm,
    times: LinkTimes,
    queue: Queue,
    dialling: Dialling,
    state: State,
    is_stopping: bool,
}

#[derive(Debug)]
enum State {
    Down,
    Up(Up),
}

#[derive(Debug)]
struct Up {
    sweeps: u64,
    sweep: Option<Sweep>,
    /// Before this no sweep begins.
    no_sweep_before: Tick,
}

/// A walk over the whole store, leaf by leaf.
#[derive(Clone, Copy, Debug)]
struct Sweep {
    began: Tick,
    shard: usize,
    leaf: usize,
    from: KeyHash,
    told: usize,
}

impl PlainLink {
    /// A link of the node `id` that dials at once, and speaks in that form.
    pub fn new(id: NodeId, form: PlainForm, times: LinkTimes, queue: Queue) -> Self {
        Self {
            id,
            form,
            times,
            queue,
            dialling: Dialling::new(&times),
            state: State::Down,
            is_stopping: false,
        }
    }

    /// What waits to be written; to wait for more of it.
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Whether there is a connection.
    pub fn is_up(&self) -> bool {
        self.dialling.is_up()
    }

    /// What is left in the queue is written, and nothing else begun.
    pub fn stop(&mut self) {
        self.is_stopping = true;
    }

    /// A connection is there, and with it the link.
    pub fn connected(&mut self, now: Tick) {
        // In this order: queue, clear the mark (as the sweep begins), read the store.
        self.queue.open();
        self.dialling.up(now);
        self.state = State::Up(Up { sweeps: 0, sweep: None, no_sweep_before: now });
    }

    /// The connection broke, or dialling failed. `random` is any 64 random bits.
    pub fn lost(&mut self, now: Tick, random: u64) {
        self.queue.close();
        self.dialling.lost(now, random);
        self.state = State::Down;
    }

    /// The neighbour has just connected to this node, so it can be dialled without waiting.
    pub fn neighbour_called(&mut self, now: Tick) {
        self.dialling.called(now);
    }

    /// What to do at `now`. Appends what is to be written: at most a piece of news and a piece of a sweep, so that neither
    /// starves the other. With it comes what a sweep that has ended found.
    pub fn next(&mut self, now: Tick, store: &Store, out: &mut Vec<u8>) -> (Next, Option<RoundOver>) {
        let dial_at = self.dialling.dial_at();
        let Self { id, form, times, queue, .. } = self;
        let up = match &mut self.state {
            State::Down if now >= dial_at => return (Next::Dial, None),
            State::Down => return (Next::Rest(dial_at), None),
            State::Up(up) => up,
        };
        let before = out.len();
        while out.len() - before < READ_BYTES_MAX
            && let Ok(batch) = queue.take()
        {
            rewrite(&batch, *form, out);
        }
        let news = out.len() - before;
        if self.is_stopping {
            return (if news > 0 { Next::Write { news } } else { Next::Flushed }, None);
        }
        let is_due = up.sweeps == 0 || queue.is_behind();
        if up.sweep.is_none() && is_due && now >= up.no_sweep_before {
            queue.clear_mark();
            up.sweeps += 1;
            up.sweep = Some(Sweep { began: now, shard: 0, leaf: 0, from: KeyHash::of_bits(0), told: 0 });
        }
        let mut over = None;
        if let Some(sweep) = &mut up.sweep
            && sweep.tell_piece(store, id, *form, out)
        {
            let took = now.saturating_sub(sweep.began);
            up.no_sweep_before = sweep.began + times.round_gap.max(2 * took);
            let (number, pushed, in_step) = (up.sweeps, sweep.told, !queue.is_behind());
            over = Some(RoundOver { number, took, differing: 0, lasting: 0, pushed, in_step });
            up.sweep = None;
        }
        if out.len() > before {
            return (Next::Write { news }, over);
        }
        // It is looked at once in a while whether the neighbour is still there.
        let look_at = now + times.ping;
        let sweep_at = if queue.is_behind() { up.no_sweep_before } else { Tick::MAX };
        (Next::Rest(look_at.min(sweep_at)), over)
    }
}

impl Sweep {
    /// Appends the next piece; whether it was the last.
    fn tell_piece(&mut self, store: &Store, id: &NodeId, form: PlainForm, out: &mut Vec<u8>) -> bool {
        let end = out.len() + READ_BYTES_MAX;
        let shape = store.shape();
        let mut line = Vec::new();
        while self.shard < shape.shards() {
            let mut is_full = false;
            store.locations(self.shard, self.leaf, self.from, |entry, location| {
                is_full = out.len() >= end;
                if is_full {
                    self.from = entry.key;
                    return false;
                }
                line.clear();
                write_flooded(location, id, &mut line);
                rewrite(&line, form, out);
                self.told += 1;
                true
            });
            if is_full {
                return false;
            }
            self.from = KeyHash::of_bits(0);
            self.leaf = (self.leaf + 1) % shape.leaves();
            self.shard += usize::from(self.leaf == 0);
        }
        true
    }
}

/// Appends flooded lines, AT lines with their sender behind, in the form a neighbour wants.
fn rewrite(lines: &[u8], form: PlainForm, out: &mut Vec<u8>) {
    for line in lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        let without_sender = || memchr::memrchr(b' ', line).map_or(line, |space| &line[..space]);
        out.extend_from_slice(if form.has_sender { line } else { without_sender() });
        out.extend_from_slice(if form.is_crlf { b"\r\n" } else { b"\n" });
    }
}

#[cfg(test)]
#[path = "plain_tests.rs"]
mod tests;
