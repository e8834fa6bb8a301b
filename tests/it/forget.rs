//! What forgetting a client does at one node: PROTOCOL.md's section on FORGET, and what neighbours are told of it.

use std::{
    net::Ipv4Addr,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::support::{Client, FakePeer, Setup, TestNode, secret_of, wait_until};

/// Whether a question about that client is answered.
fn is_known(node: &TestNode, client: &str) -> bool {
    let question = format!("WHATSAT {client} 1 1");
    let reply = node.client().ask(&question);
    assert!(reply.starts_with("AT ") || reply == format!("? {question}"), "{reply}");
    reply.starts_with("AT ")
}

#[test]
fn forgotten_client_is_unknown_until_it_reports_something_newer() {
    let node = Setup::new().start();
    let mut client = node.client();
    client.ask("IAMAT kiwi +1+1 1479413884.5");
    assert!(is_known(&node, "kiwi"));
    assert_eq!(client.ask("FORGET kiwi"), "FORGOT kiwi");
    assert_eq!(client.ask("FORGET nobody"), "FORGOT nobody");
    assert!(!is_known(&node, "kiwi") && !is_known(&node, "nobody"));
    for stale in ["1479413884", "1479413884.5"] {
        let reply = client.ask(&format!("IAMAT kiwi +2+2 {stale}"));
        assert!(reply.starts_with("AT Alford ") && !is_known(&node, "kiwi"), "{stale}: {reply}");
    }
    client.ask("IAMAT kiwi +2+2 1479413884.500000001");
    client.ask("IAMAT nobody +2+2 1");
    assert!(is_known(&node, "kiwi") && is_known(&node, "nobody"));
}

#[test]
fn client_that_a_time_in_the_future_has_frozen_is_freed() {
    let node = Setup::new().limit("max_ahead_seconds", "\"off\"").start();
    let mut client = node.client();
    client.ask("IAMAT kiwi +1+1 4070908800");
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let report = |client: &mut Client| {
        let now = now();
        client.ask(&format!("IAMAT kiwi +2+2 {}.{:09}", now / 1_000_000_000, now % 1_000_000_000));
        client.ask("WHATSAT kiwi 1 0").contains(" +2+2 ")
    };
    assert!(!report(&mut node.client()), "it is not frozen");
    client.ask("FORGET kiwi");
    assert!(report(&mut node.client()), "it is not freed");
}

#[test]
fn whatever_is_not_a_client_alone_is_invalid() {
    let node = Setup::new().start();
    let mut client = node.client();
    for line in ["FORGET", "FORGET a b", "forget a", "FORGOT a", "FORGOT a 7 1 Alford"] {
        assert_eq!(client.ask(line), format!("? {line}"));
    }
}

#[test]
fn forgetting_somebody_unknown_takes_no_more_room_than_a_report_may() {
    let node = Setup::new().limit("client_bytes", 8).start();
    let mut client = node.client();
    assert_eq!(client.ask("FORGET kiwi-567"), "FORGOT kiwi-567");
    assert_eq!(client.ask("FORGET kiwi-5678"), "? FORGET kiwi-5678");
    let node = Setup::new().limit("max_bytes", 0).start();
    assert_eq!(node.client().ask("FORGET kiwi"), "? FORGET kiwi");
}

#[test]
fn node_that_others_can_reach_forgets_nobody() {
    let setup = || Setup::new().secret(&secret_of(7));
    // The second listens on loopback, and something passes connections on to it.
    for setup in [setup().ip(Ipv4Addr::UNSPECIFIED), setup().reached_at("192.0.2.1:1")] {
        let node = setup.start();
        let mut client = node.client();
        client.ask("IAMAT kiwi +1+1 1479413884");
        assert_eq!(client.ask("FORGET kiwi"), "? FORGET kiwi");
        assert!(is_known(&node, "kiwi"));
        wait_until("the log says why", || {
            node.log().contains("only an operator's token has clients forgotten")
        });
    }
}

#[test]
fn neighbours_are_told_of_tombstones_and_of_generations_and_tell_of_theirs() {
    let welsh = FakePeer::new("Welsh");
    let node = Setup::new().neighbour(&welsh).start();
    let mut flooder = welsh.link(&node);
    let mut client = node.client();
    client.ask("IAMAT kiwi +1+1 1479413884");
    assert!(flooder.news().ends_with(" kiwi +1+1 1479413884 Alford"));
    client.ask("FORGET kiwi");
    let forgot = flooder.news();
    let fields: Vec<_> = forgot.split(' ').collect();
    let [_, "kiwi", generation, "1479413884", "Alford", "Alford"] = fields[..] else { panic!("{forgot}") };
    client.ask("IAMAT kiwi +2+2 1479413885");
    assert!(flooder.news().ends_with(&format!(" kiwi +2+2 1479413885 {generation} Alford")));
    let mut session = welsh.dial(&node);
    let later = generation.parse::<u64>().unwrap() + 1;
    session.send(format!("FORGOT kiwi {later} 1479413885 Welsh Welsh\n"));
    wait_until("it is forgotten", || !is_known(&node, "kiwi"));
    session.ping(format!("AT Welsh +1.000000000 kiwi +3+3 1479413886 {later} Welsh\nPING 7\n"), 7);
    assert!(is_known(&node, "kiwi"));
}
