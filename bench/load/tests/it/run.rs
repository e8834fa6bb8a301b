//! `run` in a closed loop, against echo, a small node and a real one: every request sent is counted, answered and judged.

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use base64::Engine;
use hdrhistogram::{
    Histogram,
    serialization::{
        Deserializer,
        interval_log::{IntervalLogIterator, LogEntry},
    },
};
use herd_load::{
    drive::drive,
    load::{Length, Load},
};

use crate::support::{FakeNode, RealNode, echo, honest, json, run, tester};

fn load(address: std::net::SocketAddr, length: Length) -> Load {
    Load { connections: 3, pipeline: 4, clients: 100, length, verify: true, ..Load::on(address) }
}

#[test]
fn a_counted_run_against_echo_measures_exactly_that_many() {
    let echo = echo();
    let address = echo.address().to_string();
    for (connections, window) in [("1", "1"), ("7", "1"), ("5", "16")] {
        let output = run(&[
            "run",
            &address,
            "-c",
            connections,
            "-P",
            window,
            "-n",
            "1001",
            "--clients",
            "50",
            "--output-format=json",
        ]);
        assert!(output.status.success());
        let outcome = json(&output);
        assert_eq!(outcome["replies"], 1001);
        assert_eq!(outcome["sent"], 1001);
        assert_eq!(outcome["errors"]["wrong"], 0);
    }
    echo.stop().unwrap();
}

#[test]
fn a_timed_run_awaits_what_is_still_in_flight() {
    let echo = echo();
    let address = echo.address().to_string();
    let output = run(&[
        "run",
        &address,
        "-c",
        "2",
        "-P",
        "8",
        "-d",
        "0.1",
        "--warmup",
        "0.05",
        "--output-format=json",
    ]);
    let outcome = json(&output);
    let (replies, sent) = (outcome["replies"].as_u64().unwrap(), outcome["sent"].as_u64().unwrap());
    assert!(replies > 0 && replies < sent, "the warm-up is sent and not counted");
}

#[test]
fn the_text_says_how_the_tester_itself_fared() {
    let echo = echo();
    let address = echo.address().to_string();
    let output = run(&["run", &address, "-c", "2", "-n", "100", "--warmup", "0.01"]);
    let text = String::from_utf8(output.stdout).unwrap();
    for part in ["servers   127.0.0.1:", "replies   100 in", "MB/s sent", "p95 ", "p99.9", "± ", "saturated"]
    {
        assert!(text.contains(part), "{part:?} in {text}");
    }
}

#[test]
fn every_field_of_an_honest_nodes_replies_is_right() {
    let node = FakeNode::honest();
    let outcome = drive(&load(node.address(), Length::Requests(500))).unwrap();
    assert_eq!((outcome.replies, outcome.errors.total()), (500, 0), "{:?}", outcome.mismatches);
}

#[test]
fn prefilling_reports_each_client_once() {
    let node = FakeNode::honest();
    let outcome = drive(&load(node.address(), Length::Requests(1)).prefill()).unwrap();
    assert_eq!((outcome.replies, outcome.errors.total()), (100, 0));
}

#[test]
fn a_real_node_answers_reports_and_lookups_alike_whatever_the_ends_of_lines() {
    let node = RealNode::start();
    for ends in [&["--crlf"][..], &[]] {
        let mut arguments = vec!["run", "-c", "3", "-P", "4", "-n", "3000", "--clients", "100", "--verify"];
        arguments.extend(["--mix", "iamat=3,whatsat=1", "--output-format=json"]);
        arguments.extend(ends);
        let address = node.address();
        arguments.push(&address);
        let outcome = json(&run(&arguments));
        assert_eq!(outcome["failed"], serde_json::json!([]), "{outcome}");
        assert_eq!(outcome["replies"], 3_000);
        let of = |index: usize| outcome["kinds"][index]["replies"].as_u64().unwrap();
        assert_eq!((of(0) + of(1), &outcome["kinds"][1]["kind"]), (3_000, &"WHATSAT".into()));
        // A quarter of them, give or take six standard deviations.
        assert!((600..900).contains(&of(1)), "{}", of(1));
    }
}

#[test]
fn each_connection_shows_its_token_first_and_one_that_is_not_taken_ends_the_run() {
    let (node, token) = RealNode::with_tokens();
    let (address, token_text) = (node.address(), token.display().to_string());
    for more in [&["-P", "4"][..], &["--reconnect"]] {
        let mut arguments = vec!["run", &address, "-c", "3", "-n", "300", "--clients", "100", "--verify"];
        arguments.extend(["--mix", "iamat=3,whatsat=1", "--output-format=json", "--token-file", &token_text]);
        arguments.extend(more);
        let outcome = json(&run(&arguments));
        assert_eq!(outcome["failed"], serde_json::json!([]), "{outcome}");
        assert_eq!(outcome["replies"], 300);
    }
    std::fs::write(&token, format!("herd_{}", "0".repeat(40))).unwrap();
    let output = run(&["run", &address, "-n", "1", "--token-file", &token_text]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("it does not take the token"), "{said}");
    std::fs::remove_file(&token).unwrap();
    let output = run(&["run", &address, "-n", "1", "--token-file", &token_text]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn a_client_that_was_not_reported_is_refused_and_that_is_shown() {
    let node = RealNode::start();
    let arguments = ["run", &node.address(), "-c", "1", "-n", "1", "--mix", "whatsat=1", "--no-prefill"];
    let output = run(&arguments);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("errors    refused 1\n"), "{text}");
    assert!(text.contains("came \"? WHATSAT kiwi"), "{text}");
}

#[test]
fn connections_go_to_all_servers_in_turn_by_name_or_address() {
    let (one, other) = (FakeNode::honest(), FakeNode::honest());
    let named = format!("localhost:{}", one.address().port());
    let other = other.address().to_string();
    let outcome = json(&run(&["run", &named, &other, "-c", "4", "-n", "400", "--output-format=json"]));
    assert_eq!(outcome["failed"], serde_json::json!([]), "{outcome}");
    for target in [0, 1] {
        assert_eq!(outcome["targets"][target]["replies"], 200);
    }
}

#[test]
fn with_a_connection_for_each_request_a_node_may_hang_up_after_each() {
    for hangs_up in [false, true] {
        let seen = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&seen);
        let node = FakeNode::once(hangs_up, move |report| {
            counted.fetch_add(1, Ordering::Relaxed);
            honest(report)
        });
        let address = node.address().to_string();
        let arguments =
            ["run", &address, "--reconnect", "-c", "3", "-n", "300", "--verify", "--output-format=json"];
        let outcome = json(&run(&arguments));
        assert_eq!(outcome["failed"], serde_json::json!([]), "{outcome}");
        assert_eq!((&outcome["replies"], seen.load(Ordering::Relaxed)), (&300.into(), 300));
        assert_eq!(node.connections(), 300);
    }
}

/// A server of one command a connection: it reads to the end of the input, answers without a newline, and closes.
fn reads_to_the_end() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // It ends with the process.
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let mut command = String::new();
                if stream.read_to_string(&mut command).is_ok_and(|count| count > 0) {
                    let _gone = stream.write_all(honest(command.trim_end()).trim_end().as_bytes());
                }
            });
        }
    });
    address
}

#[test]
fn servers_of_one_command_a_connection_are_measured_at_a_planned_rate_too() {
    let address = reads_to_the_end();
    for more in [&["-R", "200"][..], &["--prefill", "--clients=20"], &["--ceiling"]] {
        let single = ["run", &address, "--reconnect", "--half-close", "-c", "4", "-n", "40", "--verify"];
        let output = run(&[&single[..], more, &["--output-format=json"]].concat());
        let outcome = json(&output);
        assert_eq!((output.status.code(), &outcome["replies"]), (Some(0), &40.into()), "{more:?}: {outcome}");
        assert_eq!(outcome["ceiling"].is_number(), more == ["--ceiling"]);
    }
}

#[test]
fn a_server_that_needs_another_kind_of_connection_is_recognized() {
    let closing = FakeNode::once(true, honest);
    let address = closing.address().to_string();
    let output = run(&["run", &address, "-c", "2", "-n", "40"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.code() == Some(1) && text.contains("after each reply, use --reconnect\n"),
        "{text}"
    );
    let output = run(&["run", &reads_to_the_end(), "-c", "2", "-n", "40", "--timeout=300ms"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.code() == Some(1) && text.contains("needs --reconnect --half-close\n"), "{text}");
}

#[test]
fn idle_connections_are_there_and_ask_nothing() {
    let node = FakeNode::honest();
    let address = node.address().to_string();
    let outcome =
        json(&run(&["run", &address, "-c", "2", "--idle", "30", "-n", "100", "--output-format=json"]));
    assert_eq!((&outcome["replies"], &outcome["failed"]), (&100.into(), &serde_json::json!([])));
    assert_eq!(node.connections(), 32);
}

#[test]
fn the_same_seed_draws_the_same_clients() {
    let drawn = |seed: &str, choice: &str| {
        let ids = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&ids);
        let node = FakeNode::answering(move |report| {
            noted.lock().unwrap().push(report.split(' ').nth(1).unwrap_or_default().to_owned());
            honest(report)
        });
        let address = node.address().to_string();
        run(&["run", &address, "-c", "1", "-n", "200", "--seed", seed, "--choice", choice]);
        drop(node);
        let ids = ids.lock().unwrap().clone();
        assert_eq!(ids.len(), 200);
        ids
    };
    assert_eq!(drawn("7", "uniform"), drawn("7", "uniform"));
    assert_ne!(drawn("7", "uniform"), drawn("8", "uniform"));
    let mut hot = drawn("7", "zipf:1.2");
    hot.sort();
    hot.dedup();
    // Of 100,000 clients 200 draws would meet some 200, were all as likely.
    assert!(hot.len() < 150, "{}", hot.len());
}

#[test]
fn results_come_as_csv_to_a_file_and_histograms_as_a_log() {
    let node = FakeNode::honest();
    let address = node.address().to_string();
    let directory = tempfile::tempdir().unwrap();
    let (csv, hdr) = (directory.path().join("result.csv"), directory.path().join("result.hlog"));
    let mut command = tester(&["run", &address, "-n", "500", "-c", "2", "--output-format=csv", "-o"]);
    let output = command.arg(&csv).arg("--hdr").arg(&hdr).output().unwrap();
    assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");

    let csv = std::fs::read_to_string(csv).unwrap();
    let lines: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!((lines.len(), lines[0].len()), (2, lines[1].len()));
    let replies = lines[0].iter().position(|name| *name == "replies").unwrap();
    assert_eq!(lines[1][replies], "500");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2, "nothing is left beside them");

    let log = std::fs::read(hdr).unwrap();
    let mut counted = 0;
    for entry in IntervalLogIterator::new(&log) {
        let LogEntry::Interval(interval) = entry.unwrap() else { continue };
        assert_eq!(interval.tag().unwrap().as_str(), "IAMAT-service");
        let bytes = base64::engine::general_purpose::STANDARD.decode(interval.encoded_histogram()).unwrap();
        let histogram: Histogram<u64> = Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap();
        counted += histogram.len();
    }
    assert_eq!(counted, 500);
}

#[test]
fn limits_that_are_missed_are_named_and_have_an_exit_code_of_their_own() {
    let node = FakeNode::honest();
    let address = node.address().to_string();
    let run = |threshold: [&str; 2]| {
        run(&[&["run", &address, "-n", "200", "-c", "2", "--output-format=json"][..], &threshold].concat())
    };
    for kept in [["--max-p99", "60s"], ["--max-p50", "60s"], ["--max-p999", "60s"], ["--min-rate", "0.1"]] {
        assert!(run(kept).status.success(), "{kept:?}");
    }
    for (broken, name) in [
        (["--max-p50", "0.001us"], "p50 is"),
        (["--max-p99", "0.001us"], "p99 is"),
        (["--max-p999", "0.001us"], "p99.9 is"),
        (["--min-rate", "1e12"], "the rate is"),
    ] {
        let output = run(broken);
        assert_eq!(output.status.code(), Some(3), "{broken:?}");
        let outcome = json(&output);
        let missed = &outcome["missed"];
        assert!(missed[0].as_str().unwrap().starts_with(name) && missed[1].is_null(), "{missed}");
        assert_eq!(outcome["failed"], serde_json::json!([]));
    }
}
