//! Dialogues without sockets: what is answered, what is waited for and how long, and what memory is given back.

use std::sync::Arc;

use super::{execute::REPLIES_BYTES_MAX, *};
use crate::core::{
    access::{Refusal, Secret, SecretKey},
    links::{Health, Queue, outbox},
    model::{NodeId, Timestamp},
    node::{LookupRules, Options, ReportLimits, Subscribers},
    store::Placement,
    wire::{Form, Hello, Invalid, Line, Nonce, OtherProtocol, PlainFault, PlainForm},
};

mod commit;
mod forgetting;
mod handshake;
mod memory;
mod plain;
mod quotas;
mod tls;
mod tokens;

const TIMES: Times = Times {
    idle: Duration::from_secs(100),
    line: Duration::from_secs(10),
    handshake: Duration::from_secs(1),
    liveness: Duration::from_secs(5),
};

const fn at(milliseconds: u64) -> Tick {
    Duration::from_millis(milliseconds)
}

fn now(tick: Tick) -> Now {
    Now { wall: Timestamp::new(1_479_413_884, 0), tick }
}

/// Counts its calls, and keeps memory that it can be asked to give back.
#[derive(Default)]
struct Ear {
    lines: usize,
    /// Of those, lines refused because of a quota.
    over_quota: usize,
    given_back: usize,
    /// What the dialogue says that it holds.
    held: usize,
    /// Whether all connections together hold too much.
    is_crowded: bool,
}

impl Host for Ear {
    fn nonce(&mut self) -> Result<Nonce, String> {
        Ok(Nonce::of_bytes([3; Nonce::BYTES]))
    }

    fn said(&mut self, _line: Line<'_>, _party: &Party, reply: &Reply<'_>) {
        self.lines += 1;
        self.over_quota += usize::from(*reply == Reply::Invalid(Invalid::OverQuota));
    }

    fn looked(&mut self, _looked: &Looked, _document: &[u8]) {}

    fn give_back(&mut self) {
        self.given_back += 1;
    }

    fn holds(&mut self, bytes: usize) -> bool {
        self.held = bytes;
        self.is_crowded
    }
}

/// What a driver does, as words, and what it has written.
struct Driven {
    dialogue: Dialogue<Arc<Node>>,
    ear: Ear,
    did: Vec<&'static str>,
    written: Vec<u8>,
}

fn neighbour(id: &str, plain: Option<PlainForm>) -> (Neighbour, Queue) {
    let (outbox, queue) = outbox(1 << 20);
    let (id, called) = (NodeId::new(id).unwrap(), crossbeam_channel::bounded(1).0);
    (Neighbour { id, outbox, called, plain, health: Health::default() }, queue)
}

/// Of a node without neighbours.
fn options() -> Options {
    Options {
        herd: "test".to_owned(),
        placement: Placement::of_herd("test"),
        secret: None,
        id: NodeId::new("Alford").unwrap(),
        incarnation: 1,
        forget_after: None,
        reports: ReportLimits { max_clients: 10, ..ReportLimits::NONE },
        liveness: TIMES.liveness,
        neighbours: Vec::new(),
        subscribers: Subscribers::default(),
        lookups: Some(LookupRules { form: Form::PLACES, may_wait: false }),
    }
}

fn node_of(neighbours: Vec<Neighbour>, may_wait: bool, secret: Option<Arc<Secret>>) -> Arc<Node> {
    let lookups = Some(LookupRules { form: Form::PLACES, may_wait });
    Arc::new(Node::new(Options { neighbours, secret, lookups, ..options() }))
}

fn hello(from: &str, incarnation: u64) -> Vec<u8> {
    let (from, to) = (NodeId::new(from).unwrap(), NodeId::new("Alford").unwrap());
    let mut line = Vec::new();
    let hello = Hello::new("test", &from, &to, Placement::of_herd("test").check());
    Hello { incarnation, ..hello }.write(&mut line);
    line
}

impl Driven {
    fn new(node: &Arc<Node>, opening: Opening, number: u64) -> Self {
        let dialogue = Dialogue::new(Arc::clone(node), opening, (TIMES, 512), number, at(0));
        Self { dialogue, ear: Ear::default(), did: Vec::new(), written: Vec::new() }
    }

    fn client(node: &Arc<Node>) -> Self {
        Self::new(node, Opening::Common { is_kept: false }, 1)
    }

    fn peer(node: &Arc<Node>, incarnation: u64, number: u64, tick: Tick) -> (Self, Next) {
        let mut driven = Self::new(node, Opening::Common { is_kept: false }, number);
        let next = driven.say(&hello("Welsh", incarnation), tick);
        (driven, next)
    }

    /// Sends something, and drives until the dialogue waits or closes.
    fn say(&mut self, mut bytes: &[u8], tick: Tick) -> Next {
        while !bytes.is_empty() {
            let space = self.dialogue.space();
            let (read, rest) = bytes.split_at(bytes.len().min(space.len()));
            space[..read.len()].copy_from_slice(read);
            self.dialogue.received(read.len(), now(tick));
            bytes = rest;
            let next = self.drive(tick);
            if bytes.is_empty() || matches!(next, Next::Rest(..) | Next::Close(_)) {
                return next;
            }
        }
        self.drive(tick)
    }

    fn drive(&mut self, tick: Tick) -> Next {
        loop {
            let next = self.dialogue.next(tick, &mut self.ear);
            let is_asked_again =
                !matches!(next, Next::Joined(_) | Next::Wait(_) | Next::Secure(_) | Next::Close(_));
            assert!(
                !is_asked_again || self.dialogue.next(tick, &mut self.ear) == next,
                "it says the same again"
            );
            match next {
                Next::Wait(_) | Next::Secure(_) | Next::Rest(..) | Next::Close(_) => return next,
                Next::Joined(_) => self.did.push("joined"),
                Next::Offer => {
                    self.did.push("offer");
                    self.dialogue.offer(|_| {});
                }
                Next::Commit => {
                    self.did.push("commit");
                    self.dialogue.committed();
                }
                Next::Write => {
                    self.did.push("write");
                    self.written.extend_from_slice(self.dialogue.replies());
                    self.dialogue.wrote();
                }
                Next::Look(_) => {
                    self.did.push("look");
                    self.dialogue.document().extend_from_slice(b"{}");
                    self.dialogue.looked(Looked { results: 0, is_failed: false }, &mut self.ear);
                }
            }
        }
    }

    fn written(&mut self) -> String {
        String::from_utf8(mem::take(&mut self.written)).unwrap()
    }
}

const AT: &str = "AT Alford +0.000000000 kiwi +1+1 1479413884\n";

#[test]
fn batch_is_offered_before_it_is_acknowledged() {
    let mut client = Driven::client(&node_of(Vec::new(), false, None));
    client.say(b"IAMAT kiwi +1+1 1479413884\n? ?\n", at(5));
    assert_eq!(client.did, ["offer", "write"]);
    assert_eq!(client.written(), format!("{AT}? ? ?\n"));
}

#[test]
fn what_is_owed_leaves_before_a_lookup_that_may_wait_and_with_one_that_does_not() {
    let lines = b"IAMAT kiwi +1+1 1479413884\nWHATSAT kiwi 1 1\nWHATSAT kiwi 1 1\nWHATSAT kiwi 1 1\r\n";
    let near = format!("{AT}{{}}\n\n");
    for (may_wait, did) in [
        (
            true,
            &["offer", "write", "look", "offer", "write", "look", "offer", "write", "look", "offer", "write"]
                [..],
        ),
        (false, &["look", "look", "look", "offer", "write"][..]),
    ] {
        let mut client = Driven::client(&node_of(Vec::new(), may_wait, None));
        client.say(lines, at(5));
        assert_eq!(client.did, did);
        let last = near.replace('\n', "\r\n");
        assert_eq!(client.written(), format!("{AT}{near}{near}{last}"));
    }
}

#[test]
fn batch_is_closed_early_where_much_is_owed() {
    let mut client = Driven::client(&node_of(Vec::new(), false, None));
    client.say(b"IAMAT kiwi +1+1 1479413884\n", at(1));
    client.did.clear();
    // Read at once, as on a connection that has been busy.
    let line = b"x".repeat(500);
    let lines = [&line[..], b"\n"].concat().repeat(3 * REPLIES_BYTES_MAX / 500);
    client.say(&lines, at(2));
    let most = client.did.iter().filter(|did| **did == "write").count();
    assert!(client.written.len() / most <= REPLIES_BYTES_MAX + 504, "{} in {most}", client.written.len());
    assert_eq!(client.ear.lines, 1 + 3 * REPLIES_BYTES_MAX / 500);
}

#[test]
fn silence_is_given_up_after_its_own_time() {
    let node = node_of(vec![neighbour("Welsh", None).0], false, None);
    let mut client = Driven::client(&node);
    assert_eq!(client.drive(at(0)), Next::Wait(at(100_000)));
    assert_eq!(client.say(b"IAMAT kiwi +1", at(2_000)), Next::Wait(at(12_000)));
    assert_eq!(
        client.say(b"+1", at(3_000)),
        Next::Wait(at(12_000)),
        "a line's time begins with its first byte"
    );
    assert_eq!(client.drive(at(12_000)), Next::Close(Closing::SlowLine(TIMES.line)));

    let mut idle = Driven::client(&node);
    assert_eq!(idle.say(b"\n", at(1)), Next::Wait(at(100_001)));
    assert_eq!(idle.drive(at(100_001)), Next::Close(Closing::Idle(TIMES.idle)));

    let (mut peer, next) = Driven::peer(&node, 7, 2, at(10));
    assert_eq!(next, Next::Wait(at(5_010)));
    assert_eq!(peer.say(b"PING 1\n", at(4_000)), Next::Wait(at(9_000)));
    assert_eq!(peer.drive(at(9_000)), Next::Close(Closing::SilentPeer(TIMES.liveness)));
}

#[test]
fn seat_that_is_kept_for_peers_must_be_earned() {
    let node = node_of(vec![neighbour("Welsh", None).0], false, None);
    let kept = || Driven::new(&node, Opening::Common { is_kept: true }, 1);
    let mut silent = kept();
    assert_eq!(silent.drive(at(0)), Next::Wait(at(1_000)));
    assert_eq!(silent.drive(at(1_000)), Next::Close(Closing::NoHandshake));
    let mut client = kept();
    assert_eq!(client.say(b"IAMAT kiwi +1+1 1479413884\n", at(5)), Next::Close(Closing::NoHandshake));
    assert_eq!((client.written().as_str(), node.store().len()), ("", 0));
    let mut peer = kept();
    assert!(matches!(peer.say(&hello("Welsh", 7), at(5)), Next::Wait(_)));
    assert_eq!(peer.dialogue.party(), &Party::Peer(0));
}

#[test]
fn peer_that_goes_on_speaking_is_not_replaced_by_another_of_its_name() {
    let node = node_of(vec![neighbour("Welsh", None).0], false, None);
    let (mut first, _) = Driven::peer(&node, 7, 1, at(0));
    assert_eq!(first.did, ["joined", "offer", "write"]);
    first.say(b"PING 1\n", at(4_000));
    let silence = at(3_000);
    let refused = Refusal::NameInUse { id: NodeId::new("Welsh").unwrap(), silence };
    let (mut second, next) = Driven::peer(&node, 8, 2, at(7_000));
    assert_eq!(next, Next::Close(Closing::Refused(Box::new(refused))));
    assert!(second.written().starts_with("REFUSED another Welsh was heard from 3s ago"));
    // Its end has not freed the first one's name.
    drop(second);
    assert!(node.neighbours()[0].health.condition(at(7_000)).is_connected_here);
    drop(first);
    assert!(!node.neighbours()[0].health.condition(at(7_000)).is_connected_here);
    let (third, next) = Driven::peer(&node, 9, 3, at(7_000));
    assert!(matches!(next, Next::Wait(_)) && third.dialogue.party() == &Party::Peer(0));
}

#[test]
fn peer_that_takes_what_it_asked_for_lives_and_has_its_time_again_and_a_client_has_not() {
    let node = node_of(vec![neighbour("Welsh", None).0], false, None);
    let (mut peer, _) = Driven::peer(&node, 7, 1, at(0));
    assert!(!peer.dialogue.took_some(at(1_000)), "nothing is being written");
    peer.dialogue.space()[..6].copy_from_slice(b"SUM 0\n");
    peer.dialogue.received(6, now(at(1_000)));
    assert_eq!(peer.dialogue.next(at(1_000), &mut peer.ear), Next::Offer);
    peer.dialogue.offer(|_| {});
    assert!(peer.dialogue.took_some(at(4_000)));
    peer.dialogue.wrote();
    assert_eq!(peer.drive(at(8_999)), Next::Wait(at(9_000)));
    // Nor does another process of its name take its place.
    assert!(matches!(Driven::peer(&node, 8, 2, at(8_999)).1, Next::Close(Closing::Refused(_))));
    assert!(matches!(Driven::peer(&node, 9, 3, at(9_000)).1, Next::Wait(_)));

    let mut client = Driven::client(&node);
    client.dialogue.space()[..1].copy_from_slice(b"\n");
    client.dialogue.received(1, now(at(0)));
    client.dialogue.next(at(0), &mut client.ear);
    client.dialogue.offer(|_| {});
    assert_eq!(client.dialogue.next(at(0), &mut client.ear), Next::Write);
    assert!(!client.dialogue.took_some(at(1_000)));
}

#[test]
fn flooder_is_told_once_the_answer_to_the_handshake_is_written() {
    let (mut welsh, _queue) = neighbour("Welsh", None);
    let (called, calls) = crossbeam_channel::bounded(1);
    welsh.called = called;
    let node = node_of(vec![welsh], false, None);
    let mut peer = Driven::new(&node, Opening::Common { is_kept: false }, 1);
    let line = hello("Welsh", 7);
    peer.dialogue.space()[..line.len()].copy_from_slice(&line);
    peer.dialogue.received(line.len(), now(at(0)));
    assert!(matches!(peer.dialogue.next(at(0), &mut peer.ear), Next::Joined(_)));
    assert_eq!(peer.dialogue.next(at(0), &mut peer.ear), Next::Offer);
    peer.dialogue.offer(|_| {});
    assert_eq!(peer.dialogue.next(at(0), &mut peer.ear), Next::Write);
    assert!(calls.is_empty());
    peer.dialogue.wrote();
    assert_eq!(calls.len(), 1);
}

#[test]
fn without_a_proof_nobody_is_let_in_and_time_is_short() {
    let secret = Arc::new(Secret::new(SecretKey::of_bytes([1; 32]), [2; 16]));
    let node = node_of(vec![neighbour("Welsh", None).0], false, Some(secret));
    let line = handshake::hello_with_nonce();
    let stranger = || {
        let mut stranger = Driven::new(&node, Opening::Common { is_kept: false }, 1);
        assert_eq!(stranger.say(&line, at(100)), Next::Wait(at(1_100)));
        assert_eq!(stranger.did, ["offer", "write"]);
        stranger
    };
    assert_eq!(stranger().drive(at(1_100)), Next::Close(Closing::NoProof(TIMES.handshake)));
    let mut wrong = stranger();
    let proof = format!("PROOF {} {:016x}\nIAMAT kiwi +1+1 1479413884\n", "0b".repeat(32), 7);
    assert_eq!(
        wrong.say(proof.as_bytes(), at(200)),
        Next::Close(Closing::Refused(Box::new(Refusal::WrongProof)))
    );
    assert_eq!((wrong.dialogue.party(), node.store().len()), (&Party::Stranger, 0));
    let mut half = stranger();
    half.dialogue.ended(now(at(300)));
    assert_eq!(half.drive(at(300)), Next::Close(Closing::EndedUnproved));
}

#[test]
fn third_party_node_is_known_by_its_address_or_by_its_name() {
    let form = Some(PlainForm::default());
    let node = node_of(vec![neighbour("Welsh", form.clone()).0, neighbour("Ball", form).0], false, None);
    let one = Driven::new(&node, Opening::Plain(vec![1]), 1);
    assert_eq!(one.dialogue.party(), &Party::Plain(Some(1)));
    let mut of_two = Driven::new(&node, Opening::Plain(vec![0, 1]), 2);
    assert_eq!(of_two.dialogue.party(), &Party::Plain(None));
    of_two.say(b"AT X +0.000000001 kiwi +1+1 1\nAT X +0.000000001 kiwi +1+1 2 Welsh\n", at(1));
    assert_eq!((of_two.dialogue.party(), node.store().len()), (&Party::Plain(Some(0)), 1));
    assert_eq!((of_two.written().as_str(), of_two.ear.lines), ("", 2));
}

#[test]
fn what_is_stored_is_offered_though_the_dialogue_is_dropped_in_the_middle() {
    let (welsh, queue) = neighbour("Welsh", None);
    let node = node_of(vec![welsh], false, None);
    queue.open();
    let mut client = Driven::client(&node);
    let lines = b"IAMAT kiwi +1+1 1479413884\nWHATSAT kiwi 1 1\n";
    client.dialogue.space()[..lines.len()].copy_from_slice(lines);
    client.dialogue.received(lines.len(), now(at(1)));
    assert!(matches!(client.dialogue.next(at(1), &mut client.ear), Next::Look(_)));
    assert!(queue.take().is_err());
    drop(client);
    assert!(queue.take().unwrap().ends_with(b"1479413884 Alford\n"));
}

#[test]
fn session_that_panics_leaves_its_link_to_the_next_start_of_the_neighbour() {
    struct Faulty;
    impl Host for Faulty {
        fn nonce(&mut self) -> Result<Nonce, String> {
            Err("none".to_owned())
        }
        fn said(&mut self, _line: Line<'_>, _party: &Party, _reply: &Reply<'_>) {
            panic!("a fault of the host");
        }
        fn looked(&mut self, _looked: &Looked, _document: &[u8]) {}
    }
    let node = node_of(vec![neighbour("Welsh", None).0], false, None);
    let (mut peer, _) = Driven::peer(&node, 7, 1, at(0));
    let session = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        peer.dialogue.space()[..7].copy_from_slice(b"PING 1\n");
        peer.dialogue.received(7, now(at(1)));
        peer.dialogue.next(at(1), &mut Faulty)
    }));
    assert!(session.is_err());
    assert!(!node.neighbours()[0].health.condition(at(1)).is_connected_here);
    assert!(matches!(Driven::peer(&node, 8, 2, at(1)).1, Next::Wait(_)));
}

#[test]
fn answers_to_what_was_not_asked_change_nothing() {
    let secret = Arc::new(Secret::new(SecretKey::of_bytes([1; 32]), [2; 16]));
    let node = node_of(vec![neighbour("Welsh", None).0], false, Some(secret));
    let mut refused = Driven::client(&node);
    let line = hello("Welsh", 7);
    refused.dialogue.space()[..line.len()].copy_from_slice(&line);
    refused.dialogue.received(line.len(), now(at(1)));
    let asked = refused.dialogue.next(at(1), &mut refused.ear);
    assert_eq!(asked, Next::Offer);
    refused.dialogue.wrote();
    refused.dialogue.looked(Looked { results: 0, is_failed: false }, &mut refused.ear);
    refused.dialogue.received(0, now(at(2)));
    refused.dialogue.ended(now(at(2)));
    assert_eq!(refused.dialogue.next(at(2), &mut refused.ear), asked);
    assert!(matches!(refused.drive(at(2)), Next::Close(Closing::Refused(_))));
    refused.dialogue.offer(|_| {});
    refused.dialogue.received(0, now(at(3)));
    assert!(matches!(refused.drive(at(3)), Next::Close(Closing::Refused(_))));
    // The door decides whose it is, not the number of nodes it may belong to.
    assert_eq!(Driven::new(&node, Opening::Plain(Vec::new()), 2).dialogue.party(), &Party::Plain(None));
}

#[test]
fn another_protocol_ends_the_connection_once_the_blank_lines_before_are_answered() {
    let node = node_of(Vec::new(), false, None);
    let http = Closing::OtherProtocol(OtherProtocol::Http);
    for pieces in [&["\n\nGET / HTTP/1.1\r\n"][..], &["\n", "\nGET / HTTP/1.1", "\r\nIAMAT kiwi +1+1 1\n"]] {
        let mut browser = Driven::client(&node);
        let said: Vec<Next> = pieces.iter().map(|piece| browser.say(piece.as_bytes(), at(1))).collect();
        assert_eq!(said.last(), Some(&Next::Close(http.clone())), "{pieces:?}");
        assert_eq!((browser.written().as_str(), node.store().len()), ("? \n? \n", 0));
    }
}

#[test]
fn last_line_needs_no_terminator_and_half_a_handshake_is_none() {
    let node = node_of(vec![neighbour("Welsh", None).0], false, None);
    let mut client = Driven::client(&node);
    client.say(b"IAMAT kiwi +1+1 1479413884\nWHATSAT kiwi 1 1", at(1));
    client.dialogue.ended(now(at(2)));
    assert_eq!(client.drive(at(2)), Next::Close(Closing::ByPeer));
    assert_eq!(client.written(), format!("{AT}{AT}{{}}\n\n"));

    let mut half = Driven::client(&node);
    let line = hello("Welsh", 7);
    half.say(line.trim_ascii_end(), at(1));
    half.dialogue.ended(now(at(2)));
    assert_eq!(half.drive(at(2)), Next::Close(Closing::ByPeer));
    assert_eq!(half.written(), format!("? {}", String::from_utf8(line).unwrap()));

    let (mut peer, _) = Driven::peer(&node, 7, 2, at(1));
    peer.written.clear();
    peer.say(b"PING 1", at(1));
    peer.dialogue.ended(now(at(2)));
    assert_eq!(peer.drive(at(2)), Next::Close(Closing::ByPeer));
    assert_eq!(peer.written(), "", "half a line can be a wrong one");
}
