//! How long a request's body is: decided by rules under which no two readers can differ (RFC 9112, section 6). Whatever
//! another server might read differently is refused, so that nothing is smuggled past one that stands before this.

use httparse::Header;

use super::{Refused, head::named};

/// Where a body ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Framing {
    /// There is none.
    None,
    /// After so many bytes, more than none.
    Length(usize),
    /// In pieces, each with its length before it.
    Chunked,
}

impl Framing {
    /// What a head says. `most` is what any body may have.
    pub(super) fn of(headers: &[Header<'_>], is_1_1: bool, most: usize) -> Result<Self, Refused> {
        let mut lengths = named(headers, "content-length");
        let mut codings = named(headers, "transfer-encoding");
        match (lengths.next(), lengths.next(), codings.next(), codings.next()) {
            (None, None, None, None) => Ok(Self::None),
            (Some(length), None, None, None) => match self::length(length, most)? {
                0 => Ok(Self::None),
                length => Ok(Self::Length(length)),
            },
            // Version 1.0 knows no codings; whoever passes such a request on may not know them either.
            (None, None, Some(coding), None) if is_1_1 => chunked(coding),
            _ => Err(Refused::Framing),
        }
    }
}

/// Digits only: no sign, no list, no other base.
fn length(value: &[u8], most: usize) -> Result<usize, Refused> {
    let value = value.trim_ascii();
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(Refused::Framing);
    }
    let length = std::str::from_utf8(value).ok().and_then(|text| text.parse::<usize>().ok());
    // More digits than fit are too much, whatever they are.
    length.filter(|length| *length <= most).ok_or(Refused::BodyTooLarge)
}

/// Exactly `chunked`. Other codings are not implemented, unless the body would have no end.
fn chunked(value: &[u8]) -> Result<Framing, Refused> {
    let value = value.trim_ascii();
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(Framing::Chunked);
    }
    let mut codings = value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    let is_token = |coding: &[u8]| {
        !coding.is_empty()
            && coding.iter().all(|&byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
    };
    let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    let before = value.len() - codings.next_back().map_or(0, <[u8]>::len);
    let is_last = value[before..].eq_ignore_ascii_case(b"chunked");
    let are_others = codings.all(|coding| is_token(coding) && !is_chunked(coding));
    match () {
        () if !are_others => Err(Refused::Framing),
        () if is_last || is_token(&value[before..]) && before == 0 => Err(Refused::NotImplemented),
        () => Err(Refused::Framing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing(fields: &[(&'static str, &'static str)], is_1_1: bool) -> Result<Framing, Refused> {
        let header = |&(name, value): &(&'static str, &'static str)| Header { name, value: value.as_bytes() };
        Framing::of(&fields.iter().map(header).collect::<Vec<_>>(), is_1_1, 1_000)
    }

    #[test]
    fn length_is_one_number_within_the_limit() {
        for (value, expected) in [
            ("0", Ok(Framing::None)),
            ("000", Ok(Framing::None)),
            ("1", Ok(Framing::Length(1))),
            (" 0042\t", Ok(Framing::Length(42))),
            ("1000", Ok(Framing::Length(1_000))),
            ("1001", Err(Refused::BodyTooLarge)),
            ("99999999999999999999999999", Err(Refused::BodyTooLarge)),
            ("", Err(Refused::Framing)),
            ("+1", Err(Refused::Framing)),
            ("-1", Err(Refused::Framing)),
            ("0x1", Err(Refused::Framing)),
            ("1e3", Err(Refused::Framing)),
            ("1.0", Err(Refused::Framing)),
            ("1 0", Err(Refused::Framing)),
            ("5, 5", Err(Refused::Framing)),
            ("\u{b}5", Err(Refused::Framing)),
            ("٣", Err(Refused::Framing)),
        ] {
            assert_eq!(framing(&[("Content-Length", value)], true), expected, "{value:?}");
            assert_eq!(framing(&[("content-length", value)], false), expected, "{value:?} in 1.0");
        }
    }

    #[test]
    fn coding_is_chunked_alone_and_said_once() {
        for (value, expected) in [
            ("chunked", Ok(Framing::Chunked)),
            (" ChUnKeD ", Ok(Framing::Chunked)),
            ("gzip", Err(Refused::NotImplemented)),
            ("identity", Err(Refused::NotImplemented)),
            ("gzip, chunked", Err(Refused::NotImplemented)),
            ("xchunked", Err(Refused::NotImplemented)),
            ("chunked, gzip", Err(Refused::Framing)),
            ("chunked, chunked", Err(Refused::Framing)),
            ("chunked,", Err(Refused::Framing)),
            (", chunked", Err(Refused::Framing)),
            ("gzip, br", Err(Refused::Framing)),
            ("chunked;a=b", Err(Refused::Framing)),
            ("\"chunked\"", Err(Refused::Framing)),
            ("\u{b}chunked", Err(Refused::Framing)),
            ("", Err(Refused::Framing)),
        ] {
            assert_eq!(framing(&[("Transfer-Encoding", value)], true), expected, "{value:?}");
            assert_eq!(framing(&[("Transfer-Encoding", value)], false), Err(Refused::Framing), "{value:?}");
        }
    }

    #[test]
    fn two_things_that_say_where_a_body_ends_are_refused_even_if_they_agree() {
        for fields in [
            [("Content-Length", "5"), ("Content-Length", "5")],
            [("Content-Length", "5"), ("content-length", "6")],
            [("Content-Length", "5"), ("Transfer-Encoding", "chunked")],
            [("Transfer-Encoding", "chunked"), ("Content-Length", "0")],
            [("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "chunked")],
            [("Transfer-Encoding", "identity"), ("Transfer-Encoding", "chunked")],
        ] {
            assert_eq!(framing(&fields, true), Err(Refused::Framing), "{fields:?}");
        }
        assert_eq!(framing(&[], true), Ok(Framing::None));
    }
}
