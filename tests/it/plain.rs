//! Third-party nodes, in all their manners: told everything, believed only what is strictly newer, never answered.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
};

use crate::support::{
    Client, FakePeer, Manners, PATIENCE, PlainNode, Setup, TestNode, connect_from, wait_until,
};

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

/// A node, and the plain neighbour Plain, each told by the other.
fn pair(keys: &str, manners: Manners) -> (TestNode, PlainNode) {
    pair_of(Setup::new(), keys, manners)
}

/// Such a pair, with a node that has limits of its own.
fn pair_of(setup: Setup, keys: &str, manners: Manners) -> (TestNode, PlainNode) {
    let listener = listener();
    let node = setup.http("").plain("Plain", listener.local_addr().unwrap(), keys).start();
    let plain = PlainNode::start("Plain", listener, manners);
    plain.tell(node.plain_address());
    wait_until("it was told all there is", || node.status()["links"][0]["in_step"] == true);
    (node, plain)
}

/// The stored AT line of a client, if there is one.
fn stored(node: &TestNode, client: &str) -> Option<String> {
    let at = node.client().ask(&format!("WHATSAT {client} 1 0"));
    at.starts_with("AT ").then_some(at)
}

/// Waits until all that the plain node has said so far is executed.
fn settle(node: &TestNode, plain: &PlainNode, marker: &str) {
    plain.say(&format!("AT Plain +1.000000000 {marker} +1+1 1 Plain"));
    wait_until("the marker is known", || stored(node, marker).is_some());
}

#[test]
fn news_goes_both_ways_in_the_form_the_neighbour_wants() {
    for (keys, manners, sender, end) in [
        ("", Manners::default(), " Alford", ""),
        ("at_fields = 6", Manners { six_fields: true, ..Manners::default() }, "", ""),
        ("line_end = \"crlf\"", Manners { crlf: true, ..Manners::default() }, " Alford", "\r"),
        (
            "at_fields = 6\nline_end = \"crlf\"",
            Manners { six_fields: true, crlf: true, ..Manners::default() },
            "",
            "\r",
        ),
    ] {
        let (node, plain) = pair(keys, manners);
        let at = node.client().ask("IAMAT ours +34-118 5.25");
        wait_until("it knows our client", || plain.knows("ours").is_some());
        assert_eq!(plain.heard(), [format!("{at}{sender}{end}")], "{keys}");
        plain.report("theirs", "6.5");
        wait_until("we know its client", || stored(&node, "theirs").is_some());
        assert_eq!(stored(&node, "theirs").unwrap(), "AT Plain +1.000000000 theirs +1+1 6.5", "{keys}");
        assert_eq!(plain.heard().len(), 1, "nothing goes back to where it came from");
    }
}

#[test]
fn its_news_is_held_to_this_nodes_clock() {
    let ahead = "AT Plain -1.000000000 theirs +1+1 999999999999 Plain";
    let (node, plain) = pair("", Manners::default());
    plain.say(ahead);
    settle(&node, &plain, "marker");
    assert_eq!(stored(&node, "theirs"), None);
    wait_until("it is counted", || node.status()["links"][0]["bad_lines"] == 1);
    plain.report("theirs", "6.5");
    wait_until("we know its client", || stored(&node, "theirs").is_some());
    let (node, plain) = pair_of(Setup::new().limit("max_ahead_seconds", "\"off\""), "", Manners::default());
    plain.say(ahead);
    wait_until("we know its client", || stored(&node, "theirs").is_some());
}

#[test]
fn its_news_goes_on_to_the_herd_and_the_herds_to_it() {
    let (welsh, listener) = (FakePeer::new("Welsh"), listener());
    let node = Setup::new().neighbour(&welsh).plain("Plain", listener.local_addr().unwrap(), "").start();
    let plain = PlainNode::start("Plain", listener, Manners::default());
    plain.tell(node.plain_address());
    let (mut flooder, _) = welsh.answer_call();
    flooder.send(welsh.hello());
    while !flooder.keep() {}
    plain.report("theirs", "6.5");
    assert_eq!(flooder.news(), "AT Plain +1.000000000 theirs +1+1 6.5 Alford");
    let mut session = welsh.dial(&node);
    session.send("AT Welsh +2.000000000 far +1+1 7 Welsh\nPUSH Welsh +2.000000000 repaired +1+1 7\n");
    session.ping("PING 1\n", 1);
    // What was learned by repair is not news; a sweep tells it.
    wait_until("it knows both", || plain.knows("far").is_some() && plain.knows("repaired").is_some());
}

#[test]
fn restarted_neighbour_is_told_everything() {
    let (node, plain) = pair("", Manners::default());
    node.client().ask("IAMAT before +1+1 1");
    wait_until("it knows the first", || plain.knows("before").is_some());
    let again = listener();
    let address = node.status()["links"][0].clone();
    assert_eq!((&address["dialect"], &address["in_step"]), (&"plain".into(), &true.into()));
    // The address must be the same: the next node takes the old one's place.
    let old = plain.address();
    drop((plain, again));
    wait_until("the loss is noticed", || node.status()["links"][0]["state"] == "down");
    node.client().ask("IAMAT away +1+1 1");
    let plain = PlainNode::start("Plain", TcpListener::bind(old).unwrap(), Manners::default());
    wait_until("it knows both", || plain.known() == 2);
    assert!(node.log().contains("sent Plain every location: sweep 1 took "), "{}", node.log());
}

#[test]
fn neighbour_that_answers_everything_with_a_question_mark_does_no_harm() {
    let (node, plain) = pair("", Manners { echoes: true, ..Manners::default() });
    for time in 1..=20 {
        node.client().ask(&format!("IAMAT ours +1+1 {time}"));
    }
    wait_until("it has heard all", || plain.heard().len() >= 20);
    settle(&node, &plain, "marker");
    wait_until("its echoes are counted", || node.status()["links"][0]["bad_lines"] == 20);
    assert_eq!(plain.heard().len(), 20, "nothing is answered");
    assert_eq!(plain.accepted(), 1, "the link lives");
}

#[test]
fn neighbour_that_echoes_more_than_the_sockets_hold_is_not_waited_for() {
    // All that the neighbour is slow to take finds room, so that nothing has to be told again.
    let setup = Setup::new().limit("outbox_bytes", 128 << 20);
    let (node, plain) = pair_of(setup, "", Manners { echoes: true, ..Manners::default() });
    let (mut client, wide) = (node.client(), "1".repeat(8000));
    for number in 0..8000 {
        client.ask(&format!("IAMAT c{number} +1.{wide}+1 1"));
    }
    for number in (250..=8000).step_by(250) {
        wait_until("it knows that many", || plain.known() >= number);
    }
    assert_eq!(plain.accepted(), 1, "{}", node.log());
}

#[test]
fn neighbour_that_passes_on_with_a_skew_of_its_own_changes_nothing() {
    let (node, plain) = pair("", Manners { own_skew: true, ..Manners::default() });
    let at = node.client().ask("IAMAT ours +34-118 5.25");
    wait_until("it knows our client", || plain.knows("ours").is_some());
    assert_eq!(plain.knows("ours").unwrap(), "AT Alford +77.000000000 ours +34-118 5.25");
    settle(&node, &plain, "marker");
    assert_eq!(stored(&node, "ours").unwrap(), at);
    assert_eq!(plain.heard().len(), 1, "{:?}", plain.heard());
}

#[test]
fn only_what_is_strictly_newer_is_believed() {
    let (node, plain) = pair("", Manners::default());
    let at = node.client().ask("IAMAT ours +34-118 5.5");
    plain.say("AT Plain +9.000000000 ours +89+1 5.50 Plain");
    plain.say("AT Plain +9.000000000 ours +89+1 5.499999999 Plain");
    settle(&node, &plain, "marker");
    assert_eq!(stored(&node, "ours").unwrap(), at);
    plain.say("AT Plain +9.000000000 ours +89+1 5.500000001 Plain");
    settle(&node, &plain, "another");
    assert_eq!(stored(&node, "ours").unwrap(), "AT Plain +9.000000000 ours +89+1 5.500000001");
}

#[test]
fn what_is_no_at_line_is_skipped_and_never_answered() {
    let (node, plain) = pair("", Manners::default());
    let mut raw = Client::of(connect_from("127.0.0.1".parse().unwrap(), node.plain_address()));
    raw.send("IAMAT a +1+1 1\nWHATSAT a 1 1\n\nHELLO 2 test Plain Alford 1 2\nPING 1\nSUM 0\nAT Plain one x +1+1 1 Plain\n");
    raw.send("AT Plain +1.000000000 x +1+1 nan Plain\nAT Plain +1.000000000 x +1+1 1 Plain more\n");
    raw.send(format!("AT Plain +1.000000000 {} +1+1 1 Plain\n", "x".repeat(70_000)));
    raw.send("AT Plain +1.000000000 good +1+1 1 Plain\n");
    wait_until("the good line is known", || stored(&node, "good").is_some());
    assert_eq!((stored(&node, "a"), stored(&node, "x")), (None, None));
    // A line may end with the input.
    raw.send("AT Plain +1.000000000 last +1+1 12");
    raw.half_close();
    raw.expect_closed();
    assert!(stored(&node, "last").is_some());
    assert_eq!(node.status()["links"][0]["bad_lines"], 10);
    drop(plain);
}

#[test]
fn only_a_plain_neighbours_address_is_let_in_and_only_by_that_door() {
    let (node, plain) = pair("", Manners::default());
    let mut stranger = Client::of(connect_from("127.0.0.2".parse().unwrap(), node.plain_address()));
    let _ = stranger.stream().write_all(b"AT Plain +1.000000000 k +1+1 1 Plain\n");
    stranger.expect_closed();
    wait_until("it is told", || node.log().contains("127.0.0.2 is not the address of a third-party node"));
    let mut client = node.client();
    assert_eq!(client.ask("AT Plain +1.000000000 k +1+1 1 Plain"), "? AT Plain +1.000000000 k +1+1 1 Plain");
    let mut claims = node.client();
    let check = crate::support::check();
    let refusal = claims.ask(&format!("HELLO 2 test Plain Alford 0000000000000001 {check} - - -"));
    assert!(refusal.starts_with("REFUSED Alford has no link to Plain"), "{refusal}");
    settle(&node, &plain, "marker");
    assert_eq!(stored(&node, "k"), None);
    assert!(node.log().contains("nothing proves who they are"), "a node that can be written to says so");
}

#[test]
fn neighbours_at_one_address_are_told_apart_by_the_senders_they_name() {
    let listeners = [listener(), listener()];
    let [one, two] = [0, 1].map(|at: usize| listeners[at].local_addr().unwrap());
    let node = Setup::new().http("").plain("One", one, "").plain("Two", two, "").start();
    let [one, two] = listeners.map(|listener| {
        let id = if listener.local_addr().unwrap() == one { "One" } else { "Two" };
        PlainNode::start(id, listener, Manners::default())
    });
    wait_until("both were told all there is", || {
        (0..2).all(|at| node.status()["links"][at]["in_step"] == true)
    });
    one.tell(node.plain_address());
    one.report("k", "5");
    wait_until("the other knows", || two.knows("k").is_some());
    node.client().ask("IAMAT last +1+1 1");
    wait_until("it knows what came last", || one.knows("last").is_some());
    assert_eq!(one.heard().len(), 1, "{:?}", one.heard());
    assert_eq!(node.status()["links"][0]["connected_here"], true);
    // One that names no sender hears its own news, which it knows.
    let unnamed = "AT Two +1.000000000 own +1+1 5\n";
    connect_from("127.0.0.1".parse().unwrap(), node.plain_address()).write_all(unnamed.as_bytes()).unwrap();
    wait_until("both know", || one.knows("own").is_some() && two.knows("own").is_some());
}

#[test]
fn sender_that_is_elsewhere_is_not_believed() {
    let listeners = ["127.0.0.1:0", "127.0.0.1:0", "127.0.0.2:0"].map(|at| TcpListener::bind(at).unwrap());
    let [one, two, three] = listeners.each_ref().map(|listener| listener.local_addr().unwrap());
    let node = Setup::new().http("").plain("One", one, "").plain("Two", two, "").plain("Three", three, "");
    let (node, mut ids) = (node.start(), ["One", "Two", "Three"].into_iter());
    let nodes = listeners.map(|listener| PlainNode::start(ids.next().unwrap(), listener, Manners::default()));
    wait_until("all were told all there is", || {
        (0..3).all(|at| node.status()["links"][at]["in_step"] == true)
    });
    let mut stream = connect_from("127.0.0.1".parse().unwrap(), node.plain_address());
    stream.write_all(b"AT Three +1.000000000 k +1+1 5 Three\n").unwrap();
    wait_until("all know, the one it names too", || nodes.iter().all(|node| node.knows("k").is_some()));
    let here = || {
        let status = node.status();
        let links = status["links"].as_array().unwrap().iter();
        let here = links.filter(|link| link["connected_here"] == true);
        here.map(|link| link["peer"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(here().is_empty(), "{:?}", here());
    // It is still to be found out whose connection it is.
    stream.write_all(b"AT Two +1.000000000 k +1+1 6 Two\n").unwrap();
    wait_until("it is found out", || here() == ["Two"]);
}

#[test]
fn refused_lines_of_nobody_known_count_on_the_address_and_say_why() {
    let listeners = [listener(), listener()];
    let [one, two] = listeners.each_ref().map(|listener| listener.local_addr().unwrap());
    let node = Setup::new().http("").plain("One", one, "").plain("Two", two, "").start();
    let mut ids = ["One", "Two"].into_iter();
    let _nodes =
        listeners.map(|listener| PlainNode::start(ids.next().unwrap(), listener, Manners::default()));
    let all = |key: &str, wanted: serde_json::Value| {
        let status = node.status();
        status["links"].as_array().unwrap().iter().all(|link| link[key] == wanted)
    };
    wait_until("both were told all there is", || all("in_step", true.into()));
    let mut stream = connect_from("127.0.0.1".parse().unwrap(), node.plain_address());
    stream.write_all(b"AT X nan k +1+1 1\nAT X 1 k +91+1 1\n").unwrap();
    wait_until("it counts on both", || all("bad_lines_at_address", 2.into()));
    assert!(all("bad_lines", 0.into()) && all("refused", true.into()) && all("in_step", false.into()));
    let why = "field 5, the location, is not latitude and longitude with signs, within 90 and 180 degrees";
    assert!(all("last_bad", why.into()), "{}", node.status());
    for peer in ["One", "Two"] {
        let metric = format!("proxyherd_link_bad_lines_at_address_total{{peer=\"{peer}\"}}");
        assert_eq!(node.metric(&metric), Some(2.0));
    }
    let skew = "field 3, the skew, is not a decimal number with at most 13 digits before the point: AT X nan k +1+1 1";
    wait_until("it is told", || node.log().contains(skew));
    stream.write_all(b"AT X 1 k +1+1 1\n").unwrap();
    wait_until("both may have said it", || all("refused", false.into()) && all("in_step", true.into()));
}

#[test]
fn neighbour_that_waits_for_an_answer_gets_it() {
    let (node, _plain) =
        pair("answer = \"taken, thanks\"\nline_end = \"crlf\"", Manners { crlf: true, ..Manners::default() });
    let mut raw = Client::of(connect_from("127.0.0.1".parse().unwrap(), node.plain_address()));
    raw.exchange("AT Plain 0.5 k +1+1 1\n", "taken, thanks\r\n");
    raw.exchange("? taken, thanks\nAT Plain 0.5 k +1+1\n", "taken, thanks\r\n");
    raw.half_close();
    raw.expect_closed();
    assert_eq!(stored(&node, "k").unwrap(), "AT Plain +0.500000000 k +1+1 1");
}

#[test]
fn neighbour_of_one_line_a_connection_is_told_what_is_queued_when_the_node_stops() {
    let listener = listener();
    let setup = Setup::new().http("");
    let mut node = setup.plain("Plain", listener.local_addr().unwrap(), "per_connection = \"one\"").start();
    let accept = || listener.accept().unwrap().0;
    let take = |mut stream: TcpStream| {
        let mut line = String::new();
        stream.read_to_string(&mut line).unwrap();
        line
    };
    assert_eq!(take(accept()), "", "there is nothing to tell yet");
    wait_until("the link is up", || node.status()["links"][0]["state"] == "up");
    let mut client = node.client();
    let told: Vec<String> =
        (1..=3).map(|number| client.ask(&format!("IAMAT c{number} +1+1 1")) + " Alford\n").collect();
    let first = accept();
    node.begin_stop();
    assert_eq!([take(first), take(accept()), take(accept())], told[..]);
    node.expect_ended(PATIENCE);
}

#[test]
fn neighbour_that_never_reads_costs_its_outbox_and_is_told_the_newest_when_it_does() {
    let listener = listener();
    let address: SocketAddr = listener.local_addr().unwrap();
    let setup = Setup::new().http("").limit("outbox_bytes", 65_536).limit("write_seconds", 0.3);
    let node = setup.plain("Plain", address, "").start();
    let (mut silent, _) = listener.accept().unwrap();
    let mut client = node.client();
    let wide = "1".repeat(8000);
    let mut time = 0;
    wait_until("it is given up", || {
        for _ in 0..100 {
            time += 1;
            // Nobody waits for it.
            assert!(client.ask(&format!("IAMAT c{} +1.{wide}+1 {time}", time % 50)).starts_with("AT Alford"));
        }
        node.log().contains("lost Plain: it accepted no bytes for 300ms")
    });
    assert!(node.log().contains("the outbox of Plain is full"), "{}", node.log());
    // Where it was cut off within a line, that does not look like the line's end.
    let mut said = Vec::new();
    let ended = silent.read_to_end(&mut said);
    assert!(said.len() > 8000 && (ended.is_err() || said.ends_with(b"\n")), "{ended:?}");
    let (reading, _) = listener.accept().unwrap();
    let mut newest = vec![0; 50];
    let mut lines = BufReader::new(reading.take(1 << 30)).lines();
    while (1..=50).any(|back| newest[(time - back + 1) as usize % 50] != time - back + 1) {
        let line = lines.next().unwrap().unwrap();
        let fields: Vec<&str> = line.split(' ').collect();
        let (who, when): (usize, i64) = (fields[3][1..].parse().unwrap(), fields[5].parse().unwrap());
        newest[who] = newest[who].max(when);
    }
}
