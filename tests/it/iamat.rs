//! What a report gets and what it does: PROTOCOL.md's table on IAMAT, row by row.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::{FakePeer, Setup, TestNode, wait_until};

fn nanoseconds_since_1970() -> i128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as i128
}

/// Seconds since 1970, so far from now.
fn seconds_from_now(ahead: Duration) -> String {
    (SystemTime::now() + ahead).duration_since(UNIX_EPOCH).unwrap().as_secs().to_string()
}

/// The AT line a WHATSAT for that client gives; `None` where nobody has reported it.
fn stored(node: &TestNode, id: &str) -> Option<String> {
    let reply = node.client().ask(&format!("WHATSAT {id} 1 1"));
    reply.starts_with("AT ").then_some(reply)
}

#[test]
fn skew_is_the_servers_clock_minus_the_timestamp_to_the_nanosecond() {
    let node = Setup::new().limit("max_ahead_seconds", "\"off\"").start();
    let mut client = node.client();
    for (timestamp, nanoseconds) in [
        ("1479413884.392014450", 1_479_413_884_392_014_450),
        ("1479413884.3", 1_479_413_884_300_000_000),
        ("0", 0),
        ("0.000000001", 1),
        ("999999999999.999999999", 999_999_999_999_999_999_999_i128),
    ] {
        let before = nanoseconds_since_1970();
        let reply = client.ask(&format!("IAMAT c{timestamp} +1+2 {timestamp}"));
        let after = nanoseconds_since_1970();
        let skew = reply.split(' ').nth(2).unwrap();
        let (seconds, fraction) = skew[1..].split_once('.').unwrap();
        assert!(fraction.len() == 9 && (seconds.len() == 1 || !seconds.starts_with('0')), "{skew}");
        let size: i128 = format!("{seconds}{fraction}").parse().unwrap();
        let skew = match &skew[..1] {
            "+" => size,
            "-" => -size,
            _ => panic!("{skew} has no sign"),
        };
        assert!((before..=after).contains(&(nanoseconds + skew)), "{reply}");
    }
}

#[test]
fn reply_holds_the_requests_own_text() {
    let node = Setup::new().limit("max_ahead_seconds", "\"off\"").start();
    let mut client = node.client();
    for location in [
        "+34-118",
        "+34.06893-118.445127",
        "+27.5916+086.5640",
        "+34.068930-118.445127/",
        "-000.0+000",
        "+90-180",
        "-90.000+180.000",
        "+1.00000000000000000000000000000000000001-1",
    ] {
        for timestamp in ["0", "1", "00000000001", "1479413884.392014450", "5.10", "999999999999.999999999"] {
            let tail = format!(" c {location} {timestamp}");
            let reply = client.ask(&format!("IAMAT{tail}"));
            assert!(reply.starts_with("AT Alford ") && reply.ends_with(&tail), "{reply}");
        }
    }
}

#[test]
fn invalid_reports_get_their_copy_and_are_not_stored() {
    let node = Setup::new().start();
    let mut client = node.client();
    for operands in [
        "",
        " c",
        " c +1+2",
        " c +1+2 3 4",
        " c 1+2 3",
        " c +1,2 3",
        " c +1 3",
        " c +1+2+3 3",
        " c +90.1+2 3",
        " c -91+2 3",
        " c +1+180.0000001 3",
        " c +1-181 3",
        " c +1.+2 3",
        " c +.5+2 3",
        " c +0001+2 3",
        " c +1e1+2 3",
        " c +nan+2 3",
        " c north+west 3",
        " c +1+2// 3",
        " c +1+2 -3",
        " c +1+2 +3",
        " c +1+2 1e9",
        " c +1+2 nan",
        " c +1+2 inf",
        " c +1+2 now",
        " c +1+2 .5",
        " c +1+2 5.",
        " c +1+2 1234567890123",
        " c +1+2 1.1234567890",
        " c +1+2 1.2.3",
        " c +1+2 0x10",
    ] {
        let line = format!("IAMAT{operands}");
        assert_eq!(client.ask(&line), format!("? {line}"));
    }
    assert_eq!(stored(&node, "c"), None);
}

#[test]
fn only_a_strictly_newer_report_is_stored_and_any_is_answered() {
    let node = Setup::new().start();
    let mut client = node.client();
    let first = client.ask("IAMAT c +1+1 1000.5");
    assert_eq!(stored(&node, "c"), Some(first.clone()));
    for (location, timestamp) in [
        ("+2+2", "1000.5"),
        ("+2+2", "1000.500"),
        ("+9+9", "01000.5"),
        ("+2+2", "1000.499999999"),
        ("+2+2", "999"),
        ("+2+2", "0"),
    ] {
        let reply = client.ask(&format!("IAMAT c {location} {timestamp}"));
        assert!(reply.ends_with(&format!(" c {location} {timestamp}")), "{reply}");
        assert_eq!(stored(&node, "c"), Some(first.clone()), "after {timestamp}");
    }
    let newer = client.ask("IAMAT c +3+3 1000.500000001");
    assert_eq!(stored(&node, "c"), Some(newer));
}

#[test]
fn report_of_more_than_a_day_ahead_is_invalid_and_does_not_freeze_its_client() {
    let node = Setup::new().start();
    let mut client = node.client();
    let (near, far) =
        (seconds_from_now(Duration::from_secs(86_000)), seconds_from_now(Duration::from_secs(86_500)));
    for timestamp in [far.as_str(), "999999999999.999999999"] {
        let line = format!("IAMAT c +0+0 {timestamp}");
        assert_eq!(client.ask(&line), format!("? {line}"));
    }
    let reply = client.ask(&format!("IAMAT c +1+1 {}", seconds_from_now(Duration::ZERO)));
    assert_eq!(stored(&node, "c"), Some(reply));
    let reply = client.ask(&format!("IAMAT c +2+2 {near}"));
    assert_eq!(stored(&node, "c"), Some(reply));
}

#[test]
fn any_future_is_taken_where_the_limit_is_off() {
    let node = Setup::new().limit("max_ahead_seconds", "\"off\"").start();
    let reply = node.client().ask("IAMAT c +1+1 999999999999.999999999");
    assert!(reply.starts_with("AT Alford -"), "{reply}");
    assert_eq!(stored(&node, "c"), Some(reply));
}

#[test]
fn a_limit_on_future_reports_may_be_set_and_is_not_for_neighbours() {
    let welsh = FakePeer::new("Welsh");
    let node = Setup::new().limit("max_ahead_seconds", 3600).neighbour(&welsh).start();
    let mut client = node.client();
    let (near, far) =
        (seconds_from_now(Duration::from_secs(1800)), seconds_from_now(Duration::from_secs(5400)));
    assert_eq!(client.ask(&format!("IAMAT c +1+1 {far}")), format!("? IAMAT c +1+1 {far}"));
    assert_eq!(stored(&node, "c"), None);
    assert!(client.ask(&format!("IAMAT c +1+1 {near}")).starts_with("AT Alford -"));
    // The limit is this node's own; what a neighbour has taken is taken here too.
    let mut peer = welsh.dial(&node);
    peer.send(format!("AT Welsh -5400.000000000 c +2+2 {far} Welsh\n"));
    let expected = format!("AT Welsh -5400.000000000 c +2+2 {far}");
    wait_until("the neighbour's line is stored", || stored(&node, "c").as_ref() == Some(&expected));
}

#[test]
fn new_client_beyond_max_clients_is_invalid_and_known_ones_and_neighbours_lines_are_not() {
    let welsh = FakePeer::new("Welsh");
    let node = Setup::new().limit("max_clients", 2).neighbour(&welsh).start();
    let mut client = node.client();
    assert!(client.ask("IAMAT a +1+1 1").starts_with("AT "));
    assert!(client.ask("IAMAT b +1+1 1").starts_with("AT "));
    assert_eq!(client.ask("IAMAT c +1+1 1"), "? IAMAT c +1+1 1");
    let reply = client.ask("IAMAT a +2+2 2");
    assert_eq!(stored(&node, "a"), Some(reply));
    let mut peer = welsh.dial(&node);
    peer.send("AT Welsh +0.000000001 d +1+1 1 Welsh\n");
    wait_until("the neighbour's line is stored", || stored(&node, "d").is_some());
    assert_eq!(client.ask("IAMAT c +1+1 1"), "? IAMAT c +1+1 1");
    let reply = client.ask("IAMAT d +2+2 2");
    assert_eq!(stored(&node, "d"), Some(reply));
}

/// How many reports ended so.
fn count(node: &TestNode, outcome: &str) -> f64 {
    let name = format!("proxyherd_requests_total{{kind=\"iamat\",outcome=\"{outcome}\"}}");
    node.metric(&name).unwrap()
}

#[test]
fn report_whose_id_is_longer_than_client_bytes_is_invalid_and_a_neighbours_line_is_not() {
    let welsh = FakePeer::new("Welsh");
    let node = Setup::new().limit("client_bytes", 8).http("").neighbour(&welsh).start();
    let mut client = node.client();
    let reply = client.ask("IAMAT 12345678 +1+1 1");
    assert_eq!(stored(&node, "12345678"), Some(reply));
    assert_eq!(client.ask("IAMAT 123456789 +1+1 1"), "? IAMAT 123456789 +1+1 1");
    assert_eq!(stored(&node, "123456789"), None);
    wait_until("it is counted", || count(&node, "long_client") == 1.0);
    wait_until("the log says why", || node.log().contains("the client's id is longer than client_bytes"));
    welsh.dial(&node).send("AT Welsh +0.000000001 123456789 +1+1 1 Welsh\n");
    let at = "AT Welsh +0.000000001 123456789 +1+1 1";
    wait_until("the neighbour's line is stored", || stored(&node, "123456789").as_deref() == Some(at));
    assert_eq!(client.ask("IAMAT 123456789 +2+2 2"), "? IAMAT 123456789 +2+2 2");
}

#[test]
fn report_that_would_have_the_store_outgrow_max_bytes_is_invalid_and_a_neighbours_line_is_not() {
    let welsh = FakePeer::new("Welsh");
    let position = |digits| format!("+1.{}+1", "1".repeat(digits));
    // What one client takes, to the byte.
    let bytes = |node: &TestNode| node.metric("proxyherd_store_bytes").unwrap();
    let alone = Setup::new().http("").start();
    alone.client().ask("IAMAT a +1+1 1");
    let most = bytes(&alone);
    let node = Setup::new().limit("max_bytes", most).http("").neighbour(&welsh).start();
    assert_eq!(node.metric("proxyherd_store_bytes_max"), Some(most));
    let mut client = node.client();
    let reply = client.ask("IAMAT a +1+1 1");
    assert_eq!((stored(&node, "a"), bytes(&node)), (Some(reply), most));
    let (long, other) = (format!("IAMAT a {} 2", position(5_000)), "IAMAT b +1+1 1");
    assert_eq!(client.ask(&long), format!("? {long}"));
    assert_eq!(client.ask(other), format!("? {other}"));
    wait_until("they are counted", || count(&node, "out_of_bytes") == 2.0);
    wait_until("the log says why", || node.log().contains("would take more memory than max_bytes"));
    assert_eq!(bytes(&node), most);
    let reply = client.ask("IAMAT a +2+2 2");
    assert_eq!(stored(&node, "a"), Some(reply));
    welsh.dial(&node).send(format!("AT Welsh +0.000000001 b {} 1 Welsh\n", position(5_000)));
    wait_until("the neighbour's line is stored", || stored(&node, "b").is_some());
    assert!(bytes(&node) > most + 5_000.0);
}
