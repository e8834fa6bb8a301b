//! What a node does with what is too old in a herd that forgets by age, by real clocks. It follows a neighbour's watermark,
//! so that nothing here has to wait for a minute.

use std::net::TcpListener;

use crate::support::{Client, FakePeer, Setup, TestNode, wait_until};

/// A node of a herd that keeps locations for an hour.
fn keeping() -> Setup {
    Setup::new().http("").in_herd("forget_after = \"1h\"")
}

fn watermark(node: &TestNode) -> u64 {
    node.status()["retention"]["watermark"].as_u64().unwrap()
}

/// A neighbour that keeps them for as long, and dials.
fn dial(peer: &FakePeer, node: &TestNode) -> Client {
    let mut session = node.client();
    session.send(peer.hello().replace(" - - -\n", " 3600 - -\n"));
    let answer = String::from_utf8(session.line()).unwrap();
    assert!(answer.starts_with("HELLO 2 ") && answer.ends_with(" 3600 - -\n"), "{answer}");
    session
}

fn sum(session: &mut Client, watermark: u64) -> String {
    session.send(format!("SUM {watermark}\n"));
    String::from_utf8(session.line()).unwrap()
}

fn is_known(node: &TestNode, client: &str) -> bool {
    node.client().ask(&format!("WHATSAT {client} 1 0")).starts_with("AT ")
}

#[test]
fn what_is_too_old_is_hidden_on_all_nodes_at_one_watermark() {
    let welsh = FakePeer::new("Welsh");
    let node = keeping().journal().neighbour(&welsh).start();
    let mut session = dial(&welsh, &node);
    let begin = watermark(&node);
    assert_eq!(node.metric("proxyherd_watermark_seconds"), Some(begin as f64));
    let push =
        |client: &str, taken: u64| format!("PUSH Welsh +100.000000000 {client} +1+1 {}\n", taken - 100);
    let lines = [push("older", begin - 1), push("old", begin + 30), push("young", begin + 3_000)].concat();
    session.ping(format!("{lines}PING 1\n"), 1);
    assert_eq!(["older", "old", "young"].map(|client| is_known(&node, client)), [false, true, true]);
    assert_eq!(node.metric("proxyherd_hidden"), Some(0.0));
    let next = begin + 60;
    assert_eq!(sum(&mut session, next), format!("SUM - {begin}\n"));
    wait_until("it follows", || node.metric("proxyherd_hidden") == Some(1.0));
    assert_eq!((watermark(&node), node.metric("proxyherd_clients")), (next, Some(1.0)));
    session.ping(format!("{}PING 2\n", push("old", begin + 30)), 2);
    assert_eq!(["old", "young"].map(|client| is_known(&node, client)), [false, true]);
    assert!(!sum(&mut session, next).contains('-'));
    // Hidden for a day before it is erased.
    assert_eq!(
        (node.metric("proxyherd_hidden"), node.metric("proxyherd_erased_total")),
        (Some(1.0), Some(0.0))
    );
}

#[test]
fn watermark_beyond_all_clocks_is_not_followed_and_makes_the_node_unready_while_it_is_told() {
    let welsh = FakePeer::new("Welsh");
    let node = keeping().neighbour(&welsh).start();
    let mut session = dial(&welsh, &node);
    let begin = watermark(&node);
    let is_off = || node.metric("proxyherd_clock_off").unwrap();
    assert_eq!(is_off(), 0.0);
    sum(&mut session, begin + 3_600);
    wait_until("it is told", || is_off() == 1.0);
    let (_, why) = node.page("/readyz");
    assert!(
        why.contains("clock off: this node's clock or that of Welsh: a neighbour has forgotten "),
        "{why}"
    );
    assert!(node.status()["retention"]["clock_off"].as_str().is_some());
    assert!(watermark(&node) <= begin + 60);
    sum(&mut session, begin);
    wait_until("it is well", || is_off() == 0.0);
    wait_until("it is logged", || node.log().contains(" INFO  clock off no more"));
}

#[test]
fn third_party_nodes_are_refused_what_is_too_old_and_what_would_stay_for_too_long() {
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let node = keeping().plain("Plain", plain.local_addr().unwrap(), "").start();
    let begin = watermark(&node);
    let mut client = Client::connect(node.plain_address());
    let refused = || node.status()["links"][0]["bad_lines"].as_u64().unwrap();
    for (count, taken, why) in [
        (1, begin - 1, "it was taken longer ago than forget_after"),
        (2, begin + 3_600 + 86_500, "further ahead"),
    ] {
        client.send(format!("AT Plain +100.0 frozen +1+1 {} Plain\n", taken - 100));
        wait_until("it is refused", || refused() == count);
        let told = node.status()["links"][0]["last_bad"].as_str().unwrap().to_owned();
        assert!(told.contains(why), "{told}");
    }
    client.send(format!("AT Plain +100.0 frozen +1+1 {} Plain\n", begin + 100));
    wait_until("it is taken", || is_known(&node, "frozen"));
    assert_eq!(refused(), 2);
}

#[test]
fn herd_that_keeps_everything_says_nothing_of_watermarks() {
    let node = Setup::new().http("").start();
    assert!(node.status().get("retention").is_none());
    assert_eq!(node.metric("proxyherd_watermark_seconds"), None);
}
