//! `hop`: the handshake, and that exactly the hops asked for are timed.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::Command,
    time::Duration,
};

use herd_load::{
    hop::{HopError, HopPlan, Neighbour, measure},
    server::Server,
};

use tempfile::TempDir;

use crate::support::{FakeNode, herd, json, run};

const FEW: HopPlan = HopPlan { warmup: 2, back_to_back: 20, idle: 3, pause: Duration::from_millis(1) };

fn neighbour() -> Neighbour {
    Neighbour::listen("127.0.0.1:0".parse().unwrap(), "bench", "Bench").unwrap()
}

/// A node's flooder as far as its handshake.
fn call(neighbour: SocketAddr, hello: &str) -> TcpStream {
    let mut link = TcpStream::connect(neighbour).unwrap();
    link.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    link.write_all(hello.as_bytes()).unwrap();
    link
}

/// The command of a node that calls the neighbour at this address, and the folder that it needs.
fn node_of(neighbour: SocketAddr) -> (Vec<String>, TempDir) {
    // The node's own port was free a moment ago.
    let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let config = scratch.path().join("herd.toml");
    let text = format!(
        "[herd]\nname = \"bench\"\n[[node]]\nid = \"Solo\"\nlisten = \"{listen}\"\nlinks = [\"Bench\"]\n\
         [[node]]\nid = \"Bench\"\nlisten = \"{neighbour}\"\n"
    );
    fs::write(&config, text).unwrap();
    let [herd, config, logs] =
        [herd(), config, scratch.path().join("log")].map(|path| path.display().to_string());
    (vec![herd, "node".into(), "Solo".into(), "--config".into(), config, "--log-dir".into(), logs], scratch)
}

#[test]
fn a_node_that_runs_already_is_measured() {
    let neighbour = neighbour();
    let (words, _scratch) = node_of(neighbour.address().unwrap());
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    let node = Server::start(command).unwrap();
    let link = neighbour.accept(Duration::from_secs(10)).unwrap();
    let outcome = measure(link, node.address(), FEW).unwrap();
    assert!(outcome.sent >= 26, "one to begin with, 2 + 20 + 3 hops");
    assert!(outcome.back_to_back.unwrap().p50_us > 0.0 && outcome.idle.unwrap().p50_us > 0.0);
    node.stop().unwrap();
}

#[test]
fn hop_starts_and_ends_the_node_it_is_given() {
    // The port must be known beforehand, for the node's configuration: one that was free a moment ago.
    let free = neighbour().address().unwrap();
    let listen = format!("--listen={free}");
    let few = ["hop", &listen, "--warmup=2", "--back-to-back=20", "--idle=3", "--pause=1", "--json", "--"];
    let (node, _scratch) = node_of(free);
    let node: Vec<&str> = node.iter().map(String::as_str).collect();
    let outcome = json(&run(&[&few[..], &node[..]].concat()));
    assert!(outcome["sent"].as_u64().unwrap() >= 26);
    assert_eq!(outcome["plan"]["back_to_back"], 20);
    assert!(outcome["idle"]["max_us"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_handshake_is_answered_with_the_same_check_value() {
    let neighbour = neighbour();
    let hello = "HELLO 2 bench Solo Bench 00000000000000ff 0123456789abcdef - - -\n";
    let node = call(neighbour.address().unwrap(), hello);
    let _link = neighbour.accept(Duration::from_secs(5)).unwrap();
    let mut answer = String::new();
    BufReader::new(&node).read_line(&mut answer).unwrap();
    assert!(answer.starts_with("HELLO 2 bench Bench Solo "), "{answer}");
    assert!(answer.ends_with(" 0000000000000000 0123456789abcdef - - -\n"), "{answer}");
}

#[test]
fn idle_lines_and_other_reports_are_skipped() {
    let neighbour = neighbour();
    let hello = "HELLO 2 bench Solo Bench 00000000000000ff 0123456789abcdef - - -\n";
    let mut node = call(neighbour.address().unwrap(), hello);
    let mut link = neighbour.accept(Duration::from_secs(5)).unwrap();
    node.write_all(b"IDLE\nAT Solo +0.1 kiwi0 +1+1 1.0 Solo\nIDLE\nAT Solo +0.1 kiwi0 +1+1 2.0 Solo\n")
        .unwrap();
    link.await_report(b"2.0").unwrap();
    node.write_all(b"AT Solo +0.1 kiwi0 +1+1 3.0 So").unwrap();
    link.set_patience(Duration::from_millis(20)).unwrap();
    assert!(matches!(link.await_report(b"3.0"), Err(HopError::Lost)), "the line is not whole");
    node.write_all(b"lo\n").unwrap();
    link.set_patience(Duration::from_secs(5)).unwrap();
    link.await_report(b"3.0").unwrap();
}

#[test]
fn a_node_of_another_herd_is_refused() {
    let neighbour = neighbour();
    let hello = "HELLO 2 other Solo Bench 00000000000000ff 0123456789abcdef - - -\n";
    let _node = call(neighbour.address().unwrap(), hello);
    assert!(matches!(neighbour.accept(Duration::from_secs(5)), Err(HopError::Hello(_))));
}

#[test]
fn a_node_that_never_calls_is_given_up() {
    assert!(matches!(neighbour().accept(Duration::from_millis(10)), Err(HopError::NoLink(_))));
}

#[test]
fn a_node_that_takes_no_reports_is_told_apart_from_a_lost_one() {
    let neighbour = neighbour();
    let hello = "HELLO 2 bench Solo Bench 00000000000000ff 0123456789abcdef - - -\n";
    let _node = call(neighbour.address().unwrap(), hello);
    let link = neighbour.accept(Duration::from_secs(5)).unwrap();
    let refusing = FakeNode::answering(|report| format!("? {report}\n"));
    assert!(matches!(measure(link, refusing.address(), FEW), Err(HopError::Wrong(_))));
}
