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
        node.herd_clock.took(times, watermark.at(), now.tick);
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
        node.herd_clock.took(times, self.watermark.at(), now.tick);
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
            node.retention.iter().for_each(|times| node.herd_clock.took(*times, at, now.tick));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{
        links::{Health, Queue, outbox},
        model::{ClientId, ClientRecord, NodeId, SkewText, Timestamp},
        node::{Neighbour, Options, ReportLimits, Subscribers},
        store::Placement,
        wire::{Invalid, Report},
    };

    /// When the node starts: its watermark is 996,360 then, and moves by 60 s.
    const START: u64 = 1_000_000;

    fn now(after: u64) -> Now {
        Now { wall: Timestamp::new(START + after, 0), tick: Duration::from_secs(after) }
    }

    fn node(forget_after: Option<u64>) -> (Node, Queue) {
        let (all_outbox, all) = outbox(1000);
        let (id, called) = (NodeId::new("Welsh").unwrap(), crossbeam_channel::bounded(1).0);
        let neighbour =
            Neighbour { id, outbox: outbox(1000).0, called, plain: None, health: Health::default() };
        let node = Node::new(Options {
            herd: "test".to_owned(),
            placement: Placement::of_herd("test"),
            secret: None,
            id: NodeId::new("Alford").unwrap(),
            incarnation: 1,
            forget_after,
            reports: ReportLimits::NONE,
            liveness: Duration::from_secs(5),
            neighbours: vec![neighbour],
            subscribers: Subscribers { all: vec![all_outbox], keys: Vec::new() },
            lookups: None,
        });
        all.open();
        (node.forgetting_for_everyone(), all)
    }

    fn take(node: &Node, line: &str) {
        let record = ClientRecord::parse(line.as_bytes()).unwrap();
        node.learn(&record, node.key(record.client()), &mut Changes::default());
    }

    fn offered(all: &Queue) -> Option<String> {
        all.take().ok().map(|batch| String::from_utf8(batch.to_vec()).unwrap())
    }

    /// Steps until nothing is left to do at that time.
    fn settle(retainer: &mut Retainer, node: &Node, after: u64) {
        while retainer.step(node, now(after)) <= now(after).tick {}
    }

    #[test]
    fn watermark_is_kept_before_it_is_obeyed_and_what_it_hides_is_erased_a_day_later() {
        let (node, all) = node(Some(3_600));
        let mut retainer = Retainer::begin(&node, now(0)).unwrap();
        assert_eq!(node.store().settled_watermark(), Some(996_360));
        settle(&mut retainer, &node, 0);
        assert_eq!(offered(&all).unwrap(), "WATERMARK 996360\n");
        take(&node, "AT Welsh +0.000000000 kiwi +1+1 996400");
        retainer.step(&node, now(20));
        assert_eq!(offered(&all).unwrap(), "WATERMARK 996420\n");
        assert_eq!((node.store().settled_watermark(), node.store().watermark()), (None, 996_420));
        assert_eq!((node.store().len(), retainer.is_walking()), (1, true));
        settle(&mut retainer, &node, 20);
        assert_eq!((node.store().settled_watermark(), node.store().hidden()), (Some(996_420), 1));
        settle(&mut retainer, &node, 20 + 86_399);
        assert_eq!(node.store().erased(), 0);
        for after in [86_400, 88_000] {
            settle(&mut retainer, &node, 20 + after);
        }
        assert_eq!((node.store().hidden(), node.store().erased()), (0, 1));
        assert!(Retainer::begin(&self::node(None).0, now(0)).is_none());
    }

    #[test]
    fn greater_watermark_that_was_kept_is_obeyed_from_the_start_and_one_beyond_all_clocks_is_not() {
        for (kept, at, dropped) in
            [(0, 996_360, false), (996_900, 996_900, false), (1_500_000, 996_360, true)]
        {
            let (node, _all) = node(Some(3_600));
            let mut retainer = Retainer::begin(&node, now(0)).unwrap();
            take(&node, "AT Welsh +0.000000000 kiwi +1+1 996400");
            let is_to_be_read_again = retainer.recovered(&node, kept, now(0));
            assert_eq!((is_to_be_read_again, node.store().is_empty()), (at > 996_360, at > 996_360));
            assert_eq!(node.store().settled_watermark(), Some(at));
            assert_eq!(retainer.event().is_some(), dropped);
        }
    }

    #[test]
    fn clock_that_is_off_is_told_once_and_a_node_whose_clock_is_behind_takes_no_reports() {
        let (node, _all) = node(Some(3_600));
        let mut retainer = Retainer::begin(&node, now(0)).unwrap();
        settle(&mut retainer, &node, 0);
        node.neighbours[0].health.told_watermark(2_000_000);
        settle(&mut retainer, &node, 1);
        let seconds = 2_000_000 - (START + 1 - 3_600 + 900);
        assert_eq!(retainer.condition().clock_off, Some(ClockOff::Neighbour { link: 0, seconds }));
        assert!(matches!(
            retainer.event(),
            Some(RetainerEvent::ClockOff(ClockOff::Neighbour { link: 0, .. }))
        ));
        settle(&mut retainer, &node, 2);
        assert_eq!(retainer.event(), None);
        node.neighbours[0].health.told_watermark(0);
        settle(&mut retainer, &node, 3);
        assert_eq!(
            (retainer.event(), retainer.condition().clock_off),
            (Some(RetainerEvent::ClockWell), None)
        );
        let client = ClientId::new(b"kiwi").unwrap();
        let report = Report { client, position: b"+1+1", timestamp: b"5", time: Timestamp::new(5, 0) };
        let said = |wall| {
            let now = Now { wall: Timestamp::new(wall, 0), tick: Duration::ZERO };
            let (mut skew, mut changes) = (SkewText::default(), Changes::default());
            node.report((&report, node.key(client)), None, now, &mut skew, &mut changes).map(|_| ())
        };
        assert_eq!(said(996_359), Err(Invalid::BeforeWatermark));
        assert_eq!(said(996_360), Ok(()));
    }

    #[test]
    fn forgetting_by_a_slow_clock_is_not_older_than_what_is_remembered() {
        let (node, _all) = node(Some(3_600));
        Retainer::begin(&node, now(0)).unwrap();
        let client = ClientId::new(b"kiwi").unwrap();
        let slow = Now { wall: Timestamp::new(START - 500, 0), tick: Duration::ZERO };
        node.forget(client, node.key(client), slow, &mut Changes::default()).unwrap();
        let generation = node.store().record(node.key(client), client, |record| record.rank().0).unwrap();
        assert_eq!(generation.number(), (996_360 + 3_600) * 1_000);
    }
}
