//! What the targets share: nodes without sockets, and a stream cut into reads.

use std::{sync::Arc, time::Duration};

use proxyherd::{
    core::{
        access::{Access, Secret, SecretKey},
        links::{Health, Queue, outbox},
        model::{NodeId, Now, Timestamp},
        node::{LookupRules, Neighbour, Node, Options, ReportLimits, Subscribers},
        store::{KeyHash, Placement, Shape, Store},
        wire::{Form, Nonce, PlainForm},
    },
    places::{Failure, Query, Source},
};

/// How many clients a node takes from clients.
pub(crate) const CLIENTS_MAX: usize = 5;

/// How far ahead a report may be.
pub(crate) const AHEAD_MAX: Duration = Duration::from_secs(3600);

/// The time of everything that clients say.
pub(crate) fn now() -> Now {
    Now { wall: Timestamp::new(1_479_413_884, 655_887_836), tick: Duration::from_secs(1) }
}

/// What every handshake's nonce is here.
pub(crate) const NONCE: Nonce = Nonce::of_bytes([0x0e; Nonce::BYTES]);

/// So few parts that a handful of clients meet in one.
const SHAPE: Shape = Shape::new(1, 1);

/// Every node's incarnation is another; this is added to the first letter of its name.
const INCARNATION: u64 = 0xfeed_0000;

/// The incarnation of the node of that name.
pub(crate) fn incarnation(id: &str) -> u64 {
    INCARNATION + u64::from(id.as_bytes()[0])
}

/// What checks the placement of all nodes here.
pub(crate) fn placement() -> Placement {
    Placement::of_herd("test").shaped(SHAPE)
}

/// A secret that no input knows.
pub(crate) fn secret() -> Arc<Secret> {
    Arc::new(Secret::new(SecretKey::of_bytes([0x5e; 32]), [0; 16]))
}

/// A node's name.
pub(crate) fn id(name: &str) -> NodeId {
    NodeId::new(name).expect("a good name")
}

/// A node of that name, and what waits for its neighbours, in their order. The links are down at first.
pub(crate) fn node(name: &str, neighbours: &[&str]) -> (Arc<Node>, Vec<Queue>) {
    node_with(None, name, neighbours)
}

/// The same, where a neighbour with a form is a third-party node.
pub(crate) fn node_among(name: &str, neighbours: &[(&str, Option<PlainForm>)]) -> (Arc<Node>, Vec<Queue>) {
    build(None, name, neighbours)
}

/// A node of that name, alone, where this says who may do what.
pub(crate) fn node_granting(name: &str, access: Access) -> Arc<Node> {
    let (node, _) = build(None, name, &[]);
    Arc::new(Arc::into_inner(node).expect("nobody else has it").granting(access))
}

/// The same of a herd that may have a secret.
pub(crate) fn node_with(
    secret: Option<Arc<Secret>>,
    name: &str,
    neighbours: &[&str],
) -> (Arc<Node>, Vec<Queue>) {
    let peers: Vec<_> = neighbours.iter().map(|&neighbour| (neighbour, None)).collect();
    build(secret, name, &peers)
}

fn build(
    secret: Option<Arc<Secret>>,
    name: &str,
    neighbours: &[(&str, Option<PlainForm>)],
) -> (Arc<Node>, Vec<Queue>) {
    let mut queues = Vec::new();
    let neighbours = neighbours.iter().map(|(neighbour, plain)| {
        let (outbox, queue) = outbox(1 << 20);
        queues.push(queue);
        // Nobody waits for the word, and saying it to nobody is no fault.
        Neighbour {
            id: id(neighbour),
            outbox,
            called: crossbeam_channel::bounded(1).0,
            plain: plain.clone(),
            health: Health::default(),
        }
    });
    let options = Options {
        herd: "test".to_owned(),
        placement: placement(),
        secret,
        id: id(name),
        incarnation: incarnation(name),
        forget_after: None,
        reports: ReportLimits { max_clients: CLIENTS_MAX, max_ahead: Some(AHEAD_MAX), ..ReportLimits::NONE },
        neighbours: neighbours.collect(),
        liveness: Duration::from_secs(5),
        subscribers: Subscribers::default(),
        lookups: Some(LookupRules { form: Form::PLACES, may_wait: false }),
    };
    (Arc::new(Node::new(options).forgetting_for_everyone()), queues)
}

/// Answers a lookup with the question.
pub(crate) struct Echo;

/// Its answer.
pub(crate) fn document(query: &Query) -> String {
    format!("{{\n{query:?}\n}}")
}

impl Source for Echo {
    fn may_wait(&self) -> bool {
        false
    }

    fn nearby(&self, query: &Query, out: &mut Vec<u8>) -> Result<usize, Failure> {
        if query.bound == 13 {
            return Err(Failure { status: "UNKNOWN_ERROR", message: "thirteen".to_owned() });
        }
        out.extend_from_slice(document(query).as_bytes());
        Ok(query.bound)
    }
}

/// Cuts `stream` into reads whose lengths the two numbers say.
pub(crate) fn reads(stream: &[u8], (first, step): (u8, u8), mut read: impl FnMut(&[u8])) {
    let (mut rest, mut length) = (stream, first);
    while !rest.is_empty() {
        let (bytes, later) = rest.split_at(rest.len().min(1 + usize::from(length)));
        read(bytes);
        (rest, length) = (later, length.wrapping_add(step));
    }
}

/// Holds that the store's sums are those of its entries, and these in order.
pub(crate) fn check_sums(store: &Store) {
    let (mut all, mut count) = (0, 0);
    let shard_sums = store.shard_sums();
    for (shard, &shard_sum) in shard_sums.iter().enumerate() {
        let leaf_sums = store.leaf_sums(shard);
        for (leaf, &leaf_sum) in leaf_sums.iter().enumerate() {
            let entries = store.entries(shard, leaf, KeyHash::of_bits(0));
            assert!(entries.is_sorted_by_key(|entry| entry.key));
            assert_eq!(leaf_sum, entries.iter().fold(0, |sum, entry| sum ^ entry.hash));
            count += entries.len();
        }
        assert_eq!(shard_sum, leaf_sums.iter().fold(0, |sum, leaf| sum ^ leaf));
        all ^= shard_sum;
    }
    assert_eq!((store.sum(), store.len() + store.tombstones()), (all, count));
}
