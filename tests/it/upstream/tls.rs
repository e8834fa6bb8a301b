//! The same behind TLS, with an authority made for the test: who is believed, and what else may go wrong.

use std::net::TcpListener;

use tempfile::TempDir;

use super::{KEY, failed, google, located, lookup, metric, recorded, reply};
use crate::support::{Answer, Authority, Client, Setup, Upstream, gate, wait_until};

/// An authority, and the line of `[places]` that names its certificate.
fn authority() -> (Authority, TempDir, String) {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let file = folder.path().join("ca.pem");
    authority.write(&file);
    let line = format!("ca_file = \"{}\"\n", file.display());
    (authority, folder, line)
}

#[test]
fn answer_comes_whole_and_the_connection_is_kept() {
    let (authority, _folder, ca_file) = authority();
    let large = format!("{{\"results\":[\"{}\"],\"status\":\"OK\"}}", "x".repeat(1_900_000));
    let answers = [
        Answer::ok(recorded!("spaced")),
        Answer::ok(recorded!("spaced")).gzipped().chunked(),
        Answer::ok(large.as_str()),
    ];
    let upstream =
        Upstream::with_tls(authority.vouch_for(Upstream::HOST), move |asked| answers[asked.number].clone());
    let node = google(&upstream, &ca_file).start();
    let (mut client, at) = located(&node);
    assert_eq!(lookup(&mut client, &at, "10", 3), recorded!("spaced.cut3"));
    assert_eq!(lookup(&mut client, &at, "10", 1), recorded!("spaced.cut1"));
    assert_eq!(lookup(&mut client, &at, "10", 1), large);
    assert_eq!((upstream.count(), upstream.accepted()), (3, 1));
    let query = format!("location=34.06893,-118.445127&radius=10000&key={KEY}");
    assert_eq!(upstream.asked()[0].line(), format!("GET /maps/api/place/nearbysearch/json?{query} HTTP/1.1"));
}

#[test]
fn name_is_what_is_vouched_for() {
    let (authority, _folder, ca_file) = authority();
    let upstream = Upstream::with_tls(authority.vouch_for("localhost"), |_| Answer::ok(recorded!("compact")));
    // 127.0.0.2 is not vouched for.
    expect_disbelief(&upstream, &ca_file);
}

#[test]
fn service_that_nobody_vouches_for_gets_no_request_and_no_key() {
    let (own, _folder, ca_file) = authority();
    let stranger = Authority::new();
    let answer = || |_: &_| Answer::ok(recorded!("compact"));
    expect_disbelief(&Upstream::with_tls(stranger.vouch_for(Upstream::HOST), answer()), &ca_file);
    expect_disbelief(&Upstream::with_tls(own.have_vouched_for(Upstream::HOST), answer()), &ca_file);
    // Nobody built in vouches for the test's authority.
    expect_disbelief(&Upstream::with_tls(own.vouch_for(Upstream::HOST), answer()), "");
}

#[track_caller]
fn expect_disbelief(upstream: &Upstream, more: &str) {
    let node = google(upstream, more).start();
    let (mut client, at) = located(&node);
    assert_eq!(failed(&lookup(&mut client, &at, "10", 1)), "UNKNOWN_ERROR");
    assert!(upstream.accepted() >= 1);
    assert_eq!(upstream.count(), 0, "nothing is said to a stranger");
    assert!(metric(&node, "calls_total/google/unavailable") >= 1.0, "{}", node.page("/metrics").1);
}

#[test]
fn service_that_does_not_speak_tls_or_does_not_speak_is_no_answer() {
    let (_authority, _folder, ca_file) = authority();
    let plain = Upstream::answering(Answer::ok(recorded!("compact")));
    // The kernel takes the connection; nobody ever reads from it.
    let mute = TcpListener::bind((Upstream::HOST, 0)).unwrap();
    for address in [plain.address(), mute.local_addr().unwrap()] {
        let table = format!(
            "source = \"google\"\nbase_url = \"https://{address}\"\nconnect_seconds = 0.3\ntotal_seconds = 0.5\n{ca_file}"
        );
        let node = Setup::new().source(&table).key(KEY).http("").start();
        let (mut client, at) = located(&node);
        assert_eq!(failed(&lookup(&mut client, &at, "10", 1)), "UNKNOWN_ERROR");
    }
    assert_eq!(plain.count(), 0);
}

#[test]
fn end_in_the_middle_is_no_answer_and_the_next_lookup_is_well() {
    let (authority, _folder, ca_file) = authority();
    let upstream = Upstream::with_tls(authority.vouch_for(Upstream::HOST), |asked| match asked.number {
        0 => Answer::raw(""),
        1 => Answer::ok(recorded!("compact")),
        2 => Answer::ok(recorded!("compact")).cut_at(50),
        _ => Answer::ok(recorded!("compact")).closed(),
    });
    let node = google(&upstream, &ca_file).start();
    let (mut client, at) = located(&node);
    assert_eq!(lookup(&mut client, &at, "10", 1), recorded!("compact.cut1"), "one that broke is tried again");
    let json = lookup(&mut client, &at, "10", 1);
    assert!(json == recorded!("compact.cut1") || failed(&json) == "UNKNOWN_ERROR");
    for _ in 0..20 {
        assert_eq!(lookup(&mut client, &at, "10", 1), recorded!("compact.cut1"));
    }
}

#[test]
fn answer_without_a_length_that_was_cut_off_is_no_answer() {
    let (authority, _folder, ca_file) = authority();
    // Only the JSON can tell that there should be more.
    let half = format!("HTTP/1.1 200 OK\r\n\r\n{}", &recorded!("spaced")[..1000]);
    let tls = authority.vouch_for(Upstream::HOST);
    let upstream = Upstream::with_tls(tls, move |asked| match asked.number {
        0 => Answer::raw(half.as_str()),
        _ => Answer::raw(half.as_str()).cut(),
    });
    let node = google(&upstream, &ca_file).start();
    let (mut client, at) = located(&node);
    for _ in 0..2 {
        assert_eq!(failed(&lookup(&mut client, &at, "10", 1)), "UNKNOWN_ERROR");
    }
}

#[test]
fn many_lookups_at_once_have_stack_enough() {
    let (authority, _folder, ca_file) = authority();
    let (shut, held) = gate();
    let upstream = Upstream::with_tls(authority.vouch_for(Upstream::HOST), move |_| {
        Answer::ok(recorded!("spaced")).gzipped().held(&held)
    });
    let node = google(&upstream, &ca_file).start();
    let (_reporter, at) = located(&node);
    let mut asking: Vec<Client> = (0..40).map(|_| node.client()).collect();
    for (radius, client) in asking.iter_mut().enumerate() {
        client.send(format!("WHATSAT kiwi {radius} 1\n"));
    }
    wait_until("all are asked for", || upstream.count() == 40);
    drop(shut);
    for client in &mut asking {
        assert_eq!(reply(client, &at), recorded!("spaced.cut1"));
    }
}
