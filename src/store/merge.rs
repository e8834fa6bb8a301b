//! Which of two locations of one client lives, and how a leaf's sum follows it. There is one right answer; it is a type
//! parameter so that the simulation can be shown wrong ones, and be seen to notice.

use std::cmp::Ordering;

use crate::model::Location;

/// A way to merge.
pub trait Merge: Send + Sync + 'static {
    /// Whether a location another node holds takes the place of the stored one.
    fn replaces(new: &Location<'_>, stored: &Location<'_>) -> bool;

    /// A leaf's sum after an entry of hash `new` has taken the place of one of hash `old`.
    fn resum(sum: u64, old: u64, new: u64) -> u64;
}

/// The greater in the total order lives: commutative, associative, idempotent.
#[derive(Clone, Copy, Debug)]
pub struct TotalOrder;

impl Merge for TotalOrder {
    fn replaces(new: &Location<'_>, stored: &Location<'_>) -> bool {
        new.cmp_age(stored) == Ordering::Greater
    }

    fn resum(sum: u64, old: u64, new: u64) -> u64 {
        sum ^ old ^ new
    }
}
