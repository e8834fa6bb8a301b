//! One shard: a table of 8-byte slots that point at records, and the sums of its leaves. Everything here runs under the
//! shard's lock, so nothing here waits, and no operation takes longer than moving one page's records.

use std::cmp::Ordering;

use super::{
    pages::{Pages, RecordAddress},
    placement::{KeyHash, Placement},
    prefetch::{prefetch, prefetch_record},
    record,
    slots::{Slot, Slots},
};
use crate::core::{
    Rules,
    model::{ClientId, Location},
};

/// What became of a location.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It is the client's first.
    Added,
    /// It replaced another.
    Replaced,
    /// The stored location stays.
    Stale,
    /// The client is new, and the store has as many as it may.
    Full,
    /// The store would have to grow, and uses as many bytes as it may.
    OutOfBytes,
}

/// What a shard holds, or how much more it would hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Holding {
    pub(super) clients: usize,
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

    /// Stores a client's own report if it is strictly newer than what is there, and if `admit` lets the store grow by
    /// what that takes. `admit` is not asked about an update that needs no more room than its client has.
    pub(super) fn report(
        &mut self,
        placement: &Placement,
        rules: Rules,
        hash: KeyHash,
        location: &Location<'_>,
        admit: impl FnOnce(Holding) -> Result<(), Outcome>,
    ) -> Outcome {
        let needed = record::room_for(location);
        let Some(address) = self.find(placement, hash, location.client) else {
            let sums = if self.leaf_sums.is_empty() { sums_bytes(placement.shape().leaves()) } else { 0 };
            let bytes = self.slots.growth() + self.pages.growth(needed) + sums;
            return match admit(Holding { clients: 1, bytes }) {
                Ok(()) => self.add(placement, hash, location),
                Err(refused) => refused,
            };
        };
        let stored = self.pages.get(address);
        if record::time(stored).is_some_and(|time| time >= location.time) {
            return Outcome::Stale;
        }
        if needed > record::room(stored)
            && let Err(refused) = admit(Holding { clients: 0, bytes: self.pages.growth(needed) })
        {
            return refused;
        }
        self.replace(placement, rules, hash, location, address)
    }

    /// Stores a location if it replaces what is there: the greater in the total order is kept, so that merging is
    /// commutative, associative and idempotent. `rules` says which of this the simulation breaks.
    pub(super) fn merge(
        &mut self,
        placement: &Placement,
        rules: Rules,
        hash: KeyHash,
        location: &Location<'_>,
    ) -> Outcome {
        let Some(address) = self.find(placement, hash, location.client) else {
            return self.add(placement, hash, location);
        };
        let replaces = |stored: Location<'_>| match location.cmp_age(&stored) {
            Ordering::Greater => rules.ties_are_broken || location.time > stored.time,
            Ordering::Less => !rules.newest_lives && location.time < stored.time,
            Ordering::Equal => false,
        };
        if !record::location(self.pages.get(address)).is_none_or(replaces) {
            return Outcome::Stale;
        }
        self.replace(placement, rules, hash, location, address)
    }

    /// Removes what is held of the client. Returns whether there was anything.
    pub(super) fn remove(&mut self, placement: &Placement, hash: KeyHash, client: ClientId<'_>) -> bool {
        let Some(address) = self.find(placement, hash, client) else { return false };
        let entry_hash = record::hash(self.pages.get(address));
        self.resum(placement, placement.leaf(hash), entry_hash);
        self.slots.remove(placement.slot_hash(hash), address);
        self.pages.free(address);
        self.compact(placement);
        true
    }

    /// The client's location.
    pub(super) fn get(
        &self,
        placement: &Placement,
        hash: KeyHash,
        client: ClientId<'_>,
    ) -> Option<Location<'_>> {
        record::location(self.pages.get(self.find(placement, hash, client)?))
    }

    /// Empty if nothing was ever stored, otherwise one per leaf.
    pub(super) fn leaf_sums(&self) -> &[u64] {
        &self.leaf_sums
    }

    pub(super) fn sum(&self) -> u64 {
        self.sum
    }

    /// The leaf's entries whose keys are not below `from`, in the order of their keys.
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
        let entry = |address| {
            let record = self.pages.get(address);
            let key = placement.key_hash(ClientId::of_field(record::client(record)));
            (Entry { key, hash: record::hash(record) }, address)
        };
        let mut entries: Vec<_> =
            addresses.into_iter().map(entry).filter(|(entry, _)| entry.key >= from).collect();
        entries.sort_unstable_by_key(|(entry, _)| *entry);
        entries
    }

    /// The location there.
    pub(super) fn location(&self, address: RecordAddress) -> Option<Location<'_>> {
        record::location(self.pages.get(address))
    }

    fn find(&self, placement: &Placement, hash: KeyHash, client: ClientId<'_>) -> Option<RecordAddress> {
        let is_clients = |address| record::client(self.pages.get(address)) == client.as_bytes();
        self.slots.find(placement.slot_hash(hash), is_clients)
    }

    fn add(&mut self, placement: &Placement, hash: KeyHash, location: &Location<'_>) -> Outcome {
        let (address, entry_hash) = self.write(placement, location);
        self.resum(placement, placement.leaf(hash), entry_hash);
        self.slots.insert(Slot { hash: placement.slot_hash(hash), address });
        Outcome::Added
    }

    fn replace(
        &mut self,
        placement: &Placement,
        rules: Rules,
        hash: KeyHash,
        location: &Location<'_>,
        address: RecordAddress,
    ) -> Outcome {
        let old = self.pages.get(address);
        let (room, old_hash) = (record::room(old), record::hash(old));
        let needed = record::room_for(location);
        let leaf = placement.leaf(hash);
        let changed_by = |new_hash| if rules.sums_follow { old_hash ^ new_hash } else { 0 };
        // A record much smaller than its room moves too, or one large report would keep its room for ever.
        if needed <= room && room <= needed + record::SPARE_BYTES_MAX {
            let new_hash = record::write(self.pages.get_mut(address, room), location, placement);
            self.resum(placement, leaf, changed_by(new_hash));
            return Outcome::Replaced;
        }
        let (moved, new_hash) = self.write(placement, location);
        self.resum(placement, leaf, changed_by(new_hash));
        self.pages.free(address);
        self.slots.repoint(placement.slot_hash(hash), address, moved);
        self.compact(placement);
        Outcome::Replaced
    }

    fn write(&mut self, placement: &Placement, location: &Location<'_>) -> (RecordAddress, u64) {
        let room = record::room_for(location);
        let address = self.pages.allocate(room);
        (address, record::write(self.pages.get_mut(address, room), location, placement))
    }

    /// Updates a leaf's sum, and the shard's with it, by the hashes of entries that came or went.
    fn resum(&mut self, placement: &Placement, leaf: usize, by: u64) {
        if self.leaf_sums.is_empty() {
            self.leaf_sums.resize(placement.shape().leaves(), 0);
        }
        self.leaf_sums[leaf] ^= by;
        self.sum ^= by;
    }

    /// If much of the memory is dead, moves one page's live records elsewhere, which frees the page.
    fn compact(&mut self, placement: &Placement) {
        let Some(page) = self.pages.sparsest() else { return };
        for from in self.pages.live_on(page) {
            let client = ClientId::of_field(record::client(self.pages.get(from)));
            let hash = placement.slot_hash(placement.key_hash(client));
            let to = self.pages.relocate(from);
            self.slots.repoint(hash, from, to);
        }
    }

    /// How many clients it holds, and in how many bytes of memory: for slots, records and sums.
    #[inline]
    pub(super) fn holding(&self) -> Holding {
        let bytes = self.slots.bytes() + self.pages.bytes() + sums_bytes(self.leaf_sums.len());
        Holding { clients: self.slots.taken(), bytes }
    }
}

/// Bytes of so many leaves' sums.
fn sums_bytes(leaves: usize) -> usize {
    leaves * size_of::<u64>()
}
