//! That the way of an IAMAT allocates nothing once its buffers have grown, and the way of a batch to the neighbours once.
//! A program of its own, because what counts the allocations takes the place of its allocator.

#![allow(clippy::unwrap_used, reason = "a test that cannot do its part has failed")]

use std::{fmt::Write as _, sync::Arc, time::Duration};

use allocation_counter::measure;
use proxyherd::{
    core::{
        dialogue::{Dialogue, Host, Looked, Next, Opening, Party, Reply, Times},
        links::{Health, Queue, outbox},
        model::{Location, NodeId, Now, Timestamp},
        node::{Neighbour, Node, Options, ReportLimits, Subscribers},
        store::{Placement, Store},
        wire::{Line, Nonce},
    },
    log::{Log, LogContent, LogOptions, Traffic},
};

const LINES: usize = 16;

/// A session without its socket.
struct Session {
    dialogue: Dialogue<Arc<Node>>,
    node: Arc<Node>,
    /// Seconds of the last reports' timestamps.
    seconds: u64,
}

/// Hears nothing.
struct Deaf;

impl Host for Deaf {
    fn nonce(&mut self) -> Result<Nonce, String> {
        panic!("nobody shakes hands")
    }

    fn said(&mut self, _line: Line<'_>, _party: &Party, _reply: &Reply<'_>) {}

    fn looked(&mut self, _looked: &Looked, _document: &[u8]) {}
}

/// Logs what it hears, as a session's thread does.
struct Logged<'a>(&'a mut Traffic);

impl Host for Logged<'_> {
    fn nonce(&mut self) -> Result<Nonce, String> {
        panic!("nobody shakes hands")
    }

    fn said(&mut self, line: Line<'_>, party: &Party, reply: &Reply<'_>) {
        assert!(matches!(reply, Reply::At { .. }));
        self.0.said(line, party, reply);
    }

    fn looked(&mut self, _looked: &Looked, _document: &[u8]) {}
}

impl Session {
    fn new(neighbours: Vec<Neighbour>) -> Self {
        let hour = Duration::from_secs(3600);
        let node = Arc::new(Node::new(Options {
            herd: "test".to_owned(),
            placement: Placement::of_herd("test"),
            secret: None,
            id: NodeId::new("Alford").unwrap(),
            incarnation: 1,
            forget_after: None,
            reports: ReportLimits { max_clients: LINES, ..ReportLimits::NONE },
            liveness: hour,
            neighbours,
            subscribers: Subscribers::default(),
            lookups: None,
        }));
        let times = Times { idle: hour, line: hour, handshake: hour, liveness: hour };
        let opening = Opening::Common { is_kept: false };
        let dialogue = Dialogue::new(Arc::clone(&node), opening, (times, 512), 17, Duration::ZERO);
        Self { dialogue, node, seconds: 1_479_413_884 }
    }

    /// Every client reports anew, in one batch.
    fn report(&mut self, host: &mut impl Host) {
        self.seconds += 1;
        let mut text = String::with_capacity(LINES * 100);
        for client in 0..LINES {
            writeln!(text, "IAMAT kiwi{client:02} +34.068930-118.445127 {}.392014450", self.seconds).unwrap();
        }
        let mut rest = text.as_bytes();
        let now = Now { wall: Timestamp::new(1_479_413_884, 0), tick: Duration::ZERO };
        loop {
            match self.dialogue.next(now.tick, host) {
                Next::Wait(_) if rest.is_empty() => return,
                Next::Wait(_) => {
                    let space = self.dialogue.space();
                    let (read, later) = rest.split_at(rest.len().min(space.len()));
                    space[..read.len()].copy_from_slice(read);
                    self.dialogue.received(read.len(), now);
                    rest = later;
                }
                Next::Offer => self.dialogue.offer(|_| panic!("the outbox is large enough")),
                Next::Write => self.dialogue.wrote(),
                other => panic!("{other:?}"),
            }
        }
    }
}

/// How often a batch allocates, once others have come before it. The text it is sent is one.
fn allocations_after_warm_up(mut batch: impl FnMut()) -> u64 {
    // The log's buffer holds all of them, and doubles: there is room in it for a sixth, and none for a ninth.
    (0..5).for_each(|_| batch());
    measure(batch).count_total - 1
}

#[test]
fn a_batch_of_reports_allocates_nothing() {
    let mut session = Session::new(Vec::new());
    assert_eq!(allocations_after_warm_up(|| session.report(&mut Deaf)), 0);
    assert_eq!(session.node.store().len(), LINES);
}

#[test]
fn a_batch_for_all_neighbours_allocates_once() {
    let (outboxes, queues): (Vec<_>, Vec<_>) = [outbox(1 << 20), outbox(1 << 20)].into_iter().unzip();
    queues.iter().for_each(Queue::open);
    let neighbour = |outbox| Neighbour {
        id: NodeId::new("Welsh").unwrap(),
        outbox,
        called: crossbeam_channel::bounded(1).0,
        plain: None,
        health: Health::default(),
    };
    let mut session = Session::new(outboxes.into_iter().map(neighbour).collect());
    assert_eq!(allocations_after_warm_up(|| session.report(&mut Deaf)), 1);
    for queue in queues {
        assert_eq!(std::iter::from_fn(|| queue.take().ok()).count(), 6);
    }
}

#[test]
fn a_batch_that_is_logged_allocates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(LogOptions {
        path: folder.path().join("Alford.log"),
        events_path: None,
        audit: None,
        content: LogContent { traffic: true, bodies: false, connections: false },
        buffer_bytes: 1 << 20,
        file_bytes: 1 << 30,
        files_kept: 0,
    });
    let log = log.unwrap();
    let (mut session, mut traffic) = (Session::new(Vec::new()), Traffic::default());
    let batch = || {
        traffic.begin(Timestamp::new(1_479_413_884, 392_014_450), 17);
        session.report(&mut Logged(&mut traffic));
        traffic.finish(&log);
    };
    assert_eq!(allocations_after_warm_up(batch), 0);
}

#[test]
fn a_store_counts_the_bytes_that_its_locations_take() {
    let store = Store::new(Placement::of_herd("test"), usize::MAX);
    let given = measure(|| {
        for number in 0..40_000 {
            // A third of them report again, and need more room.
            let (client, position) = (
                format!("kiwi{}", number % 30_000),
                format!("+1.{}+1", "1".repeat(1 + number / 30_000 * 20)),
            );
            let timestamp = number.to_string();
            let fields = ["Alford", "+0.000000001", &client, &position, &timestamp].map(str::as_bytes);
            let mut location = Location::of_fields(fields).unwrap();
            assert!(store.report(store.key_hash(location.client), &mut location, || true).is_news());
        }
    });
    // Lists of pages have room for a few more.
    let parts = store.bytes() as f64 / given.bytes_current as f64;
    assert!((0.98..=1.0).contains(&parts), "{parts} of {given:?}");
}
