//! What a node's links are made of: whom they join, in which words, and the times they live by.

use std::time::Duration;

use crate::{
    config::Limits,
    flood::{Conversation, Ends, Link, LinkTimes, PlainLink, Queue},
    model::NodeId,
    node::{Neighbour, Node},
};

/// From one ping to the next, unless a neighbour's silence is to be noticed sooner.
const PING_TIME: Duration = Duration::from_secs(1);

/// Rounds of a link begin at least this far apart, unless they are configured to come sooner.
const ROUND_GAP: Duration = Duration::from_secs(1);

/// A link to that neighbour, which takes what is queued for it from `queue`.
pub(super) fn link(node: &Node, neighbour: &Neighbour, limits: &Limits, queue: Queue) -> Conversation {
    let times = link_times(limits);
    match neighbour.plain {
        None => Conversation::Herd(Link::new(ends(node, &neighbour.id), times, queue)),
        Some(form) => Conversation::Plain(PlainLink::new(node.id.clone(), form, times, queue)),
    }
}

fn ends(node: &Node, peer: &NodeId) -> Ends {
    Ends {
        herd: node.herd.clone(),
        id: node.id.clone(),
        peer: peer.clone(),
        incarnation: node.incarnation,
        check: node.check,
        secret: node.secret.clone(),
    }
}

/// The times of this node's links.
fn link_times(limits: &Limits) -> LinkTimes {
    LinkTimes {
        backoff_min: limits.backoff_min,
        backoff_max: limits.backoff_max,
        backoff_reset: limits.backoff_reset,
        greeting: limits.connect_time,
        ping: PING_TIME.min(limits.liveness_time / 3),
        liveness: limits.liveness_time,
        round: limits.round_time,
        round_gap: ROUND_GAP.min(limits.round_time),
    }
}
