//! What an HTTP request asks for, and the token it shows. Pure: bytes in, an [`Asked`] or a refusal out, neither of which
//! holds the token.

use std::net::{Ipv4Addr, Ipv6Addr};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use httparse::{EMPTY_HEADER, Header, Status};
use zeroize::Zeroizing;

use crate::core::access::TokenHash;

/// More header fields than any monitor sends.
const HEADERS_MAX: usize = 64;

/// What a request may ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Page {
    /// The list of pages.
    Index,
    /// Whether the process answers.
    Live,
    /// Whether clients should ask another node.
    Ready,
    /// The node in JSON.
    Status,
    /// The node in Prometheus' text format.
    Metrics,
}

impl Page {
    const ALL: [(&'static str, Self); 5] = [
        ("/", Self::Index),
        ("/livez", Self::Live),
        ("/readyz", Self::Ready),
        ("/status", Self::Status),
        ("/metrics", Self::Metrics),
    ];

    /// Whether it shows more than a node's health, so that not everyone may read it.
    pub fn shows_more_than_health(self) -> bool {
        matches!(self, Self::Status | Self::Metrics)
    }

    /// The paths of all pages, one per line.
    pub(super) fn index() -> String {
        Self::ALL.iter().map(|(path, _)| format!("{path}\n")).collect()
    }
}

/// A request that can be answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asked {
    /// The page.
    pub page: Page,
    /// Without the body.
    pub is_head: bool,
    /// What the token hashes to that it shows, if it shows one.
    pub token: Option<TokenHash>,
}

/// Why a request is not answered with what it asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// It is not an HTTP/1 request.
    Garbage,
    /// There is no such page.
    NoPage,
    /// It is neither GET nor HEAD.
    Method,
    /// Its page is for those who show a valid token, which it does not.
    NoToken,
    /// Its page is for monitors, and its token is not one's.
    NotMonitor,
    /// Its sender reads more than it may, and may again after so many seconds.
    TooMany(u64),
    /// It was meant for a host that this node is not: a browser led here under another name could read what it shows.
    Host,
    /// Its head does not end within the limit.
    TooLarge,
    /// Its head did not arrive in time.
    TooSlow,
}

/// Parses a request's head; `None` while it is incomplete. `hosts` are the names that this node answers to, besides
/// addresses.
pub fn parse(head: &[u8], hosts: &[String]) -> Option<Result<Asked, Refused>> {
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(head) {
        Ok(Status::Complete(_)) => {}
        Ok(Status::Partial) => return None,
        Err(httparse::Error::TooManyHeaders) => return Some(Err(Refused::TooLarge)),
        Err(_) => return Some(Err(Refused::Garbage)),
    }
    Some(judge(&request, hosts))
}

fn judge(request: &httparse::Request<'_, '_>, hosts: &[String]) -> Result<Asked, Refused> {
    let mut named = request.headers.iter().filter(|header| header.name.eq_ignore_ascii_case("host"));
    let host = match (named.next(), named.next(), request.version) {
        (Some(host), None, _) => {
            Some(std::str::from_utf8(host.value).map_err(|_not_text| Refused::Garbage)?.trim())
        }
        // Version 1.0 has no Host field, and no browser speaks it.
        (None, None, Some(0)) => None,
        _ => return Err(Refused::Garbage),
    };
    let (authority, path) = target(request.path.unwrap_or_default());
    // A target that names a host takes precedence over the field (RFC 9112, section 3.2.2).
    if authority.or(host).is_some_and(|host| !is_ours(host, hosts)) {
        return Err(Refused::Host);
    }
    let is_head = match request.method {
        Some("GET") => false,
        Some("HEAD") => true,
        _ => return Err(Refused::Method),
    };
    let page = Page::ALL.into_iter().find(|&(known, _)| known == path).ok_or(Refused::NoPage)?.1;
    Ok(Asked { page, is_head, token: token(request.headers) })
}

/// What the token hashes to that a request shows: as `Bearer`, or as the password of `Basic`.
fn token(headers: &[Header<'_>]) -> Option<TokenHash> {
    let mut named = headers.iter().filter(|header| header.name.eq_ignore_ascii_case("authorization"));
    let (Some(header), None) = (named.next(), named.next()) else { return None };
    let value = header.value.trim_ascii();
    let (scheme, shown) = value.split_at(memchr::memchr(b' ', value)?);
    let shown = shown.trim_ascii_start();
    if scheme.eq_ignore_ascii_case(b"Bearer") {
        return TokenHash::of(shown);
    }
    if scheme.eq_ignore_ascii_case(b"Basic") {
        let pair = Zeroizing::new(BASE64_STANDARD.decode(shown).ok()?);
        let colon = memchr::memchr(b':', &pair)?;
        return TokenHash::of(&pair[colon + 1..]);
    }
    None
}

/// The authority of a target in absolute form, and the path of any target, without its query.
fn target(text: &str) -> (Option<&str>, &str) {
    const SCHEME: &str = "http://";
    let is_absolute = text.get(..SCHEME.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(SCHEME));
    let (authority, rest) = if is_absolute {
        let rest = &text[SCHEME.len()..];
        let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        (Some(authority), rest)
    } else {
        (None, text)
    };
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    (authority, if is_absolute && path.is_empty() { "/" } else { path })
}

/// Whether a host names this node: an address, `localhost`, or a configured name, with or without a port. A name may
/// end with the root's dot.
fn is_ours(host: &str, hosts: &[String]) -> bool {
    if let Some((address, port)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address.parse::<Ipv6Addr>().is_ok() && is_port(port);
    }
    let (name, port) = host.find(':').map_or((host, ""), |colon| host.split_at(colon));
    let name = without_root(name);
    let is_known = name.eq_ignore_ascii_case("localhost")
        || name.parse::<Ipv4Addr>().is_ok()
        || hosts.iter().any(|known| without_root(known).eq_ignore_ascii_case(name));
    is_known && is_port(port)
}

fn without_root(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// Nothing, or a colon and a number, which may be left out.
fn is_port(text: &str) -> bool {
    let Some(port) = text.strip_prefix(':') else { return text.is_empty() };
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    port.is_empty() || is_number && port.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::access::Token;

    fn asked(head: &str) -> Option<Result<Asked, Refused>> {
        parse(head.as_bytes(), &["alford.example".into()])
    }

    fn with_host(host: &str) -> Option<Result<Asked, Refused>> {
        asked(&format!("GET /livez HTTP/1.1\r\nHost: {host}\r\n\r\n"))
    }

    #[test]
    fn pages_are_asked_for_by_get_and_head() {
        for (path, page) in Page::ALL {
            for (method, is_head) in [("GET", false), ("HEAD", true)] {
                let head =
                    format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:11700\r\nAccept: */*\r\n\r\n");
                assert_eq!(asked(&head), Some(Ok(Asked { page, is_head, token: None })));
                for length in 0..head.len() {
                    assert_eq!(asked(&head[..length]), None, "{}", &head[..length]);
                }
            }
        }
        let with_query = asked("GET /metrics?name=x HTTP/1.0\r\n\r\n");
        assert_eq!(with_query, Some(Ok(Asked { page: Page::Metrics, is_head: false, token: None })));
    }

    #[test]
    fn what_is_not_there_or_not_allowed_is_refused() {
        let refused = |head: &str| asked(head).unwrap().unwrap_err();
        assert_eq!(refused("GET /Livez HTTP/1.0\r\n\r\n"), Refused::NoPage);
        for method in ["POST", "PUT", "get", "OPTIONS"] {
            assert_eq!(refused(&format!("{method} /livez HTTP/1.0\r\n\r\n")), Refused::Method);
        }
        for head in ["IAMAT x +1+1 1\n", "\x16\x03\x01\x02", "GET /livez HTTP/2.0\r\n\r\n", "GET\r\n\r\n"] {
            assert_eq!(refused(head), Refused::Garbage, "{head:?}");
        }
        let many = format!("GET / HTTP/1.0\r\n{}\r\n", "A: b\r\n".repeat(HEADERS_MAX + 1));
        assert_eq!(refused(&many), Refused::TooLarge);
        let enough = format!("GET / HTTP/1.0\r\n{}\r\n", "A: b\r\n".repeat(HEADERS_MAX));
        assert!(asked(&enough).unwrap().is_ok());
    }

    #[test]
    fn host_is_an_address_or_a_configured_name() {
        for host in
            ["127.0.0.1", "10.1.2.3:80", "[::1]", "[::1]:11700", "localhost:1", "ALFORD.example:11700"]
                .into_iter()
                .chain(["127.0.0.1:", "[::1]:", "localhost.", "localhost.:11700", "alford.example.:"])
        {
            assert!(with_host(host).unwrap().is_ok(), "{host}");
        }
        for host in ["evil.example", "alford.example.evil", "127.0.0.1.evil", "[::1", "alford.example:x", ""]
            .into_iter()
            .chain([
                ".",
                ":",
                "localhost..",
                "localhost:+1",
                "localhost:65536",
                "localhost:1:",
                "a@localhost",
            ])
        {
            assert_eq!(with_host(host), Some(Err(Refused::Host)), "{host}");
        }
        let twice = asked("GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n");
        assert_eq!(twice, Some(Err(Refused::Garbage)));
        assert_eq!(asked("GET / HTTP/1.1\r\n\r\n"), Some(Err(Refused::Garbage)));
    }

    #[test]
    fn token_is_a_bearer_or_the_password_of_basic_and_nothing_else() {
        let token = Token::of_bytes([7; Token::RANDOM_BYTES]);
        let (text, hash) = (token.text(), Some(token.hash()));
        let basic = |user_and_password: String| BASE64_STANDARD.encode(user_and_password);
        for (field, shown) in [
            (format!("Authorization: Bearer {text}"), hash),
            (format!("authorization:bearer   {text} "), hash),
            (format!("Authorization: Basic {}", basic(format!("anyone:{text}"))), hash),
            (format!("Authorization: bAsIc {}", basic(format!(":{text}"))), hash),
            (format!("Authorization: Basic {}", basic(text.to_owned())), None),
            (format!("Authorization: Basic {}", basic(format!("a:b:{text}"))), None),
            (format!("Authorization: Basic {text}"), None),
            (format!("Authorization: {text}"), None),
            (format!("Authorization: Bearer {text}x"), None),
            ("Authorization: Bearer".to_owned(), None),
            (format!("Authorization: Bearer {text}\r\nAuthorization: Bearer {text}"), None),
            (format!("X-Authorization: Bearer {text}"), None),
        ] {
            let head = format!("GET /status HTTP/1.1\r\nHost: localhost\r\n{field}\r\n\r\n");
            assert_eq!(asked(&head).unwrap().unwrap().token, shown, "{field}");
        }
    }

    #[test]
    fn absolute_form_names_the_host_in_its_target() {
        let absolute = |target: &str, host: &str| {
            asked(&format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")).unwrap()
        };
        let page = |page| Ok(Asked { page, is_head: false, token: None });
        for (target, expected) in [
            ("http://localhost:11700/livez", page(Page::Live)),
            ("HTTP://127.0.0.1/status?a=/b", page(Page::Status)),
            ("http://[::1]:/metrics", page(Page::Metrics)),
            ("http://alford.example.", page(Page::Index)),
            ("http://localhost?x", page(Page::Index)),
            ("http://localhost/nothing", Err(Refused::NoPage)),
            ("http://evil.example/livez", Err(Refused::Host)),
            ("http://localhost@evil.example/livez", Err(Refused::Host)),
            ("http:///livez", Err(Refused::Host)),
            ("https://localhost/livez", Err(Refused::NoPage)),
            ("localhost/livez", Err(Refused::NoPage)),
        ] {
            assert_eq!(absolute(target, "localhost"), expected, "{target}");
        }
        // The target decides; a Host field must be there all the same.
        assert_eq!(absolute("http://localhost/livez", "other.example"), page(Page::Live));
        assert_eq!(asked("GET http://localhost/ HTTP/1.1\r\n\r\n"), Some(Err(Refused::Garbage)));
        assert_eq!(asked("GET http://evil.example/ HTTP/1.0\r\n\r\n"), Some(Err(Refused::Host)));
    }
}
