//! The map from clients to their last known locations: shards, each under its own lock, and the sums by which two
//! stores find out where they differ. At most one lock is held at a time, and only while touching memory.

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

use self::shard::{Holding, Shard};
pub use self::{
    cursor::Cursor,
    placement::{KeyHash, Placement, Shape},
    shard::{Entry, Outcome},
};
use crate::core::{
    Rules,
    model::{ClientId, Location},
};

/// The last known locations of all clients.
///
/// Merging is commutative, associative and idempotent, so that stores that have seen the same locations in any order
/// hold the same bytes and have the same sums.
#[derive(Debug)]
pub struct Store {
    placement: Placement,
    shards: Box<[Mutex<Shard>]>,
    clients: AtomicUsize,
    /// What the shards hold in total.
    bytes: AtomicUsize,
    bounds: StoreBounds,
    rules: Rules,
}

/// The limits on clients' own reports. What other nodes send is accepted beyond them, or nodes would judge differently.
#[derive(Clone, Copy, Debug)]
pub struct StoreBounds {
    /// Clients.
    pub clients: usize,
    /// Bytes of memory. Moving records may temporarily take a page more per shard.
    pub bytes: usize,
}

impl Store {
    /// An empty store. `clients_max` bounds what [`Store::report`] takes, not what [`Store::merge`] does.
    pub fn new(placement: Placement, clients_max: usize) -> Self {
        Self::with_rules(placement, StoreBounds { clients: clients_max, bytes: usize::MAX }, Rules::SOUND)
    }

    /// The same with bounds of both kinds, and rules that may be wrong.
    pub fn with_rules(placement: Placement, bounds: StoreBounds, rules: Rules) -> Self {
        let shards = (0..placement.shape().shards()).map(|_| Mutex::default()).collect();
        Self { placement, shards, clients: AtomicUsize::new(0), bytes: AtomicUsize::new(0), bounds, rules }
    }

    /// The shape of the store.
    pub fn shape(&self) -> Shape {
        self.placement.shape()
    }

    /// Where the client belongs: every other call about it needs this.
    pub fn key_hash(&self, client: ClientId<'_>) -> KeyHash {
        self.placement.key_hash(client)
    }

    /// Makes the processor fetch what the next calls about these clients will read, without waiting for it, so that
    /// their cache misses overlap: first the slots, then the records they point to.
    pub fn prefetch(&self, hashes: impl Iterator<Item = KeyHash> + Clone) {
        hashes.clone().for_each(|hash| self.shard_of(hash).lock().prefetch_slot(&self.placement, hash));
        hashes.for_each(|hash| self.shard_of(hash).lock().prefetch_record(&self.placement, hash));
    }

    /// Takes a client's own report: stored if it is the first, or strictly newer than what is known, and within the
    /// limits.
    pub fn report(&self, hash: KeyHash, location: &Location<'_>) -> Outcome {
        self.change(hash, |shard, counted| {
            let admit = |growth| self.admit(growth, counted);
            shard.report(&self.placement, self.rules, hash, location, admit)
        })
    }

    /// Takes a location that another node holds: stored if it is the first, or replaces what is known.
    pub fn merge(&self, hash: KeyHash, location: &Location<'_>) -> Outcome {
        self.change(hash, |shard, _| shard.merge(&self.placement, self.rules, hash, location))
    }

    /// Takes a location from a third-party node, like a client's own report: stored if it is the first, or strictly
    /// newer than what is known. Nothing limits their number.
    pub fn learn(&self, hash: KeyHash, location: &Location<'_>) -> Outcome {
        self.change(hash, |shard, _| shard.report(&self.placement, self.rules, hash, location, |_| Ok(())))
    }

    /// Removes what is held of the client, and returns whether there was anything. The same is stored again if another
    /// node still sends it.
    pub fn remove(&self, hash: KeyHash, client: ClientId<'_>) -> bool {
        self.change(hash, |shard, _| shard.remove(&self.placement, hash, client))
    }

    /// Changes a client's shard, and counts what the shard then holds. `change` may have counted some of it already.
    #[inline]
    fn change<R>(&self, hash: KeyHash, change: impl FnOnce(&mut Shard, &mut Holding) -> R) -> R {
        let mut shard = self.shard_of(hash).lock();
        let mut counted = shard.holding();
        let changed = change(&mut shard, &mut counted);
        let holding = shard.holding();
        // Under the lock, or a total could be negative for a while.
        count(&self.clients, counted.clients, holding.clients);
        count(&self.bytes, counted.bytes, holding.bytes);
        changed
    }

    /// Lets the store grow for a client's report, and counts that, or says what prevents it.
    fn admit(&self, growth: Holding, counted: &mut Holding) -> Result<(), Outcome> {
        if !take(&self.bytes, growth.bytes, self.bounds.bytes) {
            return Err(Outcome::OutOfBytes);
        }
        counted.bytes += growth.bytes;
        if !take(&self.clients, growth.clients, self.bounds.clients) {
            return Err(Outcome::Full);
        }
        counted.clients += growth.clients;
        Ok(())
    }

    /// Passes the client's location to `read`, under the shard's lock: copy what is needed and return.
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

    /// How much memory they take, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The limits on clients' own reports.
    pub fn bounds(&self) -> StoreBounds {
        self.bounds
    }

    /// Whether no client is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The XOR of all entries' hashes. Equal for stores of equal contents, and for others only with a chance of 2⁻⁶⁴.
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

    /// Passes a leaf's locations to `visit`, from that key on and in the order of their keys, until it returns false.
    /// Runs under the shard's lock: copy what is needed and return.
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

/// Changes a total by the difference of two numbers. Most changes make none.
#[inline]
fn count(total: &AtomicUsize, before: usize, after: usize) {
    if after > before {
        total.fetch_add(after - before, Ordering::Relaxed);
    } else if after < before {
        total.fetch_sub(before - after, Ordering::Relaxed);
    }
}

/// Adds so many, if the total is then at most `most`.
fn take(count: &AtomicUsize, more: usize, most: usize) -> bool {
    let sum = |held: usize| held.checked_add(more).filter(|sum| *sum <= most);
    more == 0 || count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, sum).is_ok()
}

#[cfg(test)]
mod tests;
