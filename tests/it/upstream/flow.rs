//! Lookups side by side: those that are the same are one call, those that hang hold up nobody else, and an answer may be kept.

use super::{failed, google, located, lookup, metric, metrics, recorded, reply};
use crate::support::{Answer, Client, FakePeer, TestNode, Upstream, gate, wait_until};

/// So many connections that have asked the same, each with a bound of its own.
fn ask_at_once(node: &TestNode, count: usize) -> Vec<Client> {
    let asking = (0..count).map(|bound| {
        let mut client = node.client();
        client.send(format!("WHATSAT kiwi 10 {bound}\n"));
        client
    });
    let asking: Vec<_> = asking.collect();
    wait_until("all of them wait", || metric(node, "lookups_in_flight/google") == count as f64);
    asking
}

#[test]
fn same_lookups_in_flight_are_one_call_and_each_gets_its_own_cut() {
    let (shut, held) = gate();
    let upstream = Upstream::answering(Answer::ok(recorded!("compact")).held(&held));
    let node = google(&upstream, "").start();
    let (_reporter, at) = located(&node);
    let asking = ask_at_once(&node, 8);
    drop(shut);
    let cuts = [recorded!("compact.cut0"), recorded!("compact.cut1"), recorded!("compact.cut2")];
    for (bound, mut client) in asking.into_iter().enumerate() {
        let expected = cuts.get(bound).copied().unwrap_or(recorded!("compact").trim_end());
        assert_eq!(reply(&mut client, &at), expected, "{bound}");
    }
    assert_eq!(upstream.count(), 1);
    let counts = ["shared_total/google", "calls_total/google/ok", "lookups_total/google/ok"];
    assert_eq!(metrics(&node, counts), [7.0, 1.0, 8.0]);
    assert_eq!(metric(&node, "lookups_in_flight/google"), 0.0);
}

#[test]
fn same_lookups_in_flight_fail_together() {
    let (shut, held) = gate();
    let upstream = Upstream::answering(Answer::html(403).held(&held));
    let node = google(&upstream, "").start();
    let (_reporter, at) = located(&node);
    let asking = ask_at_once(&node, 5);
    drop(shut);
    for mut client in asking {
        assert_eq!(failed(&reply(&mut client, &at)), "REQUEST_DENIED");
    }
    assert_eq!(upstream.count(), 1);
    let counts = ["calls_total/google/denied", "lookups_total/google/failed"];
    assert_eq!(metrics(&node, counts), [1.0, 5.0]);
}

#[test]
fn lookup_after_another_has_ended_is_a_call_of_its_own() {
    let upstream = Upstream::answering(Answer::ok(recorded!("compact")));
    let node = google(&upstream, "").start();
    let (mut client, at) = located(&node);
    for _ in 0..3 {
        lookup(&mut client, &at, "10", 1);
    }
    assert_eq!(upstream.count(), 3, "no answer is kept unless that is configured");
    assert_eq!(metrics(&node, ["shared_total/google", "cached_total/google"]), [0.0, 0.0]);
    assert_eq!(metric(&node, "cache_bytes/google"), 0.0);
}

#[test]
fn different_lookups_are_different_calls_side_by_side() {
    let (shut, held) = gate();
    let upstream = Upstream::answering(Answer::ok(recorded!("compact")).held(&held));
    let node = google(&upstream, "").start();
    let (mut reporter, at) = located(&node);
    reporter.ask("IAMAT near +34.068931-118.445127 1479413884");
    let mut asking: Vec<_> = ["kiwi 10 1", "kiwi 10.001 1", "near 10 1"]
        .iter()
        .map(|question| {
            let mut client = node.client();
            client.send(format!("WHATSAT {question}\n"));
            client
        })
        .collect();
    wait_until("all of them have been asked", || upstream.count() == 3);
    drop(shut);
    for client in &mut asking[..2] {
        assert_eq!(reply(client, &at), recorded!("compact.cut1"));
    }
    assert_eq!(metric(&node, "shared_total/google"), 0.0);
    let mut lines: Vec<_> = upstream.asked().iter().map(|asked| asked.line().to_owned()).collect();
    lines.sort();
    lines.dedup();
    assert_eq!(lines.len(), 3);
}

#[test]
fn hanging_service_holds_up_nobody_but_those_who_ask_it() {
    let (shut, held) = gate();
    let upstream = Upstream::answering(Answer::ok(recorded!("compact")).held(&held));
    let welsh = FakePeer::new("Welsh");
    let node = google(&upstream, "total_seconds = 120\nresponse_seconds = 60").neighbour(&welsh).start();
    let mut flooder = welsh.link(&node);
    let (mut reporter, at) = located(&node);
    flooder.news();
    let mut asking: Vec<_> = (0..30)
        .map(|radius| {
            let mut client = node.client();
            client.send(format!("IAMAT own{radius} +1+1 1\nWHATSAT kiwi {radius} 1\nafter\n"));
            // What was owed before the lookup is not held back by it.
            assert!(client.line().starts_with(b"AT Alford "));
            client
        })
        .collect();
    wait_until("all of them hang", || upstream.count() == 30);
    for time in 0..500 {
        let line = format!("IAMAT walker +34.068930-118.445127 {}", 1_479_413_885 + time);
        assert!(reporter.ask(&line).starts_with("AT Alford "));
    }
    assert!(node.page("/readyz").1.contains("ready"));
    assert_eq!(metric(&node, "lookups_in_flight/google"), 30.0, "they hung all the while");
    drop(shut);
    for client in &mut asking {
        assert_eq!(reply(client, &at), recorded!("compact.cut1"));
        assert_eq!(client.line(), b"? after\n");
    }
}

#[test]
fn node_stops_at_once_though_a_service_hangs() {
    let (_shut, held) = gate();
    let upstream = Upstream::answering(Answer::ok(recorded!("compact")).held(&held));
    let mut node = google(&upstream, "total_seconds = 120\nresponse_seconds = 60").start();
    let (mut reporter, at) = located(&node);
    let mut asking = ask_at_once(&node, 3);
    let mut other = node.client();
    other.send("WHATSAT kiwi 11 1\n");
    wait_until("both are asked for", || upstream.count() == 2);
    asking.push(other);
    node.stop();
    reporter.expect_closed();
    for mut client in asking {
        let rest = String::from_utf8(client.rest()).unwrap();
        if let Some(json) = rest.strip_prefix(&format!("{at}\n")) {
            assert_eq!(failed(json.trim_end()), "UNKNOWN_ERROR");
        } else {
            assert_eq!(rest, "", "nothing or a whole reply");
        }
    }
}

#[test]
fn client_that_goes_leaves_nothing_behind() {
    let (shut, held) = gate();
    let upstream = Upstream::answering(Answer::ok(recorded!("compact")).held(&held));
    let node = google(&upstream, "").start();
    let (mut reporter, at) = located(&node);
    ask_at_once(&node, 4).into_iter().for_each(Client::vanish);
    drop(shut);
    wait_until("nobody asks", || metric(&node, "lookups_in_flight/google") == 0.0);
    assert_eq!(lookup(&mut reporter, &at, "10", 1), recorded!("compact.cut1"));
}

#[test]
fn kept_answer_is_given_again_with_each_ones_bound() {
    let upstream = Upstream::in_turn(vec![Answer::ok(recorded!("compact")), Answer::html(500)]);
    let node = google(&upstream, "cache_seconds = 3600").start();
    let (mut client, at) = located(&node);
    assert_eq!(lookup(&mut client, &at, "10", 0), recorded!("compact.cut0"));
    assert_eq!(lookup(&mut client, &at, "10", 2), recorded!("compact.cut2"));
    assert_eq!(lookup(&mut client, &at, "10.0", 20), recorded!("compact").trim_end());
    assert_eq!((upstream.count(), metric(&node, "cached_total/google")), (1, 2.0));
    assert!(metric(&node, "cache_bytes/google") >= recorded!("compact").len() as f64);
    // Another question, and a failure, which is not kept.
    for _ in 0..2 {
        assert_eq!(failed(&lookup(&mut client, &at, "11", 1)), "UNKNOWN_ERROR");
    }
    assert_eq!((upstream.count(), metric(&node, "cached_total/google")), (5, 2.0));
}

#[test]
fn kept_answer_is_asked_for_anew_when_its_time_is_over() {
    let upstream =
        Upstream::in_turn(vec![Answer::ok(recorded!("compact")), Answer::ok(recorded!("brackets"))]);
    let node = google(&upstream, "cache_seconds = 0.05").start();
    let (mut client, at) = located(&node);
    assert_eq!(lookup(&mut client, &at, "10", 1), recorded!("compact.cut1"));
    wait_until("it is forgotten", || lookup(&mut client, &at, "10", 2) == recorded!("brackets.cut2"));
}

#[test]
fn answers_kept_stay_within_their_bound() {
    let body = format!("{{\"results\":[\"{}\"],\"status\":\"OK\"}}", "x".repeat(3000));
    let upstream = Upstream::answering(Answer::ok(body));
    let node = google(&upstream, "cache_seconds = 3600\ncache_bytes = 20_000").start();
    let (mut client, at) = located(&node);
    let mut fullest: f64 = 0.0;
    for radius in 0..30 {
        lookup(&mut client, &at, &radius.to_string(), 1);
        fullest = fullest.max(metric(&node, "cache_bytes/google"));
    }
    assert!((3000.0..=20_000.0).contains(&fullest), "{fullest}");
    assert_eq!(upstream.count(), 30);
    lookup(&mut client, &at, "29", 1);
    assert_eq!(upstream.count(), 30, "the youngest is kept");
    lookup(&mut client, &at, "0", 1);
    assert_eq!(upstream.count(), 31, "the oldest is not");
}

#[test]
fn answer_larger_than_the_bound_is_given_and_not_kept() {
    let body = format!("{{\"results\":[\"{}\"],\"status\":\"OK\"}}", "x".repeat(3000));
    let upstream = Upstream::answering(Answer::ok(body.as_str()));
    let node = google(&upstream, "cache_seconds = 3600\ncache_bytes = 1024").start();
    let (mut client, at) = located(&node);
    for count in 1..3 {
        assert_eq!(lookup(&mut client, &at, "10", 1), body);
        assert_eq!((upstream.count(), metric(&node, "cache_bytes/google")), (count, 0.0));
    }
}
