//! Metrics by what they count: each is made to move, and compared with what was done. Those of the process are in
//! `processes/metrics.rs`, where the process is the node's alone; `metric_proofs.rs` says where which is.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, TcpListener},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use proxyherd::{places::Failure, server::Role};
use rustix::net::sockopt::set_socket_recv_buffer_size;

use crate::support::{
    BlockedPlaces, Client, FailingPlaces, FakePeer, PATIENCE, Setup, TestNode, connect_from, wait_until,
};

#[test]
fn node_is_told_of() {
    let before = Instant::now();
    let node = Setup::new().http("").start();
    let info = format!(
        "proxyherd_build_info{{version=\"{}\",herd=\"test\",node=\"Alford\"}}",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(node.metric(&info), Some(1.0));
    let uptime = node.metric("proxyherd_uptime_seconds").unwrap();
    let lived = before.elapsed().as_secs_f64();
    assert!((0.0..=lived).contains(&uptime), "{uptime}, not below {lived}");
    wait_until("it grows", || node.metric("proxyherd_uptime_seconds").unwrap() > uptime);
    let mut client = node.client();
    for (line, clients, tombstones) in [
        ("IAMAT a +1+1 1", 1.0, 0.0),
        ("IAMAT a +1+1 2", 1.0, 0.0),
        ("IAMAT b +1+1 1", 2.0, 0.0),
        ("FORGET a", 1.0, 1.0),
        ("FORGET nobody", 1.0, 2.0),
        ("IAMAT a +1+1 3", 2.0, 1.0),
    ] {
        client.ask(line);
        let told = ["proxyherd_clients", "proxyherd_tombstones"].map(|name| node.metric(name));
        assert_eq!(told, [Some(clients), Some(tombstones)], "{line}");
    }
}

/// Whom a node has, taken and turned away.
fn counts(node: &TestNode) -> [f64; 5] {
    [
        "proxyherd_connections{kind=\"client\"}",
        "proxyherd_connections{kind=\"peer\"}",
        "proxyherd_connections{kind=\"waiting\"}",
        "proxyherd_connections_accepted_total",
        "proxyherd_connections_refused_total",
    ]
    .map(|name| node.metric(name).unwrap())
}

#[test]
fn full_node_counts_whom_it_takes_and_whom_it_turns_away() {
    let welsh = FakePeer::new("Welsh");
    let limits = Setup::new().limit("connections", 3).limit("handshake_seconds", 60);
    let node = limits.http("").neighbour(&welsh).start();
    assert_eq!(node.metric("proxyherd_connections_max"), Some(3.0));
    let mut clients: Vec<Client> = (0..3).map(|_| node.client()).collect();
    for client in &mut clients {
        client.ask("hello");
    }
    assert_eq!(counts(&node), [3.0, 0.0, 0.0, 3.0, 0.0]);
    for refused in 1..=5 {
        let mut client = node.client();
        client.send("IAMAT a +1+1 1\n");
        client.expect_closed();
        let expected = [3.0, 0.0, 0.0, 3.0, f64::from(refused)];
        wait_until("it is counted", || counts(&node) == expected);
    }
    // One that says nothing holds a place that is kept for neighbours, and a neighbour earns it.
    let mut silent: Vec<Client> = (0..5).map(|_| node.client()).collect();
    wait_until("they wait", || counts(&node) == [3.0, 0.0, 5.0, 3.0, 5.0]);
    let session = welsh.dial(&node);
    assert_eq!(counts(&node), [3.0, 1.0, 5.0, 4.0, 5.0]);
    // None is left, so that of the one that came first is given to the next.
    silent.push(node.client());
    silent[0].expect_closed();
    wait_until("it is counted", || counts(&node) == [3.0, 1.0, 5.0, 4.0, 6.0]);
    drop((silent, session, clients));
    // The silent ones never got a place of their own.
    wait_until("all have gone", || counts(&node) == [0.0, 0.0, 0.0, 4.0, 11.0]);
    let totals = ["proxyherd_connections_accepted_total", "proxyherd_connections_refused_total"];
    assert_eq!(totals.map(|name| node.metric(name)), [Some(4.0), Some(11.0)], "these are for good");
    // Those of the web face are told apart: the one that asks, and one that does not yet.
    let web = || node.metric("proxyherd_connections{kind=\"http\"}").unwrap();
    wait_until("there is only this one", || web() == 1.0);
    let _idle = node.web();
    wait_until("it is there", || web() == 2.0);
}

#[test]
fn connection_without_a_thread_is_refused_and_not_taken() {
    let refuse = |role: &Role| match role {
        Role::Session(1) => Err(io::ErrorKind::WouldBlock.into()),
        _ => Ok(()),
    };
    let node = Setup::new().http("").before_spawn(refuse).start();
    node.client().expect_closed();
    wait_until("it is counted", || counts(&node) == [0.0, 0.0, 0.0, 0.0, 1.0]);
}

#[test]
fn stranger_at_the_door_of_plain_neighbours_is_refused_and_not_taken() {
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let node = Setup::new().http("").plain("Plain", plain.local_addr().unwrap(), "").start();
    let stranger = connect_from(IpAddr::from(Ipv4Addr::new(127, 0, 0, 9)), node.plain_address());
    Client::of(stranger).expect_closed();
    wait_until("it is counted", || counts(&node) == [0.0, 0.0, 0.0, 0.0, 1.0]);
    let _neighbour = Client::connect(node.plain_address());
    wait_until("it is taken", || counts(&node) == [0.0, 1.0, 0.0, 1.0, 1.0]);
}

#[test]
fn requests_take_as_long_as_their_lookup() {
    let (places, asked, answers) = BlockedPlaces::new();
    let node = Setup::new().http("").places(places).start();
    let mut client = node.client();
    client.ask("IAMAT a +1+1 1");
    let sent = Instant::now();
    client.send("WHATSAT a 1 1\n");
    asked.recv_timeout(PATIENCE).unwrap();
    let held = Instant::now();
    let sum = || node.metric("proxyherd_request_duration_seconds_sum{kind=\"whatsat\"}").unwrap();
    wait_until("it has waited for a while", || sum() == 0.0 && held.elapsed().as_millis() >= 50);
    let least = held.elapsed().as_secs_f64();
    answers.send(b"{}".to_vec()).unwrap();
    while client.line() != b"\n" {}
    wait_until("it is counted", || sum() > 0.0);
    let (took, most) = (sum(), sent.elapsed().as_secs_f64());
    assert!((least..=most).contains(&took), "{took}, not {least} to {most}");
}

#[test]
fn questions_without_an_answer_are_counted_as_such() {
    let count = |node: &TestNode, outcome: &str| {
        node.metric(&format!("proxyherd_requests_total{{kind=\"whatsat\",outcome=\"{outcome}\"}}")).unwrap()
    };
    let failing = FailingPlaces(Failure { status: "UNKNOWN_ERROR", message: "it is gone".into() });
    for (setup, outcome) in
        [(Setup::new().places(failing), "source_failed"), (Setup::new().without_places(), "no_places")]
    {
        let node = setup.http("").start();
        let mut client = node.client();
        client.ask("IAMAT a +1+1 1");
        assert_eq!(count(&node, outcome), 0.0);
        client.ask("WHATSAT a 1 1");
        wait_until("it is counted", || count(&node, outcome) == 1.0);
    }
}

#[test]
fn lines_the_log_has_no_room_for_are_counted() {
    let node = Setup::new().http("").log("buffer_bytes", 65_536).start();
    let dropped = || node.metric("proxyherd_log_dropped_lines_total").unwrap();
    assert_eq!(dropped(), 0.0);
    // What one read brings is more than the buffer, whatever the disk does.
    let line = format!("{}\n", "x".repeat(16_000));
    let mut client = node.client();
    let count = 100;
    client.send(line.repeat(count));
    (0..count).for_each(|_| drop(client.line()));
    assert!((1.0..=2.0 * count as f64).contains(&dropped()), "{}", dropped());
}

/// A metric of the link to Welsh.
#[track_caller]
fn of_link(node: &TestNode, name: &str) -> Option<f64> {
    node.metric(&format!("proxyherd_link_{name}{{peer=\"Welsh\"}}"))
}

#[test]
fn link_is_told_of_while_it_is_there_and_counted_for_good() {
    let welsh = FakePeer::new("Welsh");
    let node = Setup::new().http("").limit("liveness_seconds", 3600).neighbour(&welsh).start();
    node.client().ask("IAMAT a +1+1 1");
    let told =
        || ["up", "in_step", "connects_total", "rounds_total"].map(|name| of_link(&node, name).unwrap());
    assert_eq!((told(), of_link(&node, "lag_seconds")), ([0.0; 4], None));
    assert_eq!(of_link(&node, "in_step_seconds"), None);
    for times in [1.0, 2.0] {
        let before = Instant::now();
        let mut flooder = welsh.link(&node);
        wait_until("it is in step", || told() == [1.0, 1.0, times, times]);
        // The neighbour had nothing, which is one difference a round.
        assert_eq!(of_link(&node, "differences_total"), Some(times));
        let since = of_link(&node, "in_step_seconds").unwrap();
        let most = before.elapsed().as_secs_f64();
        assert!(since <= most, "{since}, not {most} at most");
        assert!(of_link(&node, "lag_seconds").is_some());
        // A ping that is not answered. It is sent no earlier than the link is made.
        while !flooder.line().starts_with(b"PING") {}
        wait_until("the link lags", || of_link(&node, "lag_seconds") > Some(0.05));
        let lag = of_link(&node, "lag_seconds").unwrap();
        let most = before.elapsed().as_secs_f64();
        assert!(lag <= most, "{lag}, not {most} at most");
        drop(flooder);
        wait_until("it is down", || told()[..2] == [0.0, 0.0]);
        assert_eq!((told(), of_link(&node, "lag_seconds")), ([0.0, 0.0, times, times], None));
    }
}

#[test]
fn clock_of_a_neighbour_is_told_apart_from_the_way_to_it() {
    let welsh = FakePeer::new("Welsh");
    let node = Setup::new().http("").limit("liveness_seconds", 3600).neighbour(&welsh).start();
    let offset = || of_link(&node, "clock_offset_seconds");
    let mut flooder = welsh.take_flooder();
    let mut ping = String::from_utf8(flooder.line()).unwrap();
    while !ping.starts_with("PING ") {
        flooder.answer(&ping);
        ping = String::from_utf8(flooder.line()).unwrap();
    }
    assert_eq!(offset(), None);
    let (asked, now) = (Instant::now(), SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64());
    flooder.send(format!("{} {:.9}\n", ping.trim_end().replace("PING", "PONG"), now + 1_000.0));
    wait_until("it is measured", || offset().is_some());
    // Wrong by half of what the answer took to be heard, at most; and by what a float drops.
    let (told, most) = (offset().unwrap(), asked.elapsed().as_secs_f64() + 0.01);
    assert!((told - 1_000.0).abs() <= most, "{told}");
    let told = node.status()["links"][0]["clock_offset_seconds"].as_f64().unwrap();
    assert!((told - 1_000.0).abs() <= most, "{told}");
    drop(flooder);
    wait_until("it is gone", || offset().is_none());
}

#[test]
fn links_bytes_and_lines_are_those_that_went_over_it() {
    let welsh = FakePeer::new("Welsh");
    let node = Setup::new().http("").limit("liveness_seconds", 3600).neighbour(&welsh).start();
    let (mut flooder, hello) = welsh.answer_call();
    let mut sent = hello.len();
    flooder.send(welsh.hello());
    let mut hear_until = |end: &str| {
        let mut line = String::new();
        while !line.starts_with(end) {
            line = String::from_utf8(flooder.line()).unwrap();
            sent += line.len();
            if !line.starts_with("AT ") {
                flooder.answer(&line);
            }
        }
    };
    // The first round is over before there is anything to tell.
    hear_until("DONE ");
    for number in 1..=3 {
        node.client().ask(&format!("IAMAT a{number} +1+1 1"));
        hear_until("AT ");
    }
    wait_until("what it was told is counted", || of_link(&node, "sent_updates_total") == Some(3.0));
    // It may have been pinged meanwhile, which is not read yet.
    wait_until("all bytes are counted", || of_link(&node, "sent_bytes_total") >= Some(sent as f64));

    assert_eq!(of_link(&node, "connected_here"), Some(0.0));
    let mut session = welsh.dial(&node);
    wait_until("it is connected", || of_link(&node, "connected_here") == Some(1.0));
    let lines = "AT Welsh +1.000000000 a +1+1 1 Welsh\nPUSH Welsh +1.000000000 b +1+1 1\nIAMAT c +1+1 1\nhello\nPING 1\n";
    session.ping(lines, 1);
    let received = welsh.hello().len() + lines.len();
    wait_until("what it said is counted", || of_link(&node, "received_bytes_total") == Some(received as f64));
    assert_eq!(of_link(&node, "received_updates_total"), Some(2.0));
    assert_eq!(of_link(&node, "bad_lines_total"), Some(2.0));
    drop(session);
    wait_until("it has left", || of_link(&node, "connected_here") == Some(0.0));
}

#[test]
fn link_that_is_not_read_from_is_behind() {
    let welsh = FakePeer::new("Welsh");
    set_socket_recv_buffer_size(welsh.listener(), 16 * 1024).unwrap();
    let limits = Setup::new().limit("liveness_seconds", 3600).limit("write_seconds", 3600);
    let limits = limits.limit("outbox_bytes", 100_000).limit("client_bytes", 16_000);
    let node = limits.http("").neighbour(&welsh).start();
    let flooder = welsh.link(&node);
    wait_until("it is in step", || of_link(&node, "in_step") == Some(1.0));
    assert_eq!(["behind", "outbox_bytes"].map(|name| of_link(&node, name)), [Some(0.0); 2]);
    let (mut client, id) = (node.client(), "x".repeat(16_000));
    let mut fullest: f64 = 0.0;
    for number in 1.. {
        client.ask(&format!("IAMAT {id} +1+1 {number}"));
        let [behind, waiting] = ["behind", "outbox_bytes"].map(|name| of_link(&node, name).unwrap());
        fullest = fullest.max(waiting);
        if behind == 1.0 && waiting > 50_000.0 {
            break;
        }
        assert!(number < 2000, "it takes all");
    }
    assert!((50_000.0..=100_000.0).contains(&fullest), "{fullest}");
    assert_eq!(of_link(&node, "in_step"), Some(0.0));
    // What waited is thrown away with the link.
    drop(flooder);
    wait_until("it is down", || of_link(&node, "up") == Some(0.0));
    assert_eq!(["behind", "outbox_bytes"].map(|name| of_link(&node, name)), [Some(0.0); 2]);
}
