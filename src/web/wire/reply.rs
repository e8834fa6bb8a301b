//! What is sent to an HTTP client: always complete, with its length.

use std::borrow::Cow;

/// A status, as its line says it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HttpStatus(&'static str);

#[allow(missing_docs, reason = "they are RFC 9110's names")]
impl HttpStatus {
    pub const OK: Self = Self("200 OK");
    pub const CREATED: Self = Self("201 Created");
    pub const NO_CONTENT: Self = Self("204 No Content");
    pub const NOT_MODIFIED: Self = Self("304 Not Modified");
    pub const BAD_REQUEST: Self = Self("400 Bad Request");
    pub const UNAUTHORIZED: Self = Self("401 Unauthorized");
    pub const FORBIDDEN: Self = Self("403 Forbidden");
    pub const NOT_FOUND: Self = Self("404 Not Found");
    pub const METHOD_NOT_ALLOWED: Self = Self("405 Method Not Allowed");
    pub const NOT_ACCEPTABLE: Self = Self("406 Not Acceptable");
    pub const REQUEST_TIMEOUT: Self = Self("408 Request Timeout");
    pub const CONFLICT: Self = Self("409 Conflict");
    pub const PRECONDITION_FAILED: Self = Self("412 Precondition Failed");
    pub const CONTENT_TOO_LARGE: Self = Self("413 Content Too Large");
    pub const URI_TOO_LONG: Self = Self("414 URI Too Long");
    pub const UNSUPPORTED_MEDIA_TYPE: Self = Self("415 Unsupported Media Type");
    pub const EXPECTATION_FAILED: Self = Self("417 Expectation Failed");
    pub const MISDIRECTED: Self = Self("421 Misdirected Request");
    pub const UNPROCESSABLE: Self = Self("422 Unprocessable Content");
    pub const TOO_MANY_REQUESTS: Self = Self("429 Too Many Requests");
    pub const HEAD_TOO_LARGE: Self = Self("431 Request Header Fields Too Large");
    pub const INTERNAL_ERROR: Self = Self("500 Internal Server Error");
    pub const NOT_IMPLEMENTED: Self = Self("501 Not Implemented");
    pub const UNAVAILABLE: Self = Self("503 Service Unavailable");
    pub const VERSION_NOT_SUPPORTED: Self = Self("505 HTTP Version Not Supported");
}

impl HttpStatus {
    /// Its number.
    pub fn code(self) -> u16 {
        self.0.get(..3).and_then(|code| code.parse().ok()).unwrap_or(500)
    }

    /// Whether a reply of this status has neither a body nor a length (RFC 9110, sections 15.3.5 and 15.4.5).
    fn has_no_body(self) -> bool {
        self == Self::NO_CONTENT || self == Self::NOT_MODIFIED
    }
}

/// A reply, not encoded yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HttpReply {
    status: HttpStatus,
    /// Without one, there is no body to speak of.
    content_type: Option<Cow<'static, str>>,
    headers: Vec<(&'static str, Cow<'static, str>)>,
    body: Cow<'static, [u8]>,
}

impl HttpReply {
    /// Without a body.
    pub fn empty(status: HttpStatus) -> Self {
        Self { status, content_type: None, headers: Vec::new(), body: Cow::Borrowed(b"") }
    }

    /// With a body of that type.
    pub fn new(
        status: HttpStatus,
        content_type: impl Into<Cow<'static, str>>,
        body: impl Into<Cow<'static, [u8]>>,
    ) -> Self {
        Self { content_type: Some(content_type.into()), body: body.into(), ..Self::empty(status) }
    }

    /// With text for people.
    pub fn text(status: HttpStatus, text: impl Into<String>) -> Self {
        Self::new(status, "text/plain; charset=utf-8", text.into().into_bytes())
    }

    /// With one more header field. What would break its line is left out.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        let mut value = value.into();
        if value.contains(|letter: char| letter.is_control()) {
            value = value.replace(|letter: char| letter.is_control(), "").into();
        }
        self.headers.push((name, value));
        self
    }

    /// Its status.
    pub fn status(&self) -> HttpStatus {
        self.status
    }

    /// Its body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Appends its bytes. `date` is in HTTP's format; `connection`, whole lines, says what becomes of the connection.
    pub(super) fn write(&self, into: &mut Vec<u8>, date: &str, (is_head, connection): (bool, &str)) {
        let Self { status, content_type, headers, body } = self;
        let mut part = |texts: &[&str]| texts.iter().for_each(|text| into.extend_from_slice(text.as_bytes()));
        part(&["HTTP/1.1 ", status.0, "\r\nDate: ", date, "\r\n"]);
        if let Some(content_type) = content_type {
            part(&["Content-Type: ", content_type, "\r\n"]);
        }
        if !status.has_no_body() {
            part(&["Content-Length: ", &body.len().to_string(), "\r\n"]);
        }
        for (name, value) in headers {
            part(&[name, ": ", value, "\r\n"]);
        }
        part(&["Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n", connection, "\r\n"]);
        if !is_head && !status.has_no_body() {
            into.extend_from_slice(body);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(reply: &HttpReply, is_head: bool) -> String {
        let mut bytes = Vec::new();
        reply.write(&mut bytes, "now", (is_head, "Connection: close\r\n"));
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn reply_has_its_length_and_head_has_all_but_the_body() {
        let reply = HttpReply::text(HttpStatus::OK, "live\n").with("ETag", "\"1\"");
        let (get, head) = (written(&reply, false), written(&reply, true));
        assert_eq!(
            head,
            "HTTP/1.1 200 OK\r\nDate: now\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\n\
             ETag: \"1\"\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
        );
        assert_eq!(get.strip_prefix(&head), Some("live\n"));
        let empty = written(&HttpReply::empty(HttpStatus::OK), false);
        assert!(empty.contains("\r\nContent-Length: 0\r\n") && !empty.contains("Content-Type:"), "{empty}");
    }

    #[test]
    fn statuses_without_a_body_have_no_length_either() {
        for status in [HttpStatus::NO_CONTENT, HttpStatus::NOT_MODIFIED] {
            let text = written(&HttpReply::text(status, "ignored"), false);
            assert!(!text.contains("Content-Length") && text.ends_with("\r\n\r\n"), "{text}");
        }
        assert_eq!((HttpStatus::NO_CONTENT.code(), HttpStatus::UNAVAILABLE.code()), (204, 503));
    }

    #[test]
    fn no_value_ends_its_line() {
        let text = written(&HttpReply::empty(HttpStatus::OK).with("ETag", "a\r\nSet-Cookie: b\0"), false);
        assert!(text.contains("\r\nETag: aSet-Cookie: b\r\n"), "{text}");
    }
}
