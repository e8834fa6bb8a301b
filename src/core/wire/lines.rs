//! How a stream of bytes becomes lines, with bounded memory: a line that is too long is skipped, not stored.

use zeroize::Zeroize;

/// The most bytes that one read takes.
pub const READ_BYTES_MAX: usize = 64 * 1024;

/// How much of a line that is too long is kept, for its reply.
pub const HEAD_BYTES: usize = 64;

/// The capacity that a buffer begins with, and shrinks to on a quiet connection.
const SPACE_BYTES_MIN: usize = 1024;

/// How a line ended, and so how its reply ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// `\n`, or the end of the input.
    Lf,
    /// `\r\n`
    CrLf,
}

impl Ending {
    /// Its bytes.
    pub fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Lf => b"\n",
            Self::CrLf => b"\r\n",
        }
    }
}

/// One line, without its terminator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Line<'a> {
    /// A line within the limit.
    Whole(&'a [u8], Ending),
    /// The first bytes, at most [`HEAD_BYTES`], of a line over the limit. The rest is gone.
    TooLong(&'a [u8], Ending),
}

impl<'a> Line<'a> {
    /// The bytes that are left of it.
    pub fn text(self) -> &'a [u8] {
        let (Self::Whole(text, _) | Self::TooLong(text, _)) = self;
        text
    }

    /// How it ended.
    pub fn ending(self) -> Ending {
        let (Self::Whole(_, ending) | Self::TooLong(_, ending)) = self;
        ending
    }
}

/// Collects bytes and returns lines. Holds at most one read and one line within the limit.
#[derive(Debug)]
pub struct LineBuffer {
    bytes: Vec<u8>,
    /// How much of `bytes` has already been returned as lines.
    start: usize,
    /// The end of the complete lines.
    complete: usize,
    /// How much of `bytes` has been filled.
    end: usize,
    /// There is no newline before this position.
    scanned: usize,
    /// How much room the next read gets.
    space: usize,
    limit: usize,
    skipping: Option<LongLine>,
    head: [u8; HEAD_BYTES],
}

/// A line over the limit whose end has not arrived yet.
#[derive(Clone, Copy, Debug)]
struct LongLine {
    last_is_cr: bool,
}

impl LineBuffer {
    /// For lines of at most `limit` bytes, without terminators. `limit` is at least [`HEAD_BYTES`].
    pub fn new(limit: usize) -> Self {
        assert!(limit >= HEAD_BYTES);
        Self {
            bytes: Vec::new(),
            start: 0,
            complete: 0,
            end: 0,
            scanned: 0,
            space: SPACE_BYTES_MIN,
            limit,
            skipping: None,
            head: [0; HEAD_BYTES],
        }
    }

    /// Replaces the limit, for what has not been returned yet.
    pub fn set_limit(&mut self, limit: usize) {
        assert!(limit >= HEAD_BYTES);
        self.limit = limit;
    }

    /// Where the next read may write; never empty. What has been read may be an incomplete line, but all complete lines
    /// must be consumed first.
    pub fn space(&mut self) -> &mut [u8] {
        debug_assert!(self.complete <= self.start, "complete lines are consumed first");
        self.skip_if_too_long();
        self.move_to_front();
        if self.bytes.len() < self.end + self.space {
            self.bytes.resize(self.end + self.space, 0);
        }
        &mut self.bytes[self.end..][..self.space]
    }

    /// Says that `count` bytes were written to the front of [`LineBuffer::space`]. A read that used all the room
    /// doubles it.
    pub fn filled(&mut self, count: usize) {
        self.end += count;
        if count == self.space {
            self.space = (self.space * 2).min(READ_BYTES_MAX);
        }
    }

    /// All lines that are complete. They stay in the buffer until they are consumed.
    pub fn lines(&mut self) -> Lines<'_> {
        self.find_complete();
        let skipped = self.skipping.filter(|_| self.start < self.complete);
        Lines {
            rest: &self.bytes[self.start..self.complete],
            skipped: skipped.map(|skipped| (&self.head, skipped)),
            limit: self.limit,
        }
    }

    /// Drops complete lines except for the last so many bytes of them: what [`Lines::left`] was after the last line
    /// used.
    pub fn consume(&mut self, left: usize) {
        let before = self.start;
        self.start = self.complete - left;
        if self.start > before {
            self.skipping = None;
        }
    }

    /// All lines that are complete. They are gone from the buffer, whether they are read or not.
    pub fn take_lines(&mut self) -> Lines<'_> {
        self.find_complete();
        let start = self.start;
        self.start = self.complete;
        let skipped = if start < self.complete { self.skipping.take() } else { None };
        Lines {
            rest: &self.bytes[start..self.complete],
            skipped: skipped.map(|skipped| (&self.head, skipped)),
            limit: self.limit,
        }
    }

    fn find_complete(&mut self) {
        if let Some(last) = memchr::memrchr(b'\n', &self.bytes[self.scanned..self.end]) {
            self.complete = self.scanned + last + 1;
        }
        self.scanned = self.end;
        self.complete = self.complete.max(self.start);
    }

    /// At the end of the input, and after all complete lines: the line that has no terminator, if there is one.
    pub fn last_line(&mut self) -> Option<Line<'_>> {
        let text = &self.bytes[self.start..self.end];
        self.start = self.end;
        self.complete = self.end;
        self.scanned = self.end;
        if self.skipping.take().is_some() {
            return Some(Line::TooLong(&self.head, Ending::Lf));
        }
        if text.len() > self.limit {
            return Some(Line::TooLong(&text[..HEAD_BYTES], Ending::Lf));
        }
        (!text.is_empty()).then_some(Line::Whole(text, Ending::Lf))
    }

    /// What has arrived of the incomplete line, after all complete ones; `None` if none has begun.
    pub fn beginning(&self) -> Option<Line<'_>> {
        if self.skipping.is_some() {
            return Some(Line::TooLong(&self.head, Ending::Lf));
        }
        let text = &self.bytes[self.start..self.end];
        // A CR at the end may belong to the terminator.
        let length = text.len() - usize::from(text.last() == Some(&b'\r'));
        let line = if length > self.limit {
            Line::TooLong(&text[..HEAD_BYTES], Ending::Lf)
        } else {
            Line::Whole(text, Ending::Lf)
        };
        (!text.is_empty()).then_some(line)
    }

    /// What has arrived and was not returned, be it lines or not.
    pub fn unread(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Drops [`LineBuffer::unread`]: it was not lines.
    pub fn drop_unread(&mut self) {
        self.start = self.end;
        (self.complete, self.scanned) = (self.end, self.end);
    }

    /// Overwrites what has been returned, and what moving it has left behind: it held a secret.
    pub fn wipe(&mut self) {
        self.bytes[..self.start].zeroize();
        self.bytes[self.end..].zeroize();
        if self.skipping.is_none() {
            self.head.zeroize();
        }
    }

    /// Whether a line has begun and not ended.
    pub fn is_mid_line(&self) -> bool {
        self.start < self.end || self.skipping.is_some()
    }

    /// Bytes that have arrived and were not returned: those of an incomplete line, after all complete ones.
    pub fn begun(&self) -> usize {
        self.end - self.start
    }

    /// Bytes of memory it holds.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Whether the buffer uses more memory than a quiet connection, and the incomplete line, need.
    pub fn is_grown(&self) -> bool {
        let wanted = match self.begun() {
            0 => SPACE_BYTES_MIN,
            // A line that keeps growing has its buffer doubled from time to time.
            begun => 2 * (begun + SPACE_BYTES_MIN),
        };
        self.capacity() > wanted || self.space > SPACE_BYTES_MIN
    }

    /// Gives memory back, keeping what has not been returned yet.
    pub fn shrink(&mut self) {
        self.space = SPACE_BYTES_MIN;
        self.move_to_front();
        self.bytes.truncate(self.end);
        self.bytes.shrink_to_fit();
    }

    fn move_to_front(&mut self) {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.scanned -= self.start;
            self.complete = self.complete.saturating_sub(self.start);
            self.start = 0;
        }
    }

    /// Drops what is stored of a line that can no longer be within the limit, except for its head.
    fn skip_if_too_long(&mut self) {
        let text = &self.bytes[self.start..self.end];
        let Some(&last) = text.last() else { return };
        let last_is_cr = last == b'\r';
        // A CR at the end may belong to the terminator.
        let is_too_long = text.len() - usize::from(last_is_cr) > self.limit;
        if self.skipping.is_none() {
            if !is_too_long {
                return;
            }
            self.head.copy_from_slice(&text[..HEAD_BYTES]);
        }
        self.skipping = Some(LongLine { last_is_cr });
        self.start = self.end;
        // A caller may continue reading without having asked for lines in between.
        self.scanned = self.end;
    }
}

/// Complete lines, first to last.
#[derive(Debug)]
pub struct Lines<'a> {
    rest: &'a [u8],
    /// The first line is the end of one that was skipped; this is its head.
    skipped: Option<(&'a [u8; HEAD_BYTES], LongLine)>,
    limit: usize,
}

impl Lines<'_> {
    /// The total length of the remaining lines in bytes, terminators included.
    pub fn left(&self) -> usize {
        self.rest.len()
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        let newline = memchr::memchr(b'\n', self.rest)?;
        let (text, rest) = self.rest.split_at(newline);
        self.rest = &rest[1..];
        let has_cr = match (self.skipped, text.last()) {
            (Some((_, skipped)), None) => skipped.last_is_cr,
            (_, last) => last == Some(&b'\r'),
        };
        let ending = if has_cr { Ending::CrLf } else { Ending::Lf };
        if let Some((head, _)) = self.skipped.take() {
            return Some(Line::TooLong(head, ending));
        }
        let text = if has_cr { &text[..text.len() - 1] } else { text };
        Some(if text.len() > self.limit {
            Line::TooLong(&text[..HEAD_BYTES], ending)
        } else {
            Line::Whole(text, ending)
        })
    }
}

#[cfg(test)]
mod tests;
