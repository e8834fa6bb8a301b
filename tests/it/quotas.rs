//! Quotas and the audit log at a running node: what waits, what is refused, what is counted, and who is told of it.

use std::collections::BTreeSet;

use proxyherd::{core::access::TokenList, keys::change_tokens};

use crate::{
    support::{Client, PATIENCE, Setup, TestNode, secret_of, wait_until},
    tokens::{token, tokens},
};

/// A node that holds its own machine's programs to these limits, too.
fn limited(limits: &[(&str, &str)]) -> Setup {
    let setup = Setup::new().http("").limit("loopback_counts", true);
    limits.iter().fold(setup, |setup, (key, value)| setup.limit(key, value))
}

/// A metric, once its reader, who has the quotas of the address, may read it.
fn metric(node: &TestNode, name: &str) -> f64 {
    let mut value = None;
    wait_until("the page may be read", || {
        value = node.metric(name);
        value.is_some()
    });
    value.unwrap()
}

fn outcome(node: &TestNode, kind: &str, outcome: &str) -> f64 {
    metric(node, &format!("proxyherd_requests_total{{kind=\"{kind}\",outcome=\"{outcome}\"}}"))
}

fn waits(node: &TestNode, quota: &str) -> f64 {
    metric(node, &format!("proxyherd_quota_waits_total{{quota=\"{quota}\"}}"))
}

/// The same node, which can be reached from elsewhere, by anyone.
fn beyond_loopback(setup: Setup) -> Setup {
    setup.secret(&secret_of(7)).reached_at("192.0.2.1:1").tokens("open", &TokenList::default())
}

fn address_of(client: &Client) -> String {
    client.stream().local_addr().unwrap().to_string()
}

#[test]
fn lines_beyond_a_quota_wait_for_their_turn_and_are_answered() {
    let node = limited(&[("requests_per_second", "20"), ("quota_burst_seconds", "1.0")]).start();
    let mut client = node.client();
    client.send("x\n".repeat(30));
    client.expect("? x\n".repeat(30), "each is answered, and none is refused");
    assert!(metric(&node, "proxyherd_quota_waits_total{quota=\"requests\"}") >= 1.0);
    assert_eq!(waits(&node, "bytes"), 0.0);
    assert_eq!(outcome(&node, "invalid", "over_quota"), 0.0);
    let told = format!(" from {} waits for its turn because of requests_per_second", address_of(&client));
    wait_until("the log says who waits", || node.log().contains(&told));
    wait_until("the page may be read", || {
        node.page("/status").1.contains("\"quota_waits\":{\"bytes\":0,\"requests\":")
    });
}

#[test]
fn bytes_beyond_a_quota_wait_too() {
    let node = limited(&[("bytes_per_second", "65536"), ("quota_burst_seconds", "1.0")]).start();
    let mut client = node.client();
    let line = "x".repeat(10_000);
    for _ in 0..8 {
        assert_eq!(client.ask(&line), format!("? {line}"));
    }
    assert!(waits(&node, "bytes") >= 1.0);
}

#[test]
fn lines_whose_turn_is_too_far_off_are_refused_and_counted_and_the_sender_is_told_of() {
    let limits =
        [("requests_per_second", "1"), ("quota_burst_seconds", "1.0"), ("quota_wait_seconds", "1.0")];
    let node = limited(&limits).start();
    let mut clients: Vec<_> = (0..60).map(|_| node.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(format!("IAMAT c{number} +1+1 1\n"));
    }
    let mut refused = 0.0;
    for (number, client) in clients.iter_mut().enumerate() {
        let reply = String::from_utf8(client.line()).unwrap();
        match reply.strip_prefix("? ") {
            Some(copy) => {
                assert_eq!(copy, format!("IAMAT c{number} +1+1 1\n"));
                refused += 1.0;
            }
            None => assert!(reply.starts_with("AT Alford "), "{reply}"),
        }
    }
    assert!(refused >= 1.0);
    wait_until("all are counted", || outcome(&node, "invalid", "over_quota") == refused);
    assert_eq!(metric(&node, "proxyherd_clients"), 60.0 - refused, "nothing of these is stored");
    let is_told = |line: &str| {
        line.contains("WARN  a line on #")
            && line.contains(" from 127.0.0.1:")
            && line.contains("requests_per_second")
    };
    wait_until("the log says who", || node.log().lines().any(is_told));
}

#[test]
fn new_clients_beyond_those_of_an_hour_are_refused_and_known_ones_are_not() {
    let node = limited(&[("new_clients_per_hour", "2")]).start();
    let mut client = node.client();
    for (line, is_taken) in [
        ("IAMAT a +1+1 1", true),
        ("IAMAT b +1+1 1", true),
        ("IAMAT c +1+1 1", false),
        ("IAMAT a +1+1 2", true),
    ] {
        assert_eq!(client.ask(line).starts_with("AT "), is_taken, "{line}");
    }
    // They are the address's, whichever connection they come on.
    assert_eq!(node.client().ask("IAMAT d +1+1 1"), "? IAMAT d +1+1 1");
    wait_until("both are counted", || outcome(&node, "iamat", "too_many_new") == 2.0);
    let told = "is refused: it is the report of a new client beyond new_clients_per_hour";
    wait_until("the log says why", || node.log().contains(told));
}

#[test]
fn on_loopback_nothing_is_limited_unless_it_is_stated_and_loopback_counts() {
    let (stated, automatic) = (Setup::new().http("").limit("requests_per_second", 1), limited(&[]));
    for node in [stated.start(), automatic.start()] {
        let mut client = node.client();
        client.send("x\n".repeat(10_000));
        client.expect("? x\n".repeat(10_000), "each is answered");
        assert_eq!(waits(&node, "requests"), 0.0);
    }
}

#[test]
fn node_that_can_be_reached_from_elsewhere_limits_requests_of_itself() {
    let node = beyond_loopback(limited(&[("quota_burst_seconds", "1")])).start();
    let mut client = node.client();
    client.send("x\n".repeat(1_100));
    client.expect("? x\n".repeat(1_100), "each is answered");
    assert!(waits(&node, "requests") >= 1.0);
}

#[test]
fn stop_does_not_wait_for_anybodys_turn() {
    let limits = [("requests_per_second", "1"), ("quota_burst_seconds", "1.0"), ("quota_wait_seconds", "60")];
    let mut node = limited(&limits).start();
    let mut client = node.client();
    client.send("IAMAT kiwi +1+1 1\n".repeat(50));
    wait_until("it waits", || node.log().contains(" waits for its turn because of requests_per_second"));
    node.begin_stop();
    let answered = String::from_utf8(client.rest()).unwrap();
    assert!(
        answered.lines().count() < 50 && answered.lines().all(|line| line.starts_with("AT ")),
        "{answered}"
    );
    node.expect_ended(PATIENCE);
}

#[test]
fn what_few_may_do_is_audited_and_counted() {
    let node = Setup::new().http("").start();
    let mut client = node.client();
    assert_eq!(client.ask("FORGET kiwi\u{7f}"), "FORGOT kiwi\u{7f}");
    let address = address_of(&client);
    let entry = format!(" from {address}: kiwi\\x7f\n");
    wait_until("it is audited", || {
        node.audit_log().contains(" forget #") && node.audit_log().ends_with(&entry)
    });
    let count =
        |kind: &str| node.metric(&format!("proxyherd_audited_acts_total{{kind=\"{kind}\"}}")).unwrap();
    assert_eq!(["forget", "forbidden", "auth_failed", "tokens"].map(count), [1.0, 0.0, 0.0, 0.0]);
    assert_eq!(node.status()["audited"]["forget"], 1);

    // Beyond loopback, nobody may without a token.
    let node = beyond_loopback(Setup::new().http("")).start();
    let mut client = node.client();
    assert_eq!(client.ask("FORGET kiwi"), "? FORGET kiwi");
    let entry = format!(" from {}: FORGET kiwi\n", address_of(&client));
    wait_until("it is audited", || {
        node.audit_log().contains(" forbidden #") && node.audit_log().ends_with(&entry)
    });
    assert!(!node.log().contains(" forbidden #"), "it stands there only");
}

/// The answer to a request for a page with that token.
fn page(node: &TestNode, path: &str, token: &str) -> String {
    let mut client = node.web();
    client.send(format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n"
    ));
    String::from_utf8(client.rest()).unwrap()
}

#[test]
fn audit_log_says_who_from_where_and_what_and_holds_no_token() {
    let (node, wrong) = (Setup::new().http("").tokens("tokens", &tokens()).start(), token(9));
    let mut client = node.client();
    let from = address_of(&client);
    client.ask(&format!("AUTH {}", wrong.text()));
    client.ask("IAMAT kiwi +1+1 5");
    client.ask(&format!("AUTH {}", token(1).text()));
    client.ask("IAMAT kiwi +1+1 5");
    client.ask(&format!("IAMAT {} +2+2 5", wrong.text()));
    client.ask("WHATSAT weka 1 0");
    client.ask(&format!("AUTH {}", token(4).text()));
    assert_eq!(client.ask("FORGET kiwi"), "FORGOT kiwi");
    assert!(page(&node, "/metrics", wrong.text()).starts_with("HTTP/1.1 401 "));
    assert!(page(&node, "/metrics", token(1).text()).starts_with("HTTP/1.1 403 "));
    change_tokens(&node.tokens_file(), false, |list| {
        list.tokens.retain(|token| token.name != "eye");
        Ok(())
    })
    .unwrap();
    let entries = || -> Vec<String> {
        let log = node.audit_log();
        let entries = log.lines().map(|line| line.split_once("Z ").unwrap().1.to_owned());
        // Each connection has a number, and each page a port.
        entries
            .map(|entry| {
                entry.split_once(" #").map_or(entry.clone(), |(kind, rest)| format!("{kind} {rest}"))
            })
            .collect()
    };
    wait_until("the change is audited", || entries().iter().any(|entry| entry.starts_with("tokens ")));
    let of_client: BTreeSet<_> = entries().into_iter().filter(|entry| entry.contains(&from)).collect();
    let number = of_client.iter().next().unwrap().split(' ').nth(1).unwrap().to_owned();
    let expected = [
        format!("auth_failed {number} from {from}"),
        format!("forbidden {number} from {from}: IAMAT kiwi"),
        format!("forbidden {number} of kiwi from {from}: WHATSAT weka"),
        format!("forget {number} of ops from {from}: kiwi"),
    ];
    for entry in &expected {
        assert!(of_client.contains(entry), "{entry}: {of_client:?}");
    }
    assert_eq!(of_client.len(), 5, "and the report whose id is a token: {of_client:?}");
    let others: Vec<_> = entries().into_iter().filter(|entry| !entry.contains(&from)).collect();
    for begin in ["auth_failed HTTP from 127.0.0.1:", "forbidden HTTP of kiwi from 127.0.0.1:"] {
        assert!(others.iter().any(|entry| entry.starts_with(begin)), "{others:?}");
    }
    assert!(others.contains(&"tokens 3 in force; revoked eye".to_owned()), "{others:?}");
    assert!(!node.audit_log().contains("herd_"), "{}", node.audit_log());
}

#[test]
fn monitor_who_reads_too_many_pages_is_told_to_come_back() {
    let limits = [("requests_per_second", "1"), ("quota_burst_seconds", "1.0")];
    let node = limited(&limits).tokens("tokens", &tokens()).start();
    let monitor = token(3);
    let refused =
        (0..200).map(|_| page(&node, "/metrics", monitor.text())).find(|answer| !answer.contains(" 200 OK"));
    let refused = refused.expect("it is refused");
    assert!(refused.starts_with("HTTP/1.1 429 Too Many Requests\r\n"), "{refused}");
    assert!(refused.contains("\r\nRetry-After: 1\r\n"), "{refused}");
    // What shows health only is for everyone, always.
    for _ in 0..20 {
        assert!(page(&node, "/livez", monitor.text()).starts_with("HTTP/1.1 200 OK"));
    }
    let is_told = |line: &str| {
        line.contains(" WARN  HTTP of prometheus from 127.0.0.1:")
            && line.contains(" is refused a page because of requests_per_second")
    };
    wait_until("the log says who", || node.log().lines().any(is_told));
    let mut again = String::new();
    wait_until("it may read again", || {
        again = page(&node, "/metrics", monitor.text());
        again.contains(" 200 OK")
    });
    let counted = again.lines().find_map(|line| line.strip_prefix("proxyherd_pages_refused_total "));
    assert!(counted.unwrap().parse::<u64>().unwrap() >= 1, "{again}");
}

#[test]
fn connections_of_one_token_share_its_quota_and_another_tokens_are_not_refused() {
    let limits =
        [("requests_per_second", "1"), ("quota_burst_seconds", "1.0"), ("quota_wait_seconds", "1.0")];
    // Where addresses are not held to quotas, tokens are.
    let setup = limits.iter().fold(Setup::new().http(""), |setup, (key, value)| setup.limit(key, value));
    let node = setup.tokens("tokens", &tokens()).start();
    let mut crowd: Vec<_> = (0..40).map(|_| node.client()).collect();
    for client in &mut crowd {
        assert_eq!(client.ask(&format!("AUTH {}", token(1).text())), "WELCOME kiwi");
        client.send("WHATSAT kiwi 1 0\n".repeat(2));
    }
    let mut ops = node.client();
    ops.ask(&format!("AUTH {}", token(4).text()));
    assert!(ops.ask("IAMAT weka +1+1 5").starts_with("AT "), "it has its own");
    for client in &mut crowd {
        for _ in 0..2 {
            assert_eq!(client.line(), b"? WHATSAT kiwi 1 0\n", "unknown or refused, nothing is lost");
        }
    }
    let is_told =
        |line: &str| line.contains("WARN  a line on #") && line.contains(" of kiwi from 127.0.0.1:");
    wait_until("the log says whose lines are refused", || node.log().lines().any(is_told));
    assert!(
        !node.log().lines().any(|line| line.contains(" is refused: it would") && line.contains(" of ops "))
    );
}
