//! The dialect of links between this program's own nodes: the handshake, pings, rounds, and what the answers mean.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use super::{
    Broken, Dialled, Ends, Event, LinkTimes, Queue, RoundOver,
    dialect::{Dialect, Wait},
    pace::Pace,
};
use crate::core::{
    Rules,
    model::Tick,
    repair::{Findings, Need, Part, Round, RoundEnd},
    store::Store,
    wire::{Answer, Channel, Line, Proof, write_ping},
};

/// What is said to one neighbour on one connection.
#[derive(Debug)]
pub(super) struct HerdDialect {
    ends: Ends,
    times: LinkTimes,
    rules: Rules,
    state: State,
    /// What differed in the last round.
    differed: HashMap<Part, (u64, u64)>,
}

#[derive(Debug)]
enum State {
    Greeting {
        until: Tick,
        /// This node's line, which proofs cover.
        hello: Vec<u8>,
        channel: Channel,
        said: Said,
        /// The sum of the whole store, read too early; only for rules that are wrong.
        early_sum: Option<u64>,
    },
    Up(Box<Up>),
}

/// How far this node has come in a handshake.
#[derive(Clone, Copy, Debug)]
enum Said {
    Hello,
    /// The neighbour has proved itself; this proof is written next.
    Unsaid(Proof),
    Proof,
}

#[derive(Debug)]
struct Up {
    /// When bytes last moved, or could have moved if it had been asked.
    waiting_since: Tick,
    /// What it was asked and has not answered, first to last.
    owed: VecDeque<Owed>,
    ping_at: Tick,
    pings: u64,
    /// The unanswered ping.
    ping: Option<Ping>,
    rounds: u64,
    round: Option<Round>,
    pace: Pace,
    round_began: Tick,
    /// When a round is due even though nothing is known to be missing.
    round_at: Tick,
    /// No round begins before this.
    no_round_before: Tick,
    /// Whether the round in progress has cleared a mark.
    is_for_mark: bool,
    /// How many of the last rounds have judged nothing, so that another must follow.
    unjudged: u32,
    /// The store's watermark when the last round began; `None` before the first.
    watermark: Option<u64>,
    early_sum: Option<u64>,
    /// Updates sent on this connection, and how many of them are confirmed.
    told: usize,
    confirmed: usize,
}

/// An answer that is owed, and since when.
#[derive(Clone, Copy, Debug)]
struct Owed {
    what: AnswerKind,
    since: Tick,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum AnswerKind {
    Pong,
    /// To a question of a round, or to its end.
    Round,
}

#[derive(Clone, Copy, Debug)]
struct Ping {
    sent: Tick,
    /// How many updates were sent before it, which its answer confirms.
    confirms: usize,
    /// When to look for the answer.
    look_at: Tick,
}

/// So many rounds in a row that could not compare the stores, and a node that stops compares no more: it pushes everything
/// it has. A watermark that moves has mostly settled by then.
const UNJUDGED_MAX: u32 = 2;

/// How soon to look for the answer to a ping at first; then after twice as long each time, up to the second of these.
const LOOK: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(100));

impl HerdDialect {
    /// Begins with the handshake, which it appends.
    pub(super) fn greet(
        ends: Ends,
        times: LinkTimes,
        rules: Rules,
        now: Tick,
        dialled: Dialled,
        store: &Store,
        out: &mut Vec<u8>,
    ) -> Self {
        let Dialled { nonce, channel } = dialled;
        let hello = ends.hello(nonce);
        out.extend_from_slice(&hello);
        out.push(b'\n');
        let early_sum = (!rules.opens_before_sums).then(|| store.sum());
        let state =
            State::Greeting { until: now + times.greeting, hello, channel, said: Said::Hello, early_sum };
        Self { ends, times, rules, state, differed: HashMap::new() }
    }

    /// Handles a line during the handshake.
    fn be_greeted(&mut self, line: &[u8], now: Tick) -> Result<Option<Event>, Broken> {
        let State::Greeting { hello, channel, said, early_sum, .. } = &mut self.state else {
            return Ok(None);
        };
        match said {
            Said::Hello => {
                if let Some(proof) = self.ends.check_answer(*channel, hello, line)? {
                    *said = Said::Unsaid(proof);
                    return Ok(None);
                }
            }
            // It has not seen this node's proof.
            Said::Unsaid(_) => return Err(Broken::Nonsense),
            Said::Proof => Ends::check_welcome(line)?,
        }
        let up = Up::new(now, self.rules.round_on_connect, &self.times, *early_sum);
        self.state = State::Up(Box::new(up));
        Ok(Some(Event::Up))
    }
}

impl Dialect for HerdDialect {
    fn check(&mut self, now: Tick) -> Result<(), Broken> {
        let times = &self.times;
        match &mut self.state {
            State::Greeting { until, .. } if now >= *until => Err(Broken::NoGreeting(times.greeting)),
            State::Greeting { .. } => Ok(()),
            State::Up(up) => {
                if !up.is_owed() {
                    // One that is asked each second is heard each second. If it was not asked, its silence is not held
                    // against it.
                    up.waiting_since = up.waiting_since.max(now.saturating_sub(times.ping));
                }
                up.check(now, times)
            }
        }
    }

    fn write_news(&self, batch: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(batch);
    }

    fn next(&mut self, now: Tick, store: &Store, queue: &Queue, out: &mut Vec<u8>) -> Wait {
        let Self { ends, times, rules, .. } = self;
        let up = match &mut self.state {
            State::Greeting { until, said, .. } => {
                if let Said::Unsaid(proof) = *said {
                    *said = Said::Proof;
                    ends.write_proof(&proof, out);
                }
                return Wait::Answer(*until);
            }
            State::Up(up) => up,
        };
        if up.round.is_none() && up.is_round_due(now, store, queue, *rules) {
            up.begin_round(now, (store, queue), times, *rules);
        }
        let need = up.go_on_with_round(now, (store, queue), times, *rules, out);
        up.ping_or_look(now, times, *rules, out);
        let given_up_at = up.given_up_at(times);
        if need == Some(Need::Answer) {
            let ping_at = if up.ping.is_none() { up.ping_at } else { Tick::MAX };
            return Wait::Answer(given_up_at.min(ping_at));
        }
        let look_at = up.ping.map_or(up.ping_at, |ping| ping.look_at);
        let is_behind = rules.heeds_marks && queue.is_behind();
        let round_at = if is_behind { up.no_round_before } else { up.round_at.max(up.no_round_before) };
        Wait::News(look_at.min(round_at).min(given_up_at))
    }

    fn moved(&mut self, now: Tick) {
        if let State::Up(up) = &mut self.state
            && self.rules.moving_is_living
        {
            up.waiting_since = now;
        }
    }

    fn last(&mut self, now: Tick, store: &Store, queue: &Queue, out: &mut Vec<u8>) -> Option<Wait> {
        let State::Up(up) = &mut self.state else { return Some(self.next(now, store, queue, out)) };
        let has_begun = up.rounds > 0 || !self.rules.round_on_connect;
        let is_behind = self.rules.heeds_marks && queue.is_behind();
        // Only one that judged nothing is followed by another no sooner than usual.
        let is_put_off = |up: &Up| up.round.is_none() && up.unjudged > 0 && now < up.no_round_before;
        if up.round.is_none() && (is_behind || !has_begun || up.unjudged > 0) && !is_put_off(up) {
            if !self.rules.last_round {
                queue.clear_mark();
            } else if up.unjudged >= UNJUDGED_MAX {
                up.begin_sweep(now, (store, queue), self.rules);
            } else {
                up.begin_round(now, (store, queue), &self.times, self.rules);
            }
        }
        up.go_on_with_round(now, (store, queue), &self.times, self.rules, out);
        let is_put_off = is_put_off(up);
        let has_confirmed = up.confirmed == up.told;
        let is_full = self.rules.repair_is_paced && up.pace.is_full();
        if up.ping.is_none() && (is_full || !has_confirmed && queue.receiver().is_empty()) {
            up.write_ping(now, &self.times, out);
        }
        let is_done = has_confirmed && up.round.is_none() && !is_put_off;
        let round_at = if is_put_off { up.no_round_before } else { Tick::MAX };
        (!is_done).then(|| Wait::Answer(up.given_up_at(&self.times).min(round_at)))
    }

    fn tells(&mut self, updates: usize) {
        if let State::Up(up) = &mut self.state {
            up.told += updates;
        }
    }

    fn unconfirmed(&self) -> usize {
        let State::Up(up) = &self.state else { return 0 };
        up.told - up.confirmed
    }

    fn hear(
        &mut self,
        line: Line<'_>,
        now: Tick,
        random: u64,
        store: &Store,
        queue: &Queue,
    ) -> Result<Option<Event>, Broken> {
        let Line::Whole(line, _) = line else { return Err(Broken::Nonsense) };
        let State::Up(up) = &mut self.state else { return self.be_greeted(line, now) };
        up.waiting_since = now;
        let answer = Answer::parse(line).ok_or(Broken::Nonsense)?;
        let is_pong = matches!(answer, Answer::Pong { .. });
        up.settle(if is_pong { AnswerKind::Pong } else { AnswerKind::Round })?;
        if let Answer::Pong { number, time } = answer {
            let ping = up.ping.take().filter(|_| number == up.pings).ok_or(Broken::Nonsense)?;
            up.confirmed = ping.confirms;
            let took = now.saturating_sub(ping.sent);
            up.pace.answered(took);
            return Ok(Some(Event::Pong { took, time }));
        }
        let round = up.round.as_mut().ok_or(Broken::Nonsense)?;
        let ended = round.answered(&answer, store).map_err(|_unfitting| Broken::Nonsense)?;
        let Some(ended) = ended else { return Ok(None) };
        up.round = None;
        let found = match ended {
            RoundEnd::Judged(found) => found,
            RoundEnd::Unjudged { theirs } => {
                up.put_off_round(now, queue, &self.times);
                return Ok(theirs.map(|watermark| Event::NotCompared { watermark }));
            }
        };
        let over = up.end_round(&found, &self.differed, now, random, &self.times);
        self.differed = found.pairs;
        Ok(Some(Event::Round(RoundOver { in_step: !queue.is_behind(), ..over })))
    }

    fn silent_at(&self) -> Option<Tick> {
        let State::Up(up) = &self.state else { return None };
        up.is_owed().then(|| up.given_up_at(&self.times))
    }

    fn pinged_at(&self) -> Option<Tick> {
        let State::Up(up) = &self.state else { return None };
        up.ping.map(|ping| ping.sent)
    }

    fn is_quiet(&self) -> bool {
        matches!(&self.state, State::Up(up) if up.round.is_none() && up.rounds > 0 && up.unjudged == 0)
    }
}

impl Up {
    fn new(now: Tick, round_at_once: bool, times: &LinkTimes, early_sum: Option<u64>) -> Self {
        Self {
            waiting_since: now,
            owed: VecDeque::new(),
            ping_at: now + times.ping,
            pings: 0,
            ping: None,
            rounds: 0,
            round: None,
            pace: Pace::new(),
            round_began: now,
            round_at: if round_at_once { now } else { now + times.round },
            no_round_before: now,
            is_for_mark: false,
            unjudged: 0,
            watermark: None,
            early_sum,
            told: 0,
            confirmed: 0,
        }
    }

    /// Whether the neighbour owes an answer.
    fn is_owed(&self) -> bool {
        !self.owed.is_empty()
    }

    /// When it is given up for what it owes, unless bytes move or it answers; never if it owes nothing.
    fn given_up_at(&self, times: &LinkTimes) -> Tick {
        let oldest = self.owed.front();
        oldest.map_or(Tick::MAX, |owed| (self.waiting_since + times.liveness).min(owed.since + times.answer))
    }

    fn check(&self, now: Tick, times: &LinkTimes) -> Result<(), Broken> {
        match self.owed.front() {
            Some(owed) if now >= owed.since + times.answer => Err(Broken::Overdue(times.answer)),
            Some(_) if now >= self.waiting_since + times.liveness => Err(Broken::Silent(times.liveness)),
            _ => Ok(()),
        }
    }

    /// Something is answered. Answers come in the order of the questions, or a missing one would be missed for ever.
    fn settle(&mut self, answered: AnswerKind) -> Result<(), Broken> {
        match self.owed.pop_front() {
            Some(owed) if owed.what == answered => Ok(()),
            _ if self.owed.iter().any(|later| later.what == answered) => Err(Broken::OutOfOrder),
            _ => Err(Broken::Nonsense),
        }
    }

    /// Sends a ping if it is time, or if as much is pushed as may be in flight; or puts off looking for the answer.
    fn ping_or_look(&mut self, now: Tick, times: &LinkTimes, rules: Rules, out: &mut Vec<u8>) {
        let is_due = now >= self.ping_at || rules.repair_is_paced && self.pace.is_full();
        match &mut self.ping {
            Some(ping) if now >= ping.look_at => {
                ping.look_at = now + now.saturating_sub(ping.sent).clamp(LOOK.0, LOOK.1);
            }
            None if is_due => self.write_ping(now, times, out),
            _ => {}
        }
    }

    fn write_ping(&mut self, now: Tick, times: &LinkTimes, out: &mut Vec<u8>) {
        self.pings += 1;
        write_ping(self.pings, out);
        self.ping = Some(Ping { sent: now, confirms: self.told, look_at: now + LOOK.0 });
        self.ping_at = now + times.ping;
        self.owed.push_back(Owed { what: AnswerKind::Pong, since: now });
        self.pace.ping();
    }

    /// Appends what the round, if there is one, wants to say.
    fn go_on_with_round(
        &mut self,
        now: Tick,
        (store, queue): (&Store, &Queue),
        times: &LinkTimes,
        rules: Rules,
        out: &mut Vec<u8>,
    ) -> Option<Need> {
        let round = self.round.as_mut()?;
        let (before, owed) = (out.len(), round.owed());
        let room = if rules.repair_is_paced { self.pace.room() } else { usize::MAX };
        let need = round.next(store, room, out);
        let asked = round.owed() - owed;
        self.owed.extend(std::iter::repeat_n(Owed { what: AnswerKind::Round, since: now }, asked));
        self.pace.push(out.len() - before);
        if need == Need::Over {
            self.put_off_round(now, queue, times);
            return None;
        }
        Some(need)
    }

    fn is_round_due(&self, now: Tick, store: &Store, queue: &Queue, rules: Rules) -> bool {
        let is_wanted = now >= self.round_at || rules.heeds_marks && queue.is_behind();
        // A step of the watermark is followed by a round, which tells the neighbour of it.
        let has_moved =
            || self.watermark.is_some_and(|last| store.settled_watermark().is_some_and(|now| now != last));
        now >= self.no_round_before && (is_wanted || has_moved())
    }

    fn begin_round(&mut self, now: Tick, (store, queue): (&Store, &Queue), times: &LinkTimes, rules: Rules) {
        self.round_began = now;
        let watermark = store.settled_watermark();
        self.is_for_mark = queue.clear_mark();
        let sum = self.early_sum.take().unwrap_or_else(|| store.sum());
        let Some(watermark) = watermark.filter(|_| store.settled_watermark() == watermark) else {
            // The store moves to another watermark, or has: its sums are of two.
            return self.put_off_round(now, queue, times);
        };
        self.rounds += 1;
        self.watermark = Some(watermark);
        self.pace.begin();
        self.round = Some(Round::new(self.rounds, (sum, watermark), rules));
    }

    /// A round that compares nothing, for a node that stops and must hand over what it has.
    fn begin_sweep(&mut self, now: Tick, (store, queue): (&Store, &Queue), rules: Rules) {
        self.round_began = now;
        self.is_for_mark = queue.clear_mark();
        self.rounds += 1;
        self.pace.begin();
        self.round = Some(Round::sweep(self.rounds, store, rules));
    }

    /// A round has ended that could not compare the stores: whatever was due to the neighbour is due to it still.
    fn put_off_round(&mut self, now: Tick, queue: &Queue, times: &LinkTimes) {
        self.round = None;
        self.unjudged += 1;
        if self.is_for_mark {
            queue.mark_again();
        }
        self.space_rounds(now, times);
        self.round_at = self.no_round_before;
    }

    /// Keeps the next round away from the one that has just ended; returns how long that one took.
    fn space_rounds(&mut self, now: Tick, times: &LinkTimes) -> Duration {
        let took = now.saturating_sub(self.round_began);
        self.no_round_before = self.round_began + times.round_gap.max(2 * took);
        took
    }

    fn end_round(
        &mut self,
        found: &Findings,
        earlier: &HashMap<Part, (u64, u64)>,
        now: Tick,
        random: u64,
        times: &LinkTimes,
    ) -> RoundOver {
        let took = self.space_rounds(now, times);
        self.unjudged = 0;
        // Three to five quarters, so that the links of a herd do not fall into step.
        let half = times.round.as_nanos() as u64 / 2;
        let jitter = Duration::from_nanos(((u128::from(half) * u128::from(random)) >> 64) as u64);
        self.round_at = now + times.round * 3 / 4 + jitter;
        RoundOver {
            number: self.rounds,
            took,
            differing: found.differing,
            lasting: found.lasting(earlier),
            pushed: found.pushed,
            in_step: false,
        }
    }
}

#[cfg(test)]
#[path = "herd_tests.rs"]
mod tests;
