//! A herd that has a secret: who knows it is a neighbour, and who does not gets nothing stored and puts nobody out, whatever
//! it has heard others say.

use std::time::Instant;

use proxyherd::core::{
    access::{Secret, SecretKey},
    wire::{Nonce, Prover},
};

use crate::support::{Client, FakePeer, SecretPeer, Setup, TestNode, secret_of, wait_until};

const AT: &str = "AT Welsh +0.000000001";

fn nonce(byte: u8) -> Nonce {
    Nonce::of_bytes([byte; Nonce::BYTES])
}

/// A node that waits for a proof for as long as a test may take, on a machine held up by other tests.
fn patient() -> Setup {
    Setup::new().limit("handshake_seconds", 60)
}

/// A node, and its neighbour Welsh, both with the herd's secret.
fn welsh_and_node(setup: Setup) -> (SecretPeer, TestNode) {
    let welsh = SecretPeer::new("Welsh", secret_of(7));
    let node = setup.secret(&secret_of(7)).neighbour(&welsh.peer).start();
    (welsh, node)
}

#[track_caller]
fn expect_stored(node: &TestNode, id: &str) {
    wait_until(&format!("{id} is stored"), || {
        node.client().ask(&format!("WHATSAT {id} 1 1")).starts_with("AT ")
    });
}

/// What a stranger sends last; had it been let in, this would be stored.
const STRANGERS: &str = "AT Welsh +0.000000001 stranger +1+1 1 Welsh\nIAMAT stranger +1+1 1\n";

/// Sends more, and checks that the node has done nothing with it.
#[track_caller]
fn expect_shut_out(node: &TestNode, mut session: Client, sent: &str, why: &str) {
    session.send(format!("{sent}{STRANGERS}"));
    session.half_close();
    let rest = String::from_utf8(session.rest()).unwrap();
    let said = rest.lines().last().unwrap_or_default();
    assert!(said.starts_with("REFUSED ") && said.contains(why), "{sent:?}: {rest:?}");
    assert!(!rest.contains("WELCOME"), "{rest}");
    assert_eq!(node.client().ask("WHATSAT stranger 1 1"), "? WHATSAT stranger 1 1", "{sent:?}");
}

#[test]
fn neighbour_that_proves_the_secret_is_heard_and_told() {
    let (welsh, node) = welsh_and_node(patient());
    let mut flooder = welsh.take_proof(nonce(1));
    flooder.send("WELCOME\n");
    node.expect_linked(&welsh.peer);
    // Its first round.
    while !flooder.keep() {}
    let (mut session, _) = welsh.dial(&node, nonce(2));
    session.ping(format!("{AT} a +1+1 1 Welsh\nPING 1\n"), 1);
    expect_stored(&node, "a");
    let at = node.client().ask("IAMAT b +1+1 5");
    assert_eq!(flooder.news(), format!("{at} Alford"));
}

#[test]
fn neighbour_that_speaks_version_3_is_spoken_to_in_2_and_nobody_can_have_it_speak_less() {
    let welsh = SecretPeer { version: 3, ..SecretPeer::new("Welsh", secret_of(7)) };
    let node = patient().secret(&secret_of(7)).neighbour(&welsh.peer).start();
    let mut flooder = welsh.take_proof(nonce(1));
    flooder.send("WELCOME\n");
    node.expect_linked(&welsh.peer);
    let (mut session, _) = welsh.dial(&node, nonce(2));
    session.ping("PING 1\n", 1);
    // Somebody on the way has it offer less: the two ends have not heard the same line.
    let offered = welsh.hello(nonce(3), None);
    let lowered = offered.replace("HELLO 3", "HELLO 2").replace(" and what 3 adds", "");
    assert_ne!(lowered, offered);
    let (session, said) = welsh.begin_with(&node, &lowered);
    let proof = welsh.proof_line(welsh.dialler(), nonce(3), &said);
    assert_ne!(said.proof, Some(welsh.proof(Prover::Acceptor, nonce(3), &said)), "Welsh finds it out first");
    expect_shut_out(&node, session, &proof, "the proof is wrong");
}

#[test]
fn nobody_gets_in_without_the_secret_and_nobody_is_put_out() {
    let (welsh, node) = welsh_and_node(patient().limit("liveness_seconds", 3600));
    let (mut friend, proof) = welsh.dial(&node, nonce(1));
    let hello = welsh.hello(nonce(1), None);
    let wrong = "the proof is wrong; give both nodes the same secret_file";
    let shut_out = |sent: String, why| expect_shut_out(&node, node.client(), &sent, why);

    shut_out(welsh.plain_hello(), "Alford has a secret and Welsh has none");
    shut_out(hello.clone(), wrong);
    shut_out(format!("{hello}{hello}"), wrong);
    // What was good once, again.
    shut_out(format!("{hello}{proof}"), wrong);
    // A client's lines first, or a proof that was not asked for, make no neighbour.
    let mut client = node.client();
    for line in [&proof, &hello] {
        client.exchange(line, format!("? {line}"));
    }
    assert_eq!(client.ask(&format!("{AT} stranger +1+1 1 Welsh")), format!("? {AT} stranger +1+1 1 Welsh"));

    // Cut short.
    let bare = |line: &str, cut: usize| format!("{}\n", &line[..line.len() - 1 - cut]);
    let digits = nonce(1).to_string();
    shut_out(bare(&hello, 1), "does not have its ten fields");
    for (cut, why) in [(1, "nonce is not 32"), (2, "nonce is not 32"), (32, "does not have its ten fields")] {
        shut_out(hello.replace(&digits, &digits[cut..]), why);
        let (session, said) = welsh.begin(&node, nonce(2));
        let proof = welsh.proof_line(welsh.dialler(), nonce(2), &said);
        expect_shut_out(&node, session, &bare(&proof, cut), wrong);
    }
    // Of another start than the one that is proved.
    let (session, said) = welsh.begin(&node, nonce(2));
    let proof = welsh.proof_line(welsh.dialler(), nonce(2), &said);
    expect_shut_out(&node, session, &proof.replace("feed\n", "beef\n"), wrong);
    // Downgraded, or with a proof where none belongs.
    shut_out(hello.replace("HELLO 2", "HELLO 1"), "version 1 is not spoken here");
    let (session, said) = welsh.begin(&node, nonce(2));
    let theirs = said.proof.unwrap();
    drop(session);
    shut_out(welsh.hello(nonce(2), Some(theirs)), "has no proof");
    // The node's own proof back, and the right secret in the wrong role.
    let (session, said) = welsh.begin(&node, nonce(2));
    let reflected = format!("PROOF {} {:016x}\n", said.proof.unwrap(), welsh.incarnation);
    expect_shut_out(&node, session, &reflected, wrong);
    let (session, said) = welsh.begin(&node, nonce(2));
    expect_shut_out(&node, session, &welsh.proof_line(Prover::Acceptor, nonce(2), &said), wrong);
    // For another handshake, with this very node.
    let (_other, other) = welsh.begin(&node, nonce(2));
    let (session, _) = welsh.begin(&node, nonce(2));
    expect_shut_out(&node, session, &welsh.proof_line(welsh.dialler(), nonce(2), &other), wrong);
    // Another secret, or another file altogether.
    let other = SecretPeer::new("Welsh", secret_of(8));
    let (session, said) = other.begin(&node, nonce(3));
    expect_shut_out(&node, session, &other.proof_line(other.dialler(), nonce(3), &said), wrong);
    let other = SecretPeer::new("Welsh", Secret::new(SecretKey::of_bytes([7; 32]), [0; 16]));
    shut_out(other.hello(nonce(3), None), "place clients differently; give both the same secret_file");
    // Something long, and something longer than any line may be.
    for long in [10_000, 20_000] {
        let (session, _) = welsh.begin(&node, nonce(2));
        expect_shut_out(&node, session, &format!("PROOF {}\n", "0".repeat(long)), wrong);
    }

    friend.ping(format!("{AT} friend +1+1 1 Welsh\nPING 1\n"), 1);
    expect_stored(&node, "friend");
}

#[test]
fn proof_without_its_newline_counts_for_nothing() {
    let (welsh, node) = welsh_and_node(patient());
    let (mut session, said) = welsh.begin(&node, nonce(1));
    session.send(welsh.proof_line(welsh.dialler(), nonce(1), &said).trim_end());
    session.half_close();
    session.expect_closed();
    assert!(!node.log().contains("Welsh is connected"));
}

#[test]
fn full_node_keeps_a_place_for_who_proves_the_secret_and_none_for_others() {
    let (welsh, node) = welsh_and_node(Setup::new().limit("connections", 1).limit("handshake_seconds", 1));
    let mut client = node.client();
    assert_eq!(client.ask("the only place"), "? the only place");
    let mut other = node.client();
    other.send("hello\n");
    other.expect_closed();
    let (mut session, _) = welsh.dial(&node, nonce(1));
    let (mut stranger, _) = welsh.begin(&node, nonce(2));
    stranger.expect_closed();
    session.ping("PING 1\n", 1);
    assert_eq!(client.ask("still here"), "? still here");
}

#[test]
fn proof_that_does_not_come_is_not_waited_for() {
    let (welsh, node) = welsh_and_node(Setup::new().limit("handshake_seconds", 0.1));
    for sent in ["", "PROOF 00"] {
        let (mut session, _) = welsh.begin(&node, nonce(1));
        session.send(sent);
        session.expect_closed();
    }
    wait_until("the log says why", || node.log().contains("the herd's secret was not proved within 100ms"));
}

#[test]
fn another_start_is_refused_after_its_proof_while_the_first_lives() {
    let (welsh, node) = welsh_and_node(patient().limit("liveness_seconds", 3600));
    let (_first, _) = welsh.dial(&node, nonce(1));
    let again = SecretPeer { incarnation: 0xbeef, ..SecretPeer::new("Welsh", secret_of(7)) };
    let (session, said) = again.begin(&node, nonce(2));
    let proof = again.proof_line(again.dialler(), nonce(2), &said);
    expect_shut_out(&node, session, &proof, "another Welsh was heard from");
    // The same start takes its own connection's place, once it has proved itself.
    let (mut session, _) = welsh.dial(&node, nonce(3));
    session.ping("PING 1\n", 1);
}

#[test]
fn node_says_nothing_to_who_answers_its_call_without_the_secret() {
    let (welsh, node) = welsh_and_node(patient().limit("backoff_ms_max", 100));
    let other = SecretPeer::new("Welsh", secret_of(8));
    let (flooder, first) = welsh.answer_call();
    let recorded = welsh.hello(nonce(1), Some(welsh.proof_of_answer(Prover::Acceptor, nonce(1), &first)));
    drop(flooder);
    for attempt in 0..9 {
        let (mut flooder, said) = welsh.answer_call();
        assert_ne!(said.nonce, first.nonce, "a nonce is used once");
        let proof = |by: &SecretPeer, role| by.proof_of_answer(role, nonce(2), &said);
        let good = proof(&welsh, Prover::Acceptor).to_string();
        flooder.send(match attempt {
            0 => welsh.plain_hello(),
            1 => welsh.hello(nonce(2), None),
            2 => "WELCOME\n".to_owned(),
            3 => welsh.hello(nonce(2), Some(proof(&other, Prover::Acceptor))),
            4 => welsh.hello(nonce(2), Some(proof(&welsh, welsh.dialler()))),
            5 => welsh.hello(said.nonce, Some(proof(&welsh, Prover::Acceptor))),
            6 => recorded.clone(),
            7 => welsh.hello(nonce(2), Some(proof(&welsh, Prover::Acceptor))).replace(&good, &good[1..]),
            _ => format!("{}WELCOME\n", welsh.plain_hello()),
        });
        flooder.expect_closed();
    }
    // Who has proved it and then goes astray is not linked to either.
    for answer in ["PONG 1 1.5\n", "WELCOME now\n", "REFUSED for the test's sake\n"] {
        let mut flooder = welsh.take_proof(nonce(3));
        flooder.send(answer);
        flooder.expect_closed();
    }
    // None of them was announced as linked; this one is the first.
    welsh.take_proof(nonce(4)).send("WELCOME\n");
    node.expect_linked(&welsh.peer);
}

#[test]
fn nodes_with_and_without_a_secret_tell_each_other_the_cure() {
    let welsh = FakePeer::new("Welsh");
    let node = Setup::new().neighbour(&welsh).start();
    let mut session = node.client();
    session.send(welsh.hello().replace("- - -", &format!("- {} -", nonce(1))));
    let answer = String::from_utf8(session.line()).unwrap();
    assert!(
        answer.contains("Welsh has a secret and Alford has none; give both the same secret_file"),
        "{answer}"
    );
    session.expect_closed();
    let (mut flooder, _) = welsh.answer_call();
    flooder.send(welsh.hello().replace("- - -", &format!("- {} {}", nonce(1), "00".repeat(32))));
    flooder.expect_closed();
    wait_until("the log says why", || node.log().contains("it has a secret and this node has none"));
}

#[test]
fn hundred_failed_handshakes_are_a_line_a_second_in_the_log() {
    let (welsh, node) = welsh_and_node(patient());
    let begun = Instant::now();
    for _ in 0..100 {
        let (session, _) = welsh.begin(&node, nonce(1));
        expect_shut_out(
            &node,
            session,
            &format!("PROOF {} {:016x}\n", "00".repeat(32), 1),
            "the proof is wrong",
        );
    }
    let count = || {
        node.log()
            .lines()
            .filter(|line| line.contains("WARN") && line.contains("its handshake was refused"))
            .count()
    };
    wait_until("the log tells of one", || count() > 0);
    let (count, seconds) = (count(), begun.elapsed().as_secs() as usize);
    assert!(count <= seconds + 1, "{count} lines in {seconds} s");
}
