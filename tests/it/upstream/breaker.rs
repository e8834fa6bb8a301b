//! The circuit breaker: a service that fails again and again is left alone, and tried again by itself.

use std::thread;

use super::{failed, google, located, lookup, metric, metrics, recorded, reply};
use crate::support::{Answer, Upstream, gate, wait_until};

#[test]
fn service_that_fails_again_and_again_is_left_alone() {
    for (failure, status) in [(Answer::html(200), "UNKNOWN_ERROR"), (Answer::html(429), "OVER_QUERY_LIMIT")] {
        let upstream = Upstream::answering(failure);
        let node = google(&upstream, "breaker_failures = 3\nbreaker_seconds = 3600").start();
        let (mut client, at) = located(&node);
        for radius in ["1", "2", "3"] {
            assert_eq!(metric(&node, "breaker_open/google"), 0.0);
            assert_eq!(failed(&lookup(&mut client, &at, radius, 1)), status);
        }
        for radius in ["3", "4"] {
            assert_eq!(
                failed(&lookup(&mut client, &at, radius, 1)),
                status,
                "that of the failure that opened it"
            );
        }
        assert_eq!(upstream.count(), 3);
        assert_eq!(metrics(&node, ["refused_total/google/breaker", "breaker_open/google"]), [2.0, 1.0]);
        assert_eq!(metric(&node, "lookups_total/google/failed"), 5.0);
    }
}

#[test]
fn refused_key_is_refused_for_all_and_an_invalid_question_is_that_ones_alone() {
    for (answer, status, calls) in
        [(Answer::html(403), "REQUEST_DENIED", 1), (Answer::html(400), "INVALID_REQUEST", 5)]
    {
        let upstream = Upstream::answering(answer);
        let node = google(&upstream, "breaker_failures = 3\nbreaker_seconds = 3600").start();
        let (mut client, at) = located(&node);
        for radius in 0..5 {
            assert_eq!(failed(&lookup(&mut client, &at, &radius.to_string(), 1)), status);
        }
        assert_eq!(upstream.count(), calls);
        assert_eq!(metric(&node, "refused_total/google/breaker"), (5 - calls) as f64);
    }
}

#[test]
fn only_failures_in_a_row_count() {
    let upstream = Upstream::new(|asked| match asked.number % 3 {
        2 => Answer::ok(recorded!("zero")),
        _ => Answer::html(200),
    });
    let node = google(&upstream, "breaker_failures = 3\nbreaker_seconds = 3600").start();
    let (mut client, at) = located(&node);
    for radius in 0..12 {
        lookup(&mut client, &at, &radius.to_string(), 1);
    }
    assert_eq!((upstream.count(), metric(&node, "breaker_open/google")), (12, 0.0));
}

#[test]
fn service_left_alone_is_tried_again_by_itself() {
    let upstream = Upstream::new(|asked| match asked.number {
        0..5 => Answer::html(200),
        _ => Answer::ok(recorded!("compact")),
    });
    let node = google(&upstream, "breaker_failures = 3\nbreaker_seconds = 0.05").start();
    let (mut client, at) = located(&node);
    wait_until("it answers", || lookup(&mut client, &at, "10", 1) == recorded!("compact.cut1"));
    assert_eq!(upstream.count(), 6, "three failures, and one call each time it was tried again");
    assert_eq!(metric(&node, "breaker_open/google"), 0.0);
    assert_eq!(lookup(&mut client, &at, "10", 2), recorded!("compact.cut2"));
}

#[test]
fn one_lookup_tries_while_the_others_are_refused() {
    let (shut, held) = gate();
    let upstream = Upstream::new(move |asked| match asked.number {
        0 => Answer::html(200),
        _ => Answer::ok(recorded!("compact")).held(&held),
    });
    let node = google(&upstream, "breaker_failures = 1\nbreaker_seconds = 0.05").start();
    let (mut client, at) = located(&node);
    thread::scope(|scope| {
        let (mut trying, at) = (node.client(), &at);
        let tries = scope.spawn(move || {
            wait_until("it answers", || lookup(&mut trying, at, "1", 1) == recorded!("compact.cut1"));
        });
        wait_until("one tries", || upstream.count() == 2);
        for radius in ["2", "3"] {
            assert_eq!(failed(&lookup(&mut client, at, radius, 1)), "UNKNOWN_ERROR");
        }
        assert_eq!(upstream.count(), 2);
        drop(shut);
        tries.join().unwrap();
    });
    assert_eq!(lookup(&mut client, &at, "2", 1), recorded!("compact.cut1"));
    assert_eq!(metric(&node, "breaker_open/google"), 0.0);
}

#[test]
fn lookups_that_wait_count_as_one_failure() {
    let (shut, held) = gate();
    let upstream = Upstream::answering(Answer::html(200).held(&held));
    let node = google(&upstream, "breaker_failures = 2\nbreaker_seconds = 3600").start();
    let (_reporter, at) = located(&node);
    let mut asking: Vec<_> = (0..4).map(|_| node.client()).collect();
    asking.iter_mut().for_each(|client| client.send("WHATSAT kiwi 10 1\n"));
    wait_until("all wait", || metric(&node, "lookups_in_flight/google") == 4.0);
    drop(shut);
    asking.iter_mut().for_each(|client| drop(failed(&reply(client, &at))));
    assert_eq!((upstream.count(), metric(&node, "breaker_open/google")), (1, 0.0));
}

#[test]
fn each_service_has_a_breaker_of_its_own() {
    let legacy = Upstream::answering(Answer::html(200));
    let new = Upstream::answering(Answer::ok(recorded!("new")));
    let more = format!(
        "new_base_url = \"{}\"\nthen = [\"google-new\"]\nbreaker_failures = 1\nbreaker_seconds = 3600",
        new.url()
    );
    let node = google(&legacy, &more).start();
    let (mut client, at) = located(&node);
    for radius in ["1", "2", "3"] {
        assert!(lookup(&mut client, &at, radius, 1).contains("\"status\" : \"OK\""));
    }
    assert_eq!((legacy.count(), new.count()), (1, 3));
    assert_eq!(metrics(&node, ["breaker_open/google", "breaker_open/google-new"]), [1.0, 0.0]);
}
