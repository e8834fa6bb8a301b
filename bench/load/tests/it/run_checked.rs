//! What `run` says, checked from outside: counts against a node's own counters, latencies against delays that are known.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::support::{FakeNode, RealNode, honest, json, run};

/// A sum over a node's own counters.
fn counted(http: &str, name: &str) -> u64 {
    let mut stream = TcpStream::connect(http).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: {http}\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
    let lines = text.lines().filter(|line| line.starts_with(name));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() as u64).sum()
}

#[test]
fn as_much_is_told_as_the_node_counts_itself() {
    let node = RealNode::start();
    let http = node.http.clone();
    let asked = |kind: &str| counted(&http, &format!("proxyherd_requests_total{{kind=\"{kind}\""));
    let address = node.address();
    let mut before = [0, 0];
    for more in
        [&["-n", "3000"][..], &["-R", "2000", "-d", "500ms"], &["-n", "300", "-c", "3", "--reconnect"]]
    {
        let mix = ["run", &address, "--mix", "iamat=3,whatsat=1", "--clients=100", "--output-format=json"];
        let outcome = json(&run(&[&mix[..], more].concat()));
        assert_eq!(outcome["failed"], serde_json::json!([]), "{outcome}");
        let now = ["iamat", "whatsat"].map(asked);
        let replies = [0, 1].map(|kind| outcome["kinds"][kind]["replies"].as_u64().unwrap());
        // Each client was reported once before.
        assert_eq!(now, [before[0] + 100 + replies[0], before[1] + replies[1]], "{more:?}: {outcome}");
        assert_eq!(outcome["sent"], replies[0] + replies[1]);
        let of = |name: &str| outcome[name].as_f64().unwrap();
        assert!((of("rate") * of("seconds") - of("in_time")).abs() < 1e-3, "{outcome}");
        before = now;
    }
}

/// Of 40 requests one after the other, every tenth takes 200 ms and the others 10 ms, or longer on a busy machine: then
/// they all fit into the time of the run, and only then.
#[test]
fn latencies_are_at_least_what_the_server_takes_and_together_no_longer_than_the_run() {
    let seen = AtomicU32::new(0);
    let node = FakeNode::answering(move |report| {
        let is_slow = seen.fetch_add(1, Ordering::Relaxed) % 10 == 9;
        thread::sleep(Duration::from_millis(if is_slow { 200 } else { 10 }));
        honest(report)
    });
    let address = node.address().to_string();
    let outcome = json(&run(&["run", &address, "-c", "1", "-n", "40", "--output-format=json"]));
    let us = |name: &str| outcome["service"][name].as_f64().unwrap();
    assert!(us("p50_us") >= 10_000.0 && us("p90_us") >= 10_000.0, "{outcome}");
    assert!(
        us("p95_us") >= 200_000.0 && us("max_us") >= us("p95_us") && us("mean_us") >= 29_000.0,
        "{outcome}"
    );
    // A histogram has three digits.
    let together = us("mean_us") * 40.0 / 1e6;
    assert!(together <= outcome["seconds"].as_f64().unwrap() * 1.001, "{outcome}");
}

#[test]
fn bytes_are_those_of_the_lines() {
    let node = FakeNode::answering(|_| format!("AT {}\n", "x".repeat(96)));
    let address = node.address().to_string();
    let arguments = ["run", &address, "-n", "500", "-c", "1", "--clients", "10", "--output-format=json"];
    let outcome = json(&run(&arguments));
    let bytes = |name: &str| outcome[name].as_f64().unwrap() * outcome["seconds"].as_f64().unwrap();
    assert!((bytes("received_bytes_rate") - 500.0 * 100.0).abs() < 1e-3, "{outcome}");
    let line = "IAMAT kiwi0.cs.ucla.edu +34.068930-118.445127 1479413884.392014450\n".len();
    assert!((bytes("sent_bytes_rate") - 500.0 * line as f64).abs() < 1e-3, "{outcome}");
}

#[test]
fn a_result_says_what_it_is_of() {
    let node = FakeNode::honest();
    let name = format!("localhost:{}", node.address().port());
    let arguments = ["run", &name, "-d", "100ms", "-c", "2", "--choice", "zipf:1.5", "--output-format=json"];
    let outcome = json(&run(&arguments));
    let address = outcome["addresses"][0].as_str().unwrap();
    assert_eq!((&outcome["servers"][0], address), (&name.into(), &node.address().to_string()[..]));
    assert_eq!((&outcome["settings"]["connections"], &outcome["end"]), (&2.into(), &"complete".into()));
    assert_eq!(outcome["settings"]["length"]["seconds"], 0.1);
    assert_eq!(outcome["settings"]["choice"]["zipf"], 1.5);
    let (machine, seen) = (&outcome["machine"], &outcome["disturbance"]);
    assert!(machine["cores"].is_string() && machine["kernel"].is_string(), "{machine}");
    assert!(seen["steal"].is_f64() && seen["foreign"].is_f64() && seen["tries"].is_null(), "{seen}");
    assert!(outcome["version"].as_str().unwrap().starts_with(env!("CARGO_PKG_VERSION")));
    chrono::DateTime::parse_from_rfc3339(outcome["started"].as_str().unwrap()).unwrap();
    assert_eq!(outcome["spectrum"], Value::Null);
}

#[test]
fn bars_and_spectrum_hold_every_reply() {
    let node = FakeNode::honest();
    let address = node.address().to_string();
    let output = run(&["run", &address, "-n", "1000", "-c", "3", "--histogram", "--spectrum"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let [_, bars, spectrum] = text.split("\nservice times\n").collect::<Vec<_>>()[..] else {
        panic!("{text}")
    };
    let count = |line: &str| line.split_whitespace().nth(2).unwrap().parse::<u32>().unwrap();
    assert_eq!(bars.lines().filter(|line| line.ends_with('■')).map(count).sum::<u32>(), 1_000, "{text}");
    assert!(bars.lines().count() <= 12);
    let row = |line: &str| line.trim_start().starts_with(|letter: char| letter.is_ascii_digit());
    let totals: Vec<_> = spectrum.lines().filter(|line| row(line)).map(count).collect();
    assert!(totals.is_sorted() && totals.last() == Some(&1_000), "{text}");
    assert!(spectrum.contains("#[Max     = ") && spectrum.contains(" 1.000000000000       1000\n"), "{text}");
}
