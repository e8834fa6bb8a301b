//! A node that stops: what is in hand is finished, what is queued for neighbours is flushed, and nobody can hold it up
//! for longer than its drain time.

use std::{
    net::{TcpListener, TcpStream},
    time::{Duration, Instant},
};

use rustix::net::sockopt::set_socket_recv_buffer_size;

use crate::support::{BlockedPlaces, Client, FakePeer, LargePlaces, PATIENCE, Setup, TestNode, wait_until};

/// Tells the node to stop, and waits until it takes no more connections.
fn begin_stop(node: &mut TestNode) {
    let address = node.address();
    node.begin_stop();
    wait_until("the node takes no more connections", || TcpStream::connect(address).is_err());
}

#[test]
fn batch_in_hand_is_finished_and_half_a_line_is_discarded() {
    let (places, was_asked, answer) = BlockedPlaces::new();
    let mut node = Setup::new().places(places).start();
    let mut client = node.client();
    let at = client.ask("IAMAT a +1+1 1");
    client.send("before\nWHATSAT a 1 1\nIAMAT b +2+2 2\nbehind\nIAMAT c +3+3 3");
    was_asked.recv_timeout(PATIENCE).unwrap();
    begin_stop(&mut node);
    answer.send(b"{}".to_vec()).unwrap();
    let rest = String::from_utf8(client.rest()).unwrap();
    let expected_head = format!("? before\n{at}\n{{}}\n\nAT Alford +");
    assert!(rest.starts_with(&expected_head) && rest.ends_with(" b +2+2 2\n? behind\n"), "{rest}");
    node.expect_ended(PATIENCE);
}

#[test]
fn half_a_line_that_waits_for_its_end_is_discarded() {
    let mut node = Setup::new().start();
    let mut client = node.client();
    client.send("hello\nIAMAT a +1+1 1");
    assert_eq!(client.line(), b"? hello\n");
    node.stop();
    client.expect_closed();
}

#[test]
fn idle_connections_do_not_hold_up_the_stop() {
    let welsh = FakePeer::new("Welsh");
    let mut node = Setup::new().neighbour(&welsh).start();
    let mut flooder = welsh.link(&node);
    let mut session = welsh.dial(&node);
    let mut clients: Vec<_> = (0..20).map(|_| node.client()).collect();
    for client in &mut clients {
        assert_eq!(client.ask("hello"), "? hello");
    }
    let begun = Instant::now();
    node.stop();
    assert!(begun.elapsed() < Duration::from_secs(8), "not the whole drain time");
    for client in &mut clients {
        client.expect_closed();
    }
    session.expect_closed();
    let rest = String::from_utf8(flooder.rest()).unwrap();
    assert!(rest.lines().all(|line| line.starts_with("PING ")), "{rest}");
}

#[test]
fn stopped_node_flushes_what_is_queued_for_its_neighbours() {
    let welsh = FakePeer::new("Welsh");
    // Little fits between the two, so that most still waits in the node when it is told to stop.
    set_socket_recv_buffer_size(welsh.listener(), 16 * 1024).unwrap();
    let mut node =
        Setup::new().limit("outbox_bytes", 64 << 20).limit("client_bytes", 16_000).neighbour(&welsh).start();
    let mut flooder = welsh.link(&node);
    let mut client = node.client();
    let (id, count) = ("x".repeat(16_000), 1000);
    for number in 0..count {
        client.send(format!("IAMAT {id} +1+1 {number}\n"));
        assert!(client.line().ends_with(format!(" +1+1 {number}\n").as_bytes()));
    }
    begin_stop(&mut node);
    for number in 0..count {
        assert!(flooder.news().ends_with(&format!(" {id} +1+1 {number} Alford")), "{number}");
    }
    assert_eq!(flooder.keep_until_closed(), [""; 0]);
    node.expect_ended(PATIENCE);
}

#[test]
fn third_party_node_that_answers_each_line_is_told_the_last_one_too() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // Much is still on its way when the node has written all.
    set_socket_recv_buffer_size(&listener, 16 * 1024).unwrap();
    let setup = Setup::new().limit("client_bytes", 16_000);
    let mut node = setup.plain("Plain", listener.local_addr().unwrap(), "").start();
    let mut plain = Client::of(listener.accept().unwrap().0);
    // What is known by the first sweep would be told by that.
    wait_until("it is told that there is nothing", || node.log().contains("sent Plain every location"));
    let mut client = node.client();
    let (id, count) = ("x".repeat(16_000), 200);
    for number in 0..count {
        client.send(format!("IAMAT {id} +1+1 {number}\n"));
        client.line();
    }
    begin_stop(&mut node);
    for number in 0..count {
        assert!(plain.line().ends_with(format!(" +1+1 {number} Alford\n").as_bytes()), "{number}");
        plain.send("? an answer that nobody wants\n");
    }
    plain.expect_closed();
    drop(plain);
    node.expect_ended(PATIENCE);
}

#[test]
fn stopped_node_waits_until_its_neighbour_confirms_the_last_news() {
    let welsh = FakePeer::new("Welsh");
    let mut node = Setup::new().neighbour(&welsh).start();
    let mut flooder = welsh.link(&node);
    let at = node.client().ask("IAMAT a +1+1 1");
    begin_stop(&mut node);
    // Nothing is confirmed by what the system has taken.
    assert_eq!(flooder.line(), format!("{at} Alford\n").as_bytes());
    assert_eq!(flooder.line(), b"PING 1\n");
    flooder.answer("PING 1\n");
    flooder.expect_closed();
    node.expect_ended(PATIENCE);
    assert!(node.log().trim_end().ends_with("Alford stops, drained"), "{}", node.log());
}

#[test]
fn link_that_waits_to_dial_is_dialled_once_more_and_handed_what_is_known() {
    let hour = 3_600_000;
    let welsh = FakePeer::new("Welsh");
    let mut node =
        Setup::new().limit("backoff_ms_min", hour).limit("backoff_ms_max", hour).neighbour(&welsh).start();
    let (mut flooder, _) = welsh.answer_call();
    flooder.send("REFUSED for the test's sake\n");
    flooder.expect_closed();
    let at = node.client().ask("IAMAT a +1+1 1");
    begin_stop(&mut node);
    let mut flooder = welsh.take_flooder();
    let push = at.replacen("AT ", "PUSH ", 1);
    assert_eq!(
        flooder.keep_until_closed(),
        ["SUM 0\n".to_owned(), format!("{push}\n"), "DONE 1\n".to_owned()]
    );
    node.expect_ended(PATIENCE);
}

#[test]
fn neighbour_that_is_not_there_is_named_and_no_failure() {
    let welsh = FakePeer::new("Welsh");
    let mut node = Setup::new().neighbour(&welsh).start();
    let flooder = welsh.link(&node);
    node.client().ask("IAMAT a +1+1 1");
    welsh.leave();
    drop(flooder);
    node.stop();
    let log = node.log();
    assert!(
        log.contains("WARN  Welsh may lack what a repair round would have found: it cannot be reached"),
        "{log}"
    );
    assert!(log.trim_end().ends_with("Alford stops, drained"), "{log}");
}

#[test]
fn client_that_does_not_read_is_given_up_at_half_of_the_drain_time() {
    let drain_time = Duration::from_secs(4);
    let mut node = Setup::new()
        .limit("drain_seconds", drain_time.as_secs())
        .limit("write_seconds", 3600)
        .places(LargePlaces)
        .start();
    let mut client = node.client();
    client.ask("IAMAT a +1+1 1");
    let asked = 100;
    client.send("WHATSAT a 1 1\n".repeat(asked));
    // Its replies have begun to come, and are more than fits between the two.
    assert!(client.line().starts_with(b"AT "));
    let told = Instant::now();
    node.stop();
    let took = told.elapsed();
    assert!(took >= drain_time / 2, "it had its half of the time: {took:?}");
    // At the whole of it the node would have ended its process, and this one with it.
    assert!(client.rest().len() < asked * LargePlaces::BYTES);
    assert!(node.log().trim_end().ends_with("Alford stops, drained"), "{}", node.log());
}

#[test]
fn neighbour_that_does_not_read_is_given_up_at_three_quarters_of_the_drain_time() {
    let drain_time = Duration::from_secs(4);
    let welsh = FakePeer::new("Welsh");
    set_socket_recv_buffer_size(welsh.listener(), 16 * 1024).unwrap();
    let mut node = Setup::new()
        .limit("drain_seconds", drain_time.as_secs())
        .limit("write_seconds", 3600)
        .limit("liveness_seconds", 3600)
        .limit("outbox_bytes", 64 << 20)
        .limit("client_bytes", 16_000)
        .neighbour(&welsh)
        .start();
    let mut flooder = welsh.link(&node);
    let mut client = node.client();
    let (id, count) = ("x".repeat(16_000), 1000);
    for number in 0..count {
        client.send(format!("IAMAT {id} +1+1 {number}\n"));
        client.line();
    }
    let told = Instant::now();
    node.begin_stop();
    node.expect_ended_lacking(PATIENCE, &["Welsh"]);
    let took = told.elapsed();
    assert!(took >= drain_time * 3 / 4, "it had three quarters of the time: {took:?}");
    // At the whole of it the node would have ended its process, and this one with it.
    let rest = String::from_utf8(flooder.rest()).unwrap();
    assert!(rest.matches(" Alford\n").count() < count, "what it did not take is thrown away");
    let log = node.log();
    assert!(
        log.contains(&format!("WARN  Welsh may lack {count} updates: it did not accept everything in time")),
        "{log}"
    );
    let last = "ERROR Alford stops without having handed over everything to Welsh";
    assert!(log.trim_end().ends_with(last), "{log}");
}

#[test]
fn stop_ends_the_wait_for_a_neighbour_that_is_not_there() {
    let hour = 3_600_000;
    let welsh = FakePeer::new("Welsh");
    let mut node =
        Setup::new().limit("backoff_ms_min", hour).limit("backoff_ms_max", hour).neighbour(&welsh).start();
    let (mut flooder, _) = welsh.answer_call();
    flooder.send("REFUSED for the test's sake\n");
    flooder.expect_closed();
    node.stop();
}
