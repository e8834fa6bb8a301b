//! Forgets by age what a node holds: moves its watermark, has that kept, and walks the store. A machine: its driver says
//! how late it is, and does nothing else between two pieces of a walk than to let others run.

use std::time::Duration;

use super::{Changes, ClockOff, Node, watermark::Watermark};
use crate::core::{
    model::{Now, Tick},
    store::Pass,
};

/// How often it looks at the clock and at the neighbours' watermarks, at least; and in an eighth of a step.
const LOOK_TIME: Duration = Duration::from_secs(1);

/// What forgets by age on one node. Begin with [`Retainer::begin`], read what was kept into the node's store, and go on with
/// [`Retainer::recovered`]; then call [`Retainer::step`] again and again, at the times that it returns.
#[derive(Debug)]
pub struct Retainer {
    watermark: Watermark,
    look_time: Duration,
    pass: Option<Pass>,
    /// Whether the watermark with which it began is kept.
    is_kept: bool,
    changes: Changes,
    condition: RetentionCondition,
    event: Option<RetainerEvent>,
}

/// What a node's forgetting says about itself.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct RetentionCondition {
    /// Why a clock must be wrong, if one must.
    pub clock_off: Option<ClockOff>,
    /// How often all of the store was walked.
    pub passes: u64,
}

/// What is to be logged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RetainerEvent {
    /// The watermark that was kept is further ahead than clocks may differ, and is not followed.
    Dropped {
        /// What was kept.
        kept: u64,
    },
    /// A clock must be wrong.
    ClockOff(ClockOff),
    /// No clock need be wrong any more.
    ClockWell,
}

impl Retainer {
    /// For a node that begins, and has nothing in its store yet: it will not take what is too old by its clock. `None` in a
    /// herd that keeps everything.
    pub fn begin(node: &Node, now: Now) -> Option<Self> {
        let times = node.retention?;
        let (watermark, _) = Watermark::begin(times, node.rules, 0, now);
        let look_time = LOOK_TIME.min(Duration::from_secs(times.step) / 8);
        node.store.begin_at(watermark.at());
        let (changes, condition) = (Changes::default(), RetentionCondition::default());
        Some(Self { watermark, look_time, pass: None, is_kept: false, changes, condition, event: None })
    }

    /// What the node kept has been read, and with it this watermark, the greatest it had. If that is followed, and is
    /// greater than its clock's, the store is empty again, and must be read once more: what is before it gave way to
    /// whatever came.
    pub fn recovered(&mut self, node: &Node, kept: u64, now: Now) -> bool {
        let Some(times) = node.retention else { return false };
        let before = self.watermark.at();
        let (watermark, dropped) = Watermark::begin(times, node.rules, kept, now);
        self.event = dropped.map(|kept| RetainerEvent::Dropped { kept });
        if watermark.at() <= before {
            return false;
        }
        self.watermark = watermark;
        node.store.begin_at(self.watermark.at());
        true
    }

    /// A piece of a walk, or a look whether one is due. Returns when to call it again: at once while a walk is under way.
    pub fn step(&mut self, node: &Node, now: Now) -> Tick {
        if let Some(pass) = &mut self.pass {
            if node.store.go_on(pass) {
                self.pass = None;
                self.condition.passes += 1;
                self.watermark.reached(now.tick);
            }
            return now.tick;
        }
        if !std::mem::replace(&mut self.is_kept, true) {
            self.keep_watermark(node);
        }
        self.look_at_clocks(node, now);
        let has_moved =
            self.watermark.step(now, node.neighbours.iter().map(|other| other.health.watermark()));
        let erases = self.watermark.erase(now.tick);
        if !has_moved && !erases {
            return now.tick + self.look_time;
        }
        let at = self.watermark.at();
        // First the store says that it moves, so that a snapshot that is begun now has it; then it is kept; then it is obeyed.
        let pass = node.store.begin_pass(at, self.watermark.erase_before());
        if has_moved {
            self.keep_watermark(node);
        }
        self.pass = Some(pass);
        now.tick
    }

    fn keep_watermark(&mut self, node: &Node) {
        self.changes.add_watermark(node, self.watermark.at());
        node.offer(&mut self.changes, None, |_| {});
    }

    /// Whether a walk is under way.
    pub fn is_walking(&self) -> bool {
        self.pass.is_some()
    }

    fn look_at_clocks(&mut self, node: &Node, now: Now) {
        let neighbours = node.neighbours.iter().map(|other| other.health.watermark()).enumerate();
        let off = self.watermark.clock_off(now.wall, neighbours);
        match (self.condition.clock_off, off) {
            (None, Some(why)) => self.event = Some(RetainerEvent::ClockOff(why)),
            (Some(_), None) => self.event = Some(RetainerEvent::ClockWell),
            _ => {}
        }
        self.condition.clock_off = off;
    }

    /// What it says about itself.
    pub fn condition(&self) -> RetentionCondition {
        self.condition
    }

    /// What has happened since the last call.
    pub fn event(&mut self) -> Option<RetainerEvent> {
        self.event.take()
    }
}
