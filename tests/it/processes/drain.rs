//! How a node's process ends, and what its signals do: nothing that was taken on is cut off half-way, and an operator who
//! insists gets an end at once.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    time::{Duration, Instant},
};

use rustix::{
    net::sockopt::set_socket_recv_buffer_size,
    process::{Pid, Signal},
};

use super::support::{Client, Herd, Process, eventually, herd_command, solo};

const REPORT: &str = "IAMAT kiwi.cs.ucla.edu +34.068930-118.445127 1400000000";
const QUERY: &str = "WHATSAT kiwi.cs.ucla.edu 50 20\n";
/// Their replies are far more than a connection's buffers hold.
const QUERIES: usize = 3000;

#[test]
fn sigterm_lets_the_batch_in_hand_be_answered_whole_and_exits_with_0() {
    let mut herd = solo("");
    herd.start("Solo");
    let mut client = stuck_client(&mut herd);
    herd.process("Solo").signal(Signal::TERM);
    herd.wait_for_log("Solo", &["INFO  Solo stops: 1 connections"]);
    let mut reply = vec![];
    while !reply.ends_with(b"\n\n") {
        reply.extend_from_slice(client.line().as_bytes());
        reply.push(b'\n');
    }
    let rest = client.rest();
    let whole = rest.len() / reply.len();
    assert!(whole > 0 && whole < QUERIES, "{whole} more replies were in hand");
    assert!(rest == reply.repeat(whole), "every reply that began is whole");
    let status = herd.process("Solo").end();
    assert_eq!(status.code(), Some(0), "{status}");
    let log = herd.log("Solo");
    assert!(log.last().unwrap().ends_with("INFO  Solo stops, drained"), "{:?}", log.last());
}

#[test]
fn sigint_drains_too() {
    let mut herd = solo("");
    herd.start("Solo");
    let mut client = herd.client("Solo");
    assert!(client.ask(REPORT).starts_with("AT Solo "));
    herd.process("Solo").signal(Signal::INT);
    assert_eq!(herd.process("Solo").end().code(), Some(0));
    assert!(client.rest().is_empty(), "an idle connection is closed");
}

#[test]
fn second_signal_exits_at_once_and_not_with_0() {
    let mut herd = solo("");
    herd.start("Solo");
    let _client = stuck_client(&mut herd);
    herd.process("Solo").signal(Signal::TERM);
    herd.wait_for_log("Solo", &["INFO  Solo stops: 1 connections"]);
    let asked_again = Instant::now();
    herd.process("Solo").signal(Signal::TERM);
    let status = herd.process("Solo").end();
    assert_eq!(status.code(), Some(1), "{status}");
    // The client that takes nothing would have had five seconds.
    assert!(asked_again.elapsed() < Duration::from_secs(3), "{:?}", asked_again.elapsed());
}

#[test]
fn client_that_takes_nothing_does_not_hold_up_the_end_for_ever() {
    let mut herd = solo("[limits]\ndrain_seconds = 1\n");
    herd.start("Solo");
    let _client = stuck_client(&mut herd);
    herd.stop("Solo");
    herd.wait_for_log("Solo", &["INFO  Solo stops, drained"]);
}

#[test]
fn node_whose_time_is_up_names_what_is_left_and_ends_with_1() {
    let mut herd = solo("[limits]\ndrain_seconds = 0\n");
    herd.start("Solo");
    // Its session is in a write that nothing ends before the node does.
    let _client = stuck_client(&mut herd);
    let process = herd.process("Solo");
    process.signal(Signal::TERM);
    assert_eq!(process.end().code(), Some(1));
    let complaints = process.all_complaints();
    let log = herd.log("Solo");
    let told = "Solo ends without having drained; threads left: ";
    let (_, left) = log.last().unwrap().split_once(told).unwrap();
    assert!(["session-1", "accept, session-1"].contains(&left), "{left}");
    assert_eq!(complaints, [format!("herd: {told}{left}")]);
}

#[test]
fn connection_that_is_being_made_does_not_hold_up_the_end() {
    // Its queue has room for one connection, and nobody takes that: whoever dials waits.
    let deaf = TcpListener::bind("127.0.0.2:0").unwrap();
    rustix::net::listen(&deaf, 0).unwrap();
    let address = deaf.local_addr().unwrap();
    let _first = TcpStream::connect(address).unwrap();
    let mut herd = solo(&format!(
        "links = [\"Deaf\"]\n[[node]]\nid = \"Deaf\"\nlisten = \"127.0.0.1:11601\"\naddress = \"{address}\"\n\
         [limits]\nconnect_seconds = 60\ndrain_seconds = 2\n"
    ));
    herd.start("Solo");
    assert!(herd.client("Solo").ask(REPORT).starts_with("AT Solo "));
    herd.stop("Solo");
    herd.wait_for_log("Solo", &["WARN  Deaf may lack ", ": it cannot be reached"]);
    assert!(herd.log("Solo").last().unwrap().ends_with("INFO  Solo stops, drained"));
}

#[test]
fn sighup_reopens_the_log() {
    let mut herd = solo("");
    herd.start("Solo");
    assert!(herd.client("Solo").ask("before").starts_with("? "));
    herd.wait_for_log("Solo", &["< before"]);
    let moved = herd.logs.join("moved.log");
    fs::rename(herd.log_path("Solo"), &moved).unwrap();
    herd.process("Solo").signal(Signal::HUP);
    eventually("there is a new log", || {
        herd.client("Solo").ask("after");
        herd.log("Solo").iter().any(|line| line.ends_with("< after"))
    });
    assert!(!herd.log("Solo").iter().any(|line| line.contains("< before")));
    assert!(fs::read_to_string(moved).unwrap().contains("< before"));
    herd.stop("Solo");
}

#[test]
fn end_of_standard_input_drains_a_node_with_a_lifeline_only() {
    let mut herd = solo("");
    herd.start("Solo");
    let mut client = herd.client("Solo");
    assert!(client.ask(REPORT).starts_with("AT Solo "));
    herd.process("Solo").end_input();
    assert_eq!(herd.process("Solo").end().code(), Some(0));
    herd.wait_for_log("Solo", &["INFO  Solo stops, drained"]);

    let mut free = Process::start(herd.command(&["node", "Solo"]));
    free.hear("listening", |said| !said.is_empty());
    free.end_input();
    assert!(Client::connect(&herd.address("Solo")).ask(REPORT).starts_with("AT Solo "));
    free.signal(Signal::TERM);
    assert_eq!(free.end().code(), Some(0));
}

#[test]
fn node_that_cannot_listen_says_so_in_one_line() {
    let mut herd = solo("");
    herd.start("Solo");
    let second = herd.command(&["node", "Solo"]).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(said.starts_with("herd: Solo cannot listen on ") && said.lines().count() == 1, "{said}");
    assert!(said.contains(&herd.address("Solo")), "{said}");
    let unknown = herd_command(&["node", "Nobody"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(2));
}

/// A client that has asked for more than it takes, so that its session has a batch in hand and cannot write it.
fn stuck_client(herd: &mut Herd) -> Client {
    let pid = herd.process("Solo").pid();
    let mut client = herd.client("Solo");
    assert!(client.ask(REPORT).starts_with("AT Solo "));
    // One that the system does not enlarge, which would let the session go on after a while.
    set_socket_recv_buffer_size(&client.stream, 64 * 1024).unwrap();
    client.send(QUERY.repeat(QUERIES).as_bytes());
    // A thread that only waits for its turn on a busy machine is not asleep. The system takes a little more now and
    // then, a tenth of a second apart, before it takes nothing.
    let (mut looks, mut logged) = (0, 0);
    eventually("the session sleeps in a write", || {
        let before = std::mem::replace(&mut logged, fs::metadata(herd.log_path("Solo")).unwrap().len());
        looks = if logged == before && session_sleeps(pid) { looks + 1 } else { 0 };
        looks == 50
    });
    client
}

/// Whether the one session of a node waits for something.
fn session_sleeps(pid: Pid) -> bool {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let stats = tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("stat")).ok());
    let states: Vec<_> = stats
        .filter_map(|stat| Some(stat.split_once("(session-")?.1.split_once(") ")?.1.starts_with('S')))
        .collect();
    states == [true]
}
