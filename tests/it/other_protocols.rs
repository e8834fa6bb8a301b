//! A connection that begins as HTTP or TLS does: it is closed, nothing behind its first line is executed, and the log says
//! where those are served. A web page can have a browser send lines of its choice to any port of its machine.

use std::{io::Write, net::TcpListener};

use crate::support::{Client, FakePeer, Setup, TestNode, wait_until};

/// What a page would have executed.
const BODY: &str = "IAMAT victim +0.0+0.0 1479413884\nWHATSAT victim 1 1\n";

fn post(target: &str) -> String {
    let length = BODY.len();
    format!(
        "POST {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: https://a.example\r\n\
         Content-Type: text/plain;charset=UTF-8\r\nContent-Length: {length}\r\n\r\n{BODY}"
    )
}

/// What comes back for bytes that are sent in pieces of that length, until the end. The node may close before all is sent.
#[track_caller]
fn said_to(node: &TestNode, bytes: &[u8], piece: usize) -> Vec<u8> {
    let mut client = node.client();
    for piece in bytes.chunks(piece) {
        if client.stream().write_all(piece).is_err() {
            break;
        }
    }
    client.rest()
}

#[track_caller]
fn expect_nothing_executed(node: &TestNode) {
    assert_eq!(node.client().ask("WHATSAT victim 1 1"), "? WHATSAT victim 1 1");
}

#[test]
fn request_of_a_web_page_is_not_answered_and_its_body_not_executed() {
    let node = Setup::new().limit("line_bytes", 512).start();
    let long = format!("/{}", "a".repeat(1000));
    let requests = [
        post("/"),
        post("/?a=b%20c"),
        post(&long),
        post(&format!("http://127.0.0.1{long}")),
        post("/").replacen("POST", "get", 1),
        post("/").replacen("POST", "PROPFIND", 1),
        post("*").replacen("HTTP/1.1", "HTTP/1.0", 1),
        format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{BODY}"),
        format!("GET / HTTP/1.1\n{BODY}"),
    ];
    for request in &requests {
        for piece in [request.len(), 700, 7] {
            assert_eq!(said_to(&node, request.as_bytes(), piece), b"", "{request} by {piece}");
        }
    }
    expect_nothing_executed(&node);
}

#[test]
fn request_is_closed_as_soon_as_it_can_be_told() {
    // No line below ends, so nothing else would close it.
    let node = Setup::new().limit("line_bytes", 512).start();
    for beginning in ["POST / HTTP/".to_owned(), format!("GET /{}", "a".repeat(600)), "\x16\x03".to_owned()] {
        let mut client = node.client();
        client.send(&beginning);
        client.expect_closed();
    }
    // Where the end of the input comes first, it ends the line.
    let mut client = node.client();
    client.send(format!("GET /{} HTTP/1.1", "a".repeat(100)));
    client.half_close();
    client.expect_closed();
}

#[test]
fn tls_is_closed_whatever_is_in_it() {
    let node = Setup::new().start();
    let hello = [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n"[..], BODY.as_bytes()].concat();
    for piece in [hello.len(), 1] {
        assert_eq!(said_to(&node, &hello, piece), b"");
    }
    expect_nothing_executed(&node);
}

#[test]
fn empty_lines_before_a_request_are_answered_and_hide_nothing() {
    let node = Setup::new().start();
    let request = format!("\r\n \n{}", post("/"));
    for piece in [request.len(), 1] {
        assert_eq!(said_to(&node, request.as_bytes(), piece), b"? \r\n?  \n");
    }
    expect_nothing_executed(&node);
}

#[test]
fn invalid_first_lines_are_answered_as_ever() {
    let node = Setup::new().limit("line_bytes", 512).start();
    for line in ["GET x", "GET /", "FOO HTTP/1.1", "HTTP/1.1 200 OK", "hello", "IAMAT a HTTP/1.1", "HELLO x"]
    {
        assert_eq!(node.client().ask(line), format!("? {line}"));
    }
    let long = format!("IAMAT /{} +1+1 1", "a".repeat(600));
    assert_eq!(node.client().ask(&long), format!("? {}", &long[..64]));
    // Only the first line tells whose connection it is.
    let mut client = node.client();
    assert_eq!(client.ask("hello"), "? hello");
    assert_eq!(client.ask("GET / HTTP/1.1"), "? GET / HTTP/1.1");
    assert!(client.ask("IAMAT a +1+1 1").starts_with("AT "));
}

#[test]
fn hello_of_a_herd_whose_name_looks_like_http_is_a_handshake() {
    let node = Setup::new().start();
    let mut client = node.client();
    let hello = "HELLO 2 HTTP/1.1 Welsh Alford 00c0ffee00c0ffee 3f9c068409f45991 - - -";
    assert!(client.ask(hello).starts_with("REFUSED this node is of the herd "), "it was taken for a request");
    client.expect_closed();
}

#[test]
fn hello_of_an_earlier_version_is_refused_with_its_cure_and_closed() {
    let node = Setup::new().start();
    let mut client = node.client();
    client.send("HELLO 1\nIAMAT victim +1+1 1\n");
    client.expect(
        "REFUSED version 1 is not spoken here, only 2; run the same release on all nodes\n",
        "the answer to HELLO 1",
    );
    client.expect_closed();
    expect_nothing_executed(&node);
    for line in ["HELLO", "HELLO seven", "HELLO -7", "HELLO 1234567890"] {
        assert_eq!(node.client().ask(line), format!("? {line}"));
    }
    let mut client = node.client();
    assert_eq!(client.ask("hello"), "? hello");
    assert_eq!(client.ask("HELLO 7"), "? HELLO 7");
}

#[test]
fn port_of_plain_neighbours_does_not_take_a_web_pages_lines() {
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let node = Setup::new().plain("Plain", plain.local_addr().unwrap(), "").start();
    let at = "AT Plain +1.000000000 victim +0+0 5 Plain\n";
    for piece in [1, 1000] {
        let mut page = Client::connect(node.plain_address());
        for piece in post("/").replace(BODY, at).as_bytes().chunks(piece) {
            if page.stream().write_all(piece).is_err() {
                break;
            }
        }
        page.expect_closed();
    }
    expect_nothing_executed(&node);
    let mut neighbour = Client::connect(node.plain_address());
    neighbour.send(format!("\nhello\nGET / HTTP/1.1\n{at}"));
    wait_until("the neighbour's line is stored", || {
        node.client().ask("WHATSAT victim 1 1").starts_with("AT Plain ")
    });
}

#[test]
fn log_says_once_a_second_where_http_is_served() {
    let mut with_http = Setup::new().http("").start();
    let served_at = with_http.addresses()[1];
    let mut without = Setup::new().start();
    for node in [&mut with_http, &mut without] {
        for _ in 0..50 {
            said_to(node, b"GET / HTTP/1.1\r\n\r\n", 100);
        }
        // A second later the next one is told.
        wait_until("TLS is told of", || {
            said_to(node, b"\x16\x03\x01", 100);
            node.log().contains("it speaks TLS; ")
        });
        node.stop();
    }
    let told = |log: &str, what: &str| log.lines().filter(|line| line.contains(what)).count();
    let (log, bare) = (with_http.log(), without.log());
    let http = format!("it speaks HTTP; this node serves HTTP, without TLS, at http://{served_at}");
    assert!((1..20).contains(&told(&log, &http)), "{log}");
    let tls = format!("it speaks TLS; this node serves HTTP, without TLS, at http://{served_at}");
    assert!(told(&log, &tls) >= 1, "{log}");
    assert!((1..20).contains(&told(&bare, "it speaks HTTP; give this node an `http` address")), "{bare}");
    assert_eq!(told(&log, " < GET"), 0, "it is no traffic");
}

#[test]
fn full_node_tells_a_browser_from_a_client() {
    let welsh = FakePeer::new("Welsh");
    let mut node = Setup::new().limit("connections", 1).neighbour(&welsh).start();
    let mut first = node.client();
    assert_eq!(first.ask("hello"), "? hello");
    assert_eq!(said_to(&node, post("/").as_bytes(), 1000), b"");
    let mut last_words = node.client();
    last_words.send("IAMAT victim +1+1 1");
    last_words.half_close();
    last_words.expect_closed();
    assert_eq!(first.ask("WHATSAT victim 1 1"), "? WHATSAT victim 1 1");
    drop(first);
    node.stop();
    assert!(node.log().contains("it speaks HTTP"), "{}", node.log());
}
