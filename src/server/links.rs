//! What a node's links are made of: the neighbour, the dialect and the queue.

use std::time::Duration;

use crate::{
    config::Limits,
    core::{
        links::{AnyLink, Ends, Link, LinkTimes, Queue, Single},
        model::NodeId,
        node::{Neighbour, Node},
        wire::PerConnection,
    },
};

/// A link to that neighbour, which sends what is queued in `queue`.
pub(super) fn link(node: &Node, neighbour: &Neighbour, limits: &Limits, queue: Queue) -> AnyLink {
    let times = times(limits);
    let id = || node.id.clone();
    match neighbour.plain.clone() {
        None => AnyLink::Steady(Link::new(ends(node, &neighbour.id), times, queue)),
        Some(form) if form.per_connection == PerConnection::One => {
            AnyLink::Single(Single::new(id(), form, times, queue))
        }
        Some(form) => AnyLink::Steady(Link::plain(id(), form, times, queue)),
    }
}

fn ends(node: &Node, peer: &NodeId) -> Ends {
    Ends {
        herd: node.herd.clone(),
        id: node.id.clone(),
        peer: peer.clone(),
        incarnation: node.incarnation,
        check: node.check,
        forget_after: node.forget_after,
        secret: node.secret.clone(),
    }
}

/// The time from one ping to the next, unless a neighbour's silence must be noticed sooner.
const PING_TIME: Duration = Duration::from_secs(1);

/// While bytes move, a neighbour has this many times the liveness time for an answer, and for everything written at
/// once. With a deadline for each of them, and none for a whole round, a slow link may take as long as a large repair
/// needs.
const ANSWER_LIVENESS_TIMES: u32 = 12;

/// Rounds on a link begin at least this far apart, unless they are configured to come sooner.
const ROUND_GAP: Duration = Duration::from_secs(1);

/// The times for the links of a node with those limits.
fn times(limits: &Limits) -> LinkTimes {
    LinkTimes {
        backoff_min: limits.backoff_min,
        backoff_max: limits.backoff_max,
        backoff_reset: limits.backoff_reset,
        greeting: limits.connect_time,
        write: limits.write_time.min(limits.liveness_time),
        ping: PING_TIME.min(limits.liveness_time / 3),
        liveness: limits.liveness_time,
        answer: limits.liveness_time * ANSWER_LIVENESS_TIMES,
        round: limits.round_time,
        round_gap: ROUND_GAP.min(limits.round_time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pings_and_rounds_come_each_second_or_sooner_where_the_limits_want_it() {
        let ms = Duration::from_millis;
        let of_default = times(&Limits::default());
        assert_eq!(of_default, LinkTimes::default());
        let limits = Limits { liveness_time: ms(300), round_time: ms(200), ..Limits::default() };
        let short = times(&limits);
        assert_eq!((short.ping, short.round_gap, short.answer), (ms(100), ms(200), ms(3600)));
    }
}
