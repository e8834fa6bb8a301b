//! That the simulation bites: five policies that are wrong, each in one place, and each seen to be wrong within a few
//! seeds that end well with the right ones. No timer helps: rounds come only where a rule asks for one.

use proxyherd::{
    flood::{Rules, Sound},
    model::Location,
    store::{Merge, TotalOrder},
};

use super::{plan::Timer, tell, watch::Kind};

/// No tie-break: of two locations of one time, the first to come stays.
struct NoTieBreak;

impl Merge for NoTieBreak {
    fn replaces(new: &Location<'_>, stored: &Location<'_>) -> bool {
        new.time > stored.time
    }

    fn resum(sum: u64, old: u64, new: u64) -> u64 {
        TotalOrder::resum(sum, old, new)
    }
}

/// The sum changes where a client is new, and only there.
struct SumOnlyOnInsert;

impl Merge for SumOnlyOnInsert {
    fn replaces(new: &Location<'_>, stored: &Location<'_>) -> bool {
        TotalOrder::replaces(new, stored)
    }

    fn resum(sum: u64, _old: u64, _new: u64) -> u64 {
        sum
    }
}

/// The mark of what found no room is forgotten.
struct ForgetsMarks;

impl Rules for ForgetsMarks {
    const HEEDS_MARKS: bool = false;
}

/// No round when a link comes up.
struct NoRoundOnConnect;

impl Rules for NoRoundOnConnect {
    const ROUND_ON_CONNECT: bool = false;
}

/// The own sum is read before anything is queued.
struct SumsBeforeQueueing;

impl Rules for SumsBeforeQueueing {
    const OPENS_BEFORE_SUMS: bool = false;
}

/// Tries so many seeds until stores stay apart, then the same seeds with the right policies.
#[track_caller]
fn expect_caught<M: Merge, R: Rules>(seeds: u64) {
    let is_apart =
        |seed| matches!(tell::<M, R>(seed, Timer::Never), Err(violation) if violation.kind == Kind::Apart);
    let Some(caught) = (0..seeds).find(|&seed| is_apart(seed)) else {
        panic!("not caught within {seeds} seeds");
    };
    println!("caught by seed {caught}");
    for seed in 0..=caught {
        if let Err(violation) = tell::<TotalOrder, Sound>(seed, Timer::Never) {
            panic!("seed {seed} is not sound either: {violation}");
        }
    }
}

#[test]
fn merging_without_a_tie_break_is_caught() {
    expect_caught::<NoTieBreak, Sound>(100);
}

#[test]
fn sum_that_changes_only_on_insert_is_caught() {
    expect_caught::<SumOnlyOnInsert, Sound>(100);
}

#[test]
fn forgotten_mark_is_caught() {
    expect_caught::<TotalOrder, ForgetsMarks>(100);
}

#[test]
fn connecting_without_a_round_is_caught() {
    expect_caught::<TotalOrder, NoRoundOnConnect>(100);
}

#[test]
fn sums_read_before_queueing_are_caught() {
    expect_caught::<TotalOrder, SumsBeforeQueueing>(400);
}
