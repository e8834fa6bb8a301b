//! What goes wrong: connections are lost with what is under way, cuts stop one direction or both, nodes crash and come
//! back with or without what they knew; and the moment from which on nothing does.

use std::time::Duration;

use super::{
    herd::{Event, Simulation},
    session::{ANSWERS, Connection, QUESTIONS},
};

impl Simulation {
    /// One fault, drawn by how often the plan wants each.
    pub(super) fn go_wrong(&mut self) {
        if self.now >= self.plan.heal_at {
            return;
        }
        let next = self.now + self.random.time(self.plan.fault_gap * 2);
        self.push(next, Event::Fault);
        let (losses, cuts, crashes) = (self.plan.losses, self.plan.cuts, self.plan.crashes);
        let drawn = self.random.below(losses + cuts + crashes + 1);
        if drawn < losses {
            self.lose_one();
        } else if drawn < losses + cuts {
            self.cut_some();
        } else if drawn < losses + cuts + crashes {
            self.crash();
        }
    }

    fn lose_one(&mut self) {
        let open: Vec<usize> =
            (0..self.connections.len()).filter(|&at| self.connections[at].is_some()).collect();
        if !open.is_empty() {
            let at = *self.random.of(&open);
            self.lose(at);
        }
    }

    /// A connection is lost. Each end may learn of it, or has to find out.
    fn lose(&mut self, at: usize) {
        self.tally.losses += 1;
        for pipe in [QUESTIONS, ANSWERS] {
            let (arrives, is_told) = (self.arrival() + self.plan.delay, !self.random.one_in(3));
            let Some(connection) = &mut self.connections[at] else { return };
            connection.pipes[pipe].lose(&mut self.random);
            if is_told {
                connection.pipes[pipe].end(arrives);
            } else {
                connection.pipes[pipe].fall_silent();
            }
            self.push(arrives, Event::Arrive { connection: at, pipe });
        }
    }

    /// Cuts one direction of a link, or both, or all links of a node, for a while.
    fn cut_some(&mut self) {
        self.tally.cuts += 1;
        let node = self.random.below(self.servers.len());
        let links = self.plan.graph.links[node].clone();
        let heals = self.now + self.random.time(self.plan.times.liveness * 2);
        if self.random.one_in(3) {
            for peer in links {
                self.cut(node, peer, heals);
                self.cut(peer, node, heals);
            }
            return;
        }
        let peer = *self.random.of(&links);
        self.cut(node, peer, heals);
        if self.random.one_in(2) {
            self.cut(peer, node, heals);
        }
    }

    fn cut(&mut self, from: usize, to: usize, heals: Duration) {
        self.set_cut(from, to, true);
        self.push(heals, Event::Uncut { from, to });
    }

    /// What was held up arrives now, as what is sent again does.
    pub(super) fn uncut(&mut self, from: usize, to: usize) {
        self.set_cut(from, to, false);
        for at in 0..self.connections.len() {
            for pipe in [QUESTIONS, ANSWERS] {
                let is_way = |connection: &Connection| connection.ways(pipe) == (from, to);
                if self.connections[at].as_deref().is_some_and(is_way) {
                    let arrives = self.arrival();
                    self.push(arrives, Event::Arrive { connection: at, pipe });
                }
            }
        }
    }

    /// A node is gone, and comes back after a while.
    fn crash(&mut self) {
        let node = self.random.below(self.servers.len());
        if !self.servers[node].is_alive {
            return;
        }
        self.tally.crashes += 1;
        self.servers[node].is_alive = false;
        // A process that dies closes its connections, a machine that loses power does not.
        let is_told = self.random.one_in(2);
        for at in 0..self.connections.len() {
            self.lose_end(at, node, is_told);
        }
        let back = self.now + self.random.time(self.plan.times.liveness * 2);
        self.push(back, Event::Restart { node });
    }

    /// The node's end of a connection is no more.
    fn lose_end(&mut self, at: usize, node: usize, is_told: bool) {
        let arrives = self.arrival();
        let Some(connection) = &mut self.connections[at] else { return };
        for end in [0, 1] {
            let (sender, _) = connection.ways(end);
            if sender != node {
                continue;
            }
            connection.is_open[end] = false;
            connection.pipes[end].lose(&mut self.random);
            if is_told {
                connection.pipes[end].end(arrives);
            } else {
                connection.pipes[end].fall_silent();
            }
        }
        let is_left = connection.is_open != [false; 2];
        if !is_left {
            self.connections[at] = None;
            return;
        }
        for pipe in [QUESTIONS, ANSWERS] {
            self.push(arrives, Event::Arrive { connection: at, pipe });
        }
    }

    /// Its disk may have kept what it knew.
    pub(super) fn come_back(&mut self, node: usize) {
        if self.servers[node].is_alive {
            return;
        }
        // What stops has no journal.
        let has_stopped = self.servers[node].stopping.is_some_and(|stopping| stopping.is_over());
        let forgets = has_stopped || self.plan.forgets && self.random.one_in(2);
        self.tally.forgotten += usize::from(forgets);
        self.restart(node, !forgets);
    }

    /// The last heal.
    pub(super) fn heal(&mut self) {
        for from in 0..self.servers.len() {
            for to in self.plan.graph.links[from].clone() {
                if self.is_cut(from, to) {
                    self.uncut(from, to);
                }
            }
            self.come_back(from);
        }
    }
}
