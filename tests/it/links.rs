//! The node's own calls to its neighbours: when it dials, whom it believes, how it keeps a link and how it loses one.

use std::{net::SocketAddr, sync::Arc};

use crossbeam_channel::bounded;

use crate::support::{FakePeer, PATIENCE, Setup, check, wait_until};

#[test]
fn lost_link_is_dialled_again() {
    let welsh = FakePeer::new("Welsh");
    let node = Setup::new().neighbour(&welsh).start();
    for _ in 0..3 {
        let mut flooder = welsh.link(&node);
        assert_eq!(flooder.line(), b"PING 1\n");
    }
}

#[test]
fn link_pings_each_second_once_the_last_ping_is_answered() {
    let welsh = FakePeer::new("Welsh");
    let node = Setup::new().neighbour(&welsh).start();
    let mut flooder = welsh.link(&node);
    for number in 1..4 {
        flooder.expect(format!("PING {number}\n"), "a ping");
        flooder.answer(&format!("PING {number}\n"));
    }
}

#[test]
fn whoever_answers_a_call_and_is_not_the_neighbour_is_hung_up_on() {
    let (welsh, check) = (FakePeer::new("Welsh"), check());
    let node = Setup::new().limit("backoff_ms_max", 100).neighbour(&welsh).start();
    for answer in [
        "REFUSED for the test's sake\n".to_owned(),
        "? HELLO 1\n".to_owned(),
        "\n".to_owned(),
        "x".repeat(2000),
        format!("HELLO 1 test Welsh Alford 00000000000000ff {check}\n"),
        format!("HELLO 3 test Welsh Alford 0000000000000000 {check} - - -\n"),
        format!("HELLO 2 other Welsh Alford 0000000000000000 {check} - - -\n"),
        format!("HELLO 2 test Ball Alford 0000000000000000 {check} - - -\n"),
        format!("HELLO 2 test Welsh Alford 0000000000000000 {check} 3600 - -\n"),
        "HELLO 2 test Welsh Alford 0000000000000000 0000000000000000 - - -\n".to_owned(),
    ] {
        let (mut flooder, _) = welsh.answer_call();
        flooder.send(answer);
        flooder.expect_closed();
    }
    // It finds itself, and the node at the other end says so.
    let (mut flooder, hello) = welsh.answer_call();
    let mut itself = node.client();
    itself.send(hello);
    flooder.send(String::from_utf8(itself.line()).unwrap());
    flooder.expect_closed();
    wait_until("the log says why", || node.log().contains("Alford has dialled itself"));
    // And whoever says nothing is waited for, but not for ever.
    let (mut flooder, _) = welsh.answer_call();
    flooder.expect_closed();
    // None of them was announced as linked; this one is the first.
    welsh.link(&node);
}

#[test]
fn inbound_handshake_ends_the_wait_for_dialling() {
    let welsh = FakePeer::new("Welsh");
    let hour = 3_600_000;
    let node =
        Setup::new().limit("backoff_ms_min", hour).limit("backoff_ms_max", hour).neighbour(&welsh).start();
    let (mut flooder, _) = welsh.answer_call();
    flooder.send("REFUSED for the test's sake\n");
    flooder.expect_closed();
    let _session = welsh.dial(&node);
    welsh.link(&node);
}

#[test]
fn flooder_that_panics_ends_its_own_link_and_nothing_else() {
    let (welsh, holiday) = (FakePeer::new("Welsh"), FakePeer::new("Holiday"));
    let setup = Setup::new().http("").neighbour(&welsh).neighbour(&holiday);
    let mut node = setup.panic_once_linked(&welsh).start();
    welsh.take_flooder().expect_closed();
    let mut flooder = holiday.link(&node);
    assert!(node.client().ask("IAMAT a +1+1 1").starts_with("AT Alford "));
    assert!(flooder.news().ends_with(" a +1+1 1 Alford"));
    // Whoever asks is told that nobody keeps it.
    let link_to_welsh = || {
        let links = node.status()["links"].as_array().unwrap().clone();
        links.into_iter().find(|link| link["peer"] == "Welsh").unwrap()
    };
    wait_until("its link is down", || link_to_welsh()["state"] == "down");
    assert_eq!(link_to_welsh()["last_error"], "its flooder panicked, which is a bug; restart this node");
    node.begin_stop();
    assert_eq!(flooder.keep_until_closed(), [""; 0]);
    node.expect_ended(PATIENCE);
    let log = node.log();
    let told = "ERROR no link to Welsh until this node restarts: its flooder panicked, which is a bug";
    assert_eq!(log.matches(told).count(), 1, "{log}");
    assert!(log.trim_end().ends_with("Alford stops, drained"), "{log}");
}

#[test]
fn neighbour_that_answers_pings_and_no_round_is_given_up_and_the_log_says_why() {
    let welsh = FakePeer::new("Welsh");
    let node = Setup::new().neighbour(&welsh).start();
    let mut flooder = welsh.take_flooder();
    flooder.expect("SUM 0\n", "its first round");
    flooder.exchange("", "PING 1\n");
    flooder.answer("PING 1\n");
    flooder.expect_closed();
    wait_until("the log says so", || node.log().contains("WARN  lost Welsh: it skipped an earlier question"));
    // One that does better is linked again.
    welsh.link(&node);
}

#[test]
fn slow_resolver_holds_up_neither_other_links_nor_stop() {
    let (welsh, ball) = (FakePeer::new("Welsh"), FakePeer::new("Ball"));
    let (asked, was_asked) = bounded(10);
    let (release, released) = bounded::<()>(0);
    let resolve = move |host: &str, port: u16| {
        let _ = asked.send((host.to_owned(), port));
        let _ = released.recv();
        Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))])
    };
    let port = welsh.address().port();
    let mut node = Setup::new()
        .limit("connect_seconds", 60)
        .limit("drain_seconds", 4)
        .resolve(Arc::new(resolve))
        .neighbour_at("Welsh", &format!("localhost:{port}"))
        .neighbour(&ball)
        .start();
    assert_eq!(was_asked.recv_timeout(PATIENCE), Ok(("localhost".to_owned(), port)));
    let mut news = ball.link(&node);
    assert!(node.client().ask("IAMAT a +1+1 1").starts_with("AT "));
    assert!(news.news().ends_with(" a +1+1 1 Alford"));
    node.begin_stop();
    assert_eq!(news.keep_until_closed(), [""; 0]);
    // At the whole of the drain time the node would have ended its process, and this one with it.
    node.expect_ended(PATIENCE);
    drop(release);
}

#[test]
fn name_is_resolved_at_each_call_and_the_link_follows_it() {
    let (old, new) = (FakePeer::new("Welsh"), FakePeer::new("Welsh"));
    let (tell, told) = bounded::<SocketAddr>(10);
    let resolve = move |_: &str, _: u16| Ok(told.recv().into_iter().collect());
    tell.send(old.address()).unwrap();
    let node = Setup::new().resolve(Arc::new(resolve)).neighbour_at("Welsh", "localhost:1").start();
    let flooder = old.link(&node);
    drop(flooder);
    tell.send(new.address()).unwrap();
    new.link(&node);
    drop(tell);
}
