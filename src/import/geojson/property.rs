//! Values of GeoJSON as texts. Numbers keep the digits that the file has: no float could hold an id of twenty digits.

use std::fmt;

use serde::de::{Deserializer, Visitor};
use serde_json::value::RawValue;

/// Lists deeper than this have no text.
const DEPTH_MAX: usize = 8;

/// A member's text.
pub(super) struct Property {
    pub(super) text: String,
    /// Whether it is a text in the file too, as tags of OpenStreetMap are.
    pub(super) is_string: bool,
}

impl Property {
    /// A string's or number's text; a list's texts with commas between; nothing for anything else.
    pub(super) fn of(raw: &RawValue) -> Option<Self> {
        let is_string = raw.get().trim_start().starts_with('"');
        text(raw.get().trim(), 0).map(|text| Self { text, is_string })
    }
}

fn text(json: &str, depth: usize) -> Option<String> {
    match json.as_bytes().first()? {
        b'"' => string(json),
        b'-' | b'0'..=b'9' => Some(json.to_owned()),
        b'[' if depth < DEPTH_MAX => {
            let values: Vec<&RawValue> = serde_json::from_str(json).ok()?;
            let texts = values.iter().filter_map(|value| text(value.get().trim(), depth + 1));
            Some(texts.collect::<Vec<_>>().join(","))
        }
        _ => None,
    }
}

/// A string; half a surrogate pair in it, which is not a character, becomes the replacement character.
fn string(json: &str) -> Option<String> {
    struct Bytes;
    impl Visitor<'_> for Bytes {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_owned())
        }
    }
    let bytes = serde_json::Deserializer::from_str(json).deserialize_bytes(Bytes).ok()?;
    let text = String::from_utf8(bytes);
    Some(text.unwrap_or_else(|error| {
        let bytes = error.into_bytes();
        let chunks = bytes.utf8_chunks();
        // Half a pair takes three bytes, each of which would become one.
        let mut text = String::new();
        for chunk in chunks {
            text.push_str(chunk.valid());
            if chunk.invalid().first() == Some(&0xed) {
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        text
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_own_text() {
        let of = |json: &str| {
            let raw: Box<RawValue> = serde_json::from_str(json).unwrap();
            Property::of(&raw).map(|property| (property.text, property.is_string))
        };
        let own = |text: &str, is_string| Some((text.to_owned(), is_string));
        assert_eq!(of("123456789012345678901"), own("123456789012345678901", false));
        assert_eq!(
            (of("-0.0"), of("1000.0"), of("1e3")),
            (own("-0.0", false), own("1000.0", false), own("1e3", false))
        );
        assert_eq!(of(r#""caf\u00e9 \ud83d\ude00""#), own("café 😀", true));
        assert_eq!(of(r#""A\ud800B\udc00""#), own("A\u{fffd}B\u{fffd}", true));
        assert_eq!(of(r#"["a", 1, null, ["b"]]"#), own("a,1,b", false));
        assert_eq!((of("null"), of("{}"), of("true")), (None, None, None));
        assert_eq!(of(&format!("{}{}", "[".repeat(100), "]".repeat(100))), own("", false));
    }
}
