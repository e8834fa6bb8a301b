//! Subscribers to changes under load: sessions of several threads store and offer, while one that wants all and one that
//! wants keys take what there is room for, and walk the store where there was none.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use proxyherd::core::{
    dialogue::{Dialogue, Host, Looked, Next, Opening, Party, Reply, Times},
    links::{Queue, outbox},
    model::{NodeId, Now, Timestamp},
    node::{Node, Options, ReportLimits, Subscribers},
    store::{Cursor, KeyHash, Placement, Store},
    wire::{Line, Nonce, PlainForm, PlainLine},
};

const SESSIONS: usize = 4;
const BATCHES: usize = 300;
const REPORTS: usize = 20;
const CLIENTS: u64 = 200;

struct Deaf;

impl Host for Deaf {
    fn nonce(&mut self) -> Result<Nonce, String> {
        panic!("nobody shakes hands")
    }

    fn said(&mut self, _line: Line<'_>, _party: &Party, reply: &Reply<'_>) {
        assert!(matches!(reply, Reply::At { .. }));
    }

    fn looked(&mut self, _looked: &Looked, _document: &[u8]) {}
}

/// Reports some clients, each at a time that nobody has reported.
fn report(node: &Node, clock: &AtomicU64) {
    let hour = Duration::from_secs(3600);
    let times = Times { idle: hour, line: hour, handshake: hour, liveness: hour };
    let now = Now { wall: Timestamp::new(1, 0), tick: Duration::ZERO };
    let opening = Opening::Common { is_kept: false };
    let mut dialogue = Dialogue::new(node, opening, (times, 512), 1, now.tick);
    for _ in 0..BATCHES {
        let mut text = String::new();
        for _ in 0..REPORTS {
            let time = clock.fetch_add(1, Ordering::Relaxed);
            writeln!(text, "IAMAT c{} +1+1 {time}", time.wrapping_mul(7919) % CLIENTS).unwrap();
        }
        let mut rest = text.as_bytes();
        loop {
            match dialogue.next(now.tick, &mut Deaf) {
                Next::Wait(_) if rest.is_empty() => break,
                Next::Wait(_) => {
                    let space = dialogue.space();
                    let (read, later) = rest.split_at(rest.len().min(space.len()));
                    space[..read.len()].copy_from_slice(read);
                    dialogue.received(read.len(), now);
                    rest = later;
                }
                Next::Offer => dialogue.offer(|_| panic!("there is no neighbour")),
                Next::Write => dialogue.wrote(),
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Takes what is queued until the sessions are done and nothing is left. Gives how often it walked the store.
fn follow<T>(
    queue: &Queue<T>,
    is_done: &AtomicBool,
    mut take: impl FnMut(&[T]),
    mut walk: impl FnMut(),
) -> usize {
    let mut walks = 0;
    loop {
        // Looked at first: what is queued after it is set is nobody's.
        let was_done = is_done.load(Ordering::Acquire);
        let batch = queue.receiver().recv_timeout(Duration::from_millis(1)).map(|batch| queue.taken(batch));
        if let Ok(batch) = &batch {
            take(batch);
        }
        if queue.is_behind() {
            queue.clear_mark();
            walk();
            walks += 1;
        } else if was_done && batch.is_err() {
            return walks;
        }
    }
}

/// A node without neighbours.
fn node(subscribers: Subscribers) -> Node {
    Node::new(Options {
        herd: "test".to_owned(),
        placement: Placement::of_herd("test"),
        secret: None,
        id: NodeId::new("Alford").unwrap(),
        incarnation: 1,
        forget_after: None,
        reports: ReportLimits::NONE,
        liveness: Duration::from_secs(5),
        neighbours: Vec::new(),
        subscribers,
        lookups: None,
    })
}

#[test]
fn nothing_is_missed_under_load_and_nothing_is_told_twice_between_two_walks() {
    let ((all_outbox, all), (keys_outbox, keys)) = (outbox(8 * 1024), outbox::<KeyHash>(1024));
    let node = node(Subscribers { all: vec![all_outbox], keys: vec![keys_outbox] });
    all.open();
    keys.open();
    let (is_done, clock, believed) =
        (AtomicBool::new(false), AtomicU64::new(1), Store::new(Placement::of_herd("test"), 0));
    // Nobody takes anything yet, so that there is no room for all.
    report(&node, &clock);
    let (walks, seen) = thread::scope(|scope| {
        let follow_all = scope.spawn(|| {
            let told = std::cell::RefCell::new(HashSet::new());
            let take = |batch: &[u8]| {
                for line in batch.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
                    assert!(told.borrow_mut().insert(line.to_vec()), "told twice: {}", line.escape_ascii());
                    let line = PlainLine::parse(line, &PlainForm::default()).unwrap();
                    let skew = line.skew_text();
                    let location = line.location(&skew);
                    believed.merge(believed.key_hash(location.client), &location.into());
                }
            };
            let walk = || {
                told.borrow_mut().clear();
                Cursor::default().walk(node.store(), |entry, record| {
                    believed.merge(entry.key, record);
                    true
                });
            };
            follow(&all, &is_done, take, walk)
        });
        let follow_keys = scope.spawn(|| {
            let seen = std::cell::RefCell::new(HashMap::new());
            let look = |wanted: Option<&[KeyHash]>| {
                Cursor::default().walk(node.store(), |entry, _| {
                    if wanted.is_none_or(|wanted| wanted.contains(&entry.key)) {
                        seen.borrow_mut().insert(entry.key, entry.hash);
                    }
                    true
                });
            };
            let walks = follow(&keys, &is_done, |batch| look(Some(batch)), || look(None));
            (walks, seen.into_inner())
        });
        let sessions: Vec<_> = (0..SESSIONS).map(|_| scope.spawn(|| report(&node, &clock))).collect();
        for session in sessions {
            session.join().unwrap();
        }
        is_done.store(true, Ordering::Release);
        let (walks_of_keys, seen) = follow_keys.join().unwrap();
        ([follow_all.join().unwrap(), walks_of_keys], seen)
    });
    assert!(walks.iter().all(|&walks| walks > 0), "there was room for all: {walks:?}");
    assert_eq!((believed.len(), believed.sum()), (node.store().len(), node.store().sum()));
    let mut count = 0;
    Cursor::default().walk(node.store(), |entry, location| {
        assert_eq!(seen.get(&entry.key), Some(&entry.hash), "{location:?}");
        count += 1;
        true
    });
    assert_eq!(count, seen.len());
}
