//! A link to a third-party node that takes one line per connection. A line is sent, a half-close shows its end, and the
//! line has been accepted once the other end has ended the connection too; then the next one follows. Updates go before
//! everything else.
//!
//! No connection lasts, so there is no loss that would show that the node was restarted and knows nothing. Therefore it
//! is sent everything again and again, as often as a peer would be compared with.

use std::{collections::VecDeque, mem, time::Duration};

use super::{
    Encoded, Event, Lack, LinkTimes, Lost, Queue, RoundOver, Step, count_lines, dialling::Dialling,
    has_clients, link::Stopping,
};
use crate::core::{
    model::{Location, NodeId, Tick},
    store::{Cursor, Store},
    wire::PlainForm,
};

/// The time between two lines of a sweep. A connection that this end closed first keeps its port for a minute, so this
/// many may be in use at a time: 12,000, of the 28,000 that a machine has.
const SWEEP_LINE_TIME: Duration = Duration::from_millis(5);

/// How many connections a line of a sweep may fail on before the sweep continues without it. Another sweep follows.
const LINE_TRIES_MAX: u32 = 3;

/// How much is read at a time of what the other end sends, which is discarded.
const HEARD_BYTES: usize = 4096;

/// One such link. It is driven as a [`super::Link`] is.
#[derive(Debug)]
pub struct Single {
    id: NodeId,
    form: PlainForm,
    times: LinkTimes,
    queue: Queue,
    dialling: Dialling,
    exchange: Exchange,
    /// A batch of updates, and where the next line begins in it.
    batch: Option<(Encoded, usize)>,
    sweep: Option<LineSweep>,
    sweeps: u64,
    /// Whether everything must be sent, or sent once more if a sweep is in progress.
    is_due: bool,
    /// When everything is sent again.
    sweep_at: Tick,
    /// No sweep begins before this.
    no_sweep_before: Tick,
    /// No line of a sweep is sent before this.
    no_line_before: Tick,
    /// The line that is sent next, or is being sent.
    line: Option<TellingLine>,
    /// How often it has failed.
    tries: u32,
    heard: Vec<u8>,
    failure: Option<Lost>,
    /// Set once the node stops.
    stopping: Option<Stopping>,
    events: VecDeque<Event>,
}

/// How far a connection has got.
#[derive(Clone, Copy, Debug)]
enum Exchange {
    /// There is no connection.
    Unconnected,
    Writing {
        until: Tick,
    },
    /// Everything is written, and its end must be shown.
    HalfClosing {
        until: Tick,
    },
    /// The other end must end it.
    Ending {
        until: Tick,
    },
    /// The other end has ended it.
    Ended,
}

#[derive(Debug)]
struct TellingLine {
    text: Vec<u8>,
    written: usize,
    /// Where the sweep stood before this line; `None` for an update.
    swept_from: Option<Cursor>,
}

/// The progress of a sweep.
#[derive(Debug)]
struct LineSweep {
    began: Tick,
    cursor: Cursor,
    told: usize,
    /// Whether the line at hand is its last.
    is_walked: bool,
    /// Whether it is sent again only because that is done from time to time.
    is_routine: bool,
}

impl Single {
    /// A link from the node `id` to one that wants lines of that form. It dials at once.
    pub fn new(id: NodeId, form: PlainForm, times: LinkTimes, queue: Queue) -> Self {
        Self {
            id,
            form,
            times,
            queue,
            dialling: Dialling::new(&times),
            exchange: Exchange::Unconnected,
            batch: None,
            sweep: None,
            sweeps: 0,
            is_due: true,
            sweep_at: Tick::ZERO,
            no_sweep_before: Tick::ZERO,
            no_line_before: Tick::ZERO,
            line: None,
            tries: 0,
            heard: vec![0; HEARD_BYTES],
            failure: None,
            stopping: None,
            events: VecDeque::new(),
        }
    }

    /// The queue of what waits to be written; to wait for more of it.
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Whether a line was accepted, or a connection without a line ended well, and nothing has failed since.
    pub fn is_up(&self) -> bool {
        self.dialling.is_up()
    }

    /// Whether it has been sent everything, and nothing is queued or known to be missing.
    pub fn is_quiet(&self) -> bool {
        let has_news = self.batch.is_some() || !self.queue.receiver().is_empty();
        self.is_up() && matches!(self.exchange, Exchange::Unconnected) && !has_news && !self.is_missing()
    }

    /// The bytes to write.
    pub fn output(&self) -> &[u8] {
        self.line.as_ref().map_or(&[], |line| &line.text[line.written..])
    }

    /// The update that is being sent, or was sent last.
    pub fn news(&self) -> &[u8] {
        let news = self.line.as_ref().filter(|line| line.swept_from.is_none());
        news.map_or(&[], |line| &line.text)
    }

    /// The space to read into.
    pub fn space(&mut self) -> &mut [u8] {
        &mut self.heard
    }

    /// The events since the last call, first to last.
    pub fn event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The node stops: until `by`, what is queued is still sent, and the rest of what is known to be missing; if the
    /// link is down, the neighbour is dialled once more.
    pub fn stop(&mut self, by: Tick) {
        if self.stopping.is_none() {
            self.stopping = Some(Stopping::new(by, self.is_up()));
            self.dialling.called(Tick::ZERO);
            // Everything in such a sweep was accepted before.
            self.sweep = self.sweep.take().filter(|sweep| !sweep.is_routine);
        }
    }

    /// What the neighbour may lack, once the link has ended; `None` if it has everything.
    pub fn lack(&self, store: &Store) -> Option<Lack> {
        let stopping = self.stopping?;
        let mut left = Vec::new();
        let mut write = |lines: &[u8]| {
            let lines = lines.split_inclusive(|&byte| byte == b'\n');
            lines.for_each(|line| self.form.write_again(line, &mut left));
        };
        self.batch.iter().for_each(|(batch, at)| write(&batch[*at..]));
        while let Ok(batch) = self.queue.take() {
            write(&batch);
        }
        stopping.lack(count_lines(&left), self.is_missing() && has_clients(store))
    }

    /// Whether everything is being sent, or is due to be.
    fn is_missing(&self) -> bool {
        self.sweep.is_some() || self.is_due || self.queue.is_behind()
    }

    /// The neighbour has just connected to this node, so it can be dialled without waiting.
    pub fn called(&mut self, now: Tick) {
        self.dialling.called(now);
    }

    /// A connection is made.
    pub fn connected(&mut self, now: Tick, store: &Store) {
        if !self.is_up() {
            // Before the store is read, so that nothing is missed.
            self.queue.open();
            self.events.push_back(Event::Greeting);
        }
        self.prepare(now, store);
        let until = now + self.times.write;
        // If nothing is known yet, the connection only shows whether anyone is there.
        self.exchange = match &self.line {
            Some(_) => Exchange::Writing { until },
            None => Exchange::HalfClosing { until },
        };
    }

    /// So much of [`Single::output`] is written.
    pub fn wrote(&mut self, count: usize) {
        let Some(line) = &mut self.line else { return };
        line.written += count;
        if let Exchange::Writing { until } = self.exchange
            && line.written == line.text.len()
        {
            self.exchange = Exchange::HalfClosing { until };
        }
    }

    /// The output has been ended.
    pub fn half_closed(&mut self) {
        if let Exchange::HalfClosing { until } = self.exchange {
            self.exchange = Exchange::Ending { until };
        }
    }

    /// So much was read; nothing at the end of the input, which means that the line was accepted.
    pub fn received(&mut self, count: usize) {
        if count > 0 || !matches!(self.exchange, Exchange::Ending { .. }) {
            return;
        }
        self.exchange = Exchange::Ended;
        if let Some(line) = &self.line {
            let updates = usize::from(line.swept_from.is_none());
            self.events.push_back(Event::Sent { bytes: line.text.len(), updates, pinged_at: None });
        }
    }

    /// Dialling, reading or writing failed, for this reason.
    pub fn failed(&mut self, why: String) {
        self.failure.get_or_insert(Lost::Failed(why));
    }

    /// The connection is closed, or there was none. `random` is any 64 random bits.
    pub fn hung_up(&mut self, now: Tick, random: u64) {
        let exchange = mem::replace(&mut self.exchange, Exchange::Unconnected);
        let line = self.line.take();
        match self.failure.take() {
            None => self.taken(line, now),
            Some(why) => {
                let was_connected = !matches!(exchange, Exchange::Unconnected);
                if let Some(stopping) = self.stopping.as_mut().filter(|_| !was_connected) {
                    stopping.left();
                    stopping.not_reached(now);
                }
                self.untaken(line, was_connected);
                let was_up = self.is_up();
                self.dialling.lost(now, random);
                if !was_connected && self.stopping.as_ref().is_some_and(Stopping::is_to_dial) {
                    self.dialling.called(now);
                }
                self.events.push_back(Event::Lost { why, was_up });
            }
        }
    }

    /// What to do at `now`.
    pub fn step(&mut self, now: Tick, store: &Store) -> Step {
        if self.failure.is_some() {
            return Step::HangUp;
        }
        if self.stopping.is_some_and(|stopping| stopping.is_over(now)) {
            return Step::End;
        }
        match self.exchange {
            Exchange::Unconnected => self.go_on(now, store),
            Exchange::Ended => Step::HangUp,
            Exchange::HalfClosing { .. } => Step::HalfClose,
            Exchange::Writing { until } => {
                self.wait(now, until, Lost::Slow(self.times.write), |until| Step::Write { until })
            }
            Exchange::Ending { until } => {
                self.wait(now, until, Lost::Unended(self.times.write), |until| Step::Listen { until })
            }
        }
    }

    fn dial(&mut self) -> Step {
        self.stopping.iter_mut().for_each(Stopping::dials);
        Step::Dial
    }

    fn wait(&mut self, now: Tick, until: Tick, late: Lost, step: impl Fn(Tick) -> Step) -> Step {
        if now < until {
            return step(self.no_later(until));
        }
        self.failure = Some(late);
        Step::HangUp
    }

    /// That time, or when the link of a node that stops must have ended.
    fn no_later(&self, until: Tick) -> Tick {
        self.stopping.map_or(until, |stopping| stopping.no_later(until))
    }

    /// What is next without a connection.
    fn go_on(&mut self, now: Tick, store: &Store) -> Step {
        let dial_at = self.dialling.dial_at();
        if !self.is_up() {
            return match self.stopping {
                Some(_) if !has_clients(store) => Step::End,
                _ if now >= dial_at => self.dial(),
                _ => Step::Pause { until: self.no_later(dial_at) },
            };
        }
        self.prepare(now, store);
        match (&self.line, self.stopping) {
            (Some(_), _) => self.dial(),
            (None, Some(_)) => Step::End,
            (None, None) => Step::Rest { until: self.sweeps_at() },
        }
    }

    /// When a line of a sweep may be sent next.
    fn sweeps_at(&self) -> Tick {
        if self.sweep.is_some() {
            return self.no_line_before;
        }
        let is_due = self.is_due || self.queue.is_behind();
        let due = if is_due { Tick::ZERO } else { self.sweep_at };
        due.max(self.no_sweep_before)
    }

    /// Finds the next line, updates first, if there is none at hand.
    fn prepare(&mut self, now: Tick, store: &Store) {
        if self.line.is_some() {
            return;
        }
        let mut text = Vec::new();
        loop {
            if self.batch.is_none() {
                let Ok(batch) = self.queue.take() else { break };
                // A batch without a line only wakes.
                self.batch = Some((batch, 0)).filter(|(batch, _)| !batch.is_empty());
            }
            let Some((batch, at)) = &self.batch else { continue };
            self.form.write_again(first_line(&batch[*at..]), &mut text);
            if !text.is_empty() {
                self.line = Some(TellingLine { text, written: 0, swept_from: None });
                return;
            }
            // Of a tombstone, the neighbour is told nothing.
            self.pass_line();
        }
        let is_time = if self.stopping.is_some() { self.is_missing() } else { now >= self.sweeps_at() };
        if is_time {
            self.sweep_on(now, store, text);
        }
    }

    /// Continues a sweep, or begins one: to the next line, or its end.
    fn sweep_on(&mut self, now: Tick, store: &Store, mut text: Vec<u8>) {
        let Self { id, form, queue, is_due, sweeps, .. } = self;
        let sweep = self.sweep.get_or_insert_with(|| {
            let is_routine = !(*is_due || queue.is_behind());
            queue.clear_mark();
            *is_due = false;
            *sweeps += 1;
            LineSweep { began: now, cursor: Cursor::default(), told: 0, is_walked: false, is_routine }
        });
        let from = sweep.cursor;
        sweep.is_walked = sweep.cursor.walk(store, |_, record| {
            let seen = |location: &&Location<'_>| form.may_see.match_client(location.client);
            let Some(location) = record.location().filter(seen) else { return true };
            let is_next = text.is_empty();
            if is_next {
                form.write(location, id, &mut text);
            }
            is_next
        });
        if !text.is_empty() {
            self.line = Some(TellingLine { text, written: 0, swept_from: Some(from) });
        } else if self.is_up() {
            self.end_sweep(now);
        }
    }

    fn end_sweep(&mut self, now: Tick) {
        let Some(LineSweep { began, told, .. }) = self.sweep.take() else { return };
        let took = now.saturating_sub(began);
        self.no_sweep_before = began + self.times.round_gap.max(2 * took);
        self.sweep_at = now + self.times.round;
        let in_step = !self.is_due && !self.queue.is_behind();
        let over = RoundOver { number: self.sweeps, took, differing: 0, lasting: 0, pushed: told, in_step };
        self.events.push_back(Event::Swept(over));
    }

    /// The line has been accepted, if there was one.
    fn taken(&mut self, line: Option<TellingLine>, now: Tick) {
        self.tries = 0;
        if !self.is_up() {
            self.dialling.up(now);
            self.stopping.iter_mut().for_each(Stopping::up);
            self.events.push_back(Event::Up);
        }
        let is_walked = self.sweep.as_ref().is_some_and(|sweep| sweep.is_walked);
        let Some(line) = line else {
            // There was nothing to send.
            if is_walked {
                self.end_sweep(now);
            }
            return;
        };
        if line.swept_from.is_none() {
            return self.pass_line();
        }
        self.no_line_before = now + SWEEP_LINE_TIME;
        if let Some(sweep) = &mut self.sweep {
            sweep.told += 1;
        }
        if is_walked {
            self.end_sweep(now);
        }
    }

    /// The first of the updates at hand is done with.
    fn pass_line(&mut self) {
        self.batch = self.batch.take().and_then(|(batch, at)| {
            let next = at + first_line(&batch[at..]).len();
            (next < batch.len()).then_some((batch, next))
        });
    }

    /// It is not known whether the line was accepted, nor whether the neighbour still knows what it was sent. The sweep
    /// in progress continues with it, and another follows; so updates need not be kept.
    fn untaken(&mut self, line: Option<TellingLine>, was_connected: bool) {
        self.queue.close();
        self.batch = None;
        (self.is_due, self.no_sweep_before, self.no_line_before) = (true, Tick::ZERO, Tick::ZERO);
        let (Some(from), Some(sweep)) = (line.and_then(|line| line.swept_from), &mut self.sweep) else {
            return;
        };
        self.tries += u32::from(was_connected);
        if self.tries < LINE_TRIES_MAX {
            (sweep.cursor, sweep.is_walked) = (from, false);
        } else {
            self.tries = 0;
        }
    }
}

/// The first line of several, with its end.
fn first_line(lines: &[u8]) -> &[u8] {
    let end = memchr::memchr(b'\n', lines).map_or(lines.len(), |newline| newline + 1);
    &lines[..end]
}

#[cfg(test)]
#[path = "single_tests.rs"]
mod tests;
