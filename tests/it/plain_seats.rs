//! How many connections third-party neighbours may have, from where, and for how long they may say nothing.

use std::{
    collections::VecDeque,
    io::Write,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crossbeam_channel::bounded;

use crate::support::{Client, Setup, TestNode, connect_from, wait_until};

/// The neighbour Plain, which takes calls and never answers.
fn plain(setup: Setup) -> (TestNode, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (setup.http("").plain("Plain", address, "").start(), listener)
}

/// A connection as of Plain.
fn connect(node: &TestNode) -> Client {
    Client::of(connect_from("127.0.0.1".parse().unwrap(), node.plain_address()))
}

fn peers(node: &TestNode) -> f64 {
    node.metric("proxyherd_connections{kind=\"peer\"}").unwrap()
}

fn is_stored(node: &TestNode, client: &str) -> bool {
    node.client().ask(&format!("WHATSAT {client} 1 1")).starts_with("AT ")
}

#[test]
fn oldest_connection_makes_room_for_the_next_and_half_a_line_of_it_is_none() {
    let (node, _listener) = plain(Setup::new().limit("plain_connections", 2));
    let mut kept = VecDeque::from([connect(&node), connect(&node)]);
    for number in 0..5 {
        wait_until("two are there", || peers(&node) == 2.0);
        let mut oldest = kept.pop_front().unwrap();
        let half = "AT Plain +1.000000000 half +1+1 1";
        oldest.send(format!("AT Plain +1.000000000 whole{number} +1+1 1 Plain\n{half}"));
        kept.push_back(connect(&node));
        oldest.expect_closed();
        wait_until("what was whole is heard", || is_stored(&node, &format!("whole{number}")));
    }
    assert!(!is_stored(&node, "half"));
    wait_until("the log says why", || node.log().contains("another connection took its place"));
}

#[test]
fn oldest_makes_room_though_it_is_stuck_in_answers_that_nobody_reads() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let setup = Setup::new().http("").limit("plain_connections", 1).limit("write_seconds", 60);
    let answer = format!("answer = \"{}\"", "x".repeat(100));
    let node = setup.plain("Plain", listener.local_addr().unwrap(), &answer).start();
    let stuck = connect(&node);
    stuck.stream().set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    // It sends until the node, whose answers find no room, reads no more.
    let lines = "AT Plain +1.000000000 kiwi +1+1 1 Plain\n".repeat(1000);
    while stuck.stream().write_all(lines.as_bytes()).is_ok() {}
    let mut next = connect(&node);
    next.send("AT Plain +1.000000000 next +1+1 1 Plain\n");
    wait_until("the next one is heard", || is_stored(&node, "next"));
}

#[test]
fn third_party_neighbours_take_no_clients_place_and_find_theirs_at_a_full_node() {
    let (node, _listener) = plain(Setup::new().limit("connections", 1).limit("plain_connections", 20));
    let mut client = node.client();
    assert_eq!(client.ask("hello"), "? hello");
    let mut all: Vec<_> = (0..20).map(|_| connect(&node)).collect();
    for (number, plain) in all.iter_mut().enumerate() {
        plain.send(format!("AT Plain +1.000000000 k{number} +1+1 1 Plain\n"));
        wait_until("it is heard", || client.ask(&format!("WHATSAT k{number} 1 1")).starts_with("AT "));
    }
    assert_eq!(peers(&node), 20.0);
    drop(client);
    wait_until("the client's place is free", || {
        let mut client = node.client();
        client.stream().write_all(b"hello\n").is_ok() && client.try_line().is_some()
    });
}

#[test]
fn connection_that_says_nothing_is_closed_after_a_time_of_its_own() {
    let (node, _listener) = plain(Setup::new().limit("plain_idle_seconds", 0.2));
    connect(&node).expect_closed();
    assert_eq!(node.client().ask("hello"), "? hello");
}

#[test]
fn stranger_waits_for_no_name_and_costs_no_thread() {
    let (asked, calls) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counted, served) = (Arc::clone(&asked), Arc::clone(&calls));
    let (release, held) = bounded::<()>(0);
    let resolve = move |_: &str, _: u16| {
        counted.fetch_add(1, Ordering::Relaxed);
        let _ = held.recv();
        Ok(vec![SocketAddr::from(([127, 0, 0, 2], 1))])
    };
    let count_sessions = move |role: &proxyherd::server::Role| {
        served.fetch_add(usize::from(matches!(role, proxyherd::server::Role::Session(_))), Ordering::Relaxed);
        Ok(())
    };
    let setup = Setup::new().http("").resolve(Arc::new(resolve)).before_spawn(count_sessions);
    let node = setup.plain_at("Plain", "localhost:1", "").start();
    // All that is known of them is that the name has no answer.
    for _ in 0..100 {
        connect(&node).expect_closed();
    }
    assert_eq!((asked.load(Ordering::Relaxed), calls.load(Ordering::Relaxed)), (1, 0));
    wait_until("the log says why", || node.log().contains("a name is not resolved yet"));
    drop(release);
    wait_until("the neighbour gets in", || {
        let mut plain = Client::of(connect_from("127.0.0.2".parse().unwrap(), node.plain_address()));
        let _ = plain.stream().write_all(b"AT Plain +1.000000000 k +1+1 1 Plain\n");
        plain.half_close();
        plain.expect_closed();
        is_stored(&node, "k")
    });
    // The log has a line a second of these.
    wait_until("a stranger is named", || {
        connect(&node).expect_closed();
        node.log().contains("127.0.0.1 is not the address of a third-party node")
    });
}
