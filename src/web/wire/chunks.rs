//! A body in chunks (RFC 9112, section 7.1), decoded as it arrives. Lines end with CRLF only; extensions and trailer fields are
//! read over, within bounds.

use super::Refused;

/// The longest line before a chunk, with its extensions: more than anything sends.
const CHUNK_LINE_BYTES: usize = 256;

/// Digits of a chunk's length. What they can say is more than any body may have.
const LENGTH_DIGITS: usize = 8;

/// Where the decoder stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ChunkPart {
    /// In the digits of a length, of which there were so many.
    Length {
        digits: usize,
        line: usize,
    },
    /// In an extension.
    Extension {
        line: usize,
    },
    /// The length's line has its CR.
    LineFeed,
    /// In the data.
    Data,
    /// After the data.
    DataReturn,
    DataFeed,
    /// In a trailer field, of whose line there was something or nothing.
    Trailer {
        is_empty: bool,
    },
    TrailerFeed {
        is_last: bool,
    },
    Done,
}

/// Decodes one body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Chunks {
    part: ChunkPart,
    /// Of the chunk, what is still to come.
    left: usize,
    /// What may still come of trailers.
    trailer_left: usize,
}

impl Chunks {
    /// `trailer_most` bytes of trailer fields are read over.
    pub(super) fn new(trailer_most: usize) -> Self {
        Self { part: ChunkPart::Length { digits: 0, line: 0 }, left: 0, trailer_left: trailer_most }
    }

    /// Whether the body has ended.
    pub(super) fn is_done(&self) -> bool {
        self.part == ChunkPart::Done
    }

    /// Takes what belongs to the body, up to its end; returns how much that was. `into` may get `most` bytes in all.
    pub(super) fn take(&mut self, bytes: &[u8], into: &mut Vec<u8>, most: usize) -> Result<usize, Refused> {
        let mut at = 0;
        while at < bytes.len() && !self.is_done() {
            if self.part == ChunkPart::Data {
                let count = self.left.min(bytes.len() - at);
                into.extend_from_slice(&bytes[at..at + count]);
                at += count;
                self.left -= count;
                if self.left == 0 {
                    self.part = ChunkPart::DataReturn;
                }
                continue;
            }
            self.part = self.after(bytes[at], most - into.len())?;
            at += 1;
        }
        Ok(at)
    }

    /// Where a byte outside the data leads; `room` is what the data may still have.
    fn after(&mut self, byte: u8, room: usize) -> Result<ChunkPart, Refused> {
        use ChunkPart::{
            Data, DataFeed, DataReturn, Done, Extension, Length, LineFeed, Trailer, TrailerFeed,
        };
        let next = match (self.part, byte) {
            (Length { digits, line }, _) if byte.is_ascii_hexdigit() => {
                if digits == LENGTH_DIGITS {
                    // Leading zeros are digits, too.
                    return Err(if self.left > 0 { Refused::BodyTooLarge } else { Refused::Framing });
                }
                let digit = char::from(byte).to_digit(16).map_or(0, |digit| digit as usize);
                self.left = self.left * 16 + digit;
                Length { digits: digits + 1, line: line + 1 }
            }
            (Length { digits: 1.., line }, b';') => Extension { line: line + 1 },
            (Length { digits: 1.., .. } | Extension { .. }, b'\r') => LineFeed,
            (Extension { line }, b'\t' | b' '..=b'~' | 0x80..) if line < CHUNK_LINE_BYTES => {
                Extension { line: line + 1 }
            }
            (LineFeed, b'\n') if self.left > room => return Err(Refused::BodyTooLarge),
            (LineFeed, b'\n') if self.left > 0 => Data,
            (LineFeed, b'\n') => Trailer { is_empty: true },
            (DataReturn, b'\r') => DataFeed,
            (DataFeed, b'\n') => Length { digits: 0, line: 0 },
            (Trailer { is_empty }, b'\r') => TrailerFeed { is_last: is_empty },
            (TrailerFeed { is_last: true }, b'\n') => Done,
            (TrailerFeed { is_last: false }, b'\n') => Trailer { is_empty: true },
            (Trailer { is_empty }, b'\t' | b' '..=b'~' | 0x80..) => {
                // A line that begins with white space would continue the one before.
                if is_empty && matches!(byte, b' ' | b'\t') {
                    return Err(Refused::Framing);
                }
                self.trailer_left = self.trailer_left.checked_sub(1).ok_or(Refused::HeadTooLarge)?;
                Trailer { is_empty: false }
            }
            _ => return Err(Refused::Framing),
        };
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a body of at most 20 bytes decodes to, and what of `text` belongs to it; `None` while it is incomplete.
    fn decoded(text: &str) -> Result<Option<(String, usize)>, Refused> {
        let whole = {
            let (mut chunks, mut body) = (Chunks::new(10), Vec::new());
            let taken = chunks.take(text.as_bytes(), &mut body, 20);
            taken.map(|taken| chunks.is_done().then(|| (String::from_utf8(body).unwrap(), taken)))
        };
        // Byte by byte it is the same.
        let (mut chunks, mut body, mut taken) = (Chunks::new(10), Vec::new(), Ok(0));
        for byte in text.bytes() {
            let so_far = chunks.take(&[byte], &mut body, 20);
            taken = taken.and_then(|taken| so_far.map(|more| taken + more));
        }
        let piecemeal =
            taken.map(|taken| chunks.is_done().then(|| (String::from_utf8(body).unwrap(), taken)));
        assert_eq!(whole, piecemeal, "{text:?}");
        whole
    }

    #[test]
    fn chunks_are_joined_up_to_the_end_and_not_beyond() {
        for (text, body, rest) in [
            ("0\r\n\r\n", "", ""),
            ("5\r\nhello\r\n0\r\n\r\nGET ", "hello", "GET "),
            ("1\r\na\r\n00A\r\n0123456789\r\n0000\r\n\r\n", "a0123456789", ""),
            ("2;name=\"v;\"\r\n\r\n\r\n0;last\r\n\r\n0", "\r\n", "0"),
            ("1\r\na\r\n0\r\nX: 1\r\nY: \r\n\r\n\r\n", "a", "\r\n"),
            ("14\r\n01234567890123456789\r\n0\r\n\r\n", "01234567890123456789", ""),
        ] {
            assert_eq!(decoded(text), Ok(Some((body.to_owned(), text.len() - rest.len()))), "{text:?}");
        }
        assert_eq!(decoded("5\r\nhello\r\n0\r\n\r"), Ok(None));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "\r\n",
            "x\r\n",
            "-1\r\n",
            "+1\r\na",
            "0x1\r\na",
            " 1\r\na",
            "1 \r\na",
            "1\t;a\r\n",
            "1\na",
            "1\r\r\n",
            "1\r\nab",
            "1\r\na\n",
            "1\r\na\r\r",
            "1;a\nb\r\n",
            "1;a\0\r\n",
            "0\r\n\n",
            "0\r\nX: 1\n",
            "0\r\n X\r\n",
            "0\r\nX\r\n\tY\r\n",
            "0\r\nX: \u{1}\r\n",
            ";\r\n",
            "000000000\r\n",
        ] {
            assert_eq!(decoded(text), Err(Refused::Framing), "{text:?}");
        }
    }

    #[test]
    fn limits_hold_to_the_byte() {
        assert_eq!(decoded("15\r\n"), Err(Refused::BodyTooLarge));
        assert_eq!(decoded("a\r\n0123456789\r\nb\r\n"), Err(Refused::BodyTooLarge));
        assert_eq!(decoded("ffffffff\r\n"), Err(Refused::BodyTooLarge));
        assert_eq!(decoded("fffffffff"), Err(Refused::BodyTooLarge));
        let extended = |count: usize| decoded(&format!("0;{}\r\n\r\n", "x".repeat(count)));
        assert!(extended(CHUNK_LINE_BYTES - 2).unwrap().is_some());
        assert_eq!(extended(CHUNK_LINE_BYTES - 1), Err(Refused::Framing));
        assert!(decoded("0\r\n12345:\r\n789:\r\n\r\n").unwrap().is_some());
        assert_eq!(decoded("0\r\n12345:\r\n7890:\r\n\r\n"), Err(Refused::HeadTooLarge));
    }
}
