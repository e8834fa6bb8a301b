//! One shard: a table of 8-byte slots that point at records, and the sums of its leaves. Everything here runs under the
//! shard's lock, so nothing here waits, and no operation takes longer than moving one page's records.

use std::cmp::Ordering;

use super::{
    pages::{Address, Pages},
    placement::{KeyHash, Placement},
    prefetch::{prefetch, prefetch_record},
    record,
    slots::{Slot, Slots},
};
use crate::model::{ClientId, Location};

/// The leaves of a shard: one for each value of a key hash's second byte.
pub const LEAVES: usize = 256;

/// What became of a location.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It is the client's first.
    Added,
    /// It took the place of another.
    Replaced,
    /// The client's stored location stays.
    Stale,
    /// The client is new, and there is no room for another.
    Full,
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
    /// Empty, or one a leaf.
    leaf_sums: Vec<u64>,
}

impl Shard {
    /// Has the client's record and its leaf's sum fetched, if it has them.
    pub(super) fn prefetch(&self, hash: KeyHash) {
        // The first of that hash is it, but for a chance of 2^-32 a neighbour, and then only the hint is lost.
        if let Some(address) = self.slots.find(hash.in_shard(), |_| true) {
            prefetch_record(self.pages.get(address));
        }
        if let Some(sum) = self.leaf_sums.get(hash.leaf()) {
            prefetch(sum);
        }
    }

    /// Stores a client's own report if it is strictly newer than what is there. A new client needs a place.
    pub(super) fn report(
        &mut self,
        placement: &Placement,
        hash: KeyHash,
        location: &Location<'_>,
        take_place: impl FnOnce() -> bool,
    ) -> Outcome {
        match self.find(hash, location.client) {
            Some(address)
                if record::time(self.pages.get(address)).is_some_and(|time| time >= location.time) =>
            {
                Outcome::Stale
            }
            Some(address) => self.replace(placement, hash, location, address),
            None if take_place() => self.add(placement, hash, location),
            None => Outcome::Full,
        }
    }

    /// Stores a location if it is greater in the total order than what is there.
    pub(super) fn merge(&mut self, placement: &Placement, hash: KeyHash, location: &Location<'_>) -> Outcome {
        let Some(address) = self.find(hash, location.client) else {
            return self.add(placement, hash, location);
        };
        let stored = record::location(self.pages.get(address));
        if stored.is_some_and(|stored| location.cmp_age(&stored) != Ordering::Greater) {
            return Outcome::Stale;
        }
        self.replace(placement, hash, location, address)
    }

    /// The client's location.
    pub(super) fn get(&self, hash: KeyHash, client: ClientId<'_>) -> Option<Location<'_>> {
        record::location(self.pages.get(self.find(hash, client)?))
    }

    pub(super) fn leaf_sums(&self) -> [u64; LEAVES] {
        self.leaf_sums.first_chunk().copied().unwrap_or([0; LEAVES])
    }

    fn find(&self, hash: KeyHash, client: ClientId<'_>) -> Option<Address> {
        self.slots
            .find(hash.in_shard(), |address| record::client(self.pages.get(address)) == client.as_bytes())
    }

    fn add(&mut self, placement: &Placement, hash: KeyHash, location: &Location<'_>) -> Outcome {
        let address = self.write(placement, hash, location);
        self.slots.insert(Slot { hash: hash.in_shard(), address });
        Outcome::Added
    }

    fn replace(
        &mut self,
        placement: &Placement,
        hash: KeyHash,
        location: &Location<'_>,
        address: Address,
    ) -> Outcome {
        let old = self.pages.get(address);
        let (room, old_hash) = (record::room(old), record::hash(old));
        let needed = record::room_for(location);
        self.add_to_sum(hash, old_hash);
        // A record much smaller than its room moves too, or one large report would hold its room for ever.
        if needed <= room && room <= needed + 64 {
            let new_hash = record::write(self.pages.get_mut(address, room), location, placement);
            self.add_to_sum(hash, new_hash);
            return Outcome::Replaced;
        }
        let moved = self.write(placement, hash, location);
        self.pages.free(address);
        self.slots.repoint(hash.in_shard(), address, moved);
        if let Some(page) = self.pages.sparsest() {
            self.evacuate(placement, page);
        }
        Outcome::Replaced
    }

    fn write(&mut self, placement: &Placement, hash: KeyHash, location: &Location<'_>) -> Address {
        let room = record::room_for(location);
        let address = self.pages.allocate(room);
        let entry_hash = record::write(self.pages.get_mut(address, room), location, placement);
        self.add_to_sum(hash, entry_hash);
        address
    }

    /// XOR adds an entry's hash to its leaf's sum, and takes it out again.
    fn add_to_sum(&mut self, hash: KeyHash, entry_hash: u64) {
        if self.leaf_sums.is_empty() {
            self.leaf_sums.resize(LEAVES, 0);
        }
        self.leaf_sums[hash.leaf()] ^= entry_hash;
    }

    /// Moves the page's live records elsewhere, which frees it.
    fn evacuate(&mut self, placement: &Placement, page: usize) {
        for from in self.pages.live_on(page) {
            let client = ClientId::of_field(record::client(self.pages.get(from)));
            let hash = placement.key_hash(client).in_shard();
            let to = self.pages.relocate(from);
            self.slots.repoint(hash, from, to);
        }
    }

    /// Bytes of memory held for records.
    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        self.pages.allocated()
    }
}
