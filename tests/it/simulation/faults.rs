//! What goes wrong: connections are lost with what is under way, cuts stop one direction or both, nodes crash, alone or
//! all at once, and come back with what is on their disks, disks fill up or fail; and the moment from which on nothing does.

use std::time::Duration;

use proxyherd::journal::fake_disk::DiskFault;
use rustix::io::Errno;

use super::{
    herd::{Event, Server, Simulation},
    journal::{Journal, JournalPlan},
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

    /// A node is gone: its process is killed, or its power is cut, now or in the middle of what its journal does next.
    fn crash(&mut self) {
        let node = self.random.below(self.servers.len());
        let by_power_cut = self.random.one_in(2);
        if !self.servers[node].is_alive {
            return;
        }
        self.back_up_before(node);
        match &mut self.servers[node].journal {
            Some(journal) if self.random.one_in(2) => journal.crash_soon(by_power_cut, &mut self.random),
            _ => self.die(node, by_power_cut),
        }
    }

    /// Some other node is to come back, once it ends, with what its disk has now.
    fn back_up_before(&mut self, node: usize) {
        let other = (node + 1) % self.servers.len();
        let Server { journal, backup, .. } = &mut self.servers[other];
        if self.plan.retention.is_some_and(|retention| retention.has_backups) && backup.is_none() {
            *backup = journal.as_ref().map(|journal| journal.disk.after_kill());
        }
    }

    /// All nodes are gone at once, most of them because there is no power.
    pub(super) fn black_out(&mut self) {
        if self.now >= self.plan.heal_at {
            return;
        }
        self.tally.blackouts += 1;
        for node in 0..self.servers.len() {
            let by_power_cut = !self.random.one_in(4);
            self.die(node, by_power_cut);
        }
    }

    /// A node that lives is gone, and comes back after a while.
    pub(super) fn die(&mut self, node: usize, by_power_cut: bool) {
        if !self.servers[node].is_alive {
            return;
        }
        self.tally.crashes += 1;
        self.tally.power_cuts += usize::from(by_power_cut);
        self.servers[node].is_alive = false;
        // A process that dies closes its connections, a machine that loses power does not.
        let is_told = !by_power_cut;
        for at in 0..self.connections.len() {
            self.lose_end(at, node, is_told);
        }
        self.journal_dies(node, by_power_cut);
        let back = self.now + self.random.time(self.plan.times.liveness * 2);
        self.push(back, Event::Restart { node });
    }

    /// A disk fills up for a while, or one of its next operations fails.
    pub(super) fn disk_goes_wrong(&mut self) {
        let Some(JournalPlan { fault_gap, .. }) = self.plan.journal else { return };
        if self.now >= self.plan.heal_at {
            return;
        }
        let next = self.now + self.random.time(fault_gap * 2);
        self.push(next, Event::DiskFault);
        let node = self.random.below(self.servers.len());
        let Server { journal: Some(journal), life, is_alive: true, .. } = &self.servers[node] else { return };
        self.tally.disk_faults += 1;
        let (disk, soon, life) = (&journal.disk, self.random.below(6), *life);
        match self.random.below(3) {
            0 => {
                disk.set_room(Some(self.random.below(400)));
                let freed = self.now + self.random.time(self.plan.times.liveness / 2);
                self.push(freed, Event::Freed { node, life });
            }
            1 => disk.fail_at(disk.operations() + soon, DiskFault::Short),
            _ => disk.fail_at(disk.operations() + soon, DiskFault::Error(Errno::IO)),
        }
    }

    pub(super) fn disk_is_freed(&mut self, node: usize, life: u32) {
        if let Server { journal: Some(journal), life: now, .. } = &self.servers[node]
            && *now == life
        {
            journal.disk.set_room(None);
        }
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

    /// It has what its disk has, unless that is lost, too.
    pub(super) fn come_back(&mut self, node: usize) {
        if self.servers[node].is_alive {
            return;
        }
        let has_journal = self.servers[node].journal.is_some();
        let has_backup = self.servers[node].backup.is_some();
        let forgets = !has_journal || self.plan.forgets && self.random.one_in(4) || has_backup;
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
            self.servers[from].journal.iter().for_each(Journal::mend);
        }
    }
}
