//! Which of the lines sent were refused, from the bytes that come back: replies come in the order of their requests, and one
//! that begins with `?` refuses. JSON is passed over by its brackets, so that nothing in it is taken for a reply. What is
//! kept does not grow with the input: of a line that is sent, its length and a hash. Pure.

use arrayvec::ArrayVec;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use crate::core::wire::{Ending, Fields, Line, OtherProtocol};

/// The longest line a node can be configured to take, and what a refusal of it adds.
const LINE_BYTES_MAX: usize = 32 * 1024 + 2;
/// Of a line that is too long, a node sends back so many bytes.
const HEAD_BYTES: usize = 64;
/// No node can be configured to take less in a line.
const LONG_BYTES: u64 = 512;
/// How many lines may wait for their replies while what was sent is still known.
const MARKS_MAX: usize = 32_768;

/// A line that came back after a `?`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct RefusedLine<'r> {
    /// Which of the lines sent, counted from 1.
    pub(super) number: u64,
    /// The line as it came back.
    pub(super) line: &'r [u8],
    /// How long it was, where only its beginning came back.
    pub(super) length: Option<u64>,
    /// Whether something other than the line came back: then it says nothing about what was sent.
    pub(super) is_other: bool,
}

/// What is kept of a line that was sent.
struct Mark {
    number: u64,
    /// In bytes, without its terminator.
    length: u64,
    hash: u64,
    /// Of its first [`HEAD_BYTES`].
    head_hash: u64,
    /// Its first field as far as it has room: enough to tell a lookup.
    keyword: ArrayVec<u8, { LOOKUP.len() + 1 }>,
    has_keyword: bool,
}

/// Whose answer has a document after its AT line.
const LOOKUP: &[u8] = b"WHATSAT";

/// FNV-1a, begun with `HASH_BEGIN`. It tells lines apart; nothing depends on it against an adversary.
fn hash(before: u64, byte: u8) -> u64 {
    (before ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
}

const HASH_BEGIN: u64 = 0xcbf2_9ce4_8422_2325;

/// Both ends of what the sending half tells the receiving one.
pub(super) fn lines() -> (Sent, Replies) {
    let (sender, receiver) = bounded(MARKS_MAX);
    let sent =
        Sent { marks: sender, line: Mark::begin(1), before_cr: None, first: Some(Vec::new()), other: None };
    let replies = Replies {
        number: 0,
        part: Expected::Line(Vec::new()),
        marks: receiver,
        next_mark: None,
        lacks_document: false,
        is_http: false,
    };
    (sent, replies)
}

impl Mark {
    fn begin(number: u64) -> Self {
        let keyword = ArrayVec::new();
        Self { number, length: 0, hash: HASH_BEGIN, head_hash: HASH_BEGIN, keyword, has_keyword: false }
    }

    fn add(&mut self, byte: u8) {
        self.hash = hash(self.hash, byte);
        self.length += 1;
        if self.length == HEAD_BYTES as u64 {
            self.head_hash = self.hash;
        }
        if !self.has_keyword && !byte.is_ascii_whitespace() {
            // One that is longer is none that matters here.
            let _ = self.keyword.try_push(byte);
        } else {
            self.has_keyword |= !self.keyword.is_empty();
        }
    }

    fn is_lookup(&self) -> bool {
        *self.keyword == *LOOKUP
    }
}

/// Follows lines on their way out.
pub(super) struct Sent {
    marks: Sender<Mark>,
    /// The line that has begun.
    line: Mark,
    /// The hash without its last byte, where that is a carriage return, which may belong to the terminator.
    before_cr: Option<u64>,
    /// The first line that is not empty, until it is whole.
    first: Option<Vec<u8>>,
    other: Option<OtherProtocol>,
}

impl Sent {
    /// These bytes are about to be sent.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            self.take_part(&rest[..end]);
            self.end_line();
            rest = &rest[end + 1..];
        }
        self.take_part(rest);
    }

    fn take_part(&mut self, part: &[u8]) {
        for &byte in part {
            self.before_cr = (byte == b'\r').then_some(self.line.hash);
            self.line.add(byte);
        }
        if let Some(first) = &mut self.first {
            first.extend_from_slice(&part[..part.len().min(LINE_BYTES_MAX.saturating_sub(first.len()))]);
        }
    }

    /// Nothing more is sent; a last line needs no newline.
    pub(super) fn end(&mut self) {
        if self.line.length > 0 {
            self.end_line();
        }
    }

    /// How many lines were taken; a last one needs no newline.
    pub(super) fn lines(&self) -> u64 {
        self.line.number - 1 + u64::from(self.line.length > 0)
    }

    /// The protocol that the first line belongs to, where a node ends the connection because of it.
    pub(super) fn other_protocol(&self) -> Option<OtherProtocol> {
        // A node does not wait for the end of a line that begins so.
        let beginning = || OtherProtocol::of_beginning(Line::Whole(self.first.as_ref()?, Ending::Lf));
        self.other.or_else(beginning)
    }

    fn end_line(&mut self) {
        let next = Mark::begin(self.line.number + 1);
        let mut line = std::mem::replace(&mut self.line, next);
        if let Some(hash) = self.before_cr.take() {
            line.hash = hash;
            line.length -= 1;
        }
        // Beyond that many, the reason for a refusal is found in what came back alone.
        let (Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_))) = self.marks.try_send(line);
        if let Some(mut first) = self.first.take() {
            if Fields::of(&first).next().is_some() {
                self.other = OtherProtocol::of_line(Line::Whole(&first, Ending::Lf));
            } else {
                first.clear();
                self.first = Some(first);
            }
        }
    }
}

/// Finds the refusals in what comes back.
pub(super) struct Replies {
    /// How many replies have begun.
    number: u64,
    part: Expected,
    marks: Receiver<Mark>,
    next_mark: Option<Mark>,
    /// Whether the last reply is an AT line whose document has not begun.
    lacks_document: bool,
    is_http: bool,
}

/// What the next byte belongs to.
enum Expected {
    /// A line, and what is known of it.
    Line(Vec<u8>),
    Document(PassingJson),
}

impl Replies {
    /// These bytes came; calls `tell` for each refusal that is whole with them.
    pub(super) fn take(&mut self, bytes: &[u8], tell: &mut impl FnMut(RefusedLine<'_>)) {
        let mut rest = bytes;
        while let Some(&first) = rest.first() {
            match &mut self.part {
                Expected::Document(document) => match document.end(rest) {
                    Some(end) => {
                        rest = &rest[end..];
                        self.part = Expected::Line(Vec::new());
                    }
                    None => return,
                },
                Expected::Line(line) if line.is_empty() && matches!(first, b'{' | b'[') => {
                    self.lacks_document = false;
                    self.part = Expected::Document(PassingJson::default());
                }
                Expected::Line(line) => {
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
    pub(super) fn end(&mut self, tell: &mut impl FnMut(RefusedLine<'_>)) {
        self.end_line(tell);
    }

    fn end_line(&mut self, tell: &mut impl FnMut(RefusedLine<'_>)) {
        let Expected::Line(line) = &mut self.part else { return };
        let whole = std::mem::take(line);
        let line = whole.strip_suffix(b"\r").unwrap_or(&whole);
        // An empty line only ends what came before it: the reply to an empty line is a `?`.
        if line.is_empty() {
            return;
        }
        self.number += 1;
        self.is_http |= self.number == 1 && line.starts_with(b"HTTP/");
        let mark = self.mark();
        self.lacks_document = mark.as_ref().is_some_and(Mark::is_lookup) && !line.starts_with(b"?");
        if let Some(line) = line.strip_prefix(b"?") {
            let line = line.strip_prefix(b" ").unwrap_or(line);
            let came = line.iter().fold(HASH_BEGIN, |before, &byte| hash(before, byte));
            let is_head =
                |mark: &&Mark| mark.length > LONG_BYTES && line.len() == HEAD_BYTES && came == mark.head_hash;
            let length = mark.as_ref().filter(is_head).map(|mark| mark.length);
            let is_other = length.is_none() && mark.is_some_and(|mark| came != mark.hash);
            tell(RefusedLine { number: self.number, line, length, is_other });
        }
    }

    /// How many replies have come whole.
    pub(super) fn whole(&self) -> u64 {
        let is_partial = self.lacks_document || matches!(self.part, Expected::Document(_));
        self.number - u64::from(is_partial)
    }

    /// Whether it is a web server that answers.
    pub(super) fn is_http(&self) -> bool {
        self.is_http
    }

    /// What is known of the line that is answered now; forgets those before.
    fn mark(&mut self) -> Option<Mark> {
        loop {
            let next = self.next_mark.take().or_else(|| self.marks.try_recv().ok())?;
            if next.number == self.number {
                return Some(next);
            }
            if next.number > self.number {
                self.next_mark = Some(next);
                return None;
            }
        }
    }
}

/// A JSON document on its way past.
#[derive(Default)]
struct PassingJson {
    depth: u64,
    in_text: bool,
    is_escaped: bool,
    /// Whether nothing but white space has come since a newline.
    is_line_empty: bool,
}

impl PassingJson {
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
            let mut tell = |RefusedLine { number, line, length, .. }: RefusedLine<'_>| {
                found.push((number, line.to_vec(), length));
            };
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
        for _ in 0..2 * MARKS_MAX {
            out.take(&[b'x'; 600]);
            out.take(b"\n");
        }
        assert_eq!(replies.marks.len(), MARKS_MAX);
        replies.take(&[b'?'; 100_000], &mut |_| ());
        assert!(matches!(&replies.part, Expected::Line(line) if line.len() == LINE_BYTES_MAX));
    }

    #[test]
    fn what_is_not_the_line_is_known_for_it() {
        let long = [vec![b'x'; 600], b"\r\n".to_vec()].concat();
        let sent = [b"a b\nc\r\nd\n\n\xff\n".to_vec(), long.clone(), long, b"e".to_vec()].concat();
        let head = |letter: u8| [b"? ".to_vec(), vec![letter; 64], b"\r\n".to_vec()].concat();
        let came = [b"? a b\n? c\r\n? no\n? \n? \xfe\n".to_vec(), head(b'x'), head(b'y'), b"? e".to_vec()];
        let (mut out, mut replies) = lines();
        sent.chunks(5).for_each(|piece| out.take(piece));
        out.end();
        let mut found = Vec::new();
        let mut tell = |refusal: RefusedLine<'_>| found.push((refusal.is_other, refusal.length));
        replies.take(&came.concat(), &mut tell);
        replies.end(&mut tell);
        let same = (false, None);
        let other = (true, None);
        assert_eq!(found, [same, same, other, same, other, (false, Some(600)), other, same]);
    }

    #[test]
    fn reply_is_whole_with_the_last_bracket_of_its_document() {
        let sent = b"IAMAT a\n\tWHATSAT a 1 1\r\nWHATSAT\nWHATSATX\nWHATSAT b 1 1\nWHATSAT a 1 1\n";
        let pieces = [
            (&b"AT A"[..], 0),
            (b" a\nAT A a\n", 1),
            (b"{\n[", 1),
            (b"]}\n\n", 2),
            (b"? WHATSAT\n? WHATSATX\n? WHATSAT b 1 1\nAT A a\n", 5),
            (b"{", 5),
            (b"}", 6),
        ];
        let (mut out, mut replies) = lines();
        out.take(sent);
        assert_eq!(out.lines(), 6);
        out.take(b"x");
        assert_eq!(out.lines(), 7);
        for (piece, whole) in pieces {
            replies.take(piece, &mut |_| ());
            assert_eq!(replies.whole(), whole, "{}", piece.escape_ascii());
        }
    }

    #[test]
    fn first_line_that_is_not_empty_shows_another_protocol() {
        for (sent, other) in [
            (&b"GET / HTTP/1.1\r\nHost: x\r\n"[..], Some(OtherProtocol::Http)),
            (b"\r\n \nGET / HTTP/1.1\r\n", Some(OtherProtocol::Http)),
            (b"\x16\x03\x01", Some(OtherProtocol::Tls)),
            (b"x\nGET / HTTP/1.1\n", None),
        ] {
            let (mut out, _replies) = lines();
            // It is not ended: the connection may be gone before the input is.
            sent.chunks(3).for_each(|piece| out.take(piece));
            assert_eq!(out.other_protocol(), other);
        }
    }
}
