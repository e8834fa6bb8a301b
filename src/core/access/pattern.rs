//! Which clients somebody may report or see: patterns over the bytes of ids. A pattern says what it stands for by its own
//! bytes alone, so that nobody needs to look at what is stored.

use std::{fmt, sync::Arc};

use crate::core::model::{ClientId, is_white_space};

/// The longest text of a pattern, in bytes.
pub const PATTERN_BYTES_MAX: usize = 1024;

/// The most patterns of one list.
pub const PATTERNS_MAX: usize = 256;

/// One client, or all whose ids begin alike. Its text is the id, or its beginning and a `*`; `*` alone is everybody. In it
/// `\xNN` stands for a byte and `\\` for a backslash, as in a node's log, so that every id can be named.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Pattern {
    /// The client of that id.
    Exact(Box<[u8]>),
    /// All clients whose ids begin with these bytes.
    Prefix(Box<[u8]>),
}

/// Why a text is no pattern.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the texts say what each is")]
pub enum PatternFault {
    #[error("is empty; write a client's id, the beginning of ids and *, or * for all")]
    Empty,
    #[error("has white space, which no id has; write each pattern by itself")]
    WhiteSpace,
    #[error(
        "has a backslash that is neither \\\\ nor \\x and two hexadecimal digits; write \\\\ for a backslash"
    )]
    Escape,
    #[error("is longer than {PATTERN_BYTES_MAX} bytes; write a shorter beginning and *")]
    TooLong,
}

impl Pattern {
    /// Reads its text.
    pub fn parse(text: &str) -> Result<Self, PatternFault> {
        if text.is_empty() {
            return Err(PatternFault::Empty);
        }
        if text.len() > PATTERN_BYTES_MAX {
            return Err(PatternFault::TooLong);
        }
        // An escaped `*` is a byte like any other.
        let (named, is_prefix) = match text.strip_suffix('*') {
            Some(beginning) => (beginning, true),
            None => (text, false),
        };
        let bytes = unescaped(named.as_bytes()).ok_or(PatternFault::Escape)?;
        if bytes.iter().any(|&byte| is_white_space(byte)) {
            return Err(PatternFault::WhiteSpace);
        }
        Ok(if is_prefix { Self::Prefix(bytes) } else { Self::Exact(bytes) })
    }

    /// Whether it stands for that client.
    #[inline]
    pub fn matches(&self, client: ClientId<'_>) -> bool {
        match self {
            Self::Exact(id) => client.as_bytes() == &**id,
            Self::Prefix(beginning) => client.as_bytes().starts_with(beginning),
        }
    }
}

fn unescaped(text: &[u8]) -> Option<Box<[u8]>> {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some((&first, after)) = rest.split_first() {
        let (byte, after) = match (first, after) {
            (b'\\', [b'\\', after @ ..]) => (b'\\', after),
            (b'\\', [b'x', high, low, after @ ..]) => (hex_digit(*high)? << 4 | hex_digit(*low)?, after),
            (b'\\', _) => return None,
            (byte, after) => (byte, after),
        };
        bytes.push(byte);
        rest = after;
    }
    Some(bytes.into())
}

fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

/// Its text. What is not visible ASCII is escaped.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Exact(bytes) | Self::Prefix(bytes)) = self;
        for (at, &byte) in bytes.iter().enumerate() {
            let is_last_star = byte == b'*' && at + 1 == bytes.len() && matches!(self, Self::Exact(_));
            match byte {
                b'\\' => f.write_str("\\\\")?,
                byte if byte.is_ascii_graphic() && !is_last_star => write!(f, "{}", char::from(byte))?,
                byte => write!(f, "\\x{byte:02x}")?,
            }
        }
        f.write_str(if matches!(self, Self::Prefix(_)) { "*" } else { "" })
    }
}

/// The patterns of one list: a client is meant if any of them stands for it. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Patterns(Arc<[Pattern]>);

impl Patterns {
    /// These.
    pub fn new(patterns: Vec<Pattern>) -> Self {
        Self(patterns.into())
    }

    /// For everybody.
    pub fn all() -> Self {
        Self::new(vec![Pattern::Prefix(Box::default())])
    }

    /// For nobody.
    pub fn none() -> Self {
        Self::new(Vec::new())
    }

    /// Whether one of them stands for that client.
    #[inline]
    pub fn match_client(&self, client: ClientId<'_>) -> bool {
        self.0.iter().any(|pattern| pattern.matches(client))
    }

    /// Whether one of them stands for everybody.
    pub fn are_all(&self) -> bool {
        self.0.iter().any(|pattern| matches!(pattern, Pattern::Prefix(beginning) if beginning.is_empty()))
    }

    /// Whether there is none.
    pub fn are_none(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Pattern> {
        self.0.iter()
    }

    /// These and those, each once.
    #[must_use]
    pub fn and(&self, others: &Self) -> Self {
        let new = others.iter().filter(|other| !self.0.contains(other));
        Self(self.iter().chain(new).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(bytes: &[u8]) -> ClientId<'_> {
        ClientId::new(bytes).unwrap()
    }

    #[test]
    fn a_pattern_is_an_id_or_the_beginning_of_ids() {
        for (text, meant, others) in [
            ("kiwi", &["kiwi"][..], &["kiw", "kiwi2", "Kiwi", "*"][..]),
            ("bus-*", &["bus-", "bus-7", "bus-*"], &["bus", "Bus-7", "x-bus-7"]),
            ("*", &["a", "*", "\\"], &[]),
            ("a*b", &["a*b"], &["ab", "axb"]),
            ("a**", &["a*", "a*b"], &["a", "ab"]),
            ("a\\x2a", &["a*"], &["ab", "a"]),
            ("\\\\x2a", &["\\x2a"], &["*"]),
        ] {
            let pattern = Pattern::parse(text).unwrap();
            assert!(meant.iter().all(|client| pattern.matches(id(client.as_bytes()))), "{text}");
            assert!(!others.iter().any(|client| pattern.matches(id(client.as_bytes()))), "{text}");
        }
        assert!(Pattern::parse("\\xff\\XX").is_err());
        assert!(Pattern::parse("\\xFF*").unwrap().matches(id(b"\xff\x00")));
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_the_cure() {
        let longest = "x".repeat(PATTERN_BYTES_MAX);
        assert!(Pattern::parse(&longest).is_ok());
        for (text, fault) in [
            ("", PatternFault::Empty),
            ("a b", PatternFault::WhiteSpace),
            ("a\\x20b", PatternFault::WhiteSpace),
            ("a\\", PatternFault::Escape),
            ("a\\n", PatternFault::Escape),
            ("a\\x2", PatternFault::Escape),
            (&format!("{longest}x"), PatternFault::TooLong),
        ] {
            assert_eq!(Pattern::parse(text), Err(fault), "{text}");
        }
    }

    #[test]
    fn a_list_means_whom_any_of_its_patterns_means() {
        let of =
            |texts: &[&str]| Patterns::new(texts.iter().map(|text| Pattern::parse(text).unwrap()).collect());
        let both = of(&["a", "b*"]).and(&of(&["b*", "c"]));
        assert_eq!(both, of(&["a", "b*", "c"]));
        let meant = |client: &str| both.match_client(id(client.as_bytes()));
        assert!(meant("a") && meant("bb") && meant("c") && !meant("aa") && !meant("cc"));
        assert!(Patterns::all().are_all() && of(&["a", "*"]).are_all() && !both.are_all());
        assert!(Patterns::none().are_none() && !Patterns::none().match_client(id(b"a")));
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![any::<u8>(), Just(b'*'), Just(b'\\'), Just(b'x')];
        prop::collection::vec(byte.prop_filter("white", |&byte| !is_white_space(byte)), 1..12)
    }

    proptest! {
        #[test]
        fn every_id_can_be_named_and_so_can_every_beginning(own in bytes(), other in bytes(), rest in bytes()) {
            let exact = Pattern::Exact(own.clone().into());
            prop_assert_eq!(&Pattern::parse(&exact.to_string()).unwrap(), &exact);
            prop_assert!(exact.matches(id(&own)));
            prop_assert_eq!(exact.matches(id(&other)), own == other);
            let prefix = Pattern::Prefix(own.clone().into());
            prop_assert_eq!(&Pattern::parse(&prefix.to_string()).unwrap(), &prefix);
            prop_assert!(prefix.matches(id(&own)) && prefix.matches(id(&[&own[..], &rest].concat())));
            prop_assert_eq!(prefix.matches(id(&other)), other.starts_with(&own));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,20}|[a*\\\\x0-9]{0,12}") {
            if let Ok(pattern) = Pattern::parse(&text) {
                prop_assert_eq!(Pattern::parse(&pattern.to_string()), Ok(pattern));
            }
        }
    }
}
