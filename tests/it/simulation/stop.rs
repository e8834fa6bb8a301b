//! A node that stops as an operator wants it: it takes in no more, its sessions end, its links hand over what their
//! neighbours lack, its journal gets what is left, and it comes back knowing what that has. A link that says that its
//! neighbour has all is taken at its word; and once nothing goes wrong any more, every link must say so.

use std::time::Duration;

use super::{
    herd::{Event, Simulation},
    watch::Kind,
};

/// A node's stop, from its beginning on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopping {
    /// Whether something may go wrong meanwhile.
    is_troubled: bool,
    /// How many links have not ended.
    links_left: usize,
    /// Whether some neighbour has all that the node knew.
    has_handed_over: bool,
}

impl Stopping {
    /// Whether it came to its end.
    pub(super) fn is_over(&self) -> bool {
        self.links_left == 0
    }

    pub(super) fn has_handed_over(&self) -> bool {
        self.has_handed_over
    }
}

impl Simulation {
    /// Whether a node takes connections.
    pub(super) fn takes_in(&self, node: usize) -> bool {
        self.servers[node].is_alive && self.servers[node].stopping.is_none()
    }

    /// A node stops, whose links have so long for it. Nothing is asked of the last stop but where all others are there.
    pub(super) fn stop(&mut self, node: usize, time: Duration) {
        let is_troubled = self.now < self.plan.heal_at;
        let are_all_there = (0..self.servers.len()).all(|node| self.takes_in(node));
        if !self.takes_in(node) || !is_troubled && !are_all_there {
            return;
        }
        self.tally.stops += 1;
        let (links_left, has_handed_over) = (self.servers[node].flooders.len(), false);
        self.servers[node].stopping = Some(Stopping { is_troubled, links_left, has_handed_over });
        // What the sessions have stored is offered, before the links are told.
        self.due.retain(|_, event| !matches!(event, Event::Caller { node: of, .. } if *of == node));
        self.offered(node);
        for at in 0..self.connections.len() {
            let is_its = |at: usize| {
                let connection = self.connections[at].as_deref();
                connection.is_some_and(|connection| connection.server == node && connection.is_open[1])
            };
            if is_its(at) {
                self.end_session(at);
            }
        }
        let by = self.tick(node) + time;
        for link in 0..links_left {
            self.servers[node].flooders[link].link.stop(by);
            self.wake_flooder(node, link);
        }
    }

    /// A link has ended.
    pub(super) fn link_ends(&mut self, node: usize, link: usize) {
        let server = &mut self.servers[node];
        let Some(stopping) = &mut server.stopping else {
            return self.fail(Kind::Confused, "a link ends that was not stopped".into());
        };
        stopping.links_left -= 1;
        let is_troubled = stopping.is_troubled;
        let flooder = &mut server.flooders[link];
        let lack = flooder.link.lack(server.node.store());
        let (peer, peer_life, connection) = (flooder.peer, flooder.peer_life, flooder.end());
        let (is_over, is_empty) = (stopping.is_over(), server.node.store().is_empty());
        // One that has started again since is another, though the link may not know that yet.
        let is_same = self.is_living(peer, peer_life);
        if let (None, true, Some(stopping)) = (lack, is_same || is_empty, &mut self.servers[node].stopping) {
            stopping.has_handed_over = true;
        }
        match lack {
            None if is_same => self.watch.handed_over(node, peer),
            Some(lack) if !is_troubled => {
                self.fail(Kind::Lost, format!("node {node} stops, and {peer} lacks something: {lack:?}"));
            }
            _ => {}
        }
        if let Some(at) = connection {
            self.hang_up(at);
        }
        if is_over {
            self.end_journal(node);
            self.servers[node].is_alive = false;
            let back = self.now + self.random.time(self.plan.times.liveness / 2);
            self.push(back, Event::Restart { node });
        }
    }
}
