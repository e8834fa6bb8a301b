//! What a question gets: PROTOCOL.md's table on WHATSAT, row by row, with a source whose answers are known.

use proxyherd::places::Failure;

use crate::support::{FailingPlaces, FakePeer, KnownPlaces, Setup, wait_until};

#[test]
fn reply_is_the_at_line_then_the_json_then_two_newlines() {
    let node = Setup::new().start();
    let mut reporter = node.client();
    let at = reporter.ask("IAMAT kiwi.cs.ucla.edu +34.068930-118.445127 1479413884.392014450");
    let json = KnownPlaces::document("34.06893,-118.445127", 10_000.0, 5);
    let mut client = node.client();
    client.exchange("WHATSAT kiwi.cs.ucla.edu 10 5\n", format!("{at}\n{json}\n\n"));
    client.exchange("WHATSAT kiwi.cs.ucla.edu 10 5\r\n", format!("{at}\r\n{json}\r\n\r\n"));
    client.exchange("WHATSAT kiwi.cs.ucla.edu 10 5\n\n", format!("{at}\n{json}\n\n? \n"));
    client.send("WHATSAT kiwi.cs.ucla.edu 10 5");
    client.half_close();
    client.expect(format!("{at}\n{json}\n\n"), "reply to a line without terminator");
    client.expect_closed();
}

#[test]
fn at_line_of_a_neighbours_client_is_what_that_neighbour_said() {
    let welsh = FakePeer::new("Welsh");
    let node = Setup::new().neighbour(&welsh).start();
    let mut peer = welsh.dial(&node);
    let at = "AT Holiday -0.000000042 caf\u{e9} +34.068930-118.445127/ 1479413884.10";
    peer.send(format!("{at} Welsh\n"));
    let mut client = node.client();
    wait_until("the line is stored", || client.ask("WHATSAT caf\u{e9} 1.5 0") != "? WHATSAT caf\u{e9} 1.5 0");
    let mut client = node.client();
    let json = KnownPlaces::document("34.06893,-118.445127", 1500.0, 0);
    client.exchange("WHATSAT caf\u{e9} 1.5 0\n", format!("{at}\n{json}\n\n"));
}

#[test]
fn radius_and_bound_are_taken_up_to_their_limits() {
    let node = Setup::new().start();
    let mut client = node.client();
    let at = client.ask("IAMAT c +1.5-2 3");
    for (radius, metres) in [
        ("0", 0.0),
        ("0.0", 0.0),
        ("10", 10_000.0),
        ("10.5", 10_500.0),
        ("50", 50_000.0),
        ("50.00", 50_000.0),
    ] {
        for (text, bound) in [("0", 0), ("1", 1), ("007", 7), ("20", 20)] {
            let json = KnownPlaces::document("1.5,-2", metres, bound);
            client.exchange(format!("WHATSAT c {radius} {text}\n"), format!("{at}\n{json}\n\n"));
        }
    }
}

#[test]
fn invalid_questions_get_their_copy() {
    let node = Setup::new().start();
    let mut client = node.client();
    client.ask("IAMAT c +1+2 3");
    for operands in [
        "",
        " c",
        " c 1",
        " c 1 1 1",
        " unknown 1 1",
        " C 1 1",
        " c -1 1",
        " c +1 1",
        " c 50.0000001 1",
        " c 51 1",
        " c 1e1 1",
        " c .5 1",
        " c 5. 1",
        " c ten 1",
        " c nan 1",
        " c inf 1",
        " c 99999999999999999999999999 1",
        " c 1 21",
        " c 1 -1",
        " c 1 +1",
        " c 1 1.0",
        " c 1 1e1",
        " c 1 five",
        " c 1 18446744073709551617",
    ] {
        let line = format!("WHATSAT{operands}");
        assert_eq!(client.ask(&line), format!("? {line}"));
    }
}

#[test]
fn every_question_is_invalid_in_a_herd_without_places() {
    let node = Setup::new().without_places().start();
    let mut client = node.client();
    assert!(client.ask("IAMAT c +1+2 3").starts_with("AT "));
    assert_eq!(client.ask("WHATSAT c 1 1"), "? WHATSAT c 1 1");
}

#[test]
fn source_that_fails_is_answered_with_the_at_line_and_a_well_formed_document() {
    let source = FailingPlaces(Failure { status: "OVER_QUERY_LIMIT", message: "ask \"again\" later".into() });
    let node = Setup::new().places(source).start();
    let mut client = node.client();
    let at = client.ask("IAMAT c +1+2 3");
    client.send("WHATSAT c 1 1\nnext\n");
    client.half_close();
    let reply = String::from_utf8(client.rest()).unwrap();
    let json = reply.strip_prefix(&format!("{at}\n")).and_then(|rest| rest.strip_suffix("\n\n? next\n"));
    let json = json.unwrap_or_else(|| panic!("{reply}"));
    assert!(
        !json.contains("half of an answer") && !json.contains("\n\n") && json.contains("\"results\" : []")
    );
    let answer: serde_json::Value = serde_json::from_str(json).unwrap();
    assert_eq!(answer["status"], "OVER_QUERY_LIMIT");
    assert_eq!(answer["error_message"], "ask \"again\" later");
}

#[test]
fn failed_lookup_leaves_the_clients_other_lines_alone() {
    let source = FailingPlaces(Failure { status: "UNKNOWN_ERROR", message: "no answer".into() });
    let node = Setup::new().places(source).start();
    let mut client = node.client();
    let at = client.ask("IAMAT c +1+2 3");
    for _ in 0..3 {
        assert_eq!(client.ask("WHATSAT c 1 1"), at);
        while client.line() != b"\n" {}
        assert_eq!(client.ask("between"), "? between");
    }
}
