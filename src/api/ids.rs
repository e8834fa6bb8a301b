//! Clients' ids as text in JSON. An id may be any bytes without white space, and JSON is Unicode: so a `%`, a control
//! character and each byte that is not UTF-8 are written `%XX`, as in a path, and are read like that.

use crate::core::model::ClientId;

/// An id's text.
pub(super) fn text_of(client: ClientId<'_>) -> String {
    let mut text = String::with_capacity(client.as_bytes().len());
    let escape = |byte: u8, text: &mut String| text.push_str(&format!("%{byte:02X}"));
    for chunk in client.as_bytes().utf8_chunks() {
        for letter in chunk.valid().chars() {
            if letter == '%' || letter.is_control() {
                let mut bytes = [0; 4];
                letter.encode_utf8(&mut bytes).bytes().for_each(|byte| escape(byte, &mut text));
            } else {
                text.push(letter);
            }
        }
        chunk.invalid().iter().for_each(|&byte| escape(byte, &mut text));
    }
    text
}

/// The bytes of an id's text; `None` if a `%` is not followed by two hexadecimal digits.
pub(super) fn bytes_of(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((&first, after)) = rest.split_first() {
        let (byte, after) = match (first, after) {
            (b'%', [high, low, after @ ..]) => (hex_digit(*high)? << 4 | hex_digit(*low)?, after),
            (b'%', _) => return None,
            (byte, after) => (byte, after),
        };
        bytes.push(byte);
        rest = after;
    }
    Some(bytes)
}

fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_json_cannot_say_is_escaped() {
        for (bytes, text) in [
            (&b"kiwi.cs.ucla.edu"[..], "kiwi.cs.ucla.edu"),
            (b"a/b?c#d\"e\\", "a/b?c#d\"e\\"),
            ("Zürich-動物".as_bytes(), "Zürich-動物"),
            (b"50%", "50%25"),
            (b"a\x01\xffb\x7f", "a%01%FFb%7F"),
        ] {
            assert_eq!(text_of(ClientId::new(bytes).unwrap()), text);
        }
        assert_eq!(bytes_of("%4a%4A"), Some(b"JJ".to_vec()));
        for text in ["50%", "%4", "%zz", "%%25"] {
            assert_eq!(bytes_of(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_id_comes_back(bytes in prop::collection::vec(any::<u8>(), 1..40)) {
            if let Some(client) = ClientId::new(&bytes) {
                prop_assert_eq!(bytes_of(&text_of(client)), Some(bytes));
            }
        }
    }
}
