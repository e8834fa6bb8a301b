//! What a connection's first line shows: a peer's handshake, or another protocol. A web page can make a browser send a
//! request to any port of its machine, with lines of the page's choice in the body. So nothing is executed on a
//! connection that begins as HTTP or TLS does.

use super::{Fields, HEAD_BYTES, Line, fields::decimal};

/// What every TLS connection begins with: the type of its first record, and the first half of its version.
const TLS_RECORD: &[u8] = b"\x16\x03";

/// Whether a connection begins as TLS does.
pub fn begins_as_tls(bytes: &[u8]) -> bool {
    bytes.starts_with(TLS_RECORD)
}

/// Whether a connection's first line is a peer's, of any version: `HELLO` and a number.
pub fn is_hello(line: &[u8]) -> bool {
    let mut fields = Fields::of(line);
    fields.next() == Some(b"HELLO") && fields.next().and_then(version).is_some()
}

/// The protocol's version in a handshake's line.
pub(super) fn version(field: &[u8]) -> Option<u64> {
    decimal(field).filter(|_| field.len() <= 9)
}

/// A protocol that is not served on the port that clients and nodes use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OtherProtocol {
    /// HTTP, of any version that has one in its request line; the preface of HTTP/2 is a request line too.
    Http,
    /// TLS: the record of a ClientHello.
    Tls,
}

impl OtherProtocol {
    /// The protocol whose first line this is, if it is another one. The line may be complete, or over the limit: then
    /// its first bytes are enough.
    ///
    /// A request line is a method, a target and a version: the first word is an HTTP token, and a word after the second
    /// begins with `HTTP/`. If the line is over the limit, its end is unknown, and a target that looks like one is
    /// enough. A keyword of this protocol does not count as a method, so none of its valid lines looks like a request.
    /// No browser gets through that way: it asks the server before it uses a method of a page's choice.
    pub fn of_line(line: Line<'_>) -> Option<Self> {
        match line {
            Line::Whole(text, _) => Self::of_text(text),
            Line::TooLong(head, _) => Self::of_text(head).or_else(|| has_target(head).then_some(Self::Http)),
        }
    }

    /// The same for an incomplete line. Only its first bytes are considered, so that the result does not depend on how
    /// the bytes arrive.
    pub fn of_beginning(line: Line<'_>) -> Option<Self> {
        match line {
            Line::Whole(text, _) => Self::of_text(&text[..text.len().min(HEAD_BYTES)]),
            Line::TooLong(..) => Self::of_line(line),
        }
    }

    fn of_text(text: &[u8]) -> Option<Self> {
        if begins_as_tls(text) {
            return Some(Self::Tls);
        }
        let mut later = method_and_rest(text)?;
        // No browser can send it, and it may follow a third-party node's own keyword.
        if later.next()? == b"AT" {
            return None;
        }
        let is_version = |word: &[u8]| word.get(..5).is_some_and(|name| name.eq_ignore_ascii_case(b"HTTP/"));
        // A herd's name may begin with anything.
        (later.any(is_version) && !is_hello(text)).then_some(Self::Http)
    }
}

/// Whether the second word of an incomplete line is what HTTP asks for: a path, or a whole URL.
fn has_target(head: &[u8]) -> bool {
    let target = method_and_rest(head).and_then(|mut rest| rest.next()).unwrap_or_default();
    target.starts_with(b"/") || memchr::memmem::find(target, b"://").is_some()
}

/// The words after the first, if the first may be a method.
fn method_and_rest(text: &[u8]) -> Option<Fields<'_>> {
    let mut words = Fields::of(text);
    let method = words.next()?;
    let is_ours = matches!(method, b"IAMAT" | b"WHATSAT" | b"AT");
    (!is_ours && method.iter().all(|&byte| is_token(byte))).then_some(words)
}

/// Whether a method may hold the byte (RFC 9110, section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::core::wire::{Ending, LineBuffer};

    fn whole(text: &str) -> Option<OtherProtocol> {
        OtherProtocol::of_line(Line::Whole(text.as_bytes(), Ending::CrLf))
    }

    #[test]
    fn a_clients_hello_is_no_handshake() {
        for line in ["HELLO", "HELLO there", "hello 1", "HELLO 1x", "HELLO -1", "HELLO1"] {
            assert!(!is_hello(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn request_lines_are_known_by_their_version_whatever_the_method() {
        for line in [
            "GET / HTTP/1.1",
            "POST /a?b=c HTTP/1.0",
            "post / http/1.1",
            "M-SEARCH * HTTP/1.1",
            "CONNECT 127.0.0.1:11600 HTTP/1.1",
            "OPTIONS * HTTP/1.1",
            "PRI * HTTP/2.0",
            "FOO http://a.example/ HTTP/9",
            "  GET\t/a b HTTP/1.1 ",
        ] {
            assert_eq!(whole(line), Some(OtherProtocol::Http), "{line}");
        }
    }

    #[test]
    fn invalid_lines_of_this_protocol_are_not_requests() {
        for line in [
            "",
            "hello",
            "GET",
            "GET /",
            "GET x",
            "FOO HTTP/1.1",
            "HTTP/1.1 200 OK",
            "GET / HTTPS/1.1",
            "GET / xHTTP/1.1",
            "a/b c HTTP/1.1",
            "IAMAT kiwi HTTP/1.1",
            "IAMAT HTTP/ +1+1 HTTP/1.1",
            "WHATSAT kiwi HTTP/1.1 5",
            "HELLO 2 HTTP/herd Welsh Alford 00c0ffee00c0ffee 3f9c068409f45991 - - -",
            "AT Alford HTTP/1.1 kiwi +1+1 1",
            "FLOOD AT Alford +1 HTTP/1.1 +1+1 1",
            "\x16",
            "\x16 \x03",
        ] {
            assert_eq!(whole(line), None, "{line}");
        }
    }

    #[test]
    fn tls_is_known_by_its_first_two_bytes() {
        let first = |bytes| OtherProtocol::of_beginning(Line::Whole(bytes, Ending::Lf));
        assert_eq!(first(b"\x16\x03"), Some(OtherProtocol::Tls));
        assert_eq!(first(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), Some(OtherProtocol::Tls));
        assert_eq!(first(b"\x16"), None);
    }

    #[test]
    fn line_over_the_limit_is_known_by_its_target() {
        for (head, is_http) in [
            ("POST /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", true),
            ("x http://a.example/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", true),
            ("GET / HTTP/1.1 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", true),
            ("IAMAT /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
            ("WHATSAT /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
            ("hello aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
            ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
        ] {
            let line = Line::TooLong(head.as_bytes(), Ending::Lf);
            let expected = is_http.then_some(OtherProtocol::Http);
            assert_eq!(OtherProtocol::of_line(line), expected, "{head}");
            assert_eq!(OtherProtocol::of_beginning(line), expected, "{head}");
        }
    }

    /// What the first line of `input` is taken for when it arrives in pieces of that length.
    fn judged(input: &[u8], piece: usize) -> Option<OtherProtocol> {
        let mut buffer = LineBuffer::new(512);
        for piece in input.chunks(piece) {
            buffer.space()[..piece.len()].copy_from_slice(piece);
            buffer.filled(piece.len());
            if let Some(line) = buffer.take_lines().next() {
                return OtherProtocol::of_line(line);
            }
            if let Some(other) = buffer.beginning().and_then(OtherProtocol::of_beginning) {
                return Some(other);
            }
        }
        None
    }

    proptest! {
        #[test]
        fn judgement_does_not_depend_on_how_the_bytes_arrive(
            words in prop::collection::vec(
                prop_oneof![
                    Just("POST".to_owned()), Just("HELLO".to_owned()), Just("1".to_owned()), Just("IAMAT".to_owned()),
                    Just("/".to_owned()), Just("HTTP/1.1".to_owned()), Just("http://a".to_owned()), Just("\x16\x03".to_owned()),
                    "[!-~]{0,70}", Just("/a".repeat(300)),
                ],
                0..6,
            ),
            piece in 1_usize..100,
        ) {
            let line = words.join(" ") + "\r\n";
            prop_assert_eq!(judged(line.as_bytes(), piece), judged(line.as_bytes(), 1000));
        }
    }
}
