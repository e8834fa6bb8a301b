//! That the simulation bites: rules that are wrong, each in one place, and each seen to be wrong within a few seeds that
//! end well with the right ones. No timer helps where a rule is to ask for a round.

use proxyherd::{core::Rules, journal::JournalRules};

use super::{herd::Laws, plan::Timer, tell, watch::Kind};

#[track_caller]
fn expect_caught(rules: Rules, kind: Kind, seeds: u64) {
    expect_caught_with(Timer::Never, Laws { rules, ..Laws::SOUND }, kind, seeds);
}

/// Tries so many seeds until the invariant breaks, then the same seeds with the right rules.
#[track_caller]
fn expect_caught_with(timer: Timer, laws: Laws, kind: Kind, seeds: u64) {
    let is_caught = |seed| matches!(tell(seed, timer, laws), Err(violation) if violation.kind == kind);
    let Some(caught) = (0..seeds).find(|&seed| is_caught(seed)) else {
        panic!("not caught within {seeds} seeds");
    };
    println!("caught by seed {caught}");
    for seed in 0..=caught {
        if let Err(violation) = tell(seed, timer, Laws::SOUND) {
            panic!("seed {seed} is not sound either: {violation}");
        }
    }
}

#[test]
fn merging_without_a_tie_break_is_caught() {
    expect_caught(Rules { ties_are_broken: false, ..Rules::SOUND }, Kind::Apart, 100);
}

#[test]
fn sum_that_changes_only_on_insert_is_caught() {
    expect_caught(Rules { sums_follow: false, ..Rules::SOUND }, Kind::Apart, 100);
}

#[test]
fn forgotten_mark_is_caught() {
    expect_caught(Rules { heeds_marks: false, ..Rules::SOUND }, Kind::Apart, 100);
}

#[test]
fn mark_that_is_forgotten_when_the_node_stops_is_caught() {
    expect_caught(Rules { last_round: false, ..Rules::SOUND }, Kind::Lost, 100);
}

#[test]
fn connecting_without_a_round_is_caught() {
    expect_caught(Rules { round_on_connect: false, ..Rules::SOUND }, Kind::Apart, 100);
}

#[test]
fn sums_read_before_queueing_are_caught() {
    expect_caught(Rules { opens_before_sums: false, ..Rules::SOUND }, Kind::Apart, 2_000);
}

#[test]
fn location_that_goes_back_is_caught() {
    expect_caught(Rules { newest_lives: false, ..Rules::SOUND }, Kind::WentBack, 100);
}

#[test]
fn update_that_is_flooded_back_is_caught() {
    expect_caught(Rules { spares_the_sender: false, ..Rules::SOUND }, Kind::FloodedBack, 100);
}

#[test]
fn round_that_looks_further_where_the_sums_are_equal_is_caught() {
    // Only a round that a timer starts finds all sums equal.
    let laws = Laws { rules: Rules { rests_when_equal: false, ..Rules::SOUND }, ..Laws::SOUND };
    expect_caught_with(Timer::Drawn, laws, Kind::Noisy, 200);
}

#[test]
fn memory_that_outgrows_its_bound_is_caught() {
    let laws = Laws { are_outboxes_bounded: false, ..Laws::SOUND };
    expect_caught_with(Timer::Never, laws, Kind::Unbounded, 100);
}

#[test]
fn tombstone_that_is_dropped_at_once_is_caught() {
    expect_caught(Rules { tombstones_stay: false, ..Rules::SOUND }, Kind::Undead, 100);
}

#[test]
fn generation_that_is_a_mere_counter_is_caught() {
    expect_caught(Rules { forgetting_outbids: false, ..Rules::SOUND }, Kind::Undead, 400);
}

#[test]
fn tombstone_that_expires_with_what_it_hides_is_caught() {
    expect_caught(Rules { tombstones_outlast: false, ..Rules::SOUND }, Kind::Untimely, 100);
}

#[test]
fn age_by_the_clients_time_is_caught() {
    expect_caught(Rules { ages_by_server: false, ..Rules::SOUND }, Kind::Untimely, 100);
}

#[test]
fn tombstone_whose_age_is_that_of_its_time_is_caught() {
    expect_caught(Rules { tombstones_age_by_generation: false, ..Rules::SOUND }, Kind::Untimely, 100);
}

#[test]
fn watermark_that_retreats_is_caught() {
    expect_caught(Rules { watermark_stays: false, ..Rules::SOUND }, Kind::Untimely, 200);
}

#[test]
fn round_that_pushes_across_a_step_is_caught() {
    let wrong = Laws { rules: Rules { rounds_heed_watermark: false, ..Rules::SOUND }, ..Laws::SOUND };
    let crossings = |laws| -> usize {
        (0..400).filter_map(|seed| tell(seed, Timer::Drawn, laws).ok()).map(|tally| tally.crossings).sum()
    };
    let (sound, wrong) = (crossings(Laws::SOUND), crossings(wrong));
    println!("{sound} records were too old when they were pushed, {wrong} where rounds heed no watermark");
    // What is under way while the neighbour's watermark moves is always too old when it comes.
    assert!(wrong > 10 * (sound + 1));
}

#[track_caller]
fn expect_caught_on_disks(laws: Laws) {
    expect_caught_with(Timer::Drawn, laws, Kind::Unkept, 300);
}

#[test]
fn acknowledging_before_the_sync_is_caught() {
    let journal = JournalRules { syncs_before_commit: false, ..JournalRules::SOUND };
    expect_caught_on_disks(Laws { journal, ..Laws::SOUND });
}

#[test]
fn stale_report_that_is_acknowledged_at_once_is_caught() {
    let rules = Rules { stale_reports_wait: false, ..Rules::SOUND };
    expect_caught_on_disks(Laws { rules, ..Laws::SOUND });
}

#[test]
fn snapshot_that_is_begun_before_the_rotation_is_caught() {
    let journal = JournalRules { rotates_before_snapshot: false, ..JournalRules::SOUND };
    expect_caught_on_disks(Laws { journal, ..Laws::SOUND });
}

#[test]
fn start_that_takes_what_it_reads_for_synced_is_caught() {
    let journal = JournalRules { tells_unsynced_again: false, ..JournalRules::SOUND };
    expect_caught_on_disks(Laws { journal, ..Laws::SOUND });
}

#[test]
fn syncing_again_what_has_failed_is_caught() {
    let journal = JournalRules { leaves_failed_files: false, ..JournalRules::SOUND };
    expect_caught_on_disks(Laws { journal, ..Laws::SOUND });
}
