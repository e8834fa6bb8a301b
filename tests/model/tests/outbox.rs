//! Nothing is missed: whatever two sessions store and hand over while the flooder begins a round is in the sums that the
//! round compares, or is queued, or has left a mark that starts another round. Every interleaving is tried, up to a bound
//! of preemptions, with every value the memory orders let a load see; and so is every wrong order of the steps that the
//! header of `src/core/links/outbox.rs` puts in order, to see that the check would tell.

#![allow(clippy::unwrap_used, reason = "a test that cannot do its part has failed")]

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use loom::{sync::Mutex, thread};
use proxyherd_model::outbox::{Encoded, Outbox, Queue, outbox};

/// How often threads are interrupted where they need not wait, at most. Every wrong order shows at fewer.
const PREEMPTIONS_MAX: usize = 3;

/// What one session does with its location.
#[derive(Clone, Copy, Debug)]
enum Session {
    StoresThenOffers,
    StoresThenMarks,
    OffersThenStores,
    MarksThenStores,
}

/// What the flooder does when a connection comes up.
#[derive(Clone, Copy, Debug)]
enum Step {
    Open,
    ClearMark,
    ReadSums,
}

use Session::{MarksThenStores, OffersThenStores, StoresThenMarks, StoresThenOffers};
use Step::{ClearMark, Open, ReadSums};

const OFFERS: &[Session] = &[StoresThenOffers, StoresThenOffers];
const MARKS: &[Session] = &[StoresThenMarks, StoresThenMarks];
const BOTH: &[Session] = &[StoresThenOffers, StoresThenMarks];

/// What an outbox holds at most: both sessions' batches, or one of them.
const WIDE: usize = 1024;
const NARROW: usize = 1;

/// One thing to try.
#[derive(Clone, Copy, Debug)]
struct Scene {
    sessions: &'static [Session],
    steps: [Step; 3],
    /// How often the link comes up; before each time but the first it goes down.
    connections: usize,
    /// How many rounds there are on the last connection. A further one clears the mark and reads the sums.
    rounds: usize,
    bytes_max: usize,
}

impl Scene {
    /// One connection with one round, begun as the header says and as `Link` does: it opens in `hear`, and clears and
    /// reads in `next`.
    fn of(sessions: &'static [Session], bytes_max: usize) -> Self {
        Self { sessions, steps: [Open, ClearMark, ReadSums], connections: 1, rounds: 1, bytes_max }
    }
}

/// In how many interleavings a location was where.
#[derive(Default, Debug)]
struct Seen {
    in_sums: AtomicUsize,
    taken: AtomicUsize,
    marked: AtomicUsize,
    /// What must not be.
    missed: AtomicUsize,
}

/// Each location has a lock of its own, as in a store where each is in another shard. These locks order enough that the
/// outbox would be as sound with Relaxed alone, and the check does not tell the two apart.
type Store = [Mutex<bool>];

impl Session {
    fn run(self, item: usize, store: &Store, outbox: &Outbox) {
        let put = || *store[item].lock().unwrap() = true;
        let batch: Encoded = [item as u8][..].into();
        match self {
            StoresThenOffers => {
                put();
                outbox.offer(&batch);
            }
            StoresThenMarks => {
                put();
                outbox.mark_behind();
            }
            OffersThenStores => {
                outbox.offer(&batch);
                put();
            }
            MarksThenStores => {
                outbox.mark_behind();
                put();
            }
        }
    }
}

/// The flooder's end, and what it knows.
struct Flooder<'a> {
    store: &'a Store,
    queue: Queue,
    /// What the last round's sums hold.
    sums: Vec<bool>,
    /// What came out of the queue and was written on this connection.
    taken: Vec<bool>,
}

impl Flooder<'_> {
    fn step(&mut self, step: Step) {
        match step {
            Open => self.queue.open(),
            ClearMark => {
                self.queue.clear_mark();
            }
            ReadSums => self.sums = self.store.iter().map(|shard| *shard.lock().unwrap()).collect(),
        }
    }

    fn take(&mut self) {
        while let Ok(batch) = self.queue.take() {
            batch.iter().for_each(|&item| self.taken[usize::from(item)] = true);
        }
    }

    fn lose(&mut self) {
        self.queue.close();
        // What was written on one connection may not have been read by the neighbour.
        self.taken.fill(false);
    }
}

/// Runs the sessions beside `flood` in every interleaving, then `judge`.
fn try_all(
    (sessions, bytes_max): (&'static [Session], usize),
    flood: impl Fn(&mut Flooder<'_>) + Send + Sync + 'static,
    judge: impl Fn(&mut Flooder<'_>) + Send + Sync + 'static,
) {
    let mut checker = loom::model::Builder::new();
    checker.preemption_bound = Some(PREEMPTIONS_MAX);
    checker.check(move || {
        let store: Arc<Store> = sessions.iter().map(|_| Mutex::new(false)).collect();
        let (outbox, queue) = outbox(bytes_max);
        let outbox = Arc::new(outbox);
        let start = |(item, &session): (usize, &'static Session)| {
            let (store, outbox) = (Arc::clone(&store), Arc::clone(&outbox));
            thread::spawn(move || session.run(item, &store, &outbox))
        };
        let running: Vec<_> = sessions.iter().enumerate().map(start).collect();
        let (sums, taken) = (Vec::new(), vec![false; sessions.len()]);
        let mut flooder = Flooder { store: &store, queue, sums, taken };
        flood(&mut flooder);
        running.into_iter().for_each(|session| session.join().unwrap());
        judge(&mut flooder);
    });
}

/// Where each location is in the end, over all interleavings.
fn explore(scene: Scene) -> Seen {
    let seen = Arc::new(Seen::default());
    let count = Arc::clone(&seen);
    let flood = move |flooder: &mut Flooder<'_>| {
        for connection in 0..scene.connections {
            if connection > 0 {
                flooder.lose();
            }
            scene.steps.into_iter().for_each(|step| flooder.step(step));
        }
        flooder.take();
        for _ in 1..scene.rounds {
            flooder.step(ClearMark);
            flooder.step(ReadSums);
        }
    };
    // The mark is looked at here alone: a load of it in between makes loom 0.7.2 forget, of two stores that it could
    // not order before, that the later is the later, and so read the earlier here although both happened before.
    let judge = move |flooder: &mut Flooder<'_>| {
        flooder.take();
        let is_marked = flooder.queue.is_behind();
        for (&in_sums, &taken) in flooder.sums.iter().zip(&flooder.taken) {
            let place = match (in_sums, taken, is_marked) {
                (true, ..) => &count.in_sums,
                (_, true, _) => &count.taken,
                (.., true) => &count.marked,
                _ => &count.missed,
            };
            place.fetch_add(1, Relaxed);
        }
    };
    try_all((scene.sessions, scene.bytes_max), flood, judge);
    Arc::into_inner(seen).unwrap()
}

/// Nothing is missed, and each way named is gone in some interleaving, so that the check is not one of nothing.
#[track_caller]
fn expect_sound(scene: Scene, (is_taken, is_marked): (bool, bool)) {
    let seen = explore(scene);
    assert_eq!(seen.missed.into_inner(), 0, "{scene:?}");
    assert!(seen.in_sums.into_inner() > 0, "{scene:?}");
    assert_eq!(
        (seen.taken.into_inner() > 0, seen.marked.into_inner() > 0),
        (is_taken, is_marked),
        "{scene:?}"
    );
}

#[test]
fn what_is_offered_while_a_link_comes_up_is_not_missed() {
    expect_sound(Scene::of(OFFERS, WIDE), (true, false));
}

#[test]
fn what_finds_no_room_is_not_missed() {
    expect_sound(Scene::of(OFFERS, NARROW), (true, true));
    expect_sound(Scene { rounds: 2, ..Scene::of(OFFERS, NARROW) }, (true, true));
}

#[test]
fn what_was_learned_by_repair_is_not_missed() {
    expect_sound(Scene::of(MARKS, WIDE), (false, true));
    expect_sound(Scene { rounds: 2, ..Scene::of(MARKS, WIDE) }, (false, true));
}

#[test]
fn repair_beside_news_misses_nothing() {
    expect_sound(Scene::of(BOTH, WIDE), (true, true));
    expect_sound(Scene::of(BOTH, NARROW), (true, true));
}

#[test]
fn what_comes_while_a_link_goes_down_and_up_is_not_missed() {
    expect_sound(Scene { connections: 2, ..Scene::of(OFFERS, WIDE) }, (true, false));
    expect_sound(Scene { connections: 2, ..Scene::of(BOTH, NARROW) }, (true, true));
}

#[test]
fn a_mark_left_by_repair_wakes_the_flooder() {
    for (sessions, bytes_max) in [(MARKS, WIDE), (MARKS, NARROW), (BOTH, NARROW)] {
        let [seen, woken] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
        let (count_seen, count_woken) = (Arc::clone(&seen), Arc::clone(&woken));
        let is_seen = Arc::new(AtomicUsize::new(0));
        let was_seen = Arc::clone(&is_seen);
        let flood = move |flooder: &mut Flooder<'_>| {
            flooder.step(Open);
            flooder.take();
            is_seen.store(usize::from(flooder.queue.is_behind()), Relaxed);
        };
        let judge = move |flooder: &mut Flooder<'_>| {
            let is_woken = !flooder.queue.receiver().is_empty();
            assert!(
                is_woken || was_seen.load(Relaxed) == 1,
                "the flooder sleeps, and the mark is not heeded"
            );
            count_woken.fetch_add(usize::from(is_woken), Relaxed);
            count_seen.fetch_add(was_seen.load(Relaxed), Relaxed);
        };
        try_all((sessions, bytes_max), flood, judge);
        assert!(seen.load(Relaxed) > 0 && woken.load(Relaxed) > 0, "{seen:?} {woken:?}");
    }
}

#[test]
fn a_session_that_hands_over_first_is_seen_to_miss() {
    for (sessions, bytes_max) in [
        (&[StoresThenOffers, OffersThenStores][..], WIDE),
        (&[StoresThenOffers, OffersThenStores], NARROW),
        (&[StoresThenOffers, MarksThenStores], WIDE),
    ] {
        let scene = Scene::of(sessions, bytes_max);
        assert!(explore(scene).missed.into_inner() > 0, "{scene:?}");
    }
}

#[test]
fn a_flooder_that_does_not_read_the_sums_last_is_seen_to_miss() {
    for (steps, sessions) in [
        ([Open, ReadSums, ClearMark], MARKS),
        ([ReadSums, Open, ClearMark], OFFERS),
        ([ReadSums, Open, ClearMark], MARKS),
        ([ReadSums, ClearMark, Open], OFFERS),
        ([ReadSums, ClearMark, Open], MARKS),
        ([ClearMark, ReadSums, Open], OFFERS),
    ] {
        let scene = Scene { steps, ..Scene::of(sessions, WIDE) };
        assert!(explore(scene).missed.into_inner() > 0, "{scene:?}");
    }
    // The mark that a dropped batch leaves is lost in the same way.
    let scene = Scene { steps: [Open, ReadSums, ClearMark], ..Scene::of(OFFERS, NARROW) };
    assert!(explore(scene).missed.into_inner() > 0, "{scene:?}");
}

#[test]
fn whether_the_mark_is_cleared_before_or_after_opening_is_all_one() {
    let steps = [ClearMark, Open, ReadSums];
    expect_sound(Scene { steps, ..Scene::of(OFFERS, NARROW) }, (true, true));
    expect_sound(Scene { steps, ..Scene::of(MARKS, WIDE) }, (false, true));
}
