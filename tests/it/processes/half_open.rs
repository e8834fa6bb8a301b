//! Neighbours that vanish without closing, as with a pulled cable: what is said is swallowed, both ways or one way, and
//! nobody is told. It is noticed within the configured time, said in the log, and made good once the link is back.

use std::time::{Duration, Instant};

use super::support::{FaultyHerd, Load, heavy, wait_until_agreed};
use crate::support::Fault;

const ALL: [&str; 3] = ["A", "B", "C"];
/// For the test to look at the log, on a machine that has other things to do.
const SLACK: Duration = Duration::from_secs(1);

const BOTH: Fault = Fault::Swallow { forth: true, back: true };
const FORTH: Fault = Fault::Swallow { forth: true, back: false };
const BACK: Fault = Fault::Swallow { forth: false, back: true };

#[test]
fn vanished_neighbour_is_noticed_within_5_seconds_by_default() {
    let _turn = heavy();
    let took = assert_noticed_and_made_good(5, "", &[("A", "B", BOTH), ("B", "A", BOTH)]);
    println!("noticed after {took:?}");
}

#[test]
fn vanished_neighbour_is_noticed_within_the_configured_time() {
    let _turn = heavy();
    let took =
        assert_noticed_and_made_good(1, "liveness_seconds = 1\n", &[("A", "B", BOTH), ("B", "A", BOTH)]);
    println!("noticed after {took:?}");
}

#[test]
fn link_that_swallows_one_way_only_is_noticed_too() {
    let _turn = heavy();
    for fault in [FORTH, BACK] {
        let took = assert_noticed_and_made_good(1, "liveness_seconds = 1\n", &[("A", "B", fault)]);
        println!("{fault:?}: noticed after {took:?}");
    }
}

/// Whoever dialled must notice within these seconds, and so must the one it dialled first. How long each took.
fn assert_noticed_and_made_good(seconds: u64, limits: &str, faults: &[(&str, &str, Fault)]) -> Vec<Duration> {
    let mut herd = FaultyHerd::line_of(&ALL, limits);
    herd.start_all();
    let load = Load::start(&herd, &ALL);
    load.wait_for_more(&ALL, 500);
    let (began, mut all_took) = (Instant::now(), Vec::new());
    for &(from, to, fault) in faults {
        herd.fail(from, to, fault);
    }
    for &(from, to, _) in faults {
        let lost = format!("WARN  lost {to}: it has answered nothing for {seconds}s");
        herd.wait_for_log(from, &[&lost]);
        let took = began.elapsed();
        all_took.push(took);
        assert!(took <= Duration::from_secs(seconds) + SLACK, "{took:?}");
    }
    if let [(from, to, Fault::Swallow { forth: true, .. }), ..] = faults {
        let silent = format!("INFO  {from} is no longer connected as #");
        herd.wait_for_log(to, &[&silent]);
        let took = began.elapsed();
        all_took.push(took);
        assert!(took <= Duration::from_secs(seconds) + SLACK, "{took:?}");
    }
    load.wait_for_more(&ALL, 500);
    let lines: Vec<_> = faults.iter().map(|(from, ..)| herd.log(from).len()).collect();
    for (from, to, _) in faults {
        herd.heal(from, to);
    }
    for ((from, to, _), lines) in faults.iter().zip(lines) {
        herd.wait_for_step(from, to, lines);
    }
    load.wait_for_more(&ALL, 500);
    wait_until_agreed(&herd, &ALL, &load.end());
    all_took
}
