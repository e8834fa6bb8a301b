//! What a node's links are made of: whom they join, in which words, and from which queue.

use crate::{
    config::Limits,
    flood::{Conversation, Ends, Link, LinkTimes, PlainLink, Queue},
    model::NodeId,
    node::{Neighbour, Node},
};

/// A link to that neighbour, which takes what is queued for it from `queue`.
pub(super) fn link(node: &Node, neighbour: &Neighbour, limits: &Limits, queue: Queue) -> Conversation {
    let times = LinkTimes::of(limits);
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
