//! What a node has acknowledged when it stops: its neighbours have it once it has ended with 0, however slow they are. Where
//! one that is there does not take it, that is said, and the node ends with 1.

use std::time::Duration;

use rustix::process::Signal;

use super::{
    halt::{CLIENTS, floors, report},
    support::{FaultyHerd, Herd, Load, count_lacking, heavy, line_of},
};
use crate::support::Fault;

/// No link is given up.
const PATIENT: &str = "liveness_seconds = 120\nwrite_seconds = 60\n";

/// Stops A after so many reports, `meanwhile` something happens, and A ends with 0; then B has all.
#[track_caller]
fn assert_handed_over(herd: &mut Herd, meanwhile: impl FnOnce(&mut Herd)) {
    report(herd, "A", 0..CLIENTS);
    herd.process("A").signal(Signal::TERM);
    herd.wait_for_log("A", &["INFO  A stops: "]);
    meanwhile(herd);
    let process = herd.process("A");
    assert_eq!(process.end().code(), Some(0), "{:?}", process.complained);
    assert!(herd.log("A").last().unwrap().ends_with("A stops, drained"));
    assert_eq!(count_lacking(herd, "B", &floors(0)), 0);
}

#[test]
fn neighbour_that_was_paused_has_all_that_was_acknowledged() {
    let _turn = heavy();
    // In the second herd next to nothing fits into the outbox, so that a last round must find the rest.
    for limits in ["", "outbox_bytes = 1024\n"] {
        let mut herd = line_of(&["A", "B"], &format!("drain_seconds = 60\n{limits}"));
        herd.start_all();
        herd.process("B").signal(Signal::STOP);
        assert_handed_over(&mut herd, |herd| herd.process("B").signal(Signal::CONT));
        herd.stop("B");
    }
}

#[test]
fn neighbour_behind_a_slow_link_has_all_that_was_acknowledged() {
    let _turn = heavy();
    let mut herd = FaultyHerd::line_of(&["A", "B"], &format!("drain_seconds = 60\n{PATIENT}"));
    herd.start_all();
    // A piece is 64 KiB at most.
    herd.fail("A", "B", Fault::Delay(Duration::from_millis(100)));
    assert_handed_over(&mut herd, |_| {});
    assert!(!herd.log("A").iter().any(|line| line.contains("lost B")), "on the link there was");
}

#[test]
fn neighbour_that_is_there_and_takes_nothing_is_named_and_the_node_ends_with_1() {
    let _turn = heavy();
    let mut herd = line_of(&["A", "B"], &format!("drain_seconds = 2\noutbox_bytes = 1024\n{PATIENT}"));
    herd.start_all();
    herd.process("B").signal(Signal::STOP);
    // It fits into the outbox; a batch of many does not.
    herd.report("A", "single", "1400000000");
    report(&herd, "A", 0..CLIENTS);
    herd.process("A").signal(Signal::TERM);
    let process = herd.process("A");
    assert_eq!(process.end().code(), Some(1));
    let complaints = process.all_complaints();
    let [said] = &complaints[..] else { panic!("{complaints:?}") };
    assert!(said.starts_with("herd: A has ended, and B did not take all it knew; "), "{said}");
    let log = herd.log("A");
    let lack = log.iter().find(|line| line.contains("WARN  B may lack ")).unwrap();
    assert!(
        lack.contains(" update")
            && lack.ends_with(
                ", and what a repair round would have found: it did not accept everything in time"
            ),
        "{lack}"
    );
    assert!(
        log.last().unwrap().ends_with("ERROR A stops without having handed over everything to B"),
        "{log:?}"
    );
    herd.process("B").signal(Signal::CONT);
}

#[test]
fn nodes_that_stop_together_fail_none() {
    let _turn = heavy();
    let all = ["A", "B", "C"];
    let mut herd = line_of(&all, "");
    herd.start_all();
    let load = Load::start(&herd, &all);
    load.wait_for_more(&all, 1000);
    all.iter().for_each(|id| herd.process(id).signal(Signal::TERM));
    for id in all {
        let process = herd.process(id);
        assert_eq!(process.end().code(), Some(0), "{id}: {:?}", process.complained);
        assert!(herd.log(id).last().unwrap().ends_with(&format!("{id} stops, drained")));
    }
}

#[test]
fn node_that_stops_under_load_leaves_all_it_acknowledged_to_its_only_neighbour() {
    let _turn = heavy();
    let mut herd = line_of(&["A", "B"], "");
    herd.start_all();
    let load = Load::start(&herd, &["A"]);
    load.wait_for_more(&["A"], 1000);
    herd.stop("A");
    assert_eq!(count_lacking(&herd, "B", &load.end()), 0);
}
