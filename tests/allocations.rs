//! That the way of an IAMAT allocates nothing once its buffers have grown, and the way of a batch to the neighbours once.
//! A program of its own, because what counts the allocations takes the place of its allocator.

#![allow(clippy::unwrap_used, reason = "a test that cannot do its part has failed")]

use std::fmt::Write as _;

use allocation_counter::measure;
use proxyherd::{
    core::{
        links::{Health, Queue, outbox},
        model::{NodeId, Now, Timestamp},
        node::{Batch, Neighbour, Node, Options, Origin, Prepared},
        store::Placement,
        wire::{Line, LineBuffer},
    },
    log::{Log, LogOptions, Traffic},
};

const LINES: usize = 16;

/// A session without its socket.
struct Session {
    node: Node,
    buffer: LineBuffer,
    batch: Batch,
    /// Seconds of the last reports' timestamps.
    seconds: u64,
}

impl Session {
    fn new(neighbours: Vec<Neighbour>) -> Self {
        let node = Node::new(Options {
            herd: "test".to_owned(),
            placement: Placement::of_herd("test"),
            secret: None,
            id: NodeId::new("Alford").unwrap(),
            incarnation: 1,
            max_clients: LINES,
            max_ahead: None,
            neighbours,
            places: None,
        });
        Self { node, buffer: LineBuffer::new(512), batch: Batch::default(), seconds: 1_479_413_884 }
    }

    /// Every client reports anew, in one batch. `each` is told what came and what is replied.
    fn report(&mut self, mut each: impl FnMut(&[u8], &[u8])) {
        self.seconds += 1;
        let mut text = String::with_capacity(LINES * 100);
        for client in 0..LINES {
            writeln!(text, "IAMAT kiwi{client:02} +34.068930-118.445127 {}.392014450", self.seconds).unwrap();
        }
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let space = self.buffer.space();
            let count = space.len().min(rest.len());
            space[..count].copy_from_slice(&rest[..count]);
            rest = &rest[count..];
            self.buffer.filled(count);
            let prepare = |line| self.node.prepare(line, Origin::Client);
            let group: arrayvec::ArrayVec<Prepared<'_>, LINES> =
                self.buffer.take_lines().map(prepare).collect();
            self.node.prefetch(&group);
            for prepared in &group {
                let now = Now { wall: Timestamp::new(1_479_413_884, 0), tick: std::time::Duration::ZERO };
                let replied = self.batch.replies.len();
                self.node.execute(prepared, now, &mut self.batch);
                let Line::Whole(line, _) = prepared.line else { panic!("the lines are short") };
                each(line, &self.batch.replies[replied..]);
            }
        }
        self.node.flood(&mut self.batch, Origin::Client, |_| panic!("the outbox is large enough"));
        self.batch.replies.clear();
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
    assert_eq!(allocations_after_warm_up(|| session.report(|_, _| {})), 0);
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
    assert_eq!(allocations_after_warm_up(|| session.report(|_, _| {})), 1);
    for queue in queues {
        assert_eq!(std::iter::from_fn(|| queue.take().ok()).count(), 6);
    }
}

#[test]
fn a_batch_that_is_logged_allocates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(LogOptions {
        path: folder.path().join("Alford.log"),
        traffic: true,
        bodies: false,
        buffer_bytes: 1 << 20,
        file_bytes: 1 << 30,
        files_kept: 0,
    });
    let log = log.unwrap();
    let (mut session, mut traffic) = (Session::new(Vec::new()), Traffic::default());
    let batch = || {
        traffic.begin(Timestamp::new(1_479_413_884, 392_014_450), 17);
        session.report(|line, reply| {
            traffic.line_in(line);
            traffic.line_out(reply.trim_ascii_end());
        });
        traffic.finish(&log);
    };
    assert_eq!(allocations_after_warm_up(batch), 0);
}
