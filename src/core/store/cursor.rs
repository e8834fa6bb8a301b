//! A walk over the whole store in pieces, with no lock held between two of them. What changes meanwhile may be seen
//! before or after the change; what was stored before the walk began, and has not changed, is seen once.

use super::{Entry, KeyHash, Store};
use crate::core::model::ClientRecord;

/// How far a walk has got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cursor {
    shard: usize,
    leaf: usize,
    /// The key to continue with in that leaf.
    from: KeyHash,
}

impl Default for Cursor {
    /// At the beginning.
    fn default() -> Self {
        Self { shard: 0, leaf: 0, from: KeyHash::of_bits(0) }
    }
}

impl Cursor {
    /// Passes on the next records, until `take` says that there is no room for one, which then comes first in the
    /// next piece. Runs under a shard's lock: copy what is needed and return. Returns whether the walk is over.
    pub fn walk(&mut self, store: &Store, mut take: impl FnMut(Entry, &ClientRecord<'_>) -> bool) -> bool {
        let shape = store.shape();
        while self.shard < shape.shards() {
            let mut left_at = None;
            store.records(self.shard, self.leaf, self.from, |entry, record| {
                let is_taken = take(entry, record);
                left_at = (!is_taken).then_some(entry.key);
                is_taken
            });
            if let Some(key) = left_at {
                self.from = key;
                return false;
            }
            self.from = KeyHash::of_bits(0);
            self.leaf = (self.leaf + 1) % shape.leaves();
            self.shard += usize::from(self.leaf == 0);
        }
        true
    }
}
