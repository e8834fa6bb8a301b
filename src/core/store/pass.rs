//! A pass over the whole store, which hides what is before a new watermark and erases what has long been hidden, in
//! pieces so short that nobody waits for them. While the watermark moves, the store's sums are of two watermarks and
//! compare with nothing.

use std::sync::atomic::Ordering;

use super::{
    Store,
    horizon::Horizon,
    shard::{PassPlace, Passing},
};

/// At most so many records are looked at under a shard's lock: it takes some 30 µs if all of them are hidden.
const PIECE_RECORDS: usize = 128;

/// A pass, and how far it has got. Only one at a time.
#[derive(Debug)]
pub struct Pass {
    horizon: Horizon,
    shard: usize,
    place: PassPlace,
    has_begun_shard: bool,
    is_compacting: bool,
}

impl Store {
    /// The watermark that all records obey: what is before it, in seconds since 1970, is hidden and in no sum. `None`
    /// while it moves.
    pub fn settled_watermark(&self) -> Option<u64> {
        let state = self.watermark.load(Ordering::SeqCst);
        state.is_multiple_of(2).then_some(state / 2)
    }

    /// Whether sums of another watermark, or of two, are compared with nothing.
    pub fn heeds_watermark(&self) -> bool {
        self.rules.rounds_heed_watermark
    }

    /// The watermark, or the one to which it moves.
    pub fn watermark(&self) -> u64 {
        self.watermark.load(Ordering::SeqCst) / 2
    }

    /// Empties the store, and takes nothing from now on that is before the watermark. For its beginning: whatever was
    /// kept of before obeys it whole.
    pub fn begin_at(&self, watermark: u64) {
        for shard in &self.shards {
            self.change_shard(shard, |shard, _| shard.empty(self.horizon(watermark, 0)));
        }
        self.watermark.store(watermark * 2, Ordering::SeqCst);
    }

    /// Begins to move the watermark, or only to erase if it is the present one. What was hidden and is before the second
    /// is erased. No record obeys either before [`Store::go_on`].
    pub fn begin_pass(&self, watermark: u64, erase_before: u64) -> Pass {
        if watermark != self.watermark() {
            self.watermark.store(watermark * 2 + 1, Ordering::SeqCst);
        }
        Pass {
            horizon: self.horizon(watermark, erase_before),
            shard: 0,
            place: PassPlace::default(),
            has_begun_shard: false,
            is_compacting: false,
        }
    }

    /// The next piece of a pass. Returns whether it was the last; then the watermark has settled.
    pub fn go_on(&self, pass: &mut Pass) -> bool {
        if let Some(shard) = self.shards.get(pass.shard) {
            let next = self.change_shard(shard, |shard, _| {
                if !std::mem::replace(&mut pass.has_begun_shard, true) {
                    shard.begin_pass(pass.horizon);
                }
                if std::mem::take(&mut pass.is_compacting) {
                    let next = if shard.compact(&self.placement) { Passing::Compact } else { Passing::On };
                    return next;
                }
                let next = shard.pass_on(&self.placement, &mut pass.place, PIECE_RECORDS);
                if next == Passing::Over {
                    shard.end_pass();
                }
                next
            });
            pass.is_compacting = next == Passing::Compact;
            if next == Passing::Over {
                (pass.shard, pass.place, pass.has_begun_shard) =
                    (pass.shard + 1, PassPlace::default(), false);
            }
        }
        let is_over = pass.shard == self.shards.len();
        if is_over {
            self.watermark.store(pass.horizon.watermark * 2, Ordering::SeqCst);
        }
        is_over
    }

    fn horizon(&self, watermark: u64, erase_before: u64) -> Horizon {
        Horizon { watermark, erase_before, day: self.day, rules: self.rules }
    }
}
