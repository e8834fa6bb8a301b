//! Bytes as one line of printable ASCII, so that no input can forge or break a line of the log.

/// Appends `bytes`; those outside space to `~` become `\xNN`, and a backslash two.
pub fn escape_into(bytes: &[u8], out: &mut Vec<u8>) {
    // Looks at all bytes without a branch, which the compiler turns into a few wide instructions.
    let is_plain = bytes.iter().fold(true, |plain, &byte| plain & is_plain(byte));
    if is_plain {
        out.extend_from_slice(bytes);
        return;
    }
    for &byte in bytes {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            byte if is_plain_byte(byte) => out.push(byte),
            byte => {
                out.extend_from_slice(b"\\x");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
        }
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn is_plain_byte(byte: u8) -> bool {
    byte.wrapping_sub(b' ') <= b'~' - b' '
}

fn is_plain(byte: u8) -> bool {
    is_plain_byte(byte) & (byte != b'\\')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn escaped(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        escape_into(bytes, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn control_bytes_cannot_end_a_line_or_hide_in_one() {
        assert_eq!(escaped(b"plain ~text!"), "plain ~text!");
        assert_eq!(escaped(b"a\nb\r\x1b[2J\x7f\xc2\x9b\\x"), "a\\x0ab\\x0d\\x1b[2J\\x7f\\xc2\\x9b\\\\x");
    }

    proptest! {
        #[test]
        fn escaping_is_printable_and_can_be_undone(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let text = escaped(&bytes);
            prop_assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            let mut undone = Vec::new();
            let mut rest = text.as_bytes();
            while let Some((&byte, tail)) = rest.split_first() {
                (rest, undone) = match (byte, tail) {
                    (b'\\', [b'\\', tail @ ..]) => (tail, [undone, vec![b'\\']].concat()),
                    (b'\\', [b'x', high, low, tail @ ..]) => {
                        let hex = [*high, *low];
                        let value = u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap();
                        (tail, [undone, vec![value]].concat())
                    }
                    _ => (tail, [undone, vec![byte]].concat()),
                };
            }
            prop_assert_eq!(undone, bytes);
        }
    }
}
