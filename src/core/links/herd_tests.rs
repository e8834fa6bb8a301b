//! What is said to one of this program's nodes, and when: the handshake, pings, silence and rounds.

use std::sync::Arc;

use super::*;
use crate::core::{
    access::{Secret, SecretKey},
    links::{
        Offer,
        scene_tests::{Bench, NONCE, Next, ends, ms, times},
    },
    model::{ClientId, Generation, Location, Timestamp},
    wire::{Channel, Hello, Prover, Transcript},
};

/// What is reported of `PONG n 1.5` so many milliseconds after its ping.
fn pong(took: u64) -> Event {
    Event::Pong { took: ms(took), time: Timestamp::new(1, 500_000_000) }
}

impl Bench {
    fn new() -> Self {
        Self::with(None)
    }

    fn with(secret: Option<Arc<Secret>>) -> Self {
        Self::of(|queue| super::super::Link::new(ends(secret), times(), queue))
    }

    /// Connects, and returns what is said first.
    #[track_caller]
    fn greet(&mut self, now: u64) {
        self.connect(now);
        let hello = "HELLO 2 test A B 0000000000000001 0000000000000009 - - -\n";
        assert_eq!(self.next(now), (Next::Write { news: 0 }, hello.to_owned()));
    }

    #[track_caller]
    fn link_up(&mut self, now: u64) {
        self.greet(now);
        assert_eq!(self.hear(now, PLAIN), Some(Event::Up));
    }

    /// Goes through a round in which nothing differs.
    #[track_caller]
    fn round(&mut self, now: u64, number: u64) {
        assert_eq!(self.next(now), (Next::Write { news: 0 }, "SUM 0\n".into()));
        assert_eq!(self.hear(now, "SUM 0000000000000000 0"), None);
        assert_eq!(self.next(now), (Next::Write { news: 0 }, format!("DONE {number}\n")));
        let event = self.hear(now, &format!("DONE {number}"));
        assert!(
            matches!(event, Some(Event::Round(over)) if over.number == number && over.differing == 0),
            "{event:?}"
        );
    }

    #[track_caller]
    fn expect_rest(&mut self, now: u64, until: u64) {
        assert_eq!(self.next(now), (Next::Rest(ms(until)), String::new()));
    }

    /// Why the link is given up at that line.
    #[track_caller]
    fn break_by(&mut self, now: u64, line: &str) -> Broken {
        self.hear(now, line);
        self.broken(now)
    }
}

#[test]
fn handshake_that_is_not_answered_in_time_is_given_up() {
    let mut bench = Bench::new();
    bench.greet(0);
    assert_eq!(bench.next(0).0, Next::Listen(ms(2000)));
    assert_eq!(bench.next(2000).0, Next::HangUp);
    assert_eq!(bench.broken(2000), Broken::NoGreeting(times().greeting));
    assert!(!bench.link.is_up());
}

#[test]
fn a_round_follows_the_handshake_and_then_the_timer() {
    let mut bench = Bench::new();
    bench.link_up(0);
    bench.round(0, 1);
    bench.expect_rest(0, 1000);
    // Pings continue meanwhile; with the lowest random bits the timer is at three quarters of its time.
    for now in (1000..22_500).step_by(1000) {
        let number = now / 1000;
        assert_eq!(bench.next(now).1, format!("PING {number}\n"));
        assert_eq!(bench.hear(now + 3, &format!("PONG {number} 1.5")), Some(pong(3)));
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
    assert_eq!(bench.next(1000).1, "SUM 0\nPING 1\n");
    // A mark set during a round starts another.
    bench.outbox.mark_behind();
    bench.hear(1400, "SUM 0000000000000000 0");
    bench.hear(1400, "PONG 1 1.5");
    assert_eq!(bench.next(1400).1, "DONE 2\n");
    let Some(Event::Round(over)) = bench.hear(2000, "DONE 2") else { panic!() };
    assert_eq!((over.took, over.in_step), (ms(1000), false));
    // The round took a second, so the next is due two after it began.
    assert_eq!(bench.next(2000).1, "PING 2\n");
    bench.hear(2001, "PONG 2 1.5");
    bench.expect_rest(2999, 3000);
    assert_eq!(bench.next(3000).1, "SUM 0\nPING 3\n");
}

#[test]
fn round_that_could_not_compare_judges_nothing_and_comes_again() {
    let mut bench = Bench::new();
    bench.link_up(0);
    bench.round(0, 1);
    bench.outbox.mark_behind();
    assert_eq!(bench.next(1000).1, "SUM 0\nPING 1\n");
    assert!(!bench.outbox.is_behind());
    assert_eq!(bench.hear(1000, "SUM - 0"), Some(Event::NotCompared { watermark: 0 }));
    assert_eq!(bench.hear(1000, "PONG 1 1.5"), Some(pong(0)));
    // What was lost is still to be found out, but not at once.
    assert!(bench.outbox.is_behind() && !bench.link.is_quiet());
    bench.expect_rest(1000, 2000);
    assert_eq!(bench.next(2000).1, "SUM 0\nPING 2\n");
    bench.hear(2000, "SUM 0000000000000000 0");
    bench.hear(2000, "PONG 2 1.5");
    assert_eq!(bench.next(2000).1, "DONE 3\n");
    let event = bench.hear(2000, "DONE 3");
    assert!(matches!(event, Some(Event::Round(over)) if over.in_step), "{event:?}");
    assert!(!bench.outbox.is_behind() && bench.link.is_quiet());
}

#[test]
fn first_round_that_could_not_compare_is_followed_by_another_without_a_mark() {
    let mut bench = Bench::new();
    bench.link_up(0);
    assert_eq!(bench.next(0).1, "SUM 0\n");
    assert_eq!(bench.hear(0, "SUM - 60"), Some(Event::NotCompared { watermark: 60 }));
    assert!(!bench.outbox.is_behind() && !bench.link.is_quiet());
    bench.expect_rest(0, 1000);
    assert_eq!(bench.next(1000).1, "SUM 0\nPING 1\n");
}

#[test]
fn news_goes_before_repair_and_in_pieces() {
    let mut bench = Bench::new();
    bench.link_up(0);
    bench.outbox.offer(&b"AT news\n"[..].into());
    assert_eq!(bench.next(0), (Next::Write { news: 8 }, "AT news\nSUM 0\n".into()));
    bench.outbox.offer(&b"AT more\n"[..].into());
    assert_eq!(bench.next(0), (Next::Write { news: 8 }, "AT more\n".into()));
    assert_eq!(bench.next(0).0, Next::Listen(ms(1000)));
}

#[test]
fn a_neighbour_that_owes_an_answer_is_gone_after_the_liveness_time() {
    let mut bench = Bench::new();
    bench.link_up(0);
    bench.round(0, 1);
    assert_eq!(bench.next(1000).1, "PING 1\n");
    bench.events();
    assert_eq!(bench.pinged_at, Some(ms(1000)));
    assert!(matches!(bench.next(4950).0, Next::Rest(until) if until == ms(5000)));
    assert_eq!(bench.next(5000).0, Next::HangUp);
    assert_eq!(bench.broken(5000), Broken::Silent(times().liveness));
    // One that owes nothing may be silent: this node may have been away itself.
    bench.link_up(5000);
    bench.round(5000, 1);
    assert_eq!(bench.next(60_000).1, "SUM 0\nPING 1\n");
    assert_eq!(bench.next(60_000).0, Next::Listen(ms(64_000)));
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
    for line in ["PONG 1 1.5", "DONE 1", "? AT", "", "SUM 0", "SHARDS 0000000000000000", "SHARDS -"] {
        let mut bench = Bench::new();
        bench.link_up(0);
        assert_eq!(bench.next(0).1, "SUM 0\n");
        assert_eq!(bench.break_by(0, line), Broken::Nonsense, "{line}");
    }
}

#[test]
fn nothing_is_queued_before_the_handshake_or_after_a_loss() {
    let mut bench = Bench::new();
    let batch = b"AT news\n"[..].into();
    bench.greet(0);
    assert_eq!(bench.outbox.offer(&batch), Offer::Down);
    bench.link_up(0);
    assert_eq!(bench.outbox.offer(&batch), Offer::Queued);
    bench.lose(0);
    assert_eq!(bench.outbox.offer(&batch), Offer::Down);
}

impl Bench {
    /// Part of a line arrives.
    fn trickle(&mut self, now: u64, bytes: &str) {
        self.link.space()[..bytes.len()].copy_from_slice(bytes.as_bytes());
        self.link.received(bytes.len(), ms(now), 0, &self.store);
    }

    /// Knows so many clients with ids of so many bytes.
    fn hold(&self, count: usize, id_bytes: usize) {
        for client in 0..count {
            let id = format!("{client:0id_bytes$}");
            let (client, timestamp) = (ClientId::new(id.as_bytes()).unwrap(), &b"7"[..]);
            let time = Timestamp::parse(timestamp).unwrap();
            let (server, skew, position) = (&b"A"[..], &b"+1.000000000"[..], &b"+1+1"[..]);
            let generation = Generation::FIRST;
            let location = Location { server, skew, client, position, timestamp, time, generation };
            self.store.merge(self.store.key_hash(client), &location.into());
        }
    }

    /// What is written until something is waited for.
    fn say_all(&mut self, now: u64) -> String {
        let mut said = String::new();
        loop {
            match self.next(now) {
                (Next::Write { .. }, text) => said += &text,
                (Next::Listen(_) | Next::Rest(_), _) => return said,
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn a_neighbour_from_which_bytes_come_lives_though_no_answer_is_whole() {
    let mut bench = Bench::new();
    bench.link_up(0);
    bench.round(0, 1);
    assert_eq!(bench.next(1_000).1, "PING 1\n");
    bench.trickle(4_900, "PO");
    assert!(matches!(bench.next(9_899).0, Next::Rest(_)));
    bench.trickle(9_899, "NG 1 1.5\n");
    assert_eq!(bench.events().pop(), Some(pong(8_899)));
}

#[test]
fn each_answer_has_its_deadline_however_many_bytes_move() {
    let mut bench = Bench::new();
    bench.link_up(0);
    assert_eq!(bench.next(0).1, "SUM 0\n");
    bench.next(0);
    for now in (1_000..60_000).step_by(1_000) {
        bench.trickle(now, " ");
        assert!(!matches!(bench.next(now).0, Next::HangUp));
    }
    assert_eq!(bench.broken(60_000), Broken::Overdue(times().answer));
    // The next one has a time of its own: a round may take as long as it needs.
    bench.link_up(60_000);
    assert_eq!(bench.next(60_000).1, "SUM 0\n");
    bench.trickle(110_000, "SUM 0000000000000000 0\n");
    assert_eq!(bench.next(110_000).1, "DONE 1\nPING 1\n");
    bench.trickle(165_000, "DONE");
    assert_eq!(bench.next(165_000).0, Next::Listen(ms(170_000)));
}

#[test]
fn a_neighbour_that_leaves_a_question_out_is_given_up_with_the_reason() {
    let mut bench = Bench::new();
    bench.link_up(0);
    assert_eq!(bench.next(0).1, "SUM 0\n");
    bench.next(0);
    assert_eq!(bench.next(1_000).1, "PING 1\n");
    assert_eq!(bench.break_by(1_001, "PONG 1 1.5"), Broken::OutOfOrder);
    bench.link_up(2_000);
    assert_eq!(bench.next(2_000).1, "SUM 0\n");
    assert_eq!(bench.hear(2_000, "SUM 0000000000000000 0"), None);
    assert_eq!(bench.next(2_000).1, "DONE 1\n");
    bench.next(2_000);
    assert_eq!(bench.next(3_000).1, "PING 1\n");
    assert_eq!(bench.break_by(3_001, "PONG 1 1.5"), Broken::OutOfOrder);
    // And so is one that leaves a ping out.
    bench.link_up(4_000);
    bench.round(4_000, 1);
    assert_eq!(bench.next(5_000).1, "PING 1\n");
    bench.outbox.mark_behind();
    assert_eq!(bench.next(5_000).1, "SUM 0\n");
    assert_eq!(bench.break_by(5_001, "SUM 0000000000000000 0"), Broken::OutOfOrder);
}

#[test]
fn no_more_of_a_repair_is_under_way_than_a_ping_has_confirmed_and_news_goes_before_it() {
    let mut bench = Bench::new();
    bench.hold(90, 1000);
    bench.link_up(0);
    assert_eq!(bench.next(0).1, "SUM 0\n");
    bench.hear(0, "SUM 0000000000000000 0");
    let first = bench.say_all(0);
    assert!(first.ends_with("\nPING 1\n"), "{} bytes", first.len());
    assert!((Pace::BYTES_MIN..Pace::BYTES_MIN + 1200).contains(&first.len()), "{} bytes", first.len());
    // Updates need not wait for the answer, and what is not pushed yet waits for it.
    bench.outbox.offer(&b"AT news\n"[..].into());
    assert_eq!(bench.next(300), (Next::Write { news: 8 }, "AT news\n".into()));
    assert_eq!(bench.next(300), (Next::Listen(ms(5_000)), String::new()));
    bench.hear(300, "PONG 1 1.5");
    // What was accepted soon is followed by more.
    let second = bench.say_all(300);
    assert!(second.len() > 2 * Pace::BYTES_MIN && second.ends_with("\nPING 2\n"), "{} bytes", second.len());
    // And what was not, by less.
    bench.hear(2_000, "PONG 2 1.5");
    let third = bench.say_all(2_000);
    assert!(third.len() < Pace::BYTES_MIN + 1200 && third.ends_with("\nPING 3\n"), "{} bytes", third.len());
    bench.hear(2_100, "PONG 3 1.5");
    let rest = bench.say_all(2_100);
    assert!(rest.ends_with("\nDONE 1\n"));
    let pushed = [first, second, third, rest].concat().matches("PUSH ").count();
    assert!(matches!(bench.hear(2_200, "DONE 1"), Some(Event::Round(over)) if over.pushed == pushed));
    assert_eq!(pushed, 90);
}

fn secret(byte: u8) -> Arc<Secret> {
    Arc::new(Secret::new(SecretKey::of_bytes([byte; 32]), [0; 16]))
}

const PLAIN: &str = "HELLO 2 test B A 0000000000000000 0000000000000009 - - -";

/// A's line where there is a secret.
fn hello() -> String {
    String::from_utf8(ends(Some(secret(7))).hello(NONCE)).unwrap()
}

/// B's answer, without its proof.
fn unproved() -> String {
    PLAIN.replace("- - -", &format!("- {} -", "bb".repeat(16)))
}

/// With the proof of whoever has that secret.
fn proved(answer: &str, role: Prover, secret: &Secret) -> String {
    let proof = Transcript::new(Channel::Plain, hello().as_bytes(), answer.as_bytes()).prove(role, secret);
    let parsed = Hello::parse(answer.as_bytes()).unwrap();
    String::from_utf8(Hello { proof: Some(proof), ..parsed }.to_line()).unwrap()
}

fn answer(role: Prover, secret: &Secret) -> String {
    proved(&unproved(), role, secret)
}

/// The proof that A owes for B's answer.
fn owed(answer: &str) -> String {
    let (hello, incarnation) = (hello(), 1);
    let transcript = Transcript::new(Channel::Plain, hello.as_bytes(), answer.as_bytes());
    let proof = transcript.prove(Prover::Dialler { incarnation }, &secret(7));
    format!("PROOF {proof} {incarnation:016x}\n")
}

impl Bench {
    #[track_caller]
    fn greet_with_secret(&mut self, now: u64) {
        self.connect(now);
        let hello = format!("HELLO 2 test A B 0000000000000000 0000000000000009 - {} -\n", "aa".repeat(16));
        assert_eq!(self.next(now), (Next::Write { news: 0 }, hello));
    }
}

#[test]
fn link_with_a_secret_proves_it_once_the_neighbour_has_and_is_up_when_it_is_welcome() {
    let secret = secret(7);
    let mut bench = Bench::with(Some(Arc::clone(&secret)));
    bench.greet_with_secret(0);
    assert_eq!(bench.next(0).0, Next::Listen(ms(2000)));
    assert_eq!(bench.hear(1, &answer(Prover::Acceptor, &secret)), None);
    assert_eq!(bench.next(1), (Next::Write { news: 0 }, owed(&unproved())));
    assert_eq!(bench.next(1), (Next::Listen(ms(2000)), String::new()));
    assert!(!bench.link.is_up());
    assert_eq!(bench.outbox.offer(&b"AT news\n"[..].into()), Offer::Down);
    assert_eq!(bench.hear(2, "WELCOME"), Some(Event::Up));
    assert_eq!(bench.outbox.offer(&b"AT news\n"[..].into()), Offer::Queued);
}

#[test]
fn link_with_a_secret_says_nothing_more_to_who_does_not_prove_it() {
    let (good, other) = (secret(7), secret(8));
    let dialler = Prover::Dialler { incarnation: 1 };
    for (answer, why) in [
        (PLAIN.to_owned(), "proves no secret"),
        (unproved(), "proves no secret"),
        (answer(Prover::Acceptor, &other), "its proof is wrong"),
        (answer(dialler, &good), "its proof is wrong"),
        (answer(Prover::Acceptor, &good).replace("bbbb", "bbcc"), "its proof is wrong"),
        (answer(Prover::Acceptor, &good).replace("00000000 ", "00000003 "), "its proof is wrong"),
        (answer(Prover::Acceptor, &good) + " what nobody proved", "its proof is wrong"),
        (answer(Prover::Acceptor, &good).replace("00000009 ", "00000008 "), "its placement key is another"),
        (answer(Prover::Acceptor, &good).replace("HELLO 2", "HELLO 1"), "version 1 is not spoken here"),
    ] {
        let mut bench = Bench::with(Some(Arc::clone(&good)));
        bench.greet_with_secret(0);
        let Broken::Stranger(told) = bench.break_by(0, &answer) else { panic!("{answer}") };
        assert!(told.to_string().contains(why), "{told}");
        assert!(!bench.link.is_up() && bench.link.output().is_empty());
    }
}

#[test]
fn answer_of_a_node_that_speaks_more_is_taken_if_its_version_was_offered() {
    let more = format!("{PLAIN} and what 3 adds");
    let mut bench = Bench::new();
    bench.greet(0);
    assert_eq!(bench.hear(0, &more), Some(Event::Up));
    bench.lose(0);
    bench.greet(0);
    let Broken::Stranger(told) = bench.break_by(0, &more.replace("HELLO 2", "HELLO 3")) else { panic!() };
    assert_eq!(told.to_string(), "version 3 is not spoken here, only 2; run the same release on all nodes");
    // What it adds is proved, too.
    let secret = secret(7);
    let more = format!("{} and what 3 adds", unproved());
    let proved = format!("{} and what 3 adds", proved(&more, Prover::Acceptor, &secret));
    let mut bench = Bench::with(Some(secret));
    bench.greet_with_secret(0);
    assert_eq!(bench.hear(0, &proved), None);
    assert_eq!(bench.next(0).1, owed(&more));
}

#[test]
fn neighbour_that_forgets_sooner_or_later_is_not_linked_to() {
    let answer = |forget_after: &str| PLAIN.replace("- - -", &format!("{forget_after} - -"));
    let link = |forget_after| {
        let ends = Ends { forget_after, ..ends(None) };
        let mut bench = Bench::of(|queue| super::super::Link::new(ends, times(), queue));
        bench.connect(0);
        bench.next(0);
        bench
    };
    assert_eq!(link(Some(3600)).hear(0, &answer("3600")), Some(Event::Up));
    for (ours, theirs, why) in [
        (None, "3600", "it keeps locations for 3600 s and this node for ever"),
        (Some(60), "-", "it keeps locations for ever and this node for 60 s"),
        (Some(60), "61", "it keeps locations for 61 s and this node for 60 s"),
    ] {
        let Broken::Stranger(told) = link(ours).break_by(0, &answer(theirs)) else { panic!("{why}") };
        assert_eq!(told.to_string(), format!("{why}; give both nodes the same forget_after"));
    }
}

#[test]
fn link_without_a_secret_does_not_take_who_has_one() {
    let mut bench = Bench::new();
    bench.greet(0);
    let broken = bench.break_by(0, &answer(Prover::Acceptor, &secret(7)));
    assert!(
        matches!(broken, Broken::Stranger(why) if why.to_string().contains("it has a secret and this node has none"))
    );
}

#[test]
fn nothing_but_a_welcome_makes_up_for_a_proof() {
    for (line, refused) in
        [("WELCOME 1", false), ("PONG 1 1.5", false), (PLAIN, false), ("REFUSED why", true)]
    {
        let secret = secret(7);
        let mut bench = Bench::with(Some(Arc::clone(&secret)));
        bench.greet_with_secret(0);
        bench.hear(0, &answer(Prover::Acceptor, &secret));
        assert!(bench.next(0).1.starts_with("PROOF "));
        let broken = if refused { Broken::Refused("why".into()) } else { Broken::Nonsense };
        assert_eq!(bench.break_by(0, line), broken, "{line}");
    }
}

#[test]
fn welcome_that_comes_before_the_proof_was_written_is_nonsense() {
    let secret = secret(7);
    let mut bench = Bench::with(Some(Arc::clone(&secret)));
    bench.greet_with_secret(0);
    bench.hear(0, &answer(Prover::Acceptor, &secret));
    assert_eq!(bench.break_by(0, "WELCOME"), Broken::Nonsense);
}
