//! What the watch asks of forgetting by age: neither too early nor too late, on every node by its watermark, which goes
//! back on none and runs ahead of no clock.

use std::time::Duration;

use proxyherd::core::{
    model::{ClientId, ClientRecord, Timestamp},
    store::Store,
};

use super::{
    version::{Version, counted, is_old},
    watch::{Kind, Violation, Watch},
};

impl Watch {
    /// By how many seconds clocks may differ.
    pub(super) fn day(&self) -> u64 {
        self.retention.map_or(0, |times| times.day)
    }

    /// A node has walked on over its store. What it holds no more is too old, by a clock that need not be wrong; and at the
    /// end it holds nothing that is.
    pub(super) fn aged(&mut self, node: usize, store: &Store, wall: Timestamp, is_over: bool) {
        let Some(times) = self.retention else { return };
        let watermark = store.watermark();
        if watermark < self.watermarks[node] {
            let text = format!("node {node} went back from {} to {watermark}", self.watermarks[node]);
            self.fail(Kind::Untimely, text);
        }
        self.watermarks[node] = watermark;
        let reach = (times.forget_after / 4).min(times.day);
        if watermark > (wall.seconds() + reach).saturating_sub(times.forget_after) {
            self.fail(Kind::Untimely, format!("node {node} obeys {watermark}, its clock shows {wall}"));
        }
        for (id, &client) in &self.clients {
            let Some(version) = &self.known[node][client] else { continue };
            let id = ClientId::new(id).filter(|id| store.record(store.key_hash(*id), *id, |_| ()).is_some());
            let is_old = version.is_old(watermark);
            if id.is_some() && !(is_over && is_old) {
                continue;
            }
            if id.is_some() || !is_old {
                let (at, violation) = (self.now, "too early or too late");
                let text = format!("node {node} at {watermark}, client {client}, {violation}: {version:?}");
                self.violation.get_or_insert(Violation { kind: Kind::Untimely, at, text });
            }
            self.hidden += 1;
            self.known[node][client] = None;
            // With what it knew of the client, it has forgotten that there was a forgetting, but for its generation.
            let heard = std::mem::take(&mut self.heard[node][client]);
            self.remembered[node][client] = heard.max(self.remembered[node][client]);
        }
    }

    /// A line has come to a node that obeys that watermark: is it pushed what is too old?
    pub(super) fn count_crossing(&mut self, line: &[u8], watermark: u64) {
        let Some(pushed) = line.strip_prefix(b"PUSH ") else { return };
        let at = [b"AT ", pushed].concat();
        let is_old = |record| is_old(counted(&record, self.day()), watermark);
        self.crossings += usize::from(ClientRecord::parse(&at).is_some_and(is_old));
    }

    /// A node has learned a record: not one that was taken before a forgetting of which it has heard, whatever has become of
    /// that since.
    pub(super) fn check_forgotten(&mut self, (node, number): (usize, usize), version: &Version, hash: u64) {
        let made = self.made.get(&hash).copied().unwrap_or_default();
        let within = Duration::from_millis(self.contemporary_ms);
        let forgotten_at = &mut self.forgotten_at[node][number];
        if version.is_tombstone {
            *forgotten_at = made.max(*forgotten_at);
            return;
        }
        if self.retention.is_some() && made + within < *forgotten_at {
            let text =
                format!("node {node}, client {number}: {version:?} of {made:?}, hidden at {forgotten_at:?}");
            self.fail(Kind::Undead, text);
        }
    }
}
