//! What a session does for a line, without its socket, its log and its neighbours: the line is parsed, its client
//! placed, the store read or updated, the reply written.

use std::{net::SocketAddr, ops::Range};

use parking_lot::MutexGuard;
use proxyherd::{
    core::{
        model::{Generation, Location, Skew, Timestamp},
        store::{KeyHash, Outcome, Store},
        wire::{Form, Report, Request, Whatsat},
    },
    system::clock,
};
use rand::{SeedableRng, rngs::SmallRng};

use super::gates::Gates;
use crate::{clock::Clock, keys::Keys, load::Load, requests::Composer};

/// A session takes this many lines at a time, and looks at the clock once for them.
pub(super) const LINES: u64 = 16;
/// The server's name in what is stored and answered.
const SERVER: &[u8] = b"Solo";

/// The results of a session's lines.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Done {
    /// Reports that the store accepted.
    pub(super) updates: u64,
    /// Questions that were answered.
    pub(super) answers: u64,
    /// Lines of either kind without any result. There should be none.
    pub(super) failures: u64,
    /// Lines that found the lock taken.
    pub(super) met_locked: u64,
}

/// One thread's, with clients of its own, so that each of its reports is an update.
#[derive(Debug)]
pub(super) struct Session<'a> {
    store: &'a Store,
    gates: &'a Gates<'a>,
    keys: Keys,
    random: SmallRng,
    /// Of 100 lines so many are questions.
    reads: u32,
    /// Hundredths of a question that are due by now. The first line is one, so that the shortest trial asks, too.
    due: u32,
    clock: Clock,
    composer: Composer,
    line: Vec<u8>,
    replies: Vec<u8>,
    done: Done,
}

impl<'a> Session<'a> {
    pub(super) fn new(store: &'a Store, gates: &'a Gates<'a>, clients: Range<u32>, reads: u32) -> Self {
        let random = SmallRng::seed_from_u64(u64::from(clients.start));
        Self::with_keys(store, gates, Keys::Uniform(clients), random, reads)
    }

    fn with_keys(store: &'a Store, gates: &'a Gates<'a>, keys: Keys, random: SmallRng, reads: u32) -> Self {
        let clock = Clock::start();
        // Only the form of a load's lines is needed.
        let load = Load { radius_km: 10, bound: 5, ..Load::on(SocketAddr::from(([127, 0, 0, 1], 0))) };
        let composer = Composer::new(&load, clock.posix_ns(0));
        let (line, replies) = (Vec::new(), Vec::new());
        let (due, done) = ((100 - reads) % 100, Done::default());
        Self { store, gates, keys, random, reads, due, clock, composer, line, replies, done }
    }

    /// Takes some lines, as after one read.
    pub(super) fn batch(&mut self) {
        let now = clock::now().wall;
        self.composer.set_time(self.clock.posix_ns(self.clock.elapsed_ns()));
        self.replies.clear();
        for _ in 0..LINES {
            self.compose();
            let line = std::mem::take(&mut self.line);
            if !self.execute(&line, now) {
                self.done.failures += 1;
            }
            self.line = line;
        }
    }

    pub(super) fn done(&self) -> Done {
        self.done
    }

    /// The next line, without its end.
    fn compose(&mut self) {
        self.line.clear();
        let client = self.keys.next(&mut self.random);
        self.due += self.reads;
        if self.due >= 100 {
            self.due -= 100;
            self.composer.lookup(&mut self.line, client);
        } else {
            self.composer.report(&mut self.line, client);
        }
        self.line.pop();
    }

    /// Whether it had a result.
    fn execute(&mut self, line: &[u8], now: Timestamp) -> bool {
        match Request::parse(line, &Form::PLACES) {
            Ok(Request::Iamat(report)) => self.report(&report, now),
            Ok(Request::Whatsat(query)) => self.answer(&query),
            Ok(Request::Forget(_) | Request::Auth(_)) | Err(_) => false,
        }
    }

    fn report(&mut self, report: &Report<'_>, now: Timestamp) -> bool {
        let skew = Skew::between(now, report.time).text();
        let mut location = Location {
            server: SERVER,
            skew: skew.as_bytes(),
            client: report.client,
            position: report.position,
            timestamp: report.timestamp,
            time: report.time,
            generation: Generation::FIRST,
        };
        let place = self.store.key_hash(report.client);
        let outcome = {
            let _held = self.enter(place);
            self.store.report(place, &mut location, || true)
        };
        location.write_at(&mut self.replies);
        self.replies.push(b'\n');
        self.done.updates += u64::from(outcome.is_news());
        matches!(outcome, Outcome::Added | Outcome::Replaced)
    }

    fn answer(&mut self, query: &Whatsat<'_>) -> bool {
        let place = self.store.key_hash(query.client);
        let gate = self.gates.enter(place, &mut self.done.met_locked);
        let replies = &mut self.replies;
        let found = self.store.get(place, query.client, |location| location.write_at(replies));
        drop(gate);
        self.replies.push(b'\n');
        self.done.answers += u64::from(found.is_some());
        found.is_some()
    }

    fn enter(&mut self, place: KeyHash) -> Option<MutexGuard<'a, ()>> {
        self.gates.enter(place, &mut self.done.met_locked)
    }
}

/// Reports each client once.
pub(super) fn fill(store: &Store, gates: &Gates<'_>, clients: u32) -> Done {
    let keys = Keys::in_turn(0..clients);
    let mut session = Session::with_keys(store, gates, keys, SmallRng::seed_from_u64(0), 0);
    (0..u64::from(clients).div_ceil(LINES)).for_each(|_| session.batch());
    session.done()
}

#[cfg(test)]
mod tests {
    use proxyherd::core::store::Placement;

    use super::*;
    use crate::locks::Behind;

    #[test]
    fn every_report_is_news_and_every_question_is_answered() {
        let placement = Placement::of_herd("bench");
        let store = Store::new(placement, 1_000);
        let gates = Gates::new(&placement, Behind::Gates(16));
        let filled = fill(&store, &gates, 1_000);
        assert_eq!((store.len(), filled.failures), (1_000, 0));
        let sum = store.sum();
        let mut session = Session::new(&store, &gates, 0..500, 25);
        (0..500).for_each(|_| session.batch());
        let Done { updates, answers, failures, met_locked } = session.done();
        assert_eq!((updates, answers, failures, met_locked), (6_000, 2_000, 0, 0));
        assert_ne!(store.sum(), sum);
        assert_eq!(store.len(), 1_000);
    }

    #[test]
    fn first_line_is_a_question_and_so_many_of_each_100_are() {
        let placement = Placement::of_herd("bench");
        let store = Store::new(placement, 1_000);
        let gates = Gates::new(&placement, Behind::Own);
        fill(&store, &gates, 1_000);
        for (reads, first) in [(0, 0), (1, 1), (10, 2), (99, 15), (100, 16)] {
            let mut session = Session::new(&store, &gates, 0..500, reads);
            session.batch();
            assert_eq!(session.done().answers, first, "{reads}");
            (1..100).for_each(|_| session.batch());
            let Done { updates, answers, .. } = session.done();
            assert_eq!((updates + answers, answers), (1_600, u64::from(reads) * 16), "{reads}");
        }
    }

    #[test]
    fn a_question_about_nobody_is_a_failure() {
        let placement = Placement::of_herd("bench");
        let store = Store::new(placement, 1_000);
        let gates = Gates::new(&placement, Behind::Own);
        let mut session = Session::new(&store, &gates, 0..500, 100);
        session.batch();
        assert_eq!((session.done().answers, session.done().failures), (0, LINES));
    }
}
