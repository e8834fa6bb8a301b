//! `run` where something goes wrong: each failure is counted by its kind, shown, and fails the run.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use herd_load::{
    drive::drive,
    load::{Length, Load},
    outcome::Errors,
    requests::LOCATION,
};

use crate::support::{FakeNode, honest, json, run};

fn load(node: &FakeNode, length: Length) -> Load {
    Load { connections: 3, pipeline: 4, clients: 100, length, verify: true, ..Load::on(node.address()) }
}

#[test]
fn replies_that_refuse_are_counted_and_fail_the_run() {
    let node = FakeNode::answering(|report| format!("? {report}\n"));
    let address = node.address().to_string();
    let output = run(&["run", &address, "-c", "2", "-n", "10", "--clients", "5", "--output-format=json"]);
    assert_eq!(output.status.code(), Some(1));
    let outcome = json(&output);
    assert_eq!(outcome["errors"]["refused"], 10);
    assert!(outcome["mismatches"][0]["got"].as_str().unwrap().starts_with("? IAMAT kiwi"));
    assert_eq!(outcome["failed"][0], "10 errors, above 0: refused 10");
    let output = run(&["run", &address, "-c", "2", "-n", "10", "--max-errors", "10"]);
    assert!(output.status.success());
}

#[test]
fn only_verifying_tells_another_clients_answer() {
    let node = FakeNode::answering(|_| {
        format!("AT Solo +0.000012345 kiwi1000.cs.ucla.edu {LOCATION} 1479413884.392014450\n")
    });
    let verifying = load(&node, Length::Requests(20));
    let outcome = drive(&verifying).unwrap();
    assert_eq!(outcome.errors, Errors { wrong: 20, ..Errors::default() });
    assert!(outcome.mismatches[0].sent.starts_with("IAMAT kiwi"));
    assert_eq!(drive(&Load { verify: false, ..verifying }).unwrap().errors, Errors::default());
}

#[test]
fn lines_that_answer_nothing_are_counted() {
    let node = FakeNode::answering(|report| honest(report) + "AT b\n");
    let chatty = Load { pipeline: 1, connections: 1, verify: false, ..load(&node, Length::Requests(20)) };
    let outcome = drive(&chatty).unwrap();
    assert_eq!(outcome.replies, 20);
    // The last may come after the run has seen all it waited for.
    assert!((19..=20).contains(&outcome.errors.surplus), "{:?}", outcome.errors);
}

#[test]
fn a_server_that_hangs_up_is_called_again_and_what_it_owed_is_counted() {
    let seen = AtomicU32::new(0);
    let node = FakeNode::answering(move |report| {
        // Every tenth request ends its connection.
        if seen.fetch_add(1, Ordering::Relaxed) % 10 == 9 { String::new() } else { honest(report) }
    });
    let alone = Load { connections: 1, pipeline: 1, ..load(&node, Length::Requests(100)) };
    let outcome = drive(&alone).unwrap();
    assert_eq!(outcome.replies, 90);
    assert_eq!(outcome.errors, Errors { unanswered: 10, ..Errors::default() }, "each counts once");
}

#[test]
fn a_server_that_falls_silent_is_given_up_and_what_came_before_counts() {
    let seen = AtomicU32::new(0);
    let node = FakeNode::answering(move |report| {
        if seen.fetch_add(1, Ordering::Relaxed) < 50 { honest(report) } else { " ".to_owned() }
    });
    let patience = Duration::from_millis(300);
    let outcome = drive(&Load { patience, ..load(&node, Length::Requests(1_000)) }).unwrap();
    assert_eq!(outcome.replies, 50);
    assert_eq!(outcome.errors.unanswered, 12, "three connections with four in flight each");
    assert!(outcome.gave_up.as_ref().unwrap().starts_with("no reply for 0.3 s with 12 requests unanswered"));
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let output = run(&["run", "127.0.0.1:1", "-n", "1"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("127.0.0.1:1"));
}

#[test]
fn what_makes_no_sense_is_refused_in_a_line() {
    for (arguments, told) in [
        (&["run", "127.0.0.1"][..], "HOST:PORT"),
        (&["run", "127.0.0.1:1", "-c", "0"], "'--connections <CONNECTIONS>': 0 is not in 1.."),
        (&["run", "127.0.0.1:1", "--clients", "5"], "too few for 50 connections"),
        (&["run", "127.0.0.1:1", "--mix", "at=5"], "is not iamat=N or whatsat=N"),
        (&["run", "127.0.0.1:1", "-n", "1", "-o", "/nowhere/at/all"], "cannot write /nowhere/at/all"),
    ] {
        let output = run(arguments);
        assert!(!output.status.success());
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(told), "{error}");
    }
}
