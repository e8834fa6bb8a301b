//! The link's own rules: when it dials, pings, gives up and starts a round.

use std::sync::Arc;

use super::*;
use crate::core::{
    access::{Secret, SecretKey},
    links::{Outbox, outbox},
    model::NodeId,
    store::Placement,
    wire::{End, Role, Transcript},
};

/// What a node is configured with unless it is told otherwise.
fn times() -> LinkTimes {
    LinkTimes::default()
}

fn ms(ms: u64) -> Tick {
    Tick::from_millis(ms)
}

const NONCE: Nonce = Nonce::of_bytes([0xaa; Nonce::BYTES]);

/// Random bits that make a wait just short of its bound.
const LONGEST: u64 = u64::MAX;

struct Bench {
    link: Link,
    outbox: Outbox,
    store: Store,
}

impl Bench {
    fn new() -> Self {
        Self::with(None)
    }

    fn with(secret: Option<Arc<Secret>>) -> Self {
        let id = |name| NodeId::new(name).unwrap();
        let ends = Ends { herd: "test".into(), id: id("A"), peer: id("B"), incarnation: 1, check: 9, secret };
        let (outbox, queue) = outbox(1000);
        let store = Store::new(Placement::of_herd("test"), 10);
        Self { link: Link::new(ends, times(), queue), outbox, store }
    }

    fn next(&mut self, now: u64) -> (Result<Next, Broken>, String) {
        let mut out = Vec::new();
        let next = self.link.next(ms(now), &self.store, &mut out);
        (next, String::from_utf8(out).unwrap())
    }

    fn hear(&mut self, now: u64, line: &str) -> Result<Heard, Broken> {
        self.link.hear(line.as_bytes(), ms(now), || 0, &self.store)
    }

    fn greet(&mut self, now: u64) {
        let mut out = Vec::new();
        self.link.connected(ms(now), NONCE, &self.store, &mut out);
        assert_eq!(out, b"HELLO 1 test A B 0000000000000001 0000000000000009\n");
    }

    #[track_caller]
    fn link_up(&mut self, now: u64) {
        self.greet(now);
        let heard = self.hear(now, "HELLO 1 test B A 0000000000000002 0000000000000009");
        assert_eq!(heard, Ok(Heard::Linked));
    }

    /// Goes through a round in which nothing differs.
    #[track_caller]
    fn round(&mut self, now: u64, number: u64) {
        assert_eq!(self.next(now), (Ok(Next::Write { news: 0 }), "SUM\n".into()));
        assert_eq!(self.hear(now, "SUM 0000000000000000"), Ok(Heard::Nothing));
        assert_eq!(self.next(now), (Ok(Next::Write { news: 0 }), format!("DONE {number}\n")));
        let heard = self.hear(now, &format!("DONE {number}"));
        assert!(
            matches!(heard, Ok(Heard::Round(over)) if over.number == number && over.differing == 0),
            "{heard:?}"
        );
    }

    #[track_caller]
    fn expect_rest(&mut self, now: u64, until: u64) {
        assert_eq!(self.next(now), (Ok(Next::Rest(ms(until))), String::new()));
    }
}

fn wait_after_failure(bench: &mut Bench, now: u64) -> u128 {
    bench.link.lost(ms(now), LONGEST);
    let (Ok(Next::Rest(until)), _) = bench.next(now) else { panic!() };
    (until - ms(now)).as_millis() + 1
}

#[test]
fn link_dials_at_once_then_with_doubling_waits() {
    let mut bench = Bench::new();
    assert_eq!(bench.next(0).0, Ok(Next::Dial));
    assert_eq!(wait_after_failure(&mut bench, 0), 100);
    assert_eq!(bench.next(100).0, Ok(Next::Dial));
    assert_eq!(wait_after_failure(&mut bench, 0), 200);
}

#[test]
fn only_a_good_connection_resets_the_wait() {
    let mut bench = Bench::new();
    (0..6).for_each(|_| bench.link.lost(ms(0), LONGEST));
    bench.link_up(0);
    assert_eq!(wait_after_failure(&mut bench, 9_999), 5000);
    bench.link_up(20_000);
    assert_eq!(wait_after_failure(&mut bench, 30_000), 100);
}

#[test]
fn a_call_from_the_neighbour_ends_the_wait() {
    let mut bench = Bench::new();
    wait_after_failure(&mut bench, 0);
    bench.link.neighbour_called(ms(10));
    assert_eq!(bench.next(10).0, Ok(Next::Dial));
}

#[test]
fn handshake_that_is_not_answered_in_time_is_given_up() {
    let mut bench = Bench::new();
    bench.greet(0);
    assert_eq!(bench.next(0).0, Ok(Next::Listen(ms(2000))));
    assert_eq!(bench.next(2000).0, Err(Broken::NoGreeting(times().greeting)));
    assert!(!bench.link.is_up());
}

#[test]
fn a_round_follows_the_handshake_and_then_the_timer() {
    let mut bench = Bench::new();
    bench.link_up(0);
    bench.round(0, 1);
    bench.expect_rest(0, 1000);
    // Pings go on meanwhile; with the least random bits the timer is at three quarters of its time.
    for now in (1000..22_500).step_by(1000) {
        let number = now / 1000;
        assert_eq!(bench.next(now).1, format!("PING {number}\n"));
        assert_eq!(bench.hear(now + 3, &format!("PONG {number}")), Ok(Heard::Pong(ms(3))));
    }
    bench.expect_rest(22_010, 22_500);
    bench.round(22_500, 2);
}

#[test]
fn a_mark_starts_a_round_but_not_too_soon_after_the_last() {
    let mut bench = Bench::new();
    bench.link_up(0);
    bench.round(0, 1);
    bench.outbox.mark_behind();
    bench.expect_rest(10, 1000);
    assert!(!bench.link.is_quiet());
    assert_eq!(bench.next(1000).1, "PING 1\nSUM\n");
    // A mark set during a round starts another.
    bench.outbox.mark_behind();
    bench.hear(1001, "PONG 1").unwrap();
    bench.hear(1400, "SUM 0000000000000000").unwrap();
    assert_eq!(bench.next(1400).1, "DONE 2\n");
    let Ok(Heard::Round(over)) = bench.hear(2000, "DONE 2") else { panic!() };
    assert_eq!((over.took, over.in_step), (ms(1000), false));
    // The round took a second, so the next is due two after it began.
    assert_eq!(bench.next(2000).1, "PING 2\n");
    bench.hear(2001, "PONG 2").unwrap();
    bench.expect_rest(2999, 3000);
    assert_eq!(bench.next(3000).1, "PING 3\nSUM\n");
}

#[test]
fn news_goes_before_repair_and_in_pieces() {
    let mut bench = Bench::new();
    bench.link_up(0);
    bench.outbox.offer(&b"AT news\n"[..].into());
    assert_eq!(bench.next(0), (Ok(Next::Write { news: 8 }), "AT news\nSUM\n".into()));
    bench.outbox.offer(&b"AT more\n"[..].into());
    assert_eq!(bench.next(0), (Ok(Next::Write { news: 8 }), "AT more\n".into()));
    assert_eq!(bench.next(0).0, Ok(Next::Listen(ms(1000))));
}

#[test]
fn a_neighbour_that_owes_an_answer_is_gone_after_the_liveness_time() {
    let mut bench = Bench::new();
    bench.link_up(0);
    bench.round(0, 1);
    assert_eq!(bench.next(1000).1, "PING 1\n");
    assert_eq!(bench.link.pinged_at(), Some(ms(1000)));
    assert!(matches!(bench.next(4950).0, Ok(Next::Rest(until)) if until == ms(5000)));
    assert_eq!(bench.next(5000).0, Err(Broken::Silent(times().liveness)));
    // One that owes nothing may be silent: this node was away itself.
    bench.link.lost(ms(5000), 0);
    bench.link_up(5000);
    bench.round(5000, 1);
    assert_eq!(bench.next(60_000).1, "PING 1\nSUM\n");
    assert_eq!(bench.next(60_000).0, Ok(Next::Listen(ms(64_000))));
}

#[test]
fn the_answer_to_a_ping_is_looked_for_ever_less_often() {
    let mut bench = Bench::new();
    bench.link_up(0);
    bench.round(0, 1);
    assert_eq!(bench.next(1000).1, "PING 1\n");
    for (now, until) in [(1000, 1001), (1001, 1002), (1002, 1004), (1004, 1008), (1128, 1228), (1228, 1328)] {
        bench.expect_rest(now, until);
    }
}

#[test]
fn answers_to_nothing_break_the_link() {
    for line in ["PONG 1", "DONE 1", "? AT", "", "SUM 0", "SHARDS 0000000000000000"] {
        let mut bench = Bench::new();
        bench.link_up(0);
        assert_eq!(bench.next(0).1, "SUM\n");
        assert_eq!(bench.hear(0, line), Err(Broken::Nonsense), "{line}");
    }
}

#[test]
fn a_stopping_link_writes_what_is_queued_and_begins_nothing() {
    let mut bench = Bench::new();
    bench.link_up(0);
    bench.outbox.offer(&b"AT news\n"[..].into());
    bench.link.stop();
    assert_eq!(bench.next(0), (Ok(Next::Write { news: 8 }), "AT news\n".into()));
    assert_eq!(bench.next(0), (Ok(Next::Flushed), String::new()));
}

#[test]
fn nothing_is_queued_before_the_handshake_or_after_a_loss() {
    let mut bench = Bench::new();
    let batch = b"AT news\n"[..].into();
    bench.greet(0);
    assert_eq!(bench.outbox.offer(&batch), crate::core::links::Offer::Down);
    bench.link_up(0);
    assert_eq!(bench.outbox.offer(&batch), crate::core::links::Offer::Queued);
    bench.link.lost(ms(0), 0);
    assert_eq!(bench.outbox.offer(&batch), crate::core::links::Offer::Down);
}

fn secret(byte: u8) -> Arc<Secret> {
    Arc::new(Secret::new(SecretKey::of_bytes([byte; 32]), [0; 16]))
}

/// What B's answer is made of, and what both ends prove.
fn transcript() -> Transcript<'static> {
    let theirs = Nonce::of_bytes([0xbb; Nonce::BYTES]);
    Transcript {
        herd: b"test",
        dialler: End { id: b"A", incarnation: 1, nonce: NONCE },
        acceptor: End { id: b"B", incarnation: 2, nonce: theirs },
        check: 9,
    }
}

const PLAIN: &str = "HELLO 1 test B A 0000000000000002 0000000000000009";

fn answer(role: Role, secret: &Secret) -> String {
    format!("{PLAIN} {} {}", "bb".repeat(16), transcript().prove(role, secret))
}

impl Bench {
    fn greet_with_secret(&mut self, now: u64) {
        let mut out = Vec::new();
        self.link.connected(ms(now), NONCE, &self.store, &mut out);
        let hello = format!("HELLO 1 test A B 0000000000000001 0000000000000009 {}\n", "aa".repeat(16));
        assert_eq!(String::from_utf8(out).unwrap(), hello);
    }
}

#[test]
fn link_with_a_secret_proves_it_once_the_neighbour_has_and_is_up_when_it_is_welcome() {
    let secret = secret(7);
    let mut bench = Bench::with(Some(Arc::clone(&secret)));
    bench.greet_with_secret(0);
    assert_eq!(bench.next(0).0, Ok(Next::Listen(ms(2000))));
    assert_eq!(bench.hear(1, &answer(Role::Accept, &secret)), Ok(Heard::Nothing));
    let proof = format!("PROOF {}\n", transcript().prove(Role::Dial, &secret));
    assert_eq!(bench.next(1), (Ok(Next::Write { news: 0 }), proof));
    assert_eq!(bench.next(1), (Ok(Next::Listen(ms(2000))), String::new()));
    assert!(!bench.link.is_up());
    assert_eq!(bench.outbox.offer(&b"AT news\n"[..].into()), crate::core::links::Offer::Down);
    assert_eq!(bench.hear(2, "WELCOME"), Ok(Heard::Linked));
    assert_eq!(bench.outbox.offer(&b"AT news\n"[..].into()), crate::core::links::Offer::Queued);
}

#[test]
fn link_with_a_secret_says_nothing_more_to_who_does_not_prove_it() {
    let (good, other) = (secret(7), secret(8));
    for (answer, why) in [
        (PLAIN.to_owned(), Refusal::ProvesNothing),
        (format!("{PLAIN} {}", "bb".repeat(16)), Refusal::ProvesNothing),
        (answer(Role::Accept, &other), Refusal::ItsProof),
        (answer(Role::Dial, &good), Refusal::ItsProof),
        (answer(Role::Accept, &good).replace("bbbb", "bbcc"), Refusal::ItsProof),
        (answer(Role::Accept, &good).replace("00000002 ", "00000003 "), Refusal::ItsProof),
        (answer(Role::Accept, &good).replace("00000009 ", "00000008 "), Refusal::ItsPlacement),
        (answer(Role::Accept, &good).replace("HELLO 1", "HELLO 0"), Refusal::Version { theirs: 0, ours: 1 }),
    ] {
        let mut bench = Bench::with(Some(Arc::clone(&good)));
        bench.greet_with_secret(0);
        let Err(Broken::Stranger(told)) = bench.hear(0, &answer) else { panic!("{answer}") };
        assert_eq!(told, why);
        assert_eq!(bench.next(0), (Ok(Next::Listen(ms(2000))), String::new()));
    }
}

#[test]
fn link_without_a_secret_does_not_take_who_has_one() {
    let mut bench = Bench::new();
    bench.greet(0);
    let heard = bench.hear(0, &answer(Role::Accept, &secret(7)));
    assert_eq!(heard, Err(Broken::Stranger(Refusal::OnlyItHasSecret)));
}

#[test]
fn nothing_but_a_welcome_makes_up_for_a_proof() {
    for (line, refused) in [("WELCOME 1", false), ("PONG 1", false), (PLAIN, false), ("REFUSED why", true)] {
        let secret = secret(7);
        let mut bench = Bench::with(Some(Arc::clone(&secret)));
        bench.greet_with_secret(0);
        bench.hear(0, &answer(Role::Accept, &secret)).unwrap();
        // Not before the proof was written either.
        assert_eq!(bench.hear(0, "WELCOME"), Err(Broken::Nonsense));
        bench.next(0).0.unwrap();
        let broken = if refused { Broken::Refused("why".into()) } else { Broken::Nonsense };
        assert_eq!(bench.hear(0, line), Err(broken), "{line}");
        assert_eq!(bench.next(2000).0, Err(Broken::NoGreeting(times().greeting)));
    }
}
