//! What links of both kinds do alike: dial, look, write, and give their memory back.

use super::*;
use crate::core::links::{
    Broken, Offer,
    connection::LOOKS_MAX,
    scene_tests::{Bench, LONGEST, Next, ends, id, ms, times},
};

pub(super) const HELLO: &str = "HELLO 2 test B A 0000000000000000 0000000000000009 - - -";

/// One of either kind.
pub(super) fn both() -> [Bench; 2] {
    let ends = ends(None);
    [
        Bench::of(|queue| Link::new(ends, times(), queue)),
        Bench::of(|queue| Link::plain(id("A"), PlainForm::default(), times(), queue)),
    ]
}

pub(super) fn of_herd() -> Bench {
    let [bench, _] = both();
    bench
}

pub(super) fn of_plain() -> Bench {
    let [_, bench] = both();
    bench
}

/// Links up, and continues until the link rests; returns until when.
#[track_caller]
pub(super) fn come_to_rest(bench: &mut Bench, now: u64) -> Tick {
    bench.connect(now);
    for _ in 0..20 {
        match bench.next(now).0 {
            Next::Rest(until) => return until,
            Next::Listen(_) if bench.link.is_up() => {
                let asked = std::mem::take(&mut bench.said);
                let answer = if asked.starts_with("SUM") { "SUM 0000000000000000 0" } else { "DONE 1" };
                bench.hear(now, answer);
            }
            Next::Listen(_) => drop(bench.hear(now, HELLO)),
            Next::Write { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    panic!("it does not rest");
}

/// How long it waits before it dials again.
#[track_caller]
fn wait_after_loss(bench: &mut Bench, now: u64) -> u128 {
    bench.lose(now);
    let (Next::Pause(until), _) = bench.next(now) else { panic!() };
    (until - ms(now)).as_millis() + 1
}

#[test]
fn link_dials_at_once_then_with_doubling_waits() {
    for mut bench in both() {
        assert_eq!(bench.next(0).0, Next::Dial);
        assert_eq!(wait_after_loss(&mut bench, 0), 100);
        assert_eq!(bench.next(100).0, Next::Dial);
        assert_eq!(wait_after_loss(&mut bench, 0), 200);
    }
}

#[test]
fn only_a_good_connection_resets_the_wait() {
    for mut bench in both() {
        (0..6).for_each(|_| bench.lose(0));
        come_to_rest(&mut bench, 0);
        assert_eq!(wait_after_loss(&mut bench, 9_999), 5000);
        come_to_rest(&mut bench, 20_000);
        assert_eq!(wait_after_loss(&mut bench, 30_000), 100);
    }
}

#[test]
fn a_call_from_the_neighbour_ends_the_wait() {
    for mut bench in both() {
        wait_after_loss(&mut bench, 0);
        bench.link.called(ms(10));
        assert_eq!(bench.next(10).0, Next::Dial);
    }
}

#[test]
fn news_goes_before_the_neighbour_is_heard_but_not_twice() {
    for mut bench in both() {
        let step = |bench: &mut Bench| bench.link.step(ms(0), &bench.store);
        come_to_rest(&mut bench, 0);
        assert_eq!(step(&mut bench), Step::Look);
        assert!(matches!(step(&mut bench), Step::Rest { .. }));
        bench.outbox.offer(&b"AT one A\n"[..].into());
        assert!(matches!(step(&mut bench), Step::Write { .. }));
        bench.outbox.offer(&b"AT two A\n"[..].into());
        bench.link.wrote(9);
        assert_eq!(step(&mut bench), Step::Look);
        assert!(matches!(step(&mut bench), Step::Write { .. }));
    }
}

#[test]
fn neighbour_that_is_about_to_be_given_up_is_heard_before_news_is_written() {
    let mut bench = of_herd();
    come_to_rest(&mut bench, 0);
    assert_eq!(bench.next(1000).1, "PING 1\n");
    bench.next(1000);
    bench.outbox.offer(&b"AT one A\n"[..].into());
    assert_eq!(bench.link.step(ms(6000), &bench.store), Step::Look);
    bench.hear(6000, "PONG 1 1.5");
    assert_eq!(bench.next(6000).1, "AT one A\nPING 2\n");
}

#[test]
fn what_is_written_in_pieces_is_told_once_it_is_whole_and_a_slow_neighbour_is_given_up() {
    let mut bench = of_herd();
    come_to_rest(&mut bench, 0);
    bench.events();
    bench.outbox.offer(&b"AT one A\nAT two A\n"[..].into());
    let step = |bench: &mut Bench, now| bench.link.step(ms(now), &bench.store);
    assert_eq!(step(&mut bench, 100), Step::Write { until: ms(5100) });
    bench.link.wrote(9);
    assert_eq!(bench.events(), []);
    assert_eq!(bench.link.output(), b"AT two A\n");
    // What is sent at once found room that was there, whether the neighbour lives or not.
    assert_eq!(step(&mut bench, 5099), Step::Write { until: ms(5100) });
    bench.link.wrote(9);
    assert_eq!(bench.events(), [Event::Sent { bytes: 18, updates: 2, pinged_at: None }]);
    bench.outbox.offer(&b"AT one A\n"[..].into());
    assert_eq!(step(&mut bench, 5100), Step::Look);
    assert!(matches!(step(&mut bench, 5100), Step::Write { .. }));
    bench.link.wrote(1);
    assert_eq!(bench.lost(10_100), Lost::Stuck(times().write));
}

/// What is next, after everything that could be looked for has been.
fn go_on(bench: &mut Bench, now: u64) -> Step {
    loop {
        let step = bench.link.step(ms(now), &bench.store);
        if step != Step::Look {
            return step;
        }
    }
}

#[test]
fn neighbour_that_takes_a_little_now_and_then_is_kept_until_all_of_it_is_due() {
    for mut bench in both() {
        come_to_rest(&mut bench, 0);
        bench.outbox.offer(&vec![b'x'; 100].into());
        assert_eq!(go_on(&mut bench, 100), Step::Write { until: ms(5_100) });
        bench.link.wrote(1);
        assert_eq!(go_on(&mut bench, 5_000), Step::Write { until: ms(5_100) });
        for now in (5_000..60_100).step_by(4_900) {
            bench.link.wrote(1);
            let until = (now + 5_000).min(60_100);
            assert_eq!(go_on(&mut bench, now), Step::Write { until: ms(until) });
            // A write that sends nothing is not progress.
            bench.link.wrote(0);
            assert_eq!(go_on(&mut bench, now + 100), Step::Write { until: ms(until) });
        }
        assert_eq!(bench.lost(60_100), Lost::Slow(times().answer));
    }
}

#[test]
fn neighbour_that_takes_what_is_written_may_answer_later() {
    let mut bench = of_herd();
    come_to_rest(&mut bench, 0);
    assert_eq!(bench.next(1_000).1, "PING 1\n");
    bench.next(1_000);
    bench.outbox.offer(&vec![b'x'; 100].into());
    assert_eq!(go_on(&mut bench, 3_000), Step::Write { until: ms(5_000) });
    bench.link.wrote(1);
    bench.link.wrote(1);
    assert_eq!(go_on(&mut bench, 4_000), Step::Write { until: ms(9_000) });
    bench.link.wrote(98);
    assert_eq!(bench.next(4_500).0, Next::Rest(ms(4_600)));
    assert!(matches!(bench.next(9_499).0, Next::Rest(_)));
    assert_eq!(bench.broken(9_500), Broken::Silent(times().liveness));
}

#[test]
fn neighbour_that_owes_an_answer_is_written_to_for_no_longer_than_it_may_be_silent() {
    let mut bench = of_herd();
    come_to_rest(&mut bench, 0);
    assert_eq!(bench.next(1000).1, "PING 1\n");
    bench.next(1000);
    bench.outbox.offer(&b"AT one A\n"[..].into());
    assert_eq!(bench.link.step(ms(3000), &bench.store), Step::Write { until: ms(5000) });
}

#[test]
fn all_that_a_plain_neighbour_says_is_taken_and_thrown_away_also_while_it_takes_nothing() {
    let mut bench = of_plain();
    come_to_rest(&mut bench, 0);
    let step = |bench: &mut Bench| bench.link.step(ms(100), &bench.store);
    for _ in 0..5 {
        assert_eq!(step(&mut bench), Step::Look);
        assert_eq!(bench.hear(100, "? AT what nobody asked for"), None);
    }
    assert_eq!(step(&mut bench), Step::Look);
    // More may arrive, so it does not rest for long; once nothing has arrived, it does.
    assert_eq!(step(&mut bench), Step::Rest { until: ms(100) + LOOK_AGAIN });
    assert_eq!(bench.next(100).0, Next::Rest(ms(1100)));
    bench.outbox.offer(&b"AT one A\n"[..].into());
    assert!(matches!(step(&mut bench), Step::Write { .. }));
    bench.link.wrote(1);
    for _ in 0..5 {
        assert_eq!(step(&mut bench), Step::Look);
        assert_eq!(bench.hear(100, "? AT what nobody asked for"), None);
    }
    assert_eq!(step(&mut bench), Step::Look);
    // Once it accepts nothing more, the link sees how the connection ends.
    bench.link.received(0, ms(100), 0, &bench.store);
    assert!(matches!(step(&mut bench), Step::Write { .. }));
    assert_eq!(bench.link.output(), b"T one A\n");
    bench.link.wrote(8);
    assert_eq!(step(&mut bench), Step::Look);
    bench.link.received(0, ms(100), 0, &bench.store);
    assert_eq!(bench.lost(100), Lost::Closed);
}

#[test]
fn no_more_is_looked_for_what_never_ends_than_so_often() {
    let mut bench = of_plain();
    come_to_rest(&mut bench, 0);
    for _ in 0..LOOKS_MAX {
        assert_eq!(bench.link.step(ms(100), &bench.store), Step::Look);
        bench.hear(100, "? AT");
    }
    assert!(matches!(bench.link.step(ms(100), &bench.store), Step::Rest { .. }));
}

#[test]
fn memory_is_given_back() {
    for mut bench in both() {
        come_to_rest(&mut bench, 0);
        assert!(!bench.link.is_grown());
        // One long batch.
        bench.outbox.offer(&vec![b'x'; OUT_BYTES_KEPT + 1].into());
        assert!(matches!(bench.next(0).0, Next::Write { .. }));
        assert!(bench.link.is_grown());
        assert!(matches!(bench.next(0).0, Next::Rest(_)));
        assert!(!bench.link.is_grown());
        bench.connect(0);
        assert!(!bench.link.is_grown());
        // A line that has not ended, and what is being written.
        bench.link.space().fill(b'x');
        bench.link.received(1024, ms(0), 0, &bench.store);
        let count = bench.link.space().len();
        bench.link.received(count, ms(0), 0, &bench.store);
        assert!(bench.link.is_grown());
        bench.lose(0);
        assert!(!bench.link.is_grown());
        assert!(bench.link.output().is_empty() && bench.link.news().is_empty());
        assert!(bench.link.space().is_empty());
    }
}

#[test]
fn memory_that_answers_took_is_given_back_once_no_more_come() {
    let mut bench = of_plain();
    come_to_rest(&mut bench, 0);
    for _ in 0..5 {
        assert_eq!(bench.link.step(ms(100), &bench.store), Step::Look);
        let count = bench.link.space().len();
        bench.link.space().fill(b'\n');
        bench.link.received(count, ms(100), 0, &bench.store);
    }
    assert_eq!(bench.next(100).0, Next::Rest(ms(200)));
    assert!(bench.link.is_grown());
    assert_eq!(bench.next(200).0, Next::Rest(ms(1200)));
    assert!(!bench.link.is_grown());
}

#[test]
fn failed_dial_is_told_and_waited_for() {
    for mut bench in both() {
        assert_eq!(bench.next(0).0, Next::Dial);
        // A link that could not dial just now is told to again.
        assert_eq!(bench.next(0).0, Next::Dial);
        bench.link.failed("it cannot be reached".to_owned());
        assert_eq!(bench.next(0).0, Next::HangUp);
        bench.link.hung_up(ms(0), LONGEST);
        let why = Lost::Failed("it cannot be reached".to_owned());
        assert_eq!(bench.events(), [Event::Lost { why, was_up: false }]);
        assert!(matches!(bench.next(0).0, Next::Pause(_)));
        assert_eq!(bench.outbox.offer(&b"AT x A\n"[..].into()), Offer::Down);
    }
}
