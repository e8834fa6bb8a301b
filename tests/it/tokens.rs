//! Tokens, over sockets: what a client may do with one and without at every door of a node, how tokens are taken away while
//! they are used, and what counts it.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt};

use proxyherd::{
    core::access::{Pattern, Patterns, Token, TokenEntry, TokenList, TokenRole},
    keys::change_tokens,
};

use crate::support::{FakePeer, Manners, PlainNode, Setup, TestNode, wait_until};

pub(crate) fn token(number: u8) -> Token {
    Token::of_bytes([number; Token::RANDOM_BYTES])
}

fn entry(name: &str, number: u8, role: TokenRole, [report, see]: [&[&str]; 2]) -> TokenEntry {
    let patterns =
        |texts: &[&str]| Patterns::new(texts.iter().map(|text| Pattern::parse(text).unwrap()).collect());
    let (may_report, may_see) = (patterns(report), patterns(see));
    let (name, hash, groups) = (name.to_owned(), token(number).hash(), Vec::new());
    TokenEntry { name, hash, role, may_report, may_see, groups, expires: None }
}

/// Token 1 is a client's, 2 a viewer's, 3 a monitor's, 4 an operator's.
pub(crate) fn tokens() -> TokenList {
    let tokens = vec![
        entry("kiwi", 1, TokenRole::Client, [&["kiwi"], &["kiwi", "bird-*"]]),
        entry("eye", 2, TokenRole::Viewer, [&[], &["*"]]),
        entry("prometheus", 3, TokenRole::Monitor, [&[], &[]]),
        entry("ops", 4, TokenRole::Operator, [&["*"], &["*"]]),
    ];
    TokenList { groups: Vec::new(), tokens }
}

fn auth(number: u8) -> String {
    format!("AUTH {}", token(number).text())
}

/// The status line of a page, asked for with that header field.
fn page(node: &TestNode, path: &str, field: &str) -> String {
    let mut client = node.web();
    client.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{field}\r\n"));
    let answer = String::from_utf8(client.rest()).unwrap();
    answer.lines().next().unwrap().to_owned()
}

fn bearer(number: u8) -> String {
    format!("Authorization: Bearer {}\r\n", token(number).text())
}

/// A metric, as the monitor reads it.
fn metric(node: &TestNode, name: &str) -> f64 {
    let mut client = node.web();
    client
        .send(format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{}\r\n", bearer(3)));
    let text = String::from_utf8(client.rest()).unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

fn replace(node: &TestNode, list: &TokenList) {
    change_tokens(&node.tokens_file(), false, |there| {
        there.clone_from(list);
        Ok(())
    })
    .unwrap();
}

#[test]
fn nobody_reports_or_sees_outside_the_patterns_of_a_token() {
    let node = Setup::new().tokens("tokens", &tokens()).start();
    let mut stranger = node.client();
    for line in ["IAMAT kiwi +1+1 5", "WHATSAT kiwi 1 0", "FORGET kiwi", "AUTH x"] {
        let copy = if line.starts_with("AUTH") { "AUTH" } else { line };
        assert_eq!(stranger.ask(line), format!("? {copy}"));
    }
    let mut ops = node.client();
    assert_eq!(ops.ask(&auth(4)), "WELCOME ops");
    assert!(
        ops.ask("IAMAT bird-1 +1+1 5").starts_with("AT ") && ops.ask("IAMAT weka +1+1 5").starts_with("AT ")
    );
    let mut kiwi = node.client();
    assert_eq!(kiwi.ask(&auth(1)), "WELCOME kiwi");
    for (line, is_allowed) in [
        ("IAMAT kiwi +1+1 5", true),
        ("IAMAT kiwi2 +1+1 5", false),
        ("IAMAT bird-1 +2+2 6", false),
        ("WHATSAT kiwi 1 0", true),
        ("WHATSAT bird-1 1 0", true),
        ("WHATSAT weka 1 0", false),
        ("WHATSAT absent 1 0", false),
        ("FORGET kiwi", false),
    ] {
        let answer = kiwi.ask(line);
        if is_allowed {
            assert!(answer.starts_with("AT Alford "), "{answer}");
            if line.starts_with("WHATSAT") {
                while kiwi.line() != b"\n" {}
            }
        } else {
            assert_eq!(answer, format!("? {line}"));
        }
    }
    let mut eye = node.client();
    assert_eq!(eye.ask(&auth(2)), "WELCOME eye");
    assert_eq!(eye.ask("IAMAT kiwi +3+3 7"), "? IAMAT kiwi +3+3 7");
    assert!(eye.ask("WHATSAT weka 1 0").starts_with("AT "));
    assert_eq!(ops.ask("FORGET kiwi"), "FORGOT kiwi");
}

#[test]
fn third_wrong_token_closes_the_connection() {
    let node = Setup::new().tokens("tokens", &tokens()).start();
    let mut client = node.client();
    for line in ["AUTH x", &auth(9), "auth"] {
        assert_eq!(client.ask(line), "? AUTH");
    }
    client.expect_closed();
    wait_until("it is logged", || node.log().contains("is closed: its tokens were wrong, three times"));
}

#[test]
fn tokens_are_taken_anew_when_their_file_changes_and_those_of_before_stay_where_it_is_broken() {
    let node = Setup::new().http("").tokens("tokens", &tokens()).start();
    let mut kiwi = node.client();
    assert_eq!(kiwi.ask(&auth(1)), "WELCOME kiwi");
    assert!(kiwi.ask("IAMAT kiwi +1+1 5").starts_with("AT "));
    assert_eq!(metric(&node, "proxyherd_tokens"), 4.0);
    assert_eq!(metric(&node, "proxyherd_tokens_failing"), 0.0);

    // A file that is broken, open to others or gone changes nothing.
    let file = node.tokens_file();
    let whole = fs::read(&file).unwrap();
    for (number, (broken, word)) in
        [(Some(&b"[[token]]\n"[..]), "has no `name`"), (None, "cannot be read")].into_iter().enumerate()
    {
        match broken {
            Some(text) => fs::write(&file, text).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        wait_until("it is told", || {
            let log = node.log();
            let told = log.lines().filter(|line| line.contains("the tokens of before stay in force: "));
            told.count() == number + 1 && log.contains(word)
        });
        assert_eq!(metric(&node, "proxyherd_tokens_failing"), 1.0);
        assert!(kiwi.ask(&format!("IAMAT kiwi +1+1 {}", 6 + number)).starts_with("AT "));
    }
    fs::write(&file, &whole).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    wait_until("it is well again", || metric(&node, "proxyherd_tokens_failing") == 0.0);

    // A token that is revoked is so on connections that have shown it.
    let mut list = tokens();
    list.tokens.remove(0);
    replace(&node, &list);
    wait_until("it is taken anew", || metric(&node, "proxyherd_tokens") == 3.0);
    assert_eq!(kiwi.ask("IAMAT kiwi +1+1 9"), "? IAMAT kiwi +1+1 9");
    assert_eq!(kiwi.ask(&auth(1)), "? AUTH");
    wait_until("it is told", || node.log().contains("the tokens are taken anew: 3; revoked kiwi"));
}

#[test]
fn pages_that_show_more_than_health_want_a_monitors_token() {
    let node = Setup::new().http("").tokens("tokens", &tokens()).start();
    let of_user = |user: &str, number: u8| {
        use base64::{Engine as _, prelude::BASE64_STANDARD};
        let pair = BASE64_STANDARD.encode(format!("{user}:{}", token(number).text()));
        format!("Authorization: Basic {pair}\r\n")
    };
    for path in ["/status", "/metrics"] {
        for (field, status) in [
            (String::new(), "401 Unauthorized"),
            (bearer(9), "401 Unauthorized"),
            (bearer(1), "403 Forbidden"),
            (bearer(2), "403 Forbidden"),
            (bearer(3), "200 OK"),
            (bearer(4), "200 OK"),
            (of_user("prometheus", 3), "200 OK"),
            (of_user("", 4), "200 OK"),
            (of_user("ops", 9), "401 Unauthorized"),
        ] {
            assert_eq!(page(&node, path, &field), format!("HTTP/1.1 {status}"), "{path} {field}");
        }
    }
    for path in ["/", "/livez", "/readyz"] {
        let status = page(&node, path, "");
        assert!(!status.contains("401") && !status.contains("403"), "{path}: {status}");
    }
    let mut client = node.web();
    client.send("GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let answer = String::from_utf8(client.rest()).unwrap();
    assert!(
        answer.contains("\r\nWWW-Authenticate: Bearer realm=\"herd\"\r\nWWW-Authenticate: Basic "),
        "{answer}"
    );
    // Where clients need none, neither does who reads pages on loopback.
    let open = Setup::new().http("").tokens("open", &tokens()).start();
    assert_eq!(page(&open, "/status", ""), "HTTP/1.1 200 OK");
}

#[test]
fn what_becomes_of_tokens_is_counted() {
    let node = Setup::new().http("").tokens("tokens", &tokens()).start();
    let mut client = node.client();
    for line in
        ["AUTH x", "IAMAT kiwi +1+1 5", "WHATSAT kiwi 1 0", "FORGET kiwi", &auth(1), "IAMAT kiwi +1+1 5"]
    {
        client.ask(line);
    }
    let count = |kind: &str, outcome: &str| {
        metric(&node, &format!("proxyherd_requests_total{{kind=\"{kind}\",outcome=\"{outcome}\"}}"))
    };
    wait_until("the last one is counted", || count("iamat", "stored") == 1.0);
    for (kind, outcome) in [
        ("auth", "wrong_token"),
        ("auth", "welcomed"),
        ("iamat", "forbidden"),
        ("whatsat", "forbidden"),
        ("forget", "forbidden"),
    ] {
        assert_eq!(count(kind, outcome), 1.0, "{kind} {outcome}");
    }
}

#[test]
fn rights_are_checked_where_a_client_asks_and_peers_pass_everything_on() {
    let welsh = FakePeer::new("Welsh");
    let node = Setup::new().http("").tokens("tokens", &tokens()).neighbour(&welsh).start();
    let mut session = welsh.dial(&node);
    session.ping("AT Welsh +1.000000000 weka +1+1 1 Welsh\nPING 1\n", 1);
    // A peer's connection has no use for a token.
    let mut eye = node.client();
    assert_eq!(eye.ask(&auth(2)), "WELCOME eye");
    assert_eq!(eye.ask("WHATSAT weka 1 0"), "AT Welsh +1.000000000 weka +1+1 1");
}

#[test]
fn third_party_node_reports_and_sees_what_its_patterns_allow() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let keys = "may_report = [\"bus-*\"]\nmay_see = [\"tram-*\"]\n";
    let node = Setup::new().http("").plain("Plain", listener.local_addr().unwrap(), keys).start();
    let mut client = node.client();
    // Before it is linked, and after: by a sweep, and as news.
    client.ask("IAMAT tram-1 +1+1 5");
    client.ask("IAMAT hidden-1 +1+1 5");
    let plain = PlainNode::start("Plain", listener, Manners::default());
    plain.tell(node.plain_address());
    wait_until("it is told", || plain.knows("tram-1").is_some());
    client.ask("IAMAT hidden-2 +1+1 5");
    client.ask("IAMAT tram-2 +1+1 5");
    wait_until("it is told", || plain.knows("tram-2").is_some());
    assert!(plain.heard().iter().all(|line| !line.contains("hidden")), "{:?}", plain.heard());

    plain.say("AT Plain +1.000000000 car-1 +1+1 1 Plain");
    plain.say("AT Plain +1.000000000 bus-1 +1+1 1 Plain");
    wait_until("the bus is known", || node.client().ask("WHATSAT bus-1 1 0").starts_with("AT "));
    assert_eq!(client.ask("WHATSAT car-1 1 0"), "? WHATSAT car-1 1 0");
    let link = &node.status()["links"][0];
    // What it was told it tells in turn, which it may not either.
    assert_eq!(link["updates_received"], 1, "{link}");
    assert!(link["bad_lines"].as_u64() >= Some(1), "{link}");
    assert!(link["last_bad"].as_str().unwrap().contains("may_report"), "{link}");
}

#[test]
fn default_herd_is_open_and_takes_no_tokens() {
    let node = Setup::new().http("").start();
    let mut client = node.client();
    assert_eq!(client.ask(&auth(1)), "? AUTH");
    assert!(client.ask("IAMAT kiwi +1+1 5").starts_with("AT "));
    assert_eq!(client.ask("FORGET kiwi"), "FORGOT kiwi");
    assert_eq!(page(&node, "/status", ""), "HTTP/1.1 200 OK");
    let (_, text) = node.page("/metrics");
    assert!(!text.contains("proxyherd_tokens"), "{text}");
}
