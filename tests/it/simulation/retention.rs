//! Forgetting by age as its thread runs it: what src/server/retention.rs does, cut after each piece of a walk, so that
//! others run in between. What is done is for the node's own `Retainer`; the watch sees what each piece has hidden.

use std::{collections::HashMap, time::Duration};

use proxyherd::core::{
    links::LinkTimes,
    model::RetentionTimes,
    node::{Node, Retainer},
    store::{Cursor, Store},
};

use super::{
    herd::{Event, Simulation},
    plan::{EPOCH, NodePlan, Plan},
    random::Random,
};

/// How a herd forgets by age, if it does.
#[derive(Clone, Copy, Debug)]
pub(super) struct RetentionPlan {
    pub(super) times: RetentionTimes,
    /// When all wall clocks stop, so that in the end nothing grows older.
    pub(super) clocks_stop_at: Duration,
    /// Whether a node may come back with what its disk had a while ago.
    pub(super) has_backups: bool,
}

impl RetentionPlan {
    /// For one seed in four.
    pub(super) fn draw(seed: u64, times: &LinkTimes) -> Option<Self> {
        let mut random = Random::new(seed ^ 0x7e7e_7e7e);
        // A day is as much longer than clocks differ as elsewhere, and an hour not much longer than a story.
        let unit = times.liveness.as_secs().max(1);
        let times = RetentionTimes { forget_after: unit * 4, step: unit, day: unit * 2 };
        let has_backups = random.one_in(2);
        random.one_in(4).then_some(Self { times, clocks_stop_at: Duration::MAX, has_backups })
    }

    /// Clocks that differ by as much as the herd follows.
    pub(super) fn set_clocks(self, nodes: &mut [NodePlan], random: &mut Random) {
        for node in nodes {
            node.wall = EPOCH + random.between(0, self.times.step as usize) as u64;
        }
    }
}

/// What forgets on a node that starts with nothing in its store.
pub(super) fn begin(plan: &Plan, node: usize, now: Duration, made: &Node) -> Option<Retainer> {
    Retainer::begin(made, plan.clocks_of(node, now, now))
}

/// Has a store obey a watermark at once.
pub(super) fn obey(store: &Store, watermark: u64) {
    if watermark > store.watermark() {
        let mut pass = store.begin_pass(watermark, 0);
        while !store.go_on(&mut pass) {}
    }
}

/// Whether a store knows what another does, and no more, but for one thing: where nothing is known of a client any more, a
/// store that has been told of the same changes later may know what the last of them has replaced.
pub(super) fn knows_the_same(told: &Store, store: &Store) -> bool {
    if told.sum() == store.sum() {
        return true;
    }
    let entries = |store: &Store| {
        let mut entries = HashMap::new();
        Cursor::default().walk(store, |entry, _| {
            entries.insert(entry.key, entry.hash);
            true
        });
        entries
    };
    let (known, told) = (entries(store), entries(told));
    store.watermark() > 0 && known.iter().all(|(key, hash)| told.get(key) == Some(hash))
}

impl Simulation {
    /// The thread runs for the first time.
    pub(super) fn start_retention(&mut self, node: usize) {
        let life = self.servers[node].life;
        if self.servers[node].retainer.is_some() {
            let late = self.lateness();
            self.push(self.now + late, Event::Retention { node, life });
        }
    }

    /// A look at the clocks, or a piece of a walk.
    pub(super) fn run_retention(&mut self, node: usize) {
        // Watermarks stand still while a node stops.
        if !self.takes_in(node) {
            return;
        }
        let (clocks, life) = (self.clocks(node), self.servers[node].life);
        let server = &mut self.servers[node];
        let Some(retainer) = &mut server.retainer else { return };
        let was_walking = retainer.is_walking();
        let until = retainer.step(&server.node, clocks);
        let is_walking = retainer.is_walking();
        if was_walking || is_walking {
            self.tally.pieces += usize::from(was_walking);
            self.watch.aged(node, server.node.store(), clocks.wall, !is_walking);
            // Its watermark may have been offered.
            self.offered(node);
        }
        let wait = if is_walking { self.lateness() } else { self.when(node, until).saturating_sub(self.now) };
        self.push(self.now + wait, Event::Retention { node, life });
    }

    /// Whether all nodes obey one watermark for now.
    pub(super) fn has_settled(&self) -> bool {
        let of = |node: usize| self.servers[node].node.store().settled_watermark();
        of(0).is_some() && (1..self.servers.len()).all(|node| of(node) == of(0))
    }

    /// Whether they do, and will not obey another.
    pub(super) fn has_one_watermark(&self) -> bool {
        // A look, and a step that was due before it.
        let by = |plan: RetentionPlan| plan.clocks_stop_at + Duration::from_secs(plan.times.step);
        self.has_settled() && self.plan.retention.is_none_or(|plan| self.now > by(plan))
    }
}
