//! A pass over one shard in short pieces, each under the shard's lock: hides what is before the watermark, and erases
//! what has long been hidden. Pages are looked at one after the other, since their records lie side by side; one in which
//! nothing can be old is skipped. What changes between two pieces obeys the new watermark already.

use super::{Placement, RecordAddress, Shard, Slot};
use crate::core::store::{horizon::Horizon, pages::Oldest, record};

/// How far a pass over a shard has got.
#[derive(Clone, Copy, Debug)]
pub(in crate::core::store) struct PassPlace {
    page: usize,
    offset: usize,
    /// [`super::Pages::remade`] as of the last piece.
    remade: u64,
    oldest: Oldest,
}

impl Default for PassPlace {
    /// At the beginning.
    fn default() -> Self {
        Self { page: 0, offset: 0, remade: 0, oldest: Oldest::NONE }
    }
}

/// What is next for a shard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::core::store) enum Passing {
    /// Another piece.
    On,
    /// Another piece, once memory has been given back: something was erased.
    Compact,
    /// Nothing: all of the shard was looked at.
    Over,
}

impl Shard {
    /// From now on this is too old here, whatever arrives.
    pub(in crate::core::store) fn begin_pass(&mut self, horizon: Horizon) {
        (self.horizon, self.is_in_pass) = (horizon, true);
    }

    /// The shard has been looked at, or holds nothing.
    pub(in crate::core::store) fn end_pass(&mut self) {
        self.is_in_pass = false;
    }

    /// Looks at the next records, so many at most. Returns what is next.
    pub(in crate::core::store) fn pass_on(
        &mut self,
        placement: &Placement,
        place: &mut PassPlace,
        most: usize,
    ) -> Passing {
        if place.remade != self.pages.remade() {
            // The page may be another than the one that was being looked at.
            *place = PassPlace { page: place.page, remade: self.pages.remade(), ..PassPlace::default() };
        }
        let mut too_old = Vec::new();
        for _ in 0..most {
            if place.page >= self.pages.count() {
                break;
            }
            if place.offset == 0 {
                if self.pages.oldest(place.page).is_young(self.horizon.bounds()) {
                    place.page += 1;
                    continue;
                }
                self.pages.begin_look(place.page);
                place.oldest = Oldest::NONE;
            }
            let Some(address) = self.pages.at(place.page, place.offset) else {
                self.pages.end_look(place.page, place.oldest);
                (place.page, place.offset) = (place.page + 1, 0);
                continue;
            };
            place.offset += record::room(self.pages.get(address));
            too_old.extend(self.look_at(placement, address, &mut place.oldest));
        }
        let has_erased = !too_old.is_empty();
        too_old.into_iter().for_each(|address| self.erase(placement, address));
        let is_over = place.page >= self.pages.count();
        match has_erased {
            true => Passing::Compact,
            false if is_over => Passing::Over,
            false => Passing::On,
        }
    }

    /// Hides the record there if it is to be hidden; returns it if it is to be erased.
    pub(super) fn look_at(
        &mut self,
        placement: &Placement,
        address: RecordAddress,
        oldest: &mut Oldest,
    ) -> Option<RecordAddress> {
        let record = self.pages.get(address);
        if record::is_dead(record) {
            return None;
        }
        let counted = self.horizon.counted(&record::read(record)?);
        let [hide, erase] = self.horizon.bounds();
        if counted < hide && !record::is_hidden(record) {
            self.hide(placement, address);
        }
        if counted < hide && counted < erase {
            return Some(address);
        }
        oldest.add(counted, counted < hide);
        None
    }

    fn hide(&mut self, placement: &Placement, address: RecordAddress) {
        let record = self.pages.get(address);
        let (key, entry_hash) = (placement.key_hash(super::client_of(record)), record::hash(record));
        self.tombstones -= usize::from(record::is_tombstone(record));
        self.hidden += 1;
        self.resum(placement, placement.leaf(key), entry_hash);
        self.pages.hide(address);
    }

    /// Gives up a hidden record. The memory is given back by [`Shard::compact`].
    pub(super) fn erase(&mut self, placement: &Placement, address: RecordAddress) {
        let key = placement.key_hash(super::client_of(self.pages.get(address)));
        (self.hidden, self.erased) = (self.hidden - 1, self.erased + 1);
        self.slots.remove(placement.slot_hash(key), address);
        self.pages.free(address);
    }
}

/// A slot is as large as it was: nothing of this is kept for each client.
const _: () = assert!(size_of::<Slot>() == 8);
