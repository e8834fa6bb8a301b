//! The map from clients to their last known locations: shards, each under its own lock, and the sums by which two
//! stores find out where they differ. At most one lock is held at a time, and never across anything but memory.

mod cursor;
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
    cursor::Cursor,
    placement::{KeyHash, Placement, Shape},
    shard::{Entry, Outcome},
};
use crate::core::{
    Rules,
    model::{ClientId, Location},
};

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
    rules: Rules,
}

impl Store {
    /// An empty store. `clients_max` bounds what [`Store::report`] takes, not what [`Store::merge`] does.
    pub fn new(placement: Placement, clients_max: usize) -> Self {
        Self::with_rules(placement, clients_max, Rules::SOUND)
    }

    /// The same with rules that may be wrong.
    pub fn with_rules(placement: Placement, clients_max: usize, rules: Rules) -> Self {
        let shards = (0..placement.shape().shards()).map(|_| Mutex::default()).collect();
        Self { placement, shards, clients: AtomicUsize::new(0), clients_max, rules }
    }

    /// How it is cut.
    pub fn shape(&self) -> Shape {
        self.placement.shape()
    }

    /// Where the client belongs: what every other call about it wants to be told.
    pub fn key_hash(&self, client: ClientId<'_>) -> KeyHash {
        self.placement.key_hash(client)
    }

    /// Has the processor fetch what the next calls about these clients will read, and does not wait for it, so that their
    /// cache misses pass side by side: first the slots, then the records they point at.
    pub fn prefetch(&self, hashes: impl Iterator<Item = KeyHash> + Clone) {
        hashes.clone().for_each(|hash| self.shard_of(hash).lock().prefetch_slot(&self.placement, hash));
        hashes.for_each(|hash| self.shard_of(hash).lock().prefetch_record(&self.placement, hash));
    }

    /// Takes a client's own report: stored if it is strictly newer than what is known, or the first.
    pub fn report(&self, hash: KeyHash, location: &Location<'_>) -> Outcome {
        let take_place = || {
            let one_more = |clients| (clients < self.clients_max).then_some(clients + 1);
            self.clients.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
        };
        self.shard_of(hash).lock().report(&self.placement, self.rules, hash, location, take_place)
    }

    /// Takes a location another node holds: stored if it replaces what is known, or the first.
    pub fn merge(&self, hash: KeyHash, location: &Location<'_>) -> Outcome {
        let outcome = self.shard_of(hash).lock().merge(&self.placement, self.rules, hash, location);
        if outcome == Outcome::Added {
            self.clients.fetch_add(1, Ordering::Relaxed);
        }
        outcome
    }

    /// Takes a location from a third-party node, as a client's own report: stored if it is strictly newer than what is
    /// known, or the first. Nothing bounds how many.
    pub fn learn(&self, hash: KeyHash, location: &Location<'_>) -> Outcome {
        let outcome = self.shard_of(hash).lock().report(&self.placement, self.rules, hash, location, || true);
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
        let shard = self.shard_of(hash).lock();
        shard.get(&self.placement, hash, client).map(|location| read(&location))
    }

    /// How many clients are known.
    pub fn len(&self) -> usize {
        self.clients.load(Ordering::Relaxed)
    }

    /// Whether no client is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The XOR of all entries' hashes. Equal for stores of equal contents, and only for those but for a chance of 2⁻⁶⁴.
    pub fn sum(&self) -> u64 {
        self.shard_sums().iter().fold(0, |all, sum| all ^ sum)
    }

    /// The XOR of each shard's entries' hashes; 0 where there are none.
    pub fn shard_sums(&self) -> Vec<u64> {
        self.shards.iter().map(|shard| shard.lock().sum()).collect()
    }

    /// The XOR of the entries' hashes of each of the shard's leaves; 0 where there are none.
    pub fn leaf_sums(&self, shard: usize) -> Vec<u64> {
        let mut sums = self.shards[shard].lock().leaf_sums().to_vec();
        sums.resize(self.shape().leaves(), 0);
        sums
    }

    /// A leaf's entries from that key on, in the order of their keys.
    pub fn entries(&self, shard: usize, leaf: usize, from: KeyHash) -> Vec<Entry> {
        let entries = self.shards[shard].lock().entries(&self.placement, leaf, from);
        entries.into_iter().map(|(entry, _)| entry).collect()
    }

    /// Hands a leaf's locations to `visit`, from that key on and in the order of their keys, until it returns false. Under
    /// the shard's lock: copy what is needed and return.
    pub fn locations(
        &self,
        shard: usize,
        leaf: usize,
        from: KeyHash,
        mut visit: impl FnMut(Entry, &Location<'_>) -> bool,
    ) {
        let shard = self.shards[shard].lock();
        for (entry, address) in shard.entries(&self.placement, leaf, from) {
            if shard.location(address).is_some_and(|location| !visit(entry, &location)) {
                return;
            }
        }
    }

    fn shard_of(&self, hash: KeyHash) -> &Mutex<Shard> {
        &self.shards[self.placement.shard(hash)]
    }
}

#[cfg(test)]
mod tests;
