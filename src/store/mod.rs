//! The map from clients to their last known locations: 256 shards, each under its own lock, and the sums by which two
//! stores find out where they differ. At most one lock is held at a time, and never across anything but memory.

mod pages;
mod placement;
#[expect(
    unsafe_code,
    reason = "an address, not a value, goes to the processor; its run folder shows what it saves"
)]
mod prefetch;
mod record;
mod shard;
mod slots;

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use self::shard::Shard;
pub use self::{
    placement::{KeyHash, Placement},
    shard::{LEAVES, Outcome},
};
use crate::model::{ClientId, Location};

/// The number of shards: one for each value of a key hash's first byte.
pub const SHARDS: usize = 256;

/// Everyone's last known location.
///
/// Merging is commutative, associative and idempotent, so that stores which have seen the same locations in any order
/// hold the same bytes and have the same sums.
#[derive(Debug)]
pub struct Store {
    placement: Placement,
    shards: Box<[Mutex<Shard>]>,
    clients: AtomicUsize,
    clients_max: usize,
}

impl Store {
    /// An empty store. `clients_max` bounds what [`Store::report`] takes, not what [`Store::merge`] does.
    pub fn new(placement: Placement, clients_max: usize) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { placement, shards, clients: AtomicUsize::new(0), clients_max }
    }

    /// Where the client belongs: what every other call about it wants to be told.
    pub fn key_hash(&self, client: ClientId<'_>) -> KeyHash {
        self.placement.key_hash(client)
    }

    /// Has the processor fetch what the next call about the client will read, and does not wait for it. Asked for several
    /// clients before the first is looked at, it lets their cache misses pass side by side.
    pub fn prefetch(&self, hash: KeyHash) {
        self.shards[hash.shard()].lock().prefetch(hash);
    }

    /// Takes a client's own report: stored if it is strictly newer than what is known, or the first.
    pub fn report(&self, hash: KeyHash, location: &Location<'_>) -> Outcome {
        let take_place = || {
            let one_more = |clients| (clients < self.clients_max).then_some(clients + 1);
            self.clients.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
        };
        self.shards[hash.shard()].lock().report(&self.placement, hash, location, take_place)
    }

    /// Takes a location another node holds: stored if it is greater in the total order than what is known, or the first.
    pub fn merge(&self, hash: KeyHash, location: &Location<'_>) -> Outcome {
        let outcome = self.shards[hash.shard()].lock().merge(&self.placement, hash, location);
        if outcome == Outcome::Added {
            self.clients.fetch_add(1, Ordering::Relaxed);
        }
        outcome
    }

    /// Hands the client's location to `read`, under the shard's lock: copy what is needed and return.
    pub fn get<R>(
        &self,
        hash: KeyHash,
        client: ClientId<'_>,
        read: impl FnOnce(&Location<'_>) -> R,
    ) -> Option<R> {
        let shard = self.shards[hash.shard()].lock();
        shard.get(hash, client).map(|location| read(&location))
    }

    /// How many clients are known.
    pub fn len(&self) -> usize {
        self.clients.load(Ordering::Relaxed)
    }

    /// Whether no client is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The sums of a shard's leaves: each the XOR of its entries' hashes, 0 where it is empty.
    pub fn leaf_sums(&self, shard: usize) -> [u64; LEAVES] {
        self.shards[shard].lock().leaf_sums()
    }

    /// The XOR of each shard's leaf sums.
    pub fn shard_sums(&self) -> [u64; SHARDS] {
        std::array::from_fn(|shard| xor(&self.leaf_sums(shard)))
    }

    /// The XOR of all shard sums. Equal for stores of equal contents, and only for those but for a chance of 2⁻⁶⁴.
    pub fn sum(&self) -> u64 {
        xor(&self.shard_sums())
    }
}

fn xor(sums: &[u64]) -> u64 {
    sums.iter().fold(0, |all, sum| all ^ sum)
}

#[cfg(test)]
mod tests;
