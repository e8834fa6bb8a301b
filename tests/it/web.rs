//! HTTP over sockets: connections that carry many requests, how they end, and what a client gets that breaks the rules. What
//! the pages show is in http.rs; what a request means, in the unit tests of src/web/wire.

use std::io::Write;

use crate::{
    support::{BlockedReports, Client, PATIENCE, Setup, TestNode, wait_until},
    tokens::{token, tokens},
};

/// The next reply: its head, and its body.
#[track_caller]
fn reply(client: &mut Client) -> (String, String) {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head += std::str::from_utf8(&client.line()).unwrap();
    }
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    let body = client.exact(length.map_or(0, |length| length.parse().unwrap()));
    (head, String::from_utf8(body).unwrap())
}

/// The code of the next reply.
#[track_caller]
fn code(client: &mut Client) -> String {
    reply(client).0[9..12].to_owned()
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

#[test]
fn connection_carries_many_requests_and_those_that_come_together_are_answered_in_order() {
    let node = Setup::new().http("").start();
    let mut client = node.web();
    for _ in 0..3 {
        client.send(get("/livez"));
        let (head, body) = reply(&mut client);
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && !head.contains("Connection:"), "{head}");
        assert_eq!(body, "live\n");
    }
    client.send((get("/livez") + &get("/readyz") + &get("/nothing")).repeat(20));
    for _ in 0..20 {
        assert_eq!((reply(&mut client).1, reply(&mut client).1), ("live\n".into(), "ready\n".into()));
        assert_eq!(code(&mut client), "404");
    }
    client.send("HEAD /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let rest = String::from_utf8(client.rest()).unwrap();
    assert!(rest.ends_with("\r\nConnection: close\r\n\r\n") && !rest.contains("Content-Length: 0"), "{rest}");
}

#[test]
fn connection_that_says_nothing_between_requests_is_closed_without_a_word() {
    let node = Setup::new().http("idle_seconds = 0.3\nrequest_seconds = 60").start();
    let mut client = node.web();
    client.send(get("/livez"));
    assert_eq!(code(&mut client), "200");
    client.expect_closed();
    // One that has begun another is told.
    let node = Setup::new().http("idle_seconds = 60\nrequest_seconds = 0.3").start();
    let mut client = node.web();
    client.send(get("/livez") + "GET");
    assert_eq!(code(&mut client), "200");
    assert_eq!(code(&mut client), "408");
    client.expect_closed();
}

#[test]
fn what_is_refused_does_not_end_the_connection_unless_more_of_it_may_come() {
    let node = Setup::new().http("").start();
    let mut client = node.web();
    client.send("PUT /livez HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let (head, _) = reply(&mut client);
    assert!(
        head.starts_with("HTTP/1.1 405 ") && head.contains("\r\nAllow: GET, HEAD, OPTIONS\r\n"),
        "{head}"
    );
    client.send("OPTIONS /livez HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let (head, _) = reply(&mut client);
    assert!(
        head.starts_with("HTTP/1.1 204 ") && head.contains("\r\nAllow: GET, HEAD, OPTIONS\r\n"),
        "{head}"
    );
    // It expects to be asked for its body, and is not.
    client
        .send("POST /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    let rest = String::from_utf8(client.rest()).unwrap();
    assert!(rest.starts_with("HTTP/1.1 405 ") && rest.contains("\r\nConnection: close\r\n"), "{rest}");
    // A page takes no body, however it comes.
    for (lines, body) in
        [("Content-Length: 5", "hello"), ("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n")]
    {
        let mut client = node.web();
        client.send(format!("GET /livez HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n\r\n{body}"));
        assert!(client.rest().starts_with(b"HTTP/1.1 413 "), "{lines}");
    }
}

#[test]
fn second_request_hidden_in_a_first_is_not_answered() {
    let node = Setup::new().http("").start();
    let hidden = get("/readyz");
    for first in [
        format!(
            "GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            hidden.len()
        ),
        format!(
            "GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nContent-Length: {}\r\n\r\n",
            hidden.len()
        ),
        "GET /livez HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"
            .into(),
        "GET /livez HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n".into(),
        "GET /livez HTTP/1.1\nHost: localhost\n\n".into(),
    ] {
        let mut client = node.web();
        client.send(first + &hidden);
        let rest = String::from_utf8(client.rest()).unwrap();
        let replies = rest.lines().filter(|line| line.starts_with("HTTP/1.1 ")).count();
        assert!(rest.starts_with("HTTP/1.1 400 ") && replies == 1, "{rest}");
    }
}

#[test]
fn idle_connection_gives_its_seat_to_a_newcomer_without_a_word() {
    let node = Setup::new().http("connections = 2\nidle_seconds = 3600").start();
    let (mut first, mut second) = (node.web(), node.web());
    for client in [&mut first, &mut second] {
        client.send(get("/livez"));
        assert_eq!(code(client), "200");
    }
    let mut third = node.web();
    third.send(get("/status"));
    assert_eq!(code(&mut third), "200");
    first.expect_closed();
    second.send(get("/livez"));
    assert_eq!(code(&mut second), "200");
}

#[test]
fn health_is_told_in_a_reserved_seat_while_all_others_are_busy() {
    let (places, asked, hold) = BlockedReports::new();
    let node = Setup::new().http("connections = 1").places(places).start();
    let mut busy = node.web();
    busy.send(get("/livez"));
    asked.recv_timeout(PATIENCE).unwrap();
    // What is not about health finds no seat; its connection could be anybody's.
    let mut other = node.web();
    other.send(get("/status"));
    let (head, _) = reply(&mut other);
    assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("\r\nRetry-After: 1\r\n"), "{head}");
    let mut probe = node.web();
    probe.send(get("/livez"));
    asked.recv_timeout(PATIENCE).unwrap();
    drop(hold);
    let (head, body) = reply(&mut probe);
    assert!(head.contains("\r\nConnection: close\r\n") && body == "live\n", "{head}");
    probe.expect_closed();
}

#[test]
fn one_address_has_so_many_seats_and_keeps_those_of_others() {
    let node = Setup::new()
        .http("connections = 10\naddress_connections = 2\nidle_seconds = 3600\nrequest_seconds = 60")
        .limit("loopback_counts", true)
        .start();
    let (mut first, mut second) = (node.web(), node.web());
    for client in [&mut first, &mut second] {
        client.send(get("/livez"));
        assert_eq!(code(client), "200");
    }
    let mut third = node.web();
    third.send(get("/livez"));
    assert_eq!(code(&mut third), "200");
    first.expect_closed();
    second.send(get("/livez"));
    assert_eq!(code(&mut second), "200");
}

#[test]
fn drain_ends_a_connection_with_its_next_reply() {
    let (places, asked, answers) = crate::support::BlockedPlaces::new();
    let mut node = Setup::new().http("").places(places).limit("drain_seconds", 30).start();
    let (mut client, mut web) = (node.client(), node.web());
    client.ask("IAMAT a +1+1 1");
    client.send("WHATSAT a 1 1\n");
    asked.recv_timeout(PATIENCE).unwrap();
    web.send(get("/livez"));
    assert_eq!(code(&mut web), "200");
    node.begin_stop();
    wait_until("the node says that it stops", || node.page("/readyz").1 != "ready\n");
    web.send(get("/livez"));
    let (head, _) = reply(&mut web);
    assert!(head.contains("\r\nConnection: close\r\n"), "{head}");
    web.expect_closed();
    answers.send(b"{}".to_vec()).unwrap();
    node.expect_ended(PATIENCE);
}

/// What a page of another origin gets.
fn of_page(node: &TestNode, method: &str, origin: &str, more: &str) -> String {
    let mut client = node.web();
    client.send(format!(
        "{method} /status HTTP/1.1\r\nHost: localhost\r\nOrigin: {origin}\r\nSec-Fetch-Site: cross-site\r\n{more}\r\n"
    ));
    reply(&mut client).0
}

#[test]
fn only_pages_of_configured_origins_may_read() {
    let node = Setup::new().http("origins = [\"https://map.example\"]").start();
    let allowed = "\r\nAccess-Control-Allow-Origin: https://map.example\r\n";
    assert!(of_page(&node, "GET", "https://map.example", "").contains(allowed));
    assert!(!of_page(&node, "GET", "https://evil.example", "").contains("Access-Control"));
    let asking = "Access-Control-Request-Method: GET\r\n";
    let preflight = of_page(&node, "OPTIONS", "https://map.example", asking);
    assert!(
        preflight.starts_with("HTTP/1.1 204 ")
            && preflight.contains(allowed)
            && preflight.contains("\r\nAccess-Control-Allow-Methods: GET, HEAD, OPTIONS\r\n"),
        "{preflight}"
    );
    assert!(!of_page(&node, "OPTIONS", "https://evil.example", asking).contains("Access-Control"));
}

#[test]
fn token_is_taken_wherever_it_stands_for_each_request_anew() {
    let node = Setup::new().http("").tokens("tokens", &tokens()).start();
    let (monitor, wrong) = (token(3), token(9));
    let (monitor, wrong) = (monitor.text(), wrong.text());
    let mut client = node.web();
    for (target, field, expected) in [
        ("/status".to_owned(), String::new(), "401"),
        (format!("/t/{monitor}/status"), String::new(), "200"),
        (format!("/status?token={monitor}"), String::new(), "200"),
        (format!("/status?api_key={monitor}"), String::new(), "200"),
        ("/status".to_owned(), format!("Authorization: Basic {monitor}:\r\n"), "200"),
        ("/status".to_owned(), format!("Authorization: Bearer {wrong}\r\n"), "401"),
        (format!("/t/{wrong}/status"), String::new(), "401"),
        ("/status".to_owned(), String::new(), "401"),
        (format!("/t/{wrong}/livez"), String::new(), "200"),
    ] {
        client.send(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{field}\r\n"));
        assert_eq!(code(&mut client), expected, "{target} {field}");
    }
    let log = node.log();
    assert!(!log.contains(monitor) && !log.contains(wrong), "{log}");
}

#[test]
fn client_that_sends_on_after_a_refusal_still_reads_it() {
    let node = Setup::new().http("").start();
    let mut client = node.web();
    client.send("POST /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200000\r\n\r\n");
    for _ in 0..20 {
        client.stream().write_all(&[b'x'; 10_000]).unwrap();
    }
    assert_eq!(code(&mut client), "405");
    client.expect_closed();
}
