//! What a batch of lines has changed, until it is offered to those who want to know: once for all of it, after storing,
//! outside every lock, and before anything is acknowledged.

use std::sync::Arc;

use super::{Neighbour, Node};
use crate::core::{
    links::{Encoded, Offer},
    model::Location,
    store::KeyHash,
    wire::write_flooded,
};

/// What has changed since changes were last offered.
#[derive(Debug, Default)]
pub struct Changes {
    /// What the neighbours are to hear, ready to be written.
    news: Vec<u8>,
    /// Whether a neighbour has pushed what this node lacked.
    was_repaired: bool,
}

impl Changes {
    /// Bytes of memory it holds.
    pub fn capacity(&self) -> usize {
        self.news.capacity()
    }

    /// Whether there is nothing to offer.
    pub fn is_empty(&self) -> bool {
        self.news.is_empty() && !self.was_repaired
    }

    pub(super) fn add_news(&mut self, node: &Node, location: &Location<'_>, _key: KeyHash) {
        if !node.neighbours.is_empty() {
            write_flooded(location, &node.id, &mut self.news);
        }
    }

    pub(super) fn add_repaired(&mut self, _node: &Node, _location: &Location<'_>, _key: KeyHash) {
        self.was_repaired = true;
    }
}

impl Node {
    /// Offers the changes to every neighbour but the one they came from, as one shared piece. `full` is told whose outbox
    /// had no room for it.
    ///
    /// What was learned by repair is not news: it may be much, and most neighbours have it. Their links are marked, so that
    /// a round carries it on to those who have not.
    pub fn offer(&self, changes: &mut Changes, from: Option<usize>, mut full: impl FnMut(&Neighbour)) {
        let from = from.filter(|_| self.rules.spares_the_sender);
        let others = || {
            let neighbours = self.neighbours.iter().enumerate();
            neighbours.filter(move |&(link, _)| from != Some(link)).map(|(_, other)| other)
        };
        if std::mem::take(&mut changes.was_repaired) {
            others().for_each(|neighbour| neighbour.outbox.mark_behind());
        }
        if changes.news.is_empty() {
            return;
        }
        let news: Encoded = Arc::from(&changes.news[..]);
        changes.news.clear();
        others().filter(|neighbour| neighbour.outbox.offer(&news) == Offer::Dropped).for_each(&mut full);
    }
}
