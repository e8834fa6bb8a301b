//! One shard: a table of 8-byte slots that point at records, and the sums of its leaves. Everything here runs under the
//! shard's lock, so nothing here waits, and no operation takes longer than moving one page's records.

mod pass;

use std::cmp::Ordering;

pub(super) use self::pass::{PassPlace, Passing};
use super::{
    horizon::Horizon,
    pages::{Oldest, Pages, RecordAddress},
    placement::{KeyHash, Placement},
    prefetch::{prefetch, prefetch_record},
    record::{self, RecordFields},
    slots::{Slot, Slots},
};
use crate::core::{
    Rules,
    model::{ClientId, ClientRecord, Generation, Location, Timestamp},
};

/// What became of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It is the first that is held of the client.
    Added,
    /// It replaced another.
    Replaced,
    /// The stored record stays.
    Stale,
    /// The client is new, and the store has as many as it may.
    Full,
    /// The store would have to grow, and uses as many bytes as it may.
    OutOfBytes,
    /// The client is new, and whoever reports it may add no more for now.
    Rationed,
    /// It is before the watermark.
    TooOld,
}

/// What a shard holds, or how much more it would hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Holding {
    /// Clients that are known.
    pub(super) clients: usize,
    /// Tombstones of those that are not.
    pub(super) tombstones: usize,
    /// Records of either kind that are hidden.
    pub(super) hidden: usize,
    /// Records that were erased since the beginning.
    pub(super) erased: usize,
    /// Bytes of memory: for slots, records and sums.
    pub(super) bytes: usize,
}

impl Outcome {
    /// Whether the store changed, and so whether the herd must hear of it.
    pub fn is_news(self) -> bool {
        matches!(self, Self::Added | Self::Replaced)
    }
}

#[derive(Debug, Default)]
pub(super) struct Shard {
    slots: Slots,
    /// How many of the records are tombstones that are not hidden.
    tombstones: usize,
    /// How many are hidden, and how many were erased.
    hidden: usize,
    erased: usize,
    horizon: Horizon,
    /// Whether some records may have to be hidden that are not yet.
    is_in_pass: bool,
    pages: Pages,
    /// Empty, or one per leaf.
    leaf_sums: Vec<u64>,
    /// The XOR of the leaves' sums.
    sum: u64,
}

/// What two stores compare for each client: its key, and the hash of what is held.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Entry {
    /// The client's key.
    pub key: KeyHash,
    /// The hash of everything that is held of it.
    pub hash: u64,
}

impl Shard {
    /// Prefetches the slot at which the search for the client begins.
    pub(super) fn prefetch_slot(&self, placement: &Placement, hash: KeyHash) {
        self.slots.first(placement.slot_hash(hash)).into_iter().for_each(prefetch);
    }

    /// Prefetches the client's record and its leaf's sum, if they exist.
    pub(super) fn prefetch_record(&self, placement: &Placement, hash: KeyHash) {
        if let Some(sum) = self.leaf_sums.get(placement.leaf(hash)) {
            prefetch(sum);
        }
        // The first slot with that hash is the right one, except for a chance of 2^-32 per neighbour; then only the
        // hint is lost.
        if let Some(address) = self.slots.find(placement.slot_hash(hash), |_| true) {
            prefetch_record(self.pages.get(address));
        }
    }

    /// Stores a client's own report if it is strictly newer than what is there, whose generation it takes, and if `admit`
    /// lets the store grow by what that takes. `admit` is not asked about an update that needs no more room than its
    /// client has. A standing generation must suit the report, too.
    pub(super) fn report(
        &mut self,
        (placement, rules): (&Placement, Rules),
        hash: KeyHash,
        location: &mut Location<'_>,
        suits: impl FnOnce(Generation) -> bool,
        admit: impl FnOnce(Holding) -> Result<(), Outcome>,
    ) -> Outcome {
        if self.horizon.watermark > 0 && self.horizon.hides(&(*location).into()) {
            return Outcome::TooOld;
        }
        let Some(address) = self.find(placement, hash, location.client) else {
            let fields = RecordFields::of_location(location);
            let sums = if self.leaf_sums.is_empty() { sums_bytes(placement.shape().leaves()) } else { 0 };
            let bytes = self.slots.growth() + self.pages.growth(fields.room()) + sums;
            return match admit(Holding { clients: 1, tombstones: 0, hidden: 0, erased: 0, bytes }) {
                Ok(()) => self.add(placement, hash, &fields),
                Err(refused) => refused,
            };
        };
        let stored = self.pages.get(address);
        let is_gone = self.is_gone(stored);
        location.generation = record::generation(stored);
        let is_newest = is_gone || record::time(stored).is_none_or(|time| time < location.time);
        if !is_newest || !suits(location.generation) {
            return Outcome::Stale;
        }
        let fields = RecordFields::of_location(location);
        let clients = usize::from(is_gone || record::is_tombstone(stored));
        let needed = fields.room();
        let bytes = if needed > record::room(stored) { self.pages.growth(needed) } else { 0 };
        if clients + bytes > 0
            && let Err(refused) = admit(Holding { clients, tombstones: 0, hidden: 0, erased: 0, bytes })
        {
            return refused;
        }
        self.replace((placement, rules), hash, &fields, address)
    }

    /// Stores a record if it replaces what is there: the greater in the total order is kept, so that merging is
    /// commutative, associative and idempotent. `rules` says which of this the simulation breaks.
    pub(super) fn merge(
        &mut self,
        (placement, rules): (&Placement, Rules),
        hash: KeyHash,
        record: &ClientRecord<'_>,
    ) -> Outcome {
        if self.horizon.hides(record) {
            return Outcome::TooOld;
        }
        let fields = RecordFields::of(record);
        let is_kept = rules.tombstones_stay || matches!(record, ClientRecord::Location(_));
        let Some(address) = self.find(placement, hash, record.client()) else {
            return if is_kept { self.add(placement, hash, &fields) } else { Outcome::Stale };
        };
        let replaces = |stored: ClientRecord<'_>| match record.cmp_age(&stored) {
            Ordering::Greater => rules.ties_are_broken || record.rank() > stored.rank(),
            Ordering::Less => !rules.newest_lives && record.rank() < stored.rank(),
            Ordering::Equal => false,
        };
        let stored = self.pages.get(address);
        if !self.is_gone(stored) && !record::read(stored).is_none_or(replaces) {
            return Outcome::Stale;
        }
        if !is_kept {
            self.remove(placement, hash, record.client());
            return Outcome::Replaced;
        }
        self.replace((placement, rules), hash, &fields, address)
    }

    /// Removes what is held of the client. Returns whether there was anything.
    pub(super) fn remove(&mut self, placement: &Placement, hash: KeyHash, client: ClientId<'_>) -> bool {
        let Some(address) = self.find(placement, hash, client) else { return false };
        let record = self.pages.get(address);
        if record::is_hidden(record) {
            self.hidden -= 1;
        } else {
            let entry_hash = record::hash(record);
            self.tombstones -= usize::from(record::is_tombstone(record));
            self.resum(placement, placement.leaf(hash), entry_hash);
        }
        self.slots.remove(placement.slot_hash(hash), address);
        self.pages.free(address);
        self.compact(placement);
        true
    }

    /// What is held of the client, unless it is too old.
    pub(super) fn get(
        &self,
        placement: &Placement,
        hash: KeyHash,
        client: ClientId<'_>,
    ) -> Option<ClientRecord<'_>> {
        let record = self.pages.get(self.find(placement, hash, client)?);
        record::read(record).filter(|_| !self.is_gone(record))
    }

    /// Whether clients are told of the location, which is the one that is held.
    pub(super) fn tells(&self, location: &Location<'_>) -> bool {
        self.horizon.tells(location)
    }

    /// Whether the record is too old: as if it were not there, but for its generation.
    fn is_gone(&self, record: &[u8]) -> bool {
        let is_old = |record| self.horizon.hides(&record);
        record::is_hidden(record) || self.is_in_pass && record::read(record).is_some_and(is_old)
    }

    /// Generation and time of what is held of the client, too old or not.
    pub(super) fn standing(
        &self,
        placement: &Placement,
        hash: KeyHash,
        client: ClientId<'_>,
    ) -> Option<(Generation, Timestamp)> {
        let record = self.pages.get(self.find(placement, hash, client)?);
        Some((record::generation(record), record::time(record)?))
    }

    /// Empty if nothing was ever stored, otherwise one per leaf.
    pub(super) fn leaf_sums(&self) -> &[u64] {
        &self.leaf_sums
    }

    pub(super) fn sum(&self) -> u64 {
        self.sum
    }

    /// The leaf's entries whose keys are not below `from`, in the order of their keys, without the hidden ones.
    pub(super) fn entries(
        &self,
        placement: &Placement,
        leaf: usize,
        from: KeyHash,
    ) -> Vec<(Entry, RecordAddress)> {
        let mut addresses = Vec::new();
        self.slots.in_range(placement.leaf_range(leaf), |slot| {
            if placement.leaf_of_slot(slot.hash) == leaf {
                addresses.push(slot.address);
            }
        });
        // Their records can be anywhere, so their cache misses should overlap.
        addresses.iter().for_each(|&address| prefetch_record(self.pages.get(address)));
        addresses.retain(|&address| !record::is_hidden(self.pages.get(address)));
        let entry = |address| {
            let record = self.pages.get(address);
            let key = placement.key_hash(client_of(record));
            (Entry { key, hash: record::hash(record) }, address)
        };
        let mut entries: Vec<_> =
            addresses.into_iter().map(entry).filter(|(entry, _)| entry.key >= from).collect();
        entries.sort_unstable_by_key(|(entry, _)| *entry);
        entries
    }

    /// The record there.
    pub(super) fn record(&self, address: RecordAddress) -> Option<ClientRecord<'_>> {
        record::read(self.pages.get(address))
    }

    fn find(&self, placement: &Placement, hash: KeyHash, client: ClientId<'_>) -> Option<RecordAddress> {
        let is_clients = |address| record::client(self.pages.get(address)) == client.as_bytes();
        self.slots.find(placement.slot_hash(hash), is_clients)
    }

    fn add(&mut self, placement: &Placement, hash: KeyHash, fields: &RecordFields<'_>) -> Outcome {
        let (address, entry_hash) = self.write(placement, fields);
        self.tombstones += usize::from(fields.is_tombstone());
        self.resum(placement, placement.leaf(hash), entry_hash);
        self.slots.insert(Slot { hash: placement.slot_hash(hash), address });
        Outcome::Added
    }

    fn replace(
        &mut self,
        (placement, rules): (&Placement, Rules),
        hash: KeyHash,
        fields: &RecordFields<'_>,
        address: RecordAddress,
    ) -> Outcome {
        let old = self.pages.get(address);
        let is_hidden = record::is_hidden(old);
        let room = record::room(old);
        // What is hidden is in no sum.
        let old_hash = if is_hidden { 0 } else { record::hash(old) };
        self.hidden -= usize::from(is_hidden);
        self.tombstones -= usize::from(!is_hidden && record::is_tombstone(old));
        self.tombstones += usize::from(fields.is_tombstone());
        let needed = fields.room();
        let leaf = placement.leaf(hash);
        let changed_by = |new_hash| if rules.sums_follow || is_hidden { old_hash ^ new_hash } else { 0 };
        // A record much smaller than its room moves too, or one large report would keep its room for ever.
        if needed <= room && room <= needed + record::SPARE_BYTES_MAX {
            let new_hash = record::write(self.pages.get_mut(address, room), fields, placement);
            self.resum(placement, leaf, changed_by(new_hash));
            return Outcome::Replaced;
        }
        let (moved, new_hash) = self.write(placement, fields);
        self.resum(placement, leaf, changed_by(new_hash));
        self.pages.free(address);
        self.slots.repoint(placement.slot_hash(hash), address, moved);
        self.compact(placement);
        Outcome::Replaced
    }

    fn write(&mut self, placement: &Placement, fields: &RecordFields<'_>) -> (RecordAddress, u64) {
        let room = fields.room();
        let address = self.pages.allocate(room);
        (address, record::write(self.pages.get_mut(address, room), fields, placement))
    }

    /// Updates a leaf's sum, and the shard's with it, by the hashes of entries that came or went.
    fn resum(&mut self, placement: &Placement, leaf: usize, by: u64) {
        if self.leaf_sums.is_empty() {
            self.leaf_sums.resize(placement.shape().leaves(), 0);
        }
        self.leaf_sums[leaf] ^= by;
        self.sum ^= by;
    }

    /// If much of the memory is dead, moves one page's live records elsewhere, which frees the page. Returns whether it
    /// did.
    pub(super) fn compact(&mut self, placement: &Placement) -> bool {
        let Some(page) = self.pages.sparsest() else { return false };
        for from in self.pages.live_on(page) {
            // The walk may be beyond the page to which it moves.
            if self.is_in_pass
                && let Some(too_old) = self.look_at(placement, from, &mut Oldest::default())
            {
                self.erase(placement, too_old);
                continue;
            }
            let hash = placement.slot_hash(placement.key_hash(client_of(self.pages.get(from))));
            let to = self.pages.relocate(from);
            self.slots.repoint(hash, from, to);
        }
        true
    }

    /// Gives up everything. From now on that is too old here.
    pub(super) fn empty(&mut self, horizon: Horizon) {
        *self = Self { horizon, erased: self.erased, ..Self::default() };
    }

    /// What it holds.
    #[inline]
    pub(super) fn holding(&self) -> Holding {
        let Self { slots, tombstones, hidden, erased, pages, leaf_sums, .. } = self;
        let bytes = slots.bytes() + pages.bytes() + sums_bytes(leaf_sums.len());
        let clients = slots.taken() - tombstones - hidden;
        Holding { clients, tombstones: *tombstones, hidden: *hidden, erased: *erased, bytes }
    }
}

fn client_of(record: &[u8]) -> ClientId<'_> {
    ClientId::of_field(record::client(record))
}

/// Bytes of so many leaves' sums.
fn sums_bytes(leaves: usize) -> usize {
    leaves * size_of::<u64>()
}
