//! Why a request is not answered with what it asks for, and what its sender is told.

use std::fmt::Write;

use super::{HttpReply, HttpStatus, Methods};

/// Why a request is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// It is not an HTTP/1 request, or one that somebody else could read differently.
    Garbage,
    /// Neither one Host nor, in version 1.0, none.
    HostMissing,
    /// Its target is none of a server's forms, or is badly escaped.
    Target,
    /// Two different tokens.
    TwoTokens,
    /// Its version is not 1.0 or 1.1.
    Version,
    /// It was meant for a host that this node is not: a browser led here under another name could read what it shows.
    Host,
    /// It does not say in one way how long its body is.
    Framing,
    /// Its body is encoded in a way that is not understood.
    Coding,
    /// Its method is implemented for nothing here.
    NotImplemented,
    /// It expects what is not understood.
    Expectation,
    /// Its first line does not end within the limit, or has too many parts.
    TargetTooLong,
    /// Its head does not end within the limit.
    HeadTooLarge,
    /// Its body is larger than what is taken there.
    BodyTooLarge,
    /// It did not arrive in time.
    TooSlow,
    /// Nothing is there.
    NotFound,
    /// What is there does not take the method, but only these.
    Method(Methods),
    /// Its body is in no format that is taken there.
    MediaType,
    /// Somebody's web page would write.
    ForeignPage,
    /// It needs a valid token, which it does not show.
    NoToken,
    /// What it asks for is for monitors, and its token is not one's.
    NotMonitor,
    /// Its sender asks more than it may, and may again after so many seconds.
    TooMany(u64),
    /// The buffers of all connections hold too much.
    Crowded,
    /// There is no seat for its connection.
    Full,
}

/// After how many seconds one may come again that was refused for want of room.
const RETRY_SECONDS: u64 = 1;

impl Refused {
    /// Its status, and a sentence that says what to do.
    fn status_and_text(self) -> (HttpStatus, &'static str) {
        match self {
            Self::Garbage => (HttpStatus::BAD_REQUEST, "this is not an HTTP/1.1 request"),
            Self::HostMissing => {
                (HttpStatus::BAD_REQUEST, "this is not an HTTP/1.1 request with exactly one Host")
            }
            Self::Target => (
                HttpStatus::BAD_REQUEST,
                "the target is not a path whose escapes are % and two hexadecimal digits",
            ),
            Self::TwoTokens => (HttpStatus::BAD_REQUEST, "the request shows two different tokens; show one"),
            Self::Version => {
                (HttpStatus::VERSION_NOT_SUPPORTED, "only HTTP/1.1 and HTTP/1.0 are spoken here")
            }
            Self::Host => {
                (HttpStatus::MISDIRECTED, "this node does not go by that name; add it to hosts in [http]")
            }
            Self::Framing => (
                HttpStatus::BAD_REQUEST,
                "the body's length must be said once: by one Content-Length, or by Transfer-Encoding: chunked in HTTP/1.1",
            ),
            Self::Coding => (HttpStatus::UNSUPPORTED_MEDIA_TYPE, "send the body without Content-Encoding"),
            Self::NotImplemented => (
                HttpStatus::NOT_IMPLEMENTED,
                "only GET, HEAD, POST, PUT, DELETE and OPTIONS, and only the transfer coding chunked, are understood",
            ),
            Self::Expectation => (HttpStatus::EXPECTATION_FAILED, "only 100-continue can be expected"),
            Self::TargetTooLong => (HttpStatus::URI_TOO_LONG, "the request's first line is too long"),
            Self::HeadTooLarge => (HttpStatus::HEAD_TOO_LARGE, "the request's head is too large"),
            Self::BodyTooLarge => {
                (HttpStatus::CONTENT_TOO_LARGE, "the request's body is larger than what is taken here")
            }
            Self::TooSlow => (HttpStatus::REQUEST_TIMEOUT, "the request did not arrive in time"),
            Self::NotFound => (HttpStatus::NOT_FOUND, "there is nothing here; / lists what there is"),
            Self::Method(_) => (HttpStatus::METHOD_NOT_ALLOWED, "this method is not allowed here"),
            Self::MediaType => {
                (HttpStatus::UNSUPPORTED_MEDIA_TYPE, "the body's Content-Type is none that is taken here")
            }
            Self::ForeignPage => (
                HttpStatus::FORBIDDEN,
                "a page of another site may not do this; add its origin to origins in [http]",
            ),
            Self::NoToken => (
                HttpStatus::UNAUTHORIZED,
                "this needs a token that is valid and allows it, as a Bearer or as the password of Basic; \
                 herd token add NAME makes one, and pages for monitors want --role monitor",
            ),
            Self::NotMonitor => {
                (HttpStatus::FORBIDDEN, "this page needs a token of role monitor or operator")
            }
            Self::TooMany(_) => {
                (HttpStatus::TOO_MANY_REQUESTS, "this node's requests_per_second allow no more for now")
            }
            Self::Crowded => {
                (HttpStatus::UNAVAILABLE, "all connections together hold too much; try again later")
            }
            Self::Full => {
                (HttpStatus::UNAVAILABLE, "this page has as many connections as it accepts; try again later")
            }
        }
    }

    /// The answer.
    pub fn reply(self) -> HttpReply {
        let (status, sentence) = self.status_and_text();
        let mut text = sentence.to_owned();
        if let Self::TooMany(seconds) = self {
            // Writing to a string cannot fail.
            let _ = write!(text, "; try again after {seconds} s");
        }
        text.push('\n');
        let reply = HttpReply::text(status, text);
        match self {
            Self::Method(allowed) => reply.with("Allow", allowed.to_string()),
            // Two schemes, of which browsers ask for the second.
            Self::NoToken => reply
                .with("WWW-Authenticate", "Bearer realm=\"herd\"")
                .with("WWW-Authenticate", "Basic realm=\"herd\", charset=\"UTF-8\""),
            Self::TooMany(seconds) => reply.with("Retry-After", seconds.to_string()),
            Self::Crowded | Self::Full => reply.with("Retry-After", RETRY_SECONDS.to_string()),
            Self::Coding => reply.with("Accept-Encoding", "identity"),
            _ => reply,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Method, *};

    fn told(refused: Refused) -> String {
        let mut bytes = Vec::new();
        refused.reply().write(&mut bytes, "now", (false, ""));
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn one_who_asks_too_much_is_told_when_to_try_again() {
        let text = told(Refused::TooMany(7));
        assert!(text.starts_with("HTTP/1.1 429 Too Many Requests\r\n"), "{text}");
        assert!(
            text.contains("\r\nRetry-After: 7\r\n") && text.ends_with("; try again after 7 s\n"),
            "{text}"
        );
        for crowded in [Refused::Crowded, Refused::Full] {
            let text = told(crowded);
            assert!(text.starts_with("HTTP/1.1 503 ") && text.contains("\r\nRetry-After: 1\r\n"), "{text}");
        }
        assert!(!told(Refused::TooSlow).contains("Retry-After"));
    }

    #[test]
    fn who_uses_another_method_is_told_which_there_are() {
        for (allowed, line) in [
            (&[Method::Get][..], "\r\nAllow: GET, HEAD, OPTIONS\r\n"),
            (&[Method::Post], "\r\nAllow: POST, OPTIONS\r\n"),
            (&[Method::Delete, Method::Put, Method::Get], "\r\nAllow: GET, HEAD, PUT, DELETE, OPTIONS\r\n"),
        ] {
            let text = told(Refused::Method(Methods::of(allowed)));
            assert!(text.starts_with("HTTP/1.1 405 ") && text.contains(line), "{text}");
        }
    }
}
