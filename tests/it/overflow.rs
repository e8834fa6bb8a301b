//! A neighbour that does not read: it misses what its outbox has no room for, and nobody else notices.

use std::time::Duration;

use crate::support::{FakePeer, Setup, TestNode, heavy, wait_until};

/// How much the node is given to flood: more than the system's buffers and the outbox hold.
const REPORTS: usize = 2000;
const ID_BYTES: usize = 16_000;

/// Reports `REPORTS` times, and checks that each one is answered.
fn report(node: &TestNode) {
    let mut client = node.client();
    client.stream().set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let id = "x".repeat(ID_BYTES);
    for number in 0..REPORTS {
        client.send(format!("IAMAT {id} +1+1 {number}\n"));
        assert!(client.line().ends_with(format!(" +1+1 {number}\n").as_bytes()));
    }
}

#[test]
fn neighbour_that_does_not_read_misses_lines_and_clients_notice_nothing() {
    let _heavy = heavy();
    let (welsh, ball) = (FakePeer::new("Welsh"), FakePeer::new("Ball"));
    let node = Setup::new()
        .limit("outbox_bytes", 100_000)
        .limit("write_seconds", 3600)
        .limit("client_bytes", ID_BYTES)
        .neighbour(&welsh)
        .neighbour(&ball)
        .start();
    let mut to_welsh = welsh.link(&node);
    let mut to_ball = ball.link(&node);
    report(&node);
    // What it did get is whole lines in order; a round makes good for the rest, and the link is as good as before.
    let mut heard = 0;
    let mut newest = None;
    loop {
        let line = String::from_utf8(to_welsh.line()).unwrap();
        if line.starts_with("PUSH ") {
            assert!(line.ends_with(&format!(" {}\n", REPORTS - 1)));
            break;
        }
        if !line.starts_with("AT ") {
            to_welsh.answer(&line);
            continue;
        }
        let number: usize = line.split(' ').nth(5).unwrap().parse().unwrap();
        assert!(line.starts_with("AT Alford +") && line.ends_with(" Alford\n") && newest < Some(number));
        newest = Some(number);
        heard += 1;
    }
    assert!((1..REPORTS).contains(&heard), "{heard} of {REPORTS}");
    let at = node.client().ask("IAMAT after +1+1 1");
    assert_eq!(to_welsh.news(), format!("{at} Alford"));
    // The other neighbour, which was not read from either until now, misses lines of its own but not this one.
    wait_until("the last line comes", || to_ball.news() == format!("{at} Alford"));
    wait_until("the overflow is logged", || {
        let log = node.log();
        log.contains("the outbox of Welsh is full") || log.contains("the outbox of Ball is full")
    });
}

#[test]
fn neighbour_that_takes_nothing_for_the_write_time_is_dialled_anew() {
    let welsh = FakePeer::new("Welsh");
    let node =
        Setup::new().limit("write_seconds", 0.5).limit("client_bytes", ID_BYTES).neighbour(&welsh).start();
    let _silent = welsh.link(&node);
    report(&node);
    let mut flooder = welsh.link(&node);
    let at = node.client().ask("IAMAT after +1+1 1");
    wait_until("the new connection serves", || flooder.news() == format!("{at} Alford"));
}
