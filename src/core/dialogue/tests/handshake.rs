//! The handshake with a node that is dialled: what it answers, whom it lets in, and what it keeps to itself.

use super::*;
use crate::core::{
    access::Retention,
    wire::{Channel, Prover, Transcript},
};

const NONCE: Nonce = Nonce::of_bytes([0x0a; Nonce::BYTES]);
const INCARNATION: u64 = 7;

fn secret() -> Secret {
    Secret::new(SecretKey::of_bytes([1; 32]), [2; 16])
}

fn node_with_secret() -> Arc<Node> {
    node_of(vec![neighbour("Welsh", None).0], false, Some(Arc::new(secret())))
}

/// Welsh's line, without a terminator, as `change` makes it.
fn hello_line(change: impl FnOnce(Hello<'_>) -> Hello<'_>) -> Vec<u8> {
    let (from, to) = (NodeId::new("Welsh").unwrap(), NodeId::new("Alford").unwrap());
    change(Hello::new("test", &from, &to, Placement::of_herd("test").check())).to_line()
}

fn with_newline(mut line: Vec<u8>) -> Vec<u8> {
    line.push(b'\n');
    line
}

/// The first line of a Welsh that has a secret.
pub(super) fn hello_with_nonce() -> Vec<u8> {
    with_newline(hello_line(|hello| Hello { nonce: Some(NONCE), ..hello }))
}

fn proof(hello: &[u8], answer: &[u8]) -> Vec<u8> {
    let prover = Prover::Dialler { incarnation: INCARNATION };
    let proof = Transcript::new(Channel::Plain, hello, answer).prove(prover, &secret());
    format!("PROOF {proof} {INCARNATION:016x}\n").into_bytes()
}

/// Says a first line to a node that has the secret; returns the connection, and the answer without its terminator.
fn begin(node: &Arc<Node>, hello: &[u8]) -> (Driven, Vec<u8>) {
    let mut welsh = Driven::client(node);
    welsh.say(&with_newline(hello.to_vec()), at(0));
    let answer = welsh.written.trim_ascii_end().to_vec();
    welsh.written.clear();
    (welsh, answer)
}

#[test]
fn node_proves_the_secret_first_and_tells_its_incarnation_to_nobody_who_dials_it() {
    let node = node_with_secret();
    let hello = hello_line(|hello| Hello { nonce: Some(NONCE), ..hello });
    let (mut welsh, answer) = begin(&node, &hello);
    let theirs = Hello::parse(&answer).unwrap();
    assert_eq!((theirs.version, theirs.incarnation, theirs.nonce.is_some()), (2, 0, true));
    assert!(Transcript::new(Channel::Plain, &hello, &answer).is_proved(&theirs.proof.unwrap(), &secret()));
    assert_eq!(welsh.dialogue.party(), &Party::Stranger);
    welsh.say(&proof(&hello, &answer), at(1));
    assert_eq!(welsh.dialogue.party(), &Party::Peer(0));
    assert_eq!(welsh.written(), "WELCOME\n");
    // Without a secret it tells no more.
    let node = node_of(vec![neighbour("Welsh", None).0], false, None);
    let (_welsh, answer) = begin(&node, &hello_line(|hello| hello));
    let theirs = Hello::parse(&answer).unwrap();
    assert_eq!((theirs.incarnation, theirs.nonce, theirs.proof), (0, None, None));
}

#[test]
fn incarnation_that_counts_is_the_one_that_is_proved() {
    let node = node_with_secret();
    // What the first line says of it is neither proved nor taken.
    let hello = hello_line(|hello| Hello { nonce: Some(NONCE), incarnation: 99, ..hello });
    let (mut first, answer) = begin(&node, &hello);
    first.say(&proof(&hello, &answer), at(0));
    let (mut second, answer) = begin(&node, &hello);
    let good = String::from_utf8(proof(&hello, &answer)).unwrap();
    let other = good.replace(&format!("{INCARNATION:016x}"), &format!("{:016x}", 99));
    let refused = Closing::Refused(Box::new(Refusal::WrongProof));
    assert_eq!(second.say(other.as_bytes(), at(1)), Next::Close(refused));
    // The same start takes its own place.
    let (mut again, answer) = begin(&node, &hello);
    again.say(&proof(&hello, &answer), at(2));
    assert_eq!(again.dialogue.party(), &Party::Peer(0));
}

#[test]
fn peer_that_speaks_version_3_is_answered_in_2_and_one_that_is_made_to_speak_less_is_found_out() {
    let offered = hello_line(|hello| Hello { version: 3, nonce: Some(NONCE), ..hello });
    let offered = [&offered[..], b" and what 3 adds"].concat();
    let (mut welsh, answer) = begin(&node_with_secret(), &offered);
    assert_eq!(Hello::parse(&answer).unwrap().version, 2);
    welsh.say(&proof(&offered, &answer), at(1));
    assert_eq!(welsh.dialogue.party(), &Party::Peer(0));
    // Somebody between the two has lowered what was offered, so the proofs are over different lines.
    let lowered = hello_line(|hello| Hello { nonce: Some(NONCE), ..hello });
    let (mut welsh, answer) = begin(&node_with_secret(), &lowered);
    let theirs = Hello::parse(&answer).unwrap();
    assert!(!Transcript::new(Channel::Plain, &offered, &answer).is_proved(&theirs.proof.unwrap(), &secret()));
    let refused = Closing::Refused(Box::new(Refusal::WrongProof));
    assert_eq!(welsh.say(&proof(&offered, &answer), at(1)), Next::Close(refused));
}

#[test]
fn peer_that_forgets_sooner_or_later_is_refused_with_its_cure() {
    let node = node_of(vec![neighbour("Welsh", None).0], false, None);
    let (mut welsh, said) = begin(&node, &hello_line(|hello| Hello { forget_after: Some(3600), ..hello }));
    let why = "Alford keeps locations for ever and Welsh for 3600 s; give both the same forget_after";
    assert_eq!(String::from_utf8(said).unwrap(), format!("REFUSED {why}"));
    let Next::Close(Closing::Refused(refusal)) = welsh.drive(at(0)) else { panic!() };
    let Refusal::OtherRetention { ours, theirs, .. } = *refusal else { panic!("{refusal}") };
    assert_eq!((ours, theirs), (Retention(None), Retention(Some(3600))));
}
