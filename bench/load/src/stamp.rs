//! A report's timestamp, as the papers write it: POSIX seconds with nine decimals.

use crate::digits;

/// Bytes of a timestamp: ten digits of seconds, the point, nine digits of nanoseconds.
pub const STAMP_BYTES: usize = 20;

const NANOSECONDS: u64 = 1_000_000_000;

/// A timestamp that only grows, kept both as a number and as the text that is sent.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    posix_ns: u64,
    text: [u8; STAMP_BYTES],
}

impl Stamp {
    /// The timestamp of this POSIX time, in nanoseconds.
    pub fn new(posix_ns: u64) -> Self {
        let mut text = [b'.'; STAMP_BYTES];
        digits::write(&mut text[..10], posix_ns / NANOSECONDS);
        digits::write(&mut text[11..], posix_ns % NANOSECONDS);
        Self { posix_ns, text }
    }

    /// Moves on to `posix_ns`, or by one nanosecond when that would not be strictly later.
    pub fn advance_to(&mut self, posix_ns: u64) {
        if posix_ns > self.posix_ns {
            *self = Self::new(posix_ns);
        } else {
            self.advance();
        }
    }

    /// Moves on by one nanosecond: nine times in ten a single digit changes.
    pub fn advance(&mut self) {
        self.posix_ns += 1;
        for digit in self.text.iter_mut().rev().filter(|byte| **byte != b'.') {
            if *digit < b'9' {
                *digit += 1;
                return;
            }
            *digit = b'0';
        }
    }

    /// POSIX nanoseconds.
    pub fn posix_ns(&self) -> u64 {
        self.posix_ns
    }

    /// What goes on the wire.
    pub fn text(&self) -> &[u8; STAMP_BYTES] {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The time of the assignment's example.
    const PAPER: u64 = 1_479_413_884_392_014_450;

    #[test]
    fn a_stamp_is_seconds_with_nine_decimals() {
        assert_eq!(Stamp::new(PAPER).text(), b"1479413884.392014450");
    }

    #[test]
    fn the_number_and_the_text_of_a_stamp_agree() {
        let mut stamp = Stamp::new(PAPER);
        for _ in 0..12_345 {
            stamp.advance();
        }
        assert_eq!(stamp.posix_ns(), PAPER + 12_345);
        assert_eq!(stamp.text(), Stamp::new(stamp.posix_ns()).text());
    }

    #[test]
    fn a_stamp_grows_whatever_the_clock_does() {
        let mut stamp = Stamp::new(PAPER);
        stamp.advance_to(PAPER - 5);
        assert_eq!(stamp.posix_ns(), PAPER + 1);
        stamp.advance_to(PAPER + 1_000_000_000);
        assert_eq!(stamp.text(), b"1479413885.392014450");
    }
}
