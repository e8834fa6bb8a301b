//! Heads: what is understood, and a table of what is refused because another server could read it differently.

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::{
    HEADERS_MAX, HeaderName, HttpRequest, Method, PAIRS_MAX, PageOrigin, Refused, SEGMENTS_MAX, Site,
    framing::Framing,
    head::{Head, parse},
    scan::{HeadScan, Scanned},
};
use crate::core::access::Token;

const BODY_MAX: usize = 1_000;

fn site() -> Site {
    Site { hosts: vec!["alford.example".into()], origins: vec!["https://map.example".into()] }
}

/// As a connection does: the end of the head is looked for, then the head is read.
fn head(text: impl AsRef<[u8]>) -> Result<Head, Refused> {
    match HeadScan::default().go_on(text.as_ref()) {
        Scanned::Head { from, to } => parse(&text.as_ref()[from..to], &site(), BODY_MAX),
        Scanned::Bad => Err(Refused::Garbage),
        Scanned::Part => panic!("{} is incomplete", text.as_ref().escape_ascii()),
    }
}

/// A GET for a target, with more lines.
fn get(target: &str, lines: &str) -> Result<HttpRequest, Refused> {
    head(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n")).map(|head| head.request)
}

fn path(request: &HttpRequest) -> Vec<String> {
    request.path.slices().iter().map(|segment| segment.escape_ascii().to_string()).collect()
}

fn query(request: &HttpRequest) -> String {
    let pairs = request.query.iter();
    pairs.map(|(name, value)| format!("{}={};", name.escape_ascii(), value.escape_ascii())).collect()
}

fn token(number: u8) -> Token {
    Token::of_bytes([number; Token::RANDOM_BYTES])
}

#[test]
fn methods_are_the_six_that_something_is_done_with() {
    for method in Method::ALL {
        let text = format!("{method} /a HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(head(text).map(|head| head.request.method), Ok(method));
    }
    for method in ["get", "Get", "PATCH", "TRACE", "CONNECT", "PROPFIND", "G"] {
        let text = format!("{method} /a HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(head(text), Err(Refused::NotImplemented), "{method}");
    }
}

#[test]
fn path_is_split_and_then_decoded_once() {
    for (target, expected) in [
        ("/", &[][..]),
        ("/pub", &["pub"]),
        ("/pub/", &["pub", ""]),
        ("//", &["", ""]),
        ("/v1/clients/a%2Fb", &["v1", "clients", "a/b"]),
        ("/%252F/%41+%20", &["%2F", "A+ "]),
        ("/a/../b/.", &["a", "..", "b", "."]),
        ("/%ff%00", &["\\xff\\x00"]),
        ("/a?b/c?d", &["a"]),
        ("/t", &["t"]),
        ("/T/a/b", &["T", "a", "b"]),
    ] {
        let request = get(target, "").unwrap();
        assert_eq!(path(&request), expected, "{target}");
        let joined = format!("/{}", expected.join("/"));
        assert_eq!(request.path.path().escape_ascii().to_string(), joined, "{target}");
    }
    for target in
        ["a", "/a%", "/%zz", "/a#b", "/é", "*", "?a", "", "/?a=%4", "/?%=", "/\\\u{7f}", "ftp://localhost/"]
    {
        let refused = get(target, "").unwrap_err();
        assert!([Refused::Target, Refused::Garbage].contains(&refused), "{target} {refused:?}");
    }
    let deep = |count: usize| get(&"/a".repeat(count), "").map(|request| path(&request).len());
    assert_eq!(deep(SEGMENTS_MAX), Ok(SEGMENTS_MAX));
    assert_eq!(deep(SEGMENTS_MAX + 1), Err(Refused::TargetTooLong));
}

#[test]
fn query_is_pairs_in_their_order_decoded_as_a_form_is() {
    for (target, expected) in [
        ("/", ""),
        ("/?", ""),
        ("/?id=123&lat=1.5&lon=-2", "id=123;lat=1.5;lon=-2;"),
        ("/?a=b=c&&d&=e&", "a=b=c;d=;=e;"),
        ("/?a+b=c+d%2B%26%3d", "a b=c d+&=;"),
        ("/?%2561=%2562", "%61=%62;"),
        ("/?a=1&a=2", "a=1;a=2;"),
    ] {
        assert_eq!(query(&get(target, "").unwrap()), expected, "{target}");
    }
    let request = get("/?a=1&b=2&a=3", "").unwrap();
    assert_eq!((request.query.get("a"), request.query.get("c")), (Some(&b"1"[..]), None));
    let pairs = |count: usize| get(&format!("/?{}", "a&".repeat(count)), "").map(drop);
    assert_eq!((pairs(PAIRS_MAX), pairs(PAIRS_MAX + 1)), (Ok(()), Err(Refused::TargetTooLong)));
}

#[test]
fn absolute_form_names_the_host_in_its_target() {
    let absolute = |target: &str, host: &str| {
        head(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
            .map(|head| path(&head.request).join("/"))
    };
    for (target, expected) in [
        ("http://localhost:11700/livez", Ok("livez")),
        ("HTTP://127.0.0.1/status?a=/b", Ok("status")),
        ("http://[::1]:/metrics", Ok("metrics")),
        ("https://localhost/livez", Ok("livez")),
        ("http://alford.example.", Ok("")),
        ("http://localhost?x", Ok("")),
        ("http://evil.example/livez", Err(Refused::Host)),
        ("http://localhost@evil.example/livez", Err(Refused::Host)),
        ("http://evil.example@localhost/livez", Err(Refused::Host)),
        ("http:///livez", Err(Refused::Host)),
        ("localhost/livez", Err(Refused::Target)),
    ] {
        assert_eq!(absolute(target, "localhost"), expected.map(str::to_owned), "{target}");
    }
    // The target decides; a Host field must be there all the same.
    assert_eq!(absolute("http://localhost/livez", "other.example"), Ok("livez".to_owned()));
    assert_eq!(head("GET http://localhost/ HTTP/1.1\r\n\r\n"), Err(Refused::HostMissing));
    assert_eq!(head("GET http://evil.example/ HTTP/1.0\r\n\r\n"), Err(Refused::Host));
    let about_server = |line: &str| head(format!("{line} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    assert!(about_server("OPTIONS *").unwrap().request.is_about_server);
    assert!(!about_server("OPTIONS /").unwrap().request.is_about_server);
}

#[test]
fn token_is_found_wherever_it_stands_and_taken_off() {
    let token = token(7);
    let (text, hash) = (token.text(), Some(token.hash()));
    let basic = |user_and_password: String| BASE64_STANDARD.encode(user_and_password);
    for (target, field, shown) in [
        ("/a?b=c".to_owned(), format!("Authorization: Bearer {text}"), hash),
        ("/a?b=c".to_owned(), format!("authorization:bearer   {text} "), hash),
        ("/a?b=c".to_owned(), format!("Authorization: Basic {}", basic(format!("anyone:{text}"))), hash),
        ("/a?b=c".to_owned(), format!("Authorization: bAsIc {}", basic(format!(":{text}"))), hash),
        // As Overland sends it: raw.
        ("/a?b=c".to_owned(), format!("Authorization: Basic {text}:"), hash),
        ("/a?b=c".to_owned(), format!("Authorization: Basic {text}"), hash),
        (format!("/a?token={text}&b=c"), String::new(), hash),
        (format!("/a?b=c&api_key={text}"), String::new(), hash),
        (format!("/a?b=c&%74oken={}", text.replace('_', "%5F")), String::new(), hash),
        (format!("/t/{text}/a?b=c"), String::new(), hash),
        (format!("/t/{}/a?b=c", text.replace('_', "%5f")), String::new(), hash),
        (format!("/t/{text}/a?b=c&token={text}"), format!("Authorization: Bearer {text}"), hash),
        // What is no token is taken off all the same, and no token is shown.
        ("/t/herd_12/a?b=c".to_owned(), String::new(), None),
        (format!("/a?b=c&token={text}x"), String::new(), None),
        ("/a?b=c".to_owned(), format!("Authorization: Basic {}", basic(text.to_owned())), None),
        ("/a?b=c".to_owned(), format!("Authorization: Basic {}", basic(format!("a:b:{text}"))), None),
        ("/a?b=c".to_owned(), format!("Authorization: {text}"), None),
        ("/a?b=c".to_owned(), format!("Authorization: Bearer {text}x"), None),
        ("/a?b=c".to_owned(), "Authorization: Bearer".to_owned(), None),
        ("/a?b=c".to_owned(), format!("Authorization: Bearer {text}\r\nAuthorization: Bearer {text}"), None),
        ("/a?b=c".to_owned(), format!("X-Authorization: Bearer {text}"), None),
    ] {
        let lines = if field.is_empty() { String::new() } else { format!("{field}\r\n") };
        let request = get(&target, &lines).unwrap();
        assert_eq!(request.token, shown, "{target} {field}");
        assert_eq!((path(&request), query(&request)), (vec!["a".to_owned()], "b=c;".to_owned()), "{target}");
        assert!(!format!("{request:?}").contains("herd_"), "{request:?}");
    }
    for target in [format!("/t/{text}"), format!("/t/{text}/"), format!("/?token={text}")] {
        let request = get(&target, "").unwrap();
        assert!(path(&request).is_empty() && request.query.is_empty(), "{target}");
    }
}

#[test]
fn name_beside_a_password_is_kept_unless_it_shows_a_token() {
    let token = token(7);
    let user = |pair: &str| {
        get("/", &format!("Authorization: Basic {}\r\n", BASE64_STANDARD.encode(pair))).unwrap().user
    };
    assert_eq!(user(&format!("jane:{}", token.text())), Some(b"jane".to_vec()));
    assert_eq!(user("jane:any"), Some(b"jane".to_vec()));
    assert_eq!(user(&format!("{}:", token.text())), None);
    assert_eq!(user("jane"), None);
}

#[test]
fn two_different_tokens_are_refused_wherever_they_stand() {
    let (one, other) = (token(1), token(2));
    let (one, other) = (one.text(), other.text());
    for (target, lines) in [
        (format!("/t/{one}/?token={other}"), String::new()),
        (format!("/?token={one}&token={other}"), String::new()),
        (format!("/?token={one}"), format!("Authorization: Bearer {other}\r\n")),
    ] {
        assert_eq!(get(&target, &lines), Err(Refused::TwoTokens), "{target}");
    }
}

#[test]
fn connection_goes_on_as_the_version_and_its_sender_say() {
    for (version, lines, expected) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: Keep-Alive, CLOSE\r\n", false),
        ("1.1", "Connection: keep-alive\r\nConnection: close\r\n", false),
        ("1.1", "Connection: closed\r\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: keep-alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
    ] {
        let head = head(format!("GET / HTTP/{version}\r\nHost: localhost\r\n{lines}\r\n")).unwrap();
        assert_eq!(head.is_persistent, expected, "{version} {lines}");
    }
}

#[test]
fn expectation_is_100_continue_and_only_where_a_body_comes() {
    let expecting = |version: &str, lines: &str| {
        let text = format!("POST / HTTP/{version}\r\nHost: localhost\r\n{lines}\r\n");
        head(text).map(|head| head.expects_continue)
    };
    assert_eq!(expecting("1.1", "Expect: 100-Continue\r\nContent-Length: 5\r\n"), Ok(true));
    assert_eq!(expecting("1.1", "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n"), Ok(true));
    assert_eq!(expecting("1.1", "Expect: 100-continue\r\n"), Ok(false));
    assert_eq!(expecting("1.0", "Expect: 100-continue\r\nContent-Length: 5\r\n"), Ok(false));
    assert_eq!(expecting("1.1", "Expect: magic\r\n"), Err(Refused::Expectation));
    let twice = "Expect: 100-continue\r\nExpect: 100-continue\r\n";
    assert_eq!(expecting("1.1", twice), Err(Refused::Expectation));
}

#[test]
fn header_fields_that_faces_read_are_kept() {
    let lines = "Content-Type: application/json ; charset=utf-8\r\nX-Limit-D: phone\r\nCookie: x\r\n";
    let request = get("/", lines).unwrap();
    assert_eq!(request.media_type(), b"application/json");
    assert_eq!(request.header(HeaderName::XLimitD), Some(&b"phone"[..]));
    assert_eq!(get("/", "").unwrap().media_type(), b"");
    let encoded = |coding: &str| get("/", &format!("Content-Encoding: {coding}\r\n")).map(drop);
    assert_eq!((encoded("gzip"), encoded("Identity")), (Err(Refused::Coding), Ok(())));
}

#[test]
fn page_that_has_it_sent_is_judged_by_all_its_fields() {
    for (lines, expected) in [
        ("", PageOrigin::Own),
        ("Origin: http://localhost\r\nSec-Fetch-Site: same-origin\r\n", PageOrigin::Own),
        ("Sec-Fetch-Site: cross-site\r\n", PageOrigin::Foreign),
        ("Origin: http://evil.example\r\n", PageOrigin::Foreign),
        ("Origin: http://localhost\r\nOrigin: http://evil.example\r\n", PageOrigin::Foreign),
        ("Sec-Fetch-Site: same-origin\r\nSec-Fetch-Site: cross-site\r\n", PageOrigin::Foreign),
        (
            "Origin: https://map.example\r\nSec-Fetch-Site: cross-site\r\n",
            PageOrigin::Allowed("https://map.example".into()),
        ),
    ] {
        assert_eq!(get("/", lines).unwrap().page_origin, expected, "{lines}");
    }
}

#[test]
fn host_is_said_once_or_in_version_1_0_never() {
    let hosts = |version: &str, lines: &str| head(format!("GET / HTTP/{version}\r\n{lines}\r\n")).map(drop);
    assert_eq!(hosts("1.1", "Host: alford.example:1\r\n"), Ok(()));
    assert_eq!(hosts("1.0", ""), Ok(()));
    for (version, lines) in [
        ("1.1", ""),
        ("1.1", "Host: localhost\r\nHost: localhost\r\n"),
        ("1.0", "Host: localhost\r\nhost: localhost\r\n"),
        ("1.1", "Host: \u{e9}\r\n"),
    ] {
        let refused = hosts(version, lines).unwrap_err();
        assert!([Refused::HostMissing, Refused::Host].contains(&refused), "{version} {lines} {refused:?}");
    }
    assert_eq!(hosts("1.1", "Host: evil.example\r\n"), Err(Refused::Host));
    assert_eq!(hosts("1.1", "Host: localhost, evil.example\r\n"), Err(Refused::Host));
}

#[test]
fn head_has_so_many_fields_at_most() {
    let fields = |count: usize| head(format!("GET / HTTP/1.0\r\n{}\r\n", "A: b\r\n".repeat(count))).map(drop);
    assert_eq!((fields(HEADERS_MAX), fields(HEADERS_MAX + 1)), (Ok(()), Err(Refused::HeadTooLarge)));
}

/// After RFC 9112, sections 2.2, 3, 5 and 11.2, and public lists of what has been smuggled past servers.
const AMBIGUOUS: &[(&str, Refused)] = {
    use Refused::{Framing as F, Garbage as G, HostMissing as H, NotImplemented as N, Version as V};
    &[
        // Line ends.
        ("GET / HTTP/1.1\nHost: localhost\n\n", G),
        ("GET / HTTP/1.1\nHost: localhost\r\n\r\n", G),
        ("GET / HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n", G),
        ("GET / HTTP/1.1\r\nHost: localhost\r\n\n\r\n", G),
        ("GET / HTTP/1.1\r\nHost: localhost\r\n\rX: y\r\n\r\n", G),
        ("GET / HTTP/1.1\r\nHost: localhost\rX: y\r\n\r\n", G),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost: localhost\r\n\r\n", G),
        // The request line.
        ("GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n", G),
        ("GET /  HTTP/1.1\r\nHost: localhost\r\n\r\n", G),
        ("GET\t/ HTTP/1.1\r\nHost: localhost\r\n\r\n", G),
        (" GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", G),
        ("GET / HTTP/1.1 \r\nHost: localhost\r\n\r\n", G),
        ("GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n", G),
        ("GET /\r\nHost: localhost\r\n\r\n", G),
        ("GET / http/1.1\r\nHost: localhost\r\n\r\n", G),
        ("GET / HTTP/01.1\r\nHost: localhost\r\n\r\n", V),
        ("GET / HTTP/1.2\r\nHost: localhost\r\n\r\n", V),
        ("GET / HTTP/2.0\r\nHost: localhost\r\n\r\n", V),
        ("PRI * HTTP/2.0\r\n\r\n", V),
        ("G\0ET / HTTP/1.1\r\nHost: localhost\r\n\r\n", G),
        ("GET /\0 HTTP/1.1\r\nHost: localhost\r\n\r\n", G),
        // Names of fields.
        ("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length : 5\r\n\r\n", G),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length\t: 5\r\n\r\n", G),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding : chunked\r\n\r\n", G),
        ("POST / HTTP/1.1\r\nHost: localhost\r\n Content-Length: 5\r\n\r\n", G),
        ("POST / HTTP/1.1\r\n Host: localhost\r\n\r\n", G),
        ("POST / HTTP/1.1\r\nHost: localhost\r\n: empty\r\n\r\n", G),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nno colon\r\n\r\n", G),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nContent\0-Length: 5\r\n\r\n", G),
        ("POST / HTTP/1.1\r\nHost: localhost\r\n\u{a0}Content-Length: 5\r\n\r\n", G),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding\u{b}: chunked\r\n\r\n", G),
        // Lines that continue the one before.
        ("POST / HTTP/1.1\r\nHost: localhost\r\nX: y\r\n z\r\n\r\n", G),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding:\r\n chunked\r\n\r\n", G),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nX: y\r\n\tContent-Length: 5\r\n\r\n", G),
        // Values.
        ("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\0\r\n\r\n", G),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nX: \u{1}\r\n\r\n", G),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: \u{b}5\r\n\r\n", G),
        // Where the body ends.
        ("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", F),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", F),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5, 5\r\n\r\n", F),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: +5\r\n\r\n", F),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length:\r\n\r\n", F),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", F),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", F),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", F),
        (
            "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\ntransfer-encoding: x\r\n\r\n",
            F,
        ),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked, identity\r\n\r\n", F),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", F),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: xchunked\r\n\r\n", N),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: identity\r\n\r\n", N),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: x chunked\r\n\r\n", F),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: \"chunked\"\r\n\r\n", F),
        ("POST / HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n", F),
        // Whom it is for.
        ("GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", H),
        ("GET / HTTP/1.1\r\n\r\n", H),
        ("GET / HTTP/1.1\r\nHost: localhost/x\r\n\r\n", Refused::Host),
        ("GET / HTTP/1.1\r\nHost: evil.example@localhost\r\n\r\n", Refused::Host),
    ]
};

#[test]
fn what_another_server_could_read_differently_is_refused() {
    for &(text, expected) in AMBIGUOUS {
        assert_eq!(head(text), Err(expected), "{text:?}");
    }
    // What comes close to these and has one meaning.
    for (text, framing) in [
        ("\r\nGET / HTTP/1.1\r\nHost:localhost\r\n\r\n", Framing::None),
        ("POST / HTTP/1.1\r\nHost: \t localhost\t \r\nContent-Length:  5 \r\n\r\n", Framing::Length(5)),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: Chunked\r\n\r\n", Framing::Chunked),
        ("POST / HTTP/1.0\r\nContent-Length: 5\r\nX-Content-Length: 6\r\n\r\n", Framing::Length(5)),
    ] {
        assert_eq!(head(text).map(|head| head.framing), Ok(framing), "{text:?}");
    }
}
