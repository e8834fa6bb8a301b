//! What an operator reads: the node's events and its traffic, as they stand in the log file while it runs.

use crate::support::{Client, FakePeer, Setup, TestNode, wait_until};

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
    expect_logged(&node, &["WARN", "not a line that PROTOCOL.md lets a peer send", "AT Welsh nonsense"]);
}

#[test]
fn closed_and_refused_connections_are_logged_with_the_reason() {
    for (setup, reason) in [
        (Setup::new().limit("idle_seconds", 0.1), "it sent nothing for 100ms"),
        (Setup::new().limit("line_seconds", 0.1), "a line was incomplete 100ms after its first byte"),
    ] {
        let node = setup.start();
        let mut client = node.client();
        client.send("half a line");
        client.expect_closed();
        expect_logged(&node, &["WARN", reason]);
    }
    let node = Setup::new().limit("connections", 1).start();
    let mut clients: Vec<_> = (0..6).map(|_| node.client()).collect();
    clients[1].expect_closed();
    expect_logged(&node, &["WARN", "is closed: another connection took its place"]);
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

/// Where a client is, as its node sees it.
fn origin(client: &Client) -> String {
    client.stream().local_addr().unwrap().to_string()
}

#[test]
fn who_said_what_is_told_by_the_connections_begin_and_end() {
    let node = Setup::new().start();
    let (mut first, second) = (node.client(), node.client());
    let (report, unknown) = ("IAMAT kiwi +1+1 5", "WHATSAT nobody 1 1");
    let replies = [report, unknown].map(|line| first.ask(line));
    expect_logged(&node, &[&format!("< {unknown}")]);
    let log = node.log();
    let number_of = |client: &Client| {
        let begin = log.lines().find(|line| line.ends_with(&format!(" comes from {}", origin(client))));
        begin.unwrap().split(' ').find(|word| word.starts_with('#')).unwrap().to_owned()
    };
    // The second says nothing, and is told of all the same.
    let [talks, _] = [&first, &second].map(number_of);
    assert!(log.contains(&format!("Z {talks} < {report}\n{talks} > {}\n", replies[0])), "{log}");
    let (first_origin, second_origin) = (origin(&first), origin(&second));
    drop((first, second));
    let bytes = |lines: &[&str]| lines.iter().map(|line| line.len() + 1).sum::<usize>();
    let (came, went) = (bytes(&[report, unknown]), bytes(&[&replies[0], &replies[1]]));
    let counts = format!(" s: 2 lines, {came} bytes in, {went} bytes out; the other end closed it");
    expect_logged(&node, &["INFO  ", &format!("{talks} from {first_origin} ended after "), &counts]);
    let silence = " s: 0 lines, 0 bytes in, 0 bytes out; the other end closed it";
    expect_logged(&node, &[&format!(" from {second_origin} ended after "), silence]);
}

#[test]
fn end_of_every_kind_of_connection_has_its_reason() {
    let welsh = FakePeer::new("Welsh");
    let node = Setup::new().neighbour(&welsh).start();
    let expect_end = |node: &TestNode, origin: String, rest: &[&str]| {
        expect_logged(node, &[&["INFO  #", &format!(" from {origin} ended after ")], rest].concat());
    };
    let (mut browser, mut stranger, mut peer) = (node.client(), node.client(), welsh.dial(&node));
    browser.send("GET / HTTP/1.1\r\n");
    expect_end(&node, origin(&browser), &[" s: 0 lines, 16 bytes in, 0 bytes out; it speaks HTTP"]);
    stranger.send(welsh.hello().replace(" test ", " other "));
    expect_end(&node, origin(&stranger), &["; its handshake was refused: this node is of the herd test"]);
    peer.send("AT Ball +0.000000001 b +1+1 5 Welsh\n");
    expect_logged(&node, &["< AT Ball"]);
    let peers = origin(&peer);
    drop(peer);
    expect_end(&node, peers, &[" s: 1 line, ", "; the other end closed it"]);
    let impatient = Setup::new().limit("idle_seconds", 0.1).start();
    let silent = impatient.client();
    expect_end(&impatient, origin(&silent), &["; it sent nothing for 100ms"]);
}

#[test]
fn connections_are_left_out_of_the_log_where_that_is_configured() {
    let mut node = Setup::new().log("connections", false).start();
    node.client().ask("hello");
    node.stop();
    let log = node.log();
    assert!(
        log.contains("< hello") && !log.contains(" comes from ") && !log.contains(" ended after "),
        "{log}"
    );
}

/// How many lines hold the word, and how many more they, or a later one, say there were.
fn told_and_untold(log: &str, word: &str, rest: &str) -> (usize, usize) {
    let number_before = |line: &str, words: &str| {
        let before = line.split_once(words).map(|(before, _)| before);
        before.map_or(0, |before| before.rsplit([' ', '(']).next().unwrap().parse().unwrap())
    };
    let lines: Vec<_> = log.lines().filter(|line| line.contains(word)).collect();
    let mut untold: usize =
        lines.iter().map(|line| number_before(line, " more since the last such line")).sum();
    let at_stop = log.lines().filter(|line| line.contains(rest));
    untold += at_stop.map(|line| number_before(line, " more since the last such line")).sum::<usize>();
    (lines.len(), untold)
}

#[test]
fn flood_of_silent_connections_is_told_of_in_part_and_counted_whole() {
    const COUNT: usize = 400;
    let mut node = Setup::new().http("").start();
    let begun = std::time::Instant::now();
    (0..COUNT).for_each(|_| drop(node.client()));
    wait_until("all have had a seat", || {
        node.metric("proxyherd_connections_accepted_total") == Some(COUNT as f64)
    });
    node.stop();
    let most = 100 * (begun.elapsed().as_secs() as usize + 2);
    for (word, rest) in [(" comes from ", "connections opened: "), (" ended after ", "connections ended: ")] {
        let (told, untold) = told_and_untold(&node.log(), word, rest);
        assert!((100..=most).contains(&told), "{told} of {word}");
        assert_eq!(told + untold, COUNT, "{told} and {untold} of {word}");
    }
}

#[test]
fn nobody_hides_among_a_flood_who_says_something() {
    const COUNT: usize = 400;
    let mut node = Setup::new().start();
    for number in 0..COUNT {
        node.client().ask(&format!("IAMAT c{number} +1+1 1"));
    }
    node.stop();
    let log = node.log();
    let mut known = std::collections::BTreeSet::new();
    let mut said = 0;
    for line in log.lines() {
        let number = line.split(' ').find(|word| word.starts_with('#'));
        if line.contains(" comes from 127.0.0.1:") {
            known.insert(number.unwrap());
        } else if line.contains(" < IAMAT ") {
            assert!(known.contains(number.unwrap()), "nothing before tells whose this is: {line}");
            said += 1;
        }
    }
    assert_eq!((known.len(), said), (COUNT, COUNT));
}
