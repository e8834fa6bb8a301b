//! The map from clients to their last known locations, or to the tombstones of those that were forgotten: shards, each
//! under its own lock, and the sums by which two stores find out where they differ. At most one lock is held at a time,
//! and only while touching memory.

mod cursor;
mod horizon;
mod pages;
mod pass;
mod placement;
#[expect(
    unsafe_code,
    reason = "an address, not a value, goes to the processor; its run folder shows what it saves"
)]
mod prefetch;
mod record;
mod shard;
mod slots;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use self::shard::{Holding, Shard};
pub use self::{
    cursor::Cursor,
    pass::Pass,
    placement::{KeyHash, Placement, Shape},
    shard::{Entry, Outcome},
};
use crate::core::{
    Rules,
    model::{ClientId, ClientRecord, Generation, Location, RetentionTimes, Timestamp, Tombstone},
};

/// The last known locations of all clients, and the tombstones of those that were forgotten.
///
/// Merging is commutative, associative and idempotent, so that stores that have seen the same records in any order hold
/// the same bytes and have the same sums.
#[derive(Debug)]
pub struct Store {
    placement: Placement,
    shards: Box<[Mutex<Shard>]>,
    /// What the shards hold in total.
    clients: AtomicUsize,
    tombstones: AtomicUsize,
    hidden: AtomicUsize,
    bytes: AtomicUsize,
    bounds: StoreBounds,
    /// By how much longer a generation stands than a location, in seconds.
    day: u64,
    /// Twice the watermark, and one more while it moves.
    watermark: AtomicU64,
    /// Records that were erased since the beginning.
    erased: AtomicUsize,
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
        let [clients, tombstones, hidden, bytes, erased] = [const { AtomicUsize::new(0) }; 5];
        let (day, watermark) = (0, AtomicU64::new(0));
        Self { placement, shards, clients, tombstones, hidden, bytes, bounds, day, watermark, erased, rules }
    }

    /// The same in a herd that forgets what is old.
    #[must_use]
    pub fn with_retention(self, times: RetentionTimes) -> Self {
        Self { day: times.day, ..self }
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

    /// Takes a client's own report: stored if it is the first, or strictly newer than what is held of the client, and
    /// within the limits. A client that is not known must be admitted, too. It gets the generation of what is held.
    pub fn report(
        &self,
        hash: KeyHash,
        location: &mut Location<'_>,
        admits_new: impl FnOnce() -> bool,
    ) -> Outcome {
        self.change(hash, |shard, counted| {
            let admit = |growth: Holding| {
                self.admit(growth, counted)?;
                // Asked last, since it pays for the client.
                if growth.clients == 0 || admits_new() { Ok(()) } else { Err(Outcome::Rationed) }
            };
            shard.report((&self.placement, self.rules), hash, location, |_| true, admit)
        })
    }

    /// Takes what another node holds of a client: stored if it is the first, or replaces what is held.
    pub fn merge(&self, hash: KeyHash, record: &ClientRecord<'_>) -> Outcome {
        self.change(hash, |shard, _| shard.merge((&self.placement, self.rules), hash, record))
    }

    /// Takes a location from a third-party node, like a client's own report: stored if it is the first, or strictly
    /// newer than what is held of the client. Nothing limits their number. Where the client was forgotten, its server
    /// must have taken the report after that, at `taken`, in nanoseconds since 1970: the node may not have heard of the
    /// forgetting, and repeats what it knows.
    pub fn learn(&self, hash: KeyHash, location: &mut Location<'_>, taken: i128) -> Outcome {
        let suits = |standing: Generation| standing == Generation::FIRST || taken > standing.as_nanoseconds();
        self.change(hash, |shard, _| {
            shard.report((&self.placement, self.rules), hash, location, suits, |_| Ok(()))
        })
    }

    /// Replaces what is held of the client, known or not, by the tombstone that is made for its generation and time, and
    /// returns it; `None` if none is made. Nothing limits it.
    pub fn forget<'a>(
        &self,
        hash: KeyHash,
        client: ClientId<'_>,
        tombstone: impl FnOnce(Option<(Generation, Timestamp)>) -> Option<Tombstone<'a>>,
    ) -> Option<Tombstone<'a>> {
        self.change(hash, |shard, _| {
            let made = tombstone(shard.standing(&self.placement, hash, client))?;
            shard.merge((&self.placement, self.rules), hash, &made.into());
            Some(made)
        })
    }

    /// Removes what is held of the client, and returns whether there was anything. The same is stored again if another
    /// node still sends it.
    pub fn remove(&self, hash: KeyHash, client: ClientId<'_>) -> bool {
        self.change(hash, |shard, _| shard.remove(&self.placement, hash, client))
    }

    /// Changes a client's shard, and counts what the shard then holds. `change` may have counted some of it already.
    #[inline]
    fn change<R>(&self, hash: KeyHash, change: impl FnOnce(&mut Shard, &mut Holding) -> R) -> R {
        self.change_shard(self.shard_of(hash), change)
    }

    #[inline]
    fn change_shard<R>(&self, shard: &Mutex<Shard>, change: impl FnOnce(&mut Shard, &mut Holding) -> R) -> R {
        let mut shard = shard.lock();
        let mut counted = shard.holding();
        let changed = change(&mut shard, &mut counted);
        let holding = shard.holding();
        // Under the lock, or a total could be negative for a while.
        count(&self.clients, counted.clients, holding.clients);
        count(&self.tombstones, counted.tombstones, holding.tombstones);
        count(&self.hidden, counted.hidden, holding.hidden);
        count(&self.erased, counted.erased, holding.erased);
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

    /// Passes the client's location to `read`, under the shard's lock: copy what is needed and return. `None` for a
    /// client that is unknown, was forgotten, or was last heard of too long ago.
    pub fn get<R>(
        &self,
        hash: KeyHash,
        client: ClientId<'_>,
        read: impl FnOnce(&Location<'_>) -> R,
    ) -> Option<R> {
        let shard = self.shard_of(hash).lock();
        let record = shard.get(&self.placement, hash, client)?;
        record.location().filter(|location| shard.tells(location)).map(read)
    }

    /// The same for what is held of the client, its location or its tombstone, unless it is too old.
    pub fn record<R>(
        &self,
        hash: KeyHash,
        client: ClientId<'_>,
        read: impl FnOnce(&ClientRecord<'_>) -> R,
    ) -> Option<R> {
        let shard = self.shard_of(hash).lock();
        shard.get(&self.placement, hash, client).map(|record| read(&record))
    }

    /// How many clients are known.
    pub fn len(&self) -> usize {
        self.clients.load(Ordering::Relaxed)
    }

    /// How many tombstones there are: clients that were forgotten, and have not reported since.
    pub fn tombstones(&self) -> usize {
        self.tombstones.load(Ordering::Relaxed)
    }

    /// How many records are hidden, since they are before the watermark, and not erased yet.
    pub fn hidden(&self) -> usize {
        self.hidden.load(Ordering::Relaxed)
    }

    /// How many records were erased since the beginning.
    pub fn erased(&self) -> usize {
        self.erased.load(Ordering::Relaxed)
    }

    /// How much memory all of them take, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The limits on clients' own reports.
    pub fn bounds(&self) -> StoreBounds {
        self.bounds
    }

    /// Whether nothing is held, not even a tombstone.
    pub fn is_empty(&self) -> bool {
        self.len() + self.tombstones() == 0
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

    /// Passes a leaf's records to `visit`, from that key on and in the order of their keys, until it returns false.
    /// Runs under the shard's lock: copy what is needed and return.
    pub fn records(
        &self,
        shard: usize,
        leaf: usize,
        from: KeyHash,
        mut visit: impl FnMut(Entry, &ClientRecord<'_>) -> bool,
    ) {
        let shard = self.shards[shard].lock();
        for (entry, address) in shard.entries(&self.placement, leaf, from) {
            if shard.record(address).is_some_and(|record| !visit(entry, &record)) {
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
