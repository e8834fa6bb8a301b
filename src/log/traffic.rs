//! A connection's lines as the log shows them: `2026-11-21T04:09:12.123456Z #17 < IAMAT …`, `<` for what came and `>` for
//! what went. The other lines of the same batch follow at once and begin with their connection, `#17 > AT …`: the time is
//! the same, and a busy node's log is shorter by it. Formatted by the thread that has the lines, so that the log's lock
//! is held for one copy only.

use std::io::Write as _;

use super::Log;
use crate::{
    core::{
        dialogue::{Looked, Party, Reply},
        model::Timestamp,
        wire::Line,
    },
    system::clock,
};

/// How long the text of a time is up to its whole seconds.
const SECONDS_LENGTH: usize = "2026-11-21T04:09:12".len();

/// The traffic of one batch.
#[derive(Debug, Default)]
pub struct Traffic {
    block: Vec<u8>,
    lines: u64,
    /// The time, kept for as long as its second lasts.
    time: Vec<u8>,
    second: Option<u64>,
    /// The connection, which each line names.
    connection: Vec<u8>,
    /// Whether the time is still to be told.
    is_first: bool,
}

impl Traffic {
    /// The lines that follow came or went at `now`, on the connection of that number.
    pub fn begin(&mut self, now: Timestamp, connection: u64) {
        if self.second != Some(now.seconds()) {
            self.second = Some(now.seconds());
            self.time = clock::utc_text(now).into_bytes();
        }
        self.time.truncate(SECONDS_LENGTH);
        self.time.push(b'.');
        let digit = |value: u32| b'0' + (value % 10) as u8;
        let micros = now.nanoseconds() / 1000;
        let micros = [100_000, 10_000, 1000, 100, 10, 1].map(|place| digit(micros / place));
        self.time.extend_from_slice(&micros);
        self.time.extend_from_slice(b"Z ");
        self.connection.clear();
        // It never fails, and unlike a text of its own it allocates nothing.
        let _ = write!(self.connection, "#{connection} ");
        self.is_first = true;
    }

    /// A line that came, and what was said to it. Of a neighbour's lines those that tell updates are traffic.
    pub fn said(&mut self, line: Line<'_>, party: &Party, reply: &Reply<'_>) {
        let text = line.text();
        let told = text.trim_ascii_start();
        if party.is_client() || told.starts_with(b"AT") || told.starts_with(b"FORGOT") {
            self.line(b'<', &[text]);
        }
        match reply {
            Reply::At { location, .. } | Reply::Near { location } => self.line(b'>', &location.at_words()),
            Reply::Forgot { client } => self.line(b'>', &[b"FORGOT", client.as_bytes()]),
            Reply::Welcome { principal } => self.line(b'>', &[b"WELCOME", principal.name().as_bytes()]),
            Reply::Invalid(_) if party.is_client() => self.line(b'>', &[b"?", text]),
            Reply::Invalid(_) | Reply::None => {}
        }
    }

    /// The document that answers a lookup: its lines, or how much it is.
    pub fn looked(&mut self, looked: &Looked, document: &[u8], is_whole: bool) {
        let document = document.trim_ascii_end();
        if is_whole {
            document.split(|&byte| byte == b'\n').for_each(|line| self.line_out(line));
        } else {
            let summary = format!("[{} results, {} bytes]", looked.results, document.len());
            self.line_out(summary.as_bytes());
        }
    }

    /// A line that goes.
    pub fn line_out(&mut self, line: &[u8]) {
        self.line(b'>', &[line]);
    }

    fn line(&mut self, direction: u8, words: &[&[u8]]) {
        if std::mem::take(&mut self.is_first) {
            self.block.extend_from_slice(&self.time);
        }
        let length: usize = words.iter().map(|word| 1 + word.len()).sum();
        self.block.reserve(self.connection.len() + length + 2);
        self.block.extend_from_slice(&self.connection);
        self.block.push(direction);
        let begin = self.block.len();
        for word in words {
            self.block.push(b' ');
            self.block.extend_from_slice(word);
        }
        // Looked at as a whole: nearly every line is plain, and a look at each word costs more than the words.
        if !are_plain(&self.block[begin..]) {
            self.block.truncate(begin);
            for word in words {
                self.block.push(b' ');
                escape_into(word, &mut self.block);
            }
        }
        self.block.push(b'\n');
        self.lines += 1;
    }

    /// Whether there is nothing to hand over.
    pub fn is_empty(&self) -> bool {
        self.lines == 0
    }

    /// Hands the lines to the log.
    pub fn finish(&mut self, log: &Log) {
        if !self.is_empty() {
            log.traffic(&self.block, self.lines);
            self.block.clear();
            self.lines = 0;
            self.is_first = true;
        }
    }

    /// Bytes of memory it holds.
    pub fn capacity(&self) -> usize {
        self.block.capacity()
    }

    /// Whether it holds more memory than a quiet connection needs.
    pub fn is_grown(&self) -> bool {
        self.capacity() > 2048
    }
}

/// Appends `bytes` as printable ASCII, so that no input can forge or break a line of the log: those outside space to `~` become `\xNN`, and a backslash two.
pub(super) fn escape_into(bytes: &[u8], out: &mut Vec<u8>) {
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

/// Looks at all bytes without a branch, which the compiler turns into a few wide instructions.
fn are_plain(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |plain, &byte| plain & is_plain_byte(byte) & (byte != b'\\'))
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
