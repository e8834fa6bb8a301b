//! What an operator reads: the node's events and its traffic, as they stand in the log file while it runs.

use crate::support::{FakePeer, Setup, TestNode, wait_until};

/// Waits until a line of the log holds all of these.
#[track_caller]
fn expect_logged(node: &TestNode, words: &[&str]) {
    wait_until(&format!("the log has a line with {words:?}"), || {
        node.log().lines().any(|line| words.iter().all(|word| line.contains(word)))
    });
}

#[test]
fn start_links_and_stop_are_logged() {
    let welsh = FakePeer::new("Welsh");
    let mut node = Setup::new().neighbour(&welsh).start();
    let flooder = welsh.link(&node);
    let session = welsh.dial(&node);
    expect_logged(&node, &["INFO", "Alford of the herd test starts at 127.0.0.1:"]);
    expect_logged(&node, &["INFO", "linked Welsh at "]);
    expect_logged(&node, &["INFO", "Welsh is connected to this node as #"]);
    drop((flooder, session));
    expect_logged(&node, &["WARN", "lost Welsh: it closed the connection"]);
    expect_logged(&node, &["INFO", "Welsh is no longer connected as #", "the other end closed it"]);
    node.stop();
    let log = node.log();
    assert!(log.contains("Alford stops: ") && log.trim_end().ends_with("Alford stops, drained"), "{log}");
}

#[test]
fn what_there_is_to_answer_from_is_logged_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let tweets = folder.path().join("tweets.json");
    let source = format!("source = \"tweets\"\ntweets_file = {tweets:?}");
    for (text, level, counts) in [
        ("{\"results\":[{\"geo\":{\"coordinates\":[1,2]}},{}]}", "INFO", "places: 2 tweets, 1 located, in "),
        ("{\"results\":[{}]}", "WARN", "places: 1 tweet, 0 located, in "),
    ] {
        std::fs::write(&tweets, text).unwrap();
        expect_logged(&Setup::new().source(&source).start(), &[level, counts, "tweets.json"]);
    }
    let embedded = Setup::new().source("source = \"embedded\"").start();
    expect_logged(&embedded, &["INFO", "places: 281", " built into the program"]);
    let none = Setup::new().source("source = \"none\"").start();
    expect_logged(&none, &["INFO", "places: none; every WHATSAT is refused"]);
    let table = "source = \"google\"\nbase_url = \"http://127.0.0.1:1\"\nthen = \"embedded\"";
    let google = Setup::new().source(table).key("AIzaSecret").start();
    expect_logged(&google, &["INFO", "places: google at http://127.0.0.1:1, at most 100 calls a second"]);
    expect_logged(&google, &["INFO", "places: 281"]);
    assert!(!google.log().contains("AIzaSecret"));
}

#[test]
fn refused_handshake_is_logged_with_its_cure() {
    let welsh = FakePeer::new("Welsh");
    let node = Setup::new().neighbour(&welsh).start();
    let mut session = node.client();
    session.send(welsh.hello().replace(" test ", " other "));
    session.rest();
    expect_logged(&node, &["WARN", "its handshake was refused", "mend the address or the herd's name"]);
}

#[test]
fn refused_call_is_logged_with_its_cure() {
    let welsh = FakePeer::new("Welsh");
    let node = Setup::new().neighbour(&welsh).start();
    let (mut flooder, _) = welsh.answer_call();
    flooder.send("REFUSED for the test's sake\n");
    expect_logged(&node, &["WARN", "no link to Welsh at ", "it refused the handshake: for the test's sake"]);
}

#[test]
fn bad_line_is_logged_with_the_reason() {
    let node = Setup::new().start();
    node.client().ask("IAMAT a +91+1 5");
    expect_logged(&node, &["WARN", "within 90 and 180 degrees", "IAMAT a +91+1 5"]);
}

#[test]
fn neighbours_bad_line_is_logged() {
    let welsh = FakePeer::new("Welsh");
    let node = Setup::new().neighbour(&welsh).start();
    welsh.dial(&node).send("AT Welsh nonsense\n");
    expect_logged(&node, &["WARN", "no line that PROTOCOL.md lets a neighbour send", "AT Welsh nonsense"]);
}

#[test]
fn closed_and_refused_connections_are_logged_with_the_reason() {
    for (setup, reason) in [
        (Setup::new().limit("idle_seconds", 0.1), "nothing came for 100ms"),
        (Setup::new().limit("line_seconds", 0.1), "a line was not whole 100ms after its first byte"),
    ] {
        let node = setup.start();
        let mut client = node.client();
        client.send("half a line");
        client.expect_closed();
        expect_logged(&node, &["WARN", reason]);
    }
    let node = Setup::new().limit("connections", 1).start();
    let mut clients: Vec<_> = (0..6).map(|_| node.client()).collect();
    clients[5].expect_closed();
    expect_logged(
        &node,
        &["WARN", "a connection is refused: there are as many connections as this node takes"],
    );
}

#[test]
fn traffic_is_logged_in_and_out_and_the_jsons_size_instead_of_it() {
    let welsh = FakePeer::new("Welsh");
    let node = Setup::new().neighbour(&welsh).start();
    let mut news = welsh.link(&node);
    let mut client = node.client();
    let at = client.ask("IAMAT a +1+1 5");
    news.news();
    client.send("WHATSAT a 1 1\nnonsense\n");
    client.half_close();
    client.rest();
    welsh.dial(&node).send("AT Ball +0.000000001 b +1+1 5 Welsh\n");
    for line in [
        "IAMAT a +1+1 5",
        &at,
        &format!("{at} Alford"),
        "WHATSAT a 1 1",
        "[0 results, ",
        "nonsense",
        "? nonsense",
        "AT Ball +0.000000001 b +1+1 5 Welsh",
    ] {
        expect_logged(&node, &[line]);
    }
    assert!(!node.log().contains("\"radius\""), "{}", node.log());
}

#[test]
fn control_bytes_of_a_client_can_neither_break_nor_forge_log_lines() {
    let node = Setup::new().start();
    let mut client = node.client();
    client.send(b"forged\r2026-01-01T00:00:00.000000Z ERROR forged\x0b\x0c\x1b[2J\x85\xff\n");
    client.line();
    expect_logged(&node, &["forged"]);
    for line in node.log().lines() {
        assert!(line.bytes().all(|byte| byte == b'\t' || byte >= 0x20 && byte != 0x7f), "{line:?}");
        assert!(!line.starts_with("2026-01-01T00:00:00.000000Z"), "{line:?}");
    }
}

#[test]
fn no_bad_line_is_lost_from_the_count_at_stop() {
    const COUNT: usize = 50;
    let mut node = Setup::new().start();
    let mut client = node.client();
    (0..COUNT).for_each(|number| assert!(client.ask(&format!("bad {number}")).starts_with("? bad ")));
    drop(client);
    node.stop();
    let log = node.log();
    let bad = log.lines().filter(|line| line.contains("WARN") && line.contains("bad line"));
    let counts = bad.map(|line| {
        let more = line.split_once(" more since the last such line").map(|(before, _)| before);
        let more =
            more.and_then(|before| before.rsplit(' ').next()).map_or(0, |count| count.parse().unwrap());
        more + usize::from(line.contains("bad line on #"))
    });
    assert_eq!(counts.sum::<usize>(), COUNT, "{log}");
}
