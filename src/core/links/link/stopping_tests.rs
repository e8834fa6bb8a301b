//! What a link does once its node stops: it hands over what the neighbour lacks, has it confirmed, and says what was
//! not.

use super::*;
use crate::core::{
    links::{
        Event, Lost,
        link::{
            Step,
            tests::{HELLO, both, come_to_rest, of_herd, of_plain},
        },
        scene_tests::{Bench, LONGEST, Next, ms},
    },
    model::{ClientId, ClientRecord, Generation, Location, Timestamp},
};

/// What the neighbour is sent about the one client that the store knows.
const PUSH: &str = "PUSH A +1.000000000 kiwi +1+1 7\n";

/// One of either kind that rests, at the time 0.
fn resting() -> [Bench; 2] {
    both().map(|mut bench| {
        come_to_rest(&mut bench, 0);
        bench
    })
}

fn know_one(bench: &Bench) {
    let client = ClientId::new(b"kiwi").unwrap();
    let time = Timestamp::parse(b"7").unwrap();
    let (server, skew, position, timestamp) = (&b"A"[..], &b"+1.000000000"[..], &b"+1+1"[..], &b"7"[..]);
    let generation = Generation::FIRST;
    let location = Location { server, skew, client, position, timestamp, time, generation };
    bench.store.merge(bench.store.key_hash(client), &location.into());
}

fn offer(bench: &Bench, line: &str) {
    bench.outbox.offer(&line.as_bytes().into());
}

fn lack(bench: &Bench) -> Option<Lack> {
    bench.link.lack(&bench.store)
}

/// Goes through a round at a neighbour that has nothing, and so is pushed the one client.
#[track_caller]
fn round(bench: &mut Bench, now: u64, number: u64) {
    assert_eq!(bench.next(now).1, "SUM 0\n");
    bench.hear(now, "SUM 0000000000000000 0");
    assert_eq!(bench.next(now).1, PUSH);
    assert_eq!(bench.next(now).1, format!("DONE {number}\n"));
    assert!(matches!(bench.next(now).0, Next::Listen(_)));
    let over = bench.hear(now, &format!("DONE {number}"));
    assert!(matches!(over, Some(Event::Round(over)) if over.pushed == 1), "{over:?}");
}

#[test]
fn what_is_queued_is_written_and_confirmed() {
    let [mut bench, mut plain] = resting();
    for bench in [&mut bench, &mut plain] {
        offer(bench, "AT x A\nAT y A\n");
        offer(bench, "AT z A\n");
        bench.link.stop(ms(2000));
    }
    assert_eq!(bench.next(1500), (Next::Write { news: 21 }, "AT x A\nAT y A\nAT z A\nPING 1\n".into()));
    assert_eq!(bench.next(1500).0, Next::Listen(ms(2000)));
    bench.hear(1600, "PONG 1 1.5");
    // A third-party node confirms nothing.
    assert_eq!(plain.next(1500), (Next::Write { news: 21 }, "AT x A\nAT y A\nAT z A\n".into()));
    for bench in [&mut bench, &mut plain] {
        assert_eq!((bench.next(1600).0, lack(bench)), (Next::End, None));
    }
}

#[test]
fn link_whose_neighbour_has_all_for_sure_ends_at_once() {
    let mut bench = of_herd();
    come_to_rest(&mut bench, 0);
    offer(&bench, "AT x A\n");
    assert_eq!(bench.next(1000).1, "AT x A\nPING 1\n");
    bench.hear(1001, "PONG 1 1.5");
    // This one is asked as usual, and its answer confirms nothing new.
    assert_eq!(bench.next(2000).1, "PING 2\n");
    bench.link.stop(ms(9000));
    assert_eq!((bench.next(2000).0, lack(&bench)), (Next::End, None));
}

#[test]
fn answer_to_an_earlier_ping_confirms_nothing_later() {
    let mut bench = of_herd();
    come_to_rest(&mut bench, 0);
    assert_eq!(bench.next(1000).1, "PING 1\n");
    offer(&bench, "AT x A\n");
    assert_eq!(bench.next(1000).1, "AT x A\n");
    bench.link.stop(ms(3000));
    assert_eq!(bench.next(1000).0, Next::Listen(ms(3000)));
    bench.hear(1500, "PONG 1 1.5");
    assert_eq!(bench.next(1500).1, "PING 2\n");
    assert_eq!(bench.next(1500).0, Next::Listen(ms(3000)));
    bench.hear(1600, "PONG 2 1.5");
    assert_eq!((bench.next(1600).0, lack(&bench)), (Next::End, None));
}

#[test]
fn link_that_is_behind_runs_a_last_round_however_soon_after_the_one_before() {
    let [mut bench, mut plain] = resting();
    for bench in [&mut bench, &mut plain] {
        know_one(bench);
        bench.outbox.mark_behind();
        bench.link.stop(ms(9000));
    }
    round(&mut bench, 1, 2);
    assert_eq!(plain.next(1).1, "AT A +1.000000000 kiwi +1+1 7 A\n");
    for bench in [&mut bench, &mut plain] {
        assert_eq!((bench.next(1).0, lack(bench)), (Next::End, None));
    }
}

#[test]
fn round_that_is_under_way_is_ended() {
    let mut bench = of_herd();
    know_one(&bench);
    bench.connect(0);
    bench.next(0);
    bench.hear(0, HELLO);
    bench.link.stop(ms(9000));
    round(&mut bench, 1, 1);
    assert_eq!((bench.next(1).0, lack(&bench)), (Next::End, None));
}

#[test]
fn last_round_that_could_not_compare_comes_again_and_then_pushes_everything() {
    let mut bench = of_herd();
    come_to_rest(&mut bench, 0);
    know_one(&bench);
    bench.outbox.mark_behind();
    bench.link.stop(ms(3000));
    assert_eq!(bench.next(10).1, "SUM 0\n");
    bench.hear(10, "SUM - 0");
    assert_eq!(bench.next(10).0, Next::Listen(ms(1010)));
    round(&mut bench, 1010, 3);
    assert_eq!((bench.next(1010).0, lack(&bench)), (Next::End, None));

    let mut bench = of_herd();
    come_to_rest(&mut bench, 0);
    know_one(&bench);
    bench.outbox.mark_behind();
    bench.link.stop(ms(3000));
    for now in [10, 1010] {
        assert_eq!(bench.next(now).1, "SUM 0\n");
        bench.hear(now, "SUM - 60");
    }
    // A watermark that has not settled by now may not do so in time: the neighbour is given everything.
    assert_eq!(bench.next(2010).1, "PUSH A +1.000000000 kiwi +1+1 7\n");
    assert_eq!(bench.next(2010).1, "DONE 4\n");
    assert_eq!(lack(&bench), Some(Lack { updates: 0, round: true, is_stuck: true }));
    bench.hear(2020, "DONE 4");
    assert_eq!((bench.next(2020).0, lack(&bench)), (Next::End, None));
}

#[test]
fn what_is_not_taken_or_not_confirmed_in_time_is_counted() {
    for mut bench in resting() {
        know_one(&bench);
        offer(&bench, "AT x A\nAT y A\n");
        let step = |bench: &mut Bench, now| bench.link.step(ms(now), &bench.store);
        assert!(matches!(step(&mut bench, 0), Step::Write { .. }));
        bench.link.wrote(1);
        offer(&bench, "AT z A\n");
        bench.link.stop(ms(2000));
        // Later calls change nothing.
        bench.link.stop(ms(3000));
        bench.link.wrote(1);
        while step(&mut bench, 1999) == Step::Look {}
        assert_eq!(step(&mut bench, 1999), Step::Write { until: ms(2000) });
        assert_eq!(step(&mut bench, 2000), Step::End);
        assert_eq!(lack(&bench), Some(Lack { updates: 3, round: false, is_stuck: true }));
    }
    let [mut bench, _] = resting();
    know_one(&bench);
    offer(&bench, "AT x A\n");
    bench.outbox.mark_behind();
    bench.link.stop(ms(2000));
    assert_eq!(bench.next(0).1, "AT x A\nSUM 0\nPING 1\n");
    assert_eq!(bench.next(0).0, Next::Listen(ms(2000)));
    bench.hear(100, "SUM 0000000000000000 0");
    // As usual, nothing is pushed while a ping is unanswered.
    assert_eq!(bench.next(100).0, Next::Listen(ms(2000)));
    bench.hear(200, "PONG 1 1.5");
    assert_eq!(bench.next(200).1, PUSH);
    assert_eq!(bench.next(2000).0, Next::End);
    assert_eq!(lack(&bench), Some(Lack { updates: 0, round: true, is_stuck: true }));
}

#[test]
fn sweep_that_is_not_over_in_time_is_told() {
    let mut bench = of_plain();
    know_one(&bench);
    bench.connect(0);
    assert!(matches!(bench.link.step(ms(0), &bench.store), Step::Look));
    bench.link.stop(ms(2000));
    assert!(matches!(bench.link.step(ms(0), &bench.store), Step::Write { .. }));
    assert_eq!(bench.link.step(ms(2000), &bench.store), Step::End);
    assert_eq!(lack(&bench), Some(Lack { updates: 0, round: true, is_stuck: true }));
}

#[test]
fn link_that_is_down_dials_once_more_unless_nothing_is_known() {
    for mut bench in both() {
        for _ in 0..6 {
            bench.lose(0);
        }
        assert!(matches!(bench.next(1).0, Next::Pause(_)));
        bench.link.stop(ms(2000));
        assert_eq!((bench.next(1).0, lack(&bench)), (Next::End, None));
        know_one(&bench);
        assert_eq!(bench.next(1).0, Next::Dial);
        bench.link.failed("it cannot be reached".to_owned());
        bench.lost(1);
        assert_eq!(bench.next(1).0, Next::End);
        assert_eq!(lack(&bench), Some(Lack { updates: 0, round: true, is_stuck: false }));
    }
}

#[test]
fn link_that_is_made_while_the_node_stops_runs_its_first_round() {
    let mut bench = of_herd();
    know_one(&bench);
    bench.connect(0);
    bench.next(0);
    bench.link.stop(ms(9000));
    assert_eq!(bench.next(0).0, Next::Listen(ms(2000)));
    bench.hear(1, HELLO);
    round(&mut bench, 1, 1);
    assert_eq!((bench.next(1).0, lack(&bench)), (Next::End, None));
}

#[test]
fn neighbour_that_closes_and_is_not_there_any_more_is_not_stuck() {
    for mut bench in resting() {
        know_one(&bench);
        bench.link.stop(ms(9000));
        offer(&bench, "AT x A\n");
        bench.next(0);
        bench.link.received(0, ms(1), 0, &bench.store);
        assert_eq!(bench.lost(1), Lost::Closed);
        let (Next::Pause(until), _) = bench.next(1) else { panic!() };
        assert!(until < ms(9000));
        assert_eq!(bench.link.step(until, &bench.store), Step::Dial);
        bench.link.failed("it cannot be reached".to_owned());
        bench.link.step(until, &bench.store);
        bench.link.hung_up(until, LONGEST);
        assert_eq!(bench.link.step(until, &bench.store), Step::End);
        assert_eq!(lack(&bench).map(|lack| lack.is_stuck), Some(false));
    }
}

#[test]
fn neighbour_that_neither_takes_nor_leaves_is_dialled_until_the_time_is_over() {
    let mut bench = of_herd();
    come_to_rest(&mut bench, 0);
    know_one(&bench);
    bench.link.stop(ms(20_000));
    offer(&bench, "AT x A\n");
    bench.next(0);
    // It is silent, and then accepts a connection without doing the handshake.
    bench.lost(5000);
    let mut now = 5000;
    loop {
        match bench.next(now).0 {
            Next::Dial => bench.connect(now),
            Next::Pause(until) | Next::Listen(until) => now = until.as_nanos().div_ceil(1_000_000) as u64,
            Next::HangUp => bench.link.hung_up(ms(now), LONGEST),
            Next::Write { .. } => {}
            Next::End => break,
            other @ Next::Rest(_) => panic!("{other:?}"),
        }
    }
    assert_eq!(now, 20_000);
    assert_eq!(lack(&bench), Some(Lack { updates: 0, round: true, is_stuck: true }));
}

#[test]
fn dialling_that_the_end_of_the_time_cuts_off_says_nothing_of_the_neighbour() {
    let mut bench = of_herd();
    come_to_rest(&mut bench, 0);
    know_one(&bench);
    bench.link.stop(ms(2000));
    bench.lose(0);
    assert_eq!(bench.next(1000).0, Next::Dial);
    bench.link.failed("it cannot be reached".to_owned());
    bench.lost(2000);
    assert_eq!(bench.next(2000).0, Next::End);
    assert_eq!(lack(&bench).map(|lack| lack.is_stuck), Some(true));
}

#[test]
fn neighbour_that_only_falls_silent_is_stuck_and_one_that_leaves_is_not() {
    for leaves in [false, true] {
        let [mut bench, _] = resting();
        know_one(&bench);
        offer(&bench, "AT x A\n");
        bench.link.stop(ms(9000));
        assert_eq!(bench.next(0).1, "AT x A\nPING 1\n");
        if leaves {
            bench.lose(1);
        } else {
            assert!(matches!(bench.lost(5000), Lost::Broken(_)));
        }
        bench.link.called(ms(5001));
        assert_eq!(bench.next(5001).0, Next::Dial);
        bench.lose(7000);
        assert_eq!(bench.next(7000).0, Next::End);
        assert_eq!(lack(&bench).map(|lack| lack.is_stuck), Some(!leaves));
    }
}

#[test]
fn neighbour_that_comes_back_while_the_node_stops_is_one_that_must_take_all() {
    let mut bench = of_herd();
    know_one(&bench);
    bench.lose(0);
    bench.link.stop(ms(2000));
    assert_eq!(bench.next(1).0, Next::Dial);
    bench.connect(1);
    bench.next(1);
    bench.hear(1, HELLO);
    assert_eq!(bench.next(1).1, "SUM 0\n");
    bench.next(1);
    assert_eq!(bench.next(2000).0, Next::End);
    assert_eq!(lack(&bench), Some(Lack { updates: 0, round: true, is_stuck: true }));
}

#[test]
fn third_party_node_lacks_nothing_of_a_tombstone() {
    let [mut herd, mut plain] = resting();
    for bench in [&mut herd, &mut plain] {
        offer(bench, "FORGOT kiwi 8 7 A A\nAT x A\n");
        bench.link.stop(ms(2000));
    }
    let updates = |bench: &Bench| lack(bench).map(|lack| lack.updates);
    assert_eq!((updates(&herd), updates(&plain)), (Some(2), Some(1)));
    // Nor is a sweep due to it where there is nothing else.
    for (mut bench, is_lacking) in [(of_herd(), true), (of_plain(), false)] {
        let record = ClientRecord::parse(b"FORGOT kiwi 8 7 A").unwrap();
        bench.store.merge(bench.store.key_hash(record.client()), &record);
        bench.link.stop(ms(2000));
        assert_eq!(lack(&bench).is_some(), is_lacking);
    }
}
