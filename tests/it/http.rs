//! The web face, over sockets: what it shows, when it calls the node ready, and that no client of it harms anybody.

use std::{
    io::{ErrorKind, Write},
    process::{Command, Stdio},
};

use crate::support::{
    BlockedPlaces, BlockedReports, Client, FakePeer, FaultyPlaces, PATIENCE, Setup, TestNode, skipped,
    wait_until,
};

fn is_ready(node: &TestNode) -> bool {
    let (status, body) = node.page("/readyz");
    assert_eq!(status == "HTTP/1.1 200 OK", body == "ready\n", "{status} {body}");
    body == "ready\n"
}

/// What one request gets, whole.
#[track_caller]
fn answer(node: &TestNode, request: impl AsRef<[u8]>) -> String {
    let mut client = node.web();
    client.send(request);
    String::from_utf8(client.rest()).unwrap()
}

#[test]
fn requests_are_counted_by_what_became_of_them() {
    let node = Setup::new().http("").limit("max_clients", 1).limit("max_ahead_seconds", 60).start();
    let mut client = node.client();
    for line in [
        "IAMAT secret.name +1+1 5",
        "IAMAT secret.name +1+1 6",
        "IAMAT secret.name +1+1 6",
        "IAMAT b +1+1 7",
        "IAMAT secret.name +1+1 99999999999",
        "WHATSAT b 1 1",
        "FORGET nobody",
        "nonsense",
        "",
    ] {
        client.ask(line);
    }
    client.ask(&format!("FORGET {}", "x".repeat(1025)));
    client.send("WHATSAT secret.name 10 1\n");
    while client.line() != b"\n" {}
    let count = |kind: &str, outcome: &str| {
        node.metric(&format!("proxyherd_requests_total{{kind=\"{kind}\",outcome=\"{outcome}\"}}")).unwrap()
    };
    // What is answered is counted right after.
    wait_until("the last one is counted", || count("whatsat", "answered") == 1.0);
    let iamat = ["stored", "stale", "full", "ahead"].map(|outcome| count("iamat", outcome));
    let whatsat =
        ["answered", "unknown_client", "source_failed", "no_places"].map(|outcome| count("whatsat", outcome));
    assert_eq!((iamat, whatsat), ([2.0, 1.0, 1.0, 1.0], [1.0, 1.0, 0.0, 0.0]));
    assert_eq!(count("invalid", "invalid"), 2.0);
    let forget = ["forgotten", "refused", "not_kept"].map(|outcome| count("forget", outcome));
    assert_eq!((forget, count("iamat", "long_client")), ([1.0, 1.0, 0.0], 0.0));
    for (kind, all) in [("iamat", 5.0), ("whatsat", 2.0), ("forget", 2.0), ("invalid", 2.0)] {
        let count = node.metric(&format!("proxyherd_request_duration_seconds_count{{kind=\"{kind}\"}}"));
        assert_eq!(count, Some(all));
        let beyond = format!("proxyherd_request_duration_seconds_bucket{{le=\"+Inf\",kind=\"{kind}\"}}");
        assert_eq!(node.metric(&beyond), Some(all));
    }
    assert_eq!(node.metric("proxyherd_clients"), Some(1.0));
    assert_eq!(node.metric("proxyherd_connections{kind=\"client\"}"), Some(1.0));
    assert!(node.metric("process_resident_memory_bytes").unwrap() > 1e6);
    assert!(!node.page("/metrics").1.contains("secret.name"), "no metric tells a client");
    assert!(!node.page("/status").1.contains("secret.name"));
}

#[test]
fn metrics_please_promtool() {
    let welsh = FakePeer::new("Welsh");
    let node = Setup::new().http("").neighbour(&welsh).start();
    let _flooder = welsh.link(&node);
    let (_, text) = node.page("/metrics");
    let mut promtool = match Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
    {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return skipped("the page of metrics", "there is no `promtool` here; install prometheus");
        }
        spawned => spawned.unwrap(),
    };
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}\n{text}", String::from_utf8_lossy(&said));
}

#[test]
fn node_is_ready_once_a_neighbour_has_ended_a_round_with_it() {
    let welsh = FakePeer::new("Welsh");
    let node = Setup::new().http("ready_seconds = 3600").neighbour(&welsh).start();
    assert!(!is_ready(&node));
    assert_eq!(node.status()["not_ready"], "no neighbour has completed a repair round with this node yet");
    let mut session = welsh.dial(&node);
    assert!(!is_ready(&node));
    session.exchange("DONE 1\n", "DONE 1\n");
    wait_until("the node is ready", || is_ready(&node));
    assert_eq!(node.metric("proxyherd_ready"), Some(1.0));
}

#[test]
fn node_without_neighbours_or_after_its_grace_is_ready() {
    assert!(is_ready(&Setup::new().http("ready_seconds = 3600").start()));
    let welsh = FakePeer::new("Welsh");
    let node = Setup::new().http("ready_seconds = 0.2").neighbour(&welsh).start();
    wait_until("the grace is over", || is_ready(&node));
}

#[test]
fn node_that_differs_lastingly_is_not_ready_until_it_no_longer_does() {
    let welsh = FakePeer::new("Welsh");
    let setup = Setup::new().http("ready_seconds = 0").limit("round_seconds", 0.01);
    let node = setup.neighbour(&welsh).start();
    // A neighbour that has nothing, takes what it lacks, and lacks it still.
    let mut flooder = welsh.link(&node);
    node.client().ask("IAMAT a +1+1 1");
    flooder.news();
    let lasting = || node.status()["links"][0]["lasting"].as_u64().unwrap() > 0;
    wait_until("the difference lasts", || {
        flooder.keep();
        lasting()
    });
    assert!(!is_ready(&node));
    assert_eq!(node.metric("proxyherd_link_lasting_differences{peer=\"Welsh\"}"), Some(1.0));
    drop(flooder);
    // It differed on that connection, and nothing is known of it now.
    wait_until("the node is ready without that neighbour", || is_ready(&node));
    assert_eq!(node.metric("proxyherd_link_lasting_differences{peer=\"Welsh\"}"), Some(0.0));
    let (mut flooder, _) = welsh.answer_call();
    flooder.send(welsh.hello());
    // From now on it has the same.
    let sum = node.status()["sum"].as_str().unwrap().to_owned();
    wait_until("a round has found nothing", || {
        let line = String::from_utf8(flooder.line()).unwrap();
        match line.trim_end() {
            "SUM 0" => flooder.send(format!("SUM {sum} 0\n")),
            ping if ping.starts_with("PING") => flooder.answer(ping),
            other => flooder.send(format!("{other}\n")),
        }
        let link = &node.status()["links"][0];
        link["in_step"] == true && !lasting()
    });
    assert!(is_ready(&node));
}

#[test]
fn node_that_drains_says_so_to_the_end() {
    let (places, asked, answers) = BlockedPlaces::new();
    let mut node = Setup::new().http("").places(places).limit("drain_seconds", 30).start();
    let mut client = node.client();
    client.ask("IAMAT a +1+1 1");
    client.send("WHATSAT a 1 1\n");
    asked.recv_timeout(PATIENCE).unwrap();
    assert!(is_ready(&node));
    node.begin_stop();
    wait_until("the node says that it stops", || !is_ready(&node));
    let (status, body) = node.page("/readyz");
    assert_eq!(
        (&*status, &*body),
        ("HTTP/1.1 503 Service Unavailable", "not ready: this node is stopping\n")
    );
    assert_eq!(node.page("/livez").1, "live\n");
    assert_eq!(node.status()["state"], "draining");
    // An open connection of the web face does not hold the node up.
    let mut idle = node.web();
    answers.send(b"{}".to_vec()).unwrap();
    node.expect_ended(PATIENCE);
    idle.expect_closed();
}

#[test]
fn links_are_shown_as_they_are() {
    let welsh = FakePeer::new("Welsh");
    let node = Setup::new().http("").neighbour(&welsh).start();
    let link = || node.status()["links"][0].clone();
    assert_eq!(link()["peer"], "Welsh");
    assert_eq!((&link()["in_step"], &link()["connected_here"]), (&false.into(), &false.into()));
    let (mut flooder, _) = welsh.answer_call();
    wait_until("the link is being made", || link()["state"] == "greeting");
    flooder.send(welsh.hello());
    wait_until("the link is up", || link()["state"] == "up");
    assert_eq!(link()["in_step"], false);
    while !flooder.keep() {}
    wait_until("the link is in step", || link()["in_step"] == true);
    assert!(link()["in_step_seconds"].as_f64().unwrap() < PATIENCE.as_secs_f64());
    assert_eq!(link()["rounds"], 1);
    let mut session = welsh.dial(&node);
    wait_until("the neighbour is connected", || link()["connected_here"] == true);
    session.send("AT Welsh +1.000000000 a +1+1 1 Welsh\nPUSH Welsh +1.000000000 b +1+1 1\nIAMAT c +1+1 1\n");
    session.ping("PING 1\n", 1);
    wait_until("what it said is counted", || link()["updates_received"] == 2);
    assert_eq!((&link()["bad_lines"], &node.status()["clients"]), (&1.into(), &2.into()));
    node.client().ask("IAMAT d +1+1 1");
    flooder.news();
    wait_until("what it was told is counted", || link()["updates_sent"] == 1);
    // A ping that is not answered.
    while !flooder.line().starts_with(b"PING") {}
    wait_until("the link lags", || link()["lag_seconds"].as_f64() > Some(0.0));
    drop(flooder);
    wait_until("the link is lost", || link()["state"] == "down" || link()["state"] == "greeting");
    assert_eq!(link()["in_step"], false);
}

#[test]
fn what_is_no_request_is_refused_and_harms_nobody() {
    let node = Setup::new().http("head_bytes = 256").start();
    let mut client = node.client();
    let refused = |request: &[u8], status: &str| {
        let answer = answer(&node, request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{} {answer}", request.escape_ascii());
    };
    refused(b"IAMAT a +1+1 1\r\n\r\n", "400 ");
    refused(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "400 ");
    refused(b"GET /secret HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "404 ");
    refused(b"DELETE / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "405 ");
    refused(b"GET /status HTTP/1.1\r\nHost: rebound.example\r\nConnection: close\r\n\r\n", "421 ");
    let padded = |length: usize| {
        let head = "GET /livez HTTP/1.0\r\nX: ";
        [head, &"x".repeat(length - head.len() - 4), "\r\n\r\n"].concat()
    };
    refused(padded(256).as_bytes(), "200 ");
    refused(padded(257).as_bytes(), "431 ");
    // Far more than is read: the answer gets through all the same.
    let body =
        [b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500000\r\n\r\n", &[b'x'; 500_000][..]]
            .concat();
    let mut greedy = node.web();
    let _ = greedy.stream().write_all(&body);
    if let Some(line) = greedy.try_line() {
        assert!(line.starts_with(b"HTTP/1.1 405 "), "{}", line.escape_ascii());
    }
    assert_eq!(client.ask("hello"), "? hello");
    assert_eq!(node.page("/livez").1, "live\n");
}

#[test]
fn slow_request_is_ended_by_its_deadline_however_it_drips() {
    let node = Setup::new().http("request_seconds = 0.2").start();
    let mut slow = node.web();
    slow.send("GET /livez HTTP/1.1\r\n");
    let answer = String::from_utf8(slow.rest()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(node.web().rest().starts_with(b"HTTP/1.1 408 "), "one that says nothing");
}

#[test]
fn liveness_is_told_whatever_sits_on_the_web_face() {
    let node = Setup::new().http("connections = 64\nrequest_seconds = 60\nwrite_seconds = 60").start();
    let mut client = node.client();
    // As many as there may be: some say nothing, some drip, some do not read. The oldest of them is let go for each probe.
    let mut held: Vec<Client> = (0..64).map(|_| node.web()).collect();
    for (at, client) in held.iter_mut().enumerate() {
        match at % 3 {
            0 => {}
            1 => client.send("GET /livez HTTP/1.1\r\nX: "),
            _ => client.send("GET /metrics HTTP/1.0\r\n\r\n"),
        }
    }
    for _ in 0..200 {
        // Those that drip go on.
        for client in held.iter().skip(1).step_by(3) {
            let _ = client.stream().write_all(b"x");
        }
        let (status, body) = node.page("/livez");
        assert_eq!((&*status, &*body), ("HTTP/1.1 200 OK", "live\n"));
    }
    assert_eq!(client.ask("hello"), "? hello");
}

#[test]
fn newcomer_for_whom_no_seat_is_given_up_is_told_so() {
    let (places, asked, hold) = BlockedReports::new();
    let node = Setup::new().http("connections = 1").places(places).start();
    let mut first = node.web();
    first.send("GET /livez HTTP/1.0\r\n\r\n");
    asked.recv_timeout(PATIENCE).unwrap();
    // The thread of the first cannot be woken where it is.
    let answer = node.web().rest();
    drop(hold);
    assert!(answer.starts_with(b"HTTP/1.1 503 "), "{}", String::from_utf8_lossy(&answer));
}

#[test]
fn panic_ends_its_own_connection_and_the_web_face_goes_on() {
    let mut node = Setup::new().http("connections = 1").places(FaultyPlaces).start();
    let fail = || {
        let mut client = node.web();
        client.send("GET /livez HTTP/1.0\r\n\r\n");
        client.expect_closed();
    };
    fail();
    // Of panics the log has one a second: this one before any other.
    let told = "ERROR HTTP connection 0 is closed: its thread panicked, which is a bug";
    wait_until("the panic is logged", || node.log().contains(told));
    fail();
    fail();
    assert_eq!(node.client().ask("hello"), "? hello");
    node.stop();
}

#[test]
fn oldest_that_has_not_asked_makes_room_and_the_limit_is_its_own() {
    let node = Setup::new().http("connections = 2\nrequest_seconds = 60").limit("connections", 1).start();
    let mut client = node.client();
    assert_eq!(client.ask("hello"), "? hello");
    let (mut oldest, mut younger) = (node.web(), node.web());
    wait_until("both are there", || {
        // One that asks is a third one, and has the oldest go.
        node.metric("proxyherd_connections{kind=\"http\"}") == Some(2.0)
    });
    assert!(oldest.rest().starts_with(b"HTTP/1.1 503 "), "it is told why");
    younger.send("GET /livez HTTP/1.0\r\n\r\n");
    assert!(younger.rest().starts_with(b"HTTP/1.1 200 "), "the younger one was left alone");
    assert_eq!(client.ask("hello"), "? hello");
}

#[test]
fn reader_who_takes_nothing_is_let_go() {
    let node = Setup::new().http("write_seconds = 0.1\nconnections = 1").start();
    // Whatever is written fits the socket's buffer, so only the close can be seen: the place is free again.
    let mut silent = node.web();
    silent.send("GET /metrics HTTP/1.0\r\n\r\n");
    wait_until("the place is free again", || {
        let mut next = node.web();
        next.send("GET /livez HTTP/1.0\r\n\r\n");
        next.rest().starts_with(b"HTTP/1.1 200 ")
    });
    assert!(silent.rest().starts_with(b"HTTP/1.1 200 "));
}

/// Without a secret, whoever knows the number can take the node's place at its neighbours.
#[test]
fn random_number_of_a_start_is_shown_nowhere() {
    let welsh = FakePeer::new("Welsh");
    let node = Setup::new().http("").neighbour(&welsh).start();
    let (mut flooder, hello) = welsh.answer_call();
    flooder.send(welsh.hello());
    node.expect_linked(&welsh);
    drop(welsh.dial(&node));
    wait_until("the log has the link and its end", || node.log().contains("Welsh is no longer connected"));
    let number = hello.split(' ').nth(5).unwrap();
    let decimal = u64::from_str_radix(number, 16).unwrap().to_string();
    let pages = ["/", "/livez", "/readyz", "/status", "/metrics"].map(|path| node.page(path).1);
    for text in pages.iter().chain([&node.log()]) {
        assert!(!text.to_lowercase().contains(number) && !text.contains(&decimal), "{text}");
    }
}

#[test]
fn web_face_that_cannot_listen_is_told_in_one_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let text = format!(
        "[herd]\nname = \"x\"\n[[node]]\nid = \"A\"\nlisten = \"127.0.0.1:0\"\nhttp = \"{}\"\n",
        taken.local_addr().unwrap()
    );
    let herd = proxyherd::config::Herd::parse(&text, "x").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let id = proxyherd::core::model::NodeId::new("A").unwrap();
    let logs = proxyherd::log::LogDir::Folder(folder.path().to_owned());
    let bound = proxyherd::server::Server::bind(&herd, &id, &logs, Default::default());
    let error = bound.err().unwrap().to_string();
    assert!(error.contains("A cannot listen on") && error.contains("another port"), "{error}");
}
