//! The head of a request to the web face: two bytes say where it is cut in two, the rest is the head. A head that is whole
//! stays what it was whatever follows it, and one cut short is never taken for a whole one of another meaning. What is
//! answered with a page asked for that page, by a method and a host that a look at its lines finds, too.

use proxyherd::http::request::{Asked, Page, Refused, parse};

/// The name this node answers to.
const HOST: &str = "alford.example";

/// One input.
pub fn http_head(data: &[u8]) {
    let Some((cut, head)) = data.split_first_chunk::<2>() else { return };
    let hosts = [HOST.to_owned()];
    let (whole, cut) = (parse(head, &hosts), usize::from(u16::from_le_bytes(*cut)).min(head.len()));
    match parse(&head[..cut], &hosts) {
        None => {}
        // What is refused before its end stays refused, though perhaps for what comes later.
        Some(Err(Refused::Garbage | Refused::TooLarge)) => {
            assert!(matches!(whole, Some(Err(Refused::Garbage | Refused::TooLarge))));
        }
        judged => assert_eq!(judged, whole),
    }
    assert!(!matches!(whole, Some(Err(Refused::TooSlow))), "it knows no time");
    if let Some(Ok(asked)) = whole {
        check(head, asked);
    }
}

/// Looks for what is answered in the lines of the head.
fn check(head: &[u8], asked: Asked) {
    let text = String::from_utf8_lossy(head);
    // Blank lines may come before the first.
    let mut lines = text.trim_start_matches(['\r', '\n']).split('\n').map(|line| line.trim_end_matches('\r'));
    let mut words = lines.next().expect("a first line").split(' ').filter(|word| !word.is_empty());
    let (method, target) = (words.next().expect("a method"), words.next().expect("a target"));
    assert_eq!(method, if asked.is_head { "HEAD" } else { "GET" });
    let path = match asked.page {
        Page::Index => "/",
        Page::Live => "/livez",
        Page::Ready => "/readyz",
        Page::Status => "/status",
        Page::Metrics => "/metrics",
    };
    let before_query = target.split(['?', '#']).next().expect("never none");
    let is_absolute = !target.starts_with('/');
    let is_bare = is_absolute && path == "/";
    assert!(before_query.ends_with(path) || is_bare, "{before_query} is not {path}");

    let named: Vec<&str> = lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_once(':'))
        .filter(|(name, _)| name.eq_ignore_ascii_case("host"))
        .map(|(_, value)| value.trim())
        .collect();
    assert!(named.len() <= 1, "two hosts");
    if !is_absolute {
        named.iter().for_each(|host| assert!(is_ours(host), "{host} is not this node"));
    }
}

/// A name of this node, or an address, with or without a port.
fn is_ours(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => return rest.split(']').next().is_some_and(|address| address.contains(':')),
        None => host.split(':').next().expect("never none").to_ascii_lowercase(),
    };
    let name = name.strip_suffix('.').unwrap_or(&name);
    [HOST, "localhost"].contains(&name)
        || name.split('.').filter(|part| part.parse::<u8>().is_ok()).count() == 4
}
