//! What the legacy service is asked, and that its answer reaches the client as it came: every byte, but for the results
//! beyond the bound and for empty lines.

use super::{KEY, google, located, lookup, metrics, recorded};
use crate::support::{Answer, Setup, Upstream};

/// The JSON a client gets that asks for so many results, where the service answers with this.
#[track_caller]
fn passed_on(answer: Answer, bound: usize) -> String {
    let upstream = Upstream::answering(answer);
    let node = google(&upstream, "").start();
    let (mut client, at) = located(&node);
    lookup(&mut client, &at, "10", bound)
}

#[test]
fn request_is_googles_and_holds_nothing_else() {
    let upstream = Upstream::answering(Answer::ok(recorded!("zero")));
    let node = google(&upstream, "").start();
    let (mut client, at) = located(&node);
    // Google takes no radius of nothing.
    for (radius, metres) in [("10", "10000"), ("0", "1"), ("1.2345", "1234.5"), ("50", "50000")] {
        lookup(&mut client, &at, radius, 5);
        let asked = upstream.asked().pop().unwrap();
        let path = "/maps/api/place/nearbysearch/json";
        let query = format!("location=34.06893,-118.445127&radius={metres}&key={KEY}");
        assert_eq!(asked.line(), format!("GET {path}?{query} HTTP/1.1"));
        assert!(asked.body.is_empty());
        assert_eq!(asked.header("host"), Some(upstream.address().to_string().as_str()));
        assert_eq!(asked.header("accept-encoding"), Some("gzip"));
        assert!(!asked.head.to_lowercase().contains("referer") && !asked.head.contains("kiwi"), "{asked:?}");
    }
    assert_eq!((upstream.count(), upstream.accepted()), (4, 1), "the connection is kept");
}

#[test]
fn language_and_type_are_asked_for_where_they_are_configured() {
    let upstream = Upstream::answering(Answer::ok(recorded!("zero")));
    let table = format!(
        "source = \"google\"\nbase_url = \"{}/behind/\"\nlanguage = \"zh-TW\"\ntype = \"cafe\"\n",
        upstream.url()
    );
    let node = Setup::new().source(&table).key(KEY).start();
    let (mut client, at) = located(&node);
    lookup(&mut client, &at, "10", 5);
    let query = format!("location=34.06893,-118.445127&radius=10000&language=zh-TW&type=cafe&key={KEY}");
    let line = format!("GET /behind/maps/api/place/nearbysearch/json?{query} HTTP/1.1");
    assert_eq!(upstream.asked()[0].line(), line);
}

#[test]
fn both_styles_of_white_space_are_cut_to_the_bound_and_not_touched_otherwise() {
    for (whole, bound, expected) in [
        (recorded!("spaced"), 20, recorded!("spaced").trim_end()),
        (recorded!("spaced"), 4, recorded!("spaced").trim_end()),
        (recorded!("spaced"), 3, recorded!("spaced.cut3")),
        (recorded!("spaced"), 1, recorded!("spaced.cut1")),
        (recorded!("spaced"), 0, recorded!("spaced.cut0")),
        (recorded!("brackets"), 20, recorded!("brackets").trim_end()),
        (recorded!("brackets"), 2, recorded!("brackets.cut2")),
        (recorded!("brackets"), 0, recorded!("brackets.cut0")),
        (recorded!("compact"), 3, recorded!("compact").trim_end()),
        (recorded!("compact"), 2, recorded!("compact.cut2")),
        (recorded!("compact"), 1, recorded!("compact.cut1")),
        (recorded!("compact"), 0, recorded!("compact.cut0")),
        (recorded!("zero"), 5, recorded!("zero").trim_end()),
    ] {
        assert_eq!(passed_on(Answer::ok(whole), bound), expected, "{bound} of {whole}");
    }
}

#[test]
fn way_over_the_wire_does_not_matter() {
    let (whole, expected) = (recorded!("spaced"), recorded!("spaced.cut1"));
    let answer = || Answer::ok(whole);
    for (way, answer) in [
        ("chunked", answer().chunked()),
        ("gzip", answer().gzipped()),
        ("gzip, chunked", answer().gzipped().chunked()),
        ("without a length, until the end", Answer::raw(format!("HTTP/1.1 200 OK\r\n\r\n{whole}"))),
        ("HTTP/1.0", Answer::raw(format!("HTTP/1.0 200 OK\r\nServer: x\r\n\r\n{whole}"))),
        ("no type", Answer::new(200, whole)),
        ("closed", answer().header("Connection: close").closed()),
        ("many headers", (0..40).fold(answer(), |answer, n| answer.header(&format!("X-{n}: {n}")))),
    ] {
        assert_eq!(passed_on(answer, 1), expected, "{way}");
    }
}

#[test]
fn empty_lines_go_since_one_would_end_the_reply() {
    let body = "\r\n\n{\n\n\n   \"results\" : [\n\n      {},\r\n\r\n      {\n\n}\n   ],\n\n   \"status\" : \"OK\"\n}\n\n";
    let expected = "{\n   \"results\" : [\n      {}\n   ],\n   \"status\" : \"OK\"\n}";
    assert_eq!(passed_on(Answer::ok(body), 1), expected);
}

#[test]
fn answer_up_to_the_limit_is_passed_on_whole() {
    let name = "\u{e9}".repeat(500);
    let results = vec![format!("{{\"name\":\"{name}\"}}"); 20];
    let body = |results: &[String]| format!("{{\"results\":[{}],\"status\":\"OK\"}}", results.join(","));
    let whole = body(&results);
    let upstream = Upstream::in_turn(vec![Answer::ok(whole.clone()), Answer::ok(whole.clone()).gzipped()]);
    let node = google(&upstream, &format!("body_bytes = {}", whole.len())).start();
    let (mut client, at) = located(&node);
    assert_eq!(lookup(&mut client, &at, "10", 20), whole);
    assert_eq!(lookup(&mut client, &at, "10", 7), body(&results[..7]));
}

#[test]
fn lookups_and_calls_are_counted_by_what_became_of_them() {
    let answers = ["spaced", "zero", "zero", "denied"].map(|which| match which {
        "spaced" => Answer::ok(recorded!("spaced")),
        "zero" => Answer::ok(recorded!("zero")),
        _ => Answer::ok(recorded!("legacy_disabled")),
    });
    let upstream = Upstream::in_turn(answers.to_vec());
    let node = google(&upstream, "").start();
    let (mut client, at) = located(&node);
    for radius in ["1", "2", "3", "4"] {
        lookup(&mut client, &at, radius, 1);
    }
    let lookups =
        ["lookups_total/google/ok", "lookups_total/google/zero_results", "lookups_total/google/failed"];
    assert_eq!(metrics(&node, lookups), [1.0, 2.0, 1.0]);
    assert_eq!(metrics(&node, ["calls_total/google/ok", "calls_total/google/denied"]), [3.0, 1.0]);
    assert_eq!(metrics(&node, ["lookups_in_flight/google", "retries_total/google"]), [0.0, 0.0]);
}

#[test]
fn replies_to_pipelined_lines_stay_in_order() {
    let upstream = Upstream::answering(Answer::ok(recorded!("compact")));
    let node = google(&upstream, "").start();
    let (mut client, at) = located(&node);
    client.send("WHATSAT kiwi 1 1\nfirst\nWHATSAT kiwi 2 2\nsecond\n");
    client.half_close();
    let (one, two) = (recorded!("compact.cut1"), recorded!("compact.cut2"));
    client.expect(format!("{at}\n{one}\n\n? first\n{at}\n{two}\n\n? second\n"), "four replies");
    client.expect_closed();
}
