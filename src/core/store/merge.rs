//! Which of two locations of one client lives, and how a leaf's sum follows it: the greater in the total order, so that
//! merging is commutative, associative and idempotent. What the simulation breaks is told by [`Rules`].

use std::cmp::Ordering;

use crate::core::{Rules, model::Location};

/// Whether a location another node holds takes the place of the stored one.
pub(super) fn replaces(new: &Location<'_>, stored: &Location<'_>, rules: Rules) -> bool {
    if rules == Rules::SOUND {
        return new.cmp_age(stored) == Ordering::Greater;
    }
    let is_other = new.cmp_age(stored) != Ordering::Equal;
    match new.time.cmp(&stored.time) {
        Ordering::Less => is_other && !rules.newest_lives,
        Ordering::Equal => rules.ties_are_broken && new.cmp_age(stored) == Ordering::Greater,
        Ordering::Greater => true,
    }
}

/// A leaf's sum after an entry of hash `new` has taken the place of one of hash `old`.
pub(super) fn resum(sum: u64, old: u64, new: u64, rules: Rules) -> u64 {
    if rules.sums_follow { sum ^ old ^ new } else { sum }
}
