//! What lines have changed, until it is offered to subscribers: once per batch, after storing, outside every lock, and
//! before anything is acknowledged.
//!
//! No order among changes is promised: a client's records have their own. Between two marks each change is offered at
//! most once. What was stored and not offered leaves a mark.

use std::sync::Arc;

use super::{Neighbour, Node};
use crate::core::{
    links::{Encoded, Offer, Outbox},
    model::ClientRecord,
    store::KeyHash,
    wire::{write_flooded, write_watermark},
};

/// The subscribers to changes besides the links. A link wants updates, which are neither repair nor its own.
#[derive(Debug, Default)]
pub struct Subscribers {
    /// These want all changes, however they came: as lines that [`ClientRecord::parse`] reads, and each watermark before
    /// it is obeyed, as [`parse_watermark`](crate::core::wire::parse_watermark) reads it.
    pub all: Vec<Outbox>,
    /// These want the keys of what has changed.
    pub keys: Vec<Outbox<KeyHash>>,
}

/// What has changed since changes were last offered.
#[derive(Debug, Default)]
pub struct Changes {
    /// What the neighbours are to receive, ready to be written.
    news: Vec<u8>,
    all: Vec<u8>,
    keys: Vec<KeyHash>,
    /// Which subscribers were awake when the first of these changes was stored; none if nothing has changed.
    awake: Option<Awake>,
    /// Whether there were updates for links that slept then.
    has_unheard: bool,
    /// Whether a neighbour has pushed what this node lacked.
    was_repaired: bool,
}

/// Which kinds of subscribers are awake. For the others nothing is written down.
#[derive(Clone, Copy, Debug)]
struct Awake {
    links: bool,
    all: bool,
    keys: bool,
}

/// How a change came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum By {
    /// From a client, or as another node's update.
    News,
    /// Pushed by a neighbour that found this node to lack it.
    Repair,
}

impl Changes {
    /// Bytes of memory it holds.
    pub fn capacity(&self) -> usize {
        self.news.capacity() + self.all.capacity() + self.keys.capacity() * size_of::<KeyHash>()
    }

    /// Bytes to offer.
    pub fn len(&self) -> usize {
        self.news.len() + self.all.len() + self.keys.len() * size_of::<KeyHash>()
    }

    /// Whether there is nothing to offer.
    pub fn is_empty(&self) -> bool {
        self.awake.is_none()
    }

    /// A change has been stored.
    #[inline]
    pub(super) fn add(&mut self, node: &Node, record: &ClientRecord<'_>, key: KeyHash, by: By) {
        let awake = *self.awake.get_or_insert_with(|| node.awake());
        match by {
            By::News if awake.links => write_flooded(record, &node.id, &mut self.news),
            By::News => self.has_unheard = true,
            By::Repair => self.was_repaired = true,
        }
        if awake.all {
            record.write(&mut self.all);
            self.all.push(b'\n');
        }
        if awake.keys {
            self.keys.push(key);
        }
    }
}

impl Changes {
    /// The watermark is about to move.
    pub(super) fn add_watermark(&mut self, node: &Node, watermark: u64) {
        if self.awake.get_or_insert_with(|| node.awake()).all {
            write_watermark(watermark, &mut self.all);
        }
    }

    /// What is stored already is told again to those that want all changes.
    pub(super) fn add_again(&mut self, node: &Node, record: &ClientRecord<'_>) {
        let awake = *self.awake.get_or_insert_with(|| node.awake());
        if awake.all {
            record.write(&mut self.all);
            self.all.push(b'\n');
        }
    }
}

impl Node {
    fn awake(&self) -> Awake {
        let Subscribers { all, keys } = &self.subscribers;
        Awake {
            links: self.neighbours.iter().any(|neighbour| neighbour.outbox.is_open()),
            all: all.iter().any(Outbox::is_open),
            keys: keys.iter().any(Outbox::is_open),
        }
    }

    /// Offers the changes to all subscribers, as one shared piece for each kind, except to the link that they came
    /// from. `full` is called for each neighbour whose outbox had no room.
    ///
    /// What was learned by repair is not an update: there may be much of it, and most neighbours have it. Their links
    /// are marked, so that a round carries it to those that lack it.
    pub fn offer(&self, changes: &mut Changes, from: Option<usize>, mut full: impl FnMut(&Neighbour)) {
        let Some(awake) = changes.awake.take() else { return };
        let from = from.filter(|_| self.rules.spares_the_sender);
        let others = || {
            let neighbours = self.neighbours.iter().enumerate();
            neighbours.filter(move |&(link, _)| from != Some(link)).map(|(_, other)| other)
        };
        if std::mem::take(&mut changes.was_repaired) {
            others().for_each(|neighbour| neighbour.outbox.mark_behind());
        }
        if std::mem::take(&mut changes.has_unheard) {
            mark_awake(others().map(|neighbour| &neighbour.outbox));
        }
        if !changes.news.is_empty() {
            let news: Encoded = Arc::from(&changes.news[..]);
            changes.news.clear();
            others().filter(|neighbour| neighbour.outbox.offer(&news) == Offer::Dropped).for_each(&mut full);
        }
        offer_or_mark(&self.subscribers.all, awake.all, &mut changes.all);
        offer_or_mark(&self.subscribers.keys, awake.keys, &mut changes.keys);
    }
}

/// Offers what was written down; if nothing was, because all slept, marks those that have woken since.
fn offer_or_mark<T: Copy>(outboxes: &[Outbox<T>], was_awake: bool, changes: &mut Vec<T>) {
    if was_awake {
        let batch: Arc<[T]> = Arc::from(&changes[..]);
        changes.clear();
        for outbox in outboxes {
            outbox.offer(&batch);
        }
    } else {
        mark_awake(outboxes.iter());
    }
}

fn mark_awake<'a, T: 'a>(outboxes: impl Iterator<Item = &'a Outbox<T>>) {
    outboxes.filter(|outbox| outbox.is_open()).for_each(Outbox::mark_behind);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::core::{
        links::{Health, Queue, outbox},
        model::{ClientId, Generation, Location, NodeId, Now, SkewText, Timestamp},
        node::{Options, ReportLimits},
        store::Placement,
        wire::Report,
    };

    struct Scene {
        node: Node,
        news: Queue,
        all: Queue,
        keys: Queue<KeyHash>,
        changes: Changes,
        seconds: u64,
    }

    fn scene() -> Scene {
        let ((outbox_of_link, news), (all_outbox, all)) = (outbox(1000), outbox(1000));
        let (keys_outbox, keys) = outbox(1000);
        let neighbour = Neighbour {
            id: NodeId::new("Welsh").unwrap(),
            outbox: outbox_of_link,
            called: crossbeam_channel::bounded(1).0,
            plain: None,
            health: Health::default(),
        };
        let node = Node::new(Options {
            herd: "test".to_owned(),
            placement: Placement::of_herd("test"),
            secret: None,
            id: NodeId::new("Alford").unwrap(),
            incarnation: 1,
            forget_after: None,
            reports: ReportLimits::NONE,
            liveness: Duration::from_secs(5),
            neighbours: vec![neighbour],
            subscribers: Subscribers { all: vec![all_outbox], keys: vec![keys_outbox] },
            lookups: None,
        });
        Scene { node, news, all, keys, changes: Changes::default(), seconds: 0 }
    }

    impl Scene {
        /// A report that is an update, stored and not offered yet.
        fn report(&mut self) -> KeyHash {
            self.seconds += 1;
            let time = Timestamp::new(self.seconds, 0);
            let timestamp = self.seconds.to_string();
            let client = ClientId::new(b"kiwi").unwrap();
            let report = Report { client, position: b"+1+1", timestamp: timestamp.as_bytes(), time };
            let (key, now) = (self.node.key(client), Now { wall: time, tick: Duration::ZERO });
            let mut skew = SkewText::default();
            let reported = self.node.report((&report, key), None, now, &mut skew, &mut self.changes);
            assert!(reported.unwrap().is_newest);
            key
        }

        fn offer(&mut self, from: Option<usize>) {
            self.node.offer(&mut self.changes, from, |_| panic!("there is room"));
            assert!(self.changes.is_empty());
        }

        fn marks(&self) -> [bool; 3] {
            [self.news.is_behind(), self.all.is_behind(), self.keys.is_behind()]
        }
    }

    #[test]
    fn each_subscriber_gets_what_it_wants() {
        let mut scene = scene();
        scene.news.open();
        scene.all.open();
        scene.keys.open();
        let key = scene.report();
        scene.offer(None);
        let line = "AT Alford +0.000000000 kiwi +1+1 1";
        assert_eq!(&*scene.news.take().unwrap(), format!("{line} Alford\n").as_bytes());
        assert_eq!(&*scene.all.take().unwrap(), format!("{line}\n").as_bytes());
        assert_eq!(&*scene.keys.take().unwrap(), [key]);
        // What came from a neighbour is not an update for it; the others want it all the same.
        scene.report();
        scene.offer(Some(0));
        assert!(scene.news.take().is_err() && scene.all.take().is_ok() && scene.keys.take().is_ok());
        // Repair is not an update: a round carries it on.
        let client = ClientId::new(b"kiwi").unwrap();
        let (position, server, skew) = (b"+2+2", b"Welsh", b"+0.000000001");
        let time = Timestamp::new(9, 0);
        let generation = Generation::FIRST;
        let pushed = Location { server, skew, client, position, timestamp: b"9", time, generation };
        scene.node.repair(&pushed.into(), key, &mut scene.changes);
        scene.offer(None);
        assert_eq!(scene.marks(), [true, false, false]);
        assert_eq!(scene.news.take().as_deref(), Ok(&[][..]), "it is only woken");
        assert_eq!(&*scene.all.take().unwrap(), b"AT Welsh +0.000000001 kiwi +2+2 9\n");
        assert_eq!(&*scene.keys.take().unwrap(), [key]);
    }

    #[test]
    fn those_who_sleep_cost_nothing_and_are_marked_if_they_wake_before_the_offer() {
        let mut scene = scene();
        scene.report();
        assert_eq!(scene.changes.capacity(), 0, "something was written down for nobody");
        scene.offer(None);
        assert_eq!(scene.marks(), [false; 3]);
        scene.report();
        scene.news.open();
        scene.all.open();
        scene.keys.open();
        scene.report();
        scene.offer(None);
        assert_eq!(scene.marks(), [true; 3]);
    }
}
