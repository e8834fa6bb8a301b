//! Percent-decoding, done once: what comes out is bytes, and is never decoded again.

/// A `%` that two hexadecimal digits do not follow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct BadEscape;

/// Appends what `text` stands for. In a query and in a form, a plus is a space.
pub(super) fn decode(mut text: &[u8], is_form: bool, into: &mut Vec<u8>) -> Result<(), BadEscape> {
    loop {
        let plain = text.iter().position(|&byte| byte == b'%' || is_form && byte == b'+');
        let Some(at) = plain else {
            into.extend_from_slice(text);
            return Ok(());
        };
        into.extend_from_slice(&text[..at]);
        if text[at] == b'+' {
            into.push(b' ');
            text = &text[at + 1..];
            continue;
        }
        let digit = |offset: usize| text.get(at + offset).and_then(|&byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(1), digit(2)) else { return Err(BadEscape) };
        // Two digits fit.
        into.push((high * 16 + low) as u8);
        text = &text[at + 3..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str, is_form: bool) -> Result<Vec<u8>, BadEscape> {
        let mut bytes = Vec::new();
        decode(text.as_bytes(), is_form, &mut bytes).map(|()| bytes)
    }

    #[test]
    fn each_escape_is_decoded_once() {
        for (text, is_form, expected) in [
            ("", false, &b""[..]),
            ("kiwi", false, b"kiwi"),
            ("%6b%69W%49", false, b"kiWI"),
            ("%2561", false, b"%61"),
            ("%00%ff%0a", false, b"\x00\xff\n"),
            ("a+b%2B", false, b"a+b+"),
            ("a+b%2B", true, b"a b+"),
        ] {
            assert_eq!(decoded(text, is_form).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn escape_that_is_none_is_an_error() {
        for text in ["%", "a%", "%4", "%g1", "%1g", "%%41", "%+1", "%u0041"] {
            assert_eq!(decoded(text, true), Err(BadEscape), "{text}");
        }
    }
}
