//! What clients say: reports that are late, equal in time but not in text, told to several nodes, of ids nobody should
//! choose, too long for one node and not for another; and now and then a line that is none of theirs.

use std::{fmt::Write, sync::Arc, time::Duration};

use proxyherd::core::{
    node::{Batch, Origin},
    wire::{Line, LineBuffer},
};

use super::{
    herd::{Event, Simulation},
    plan::EPOCH,
};

/// What a client must not be able to say.
const FOREIGN: [&[u8]; 6] = [
    b"AT Alford +0 c1 +1+1 1400000000 Ball\n",
    b"PUSH Alford +0 c1 +1+1 1400000000\n",
    b"SUM\nPING 7\nDONE 1\n",
    b"IAMAT \xff\xfe\n\n \n",
    b"HELLO 1 herd A B 0000000000000000 0000000000000000\n",
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
            if self.servers[node].is_alive {
                self.report(node, &text);
            }
        }
    }

    fn reports(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        for _ in 0..self.random.between(1, self.plan.reports_max) {
            if self.random.one_in(40) {
                let foreign = *self.random.of(&FOREIGN);
                text.extend_from_slice(foreign);
            }
            text.extend_from_slice(b"IAMAT ");
            let client: &Vec<u8> = self.random.of(&self.plan.clients);
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

    /// The lines come to one node, which executes them now and floods them now or later.
    pub(super) fn report(&mut self, node: usize, text: &[u8]) {
        let mut buffer = LineBuffer::new(self.plan.nodes[node].line_bytes);
        let mut batch = Batch::default();
        let served = Arc::clone(&self.servers[node].node);
        let now = self.clocks(node);
        let mut rest = text;
        while !rest.is_empty() {
            let space = buffer.space();
            let count = self.random.between(1, space.len()).min(rest.len());
            space[..count].copy_from_slice(&rest[..count]);
            buffer.filled(count);
            rest = &rest[count..];
            for line in buffer.take_lines() {
                self.tally.reports += 1;
                served.execute(&served.prepare(line, Origin::Client), now, &mut batch);
                if let Line::Whole(text, _) = line {
                    self.executed(node, text, Origin::Client);
                }
            }
        }
        let late = if self.random.one_in(4) { self.lateness() } else { Duration::ZERO };
        let life = self.servers[node].life;
        self.push(self.now + late, Event::Flood { node, life, batch: Box::new(batch) });
    }
}
