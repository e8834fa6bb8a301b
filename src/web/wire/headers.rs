//! The header fields that faces read. All others are dropped once a head was judged, and so is what they hold.

use httparse::Header;

/// A field that is kept.
#[allow(missing_docs, reason = "they are RFC 9110's and others' names")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeaderName {
    Accept,
    AccessControlRequestMethod,
    ContentType,
    IfMatch,
    IfNoneMatch,
    LastEventId,
    Prefer,
    /// OwnTracks' user.
    XLimitU,
    /// OwnTracks' device.
    XLimitD,
}

impl HeaderName {
    const ALL: [(&'static str, Self); 9] = [
        ("accept", Self::Accept),
        ("access-control-request-method", Self::AccessControlRequestMethod),
        ("content-type", Self::ContentType),
        ("if-match", Self::IfMatch),
        ("if-none-match", Self::IfNoneMatch),
        ("last-event-id", Self::LastEventId),
        ("prefer", Self::Prefer),
        ("x-limit-u", Self::XLimitU),
        ("x-limit-d", Self::XLimitD),
    ];

    fn of(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|&(_, name)| name)
    }
}

/// Fields with their values, in the order in which they came.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct KeptHeaders {
    text: Vec<u8>,
    ends: Vec<(HeaderName, usize)>,
}

impl KeptHeaders {
    /// Those of a head that are kept.
    pub(super) fn of(headers: &[Header<'_>]) -> Self {
        let mut kept = Self::default();
        for header in headers {
            if let Some(name) = HeaderName::of(header.name) {
                kept.text.extend_from_slice(header.value.trim_ascii());
                kept.ends.push((name, kept.text.len()));
            }
        }
        kept
    }

    /// All values of a field.
    pub fn all(&self, name: HeaderName) -> impl Iterator<Item = &[u8]> {
        let mut from = 0;
        self.ends.iter().filter_map(move |&(known, end)| {
            let begin = std::mem::replace(&mut from, end);
            (known == name).then(|| &self.text[begin..end])
        })
    }

    /// The first value of a field.
    pub fn get(&self, name: HeaderName) -> Option<&[u8]> {
        self.all(name).next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_fields_are_found_by_their_names_in_any_case() {
        let header = |name, value| Header { name, value };
        let kept = KeptHeaders::of(&[
            header("ACCEPT", b"text/html"),
            header("Cookie", b"secret"),
            header("x-limit-u", b" jane\t"),
            header("accept", b"*/*"),
        ]);
        assert_eq!(kept.all(HeaderName::Accept).collect::<Vec<_>>(), [&b"text/html"[..], b"*/*"]);
        assert_eq!(kept.get(HeaderName::XLimitU), Some(&b"jane"[..]));
        assert_eq!(kept.get(HeaderName::ContentType), None);
        assert!(!format!("{kept:?}").contains("secret") && kept.text.len() == 16);
    }
}
