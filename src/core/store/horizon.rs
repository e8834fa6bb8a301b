//! How old is too old: from when a record's age counts, and what is before the watermark.

use crate::core::{
    Rules,
    model::{ClientRecord, Generation, Location, Skew},
};

/// Nanoseconds in a second.
const NANOS: i128 = 1_000_000_000;

/// What a store hides, and what it erases. By default nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Horizon {
    /// What is before it is hidden, in seconds since 1970.
    pub(super) watermark: u64,
    /// What is hidden and before this is erased.
    pub(super) erase_before: u64,
    /// By how much longer a generation stands than it would by its own age, in seconds.
    pub(super) day: u64,
    pub(super) rules: Rules,
}

impl Default for Horizon {
    fn default() -> Self {
        Self { watermark: 0, erase_before: 0, day: 0, rules: Rules::SOUND }
    }
}

impl Horizon {
    /// Whether the record is to be hidden.
    pub(super) fn hides(&self, record: &ClientRecord<'_>) -> bool {
        self.watermark > 0 && self.counted(record) < self.bounds()[0]
    }

    /// Whether clients are told of the location. One of a client that was forgotten stays beyond its age for the sake of
    /// its generation only.
    pub(super) fn tells(&self, location: &Location<'_>) -> bool {
        self.watermark == 0
            || location.generation == Generation::FIRST
            || self.taken(location) >= self.bounds()[0]
    }

    /// The moments before which records are hidden, and before which hidden ones are erased, in nanoseconds since 1970.
    pub(super) fn bounds(&self) -> [i128; 2] {
        [self.watermark, self.erase_before].map(|seconds| i128::from(seconds) * NANOS)
    }

    /// The moment from which the record's age counts, in nanoseconds since 1970: for a location, when its server took it.
    ///
    /// A generation stands for a day more than that of the moment at which it began, whatever record stands for it: what
    /// was forgotten then may have been taken by a node whose clock is ahead by up to a day, and must be too old by
    /// itself before nothing tells any more that it was forgotten.
    pub(super) fn counted(&self, record: &ClientRecord<'_>) -> i128 {
        let day = if self.rules.tombstones_outlast { i128::from(self.day) * NANOS } else { 0 };
        match record {
            ClientRecord::Location(location) if location.generation == Generation::FIRST => {
                self.taken(location)
            }
            ClientRecord::Location(location) => {
                self.taken(location).max(location.generation.as_nanoseconds() + day)
            }
            ClientRecord::Tombstone(tombstone) if self.rules.tombstones_age_by_generation => {
                tombstone.generation.as_nanoseconds() + day
            }
            ClientRecord::Tombstone(tombstone) => tombstone.time.as_nanoseconds() + day,
        }
    }

    /// When its server took the location, in nanoseconds since 1970.
    fn taken(&self, location: &Location<'_>) -> i128 {
        let skew = Skew::of_decimal(location.skew).filter(|_| self.rules.ages_by_server);
        location.time.as_nanoseconds() + skew.map_or(0, Skew::as_nanoseconds)
    }
}
