//! What a connection may do and for how long: the limits at their edges, clients that are slow, silent, gone or greedy,
//! and a node that is full.

use std::{
    io::{ErrorKind, Read, Write},
    thread,
    time::{Duration, Instant},
};

use rustix::net::sockopt::set_socket_recv_buffer_size;

use crate::support::{
    Client, FakePeer, FaultyPlaces, KnownPlaces, LargePlaces, PATIENCE, Setup, TestNode, connect_from,
    wait_until,
};

/// Whether the node takes a new client now.
fn takes_a_client(node: &TestNode) -> bool {
    let mut client = node.client();
    // Where the node has closed it already, this fails, and the reading tells.
    let _ = client.stream().write_all(b"hello\n");
    client.half_close();
    client.rest() == b"? hello\n"
}

/// A new client that the node takes, as soon as it takes one.
fn client_once_taken(node: &TestNode) -> Client {
    let mut taken = None;
    wait_until("a client is taken", || {
        let mut client = node.client();
        let is_taken =
            client.stream().write_all(b"hello\n").is_ok() && client.try_line() == Some(b"? hello\n".to_vec());
        taken = is_taken.then_some(client);
        taken.is_some()
    });
    taken.unwrap()
}

#[test]
fn client_beyond_the_limit_is_closed_unheard() {
    let node = Setup::new().limit("connections", 2).limit("handshake_seconds", 60).start();
    let mut clients = [node.client(), node.client()];
    for client in &mut clients {
        assert_eq!(client.ask("hello"), "? hello");
    }
    // A place kept for neighbours is not for a client's line.
    let mut third = node.client();
    third.send("IAMAT a +1+1 1\n");
    third.expect_closed();
    assert_eq!(clients[0].ask("WHATSAT a 1 1"), "? WHATSAT a 1 1");
    drop(clients);
    wait_until("the places are free again", || takes_a_client(&node));
}

#[test]
fn client_beyond_the_limit_that_says_nothing_is_closed_soon() {
    let node = Setup::new().limit("connections", 1).limit("handshake_seconds", 0.1).start();
    let mut client = node.client();
    assert_eq!(client.ask("hello"), "? hello");
    node.client().expect_closed();
    let mut slow = node.client();
    slow.send("HEL");
    slow.expect_closed();
}

#[test]
fn stranger_in_a_place_for_neighbours_makes_room_for_the_next_and_a_neighbour_never_does() {
    let welsh = FakePeer::new("Welsh");
    let setup = Setup::new().limit("connections", 1).limit("handshake_seconds", 60).http("");
    let node = setup.neighbour(&welsh).start();
    let mut first = node.client();
    assert_eq!(first.ask("hello"), "? hello");
    // A node with one link keeps six.
    let waiting = || node.metric("proxyherd_connections{kind=\"waiting\"}").unwrap();
    let mut strangers: Vec<Client> = (0..6).map(|_| node.client()).collect();
    wait_until("all places are taken", || waiting() == 6.0);
    let mut session = welsh.dial(&node);
    session.ping("PING 1\n", 1);
    let next: Vec<Client> = strangers.iter().map(|_| node.client()).collect();
    // One of them had the place that the neighbour left for a kept one; all others had to wait for theirs.
    strangers.iter_mut().for_each(Client::expect_closed);
    wait_until("the last one sits there", || waiting() == 5.0);
    drop(next);
    session.ping("PING 2\n", 2);
    assert_eq!(first.ask("hello"), "? hello");
    wait_until("the log says why", || node.log().contains(" is closed: another connection took its place"));
}

#[test]
fn address_has_as_many_connections_as_its_cap_and_others_are_none_the_worse() {
    let setup = Setup::new().limit("connections", 9).limit("address_connections", 2);
    let node = setup.limit("loopback_counts", true).limit("handshake_seconds", 60).start();
    let mut clients = [node.client(), node.client()];
    for client in &mut clients {
        assert_eq!(client.ask("hello"), "? hello");
    }
    assert!(!takes_a_client(&node));
    let mut other = Client::of(connect_from("127.0.0.2".parse().unwrap(), node.address()));
    assert_eq!(other.ask("hello"), "? hello");
    drop(clients);
    wait_until("the places are free again", || takes_a_client(&node));
}

#[test]
fn programs_of_this_machine_have_no_cap_unless_it_is_configured() {
    let node = Setup::new().limit("address_connections", 1).start();
    let mut clients = [node.client(), node.client()];
    for client in &mut clients {
        assert_eq!(client.ask("hello"), "? hello");
    }
}

#[test]
fn where_all_buffers_hold_too_much_those_who_take_no_replies_are_closed_and_no_others() {
    let setup = Setup::new().limit("connection_buffer_bytes", 1 << 20).limit("write_seconds", 3600);
    let mut node = setup.places(LargePlaces).start();
    let mut quiet = node.client();
    quiet.ask("IAMAT a +1+1 1");
    // One alone holds less than that, and is waited for.
    let mut greedy: Vec<Client> = Vec::new();
    wait_until("one is closed", || {
        let client = node.client();
        // Where it is closed already, the log tells.
        let _ = client.stream().write_all("WHATSAT a 1 1\n".repeat(100).as_bytes());
        greedy.push(client);
        let told = "it did not read its replies while all buffers together held `connection_buffer_bytes`";
        node.log().contains(told)
    });
    assert!(quiet.ask("IAMAT a +1+1 2").starts_with("AT "));
    assert!(takes_a_client(&node));
    drop(greedy);
    node.stop();
}

#[test]
fn neighbour_gets_in_where_clients_do_not_and_takes_no_clients_place() {
    let welsh = FakePeer::new("Welsh");
    let node = Setup::new().limit("connections", 1).neighbour(&welsh).start();
    let mut first = node.client();
    assert_eq!(first.ask("hello"), "? hello");
    let mut session = welsh.dial(&node);
    session.send("AT Welsh +0.000000001 a +1+1 1 Welsh\n");
    wait_until("the neighbour's line is stored", || first.ask("WHATSAT a 1 1").starts_with("AT "));
    drop(first);
    wait_until("the client's place is free again", || takes_a_client(&node));
}

#[test]
fn neighbour_that_comes_while_there_is_room_leaves_it_to_clients() {
    let welsh = FakePeer::new("Welsh");
    let node = Setup::new().limit("connections", 1).neighbour(&welsh).start();
    let _session = welsh.dial(&node);
    assert!(takes_a_client(&node));
}

#[test]
fn idle_client_is_closed() {
    let node = Setup::new().limit("idle_seconds", 0.2).start();
    node.client().expect_closed();
    let mut client = node.client();
    assert_eq!(client.ask("hello"), "? hello");
    client.expect_closed();
}

#[test]
fn line_that_does_not_end_is_closed_even_while_it_goes_on() {
    let node = Setup::new().limit("line_seconds", 0.3).start();
    let mut client = node.client();
    client.send("IAMAT a +1+1 1\nIAMAT b");
    assert!(client.line().ends_with(b" a +1+1 1\n"));
    client.expect_closed();
    // Each byte is a sign of life, and the line is none the shorter for it.
    let trickler = node.client();
    trickler.stream().set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let begun = Instant::now();
    let mut stream = trickler.stream();
    while !matches!(stream.read(&mut [0; 10]), Ok(0)) {
        assert!(begun.elapsed() < PATIENCE, "it goes on for ever");
        if stream.write_all(b"x").is_err() {
            break;
        }
    }
    assert_eq!(node.client().ask("WHATSAT b 1 1"), "? WHATSAT b 1 1");
}

#[test]
fn client_that_sends_a_byte_at_a_time_is_served() {
    let node = Setup::new().start();
    let mut client = node.client();
    for byte in b"IAMAT slow +1+2 3\r\nWHATSAT slow 1 1\n\n" {
        client.send([*byte]);
    }
    assert!(client.line().ends_with(b" slow +1+2 3\r\n"));
    assert!(client.line().ends_with(b" slow +1+2 3\n"));
    client.expect(format!("{}\n\n? \n", KnownPlaces::document("1,2", 1000.0, 1)), "the rest");
}

#[test]
fn client_that_takes_no_replies_is_closed_and_the_rest_of_them_is_not_sent() {
    let node = Setup::new().limit("connections", 1).limit("write_seconds", 0.3).places(LargePlaces).start();
    let mut client = node.client();
    client.ask("IAMAT a +1+1 1");
    let asked = 100;
    client.send("WHATSAT a 1 1\n".repeat(asked));
    wait_until("it is closed", || takes_a_client(&node));
    assert!(client.rest().len() < asked * LargePlaces::BYTES);
}

#[test]
fn client_that_vanishes_leaves_the_node_as_it_was() {
    let node = Setup::new().limit("connections", 1).start();
    for last_words in ["", "IAMAT half +1+1 1", "IAMAT a +1+1 1\n", "WHATSAT a 1 1\nWHATSAT a 1 1\n"] {
        // There is one place for clients, so each is taken only once the one before has given it back.
        let mut client = client_once_taken(&node);
        client.send(last_words);
        client.vanish();
    }
    assert_eq!(client_once_taken(&node).ask("WHATSAT half 1 1"), "? WHATSAT half 1 1");
}

#[test]
fn megabytes_of_pipelined_answers_reach_a_slow_reader_whole_and_in_order() {
    let node = Setup::new().places(LargePlaces).start();
    let client = node.client();
    set_socket_recv_buffer_size(client.stream(), 64 * 1024).unwrap();
    let asked = 64;
    let writer = client.stream().try_clone().unwrap();
    let writing = thread::spawn(move || {
        let questions = (0..asked).map(|number| format!("WHATSAT a 1.{number} 1\nbetween {number}\n"));
        (&writer).write_all(format!("IAMAT a +1+1 1\n{}", questions.collect::<String>()).as_bytes())
    });
    let (mut text, mut bytes) = (Vec::new(), [0; 4000]);
    while !text.ends_with(format!("\n? between {}\n", asked - 1).as_bytes()) {
        match client.stream().read(&mut bytes) {
            Ok(count) if count > 0 => text.extend_from_slice(&bytes[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            end => panic!("{end:?} after {} bytes", text.len()),
        }
    }
    writing.join().unwrap().unwrap();
    let at = text.split(|&byte| byte == b'\n').next().unwrap();
    let at = String::from_utf8(at.to_vec()).unwrap();
    let mut expected = format!("{at}\n");
    for number in 0..asked {
        let radius_m = format!("1.{number}").parse::<f64>().unwrap() * 1000.0;
        expected += &format!("{at}\n{}\n\n? between {number}\n", LargePlaces::document(radius_m));
    }
    assert!(text == expected.as_bytes(), "{} bytes, not {}", text.len(), expected.len());
}

#[test]
fn panic_ends_its_own_connection_and_is_told_once_a_second() {
    let mut node = Setup::new().places(FaultyPlaces).limit("connections", 1).start();
    for _ in 0..20 {
        let mut client = client_once_taken(&node);
        assert!(client.ask("IAMAT a +1+1 1").starts_with("AT "));
        client.send("WHATSAT a 1 1\n");
        client.expect_closed();
    }
    wait_until("its place is free again", || takes_a_client(&node));
    node.stop();
    let log = node.log();
    let told = log.matches(" is closed: its thread panicked").count();
    assert!((1..20).contains(&told), "{log}");
}

#[test]
fn stranger_in_a_place_kept_for_neighbours_counts_as_refused_however_it_ends() {
    let node = Setup::new().limit("connections", 1).limit("handshake_seconds", 60).http("").start();
    let mut first = node.client();
    assert_eq!(first.ask("hello"), "? hello");
    let counts = || {
        ["accepted", "refused"]
            .map(|kind| node.metric(&format!("proxyherd_connections_{kind}_total")).unwrap())
    };
    assert_eq!(counts(), [1.0, 0.0]);
    // A node without links keeps four places, so each of these has one.
    let hello = format!("HELLO 2 another-herd Welsh Alford {0:016x} {0:016x} - - -\n", 1);
    for (refused, says) in (1..).zip(["GET / HTTP/1.1\r\n", &hello, "", "HEL"]) {
        let mut stranger = node.client();
        stranger.send(says);
        match says {
            "" => drop(stranger),
            "HEL" => stranger.vanish(),
            browser_or_peer => assert!(!stranger.rest().starts_with(b"?"), "{browser_or_peer}"),
        }
        wait_until("it is counted", || counts() == [1.0, f64::from(refused)]);
    }
}
