//! TLS between peers: who is let in over it and who is not, in which mode, and what happens to those that begin it and do
//! not go on.

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use proxyherd::core::{access::PeerTls, wire::Nonce};

use crate::support::{Client, SecretPeer, Setup, TestNode, peers_tls, secret_of, wait_until};

fn nonce(byte: u8) -> Nonce {
    Nonce::of_bytes([byte; Nonce::BYTES])
}

/// A Welsh that speaks TLS, and a node in that mode.
fn welsh_and_node(mode: PeerTls, setup: Setup) -> (SecretPeer, TestNode) {
    let welsh = SecretPeer { is_over_tls: true, ..SecretPeer::new("Welsh", secret_of(7)) };
    let node = setup.secret(&secret_of(7)).peer_tls(mode).neighbour(&welsh.peer).start();
    (welsh, node)
}

/// Waits for a proof for as long as a test may take.
fn patient() -> Setup {
    Setup::new().limit("handshake_seconds", 60)
}

#[track_caller]
fn expect_log(node: &TestNode, parts: &[&str]) {
    wait_until(&format!("the log says {parts:?}"), || {
        node.log().lines().any(|line| parts.iter().all(|part| line.contains(part)))
    });
}

#[test]
fn peers_over_tls_are_heard_and_told_whatever_their_certificates_say() {
    let (welsh, node) = welsh_and_node(PeerTls::Required, patient());
    // Welsh's certificate has been over for years.
    let mut flooder = welsh.take_proof(nonce(1));
    flooder.send("WELCOME\n");
    node.expect_linked(&welsh.peer);
    while !flooder.keep() {}
    let (mut session, _) = welsh.dial(&node, nonce(2));
    session.ping("AT Welsh +0.000000001 a +1+1 1 Welsh\nPING 1\n", 1);
    let at = node.client().ask("IAMAT b +1+1 5");
    assert_eq!(flooder.news(), format!("{at} Alford"));
    assert!(node.client().ask("WHATSAT a 1 1").starts_with("AT Welsh "));
}

#[test]
fn mode_says_what_is_dialled_and_what_is_taken() {
    for mode in PeerTls::ALL {
        let (welsh, node) = welsh_and_node(mode, patient());
        let plain = SecretPeer::new("Welsh", secret_of(7));
        let begun = welsh.peer.take_call();
        let mut first = [0; 2];
        begun.stream().peek(&mut first).unwrap();
        assert_eq!(&first == b"\x16\x03", mode.dials_tls(), "{mode} says {first:?}");
        if mode.takes_tls() {
            welsh.dial(&node, nonce(1)).0.ping("PING 1\n", 1);
        } else {
            let tls = node.client().secured(peers_tls::dialler(&[peers_tls::ALPN]));
            assert!(tls.is_err());
            expect_log(
                &node,
                &["it speaks TLS; ", "it takes no TLS from peers, since its `peer_tls` is off"],
            );
        }
        if mode.takes_plain() {
            plain.dial(&node, nonce(2)).0.ping("PING 1\n", 1);
        } else {
            let mut session = node.client();
            session.send(plain.hello(nonce(2), None));
            let why = "Alford takes peers over TLS only (`peer_tls` is required); \
                       set `peer_tls` of Welsh to on or required";
            session.expect(format!("REFUSED {why}\n"), "the answer to a plain HELLO");
            session.expect_closed();
            expect_log(&node, &["its handshake was refused: ", why]);
        }
    }
}

#[test]
fn proof_is_good_on_the_connection_it_was_made_for_only() {
    let (welsh, node) = welsh_and_node(PeerTls::On, patient());
    let (_first, first) = welsh.begin(&node, nonce(1));
    let (mut second, _) = welsh.begin(&node, nonce(1));
    // What was good on the first; the nonces differ, too, as they always do.
    let replayed = welsh.proof_line(welsh.dialler(), nonce(1), &first);
    second.send(replayed);
    second.expect("REFUSED the proof is wrong; give both nodes the same secret_file\n", "a replayed proof");
    // A plain one over TLS, as somebody would pass it on who takes TLS and dials plain, and the other way round.
    let (mut over_tls, said) = welsh.begin(&node, nonce(1));
    let said = said.over(proxyherd::core::wire::Channel::Plain);
    over_tls.send(welsh.proof_line(welsh.dialler(), nonce(1), &said));
    over_tls.expect("REFUSED the proof is wrong; give both nodes the same secret_file\n", "a plain proof");
    let plain = SecretPeer::new("Welsh", secret_of(7));
    let (mut session, said) = plain.begin(&node, nonce(1));
    let said = said.over(first.channel);
    session.send(plain.proof_line(plain.dialler(), nonce(1), &said));
    session.expect("REFUSED the proof is wrong; give both nodes the same secret_file\n", "a proof over TLS");
}

#[test]
fn relay_between_two_peers_is_found_out_by_both_unless_it_has_the_secret() {
    let (welsh, node) = welsh_and_node(PeerTls::Required, patient().limit("backoff_ms_max", 100));
    // It takes the node's call, has TLS with it, and dials the node's other end as Welsh would: here Welsh itself.
    let (mut taken, said) = welsh.answer_call();
    let relayed = said.over(peers_tls::channel(&relays_other_connection(&node)));
    let proof = welsh.proof_of_answer(proxyherd::core::wire::Prover::Acceptor, nonce(1), &relayed);
    taken.send(welsh.hello(nonce(1), Some(proof)));
    taken.expect_closed();
    expect_log(&node, &["no link to Welsh at ", "its proof is wrong"]);
    // In the other direction, what Welsh proves for its own connection to the relay.
    let (mut passed_on, said) = welsh.begin(&node, nonce(2));
    let relayed = said.over(peers_tls::channel(&relays_other_connection(&node)));
    passed_on.send(welsh.proof_line(welsh.dialler(), nonce(2), &relayed));
    passed_on.expect("REFUSED the proof is wrong; give both nodes the same secret_file\n", "a relayed proof");
    // With the secret it is a peer like any other.
    welsh.dial(&node, nonce(3)).0.ping("PING 1\n", 1);
}

/// Another TLS connection with the node, as a relay's second one.
fn relays_other_connection(node: &TestNode) -> rustls::Connection {
    let mut connection = peers_tls::dialler(&[peers_tls::ALPN]);
    let mut tcp = TcpStream::connect(node.address()).unwrap();
    while connection.is_handshaking() {
        connection.complete_io(&mut tcp).unwrap();
    }
    connection
}

#[test]
fn peer_that_leaves_instead_of_proving_itself_is_told_of_and_this_end_leaves_with_a_goodbye() {
    let (welsh, node) = welsh_and_node(PeerTls::On, patient());
    let (mut taken, said) = welsh.answer_call();
    let plain = said.over(proxyherd::core::wire::Channel::Plain);
    let wrong = welsh.proof_of_answer(proxyherd::core::wire::Prover::Acceptor, nonce(1), &plain);
    taken.send(welsh.hello(nonce(1), Some(wrong)));
    expect_log(&node, &["no link to Welsh at ", "its proof is wrong"]);
    taken.expect_goodbye();
    let (mut session, _) = welsh.begin(&node, nonce(2));
    session.say_goodbye();
    session.half_close();
    expect_log(&node, &[" is closed: it ended its handshake before its proof"]);
}

#[test]
fn tls_that_is_no_peers_is_closed_without_a_word() {
    let (_welsh, node) = welsh_and_node(PeerTls::On, patient());
    let others: [&[&[u8]]; 3] = [&[], &[b"h2", b"http/1.1"], &[b"proxyher", b"proxyherd2"]];
    for alpn in others {
        let mut client = node.client();
        let mut hello = Vec::new();
        peers_tls::dialler(alpn).write_tls(&mut hello).unwrap();
        // A byte at a time, as well as all at once.
        let length = if alpn.is_empty() { 1 } else { hello.len() };
        for piece in hello.chunks(length) {
            client.send(piece);
        }
        client.expect_closed();
    }
    expect_log(&node, &["it speaks TLS; ", "it takes TLS from peers, but this is not a peer's"]);
    // An older TLS offers what peers speak, too; a peer does not.
    assert!(node.client().secured(peers_tls::old_dialler(&[peers_tls::ALPN])).is_err());
    expect_log(&node, &["the TLS handshake failed: peer is incompatible"]);
    // What only looks like it.
    let mut client = node.client();
    client.send(b"\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00IAMAT victim +1+1 1\n");
    client.rest();
    assert_eq!(node.client().ask("WHATSAT victim 1 1"), "? WHATSAT victim 1 1");
}

#[test]
fn node_that_dials_finds_out_what_answers_and_never_falls_back() {
    let (welsh, node) = welsh_and_node(PeerTls::On, patient().limit("backoff_ms_max", 100));
    // A plain node closes at the first bytes.
    drop(welsh.peer.take_call());
    expect_log(
        &node,
        &[
            "no link to Welsh",
            "it ended the connection in the TLS handshake; unless it is stopping, set its `peer_tls`",
        ],
    );
    // Something that answers without TLS.
    let mut other = welsh.peer.take_call();
    other.send("? what\n");
    expect_log(&node, &["no link to Welsh", "it does not speak TLS; set its `peer_tls`"]);
    // A server of something else: it agrees on nothing, or refuses.
    for alpn in [&[] as &[&[u8]], &[b"http/1.1"]] {
        let _ = welsh.peer.take_call().secured(peers_tls::acceptor(alpn)).map(|mut other| other.rest());
    }
    expect_log(&node, &["no link to Welsh", "it speaks TLS, but not as a peer; correct the address"]);
    // Whatever it met, each call begins with TLS.
    for _ in 0..3 {
        let mut first = [0; 2];
        welsh.peer.take_call().stream().peek(&mut first).unwrap();
        assert_eq!(&first, b"\x16\x03");
    }
    welsh.take_proof(nonce(1)).send("WELCOME\n");
    node.expect_linked(&welsh.peer);
}

/// Sends bytes one by one until the node has closed; how long that took.
fn drip(mut stream: &TcpStream, bytes: &[u8]) -> Duration {
    stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let begun = Instant::now();
    for byte in bytes.iter().cycle() {
        // The pause is the drip.
        if stream.write_all(&[*byte]).is_err() || matches!(stream.read(&mut [0]), Ok(0)) {
            break;
        }
    }
    begun.elapsed()
}

#[test]
fn handshake_that_drips_has_its_time_once() {
    let setup = Setup::new().limit("handshake_seconds", 0.3).limit("line_seconds", 60);
    let (_welsh, node) = welsh_and_node(PeerTls::On, setup);
    let mut hello = Vec::new();
    peers_tls::dialler(&[peers_tls::ALPN]).write_tls(&mut hello).unwrap();
    // In the handshake of TLS, and inside, before a HELLO.
    let lasted = drip(node.client().stream(), &hello);
    expect_log(&node, &["the TLS handshake took too long"]);
    assert!(lasted >= Duration::from_millis(300), "{lasted:?}");
    let mut session = node.client().secured(peers_tls::dialler(&[peers_tls::ALPN])).unwrap();
    session.send("HELLO");
    session.expect_closed();
    expect_log(&node, &["it speaks the peers' TLS, but did not say HELLO within 300ms"]);
}

#[test]
fn clients_lines_over_the_peers_tls_are_not_executed() {
    let (_welsh, node) = welsh_and_node(PeerTls::On, patient());
    let mut session = node.client().secured(peers_tls::dialler(&[peers_tls::ALPN])).unwrap();
    session.send("IAMAT victim +1+1 1\n");
    session.expect_closed();
    assert_eq!(node.client().ask("WHATSAT victim 1 1"), "? WHATSAT victim 1 1");
}

#[test]
fn what_breaks_off_within_a_record_or_a_line_counts_for_nothing() {
    let (welsh, node) = welsh_and_node(PeerTls::Required, patient());
    let half = "AT Welsh +0.000000001 half +1+1 1 Wel";
    // Killed within a line; within a record; with a goodbye all the same; reset.
    for end in 0..4 {
        let (mut session, _) = welsh.dial(&node, nonce(1));
        session.ping("AT Welsh +0.000000001 whole +1+1 1 Welsh\nPING 1\n", 1);
        match end {
            0 => session.send(half),
            1 => {
                session.tls().writer().write_all(format!("{half}sh\n").as_bytes()).unwrap();
                let mut record = Vec::new();
                session.tls().write_tls(&mut record).unwrap();
                let mut tcp = session.stream();
                tcp.write_all(&record[..record.len() - 1]).unwrap();
            }
            2 => {
                session.send(half);
                session.say_goodbye();
            }
            _ => {
                session.send(half);
                session.vanish();
                continue;
            }
        }
        session.half_close();
        session.rest();
    }
    assert!(node.client().ask("WHATSAT whole 1 1").starts_with("AT Welsh "));
    assert_eq!(node.client().ask("WHATSAT half 1 1"), "? WHATSAT half 1 1");
}

#[test]
fn new_keys_are_taken_ten_thousand_times_and_not_for_nothing() {
    let (welsh, node) = welsh_and_node(PeerTls::On, patient());
    let (mut session, _) = welsh.dial(&node, nonce(1));
    for number in 1..=10_000 {
        session.tls().refresh_traffic_keys().unwrap();
        session.ping(format!("PING {number}\n"), number);
    }
    // Ten thousand more with nothing between them: nobody needs that.
    for _ in 0..10_000 {
        session.tls().refresh_traffic_keys().unwrap();
    }
    while let Some(tls) = Some(session.tls()).filter(|tls| tls.wants_write()) {
        let mut bytes = Vec::new();
        tls.write_tls(&mut bytes).unwrap();
        let mut tcp = session.stream();
        if tcp.write_all(&bytes).is_err() {
            break;
        }
    }
    session.rest();
    expect_log(&node, &["Welsh is no longer connected as #", "TooManyKeyUpdateRequests"]);
}

#[test]
fn both_sides_write_much_at_once_and_neither_waits_for_the_other() {
    let (welsh, node) = welsh_and_node(PeerTls::On, patient());
    let mut flooder = welsh.take_proof(nonce(1));
    flooder.send("WELCOME\n");
    node.expect_linked(&welsh.peer);
    while !flooder.keep() {}
    let (mut session, _) = welsh.dial(&node, nonce(2));
    let reports = 20_000;
    thread::scope(|scope| {
        // The node floods what its client reports, and takes what Welsh floods.
        scope.spawn(|| {
            let mut client = node.client();
            for number in 0..reports {
                client.send(format!("IAMAT ours{number} +1+1 {number}\n"));
            }
            client.half_close();
            client.rest();
        });
        scope.spawn(|| {
            for number in 0..reports {
                session.send(format!("AT Welsh +0.000000001 theirs{number} +1+1 {number} Welsh\n"));
            }
            session.ping("PING 1\n", 1);
        });
        let mut left = reports;
        while left > 0 {
            left -= usize::from(flooder.news().contains(" ours"));
        }
    });
    let last = reports - 1;
    wait_until("the last is stored", || {
        node.client().ask(&format!("WHATSAT theirs{last} 1 1")).starts_with("AT Welsh ")
    });
}

#[test]
fn stopping_node_ends_handshakes_in_progress() {
    let (welsh, mut node) =
        welsh_and_node(PeerTls::On, patient().limit("connect_seconds", 60).limit("drain_seconds", 2));
    let mut half = Client::connect(node.address());
    half.send(b"\x16\x03");
    // Its own call is not answered either.
    let _call = welsh.peer.take_call();
    node.begin_stop();
    node.expect_ended_lacking(Duration::from_secs(10), &[]);
    half.rest();
}
