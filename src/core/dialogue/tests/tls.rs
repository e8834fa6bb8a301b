//! A connection that begins as TLS does: when it is a peer's, what may come in it, and for how long.

use super::*;
use crate::core::{
    access::PeerTls,
    wire::{Channel, Exporter, OtherProtocol, Prover, Transcript},
};

const RECORD: &[u8] = b"\x16\x03\x01\x02\n";
const CHANNEL: Channel = Channel::Tls(Exporter::of_bytes([3; Exporter::BYTES]));

fn secret() -> Arc<Secret> {
    Arc::new(Secret::new(SecretKey::of_bytes([1; 32]), [2; 16]))
}

fn node_with(peer_tls: PeerTls) -> Arc<Node> {
    let node = node_of(vec![neighbour("Welsh", None).0], false, Some(secret()));
    Arc::new(Arc::into_inner(node).unwrap().with_peer_tls(peer_tls))
}

/// A connection on which TLS is spoken since `at(100)`.
fn secured(node: &Arc<Node>) -> Driven {
    let mut welsh = Driven::client(node);
    assert_eq!(welsh.say(RECORD, at(100)), Next::Secure(at(1_100)));
    assert_eq!(welsh.dialogue.unread(), RECORD);
    welsh.dialogue.secured(CHANNEL);
    assert_eq!(welsh.drive(at(200)), Next::Wait(at(1_100)));
    welsh
}

fn proof(channel: Channel, hello: &[u8], answer: &[u8]) -> Vec<u8> {
    let transcript = Transcript::new(channel, hello.trim_ascii_end(), answer.trim_ascii_end());
    let proof = transcript.prove(Prover::Dialler { incarnation: 7 }, &secret());
    format!("PROOF {proof} {:016x}\n", 7).into_bytes()
}

#[test]
fn peer_is_let_in_by_a_proof_that_covers_the_connection_it_is_made_on() {
    let node = node_with(PeerTls::Required);
    let hello = handshake::hello_with_nonce();
    let other = Channel::Tls(Exporter::of_bytes([4; Exporter::BYTES]));
    for (channel, party) in
        [(CHANNEL, Party::Peer(0)), (other, Party::Stranger), (Channel::Plain, Party::Stranger)]
    {
        let mut welsh = secured(&node);
        welsh.say(&hello, at(300));
        let answer = mem::take(&mut welsh.written);
        welsh.say(&proof(channel, &hello, &answer), at(400));
        assert_eq!(*welsh.dialogue.party(), party, "{channel:?}");
    }
}

#[test]
fn beginning_is_recognised_however_it_arrives() {
    let node = node_with(PeerTls::Accept);
    let mut slow = Driven::client(&node);
    assert!(matches!(slow.say(b"\x16", at(0)), Next::Wait(_)));
    // The time is counted from the first byte.
    assert_eq!(slow.say(b"\x03", at(700)), Next::Secure(at(1_000)));
    assert_eq!(slow.drive(at(900)), Next::Secure(at(1_000)));
    // Only the very first bytes are.
    let tls = Next::Close(Closing::OtherProtocol(OtherProtocol::Tls));
    let mut blank = Driven::client(&node);
    blank.say(b"\n", at(0));
    assert_eq!(blank.say(RECORD, at(1)), tls);
    // Nor is there TLS in TLS.
    assert_eq!(secured(&node).say(RECORD, at(300)), tls);
}

#[test]
fn clients_have_no_use_for_the_peers_tls() {
    let node = node_with(PeerTls::On);
    let closing = Next::Close(Closing::NoGreeting(TIMES.handshake));
    assert_eq!(secured(&node).say(b"IAMAT kiwi +1+1 1479413884\n", at(300)), closing);
    let mut half = secured(&node);
    half.say(b"IAMAT kiwi +1+1 1479413884", at(300));
    half.dialogue.ended(now(at(301)));
    assert_eq!(half.drive(at(302)), closing);
    assert_eq!((half.written().as_str(), node.store().len()), ("", 0));
    assert_eq!(secured(&node).drive(at(1_100)), closing);
    // Once it has said HELLO, the proof is what is missing; the time is the same.
    let mut welsh = secured(&node);
    assert_eq!(welsh.say(&handshake::hello_with_nonce(), at(1_000)), Next::Wait(at(1_100)));
    assert_eq!(welsh.drive(at(1_100)), Next::Close(Closing::NoProof(TIMES.handshake)));
}

#[test]
fn a_kept_seat_gets_no_more_time_by_tls() {
    let node = node_with(PeerTls::On);
    let mut kept = Driven::new(&node, Opening::Common { is_kept: true }, 1);
    assert_eq!(kept.say(RECORD, at(900)), Next::Secure(at(1_000)));
}

#[test]
fn mode_decides_what_is_taken() {
    for mode in PeerTls::ALL {
        let node = node_with(mode);
        let begun = Driven::client(&node).say(RECORD, at(0));
        assert_eq!(matches!(begun, Next::Secure(_)), mode.takes_tls(), "{mode}");
        let mut plain = Driven::client(&node);
        let next = plain.say(&handshake::hello_with_nonce(), at(0));
        assert_eq!(matches!(next, Next::Wait(_)), mode.takes_plain(), "{mode}");
        let said = plain.written();
        assert_eq!(said.starts_with("HELLO 2 "), mode.takes_plain(), "{said}");
    }
    let mut plain = Driven::client(&node_with(PeerTls::Required));
    let Next::Close(Closing::Refused(why)) = plain.say(&handshake::hello_with_nonce(), at(0)) else {
        panic!()
    };
    assert!(matches!(*why, Refusal::NoTls { .. }), "{why}");
    // No nonce, and no proof, for who cannot be sure that nobody listens.
    assert_eq!(plain.written(), format!("REFUSED {why}\n"));
}

#[test]
fn clients_door_over_tls_takes_clients_only() {
    let node = node_with(PeerTls::Required);
    let open = |is_kept| Driven::new(&node, Opening::Secured { is_kept }, 1);
    let mut client = open(false);
    client.say(b"IAMAT kiwi +1+1 1479413884\n", at(0));
    assert!(client.written().starts_with("AT Alford "));
    let mut peer = open(false);
    let refused = peer.say(&handshake::hello_with_nonce(), at(0));
    let why = Refusal::ForClients { id: NodeId::new("Alford").unwrap() };
    assert_eq!(refused, Next::Close(Closing::Refused(Box::new(why))));
    let tls = Next::Close(Closing::OtherProtocol(OtherProtocol::Tls));
    assert_eq!(open(false).say(RECORD, at(0)), tls);
    assert_eq!(open(true).say(b"hello\n", at(0)), Next::Close(Closing::NoHandshake));
}
