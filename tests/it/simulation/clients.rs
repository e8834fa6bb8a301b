//! What clients say: reports that are late, equal in time but not in text, told to several nodes or told again, of ids
//! nobody should choose, too long for one node and not for another; in some stories, to forget one; and now and then a
//! line that is none of theirs.

use std::{fmt::Write, sync::Arc, time::Duration};

use proxyherd::core::{
    dialogue::{Dialogue, Next, Opening, Times},
    model::Timestamp,
    node::Node,
};

use super::{
    herd::{Event, Simulation},
    journal::Journal,
    plan::EPOCH,
    session::{Ear, NO_NONCE},
    watch::{Kind, Owed},
};

/// A client's connection, as long as it has something to say.
#[derive(Debug)]
pub(super) struct Caller {
    dialogue: Dialogue<Arc<Node>>,
    rest: Vec<u8>,
    /// What the node's clock showed when it last heard something.
    heard: Timestamp,
    /// Whether what has changed waits to be offered.
    is_late: bool,
    /// What its replies will acknowledge, where that is to be on the disk first; and the number of the batch.
    owed: Vec<Owed>,
    pub(super) batch: u64,
}

/// What a client must not be able to say.
const FOREIGN: [&[u8]; 6] = [
    b"AT Alford +0 c1 +1+1 1400000000 Ball\n",
    b"PUSH Alford +0 c1 +1+1 1400000000\n",
    b"SUM 0\nPING 7\nDONE 1\n",
    b"IAMAT \xff\xfe\n\n \n",
    b"HELLO 2 herd A B 0000000000000000 0000000000000000 - - -\n",
    b"IAMAT c1 +1+1\r\n? ? ?\n",
];

impl Simulation {
    /// A client calls, and the next one is waited for.
    pub(super) fn call(&mut self) {
        if self.now >= self.plan.quiet_at {
            return;
        }
        let next = self.now + self.random.time(self.plan.report_gap * 2);
        self.push(next, Event::Call);
        let text = self.reports();
        let nodes = if self.random.one_in(4) { 2 } else { 1 };
        for _ in 0..nodes {
            let node = self.random.below(self.servers.len());
            self.report_if_taken(node, &text);
            if self.plan.journal.as_ref().is_some_and(|journal| journal.commits) && self.random.one_in(4) {
                // It was not answered at once, or not for long.
                let late =
                    if self.random.one_in(2) { self.plan.lag * 2 } else { self.plan.times.liveness / 4 };
                let again = self.now + self.random.time(late);
                self.push(again, Event::Again { node, text: text.clone() });
            }
        }
    }

    /// What a client has said comes to that node, if it takes anything.
    pub(super) fn report_if_taken(&mut self, node: usize, text: &[u8]) {
        if self.now < self.plan.quiet_at && self.takes_in(node) {
            self.report(node, text);
        }
    }

    fn reports(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        for _ in 0..self.random.between(1, self.plan.reports_max) {
            if self.random.one_in(40) {
                let foreign = *self.random.of(&FOREIGN);
                text.extend_from_slice(foreign);
            }
            let client: &Vec<u8> = self.random.of(&self.plan.clients);
            if self.plan.forgets_one_in > 0 && self.random.one_in(self.plan.forgets_one_in) {
                text.extend_from_slice(b"FORGET ");
                text.extend_from_slice(client);
                text.push(b'\n');
                continue;
            }
            text.extend_from_slice(b"IAMAT ");
            text.extend_from_slice(client);
            let mut rest = String::new();
            let _ = write!(rest, " +{}{}.5 ", self.random.below(90), self.random.of(&["+1", "-1", "+001"]));
            self.write_time(&mut rest);
            text.extend_from_slice(rest.as_bytes());
            text.extend_from_slice(if self.random.one_in(2) { b"\n" } else { b"\r\n" });
        }
        text
    }

    /// A time near the herd's, in tenths of a second, and one of the texts that mean it.
    fn write_time(&mut self, out: &mut String) {
        let tenths = self.now.as_millis() as u64 / 100 + self.random.below(20) as u64;
        let tenths = if self.random.one_in(30) { self.random.below(1 << 20) as u64 } else { tenths };
        let (seconds, tenth) = (EPOCH + tenths / 10, tenths % 10);
        let _ = match self.random.below(4) {
            0 => write!(out, "{seconds}.{tenth}00000000"),
            1 => write!(out, "0{seconds}.{tenth}"),
            _ => write!(out, "{seconds}.{tenth}"),
        };
    }

    /// The lines come to one node, which executes them now and offers what they changed now or later.
    pub(super) fn report(&mut self, node: usize, text: &[u8]) {
        let (life, never) = (self.servers[node].life, Duration::from_secs(1 << 32));
        let times = Times { idle: never, line: never, handshake: never, liveness: never };
        let (served, opening) = (Arc::clone(&self.servers[node].node), Opening::Common { is_kept: false });
        let line_bytes = self.plan.nodes[node].line_bytes;
        let dialogue = Dialogue::new(served, opening, (times, line_bytes), 0, self.tick(node));
        // After a blank line nothing is a handshake.
        let rest = [b"\n", text].concat();
        let (heard, is_late, owed, batch) = (Timestamp::default(), false, Vec::new(), 0);
        let caller = Caller { dialogue, rest, heard, is_late, owed, batch };
        self.serve_caller(node, life, Box::new(caller));
    }

    /// Goes on until there is something to offer, which may take a while, or to wait for, or until all is said.
    pub(super) fn serve_caller(&mut self, node: usize, life: u32, mut caller: Box<Caller>) {
        loop {
            let now = self.clocks(node);
            let served = Arc::clone(&self.servers[node].node);
            let (watch, meter) = (&mut self.watch, self.meter.as_mut());
            let mut ear = Ear {
                server: node,
                now: self.now,
                node: &served,
                watch,
                meter,
                wall: caller.heard,
                nonce: NO_NONCE,
                lines: 0,
                is_neighbours: false,
                owed: self.plan.journal.as_ref().filter(|journal| journal.commits).map(|_| &mut caller.owed),
            };
            let next = caller.dialogue.next(now.tick, &mut ear);
            self.tally.reports += ear.lines;
            match next {
                Next::Wait(_) if caller.rest.is_empty() => return,
                Next::Wait(_) => {
                    let space = caller.dialogue.space();
                    let count = self.random.between(1, space.len()).min(caller.rest.len());
                    space[..count].copy_from_slice(&caller.rest[..count]);
                    caller.rest.drain(..count);
                    caller.heard = now.wall;
                    caller.dialogue.received(count, now);
                }
                Next::Offer if !std::mem::replace(&mut caller.is_late, true) => {
                    let late = if self.random.one_in(4) { self.lateness() } else { Duration::ZERO };
                    return self.push(self.now + late, Event::Caller { node, life, caller });
                }
                Next::Offer => {
                    caller.is_late = false;
                    let acknowledges = caller.dialogue.acknowledges();
                    self.offer(node, &mut caller.dialogue);
                    let journal = self.servers[node].journal.as_mut().filter(|_| acknowledges);
                    caller.batch = journal.map_or(0, Journal::number);
                }
                Next::Commit => match &mut self.servers[node].journal {
                    Some(journal) if !journal.has_committed(caller.batch) => {
                        self.tally.waits += 1;
                        return journal.wait(*caller);
                    }
                    _ => caller.dialogue.committed(),
                },
                Next::Write => {
                    self.watch.answered(node, caller.owed.drain(..));
                    caller.dialogue.wrote();
                }
                other => return self.fail(Kind::Confused, format!("a client is told {other:?}")),
            }
        }
    }
}
