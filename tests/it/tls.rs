//! TLS for clients and for the web face: what is served over it and what is not, how a certificate is replaced, and when
//! its end is told.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

use rustls::{ClientConnection, HandshakeKind};

use crate::support::{Authority, Client, FakePeer, Setup, TestNode, wait_until};

/// When certificates end that are far from it, and that moment in seconds.
const LATER: ((i32, u8, u8), f64) = ((2040, 1, 2), 2_209_075_200.0);

fn setup(authority: &Authority) -> Setup {
    Setup::new().limit("handshake_seconds", 60).tls(authority.issue("localhost", LATER.0))
}

#[track_caller]
fn client(node: &TestNode, authority: &Authority) -> Client {
    Client::connect(node.tls_address()).secured(authority.client("localhost")).unwrap()
}

#[track_caller]
fn expect_log(node: &TestNode, parts: &[&str]) {
    wait_until(&format!("the log says {parts:?}"), || {
        node.log().lines().any(|line| parts.iter().all(|part| line.contains(part)))
    });
}

#[test]
fn clients_are_served_over_tls_as_without() {
    let authority = Authority::new();
    let node = setup(&authority).start();
    let mut over_tls = client(&node, &authority);
    let at = over_tls.ask("IAMAT kiwi +1+1 5");
    assert!(at.starts_with("AT Alford "), "{at}");
    assert_eq!(node.client().ask("WHATSAT kiwi 1 0"), at);
    let many: String = (0..5_000).map(|number| format!("IAMAT kiwi{number} +1+1 5\n")).collect();
    over_tls.send(&many);
    for number in 0..5_000 {
        let reply = String::from_utf8(over_tls.line()).unwrap();
        assert!(reply.contains(&format!(" kiwi{number} ")), "{reply}");
    }
    let stranger = Authority::new();
    assert!(Client::connect(node.tls_address()).secured(stranger.client("localhost")).is_err());
    assert!(Client::connect(node.tls_address()).secured(authority.client("other.example")).is_err());
}

#[test]
fn last_line_needs_the_goodbye_of_tls_where_it_has_no_newline() {
    let authority = Authority::new();
    let node = setup(&authority).start();
    let mut polite = client(&node, &authority);
    polite.send("IAMAT polite +1+1 5");
    polite.say_goodbye();
    assert!(polite.rest().starts_with(b"AT Alford "));
    // Whoever cut it might have cut more: `+1+1 51` may have been meant.
    let mut cut = client(&node, &authority);
    cut.send("IAMAT whole +1+1 5\nIAMAT cut +1+1 5");
    assert!(cut.line().starts_with(b"AT Alford "));
    cut.half_close();
    cut.expect_closed();
    assert_eq!(node.client().ask("WHATSAT cut 1 0"), "? WHATSAT cut 1 0");
    assert!(node.client().ask("WHATSAT polite 1 0").starts_with("AT Alford "));
}

#[test]
fn what_does_not_speak_tls_is_closed_and_the_log_says_why() {
    let authority = Authority::new();
    let mut node = setup(&authority).start();
    let mut plain = Client::connect(node.tls_address());
    plain.send("IAMAT victim +1+1 5\n");
    // An alert, which no client of lines takes for a reply.
    assert!(!plain.rest().starts_with(b"AT"));
    expect_log(&node, &[" is closed: it does not speak TLS"]);
    // Nor does TLS on the other port, where the log says which it is.
    let other = node.client().secured(authority.client("localhost"));
    assert!(other.is_err());
    let at = node.tls_address();
    expect_log(&node, &["it speaks TLS; ", &format!("and clients that speak TLS at {at}")]);
    assert_eq!(node.client().ask("WHATSAT victim 1 0"), "? WHATSAT victim 1 0");
    node.stop();
}

#[test]
fn silence_and_drips_have_the_time_of_a_handshake_once() {
    let authority = Authority::new();
    let limits = Setup::new().limit("handshake_seconds", 0.3).limit("idle_seconds", 3600);
    let node = limits.tls(authority.issue("localhost", LATER.0)).start();
    Client::connect(node.tls_address()).expect_closed();
    let mut hello = Vec::new();
    authority.client("localhost").write_tls(&mut hello).unwrap();
    let mut stream = TcpStream::connect(node.tls_address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    // The pause is the drip.
    hello
        .iter()
        .cycle()
        .any(|byte| stream.write_all(&[*byte]).is_err() || matches!(stream.read(&mut [0]), Ok(0)));
    expect_log(&node, &[" is closed: the TLS handshake took too long"]);
    // Who is through has all the time of a client.
    let mut through = client(&node, &authority);
    assert!(through.ask("IAMAT kiwi +1+1 5").starts_with("AT "));
}

#[test]
fn peers_are_sent_away_from_the_clients_door() {
    let authority = Authority::new();
    let welsh = FakePeer::new("Welsh");
    let node = setup(&authority).neighbour(&welsh).start();
    let mut session = client(&node, &authority);
    session.send(welsh.hello());
    session.expect(
        "REFUSED Alford takes no peers at its `tls_listen` address, which is for clients; dial its `address`\n",
        "the answer to a peer",
    );
    session.expect_closed();
}

#[test]
fn connection_is_resumed_with_a_ticket() {
    let authority = Authority::new();
    let node = setup(&authority).start();
    let config = authority.believer();
    let kinds = [(); 2].map(|()| {
        let tls = ClientConnection::new(Arc::clone(&config), "localhost".try_into().unwrap()).unwrap();
        let mut client = Client::connect(node.tls_address()).secured(tls.into()).unwrap();
        // The ticket comes before the reply.
        client.ask("hello");
        client.tls().handshake_kind()
    });
    assert_eq!(kinds, [Some(HandshakeKind::Full), Some(HandshakeKind::Resumed)]);
}

#[test]
fn certificate_is_replaced_when_its_files_change_and_a_bad_pair_changes_nothing() {
    let [old, new] = [Authority::new(), Authority::new()];
    let node = setup(&old).http("").start();
    let shown = |authority: &Authority| {
        Client::connect(node.tls_address()).secured(authority.client("localhost")).is_ok()
    };
    let mut stays = client(&node, &old);
    let (certificate, key) = new.issue("localhost", (2041, 1, 1));
    let error = || node.status()["certificate"]["error"].as_str().unwrap_or_default().to_owned();
    // Half written; then whole, but without its key.
    let (_, old_key) = old.issue("localhost", LATER.0);
    for (certificate, key, why) in [
        (&certificate[..certificate.len() / 2], key.as_str(), "holds no whole certificate"),
        (&certificate, &old_key, "is not the key of"),
        (&certificate, &key[..key.len() / 2], "holds no whole key"),
        ("", "", "holds no whole certificate"),
    ] {
        node.replace_certificate(certificate, key);
        wait_until(why, || error().contains(why));
        assert!(shown(&old) && !shown(&new), "{why}");
        assert!(node.status()["degraded"].as_str().unwrap().contains("the certificate cannot be replaced: "));
        expect_log(&node, &["WARN", "the certificate stays as it was", why]);
    }
    node.replace_certificate(&certificate, &key);
    wait_until("the new one is shown", || shown(&new));
    assert!(!shown(&old));
    assert_eq!((error(), node.status()["degraded"].as_str()), (String::new(), None));
    assert_eq!(node.status()["certificate"]["expires"], "Tue, 01 Jan 2041 00:00:00 GMT");
    expect_log(&node, &["clients are shown the certificate ", "good until 2041-01-01T00:00:00"]);
    assert!(stays.ask("IAMAT kiwi +1+1 5").starts_with("AT "), "whoever is connected stays so");
}

#[test]
fn end_of_the_certificate_is_told_in_status_metrics_and_log() {
    let authority = Authority::new();
    let node = setup(&authority).http("").start();
    assert_eq!(node.metric("proxyherd_certificate_expiry_timestamp_seconds"), Some(LATER.1));
    assert_eq!(node.status()["certificate"]["expires_seconds"], LATER.1 as u64);
    assert!(!node.log().contains("WARN"), "{}", node.log());
    // One whose time is over is shown all the same: that is told, and clients decide.
    let over = Setup::new().http("").tls(authority.issue("localhost", (2020, 1, 1))).start();
    expect_log(
        &over,
        &["WARN", "node.pem is good no longer, since 2020-01-01T00:00:00", "; replace it and its key"],
    );
    assert!(Client::connect(over.tls_address()).secured(authority.client("localhost")).is_err());
    assert_eq!(over.metric("proxyherd_certificate_expiry_timestamp_seconds"), Some(1_577_836_800.0));
}

#[test]
fn web_face_speaks_https_and_nothing_else_where_it_is_told_to() {
    let authority = Authority::new();
    let node = setup(&authority).http("tls = true\nrequest_seconds = 0.5").start();
    let request = "GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut web = node.web().secured(authority.client("localhost")).unwrap();
    web.send(request);
    let answer = String::from_utf8(web.rest()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\"node\":\"Alford\""), "{answer}");
    let mut plain = node.web();
    plain.send(request);
    assert!(!plain.rest().starts_with(b"HTTP"));
    expect_log(&node, &["a connection to the web face is closed: it does not speak TLS"]);
    // The handshake is part of the request's time.
    let silent = node.web().secured(authority.client("localhost")).unwrap().rest();
    assert!(silent.starts_with(b"HTTP/1.1 408 "), "{}", silent.escape_ascii());
    node.web().expect_closed();
    expect_log(&node, &["a connection to the web face is closed: the TLS handshake took too long"]);
    let at = node.addresses()[1];
    let mut wrong = node.client();
    wrong.send(request);
    wrong.expect_closed();
    expect_log(&node, &[&format!("it speaks HTTP; this node serves HTTPS at https://{at}")]);
}

#[test]
fn full_node_serves_no_more_clients_over_tls_than_without() {
    let authority = Authority::new();
    let node = setup(&authority).limit("connections", 1).start();
    let mut first = client(&node, &authority);
    assert_eq!(first.ask("hello"), "? hello");
    let mut second = client(&node, &authority);
    second.send("hello\n");
    second.expect_closed();
    expect_log(&node, &["this node accepts no more clients"]);
    assert_eq!(first.ask("still here"), "? still here");
}
