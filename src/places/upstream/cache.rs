//! Answers that may be reused for a while. Bounded in bytes; the oldest go first.

#![deny(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use super::LookupKey;
use crate::{core::model::Tick, places::cut::Document};

/// The approximate cost of an entry besides its document: twice its key, a time, a pointer, and the room that both
/// tables keep free.
const ENTRY_BYTES: usize = 192;

/// The cached answers.
#[derive(Debug)]
pub(super) struct Cache {
    time: Duration,
    bytes_max: usize,
    bytes: usize,
    entries: HashMap<LookupKey, (Tick, Arc<Document>)>,
    /// In the order in which they came, and so in which they go; with the time that identifies an entry.
    order: VecDeque<(Tick, LookupKey)>,
}

impl Cache {
    /// A time of zero keeps nothing.
    pub(super) fn new(time: Duration, bytes_max: usize) -> Self {
        Self { time, bytes_max, bytes: 0, entries: HashMap::new(), order: VecDeque::new() }
    }

    /// The memory that cached answers use.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// An answer that is not too old.
    pub(super) fn get(&mut self, key: LookupKey, now: Tick) -> Option<Arc<Document>> {
        while self.order.front().is_some_and(|&(came, _)| now >= came + self.time) {
            self.drop_oldest();
        }
        self.entries.get(&key).map(|(_, document)| Arc::clone(document))
    }

    /// Keeps an answer, and drops older ones to make room. An answer larger than the whole cache may be is not kept.
    pub(super) fn put(&mut self, key: LookupKey, document: &Arc<Document>, now: Tick) {
        let cost = document.bytes() + ENTRY_BYTES;
        if self.time.is_zero() || cost > self.bytes_max || self.entries.contains_key(&key) {
            return;
        }
        while self.bytes + cost > self.bytes_max {
            self.drop_oldest();
        }
        self.bytes += cost;
        self.entries.insert(key, (now, Arc::clone(document)));
        self.order.push_back((now, key));
    }

    fn drop_oldest(&mut self) {
        if let Some((_, key)) = self.order.pop_front()
            && let Some((_, document)) = self.entries.remove(&key)
        {
            self.bytes -= document.bytes() + ENTRY_BYTES;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(length: usize) -> Arc<Document> {
        let text = format!("{{\"results\":[],\"x\":\"{}\"}}", "x".repeat(length));
        Arc::new(Document::parse(text.into_bytes(), "results").unwrap())
    }

    fn key(number: u64) -> LookupKey {
        LookupKey([number, 0, 0])
    }

    #[test]
    fn an_answer_is_kept_for_its_time_and_no_longer() {
        let mut cache = Cache::new(Duration::from_secs(10), 1 << 20);
        cache.put(key(1), &document(10), Duration::from_secs(5));
        assert!(cache.get(key(1), Duration::from_millis(14_999)).is_some());
        assert!(cache.get(key(2), Duration::from_secs(6)).is_none());
        assert!(cache.get(key(1), Duration::from_secs(15)).is_none());
        assert_eq!((cache.bytes(), cache.entries.len(), cache.order.len()), (0, 0, 0));
    }

    #[test]
    fn the_oldest_go_for_the_new_and_the_bound_holds_at_its_edge() {
        let document = document(1000);
        let cost = document.bytes() + ENTRY_BYTES;
        let mut cache = Cache::new(Duration::from_secs(10), 3 * cost);
        for number in 0..5 {
            cache.put(key(number), &document, Duration::ZERO);
            assert!(cache.bytes() <= 3 * cost);
        }
        let kept: Vec<_> =
            (0..5).filter(|&number| cache.get(key(number), Duration::ZERO).is_some()).collect();
        assert_eq!((kept, cache.bytes()), (vec![2, 3, 4], 3 * cost));
        let mut small = Cache::new(Duration::from_secs(10), cost - 1);
        small.put(key(1), &document, Duration::ZERO);
        assert_eq!(small.bytes(), 0);
    }

    #[test]
    fn with_no_time_nothing_is_kept() {
        let mut cache = Cache::new(Duration::ZERO, 1 << 20);
        cache.put(key(1), &document(10), Duration::ZERO);
        assert!(cache.get(key(1), Duration::ZERO).is_none() && cache.bytes() == 0);
    }
}
