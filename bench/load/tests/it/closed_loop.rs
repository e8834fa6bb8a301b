//! `run` against echo and against a small node: every report sent is counted, answered and judged.

use herd_load::{
    drive::drive,
    iamat::LOCATION,
    load::{Length, Load, LoadError},
};

use crate::support::{FakeNode, echo, json, run};

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
            "--json",
        ]);
        assert!(output.status.success());
        let outcome = json(&output);
        assert_eq!(outcome["replies"], 1001);
        assert_eq!(outcome["sent"], 1001);
        assert_eq!(outcome["wrong"], 0);
    }
    echo.stop().unwrap();
}

#[test]
fn a_timed_run_awaits_what_is_still_in_flight() {
    let echo = echo();
    let address = echo.address().to_string();
    let output = run(&["run", &address, "-c", "2", "-P", "8", "-d", "0.1", "--warmup", "0.05", "--json"]);
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
    for part in ["replies   100 in", "rate", "p99.9", "saturated"] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
}

#[test]
fn every_field_of_an_honest_nodes_replies_is_right() {
    let node = FakeNode::honest();
    let outcome = drive(&load(node.address(), Length::Requests(500))).unwrap();
    assert_eq!((outcome.replies, outcome.wrong), (500, 0), "{:?}", outcome.first_wrong);
}

#[test]
fn prefilling_reports_each_client_once() {
    let node = FakeNode::honest();
    let outcome = drive(&load(node.address(), Length::Requests(1)).prefill()).unwrap();
    assert_eq!((outcome.replies, outcome.wrong), (100, 0));
}

#[test]
fn replies_that_are_not_answers_are_counted_and_fail_the_run() {
    let node = FakeNode::answering(|report| format!("? {report}\n"));
    let address = node.address().to_string();
    let output = run(&["run", &address, "-c", "2", "-n", "10", "--clients", "5", "--json"]);
    assert!(!output.status.success());
    let outcome = json(&output);
    assert_eq!(outcome["wrong"], 10);
    assert!(outcome["first_wrong"].as_str().unwrap().starts_with("? IAMAT kiwi"));
}

#[test]
fn only_verifying_tells_another_clients_answer() {
    let node = FakeNode::answering(|_| {
        format!("AT Solo +0.000012345 kiwi1000.cs.ucla.edu {LOCATION} 1479413884.392014450\n")
    });
    let verifying = load(node.address(), Length::Requests(20));
    assert_eq!(drive(&verifying).unwrap().wrong, 20);
    assert_eq!(drive(&Load { verify: false, ..verifying.clone() }).unwrap().wrong, 0);
}

#[test]
fn a_server_that_says_too_much_ends_the_run() {
    let node = FakeNode::answering(|_| "AT a\nAT b\n".to_owned());
    let chatty = Load { pipeline: 1, verify: false, ..load(node.address(), Length::Requests(20)) };
    assert!(matches!(drive(&chatty), Err(LoadError::Poll(_))));
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let output = run(&["run", "127.0.0.1:1", "-n", "1"]);
    assert!(!output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().contains("127.0.0.1:1"));
}
