//! Text from outside, made fit for people's eyes: nothing in it moves the cursor, ends a line early or turns the direction
//! of what follows. Errors always pass here; a reply or a document does where standard output is a terminal, and goes into
//! a pipe or a file byte for byte.

use std::io::{self, IsTerminal, Write};

use crate::text::{Escaped, is_deceptive};

/// The text on one line.
pub(super) fn one_line(text: &str) -> String {
    Escaped(&format_args!("{text}")).to_string()
}

/// The beginning of a text, on one line, for tables and verdicts.
pub(super) fn short(text: &str) -> String {
    const CHARS_MAX: usize = 100;
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => one_line(&text[..end]) + "…",
        None => one_line(text),
    }
}

/// The text of bytes, and `\xNN` for each that is not text.
pub(super) fn text_of(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text += chunk.valid();
        push_invalid(&mut text, chunk.invalid());
    }
    text
}

fn push_invalid(text: &mut String, bytes: &[u8]) {
    bytes.iter().for_each(|byte| *text += &format!("\\x{byte:02x}"));
}

/// Standard output for the bytes of a reply or a document.
pub(super) fn documents() -> Documents<io::StdoutLock<'static>> {
    let out = io::stdout();
    let is_screened = out.is_terminal();
    Documents { out: out.lock(), is_screened, tail: Vec::new() }
}

/// Writes bytes as they are, or, for a terminal, with everything but newlines, tabs and printable text escaped.
pub(super) struct Documents<W> {
    out: W,
    is_screened: bool,
    /// The beginning of a letter or a line end whose other bytes are still to come; at most three.
    tail: Vec<u8>,
}

impl<W: Write> Documents<W> {
    /// Writes a letter that was left unfinished, and flushes.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        let tail = std::mem::take(&mut self.tail);
        self.out.write_all(screened(&tail).as_bytes())?;
        self.out.flush()
    }
}

impl<W: Write> Write for Documents<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.is_screened {
            return self.out.write(bytes);
        }
        self.tail.extend_from_slice(bytes);
        let held = std::mem::take(&mut self.tail);
        let whole = held.len() - unfinished(&held);
        self.tail = held[whole..].to_vec();
        self.out.write_all(screened(&held[..whole]).as_bytes())?;
        Ok(bytes.len())
    }

    /// Hands on what is there so far; a letter that is not whole waits for its other bytes.
    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// How many bytes at the end begin a letter or a line end that is not whole.
fn unfinished(bytes: &[u8]) -> usize {
    if bytes.ends_with(b"\r") {
        return 1;
    }
    let invalid = bytes.utf8_chunks().last().map_or(&[][..], |chunk| chunk.invalid());
    match std::str::from_utf8(invalid) {
        Err(error) if error.error_len().is_none() => invalid.len(),
        _ => 0,
    }
}

fn screened(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        let mut letters = chunk.valid().chars().peekable();
        while let Some(letter) = letters.next() {
            let ends_line = letter == '\r' && letters.peek() == Some(&'\n');
            match letter {
                '\n' | '\t' => text.push(letter),
                _ if ends_line => {}
                _ if is_deceptive(letter) => text += &one_line(letter.encode_utf8(&mut [0; 4])),
                _ => text.push(letter),
            }
        }
        push_invalid(&mut text, chunk.invalid());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(pieces: &[&[u8]], is_screened: bool) -> Vec<u8> {
        let mut documents = Documents { out: Vec::new(), is_screened, tail: Vec::new() };
        pieces.iter().for_each(|piece| documents.write_all(piece).unwrap());
        documents.finish().unwrap();
        documents.out
    }

    #[test]
    fn short_texts_are_escaped_as_errors_are_and_cut() {
        let evil = "\x1b[2J\r\n\u{202e}ok";
        assert_eq!(short(evil), r"\x1b[2J\x0d\x0a\u{202e}ok");
        assert_eq!(short(evil), one_line(evil));
        assert_eq!(short(&"é".repeat(100)), "é".repeat(100));
        assert_eq!(short(&"é".repeat(101)), "é".repeat(100) + "…");
    }

    #[test]
    fn documents_go_into_a_file_byte_for_byte() {
        let bytes = b"AT \x1b[2J\xff\xe2\x80\r\n";
        assert_eq!(written(&[bytes], false), bytes);
    }

    #[test]
    fn documents_on_a_terminal_move_no_cursor_however_they_are_cut() {
        let bytes = "AT \x1b]0;x\x07 caf\u{e9} \u{202e}\u{1f600}\t.\r\n\r\n\rx\n".as_bytes();
        let bytes = [bytes, b"\x9b\xe2\x80 \xe2\x80"].concat();
        let wanted = "AT \\x1b]0;x\\x07 café \\u{202e}😀\t.\n\n\\x0dx\n\\x9b\\xe2\\x80 \\xe2\\x80";
        for cut in 0..=bytes.len() {
            let (before, after) = bytes.split_at(cut);
            let text = String::from_utf8(written(&[before, after], true)).unwrap();
            assert_eq!(text, wanted, "{cut}");
        }
    }
}
