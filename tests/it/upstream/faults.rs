//! Whatever goes wrong with the service: what the client is told, how often the service was asked, and what is counted.

use crossbeam_channel::Sender;
use rustix::net::{AddressFamily, SocketType};

use super::{failed, failure, google, located, lookup, metric, recorded};
use crate::support::{Answer, Held, Setup, Upstream, gate, wait_until};

/// What is expected of one fault: Google's status for the client, what the calls were counted as, and how many those are.
struct Fault {
    name: &'static str,
    answer: Answer,
    status: &'static str,
    outcome: &'static str,
    calls: usize,
}

fn fault(
    name: &'static str,
    answer: Answer,
    status: &'static str,
    outcome: &'static str,
    calls: usize,
) -> Fault {
    Fault { name, answer, status, outcome, calls }
}

/// Has the service answer so, and checks what comes of it. `more` is for the table `[places]`.
#[track_caller]
fn check(fault: Fault, more: &str) -> String {
    let Fault { name, answer, status, outcome, calls } = fault;
    let upstream = Upstream::answering(answer);
    let node = google(&upstream, more).start();
    let (mut client, at) = located(&node);
    let (told, message) = failure(&lookup(&mut client, &at, "10", 5));
    assert_eq!((told.as_str(), upstream.count()), (status, calls), "{name}: {message}");
    let path = format!("calls_total/google/{outcome}");
    assert_eq!(metric(&node, &path), calls as f64, "{name}: {}", node.page("/metrics").1);
    assert_eq!(metric(&node, "lookups_total/google/failed"), 1.0, "{name}");
    assert_eq!(metric(&node, "retries_total/google"), (calls - 1) as f64, "{name}");
    // The session is as well as before.
    assert_eq!(client.ask("between"), "? between", "{name}");
    message
}

/// An error of the legacy service's.
fn error_of(status: &str, message: &str) -> String {
    format!(
        "{{\n   \"error_message\" : \"{message}\",\n   \"html_attributions\" : [],\n   \"results\" : [],\n   \
         \"status\" : \"{status}\"\n}}\n"
    )
}

#[test]
fn page_for_people_is_told_by_its_http_status() {
    for (code, status, outcome, calls) in [
        (200, "UNKNOWN_ERROR", "malformed", 1),
        (400, "INVALID_REQUEST", "invalid", 1),
        (401, "REQUEST_DENIED", "denied", 1),
        (403, "REQUEST_DENIED", "denied", 1),
        (429, "OVER_QUERY_LIMIT", "limited", 1),
        (500, "UNKNOWN_ERROR", "unavailable", 2),
        (502, "UNKNOWN_ERROR", "unavailable", 2),
        (503, "UNKNOWN_ERROR", "unavailable", 2),
        (504, "UNKNOWN_ERROR", "unavailable", 2),
    ] {
        check(fault("a page", Answer::html(code), status, outcome, calls), "");
        check(fault("a page, gzip", Answer::html(code).gzipped(), status, outcome, calls), "");
        check(fault("nothing", Answer::new(code, ""), status, outcome, calls), "");
    }
}

#[test]
fn error_of_googles_keeps_its_status_and_its_message() {
    for (status, outcome, calls) in [
        ("REQUEST_DENIED", "denied", 1),
        ("OVER_QUERY_LIMIT", "limited", 1),
        ("INVALID_REQUEST", "invalid", 1),
        ("UNKNOWN_ERROR", "unavailable", 2),
    ] {
        let said = "Because of \\u003cb\\u003e \\\"this\\\"";
        for code in [200, 400, 403, 429] {
            let answer = Answer::new(code, error_of(status, said));
            let message = check(fault("an error", answer, status, outcome, calls), "");
            assert!(message.contains("Because of <b> \"this\""), "{code} {status}: {message}");
        }
    }
}

#[test]
fn key_is_taken_out_of_what_google_says() {
    for said in [format!("The provided API key {} is invalid.", super::KEY), super::KEY.to_owned()] {
        let answer = Answer::ok(error_of("REQUEST_DENIED", &said));
        // `check` looks for the key.
        check(fault("an error with the key", answer, "REQUEST_DENIED", "denied", 1), "");
    }
}

#[test]
fn what_is_no_answer_of_googles_is_malformed() {
    let gzip = "Content-Encoding: gzip";
    for (name, answer) in [
        ("an array", Answer::ok("[]")),
        ("a number", Answer::ok("1")),
        ("no status", Answer::ok("{}")),
        ("half of a document", Answer::ok(&recorded!("spaced")[..500])),
        ("two documents", Answer::ok("{\"results\":[],\"status\":\"OK\"} {}")),
        ("no UTF-8", Answer::ok(b"{\"results\":[],\"status\":\"OK\",\"a\":\"\xff\"}".to_vec())),
        ("a length too short", Answer::ok(recorded!("spaced")).length(&100)),
        ("no gzip", Answer::ok(recorded!("spaced")).header(gzip)),
    ] {
        check(fault(name, answer, "UNKNOWN_ERROR", "malformed", 1), "");
    }
}

#[test]
fn body_that_ends_early_is_no_answer() {
    let whole = || Answer::ok(recorded!("spaced"));
    for (name, answer) in [
        ("half a body", whole().cut_at(1000)),
        ("no body", whole().cut_at(0)),
        ("half of its pieces", whole().chunked().cut_at(1500)),
        ("half a gzip", whole().gzipped().cut_at(300)),
        ("half a gzip, whole by its length", whole().gzipped().truncated(300)),
        ("a length too long", whole().length(&1_000_000).closed()),
    ] {
        let upstream = Upstream::answering(answer);
        let node = google(&upstream, "").start();
        let (mut client, at) = located(&node);
        assert_eq!(failed(&lookup(&mut client, &at, "10", 5)), "UNKNOWN_ERROR", "{name}");
        assert!(upstream.count() <= 2, "{name}");
        assert_eq!(metric(&node, "calls_total/google/ok"), 0.0, "{name}");
    }
}

#[test]
fn what_is_no_http_is_no_answer() {
    for (name, bytes) in [
        ("another protocol", "220 mail.example ESMTP\r\n"),
        ("an endless word", "x".repeat(1 << 20).as_str()),
        ("endless headers", ("HTTP/1.1 200 OK\r\n".to_owned() + &"X: y\r\n".repeat(100_000)).as_str()),
        ("a bad length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}"),
        ("a bad piece", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n"),
    ] {
        let upstream = Upstream::answering(Answer::raw(bytes));
        let node = google(&upstream, "").start();
        let (mut client, at) = located(&node);
        assert_eq!(failed(&lookup(&mut client, &at, "10", 5)), "UNKNOWN_ERROR", "{name}");
        assert!(upstream.count() <= 2, "{name}");
    }
}

#[test]
fn bytes_beyond_a_length_do_not_answer_the_next_request() {
    let poison = format!("{}{}", recorded!("compact"), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    let upstream = Upstream::in_turn(vec![
        Answer::ok(poison).length(&recorded!("compact").len()),
        Answer::ok(recorded!("brackets")),
    ]);
    let node = google(&upstream, "").start();
    let (mut client, at) = located(&node);
    assert_eq!(lookup(&mut client, &at, "1", 1), recorded!("compact.cut1"));
    assert_eq!(lookup(&mut client, &at, "2", 2), recorded!("brackets.cut2"));
}

#[test]
fn body_over_the_limit_is_no_answer_however_it_comes() {
    let whole = format!("{{\"results\":[{}],\"status\":\"OK\"}}", "\"0123456789\", ".repeat(2 << 20) + "0");
    assert!(whole.len() > 28 << 20);
    for (name, answer) in [
        ("30 MB", Answer::ok(whole.as_str())),
        ("30 MB in pieces", Answer::ok(whole.as_str()).chunked()),
        ("30 MB, and little over the wire", Answer::ok(whole.as_str()).gzipped()),
    ] {
        check(fault(name, answer, "UNKNOWN_ERROR", "malformed", 1), "");
    }
    let upstream = Upstream::answering(Answer::ok(whole.as_str()));
    let node = google(&upstream, "body_bytes = 67_108_864\ntotal_seconds = 20").start();
    let (mut client, at) = located(&node);
    assert_eq!(lookup(&mut client, &at, "10", 0), "{\"results\":[],\"status\":\"OK\"}");
}

#[test]
fn redirect_is_not_followed_as_the_key_would_go_elsewhere() {
    let elsewhere = Upstream::answering(Answer::ok(recorded!("spaced")));
    for code in [301, 302, 303, 307, 308] {
        for to in [elsewhere.url(), format!("{}/x?y", elsewhere.url()), "/elsewhere".to_owned()] {
            let upstream = Upstream::answering(Answer::html(code).header(&format!("Location: {to}")));
            let node = google(&upstream, "").start();
            let (mut client, at) = located(&node);
            assert_eq!(failed(&lookup(&mut client, &at, "10", 5)), "UNKNOWN_ERROR", "{code} to {to}");
            assert_eq!(upstream.count(), 1, "{code} to {to}");
        }
    }
    assert_eq!(elsewhere.accepted(), 0);
}

/// An answer that stops somewhere for as long as the other half lives.
fn stuck(how: impl Fn(Answer, &Held) -> Answer) -> (Sender<()>, Answer) {
    let (shut, gate) = gate();
    (shut, how(Answer::ok(recorded!("spaced")), &gate))
}

#[test]
fn slow_head_and_slow_body_are_given_up_in_time_and_not_asked_again() {
    let (_shut, slow_head) = stuck(Answer::held);
    check(fault("no head", slow_head.clone(), "UNKNOWN_ERROR", "timeout", 1), "response_seconds = 0.1");
    check(fault("no head", slow_head, "UNKNOWN_ERROR", "timeout", 1), "total_seconds = 0.1");
    let (_shut, slow_body) = stuck(|answer, gate| answer.held_at(700, gate));
    check(fault("half a body", slow_body, "UNKNOWN_ERROR", "timeout", 1), "total_seconds = 0.1");
    let dribble = Answer::ok(recorded!("spaced")).slow();
    check(fault("byte by byte", dribble, "UNKNOWN_ERROR", "timeout", 1), "total_seconds = 0.2");
    let endless = Answer::ok(recorded!("spaced")).length(&1_000_000);
    check(fault("a length too long", endless, "UNKNOWN_ERROR", "timeout", 1), "total_seconds = 0.2");
}

#[test]
fn connection_to_a_service_that_was_given_up_is_closed() {
    let (_shut, answer) = stuck(|answer, gate| answer.held_at(700, gate));
    let upstream = Upstream::in_turn(vec![answer, Answer::ok(recorded!("compact"))]);
    let node = google(&upstream, "total_seconds = 0.2").start();
    let (mut client, at) = located(&node);
    failed(&lookup(&mut client, &at, "1", 1));
    assert_eq!(lookup(&mut client, &at, "2", 1), recorded!("compact.cut1"));
    assert_eq!(upstream.accepted(), 2, "half an answer is no connection to ask on");
}

#[test]
fn service_that_is_not_there_is_unavailable() {
    // It is bound, so that nobody else can listen there.
    let taken = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&taken, &std::net::SocketAddr::from(([127, 0, 0, 2], 0))).unwrap();
    let address = std::net::SocketAddr::try_from(rustix::net::getsockname(&taken).unwrap()).unwrap();
    for url in [format!("http://{address}"), "http://no-such-host.invalid".to_owned()] {
        let table = format!("source = \"google\"\nbase_url = \"{url}\"\ntotal_seconds = 15");
        let node = Setup::new().source(&table).key(super::KEY).http("").start();
        let (mut client, at) = located(&node);
        let (status, message) = failure(&lookup(&mut client, &at, "10", 5));
        assert_eq!(status, "UNKNOWN_ERROR", "{url}: {message}");
        assert!(metric(&node, "calls_total/google/unavailable") >= 1.0, "{url}");
    }
}

#[test]
fn address_that_is_none_fails_without_a_word_of_the_key() {
    for url in ["http://[::1", "http://a:b:c", "http://host:99999", "https://%zz", "http://a|b"] {
        let table = format!("source = \"google\"\nbase_url = \"{url}\"\nbreaker_failures = 1\n");
        let mut node = Setup::new().source(&table).key(super::KEY).start();
        let (mut client, at) = located(&node);
        for _ in 0..2 {
            assert_eq!(failed(&lookup(&mut client, &at, "10", 5)), "UNKNOWN_ERROR", "{url}");
        }
        node.stop();
        let log = node.log();
        assert!(log.contains("google is left alone") && !log.contains(super::KEY), "{log}");
    }
}

#[test]
fn connection_that_breaks_before_an_answer_is_tried_once_more() {
    for (name, broken) in [("closed", Answer::raw("")), ("reset", Answer::reset())] {
        check(fault(name, broken.clone(), "UNKNOWN_ERROR", "unavailable", 2), "");
        let upstream = Upstream::in_turn(vec![broken, Answer::ok(recorded!("compact"))]);
        let node = google(&upstream, "").start();
        let (mut client, at) = located(&node);
        assert_eq!(lookup(&mut client, &at, "10", 1), recorded!("compact.cut1"), "{name}");
        assert_eq!((upstream.count(), metric(&node, "retries_total/google")), (2, 1.0), "{name}");
    }
}

#[test]
fn kept_connection_that_the_service_has_closed_costs_no_answer() {
    let upstream = Upstream::answering(Answer::ok(recorded!("compact")));
    let node = google(&upstream, "").start();
    let (mut client, at) = located(&node);
    for round in 1..=10 {
        assert_eq!(lookup(&mut client, &at, "10", 1), recorded!("compact.cut1"));
        assert_eq!((upstream.count(), upstream.accepted()), (round, round));
        upstream.hang_up();
        wait_until("the service has closed", || upstream.open() == 0);
    }
    // Closed right behind the answer, it may look alive.
    let upstream = Upstream::answering(Answer::ok(recorded!("compact")).closed());
    let node = google(&upstream, "breaker_failures = 1").start();
    let (mut client, at) = located(&node);
    for _ in 0..50 {
        assert_eq!(lookup(&mut client, &at, "10", 1), recorded!("compact.cut1"));
    }
}
