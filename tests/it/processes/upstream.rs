//! A node that asks a service for places, as whoever runs it sees that: where the key comes from, that it goes nowhere but
//! into requests, and the way out through a proxy.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use rustix::process::Signal;

use super::support::{Herd, Process, Proxy, eventually, solo};
use crate::{
    support::{Answer, Authority, Upstream, gate},
    upstream::recorded,
};

/// The key in these tests, like nothing else that anybody says.
const KEY: &str = "AIzaSyDistinctive-0123456789_xyz";

/// The node Solo with a web face, which asks this service, with more of the table `[places]`.
fn google(upstream: &Upstream, more: &str) -> Herd {
    let places = format!("[places]\nsource = \"google\"\nbase_url = \"{}\"\n{more}", upstream.url());
    solo(&format!("http = \"127.0.0.1:11680\"\n{places}"))
}

/// `herd` with these arguments and the herd's own, with these variables and none else that matters here.
fn command(herd: &Herd, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = herd.command(arguments);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "HERD_PLACES_KEY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    command.envs(variables.iter().copied());
    command
}

/// Starts Solo so, and waits until it listens.
fn start(herd: &Herd, variables: &[(&str, &str)]) -> Process {
    let mut process = Process::start(command(herd, &["node", "Solo", "--lifeline"], variables));
    let listening = format!("listening {}", herd.listens_at("Solo"));
    process.hear(&listening, |said| said.contains(&listening));
    process
}

/// What WHATSAT answers for a client that has just reported.
fn lookup(herd: &Herd, radius: &str) -> String {
    herd.report("Solo", "kiwi", "1479413884.392014450");
    let mut client = herd.client("Solo");
    client.send(format!("WHATSAT kiwi {radius} 1\n").as_bytes());
    client.end_input();
    String::from_utf8(client.rest()).unwrap()
}

/// Looks for the key, and for a part of it, plain or in base 64.
#[track_caller]
fn expect_no_key(what: &str, text: &str) {
    for part in [KEY, "Distinctive", "QUl6YVN5RGlzdGluY3RpdmU"] {
        assert!(!text.contains(part), "{what} tells the key: {text}");
    }
}

/// The faults of a service, some of them with the key in what it says; each fails the lookup that meets it.
fn faults() -> Vec<Answer> {
    let document = |status: &str, message: &str| {
        format!(
            "{{\"error_message\":\"{message}\",\"html_attributions\":[],\"results\":[],\"status\":\"{status}\"}}"
        )
    };
    let page = format!("<html>/maps/api/place/nearbysearch/json?key={KEY}</html>");
    let error =
        |code: u16| format!("{{\"error\":{{\"code\":{code},\"message\":\"{KEY}\",\"status\":\"{KEY}\"}}}}");
    vec![
        Answer::ok(document("REQUEST_DENIED", &format!("The API key {KEY} is not valid, said {KEY}"))),
        Answer::ok(document("OVER_QUERY_LIMIT", KEY)),
        Answer::ok(document(KEY, KEY)),
        Answer::html(403),
        Answer::new(403, page.as_str()),
        Answer::new(200, page.as_str()),
        Answer::new(429, page.as_str()).header(&format!("Retry-After: {KEY}")),
        Answer::new(500, page.as_str()),
        Answer::new(404, page.as_str()),
        Answer::new(302, page.as_str()).header(&format!("Location: /elsewhere?key={KEY}")),
        Answer::new(302, page.as_str()).header(&format!("Location: http://:x@[{KEY}")),
        Answer::ok(format!("\"{KEY}\"")),
        Answer::ok(format!("{{\"results\":\"{KEY}\",\"places\":\"{KEY}\",\"status\":\"OK\"}}")),
        Answer::ok(format!("{{\"status\":\"OK\",\"results\":[\"{KEY}")),
        Answer::new(403, error(403)),
        Answer::new(429, error(429)),
        Answer::raw(format!("HTTP/1.1 200 {KEY}\r\n{KEY}\r\n\r\n")),
        Answer::raw(format!("HTTP/1.1 {KEY} OK\r\n\r\n")),
        Answer::raw(format!("GET /?key={KEY} HTTP/1.1\r\n\r\n")),
        Answer::raw(format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", KEY.repeat(10_000))),
        Answer::ok("").length(&KEY),
        Answer::ok(page.as_str()).header("Content-Encoding: gzip"),
        Answer::ok(recorded!("spaced")).cut_at(10),
        Answer::raw(""),
        Answer::reset(),
    ]
}

/// Meets every fault with one source, and looks wherever the node says anything.
fn expect_key_in_requests_only(source: &str, key_is_in_file: bool) {
    let faults = faults();
    let (_shut, held) = gate();
    let last = Answer::ok("").held(&held);
    let kinds = faults.len();
    let upstream = Upstream::new(move |asked| faults.get(asked.number).unwrap_or(&last).clone());
    let more = format!(
        "source = \"{source}\"\nbase_url = \"{0}\"\nnew_base_url = \"{0}\"\nresponse_seconds = 0.3\n\
         breaker_failures = 1\nbreaker_seconds = 0.01\n{1}",
        upstream.url(),
        if key_is_in_file { "key_file = \"places.key\"\n" } else { "" }
    );
    let herd = solo(&format!("http = \"127.0.0.1:11680\"\n[places]\n{more}[log]\ntraffic = false\n"));
    let variables: &[_] = if key_is_in_file { &[] } else { &[("HERD_PLACES_KEY", KEY)] };
    if key_is_in_file {
        write_key(&herd, &format!("{KEY}\n"));
    }
    let mut process = start(&herd, variables);
    let mut radius = 0;
    let mut meet = |what: &str, enough: &dyn Fn() -> bool| {
        eventually(what, || {
            let reply = lookup(&herd, &format!("0.{radius:06}"));
            radius += 1;
            assert!(reply.starts_with("AT Solo ") && reply.ends_with("\n\n"), "{reply}");
            expect_no_key("a reply", &reply);
            enough()
        });
    };
    meet("every fault was met, and a time-out", &|| upstream.count() > kinds);
    let asked = upstream.asked();
    assert!(asked.iter().all(|asked| asked.head.matches(KEY).count() == 1 && asked.body.is_empty() | (source != "google")));
    for path in ["/status", "/metrics", "/readyz", "/nowhere"] {
        expect_no_key(path, &herd.answer("Solo", path));
    }
    let metrics = herd.answer("Solo", "/metrics");
    assert!(
        metrics
            .contains(&format!("proxyherd_places_lookups_total{{source=\"{source}\",outcome=\"failed\"}}"))
    );
    drop(upstream);
    let lines = herd.log("Solo").len();
    meet("a lookup finds nobody there", &|| {
        herd.log("Solo").iter().skip(lines).any(|line| line.contains("cannot be reached"))
    });
    let words = fs::read(format!("/proc/{}/cmdline", process.pid())).unwrap();
    expect_no_key("the command line", &String::from_utf8_lossy(&words));
    process.signal(Signal::TERM);
    assert!(process.end().success());
    let said = [process.said.clone(), process.all_complaints(), herd.log("Solo")].concat().join("\n");
    assert!(said.contains(&format!("{source} is left alone for ")), "an operator hears of it: {said}");
    expect_no_key("the log or an output", &said);
    let checked = command(&herd, &["check-config"], variables).output().unwrap();
    assert!(checked.status.success(), "{checked:?}");
    expect_no_key("check-config", &format!("{checked:?}"));
    expect_no_key("check-config", &String::from_utf8_lossy(&checked.stdout));
}

/// Puts this where the configuration names it as `places.key`.
fn write_key(herd: &Herd, text: &str) {
    let file = herd.config.with_file_name("places.key");
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn key_of_the_environment_is_nowhere_but_in_requests() {
    expect_key_in_requests_only("google", false);
}

#[test]
fn key_of_a_file_is_nowhere_but_in_requests() {
    expect_key_in_requests_only("google-new", true);
}

#[test]
fn herd_up_hands_the_environments_key_to_its_nodes_and_tells_nobody() {
    let upstream = Upstream::answering(Answer::ok(recorded!("compact")));
    let herd = google(&upstream, "");
    let mut up = Process::start(command(&herd, &["up"], &[("HERD_PLACES_KEY", KEY)]));
    up.hear("the table", |said| said.iter().any(|line| line.contains("is up: 1 node")));
    assert!(lookup(&herd, "10").ends_with(&format!("\n{}\n\n", recorded!("compact.cut1"))));
    assert!(upstream.asked()[0].line().contains(KEY));
    up.signal(Signal::TERM);
    assert!(up.end().success());
    let said = [up.said.clone(), up.all_complaints(), herd.log("Solo")].concat().join("\n");
    expect_no_key("herd up", &said);
}

#[test]
fn environments_key_goes_before_that_of_a_file() {
    let upstream = Upstream::answering(Answer::ok(recorded!("compact")));
    let herd = google(&upstream, "key_file = \"places.key\"");
    write_key(&herd, "of-the-file");
    for (variables, key) in [(&[("HERD_PLACES_KEY", KEY)][..], KEY), (&[], "of-the-file")] {
        let _process = start(&herd, variables);
        lookup(&herd, "10");
        let asked = upstream.asked().pop().unwrap();
        assert!(asked.line().contains(&format!("&key={key} ")), "{}", asked.line());
    }
}

#[test]
fn node_without_a_key_that_can_be_one_does_not_start_and_says_why_in_one_line() {
    let upstream = Upstream::answering(Answer::ok(recorded!("compact")));
    let refused = |herd: &Herd, variables: &[(&str, &str)], word: &str| {
        for arguments in [&["node", "Solo"][..], &["up"], &["check-config"]] {
            let mut done = Process::start(command(herd, arguments, variables));
            let status = done.end();
            let said = done.all_complaints().join("\n");
            assert_eq!(status.code(), Some(2), "{arguments:?}: {said}");
            assert!(said.lines().count() == 1 && said.contains(word), "{said}");
            assert!(!said.contains("Distinctive"), "{said}");
        }
    };
    let herd = google(&upstream, "");
    refused(&herd, &[], "set HERD_PLACES_KEY, or write the key to a file");
    refused(
        &herd,
        &[("HERD_PLACES_KEY", "Distinctive, but no word")],
        "HERD_PLACES_KEY does not hold a Google key",
    );
    let herd = google(&upstream, "key_file = \"places.key\"");
    refused(&herd, &[], "places.key: Google's key cannot be read");
    write_key(&herd, "Distinctive, but no word");
    refused(&herd, &[], "places.key does not hold a Google key");
    write_key(&herd, "");
    refused(&herd, &[], "places.key does not hold a Google key");
    let herd = google(&upstream, "ca_file = \"ca.pem\"");
    refused(&herd, &[("HERD_PLACES_KEY", KEY)], "ca.pem: the certificates cannot be read");
    fs::write(herd.config.with_file_name("ca.pem"), "nothing").unwrap();
    refused(&herd, &[("HERD_PLACES_KEY", KEY)], "ca.pem holds no certificate");
    assert_eq!(upstream.accepted(), 0);
}

#[test]
fn way_out_is_the_environments_proxy_which_sees_no_key_where_there_is_tls() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    authority.write(&folder.path().join("ca.pem"));
    let tls = authority.vouch_for(Upstream::HOST);
    let upstream = Upstream::with_tls(tls, |_| Answer::ok(recorded!("compact")));
    let ca_file = format!("ca_file = \"{}\"", folder.path().join("ca.pem").display());
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"] {
        let (proxy, herd) = (Proxy::new(true), google(&upstream, &ca_file));
        let url = format!("http://user:Password1@{}", proxy.address());
        let mut process = start(&herd, &[("HERD_PLACES_KEY", KEY), (name, &url)]);
        for radius in ["10", "11"] {
            assert!(lookup(&herd, radius).ends_with(&format!("\n{}\n\n", recorded!("compact.cut1"))));
        }
        let heads = proxy.heads();
        assert_eq!(heads.len(), 1, "the tunnel is kept: {heads:?}");
        assert!(heads[0].starts_with(&format!("CONNECT {} HTTP/1.1\r\n", upstream.address())), "{heads:?}");
        assert!(heads[0].to_lowercase().contains("proxy-authorization: basic "), "{heads:?}");
        expect_no_key("the proxy", &heads[0]);
        expect_no_key("the proxy", &String::from_utf8_lossy(&proxy.forth()));
        process.signal(Signal::TERM);
        assert!(process.end().success());
        let said = [process.said.clone(), process.all_complaints(), herd.log("Solo")].concat().join("\n");
        assert!(!said.contains("Password1"), "{said}");
    }
}

#[test]
fn way_out_without_tls_is_the_proxy_too_and_no_proxy_goes_round_it() {
    let upstream = Upstream::answering(Answer::ok(recorded!("compact")));
    let cut = format!("\n{}\n\n", recorded!("compact.cut1"));
    let proxy = Proxy::new(true);
    let url = format!("http://{}", proxy.address());
    let herd = google(&upstream, "");
    {
        let _process = start(&herd, &[("HERD_PLACES_KEY", KEY), ("HTTP_PROXY", &url)]);
        assert!(lookup(&herd, "10").ends_with(&cut));
        assert_eq!(proxy.heads().len(), 1);
    }
    let variables = [("HERD_PLACES_KEY", KEY), ("HTTP_PROXY", &url), ("NO_PROXY", Upstream::HOST)];
    let _process = start(&herd, &variables);
    assert!(lookup(&herd, "10").ends_with(&cut));
    assert_eq!((proxy.heads().len(), upstream.count()), (1, 2));
}

#[test]
fn proxy_that_refuses_or_is_not_there_is_an_upstream_that_cannot_be_reached() {
    let upstream = Upstream::answering(Answer::ok(recorded!("compact")));
    let (refusing, gone) = (Proxy::new(false), Proxy::new(true).address());
    for address in [refusing.address(), gone] {
        let herd = google(&upstream, "");
        let url = format!("http://user:Password1@{address}");
        let mut process = start(&herd, &[("HERD_PLACES_KEY", KEY), ("HTTP_PROXY", &url)]);
        let reply = lookup(&herd, "10");
        assert!(reply.contains("\"status\" : \"UNKNOWN_ERROR\""), "{reply}");
        expect_no_key("a reply", &reply);
        process.signal(Signal::TERM);
        assert!(process.end().success());
        let said = [process.said.clone(), process.all_complaints(), herd.log("Solo"), vec![reply]].concat();
        assert!(!said.concat().contains("Password1"), "{said:?}");
    }
    assert_eq!(upstream.accepted(), 0);
}
