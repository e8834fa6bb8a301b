//! By which names a node may be asked, and which web pages may ask it: what keeps a page in somebody's browser from using a
//! node that the browser can reach.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Stands for all origins.
const ANY: &str = "*";

/// The names of a node, and the origins whose pages may use it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Site {
    /// Names that it answers to, besides addresses and `localhost`.
    pub hosts: Vec<String>,
    /// Origins whose pages may read what it answers, and write, beside its own: as a browser writes them, or `*`.
    pub origins: Vec<String>,
}

/// Where the page is from that has a browser send a request.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub enum PageOrigin {
    /// From nowhere, as far as is told, or from this node.
    #[default]
    Own,
    /// From an origin that may use the node: what to tell the browser.
    Allowed(String),
    /// From elsewhere.
    Foreign,
}

impl Site {
    /// Whether a host names this node: an address, `localhost`, or a configured name, with or without a port. A name may
    /// end with the root's dot.
    pub(super) fn is_ours(&self, host: &str) -> bool {
        if let Some((address, port)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            return address.parse::<Ipv6Addr>().is_ok() && is_port(port);
        }
        let (name, port) = host.find(':').map_or((host, ""), |colon| host.split_at(colon));
        let name = without_root(name);
        let is_known = name.eq_ignore_ascii_case("localhost")
            || name.parse::<Ipv4Addr>().is_ok()
            || self.hosts.iter().any(|known| without_root(known).eq_ignore_ascii_case(name));
        is_known && is_port(port)
    }

    /// Judges what a browser says of the page: `Origin`, and `Sec-Fetch-Site`, which no page can change. `host` is whom
    /// the request is for.
    pub(super) fn page_origin(
        &self,
        origin: Option<&[u8]>,
        fetch_site: Option<&[u8]>,
        host: Option<&str>,
    ) -> PageOrigin {
        if let Some(origin) = origin.and_then(|origin| std::str::from_utf8(origin).ok()) {
            if self.origins.iter().any(|known| known == ANY) {
                return PageOrigin::Allowed(ANY.to_owned());
            }
            if self.origins.iter().any(|known| known.eq_ignore_ascii_case(origin)) {
                return PageOrigin::Allowed(origin.to_owned());
            }
        }
        let is_own_site = fetch_site.is_none_or(|site| matches!(site, b"same-origin" | b"none"));
        let is_own_origin = origin.is_none_or(|origin| host.is_some_and(|host| is_at(origin, host)));
        if is_own_site && is_own_origin { PageOrigin::Own } else { PageOrigin::Foreign }
    }
}

/// Whether an origin is that host's. Either may leave out the scheme's port.
fn is_at(origin: &[u8], host: &str) -> bool {
    let Ok(origin) = std::str::from_utf8(origin) else { return false };
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return false,
    };
    let bare = |text: &str| text.strip_suffix(port).unwrap_or(text).to_ascii_lowercase();
    bare(authority) == bare(host)
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

    fn site(origins: &[&str]) -> Site {
        Site {
            hosts: vec!["alford.example".into()],
            origins: origins.iter().map(|origin| (*origin).to_owned()).collect(),
        }
    }

    #[test]
    fn host_is_an_address_or_a_configured_name() {
        for host in [
            "127.0.0.1",
            "10.1.2.3:80",
            "[::1]",
            "[::1]:11700",
            "localhost:1",
            "ALFORD.example:11700",
            "127.0.0.1:",
            "[::1]:",
            "localhost.",
            "localhost.:11700",
            "alford.example.:",
        ] {
            assert!(site(&[]).is_ours(host), "{host}");
        }
        for host in [
            "evil.example",
            "alford.example.evil",
            "127.0.0.1.evil",
            "[::1",
            "alford.example:x",
            "",
            ".",
            ":",
            "localhost..",
            "localhost:+1",
            "localhost:65536",
            "localhost:1:",
            "a@localhost",
            "[::1]x",
        ] {
            assert!(!site(&[]).is_ours(host), "{host}");
        }
    }

    #[test]
    fn page_is_foreign_unless_the_browser_says_that_it_is_the_nodes_own_or_it_is_configured() {
        const MAP: &str = "https://map.example";
        let configured = || PageOrigin::Allowed(MAP.to_owned());
        for (origin, fetch_site, expected) in [
            (None, None, PageOrigin::Own),
            (None, Some("none"), PageOrigin::Own),
            (None, Some("same-origin"), PageOrigin::Own),
            (None, Some("same-site"), PageOrigin::Foreign),
            (None, Some("cross-site"), PageOrigin::Foreign),
            (None, Some("Same-Origin"), PageOrigin::Foreign),
            (None, Some(""), PageOrigin::Foreign),
            (Some("http://localhost:11700"), Some("same-origin"), PageOrigin::Own),
            (Some("http://localhost:11700"), None, PageOrigin::Own),
            (Some("http://LOCALHOST:11700"), None, PageOrigin::Own),
            (Some("http://localhost:11700"), Some("cross-site"), PageOrigin::Foreign),
            (Some("http://localhost:11701"), None, PageOrigin::Foreign),
            (Some("http://localhost"), Some("same-origin"), PageOrigin::Foreign),
            (Some("null"), None, PageOrigin::Foreign),
            (Some(""), None, PageOrigin::Foreign),
            (Some("ftp://localhost:11700"), None, PageOrigin::Foreign),
            (Some("http://evil.example"), Some("none"), PageOrigin::Foreign),
            (Some(MAP), Some("cross-site"), configured()),
            (Some("https://map.example:444"), Some("cross-site"), PageOrigin::Foreign),
            (Some("http://map.example"), Some("cross-site"), PageOrigin::Foreign),
        ] {
            let judged = site(&[MAP]).page_origin(
                origin.map(str::as_bytes),
                fetch_site.map(str::as_bytes),
                Some("localhost:11700"),
            );
            assert_eq!(judged, expected, "{origin:?} {fetch_site:?}");
        }
    }

    #[test]
    fn scheme_says_which_port_may_be_left_out() {
        let own = |origin: &str, host| {
            site(&[]).page_origin(Some(origin.as_bytes()), None, Some(host)) == PageOrigin::Own
        };
        assert!(own("http://alford.example", "alford.example:80") && own("https://[::1]:443", "[::1]"));
        assert!(!own("https://alford.example", "alford.example:80") && !own("http://a", "b"));
    }

    #[test]
    fn star_allows_every_origin_and_no_page_without_one() {
        let any = site(&["*"]);
        let allowed = PageOrigin::Allowed("*".to_owned());
        assert_eq!(any.page_origin(Some(b"http://evil.example"), Some(b"cross-site"), None), allowed);
        assert_eq!(any.page_origin(Some(b"null"), None, None), allowed);
        assert_eq!(any.page_origin(None, Some(b"cross-site"), None), PageOrigin::Foreign);
    }
}
