//! Nodes that stop, die, hang and come back: the scenario of the papers, and what the neighbours make of it.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{
    editions::assert_flooded_once_a_link,
    support::{Herd, comes_true_within, eventually, heavy, shipped},
};

const CLIENT: &str = "kiwi.cs.ucla.edu";
const TRIANGLE: &str = r#"
[herd]
name = "triangle"
[[node]]
id = "A"
listen = "127.0.0.1:11601"
links = ["B", "C"]
[[node]]
id = "B"
listen = "127.0.0.1:11602"
links = ["C"]
[[node]]
id = "C"
listen = "127.0.0.1:11603"
"#;

#[test]
fn reports_get_round_a_stopped_node_and_a_split_herd_joins_again() {
    let _turn = heavy();
    let mut herd = Herd::new(&shipped("2014-2015.toml"));
    herd.start_all();
    let all = ["Alford", "Bolden", "Hamilton", "Parker", "Powell"];
    let at = herd.report("Alford", CLIENT, "1400000001");
    herd.wait_until_known(&all, CLIENT, &at);
    assert_flooded_once_a_link(&herd, "Alford", &at);

    herd.stop("Powell");
    let at = herd.report("Alford", CLIENT, "1400000002");
    herd.wait_until_known(&["Alford", "Bolden", "Hamilton", "Parker"], CLIENT, &at);

    herd.stop("Parker");
    for neighbour in ["Alford", "Bolden", "Hamilton"] {
        herd.wait_for_log(neighbour, &["WARN  lost Parker: "]);
    }
    let missed = herd.report("Alford", CLIENT, "1400000003");
    assert!(herd.answers("Alford", CLIENT, &missed));
    let far_side_learns = || ["Bolden", "Hamilton"].iter().any(|id| !herd.answers(id, CLIENT, &at));
    assert!(!comes_true_within(Duration::from_millis(500), far_side_learns), "the far side does not learn");

    herd.start("Parker");
    herd.start("Powell");
    herd.wait_for_links();
    let at = herd.report("Alford", CLIENT, "1400000004");
    herd.wait_until_known(&all, CLIENT, &at);
    let at = herd.report("Hamilton", CLIENT, "1400000005");
    herd.wait_until_known(&all, CLIENT, &at);
    assert_flooded_once_a_link(&herd, "Hamilton", &at);
}

#[test]
fn killed_node_is_linked_again_after_its_restart_and_the_logs_say_why() {
    let _turn = heavy();
    let mut herd = Herd::new(TRIANGLE);
    herd.start_all();
    herd.kill("B");
    for neighbour in ["A", "C"] {
        // Closed, or reset where a ping was left unread.
        herd.wait_for_log(neighbour, &["WARN  lost B: "]);
        herd.wait_for_log(neighbour, &["WARN  no link to B at ", "yet: it cannot be reached: ", "refused"]);
        herd.wait_for_log(neighbour, &["INFO  B is no longer connected as #"]);
    }
    herd.start("B");
    herd.wait_for_links();
    let address = herd.address("B");
    for neighbour in ["A", "C"] {
        let linked = format!("INFO  linked B at {address} as #");
        eventually(&format!("the log of {neighbour} says lost B, then {linked}"), || {
            let lines = herd.log(neighbour);
            let last = |what: &str| lines.iter().rposition(|line| line.contains(what));
            last(&linked) > last("WARN  lost B: ")
        });
    }
    for id in ["B", "A"] {
        let at = herd.report(id, id, "1400000000");
        herd.wait_until_known(&["A", "B", "C"], id, &at);
    }
}

#[test]
fn node_that_hangs_delays_no_client_of_the_others() {
    let _turn = heavy();
    let mut herd = Herd::new(TRIANGLE);
    herd.start_all();
    herd.process("B").signal(Signal::STOP);
    let mut slowest = Duration::ZERO;
    for number in 0..200 {
        let began = Instant::now();
        herd.report("A", CLIENT, &format!("14000{number:05}"));
        slowest = slowest.max(began.elapsed());
    }
    println!("slowest of 200 reports while a neighbour hangs: {slowest:?}");
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    let at = herd.report("A", CLIENT, "1400001000");
    herd.wait_until_known(&["A", "C"], CLIENT, &at);
    herd.process("B").signal(Signal::CONT);
    let at = herd.report("C", CLIENT, "1400002000");
    herd.wait_until_known(&["A", "B", "C"], CLIENT, &at);
}
