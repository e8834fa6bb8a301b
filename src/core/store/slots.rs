//! A shard's table: 8 bytes per client, in one array. A slot holds enough of the key's hash to distinguish it from its
//! neighbours and to move it when the table grows or another is removed, so that neither touches a record. A removal
//! moves the slots after it back, so that linear probing never has to pass a slot that was in use once. A lookup costs
//! one cache miss here and one for the record.
//!
//! The top bits of a slot's hash give its position. If only the herd knows how clients are placed, these are the
//! leaf's: the slots of a leaf are adjacent, and listing it reads only those. Otherwise they are scattered.

use super::pages::RecordAddress;

/// What is known of a client without looking at its record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Slot {
    /// 32 bits of the key: [`Placement::slot_hash`](super::Placement::slot_hash).
    pub(super) hash: u32,
    pub(super) address: RecordAddress,
}

const VACANT: Slot = Slot { hash: 0, address: RecordAddress::NOWHERE };

/// A table's first capacity, and the least by which it grows.
const CAPACITY_MIN: usize = 8;

/// From this capacity on, a table grows by a quarter instead of half. The memory it leaves is then as large as a page
/// of records, so that what smaller steps left is reused.
const LARGE: usize = 8192;

/// The table. At most four fifths of it are taken. What is removed leaves its room to others: the table never shrinks,
/// because that would move every slot.
#[derive(Debug, Default)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    taken: usize,
}

impl Slots {
    /// The slot of that hash for which `is_it` holds.
    pub(super) fn find(
        &self,
        hash: u32,
        mut is_it: impl FnMut(RecordAddress) -> bool,
    ) -> Option<RecordAddress> {
        let at = self.probe(hash, |slot| slot.hash == hash && is_it(slot.address))?;
        Some(self.slots[at].address).filter(|&address| address != RecordAddress::NOWHERE)
    }

    /// Where the search for a slot of that hash begins.
    pub(super) fn first(&self, hash: u32) -> Option<&Slot> {
        self.slots.get(self.home(hash))
    }

    /// Bytes of memory it uses.
    pub(super) fn bytes(&self) -> usize {
        self.slots.len() * size_of::<Slot>()
    }

    /// How many slots are taken.
    pub(super) fn taken(&self) -> usize {
        self.taken
    }

    /// How many bytes more it uses with one more slot.
    pub(super) fn growth(&self) -> usize {
        if self.is_full() { (self.grown() - self.slots.len()) * size_of::<Slot>() } else { 0 }
    }

    /// Takes a slot for a client that has none.
    pub(super) fn insert(&mut self, slot: Slot) {
        if self.is_full() {
            self.grow();
        }
        self.taken += 1;
        self.place(slot);
    }

    /// Makes the slot that points to `from` point to `to`.
    pub(super) fn repoint(&mut self, hash: u32, from: RecordAddress, to: RecordAddress) {
        if let Some(at) = self.position(hash, from) {
            self.slots[at].address = to;
        }
    }

    /// Gives up the slot that points to that address.
    pub(super) fn remove(&mut self, hash: u32, address: RecordAddress) {
        let Some(mut gap) = self.position(hash, address) else { return };
        self.taken -= 1;
        let mut at = self.after(gap);
        // A search stops at a vacant slot, so no slot may be left beyond the gap whose own position is not.
        while self.slots[at].address != RecordAddress::NOWHERE {
            if self.distance(self.home(self.slots[at].hash), at) >= self.distance(gap, at) {
                self.slots[gap] = self.slots[at];
                gap = at;
            }
            at = self.after(at);
        }
        self.slots[gap] = VACANT;
    }

    /// Where the slot is that points to that address.
    fn position(&self, hash: u32, address: RecordAddress) -> Option<usize> {
        let at = self.probe(hash, |slot| slot.address == address)?;
        (self.slots[at].address == address).then_some(at)
    }

    /// The first slot, from the hash's own position on, that is vacant or for which `is_it` holds.
    fn probe(&self, hash: u32, mut is_it: impl FnMut(Slot) -> bool) -> Option<usize> {
        if self.slots.is_empty() {
            return None;
        }
        let mut at = self.home(hash);
        loop {
            let slot = self.slots[at];
            if slot.address == RecordAddress::NOWHERE || is_it(slot) {
                return Some(at);
            }
            at = self.after(at);
        }
    }

    /// Passes on every slot whose hash is in the range, both ends included, in no particular order.
    pub(super) fn in_range(&self, (first, last): (u32, u32), mut visit: impl FnMut(Slot)) {
        if self.slots.is_empty() {
            return;
        }
        let (mut at, end) = (self.home(first), self.home(last));
        let mut is_beyond = false;
        // A slot that found its own position taken is further on, but never beyond a vacant one.
        for _ in 0..self.slots.len() {
            let slot = self.slots[at];
            let is_vacant = slot.address == RecordAddress::NOWHERE;
            if !is_vacant && (first..=last).contains(&slot.hash) {
                visit(slot);
            }
            is_beyond |= at == end;
            if is_vacant && is_beyond {
                return;
            }
            at = self.after(at);
        }
    }

    /// The position after that one; the last is followed by the first.
    fn after(&self, at: usize) -> usize {
        if at + 1 < self.slots.len() { at + 1 } else { 0 }
    }

    /// How many steps a search takes from one position to another.
    fn distance(&self, from: usize, to: usize) -> usize {
        if to >= from { to - from } else { to + self.slots.len() - from }
    }

    /// The ideal position for a slot of that hash.
    fn home(&self, hash: u32) -> usize {
        ((u64::from(hash) * self.slots.len() as u64) >> 32) as usize
    }

    fn place(&mut self, slot: Slot) {
        if let Some(at) = self.probe(slot.hash, |_| false) {
            self.slots[at] = slot;
        }
    }

    fn is_full(&self) -> bool {
        self.taken >= self.slots.len() * 4 / 5
    }

    /// The capacity after this one.
    fn grown(&self) -> usize {
        let part = if self.slots.len() < LARGE { 2 } else { 4 };
        self.slots.len() + (self.slots.len() / part).max(CAPACITY_MIN)
    }

    fn grow(&mut self) {
        let grown = vec![VACANT; self.grown()];
        for slot in std::mem::replace(&mut self.slots, grown) {
            if slot.address != RecordAddress::NOWHERE {
                self.place(slot);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::core::store::{KeyHash, Placement, pages::Pages};

    /// How many taken slots are inspected in total before each of these keys finds its own.
    fn steps(placement: &Placement, keys: impl Iterator<Item = u64>) -> usize {
        let (mut slots, mut steps) = (Slots::default(), 0);
        let address = Pages::default().allocate(4);
        for key in keys {
            let hash = placement.slot_hash(KeyHash::of_bits(key));
            slots.probe(hash, |_| {
                steps += 1;
                false
            });
            slots.insert(Slot { hash, address });
        }
        steps
    }

    #[test]
    fn ids_that_crowd_one_leaf_take_no_more_steps_than_others() {
        const IDS: u64 = 40_000;
        // If four fifths are taken, an unsuccessful search inspects 13 on average.
        const STEPS_MAX: usize = 13 * IDS as usize;
        for random in [[0x00; 16], [0x5a; 16], [0xff; 16], *b"sixteen at rando"] {
            let placement = Placement::of_herd("test").scattered(random);
            // Anyone can try ids until their first bits are as wanted. 16 bits are cheap, 40 beyond most attackers.
            let below =
                |bits: u32| (0..IDS).map(move |id| id.wrapping_mul(0xd134_2543_de82_ef95) >> (64 - bits));
            let of_one_leaf = below(48).map(|low| 0x1234 << 48 | low);
            let of_forty_bits = below(24).map(|low| 0x12_3456_789a << 24 | low);
            let in_a_row = (0..IDS).map(|low| 0x12_3456_789a << 24 | low);
            assert!(steps(&placement, of_one_leaf) < STEPS_MAX);
            assert!(steps(&placement, of_forty_bits) < STEPS_MAX);
            assert!(steps(&placement, in_a_row) < STEPS_MAX);
        }
        // If they were adjacent, as when only the herd knows the placement, each would be a step for the next.
        let few = (0..1000).map(|low| 0x1234 << 48 | low << 20);
        assert!(steps(&Placement::of_herd("test"), few) > 1000 * 400);
    }

    #[test]
    fn scattering_moves_slots_and_nothing_that_the_herd_must_agree_on() {
        let herds = Placement::of_herd("test");
        let [one, other] = [[1; 16], [2; 16]].map(|random| herds.scattered(random));
        let keys: Vec<_> = (0..100).map(|id| KeyHash::of_bits(id << 56 | id << 48 | id)).collect();
        for scattered in [&one, &other] {
            assert_eq!(scattered.check(), herds.check());
            for &key in &keys {
                let place = |placement: &Placement| (placement.shard(key), placement.leaf(key));
                assert_eq!(place(scattered), place(&herds));
                assert_eq!(scattered.leaf_of_slot(scattered.slot_hash(key)), herds.leaf(key));
            }
        }
        let same = keys.iter().filter(|&&key| one.slot_hash(key) == other.slot_hash(key)).count();
        assert!(same < 5, "{same}");
    }

    /// Hashes that crowd: a few values, the last positions of any table, whose slots go on at its beginning, and others.
    fn crowding_hash() -> impl Strategy<Value = u32> {
        prop_oneof![
            (0..4_u32).prop_map(|nth| nth << 30),
            (0..64_u32).prop_map(|back| u32::MAX - (back << 20)),
            any::<u32>(),
        ]
    }

    proptest! {
        #[test]
        fn table_finds_what_was_inserted_and_not_removed_and_nothing_else(
            steps in prop::collection::vec((crowding_hash(), 0..5_usize, any::<prop::sample::Index>()), 1..200),
            (one, other) in any::<(u32, u32)>(),
        ) {
            let (mut slots, mut pages) = (Slots::default(), Pages::default());
            let mut model: Vec<Slot> = Vec::new();
            let is_there = |slots: &Slots, slot: Slot| slots.find(slot.hash, |address| address == slot.address).is_some();
            for (hash, kind, at) in steps {
                if kind < 3 || model.is_empty() {
                    let slot = Slot { hash, address: pages.allocate(4) };
                    slots.insert(slot);
                    model.push(slot);
                } else {
                    let gone = model.swap_remove(at.index(model.len()));
                    slots.remove(gone.hash, gone.address);
                    prop_assert!(!is_there(&slots, gone));
                    // What is not there is not removed.
                    slots.remove(gone.hash, gone.address);
                }
                prop_assert!(model.iter().all(|&slot| is_there(&slots, slot)));
                prop_assert_eq!(slots.taken, model.len());
                let mut in_range = BTreeSet::new();
                let range = (one.min(other), one.max(other));
                slots.in_range(range, |slot| assert!(in_range.insert((slot.hash, slot.address))));
                let expected = model.iter().filter(|slot| (range.0..=range.1).contains(&slot.hash));
                prop_assert_eq!(in_range, expected.map(|slot| (slot.hash, slot.address)).collect());
            }
            for slot in std::mem::take(&mut model) {
                slots.remove(slot.hash, slot.address);
            }
            prop_assert!(slots.slots.iter().all(|slot| *slot == VACANT));
        }
    }
}
