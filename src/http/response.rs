//! What is sent to an HTTP client: always complete, always the last thing on its connection.

use super::{
    metrics,
    report::NodeReport,
    request::{Asked, Page, Refused},
    status,
};

const TEXT: &str = "text/plain; charset=utf-8";

/// An answer, not encoded yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Response {
    status: &'static str,
    content_type: &'static str,
    body: String,
    is_head: bool,
    /// After how many seconds to ask again.
    retry_after: Option<u64>,
}

impl Response {
    /// The answer to a request.
    pub(super) fn to(asked: Asked, report: &NodeReport) -> Self {
        let (status, content_type, body) = match (asked.page, report.not_ready()) {
            (Page::Index, _) => ("200 OK", TEXT, Page::index()),
            (Page::Live, Some(why)) if report.has_dead_journal() => {
                ("503 Service Unavailable", TEXT, format!("not live: {why}\n"))
            }
            (Page::Live, _) => ("200 OK", TEXT, "live\n".into()),
            (Page::Ready, None) => ("200 OK", TEXT, ready(report)),
            (Page::Ready, Some(why)) => ("503 Service Unavailable", TEXT, format!("not ready: {why}\n")),
            (Page::Status, _) => ("200 OK", "application/json", status::json(report)),
            (Page::Metrics, _) => ("200 OK", metrics::CONTENT_TYPE, metrics::text(report)),
        };
        Self { status, content_type, body, is_head: asked.is_head, retry_after: None }
    }

    /// The answer to a request that is refused.
    pub(super) fn refusing(why: Refused) -> Self {
        let (status, body) = match why {
            Refused::Garbage => {
                ("400 Bad Request", "this is not an HTTP/1.1 request with exactly one Host\n".into())
            }
            Refused::NoPage => ("404 Not Found", format!("the pages are:\n{}", Page::index())),
            Refused::Method => ("405 Method Not Allowed", "only GET and HEAD are allowed here\n".into()),
            Refused::NoToken => (
                "401 Unauthorized",
                "this page needs a monitor's or an operator's token, as a Bearer or as the password of Basic; \
                 herd token add NAME --role monitor makes one\n"
                    .into(),
            ),
            Refused::NotMonitor => {
                ("403 Forbidden", "this page needs a token of role monitor or operator\n".into())
            }
            Refused::TooMany(seconds) => (
                "429 Too Many Requests",
                format!("this node's requests_per_second allow no more for now; try again after {seconds} s\n"),
            ),
            Refused::TooSlow => ("408 Request Timeout", "the request did not arrive in time\n".into()),
            Refused::Host => (
                "421 Misdirected Request",
                "this node does not go by that name; add it to hosts in [http]\n".into(),
            ),
            Refused::TooLarge => {
                ("431 Request Header Fields Too Large", "the request's head is too large\n".into())
            }
        };
        let retry_after = if let Refused::TooMany(seconds) = why { Some(seconds) } else { None };
        Self { status, content_type: TEXT, body, is_head: false, retry_after }
    }

    /// The answer to a connection beyond the limit.
    pub(super) fn full() -> Self {
        let body = "this page has as many connections as it accepts; try again later\n".into();
        Self {
            status: "503 Service Unavailable",
            content_type: TEXT,
            body,
            is_head: false,
            retry_after: None,
        }
    }

    /// Its bytes. `date` is in HTTP's format.
    pub(super) fn to_bytes(&self, date: &str) -> Vec<u8> {
        let Self { status, content_type, body, is_head, retry_after } = self;
        let retry_after =
            retry_after.map(|seconds| format!("Retry-After: {seconds}\r\n")).unwrap_or_default();
        let length = body.len();
        let more = match status.get(..3) {
            Some("405") => "Allow: GET, HEAD\r\n",
            // Two schemes, of which browsers ask for the second.
            Some("401") => {
                "WWW-Authenticate: Bearer realm=\"herd\"\r\nWWW-Authenticate: Basic realm=\"herd\", charset=\"UTF-8\"\r\n"
            }
            _ => "",
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nDate: {date}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n{more}{retry_after}\
             Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
        );
        let mut bytes = head.into_bytes();
        if !is_head {
            bytes.extend_from_slice(body.as_bytes());
        }
        bytes
    }
}

fn ready(report: &NodeReport) -> String {
    match report.degraded() {
        None => "ready\n".into(),
        Some(why) => format!("ready, degraded: {why}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::report::tests::{degraded, fresh};

    #[test]
    fn readiness_is_told_by_the_status_and_in_words() {
        let asked = Asked { page: Page::Ready, is_head: false, token: None };
        let text =
            |report: &NodeReport| String::from_utf8(Response::to(asked, report).to_bytes("now")).unwrap();
        let waiting = text(&fresh());
        assert!(waiting.starts_with("HTTP/1.1 503 Service Unavailable\r\nDate: now\r\n"), "{waiting}");
        assert!(
            waiting.ends_with(
                "\r\n\r\nnot ready: no neighbour has completed a repair round with this node yet\n"
            )
        );
        let ready = text(&NodeReport { uptime: fresh().ready_grace, ..fresh() });
        assert!(ready.starts_with("HTTP/1.1 200 OK\r\n") && ready.ends_with("\r\n\r\nready\n"), "{ready}");
        let degraded = text(&NodeReport { uptime: fresh().ready_grace, ..degraded() });
        assert!(degraded.starts_with("HTTP/1.1 200 OK\r\n"), "{degraded}");
        assert!(
            degraded.ends_with("\r\n\r\nready, degraded: the log cannot be written: full\n"),
            "{degraded}"
        );
    }

    #[test]
    fn node_whose_journal_has_died_is_neither_live_nor_ready() {
        let journal = Some(crate::journal::JournalCondition { has_died: true, ..Default::default() });
        let report = NodeReport { uptime: fresh().ready_grace, journal, ..fresh() };
        for (page, begin) in [(Page::Live, "not live: "), (Page::Ready, "not ready: ")] {
            let bytes = Response::to(Asked { page, is_head: false, token: None }, &report).to_bytes("now");
            let text = String::from_utf8(bytes).unwrap();
            assert!(text.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{text}");
            let body = format!(
                "\r\n\r\n{begin}its journal's thread has panicked, which is a bug; restart this node\n"
            );
            assert!(text.ends_with(&body), "{text}");
        }
    }

    #[test]
    fn one_who_reads_too_much_is_told_when_to_try_again() {
        let text = String::from_utf8(Response::refusing(Refused::TooMany(7)).to_bytes("now")).unwrap();
        assert!(text.starts_with("HTTP/1.1 429 Too Many Requests\r\n"), "{text}");
        assert!(
            text.contains("\r\nRetry-After: 7\r\n") && text.ends_with("; try again after 7 s\n"),
            "{text}"
        );
        let other = String::from_utf8(Response::refusing(Refused::TooSlow).to_bytes("now")).unwrap();
        assert!(!other.contains("Retry-After"), "{other}");
    }

    #[test]
    fn head_has_all_but_the_body() {
        let bytes = |is_head| {
            Response::to(Asked { page: Page::Live, is_head, token: None }, &fresh()).to_bytes("now")
        };
        let (get, head) = (bytes(false), bytes(true));
        assert_eq!(get.strip_prefix(&head[..]), Some(&b"live\n"[..]));
        assert!(String::from_utf8(head).unwrap().contains("\r\nContent-Length: 5\r\n"));
    }
}
