//! `run -R`: requests leave when they were planned to, and a server that stalls is made to answer for it.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::support::{FakeNode, RealNode, honest, json, run};

const STALL: Duration = Duration::from_millis(400);

/// A node that answers nobody for a while, once, from its 300th request on.
fn stalling() -> FakeNode {
    let requests = AtomicU32::new(0);
    let until = Mutex::new(None);
    FakeNode::answering(move |report| {
        if requests.fetch_add(1, Ordering::Relaxed) == 300 {
            *until.lock().unwrap() = Some(Instant::now() + STALL);
        }
        let until = *until.lock().unwrap();
        // The stall itself: nothing waits for it to be over but this node's clients.
        thread::sleep(until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now())));
        honest(report)
    })
}

fn p99_ms(outcome: &serde_json::Value, of: &str) -> f64 {
    outcome[of]["p99_us"].as_f64().unwrap_or_else(|| panic!("{of} in {outcome}")) / 1e3
}

#[test]
fn an_open_loop_reports_a_stall_that_a_closed_loop_hides() {
    let arguments = ["-n", "1000", "-c", "1", "-P", "1", "--output-format=json"];
    let node = stalling();
    let closed = json(&run(&[&["run", &node.address().to_string()][..], &arguments].concat()));
    assert!(closed["response"].is_null());
    assert!(
        closed["service"]["max_us"].as_f64().unwrap() >= STALL.as_secs_f64() * 1e6,
        "it did stall: {closed}"
    );
    // One request of a thousand met the stall.
    assert!(p99_ms(&closed, "service") < 200.0, "{closed}");

    let node = stalling();
    let open = json(&run(&[&["run", &node.address().to_string(), "-R", "1000"][..], &arguments].concat()));
    // Of 400 that were planned meanwhile, a dozen waited for nearly all of it.
    assert!(p99_ms(&open, "response") >= 350.0, "{open}");
    assert!(p99_ms(&open, "service") < 200.0, "one in flight: service times hide it as well: {open}");
    assert_eq!(open["replies"], 1_000);
    assert_eq!(open["failed"], serde_json::json!([]));
}

#[test]
fn as_many_leave_as_were_planned_and_the_rate_is_told() {
    let node = RealNode::start();
    let arguments = ["-R", "2000", "-d", "0.5", "--warmup", "0.1", "-c", "5", "--output-format=json"];
    let outcome = json(&run(&[&["run", &node.address()][..], &arguments].concat()));
    assert_eq!((&outcome["replies"], &outcome["target_rate"]), (&1_000.into(), &2_000.0.into()), "{outcome}");
    assert_eq!(outcome["sent"], 1_200);
    assert_eq!(outcome["seconds"], 0.5);
    assert!(outcome["client"]["late"]["p50_us"].is_number());
}

#[test]
fn a_server_that_is_too_slow_answers_all_that_was_planned_but_not_in_time() {
    let node = FakeNode::answering(|report| {
        thread::sleep(Duration::from_millis(5));
        honest(report)
    });
    let arguments = ["-R", "1000", "-n", "200", "-c", "1", "-P", "1", "--output-format=json"];
    let outcome = json(&run(&[&["run", &node.address().to_string()][..], &arguments].concat()));
    assert_eq!(outcome["replies"], 200);
    // 200 answers take it a second; 0.2 s were planned.
    assert!(outcome["rate"].as_f64().unwrap() <= 205.0, "{outcome}");
    assert!(outcome["response"]["max_us"].as_f64().unwrap() >= 790_000.0, "{outcome}");
}

#[test]
fn requests_that_are_never_answered_have_waited_until_the_run_was_given_up() {
    let node = FakeNode::answering(|_| " ".to_owned());
    let arguments =
        ["-R", "100", "-n", "20", "-c", "2", "-P", "1", "--timeout", "0.5", "--output-format=json"];
    let output = run(&[&["run", &node.address().to_string()][..], &arguments].concat());
    assert_eq!(output.status.code(), Some(1));
    let outcome = json(&output);
    assert_eq!(
        (&outcome["errors"]["unanswered"], &outcome["errors"]["unsent"]),
        (&2.into(), &18.into()),
        "{outcome}"
    );
    assert_eq!((&outcome["replies"], &outcome["service"]), (&0.into(), &serde_json::Value::Null));
    assert_eq!(outcome["end"], "gave_up");
    assert!(outcome["response"]["p50_us"].as_f64().unwrap() >= 300_000.0, "{outcome}");
}
