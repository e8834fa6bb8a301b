//! Generations: what orders a client's records before their times do, so that what is forgotten stays forgotten.

use super::Timestamp;

/// Which life of a client a record belongs to: 0 until it is forgotten, then a larger number with each forgetting. Below
/// 2⁵³, so that every program can hold it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Generation(u64);

/// The most digits of one.
const DIGITS_MAX: usize = 16;

impl Generation {
    /// That of a client that was never forgotten. Lines leave it out.
    pub const FIRST: Self = Self(0);
    /// The last one there is.
    pub const MAX: Self = Self((1 << 53) - 1);
    /// The most bytes by which [`Generation::write_after`] makes a line longer.
    pub const BYTES_MAX: usize = 1 + DIGITS_MAX;

    /// The generation of that number, if there is one.
    pub fn new(number: u64) -> Option<Self> {
        Some(Self(number)).filter(|generation| *generation <= Self::MAX)
    }

    /// What a forgetting at that time begins where nothing is known of the client: the milliseconds since 1970. So a node
    /// that has lost everything outbids what others remember.
    pub fn at(time: Timestamp) -> Option<Self> {
        let milliseconds =
            time.seconds().checked_mul(1000)?.checked_add(u64::from(time.nanoseconds()) / 1_000_000)?;
        Self::new(milliseconds)
    }

    /// The one after it.
    pub fn next(self) -> Option<Self> {
        Self::new(self.0 + 1)
    }

    /// Its number.
    pub fn number(self) -> u64 {
        self.0
    }

    /// The moment that it stands for, in nanoseconds since 1970.
    pub fn as_nanoseconds(self) -> i128 {
        i128::from(self.0) * 1_000_000
    }

    /// Reads one that a line does not leave out, as [`Generation::write_after`] writes it.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let is_number =
            text.iter().all(u8::is_ascii_digit) && text.first().is_some_and(|digit| *digit != b'0');
        let number = |text: &[u8]| text.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        (is_number && text.len() <= DIGITS_MAX).then(|| Self::new(number(text)))?
    }

    /// Appends a space and the number, if it is not 0.
    pub fn write_after(self, out: &mut Vec<u8>) {
        if self == Self::FIRST {
            return;
        }
        let (mut text, mut start, mut rest) = ([0; DIGITS_MAX], DIGITS_MAX, self.0);
        while rest > 0 {
            start -= 1;
            text[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        out.push(b' ');
        out.extend_from_slice(&text[start..]);
    }

    /// How many bytes that is.
    pub fn length_after(self) -> usize {
        self.0.checked_ilog10().map_or(0, |power| 2 + power as usize)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_numbers_that_a_line_writes_are_generations() {
        for text in ["", "0", "01", "-1", "+1", "1.0", "1e3", "x", "9007199254740992", "99999999999999999999"]
        {
            assert_eq!(Generation::parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Generation::parse(b"9007199254740991"), Some(Generation::MAX));
        assert_eq!(Generation::MAX.next(), None);
    }

    #[test]
    fn generation_is_its_moment_in_milliseconds() {
        let generation = Generation::at(Timestamp::new(1_479_413_884, 392_999_999)).unwrap();
        assert_eq!(generation.number(), 1_479_413_884_392);
        assert_eq!(generation.as_nanoseconds(), 1_479_413_884_392_000_000);
        assert_eq!(Generation::at(Timestamp::new(9_007_199_254_740, 991_999_999)), Some(Generation::MAX));
        assert_eq!(Generation::at(Timestamp::new(9_007_199_254_740, 992_000_000)), None);
        assert_eq!(Generation::at(Timestamp::new(u64::MAX, 0)), None);
    }

    proptest! {
        #[test]
        fn generations_come_back_as_they_were_written(number in prop_oneof![0..=Generation::MAX.number(), 0..2000_u64]) {
            let (generation, mut out) = (Generation::new(number).unwrap(), Vec::new());
            generation.write_after(&mut out);
            prop_assert_eq!(out.len(), generation.length_after());
            prop_assert!(out.len() <= Generation::BYTES_MAX);
            let text = String::from_utf8(out).unwrap();
            match number {
                0 => prop_assert_eq!(text, ""),
                _ => {
                    prop_assert_eq!(&text, &format!(" {number}"));
                    prop_assert_eq!(Generation::parse(&text.as_bytes()[1..]), Some(generation));
                }
            }
        }
    }
}
