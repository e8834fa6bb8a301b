//! What an upstream may cost: calls a second and a day, lookups at once, one more try, and those who are asked after it.

use std::time::Instant;

use super::{KEY, failed, failure, google, located, lookup, metric, metrics, recorded, reply};
use crate::support::{Answer, Setup, Upstream, gate, wait_until};

#[test]
fn calls_beyond_those_of_a_second_are_refused_and_a_second_later_allowed() {
    let upstream = Upstream::answering(Answer::ok(recorded!("compact")));
    let node = google(&upstream, "calls_per_second = 3").start();
    let started = Instant::now();
    let (mut client, at) = located(&node);
    let mut refused = 0;
    for radius in 0..30 {
        let json = lookup(&mut client, &at, &radius.to_string(), 1);
        if json != recorded!("compact.cut1") {
            assert_eq!(failed(&json), "OVER_QUERY_LIMIT");
            refused += 1;
        }
    }
    let most = 3.0 + started.elapsed().as_secs_f64() * 3.0;
    assert!(upstream.count() as f64 <= most + 1.0, "{} calls, not {most}", upstream.count());
    assert_eq!(upstream.count() + refused, 30);
    assert_eq!(metric(&node, "refused_total/google/rate"), refused as f64);
    assert_eq!(metric(&node, "lookups_total/google/failed"), refused as f64);
    wait_until("a call is allowed", || lookup(&mut client, &at, "40", 1) == recorded!("compact.cut1"));
}

#[test]
fn calls_beyond_those_of_a_day_are_refused() {
    let upstream = Upstream::answering(Answer::ok(recorded!("compact")));
    let node = google(&upstream, "calls_per_day = 3\ncache_seconds = 3600").start();
    let (mut client, at) = located(&node);
    for radius in ["1", "2", "2", "3"] {
        assert_eq!(
            lookup(&mut client, &at, radius, 1),
            recorded!("compact.cut1"),
            "what is kept costs nothing"
        );
    }
    for radius in ["4", "5"] {
        assert_eq!(failed(&lookup(&mut client, &at, radius, 1)), "OVER_QUERY_LIMIT");
    }
    assert_eq!(lookup(&mut client, &at, "3", 1), recorded!("compact.cut1"));
    assert_eq!(upstream.count(), 3);
    assert_eq!(metrics(&node, ["refused_total/google/day", "refused_total/google/rate"]), [2.0, 0.0]);
}

#[test]
fn one_more_try_is_a_call_like_any_other() {
    let upstream = Upstream::answering(Answer::html(503));
    let node = google(&upstream, "calls_per_day = 3").start();
    let (mut client, at) = located(&node);
    for radius in ["1", "2", "3"] {
        failed(&lookup(&mut client, &at, radius, 1));
    }
    assert_eq!(upstream.count(), 3);
}

#[test]
fn lookups_beyond_their_number_are_refused_at_once() {
    let (shut, held) = gate();
    let upstream = Upstream::answering(Answer::ok(recorded!("compact")).held(&held));
    let node = google(&upstream, "lookups = 3").start();
    let (mut late, at) = located(&node);
    // Those who wait for another's call hold a thread as well.
    let mut asking: Vec<_> = ["1", "2", "2"]
        .iter()
        .map(|radius| {
            let mut client = node.client();
            client.send(format!("WHATSAT kiwi {radius} 1\n"));
            client
        })
        .collect();
    wait_until("three wait", || metric(&node, "lookups_in_flight/google") == 3.0);
    for radius in ["1", "4"] {
        let (status, _) = failure(&lookup(&mut late, &at, radius, 1));
        assert_eq!(status, "OVER_QUERY_LIMIT");
    }
    assert_eq!(metric(&node, "refused_total/google/lookups"), 2.0);
    drop(shut);
    for client in &mut asking {
        assert_eq!(reply(client, &at), recorded!("compact.cut1"));
    }
    assert_eq!(lookup(&mut late, &at, "4", 1), recorded!("compact.cut1"));
    assert_eq!(upstream.count(), 3);
}

#[test]
fn days_last_call_is_logged_once_however_many_lookups_are_refused() {
    let upstream = Upstream::answering(Answer::ok(recorded!("compact")));
    let mut node = google(&upstream, "calls_per_day = 1").start();
    let (mut client, at) = located(&node);
    lookup(&mut client, &at, "1", 1);
    for radius in ["2", "3", "4", "5"] {
        assert_eq!(failed(&lookup(&mut client, &at, radius, 1)), "OVER_QUERY_LIMIT");
    }
    assert_eq!((metric(&node, "refused_total/google/day"), upstream.count()), (4.0, 1));
    node.stop();
    let log = node.log();
    assert_eq!(log.matches("has asked google as often as it may today").count(), 1, "{log}");
}

#[test]
fn what_may_pass_is_tried_once_more() {
    let unknown = "{\"html_attributions\":[],\"results\":[],\"status\":\"UNKNOWN_ERROR\"}";
    for (name, first) in [
        ("500", Answer::html(500)),
        ("502", Answer::html(502)),
        ("503", Answer::html(503)),
        ("504", Answer::html(504)),
        ("UNKNOWN_ERROR", Answer::ok(unknown)),
    ] {
        let upstream = Upstream::in_turn(vec![first, Answer::ok(recorded!("compact"))]);
        let node = google(&upstream, "").start();
        let (mut client, at) = located(&node);
        assert_eq!(lookup(&mut client, &at, "10", 1), recorded!("compact.cut1"), "{name}");
        let counts = ["retries_total/google", "calls_total/google/unavailable", "calls_total/google/ok"];
        assert_eq!(metrics(&node, counts), [1.0, 1.0, 1.0], "{name}");
        assert_eq!(metrics(&node, ["lookups_total/google/ok", "lookups_total/google/failed"]), [1.0, 0.0]);
        assert_eq!(upstream.asked()[0].head, upstream.asked()[1].head);
    }
}

#[test]
fn embedded_places_take_over_from_a_service_that_fails() {
    let upstream = Upstream::answering(Answer::html(429));
    let node = google(&upstream, "then = [\"embedded\"]").start();
    let (mut client, at) = located(&node);
    let table = "source = \"embedded\"";
    let embedded = Setup::new().source(table).start();
    let (mut other, other_at) = located(&embedded);
    for bound in [0, 5] {
        assert_eq!(lookup(&mut client, &at, "10", bound), lookup(&mut other, &other_at, "10", bound));
    }
    assert_eq!(upstream.count(), 2);
    assert_eq!(metric(&node, "lookups_total/google/failed"), 2.0);
}

#[test]
fn new_service_takes_over_where_the_legacy_one_is_not_enabled() {
    let legacy = Upstream::answering(Answer::new(200, recorded!("legacy_disabled")));
    let new = Upstream::answering(Answer::ok(recorded!("new")));
    let more = format!("new_base_url = \"{}\"\nthen = [\"google-new\"]", new.url());
    let node = google(&legacy, &more).start();
    let (mut client, at) = located(&node);
    for (radius, count) in [("1", 1), ("2", 2), ("3", 3)] {
        let json: serde_json::Value = serde_json::from_str(&lookup(&mut client, &at, radius, 2)).unwrap();
        assert_eq!((json["status"].as_str(), json["results"].as_array().unwrap().len()), (Some("OK"), 2));
        assert_eq!(new.count(), count);
    }
    assert_eq!(metric(&node, "lookups_total/google-new/ok"), 3.0);
    assert!(legacy.count() >= 1);
    // Both fail: the client is told of the last.
    let both = Upstream::answering(Answer::html(429));
    let more = format!("new_base_url = \"{}\"\nthen = [\"google-new\"]", both.url());
    let node = google(&legacy, &more).start();
    let (mut client, at) = located(&node);
    assert_eq!(failed(&lookup(&mut client, &at, "1", 2)), "OVER_QUERY_LIMIT");
    assert!(!node.log().contains(KEY));
}
