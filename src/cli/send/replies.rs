//! Which of the lines sent were refused, from the bytes that come back: replies come in the order of their requests, and one
//! that begins with `?` refuses. JSON is passed over by its brackets, so that nothing in it is taken for a reply. What is
//! kept does not grow with the input. Pure.

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

/// The longest line a node can be configured to take, and what a refusal of it adds.
const LINE_BYTES_MAX: usize = 32 * 1024 + 2;
/// Of a line that is too long, a node sends back so many bytes.
const HEAD_BYTES: usize = 64;
/// No node can be configured to take less in a line.
const LONG_BYTES: u64 = 512;
/// How many long lines may be owed an answer while their numbers are still kept.
const LONG_LINES_MAX: usize = 10_000;

/// A line that came back after a `?`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Refusal<'r> {
    /// Which of the lines sent, counted from 1.
    pub(super) number: u64,
    /// The line as it came back.
    pub(super) line: &'r [u8],
    /// How long it was, where only its beginning came back.
    pub(super) length: Option<u64>,
}

/// A line of which a node may send back only the beginning.
struct LongLine {
    number: u64,
    length: u64,
}

/// Both ends of what the sending half tells the receiving one.
pub(super) fn lines() -> (Sent, Replies) {
    let (sender, receiver) = bounded(LONG_LINES_MAX);
    let sent = Sent { number: 0, length: 0, long: sender };
    let replies = Replies { number: 0, part: Part::Line(Vec::new()), long: receiver, next_long: None };
    (sent, replies)
}

/// Counts lines on their way out.
pub(super) struct Sent {
    number: u64,
    length: u64,
    long: Sender<LongLine>,
}

impl Sent {
    /// These bytes are about to be sent.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            self.length += end as u64;
            self.end_line();
            rest = &rest[end + 1..];
        }
        self.length += rest.len() as u64;
    }

    /// Nothing more is sent; a last line needs no newline.
    pub(super) fn end(&mut self) {
        if self.length > 0 {
            self.end_line();
        }
    }

    fn end_line(&mut self) {
        self.number += 1;
        let line = LongLine { number: self.number, length: self.length };
        self.length = 0;
        if line.length > LONG_BYTES {
            // Beyond that many, the reason for a refusal is found in what came back alone.
            let (Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_))) =
                self.long.try_send(line);
        }
    }
}

/// Finds the refusals in what comes back.
pub(super) struct Replies {
    /// How many replies have begun.
    number: u64,
    part: Part,
    long: Receiver<LongLine>,
    next_long: Option<LongLine>,
}

/// What the next byte belongs to.
enum Part {
    /// A line, and what is known of it.
    Line(Vec<u8>),
    Document(Document),
}

impl Replies {
    /// These bytes came; calls `tell` for each refusal that is whole with them.
    pub(super) fn take(&mut self, bytes: &[u8], tell: &mut impl FnMut(Refusal<'_>)) {
        let mut rest = bytes;
        while let Some(&first) = rest.first() {
            match &mut self.part {
                Part::Document(document) => match document.end(rest) {
                    Some(end) => {
                        rest = &rest[end..];
                        self.part = Part::Line(Vec::new());
                    }
                    None => return,
                },
                Part::Line(line) if line.is_empty() && matches!(first, b'{' | b'[') => {
                    self.part = Part::Document(Document::default());
                }
                Part::Line(line) => {
                    let end = memchr::memchr(b'\n', rest);
                    let piece = &rest[..end.unwrap_or(rest.len())];
                    line.extend_from_slice(
                        &piece[..piece.len().min(LINE_BYTES_MAX.saturating_sub(line.len()))],
                    );
                    rest = &rest[end.map_or(rest.len(), |end| end + 1)..];
                    if end.is_some() {
                        self.end_line(tell);
                    }
                }
            }
        }
    }

    /// Nothing more comes.
    pub(super) fn end(&mut self, tell: &mut impl FnMut(Refusal<'_>)) {
        self.end_line(tell);
    }

    fn end_line(&mut self, tell: &mut impl FnMut(Refusal<'_>)) {
        let Part::Line(line) = &mut self.part else { return };
        let whole = std::mem::take(line);
        let line = whole.strip_suffix(b"\r").unwrap_or(&whole);
        // An empty line only ends what came before it: the reply to an empty line is a `?`.
        if line.is_empty() {
            return;
        }
        self.number += 1;
        let length = self.long_line();
        if let Some(line) = line.strip_prefix(b"?") {
            let line = line.strip_prefix(b" ").unwrap_or(line);
            let length = length.filter(|_| line.len() == HEAD_BYTES);
            tell(Refusal { number: self.number, line, length });
        }
    }

    /// How long the line was that is answered now, if it was long; forgets those before.
    fn long_line(&mut self) -> Option<u64> {
        loop {
            let next = self.next_long.take().or_else(|| self.long.try_recv().ok())?;
            if next.number == self.number {
                return Some(next.length);
            }
            if next.number > self.number {
                self.next_long = Some(next);
                return None;
            }
        }
    }
}

/// A JSON document on its way past.
#[derive(Default)]
struct Document {
    depth: u64,
    in_text: bool,
    is_escaped: bool,
    /// Whether nothing but white space has come since a newline.
    is_line_empty: bool,
}

impl Document {
    /// Where it ends in these bytes: at its last bracket, or at an empty line, which none can hold.
    fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        for (at, &byte) in bytes.iter().enumerate() {
            if byte == b'\n' && self.is_line_empty {
                return Some(at + 1);
            }
            self.is_line_empty = byte == b'\n' || self.is_line_empty && byte == b'\r';
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = self.in_text,
                b'"' => self.in_text = !self.in_text,
                b'{' | b'[' if !self.in_text => self.depth += 1,
                b'}' | b']' if !self.in_text => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The refusals in what comes back after these lines were sent, however it is cut.
    fn refusals(sent: &[u8], came: &[u8]) -> Vec<(u64, Vec<u8>, Option<u64>)> {
        let found = |pieces: &[&[u8]]| {
            let (mut out, mut replies) = lines();
            out.take(sent);
            out.end();
            let mut found = Vec::new();
            let mut tell =
                |Refusal { number, line, length }: Refusal<'_>| found.push((number, line.to_vec(), length));
            pieces.iter().for_each(|piece| replies.take(piece, &mut tell));
            replies.end(&mut tell);
            found
        };
        let whole = found(&[came]);
        for cut in 0..came.len() {
            assert_eq!(found(&[&came[..cut], &came[cut..]]), whole, "{cut}");
        }
        whole
    }

    fn numbers(came: &str) -> Vec<u64> {
        refusals(b"", came.as_bytes()).into_iter().map(|(number, ..)| number).collect()
    }

    #[test]
    fn refusals_are_numbered_as_their_lines() {
        assert_eq!(
            refusals(b"", b"AT A +1 x +1+1 1\n? nonsense\nAT A +1 x +1+1 1\r\n? \n? \tx \r\n?\n? last"),
            [
                (2, b"nonsense".to_vec(), None),
                (4, b"".to_vec(), None),
                (5, b"\tx ".to_vec(), None),
                (6, b"".to_vec(), None),
                (7, b"last".to_vec(), None)
            ]
        );
    }

    #[test]
    fn nothing_in_a_document_is_a_reply() {
        let document = "{\n   \"a\" : [ \"} \\\" ]\\n? x\", {} ],\n? odd\n}";
        assert_eq!(numbers(&format!("AT A\n{document}\n\n? x\n")), [2]);
        assert_eq!(numbers(&format!("AT A\r\n{document}\r\n\r\nAT A\r\n? x\r\n")), [3]);
        // As tweets are answered: on one line, which one newline closes.
        assert_eq!(numbers("AT A\n{\"results\":[\"? x\"]}\n? y\nAT A\n[]\n? z\n"), [2, 4]);
        // A broken one ends with the first empty line.
        assert_eq!(numbers("AT A\n{\"results\n\n? y\n"), [2]);
    }

    #[test]
    fn length_of_a_line_that_came_back_in_part_is_known() {
        let long =
            [vec![b'x'; 20_000], b"\n".to_vec(), vec![b'y'; 600], b"\n".to_vec(), vec![b'z'; 513]].concat();
        let part = |letter: u8| [b"? ".to_vec(), vec![letter; 64], b"\n".to_vec()].concat();
        let came = [part(b'x'), b"AT A\n".to_vec(), part(b'z')].concat();
        let found: Vec<_> =
            refusals(&long, &came).into_iter().map(|(number, _, length)| (number, length)).collect();
        assert_eq!(found, [(1, Some(20_000)), (3, Some(513))]);
        // 64 bytes that were all there was.
        let line = [vec![b'x'; 64], b"\n".to_vec()].concat();
        assert_eq!(refusals(&line, &part(b'x')), [(1, vec![b'x'; 64], None)]);
    }

    #[test]
    fn what_is_kept_does_not_grow_with_the_input() {
        let (mut out, mut replies) = lines();
        for _ in 0..2 * LONG_LINES_MAX {
            out.take(&[b'x'; 600]);
            out.take(b"\n");
        }
        assert_eq!(replies.long.len(), LONG_LINES_MAX);
        replies.take(&[b'?'; 100_000], &mut |_| ());
        assert!(matches!(&replies.part, Part::Line(line) if line.len() == LINE_BYTES_MAX));
    }
}
