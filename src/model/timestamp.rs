//! When: POSIX seconds and nanoseconds, kept apart so that no digit is lost.

/// A moment in POSIX time. Ordered by time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Timestamp {
    seconds: u64,
    nanoseconds: u32,
}

impl Timestamp {
    /// `nanoseconds` below 1,000,000,000.
    pub fn new(seconds: u64, nanoseconds: u32) -> Self {
        assert!(nanoseconds < 1_000_000_000);
        Self { seconds, nanoseconds }
    }

    /// Reads `1479413884.392014450`: 1 to 12 digits, then perhaps a `.` and 1 to 9 digits; nothing else.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (seconds, rest) = digits(text);
        let whole = &text[..text.len() - rest.len()];
        if !(1..=12).contains(&whole.len()) {
            return None;
        }
        let Some((b'.', fraction)) = rest.split_first() else {
            return rest.is_empty().then_some(Self { seconds, nanoseconds: 0 });
        };
        let (value, rest) = digits(fraction);
        if !rest.is_empty() || !(1..=9).contains(&fraction.len()) {
            return None;
        }
        const SCALE: [u32; 10] = [0, 100_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];
        Some(Self { seconds, nanoseconds: value as u32 * SCALE[fraction.len()] })
    }

    /// Whole seconds since 1970.
    pub fn seconds(self) -> u64 {
        self.seconds
    }

    /// The nanoseconds of the second that has begun.
    pub fn nanoseconds(self) -> u32 {
        self.nanoseconds
    }

    /// Nanoseconds since 1970.
    pub fn as_nanoseconds(self) -> i128 {
        i128::from(self.seconds) * 1_000_000_000 + i128::from(self.nanoseconds)
    }
}

/// The value of the digits `text` begins with, and what follows them. Meaningless beyond 19 digits, which no caller takes.
fn digits(text: &[u8]) -> (u64, &[u8]) {
    let mut value = 0_u64;
    for (at, byte) in text.iter().enumerate() {
        if !byte.is_ascii_digit() {
            return (value, &text[at..]);
        }
        value = value.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
    }
    (value, &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_keep_every_nanosecond() {
        for (text, seconds, nanoseconds) in [
            ("0", 0, 0),
            ("1479413884.392014450", 1_479_413_884, 392_014_450),
            ("1479413884.3", 1_479_413_884, 300_000_000),
            ("999999999999.999999999", 999_999_999_999, 999_999_999),
            ("000000000001.000000001", 1, 1),
        ] {
            assert_eq!(
                Timestamp::parse(text.as_bytes()),
                Some(Timestamp::new(seconds, nanoseconds)),
                "{text}"
            );
        }
    }

    #[test]
    fn anything_else_is_no_timestamp() {
        for text in [
            "",
            ".",
            ".5",
            "5.",
            "+5",
            "-5",
            "1e9",
            "nan",
            "inf",
            "1479413884.3920144501",
            "1000000000000",
            "1.2.3",
            "1 ",
            "0x10",
            "99999999999999999999999999999999",
        ] {
            assert_eq!(Timestamp::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn order_is_by_time_not_by_text() {
        let at = |text: &str| Timestamp::parse(text.as_bytes()).unwrap();
        assert!(at("9.9") < at("10"));
        assert!(at("1.09") < at("1.1"));
        assert_eq!(at("1.50"), at("01.5"));
    }
}
