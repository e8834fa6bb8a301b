//! Rounds between two stores in one thread.

use super::*;
use crate::core::{
    model::{ClientId, ClientRecord, Generation, Location, RetentionTimes, Timestamp},
    store::{Placement, Shape},
    wire::PeerLine,
};

fn store(shape: Shape) -> Store {
    Store::new(Placement::of_herd("test").shaped(shape), 0)
}

fn put(store: &Store, client: &str, time: u64) {
    let timestamp = time.to_string();
    let location = Location {
        server: b"Alford",
        skew: b"+0.000000001",
        client: ClientId::new(client.as_bytes()).unwrap(),
        position: b"+1+1",
        timestamp: timestamp.as_bytes(),
        time: Timestamp::new(time, 0),
        generation: Generation::FIRST,
    };
    store.merge(store.key_hash(location.client), &location.into());
}

fn sum_of(sum: u64) -> Answer<'static> {
    Answer::Sum { sum: WholeSum::Is(sum), watermark: 0 }
}

/// What a node's session does with a line, without the rest of the node.
fn answer(line: &[u8], store: &Store, out: &mut Vec<u8>) {
    match PeerLine::parse(line).unwrap() {
        PeerLine::Push(record) => {
            store.merge(store.key_hash(record.client()), &record);
        }
        PeerLine::Ask(question) => super::answer(store, &question, &mut 0).unwrap().write(&question, out),
        PeerLine::Done(number) => write_done(number, out),
        line => panic!("{line:?}"),
    }
}

struct Traffic {
    found: Findings,
    asked_bytes: usize,
    answered_bytes: usize,
    longest_piece: usize,
}

/// A whole round; answers come as late as they may.
fn run(ours: &Store, theirs: &Store) -> Traffic {
    let mut round = Round::new(7, (ours.sum(), 0), Rules::SOUND);
    let (mut out, mut answers) = (Vec::new(), Vec::new());
    let mut traffic =
        Traffic { found: Findings::default(), asked_bytes: 0, answered_bytes: 0, longest_piece: 0 };
    for _ in 0..1_000_000 {
        out.clear();
        if round.next(ours, usize::MAX, &mut out) == Need::Write {
            traffic.asked_bytes += out.len();
            traffic.longest_piece = traffic.longest_piece.max(out.len());
            out.split(|&byte| byte == b'\n')
                .filter(|line| !line.is_empty())
                .for_each(|line| answer(line, theirs, &mut answers));
            continue;
        }
        assert!(out.is_empty());
        assert!(answers.len() <= ANSWERS_BYTES_MAX, "{} bytes of answers in flight", answers.len());
        traffic.answered_bytes += answers.len();
        for line in std::mem::take(&mut answers).split(|&byte| byte == b'\n').filter(|line| !line.is_empty())
        {
            let answer = Answer::parse(line).unwrap();
            match round.answered(&answer, ours).unwrap() {
                Some(RoundEnd::Judged(found)) => {
                    traffic.found = found;
                    return traffic;
                }
                Some(RoundEnd::Unjudged { .. }) => panic!("they can be compared"),
                None => {}
            }
        }
    }
    panic!("the round does not end");
}

const SMALL: Shape = Shape::new(2, 3);

#[test]
fn equal_stores_exchange_two_lines() {
    let (ours, theirs) = (store(Shape::NODE), store(Shape::NODE));
    for store in [&ours, &theirs] {
        (0..1000).for_each(|client| put(store, &format!("c{client}"), 1));
    }
    let traffic = run(&ours, &theirs);
    assert_eq!((traffic.found.differing, traffic.found.pushed), (0, 0));
    assert!(traffic.asked_bytes <= 20 && traffic.answered_bytes <= 32);
}

#[test]
fn an_empty_neighbour_is_given_all_without_being_asked_for_its_leaves() {
    let (ours, theirs) = (store(Shape::NODE), store(Shape::NODE));
    (0..5000).for_each(|client| put(&ours, &format!("c{client}"), 1));
    let traffic = run(&ours, &theirs);
    assert_eq!(theirs.sum(), ours.sum());
    assert_eq!(traffic.found.pushed, 5000);
    assert!(traffic.answered_bytes < 100, "{}", traffic.answered_bytes);
}

#[test]
fn an_empty_node_has_nothing_to_ask_further() {
    let (ours, theirs) = (store(Shape::NODE), store(Shape::NODE));
    put(&theirs, "a", 1);
    let traffic = run(&ours, &theirs);
    assert_eq!((traffic.found.differing, traffic.found.pushed), (1, 0));
    assert!(traffic.answered_bytes < 100);
}

#[test]
fn only_what_is_missing_or_different_is_pushed() {
    let (ours, theirs) = (store(SMALL), store(SMALL));
    for client in 0..3000 {
        let id = format!("c{client}");
        let (our_time, their_time) = match client {
            0..10 => (Some(1), None),
            10..20 => (None, Some(1)),
            20..30 => (Some(2), Some(1)),
            30..40 => (Some(1), Some(2)),
            _ => (Some(1), Some(1)),
        };
        our_time.into_iter().for_each(|time| put(&ours, &id, time));
        their_time.into_iter().for_each(|time| put(&theirs, &id, time));
    }
    // Leaves of about a hundred entries, so that some lists come in two answers.
    let traffic = run(&ours, &theirs);
    assert_eq!(traffic.found.pushed, 30);
    run(&theirs, &ours);
    assert_eq!(ours.sum(), theirs.sum());
    assert_eq!(ours.len(), 3000);
}

#[test]
fn shards_and_leaves_that_are_empty_on_either_side_are_repaired() {
    for (ours_have, theirs_have) in [(1, 30), (30, 1), (2, 2)] {
        let (ours, theirs) = (store(Shape::NODE), store(Shape::NODE));
        (0..ours_have).for_each(|client| put(&ours, &format!("ours{client}"), 1));
        (0..theirs_have).for_each(|client| put(&theirs, &format!("theirs{client}"), 1));
        assert_eq!(run(&ours, &theirs).found.pushed, ours_have);
        assert_eq!(run(&theirs, &ours).found.pushed, theirs_have);
        assert_eq!(ours.sum(), theirs.sum());
    }
}

#[test]
fn ten_differences_among_many_cost_what_the_documents_say() {
    let (ours, theirs) = (store(Shape::NODE), store(Shape::NODE));
    for client in 0..100_000 {
        put(&ours, &format!("kiwi{client}.cs.ucla.edu"), 1 + u64::from(client < 10));
        put(&theirs, &format!("kiwi{client}.cs.ucla.edu"), 1);
    }
    let traffic = run(&ours, &theirs);
    assert_eq!((traffic.found.differing, traffic.found.pushed), (10, 10));
    assert!(traffic.answered_bytes < 60_000, "{}", traffic.answered_bytes);
}

#[test]
fn pieces_are_bounded_within_a_leaf_too() {
    let one_leaf = Shape::new(0, 0);
    let (ours, theirs) = (store(one_leaf), store(one_leaf));
    put(&theirs, "other", 1);
    (0..100).for_each(|client| put(&ours, &format!("{client}{}", "x".repeat(15_000)), 1));
    let traffic = run(&ours, &theirs);
    assert_eq!(traffic.found.pushed, 100);
    assert!(traffic.longest_piece < PUSH_BYTES_MAX + 16_000, "{}", traffic.longest_piece);
    assert_eq!(theirs.len(), 101);
}

#[test]
fn what_differs_as_before_lasts() {
    let (ours, theirs) = (store(SMALL), store(SMALL));
    put(&ours, "a", 1);
    put(&theirs, "b", 1);
    let mut first = Findings::default();
    first.differ(Part::Leaf(0, 0), (1, 2));
    first.differ(Part::Leaf(0, 1), (1, 2));
    let mut second = Findings::default();
    second.differ(Part::Leaf(0, 0), (1, 2));
    second.differ(Part::Leaf(0, 1), (1, 3));
    assert_eq!(second.lasting(&first.pairs), 1);
    assert_eq!(second.lasting(&HashMap::new()), 0);
}

#[test]
fn no_more_is_pushed_than_there_is_room_for_and_nothing_is_asked_meanwhile() {
    let (ours, theirs) = (store(SMALL), store(SMALL));
    (0..20).for_each(|client| put(&ours, &format!("c{client}"), 1));
    let (mut round, mut out) = (Round::new(7, (ours.sum(), 0), Rules::SOUND), Vec::new());
    round.next(&ours, 0, &mut out);
    assert_eq!((out.as_slice(), round.owed()), (&b"SUM 0\n"[..], 1), "questions need no room");
    round.answered(&sum_of(theirs.sum()), &ours).unwrap();
    for _ in 0..20 {
        out.clear();
        assert_eq!((round.next(&ours, 0, &mut out), out.len()), (Need::Answer, 0));
        round.next(&ours, 1, &mut out);
        let lines = out.split_inclusive(|&byte| byte == b'\n').count();
        assert!(out.starts_with(b"PUSH ") && lines == 1, "a line more than there is room for, and no more");
    }
    out.clear();
    round.next(&ours, 1, &mut out);
    assert_eq!(out, b"DONE 7\n");
}

#[test]
fn answers_that_fit_no_question_are_told_apart() {
    let ours = store(SMALL);
    put(&ours, "a", 1);
    for line in ["SHARDS 0000000000000000", "DONE 7", "LEAVES 0 0000000000000000", "LIST 0 0 end"] {
        let mut round = Round::new(7, (ours.sum(), 0), Rules::SOUND);
        round.next(&ours, usize::MAX, &mut Vec::new());
        let answer = Answer::parse(line.as_bytes()).unwrap();
        assert_eq!(round.answered(&answer, &ours).err(), Some(Unfitting), "{line}");
    }
    // Sums of a store of another shape.
    let mut round = Round::new(7, (ours.sum(), 0), Rules::SOUND);
    round.next(&ours, usize::MAX, &mut Vec::new());
    assert!(round.answered(&sum_of(5), &ours).unwrap().is_none());
    round.next(&ours, usize::MAX, &mut Vec::new());
    let answer = Answer::parse(b"SHARDS 0000000000000000").unwrap();
    assert_eq!(round.answered(&answer, &ours).err(), Some(Unfitting));
}

#[test]
fn tombstones_and_generations_are_repaired_as_everything_is() {
    let (ours, theirs) = (store(SMALL), store(SMALL));
    for client in 0..50 {
        put(&ours, &format!("c{client}"), 1);
        put(&theirs, &format!("c{client}"), 1);
    }
    let merge = |line: &str| {
        let record = ClientRecord::parse(line.as_bytes()).unwrap();
        ours.merge(ours.key_hash(record.client()), &record);
    };
    // One of them reports again, and one is known to nobody.
    merge("FORGOT c7 1000 1 Alford");
    merge("FORGOT c8 1000 1 Alford");
    merge("AT Alford +0.000000001 c8 +1+1 2 1000");
    merge("FORGOT nobody 1000 0 Alford");
    assert_eq!((ours.len(), ours.tombstones()), (49, 2));
    assert_eq!(run(&theirs, &ours).found.pushed, 2, "what they have of the two that differ");
    assert_eq!(run(&ours, &theirs).found.pushed, 3);
    assert_eq!((theirs.len(), theirs.tombstones(), theirs.sum()), (49, 2, ours.sum()));
    let forgotten = ClientId::new(b"c7").unwrap();
    assert_eq!(theirs.get(theirs.key_hash(forgotten), forgotten, |_| ()), None);
}

/// What a round says next, line by line.
fn said(round: &mut Round, store: &Store) -> String {
    let mut out = Vec::new();
    while round.next(store, usize::MAX, &mut out) == Need::Write {}
    String::from_utf8(out).unwrap()
}

#[test]
fn round_ends_unjudged_where_sums_cannot_be_compared_once_all_it_has_asked_is_answered() {
    let ours = store(SMALL);
    (0..200).for_each(|client| put(&ours, &format!("c{client}"), 1));
    let sums = |count: usize| "0000000000000001".repeat(count);
    let (shards, leaves) = (SMALL.shards(), SMALL.leaves());
    let first_leaves = format!("LEAVES 0 {}", sums(leaves));
    // What is answered until the watermark moves, and the answer that says so.
    for (before, last) in [
        (vec![], "SUM - 0".to_owned()),
        (vec![], "SUM 0000000000000001 60".to_owned()),
        (vec!["SUM 0000000000000001 0".to_owned()], "SHARDS -".to_owned()),
        (
            vec!["SUM 0000000000000001 0".to_owned(), format!("SHARDS {}", sums(shards))],
            "LEAVES 0 -".to_owned(),
        ),
        (
            vec!["SUM 0000000000000001 0".to_owned(), format!("SHARDS {}", sums(shards)), first_leaves],
            "LEAVES 1 -".to_owned(),
        ),
    ] {
        let mut round = Round::new(7, (ours.sum(), 0), Rules::SOUND);
        let mut asked = said(&mut round, &ours);
        for answer in before {
            let end = round.answered(&Answer::parse(answer.as_bytes()).unwrap(), &ours).unwrap();
            assert!(end.is_none());
            asked += &said(&mut round, &ours);
        }
        let mut end = round.answered(&Answer::parse(last.as_bytes()).unwrap(), &ours).unwrap();
        assert_eq!(said(&mut round, &ours), "", "it asks and pushes nothing more");
        // Others of its questions may be answered as if nothing had happened.
        while round.owed() > 0 {
            assert!(end.is_none());
            let question = round.asked.front().unwrap();
            let mut line = Vec::new();
            super::answer(&ours, question, &mut 0).unwrap().write(question, &mut line);
            end = round.answered(&Answer::parse(line.trim_ascii_end()).unwrap(), &ours).unwrap();
            assert_eq!(said(&mut round, &ours), "");
        }
        assert!(matches!(end, Some(RoundEnd::Unjudged { .. })), "{asked}{last}");
        assert!(!asked.contains("DONE"));
    }
    // A leaf's entries.
    let mut round = Round::new(7, (ours.sum(), 0), Rules::SOUND);
    round.asked.push_back(Question::List { shard: 1, leaf: 2, from: 0, most: 1 });
    round.answers_bytes = 1_000;
    round.to_ask.clear();
    let other = round.answered(&Answer::NoList { shard: 1, leaf: 3 }, &ours);
    assert_eq!(other.err(), Some(Unfitting));
    round.asked.push_back(Question::List { shard: 1, leaf: 2, from: 0, most: 1 });
    let end = round.answered(&Answer::NoList { shard: 1, leaf: 2 }, &ours);
    assert!(matches!(end, Ok(Some(RoundEnd::Unjudged { .. }))));
}

#[test]
fn neighbour_that_keeps_no_sums_is_sent_everything_and_not_said_to_differ() {
    let (ours, theirs) = (store(SMALL), store(SMALL));
    (0..20).for_each(|client| put(&ours, &format!("c{client}"), 1));
    let mut round = Round::new(7, (ours.sum(), 0), Rules::SOUND);
    said(&mut round, &ours);
    assert!(round.answered(&Answer::Sum { sum: WholeSum::Never, watermark: 9 }, &ours).unwrap().is_none());
    let sent = said(&mut round, &ours);
    let mut answers = Vec::new();
    sent.lines().for_each(|line| answer(line.as_bytes(), &theirs, &mut answers));
    assert_eq!((theirs.sum(), answers), (ours.sum(), b"DONE 7\n".to_vec()));
    let Ok(Some(RoundEnd::Judged(found))) = round.answered(&Answer::Done(7), &ours) else { panic!() };
    assert_eq!((found.differing, found.pushed, found.pairs.len()), (0, 20, 0));
}

#[test]
fn sum_is_told_only_to_who_has_the_same_watermark() {
    let ours = store(SMALL);
    put(&ours, "a", 1);
    let held = |watermark| super::answer(&ours, &Question::Sum { watermark }, &mut 0);
    assert_eq!(held(0), Some(Held::Sum { sum: Some(ours.sum()), watermark: 0 }));
    assert_eq!(held(60), Some(Held::Sum { sum: None, watermark: 0 }));
}

/// A store of a herd that forgets, with so many clients that were taken then.
fn keeping(clients: std::ops::Range<u64>, taken: u64) -> Store {
    let times = RetentionTimes { forget_after: 100, step: 10, day: 50 };
    let store = store(SMALL).with_retention(times);
    clients.for_each(|client| put(&store, &format!("c{client}"), taken));
    store
}

fn move_to(store: &Store, watermark: u64) {
    let mut pass = store.begin_pass(watermark, 0);
    while !store.go_on(&mut pass) {}
}

#[test]
fn round_ends_once_the_watermark_of_either_side_moves_and_pushes_nothing_across_a_step() {
    let theirs = keeping(0..100, 1000);
    for is_ours in [true, false] {
        let ours = keeping(0..200, 1000);
        let mut round = Round::new(7, (ours.sum(), 0), Rules::SOUND);
        let (mut out, mut answers, mut compared) = (Vec::new(), Vec::new(), 0);
        assert_eq!(round.next(&ours, usize::MAX, &mut out), Need::Write);
        super::answer(&theirs, &Question::Sum { watermark: 0 }, &mut compared)
            .unwrap()
            .write(&Question::Sum { watermark: 0 }, &mut answers);
        assert!(round.answered(&Answer::parse(answers.trim_ascii_end()).unwrap(), &ours).unwrap().is_none());
        assert_eq!(said(&mut round, &ours), "SHARDS\n");
        let moving = if is_ours { &ours } else { &theirs };
        let mut pass = moving.begin_pass(1010, 0);
        let held = super::answer(&theirs, &Question::Shards, &mut compared).unwrap();
        assert_eq!(held == Held::NotNow, !is_ours);
        answers.clear();
        held.write(&Question::Shards, &mut answers);
        let end = round.answered(&Answer::parse(answers.trim_ascii_end()).unwrap(), &ours);
        assert!(matches!(end, Ok(Some(RoundEnd::Unjudged { theirs: Some(0) }))));
        assert_eq!(said(&mut round, &ours), "");
        while !moving.go_on(&mut pass) {}
        // What is said of parts belongs to the sum that was answered.
        let after = super::answer(moving, &Question::Leaves { shard: 0 }, &mut compared);
        assert_eq!(after, Some(Held::NotNow));
    }
}

#[test]
fn round_that_is_pushing_ends_without_an_answer_when_the_watermark_moves() {
    let ours = keeping(0..200, 1000);
    let mut round = Round::new(7, (ours.sum(), 0), Rules::SOUND);
    said(&mut round, &ours);
    assert!(round.answered(&sum_of(0), &ours).unwrap().is_none());
    let mut out = Vec::new();
    assert_eq!(round.next(&ours, 10, &mut out), Need::Write);
    move_to(&ours, 10);
    assert_eq!(round.next(&ours, 10, &mut out), Need::Over);
    assert_eq!(round.owed(), 0);
    // Where everything was pushed and only the end is to be confirmed, there is nothing to be given up.
    let mut round = Round::new(8, (ours.sum(), 10), Rules::SOUND);
    said(&mut round, &ours);
    let same = Answer::Sum { sum: WholeSum::Is(ours.sum()), watermark: 10 };
    assert!(round.answered(&same, &ours).unwrap().is_none());
    assert_eq!(said(&mut round, &ours), "DONE 8\n");
    move_to(&ours, 20);
    assert!(matches!(round.answered(&Answer::Done(8), &ours), Ok(Some(RoundEnd::Judged(_)))));
}

#[test]
fn sum_is_of_no_use_while_a_watermark_moves_and_tells_the_one_it_moves_to() {
    let ours = keeping(0..200, 1000);
    let mut pass = ours.begin_pass(60, 0);
    for watermark in [0, 60] {
        let held = super::answer(&ours, &Question::Sum { watermark }, &mut 0);
        assert_eq!(held, Some(Held::Sum { sum: None, watermark: 60 }));
    }
    while !ours.go_on(&mut pass) {}
    let mut compared = 0;
    let held = super::answer(&ours, &Question::Sum { watermark: 60 }, &mut compared);
    assert_eq!((held, compared), (Some(Held::Sum { sum: Some(ours.sum()), watermark: 60 }), 60));
    assert!(matches!(super::answer(&ours, &Question::Shards, &mut compared), Some(Held::Sums(_))));
}

#[test]
fn sweep_pushes_everything_and_asks_nothing() {
    let (ours, theirs) = (keeping(0..20, 1000), keeping(0..0, 0));
    move_to(&theirs, 60);
    let mut round = Round::sweep(7, &ours, Rules::SOUND);
    let mut answers = Vec::new();
    said(&mut round, &ours).lines().for_each(|line| answer(line.as_bytes(), &theirs, &mut answers));
    assert_eq!((theirs.sum(), answers), (ours.sum(), b"DONE 7\n".to_vec()));
    assert!(matches!(round.answered(&Answer::Done(7), &ours), Ok(Some(RoundEnd::Judged(_)))));
}
