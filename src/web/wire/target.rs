//! What a request's target names: the segments of its path, and the pairs of its query, both percent-decoded. Split first,
//! decoded then, so that an escaped slash or ampersand stays part of what it is in.

use arrayvec::ArrayVec;
use zeroize::Zeroizing;

use super::{Refused, percent::decode, token::ShownTokens};

/// More segments than any path that is served.
pub const SEGMENTS_MAX: usize = 16;

/// More pairs than any phone sends.
pub const PAIRS_MAX: usize = 64;

/// What stands before a token in a path.
const TOKEN_SEGMENT: &str = "t";

/// What a token is called in a query.
const TOKEN_NAMES: [&[u8]; 2] = [b"token", b"api_key"];

/// A target, not decoded yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct RequestTarget<'t> {
    /// Only in the absolute form: whom it is for.
    pub(super) authority: Option<&'t str>,
    /// Begins with a slash, or is empty for `*`: the server itself.
    pub(super) path: &'t str,
    pub(super) query: &'t str,
}

impl<'t> RequestTarget<'t> {
    /// Reads the origin form, the absolute form (RFC 9112, section 3.2), or `*`.
    pub(super) fn parse(text: &'t str) -> Result<Self, Refused> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
            return Err(Refused::Target);
        }
        if text == "*" {
            return Ok(Self { authority: None, path: "", query: "" });
        }
        let (authority, rest) = match absolute(text) {
            None => (None, text),
            Some(rest) => {
                let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
                (Some(authority), rest)
            }
        };
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        match path {
            "" if authority.is_some() => Ok(Self { authority, path: "/", query }),
            _ if path.starts_with('/') => Ok(Self { authority, path, query }),
            _ => Err(Refused::Target),
        }
    }
}

/// What follows the scheme of a target in absolute form.
fn absolute(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once("://")?;
    let is_http = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    is_http.then_some(rest)
}

/// The segments of a path: none for `/`, and an empty one at the end where it ends with a slash.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Segments {
    text: Vec<u8>,
    ends: ArrayVec<usize, SEGMENTS_MAX>,
}

impl Segments {
    /// Decodes a path. If it begins with `/t/TOKEN`, that is taken off, and what is shown as a token goes to `shown`.
    pub(super) fn parse(path: &str, shown: &mut ShownTokens) -> Result<Self, Refused> {
        let mut segments = Self { text: Vec::with_capacity(path.len()), ..Self::default() };
        let mut rest = path.strip_prefix('/');
        if let Some((TOKEN_SEGMENT, below)) = rest.and_then(|rest| rest.split_once('/')) {
            let (token, below) =
                below.split_once('/').map_or((below, None), |(token, below)| (token, Some(below)));
            let mut text = Zeroizing::new(Vec::with_capacity(token.len()));
            decode(token.as_bytes(), false, &mut text).map_err(|_bad| Refused::Target)?;
            shown.note(&text);
            rest = below;
        }
        let Some(rest) = rest.filter(|rest| !rest.is_empty()) else { return Ok(segments) };
        for segment in rest.split('/') {
            decode(segment.as_bytes(), false, &mut segments.text).map_err(|_bad| Refused::Target)?;
            segments.ends.try_push(segments.text.len()).map_err(|_full| Refused::TargetTooLong)?;
        }
        Ok(segments)
    }

    /// The path that they make, from its first slash on. A slash that was escaped looks like any other here.
    pub fn path(&self) -> Vec<u8> {
        let mut path = Vec::with_capacity(self.text.len() + self.ends.len().max(1));
        for segment in &self.slices() {
            path.push(b'/');
            path.extend_from_slice(segment);
        }
        if path.is_empty() {
            path.push(b'/');
        }
        path
    }

    /// Them, to be matched.
    pub fn slices(&self) -> ArrayVec<&[u8], SEGMENTS_MAX> {
        let mut from = 0;
        let next = |&end: &usize| &self.text[std::mem::replace(&mut from, end)..end];
        self.ends.iter().map(next).collect()
    }
}

/// The pairs of a query or of a form, in the order in which they came. A name may come more than once.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct QueryPairs {
    text: Vec<u8>,
    /// Where each name ends, and its value.
    ends: Vec<(usize, usize)>,
}

impl QueryPairs {
    /// Decodes a query. Pairs whose name is a token's are taken off: what is shown as a token goes to `shown`.
    pub(super) fn parse(query: &str, shown: &mut ShownTokens) -> Result<Self, Refused> {
        let mut pairs = Self { text: Vec::with_capacity(query.len()), ends: Vec::new() };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let from = pairs.text.len();
            decode(name.as_bytes(), true, &mut pairs.text).map_err(|_bad| Refused::Target)?;
            let name_end = pairs.text.len();
            if TOKEN_NAMES.contains(&&pairs.text[from..]) {
                pairs.text.truncate(from);
                let mut text = Zeroizing::new(Vec::with_capacity(value.len()));
                decode(value.as_bytes(), true, &mut text).map_err(|_bad| Refused::Target)?;
                shown.note(&text);
                continue;
            }
            decode(value.as_bytes(), true, &mut pairs.text).map_err(|_bad| Refused::Target)?;
            if pairs.ends.len() == PAIRS_MAX {
                return Err(Refused::TargetTooLong);
            }
            pairs.ends.push((name_end, pairs.text.len()));
        }
        Ok(pairs)
    }

    /// All names with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut from = 0;
        self.ends.iter().map(move |&(name_end, end)| {
            let begin = std::mem::replace(&mut from, end);
            (&self.text[begin..name_end], &self.text[name_end..end])
        })
    }

    /// The first value of that name.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find_map(|(known, value)| (known == name.as_bytes()).then_some(value))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}
