//! The replies: cutting what arrives into lines, whatever the reads were, and judging each line.
//! A reply is never taken on trust: its first bytes are always looked at, all of its fields if asked.

use memchr::{memchr, memchr_iter};

use crate::iamat::{LOCATION, Stamp, client_id};

/// Cuts a stream into lines; holds the one that is not whole yet.
#[derive(Debug, Default)]
pub struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// Hands every line that `data` completes to `each`, without its newline; gives their number.
    pub fn feed(&mut self, data: &[u8], mut each: impl FnMut(&[u8])) -> u32 {
        let mut count = 0;
        let mut rest = data;
        if !self.partial.is_empty() {
            let Some(end) = memchr(b'\n', data) else {
                self.partial.extend_from_slice(data);
                return 0;
            };
            self.partial.extend_from_slice(&data[..end]);
            each(&self.partial);
            self.partial.clear();
            count = 1;
            rest = &data[end + 1..];
        }
        let mut start = 0;
        for end in memchr_iter(b'\n', rest) {
            each(&rest[start..end]);
            count += 1;
            start = end + 1;
        }
        self.partial.extend_from_slice(&rest[start..]);
        count
    }
}

/// What the answer to one report must carry.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// The client that reported.
    pub number: u32,
    /// When it says it did.
    pub stamp: Stamp,
}

/// Whether a line can be the answer to a report at all.
pub fn is_at_line(line: &[u8]) -> bool {
    line.starts_with(b"AT ")
}

/// Whether a line is the whole and right answer: `AT server skew client location timestamp`, the last three
/// as they were sent.
pub fn answers(line: &[u8], expected: &Expected) -> bool {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let [keyword, server, skew, client, location, stamp] = fields[..] else { return false };
    keyword == b"AT"
        && !server.is_empty()
        && is_skew(skew)
        && client == client_id(expected.number).as_bytes()
        && location == LOCATION.as_bytes()
        && stamp == expected.stamp.text()
}

/// A sign, seconds, a point, nine decimals.
fn is_skew(field: &[u8]) -> bool {
    let [b'+' | b'-', number @ ..] = field else { return false };
    let Some(point) = memchr(b'.', number) else { return false };
    let (seconds, decimals) = (&number[..point], &number[point + 1..]);
    !seconds.is_empty() && decimals.len() == 9 && seconds.iter().chain(decimals).all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected() -> Expected {
        Expected { number: 5, stamp: Stamp::new(1_479_413_884_392_014_450) }
    }

    #[test]
    fn lines_are_the_same_however_the_stream_is_cut() {
        let stream = b"one\ntwo\n\nthree\nfour";
        for size in 1..=stream.len() {
            let mut lines = Lines::default();
            let mut seen = Vec::new();
            let mut count = 0;
            for piece in stream.chunks(size) {
                count += lines.feed(piece, |line| seen.push(line.to_vec()));
            }
            assert_eq!(count, 4);
            assert_eq!(seen, [&b"one"[..], b"two", b"", b"three"]);
            assert_eq!(lines.partial, b"four");
        }
    }

    #[test]
    fn the_right_answer_is_right() {
        let line = b"AT Solo +0.263873386 kiwi5.cs.ucla.edu +34.068930-118.445127 1479413884.392014450";
        assert!(is_at_line(line));
        assert!(answers(line, &expected()));
    }

    #[test]
    fn wrong_answers_are_told_apart() {
        for line in [
            "? IAMAT kiwi5.cs.ucla.edu +34.068930-118.445127 1479413884.392014450",
            "AT Solo 0.263873386 kiwi5.cs.ucla.edu +34.068930-118.445127 1479413884.392014450",
            "AT Solo +0.26387338 kiwi5.cs.ucla.edu +34.068930-118.445127 1479413884.392014450",
            "AT Solo +1e-9 kiwi5.cs.ucla.edu +34.068930-118.445127 1479413884.392014450",
            "AT Solo +0.263873386 kiwi6.cs.ucla.edu +34.068930-118.445127 1479413884.392014450",
            "AT Solo +0.263873386 kiwi5.cs.ucla.edu +34.06893-118.445127 1479413884.392014450",
            "AT Solo +0.263873386 kiwi5.cs.ucla.edu +34.068930-118.445127 1479413884.392014451",
            "AT Solo +0.263873386 kiwi5.cs.ucla.edu +34.068930-118.445127 1479413884.392014450 Solo",
            "AT  +0.263873386 kiwi5.cs.ucla.edu +34.068930-118.445127 1479413884.392014450",
            "",
        ] {
            assert!(!answers(line.as_bytes(), &expected()), "{line}");
        }
    }
}
