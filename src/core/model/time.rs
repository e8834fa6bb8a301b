//! Moments, and the differences between them, as values. The caller reads the clock.

use std::{
    fmt::{self, Write},
    time::Duration,
};

use arrayvec::ArrayString;

use super::decimal;

/// Nanoseconds in a second.
const NANOS: u64 = 1_000_000_000;

/// The last whole second that a timestamp can tell: twelve digits.
const SECONDS_MAX: u64 = 999_999_999_999;

/// Monotonic time since the process first asked for it. For deadlines and intervals; never goes back.
pub type Tick = Duration;

/// Both clocks, read together once per read of a socket.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// The machine's idea of the time; may jump.
    pub wall: Timestamp,
    /// How long this process has run.
    pub tick: Tick,
}

/// A moment in POSIX time: seconds and nanoseconds, kept apart so that no digit is lost. Ordered by time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Timestamp {
    seconds: u64,
    nanoseconds: u32,
}

impl Timestamp {
    /// `nanoseconds` below 1,000,000,000.
    pub fn new(seconds: u64, nanoseconds: u32) -> Self {
        assert!(u64::from(nanoseconds) < NANOS);
        Self { seconds, nanoseconds }
    }

    /// Parses `1479413884.392014450`: 1 to 12 digits, then optionally a `.` and 1 to 9 digits; nothing else.
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

    /// The nanoseconds within the current second.
    pub fn nanoseconds(self) -> u32 {
        self.nanoseconds
    }

    /// Nanoseconds since 1970.
    pub fn as_nanoseconds(self) -> i128 {
        i128::from(self.seconds) * i128::from(NANOS) + i128::from(self.nanoseconds)
    }

    /// The moment that is later by that difference: when a server took a report, by its own clock. `None` for one that no
    /// timestamp tells.
    pub fn after(self, skew: Skew) -> Option<Self> {
        let nanoseconds = u128::try_from(self.as_nanoseconds() + skew.nanoseconds).ok()?;
        let seconds =
            u64::try_from(nanoseconds / u128::from(NANOS)).ok().filter(|seconds| *seconds <= SECONDS_MAX)?;
        Some(Self { seconds, nanoseconds: (nanoseconds % u128::from(NANOS)) as u32 })
    }

    /// A text that [`Timestamp::parse`] reads; `None` for one of more than 12 digits, which no clock shows.
    pub fn text(self) -> Option<TimestampText> {
        let mut text = TimestampText::new();
        write!(text, "{self}").ok()?;
        Self::parse(text.as_bytes()).map(|_| text)
    }
}

/// A timestamp in its written form: at most 12 digits, a `.` and 9 decimals.
pub type TimestampText = ArrayString<22>;

impl fmt::Display for Timestamp {
    /// The seconds, with nine decimals if any of them is not 0.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.nanoseconds {
            0 => write!(f, "{}", self.seconds),
            nanoseconds => write!(f, "{}.{nanoseconds:09}", self.seconds),
        }
    }
}

/// The value of the digits that `text` begins with, and what follows them. Meaningless beyond 19 digits, which no
/// caller accepts.
fn digits(mut text: &[u8]) -> (u64, &[u8]) {
    let mut value = 0_u64;
    while let Some((eight, rest)) = text.split_first_chunk()
        && let Some(part) = eight_digits(*eight)
    {
        value = value.wrapping_mul(100_000_000).wrapping_add(part);
        text = rest;
    }
    while let Some((&byte, rest)) = text.split_first()
        && byte.is_ascii_digit()
    {
        value = value.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
        text = rest;
    }
    (value, text)
}

/// The value of eight digits, all at once: a timestamp has two such runs, and every line has a timestamp.
fn eight_digits(text: [u8; 8]) -> Option<u64> {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    let word = u64::from_le_bytes(text);
    let digits = word ^ (ONES * 0x30);
    // A byte that is not a digit has a high nibble left, or gets one by adding 6.
    if (digits | digits.wrapping_add(ONES * 6)) & (ONES * 0xf0) != 0 {
        return None;
    }
    // Neighbouring digits are joined: to pairs, pairs to fours, fours to the eight. The first digit is the lowest byte.
    let pairs = (digits.wrapping_mul(10) + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(100) + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some((fours.wrapping_mul(10_000) + (fours >> 32)) & 0xffff_ffff)
}

/// A number below 100,000,000 as eight digits, the way back from [`eight_digits`].
fn text_of_eight(value: u64) -> [u8; 8] {
    let fours = (value / 10_000) | ((value % 10_000) << 32);
    // Products that stand in for divisions by 100 and by 10; they are exact for four and two digits.
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let pairs = hundreds | ((fours - hundreds * 100) << 16);
    let tens = ((pairs * 103) >> 10) & 0x000f_000f_000f_000f;
    let digits = tens | ((pairs - tens * 10) << 8);
    (digits | u64::from_le_bytes([b'0'; 8])).to_le_bytes()
}

/// The difference between a server's clock and a client's timestamp, the first minus the second, exact to the nanosecond;
/// written `+0.263873386`, `-0.000000042`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Skew {
    nanoseconds: i128,
}

impl Skew {
    /// The most digits before the point.
    pub const SECONDS_DIGITS_MAX: usize = 13;

    /// How far the server's clock is ahead of the client's.
    pub fn between(server: Timestamp, client: Timestamp) -> Self {
        Self { nanoseconds: server.as_nanoseconds() - client.as_nanoseconds() }
    }

    /// Parses a skew as another program writes it: any decimal number, rounded half to even; `None` for anything else,
    /// and for more than [`Skew::SECONDS_DIGITS_MAX`] digits before the point.
    pub fn of_decimal(text: &[u8]) -> Option<Self> {
        let nanoseconds = decimal::nanoseconds(text, Self::SECONDS_DIGITS_MAX as i64)?;
        Some(Self { nanoseconds })
    }

    /// In nanoseconds; negative when the client's clock is ahead.
    pub fn as_nanoseconds(self) -> i128 {
        self.nanoseconds
    }

    /// The sign, the seconds, a `.` and nine decimals.
    pub fn text(self) -> SkewText {
        let mut text = SkewText::default();
        text.set(self);
        text
    }

    /// Reads what [`Skew::text`] could have written; `None` for anything else.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (sign @ (b'+' | b'-'), number) = text.split_first()? else { return None };
        let (seconds, fraction) = number.split_at_checked(number.len().checked_sub(10)?)?;
        let is_short = (1..=Self::SECONDS_DIGITS_MAX).contains(&seconds.len());
        let is_plain = seconds.len() == 1 || seconds.first() != Some(&b'0');
        let ((whole, b""), (parts, b"")) = (digits(seconds), digits(fraction.strip_prefix(b".")?)) else {
            return None;
        };
        let size = i128::from(whole) * i128::from(NANOS) + i128::from(parts);
        let nanoseconds = if *sign == b'-' { -size } else { size };
        (is_short && is_plain).then_some(Self { nanoseconds })
    }

    /// Whether `text` is what [`Skew::text`] could have written.
    pub fn is_skew(text: &[u8]) -> bool {
        Self::parse(text).is_some()
    }
}

/// The longest text, in bytes: a sign, the digits of seconds, a `.` and nine decimals.
const TEXT_BYTES_MAX: usize = 1 + Skew::SECONDS_DIGITS_MAX + 10;

/// A skew in its written form.
#[derive(Clone, Copy, Default, Debug)]
pub struct SkewText {
    bytes: [u8; TEXT_BYTES_MAX],
    start: usize,
}

impl SkewText {
    /// Writes that skew, in place: copying bytes right after they were written one by one stalls the processor.
    pub fn set(&mut self, skew: Skew) {
        let size = skew.nanoseconds.unsigned_abs();
        // A skew that fits 64 bits, as all but absurd ones do, avoids 128-bit division.
        let (mut seconds, fraction) = match u64::try_from(size) {
            Ok(size) => (size / NANOS, size % NANOS),
            Err(_) => ((size / u128::from(NANOS)) as u64, (size % u128::from(NANOS)) as u64),
        };
        let (before, last_eight) = self.bytes.split_at_mut(TEXT_BYTES_MAX - 8);
        last_eight.copy_from_slice(&text_of_eight(fraction % 100_000_000));
        let mut start = before.len();
        let mut put = |byte: u8| {
            start -= 1;
            before[start] = byte;
        };
        put(b'0' + (fraction / 100_000_000) as u8);
        put(b'.');
        loop {
            put(b'0' + (seconds % 10) as u8);
            seconds /= 10;
            if seconds == 0 {
                break;
            }
        }
        put(if skew.nanoseconds < 0 { b'-' } else { b'+' });
        self.start = start;
    }

    /// The text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
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
    fn timestamp_is_written_with_nine_decimals_or_none() {
        for text in ["0", "5", "1479413884.392014450", "999999999999.000000001", "7.100000000"] {
            assert_eq!(Timestamp::parse(text.as_bytes()).unwrap().to_string(), text);
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
    fn timestamps_are_written_as_they_are_read() {
        for (seconds, nanoseconds, text) in [
            (0, 0, "0"),
            (1_479_413_884, 392_014_450, "1479413884.392014450"),
            (5, 1, "5.000000001"),
            (999_999_999_999, 999_999_999, "999999999999.999999999"),
        ] {
            let time = Timestamp::new(seconds, nanoseconds);
            assert_eq!(time.text().as_deref(), Some(text));
            assert_eq!(Timestamp::parse(text.as_bytes()), Some(time));
        }
        assert_eq!(Timestamp::new(1_000_000_000_000, 0).text(), None);
        assert_eq!(Timestamp::new(u64::MAX, 999_999_999).text(), None);
    }

    #[test]
    fn every_byte_of_eight_is_checked_and_weighed() {
        assert_eq!(eight_digits(*b"12345678"), Some(12_345_678));
        assert_eq!(eight_digits(*b"00000000"), Some(0));
        assert_eq!(eight_digits(*b"99999999"), Some(99_999_999));
        for place in 0..8 {
            for byte in 0..=u8::MAX {
                let mut text = *b"90817263";
                text[place] = byte;
                let expected = std::str::from_utf8(&text).ok().and_then(|text| text.parse::<u64>().ok());
                assert_eq!(
                    eight_digits(text),
                    expected.filter(|_| byte.is_ascii_digit()),
                    "{byte} at {place}"
                );
            }
        }
    }

    #[test]
    fn eight_digits_are_written_as_they_are_read() {
        for four in 0..10_000 {
            for value in [four, four * 10_000, four * 10_000 + 9_999, 99_990_000 + four] {
                assert_eq!(text_of_eight(value), format!("{value:08}").as_bytes());
            }
        }
    }

    #[test]
    fn order_is_by_time_not_by_text() {
        let at = |text: &str| Timestamp::parse(text.as_bytes()).unwrap();
        assert!(at("9.9") < at("10"));
        assert!(at("1.09") < at("1.1"));
        assert_eq!(at("1.50"), at("01.5"));
    }

    fn written(server: &str, client: &str) -> String {
        let at = |text: &str| Timestamp::parse(text.as_bytes()).unwrap();
        let text = Skew::between(at(server), at(client)).text();
        assert!(Skew::is_skew(text.as_bytes()));
        String::from_utf8(text.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn skew_has_its_sign_and_nine_decimals_and_loses_nothing() {
        assert_eq!(written("1479413884.655887836", "1479413884.392014450"), "+0.263873386");
        assert_eq!(written("1.000000000", "1.000000042"), "-0.000000042");
        assert_eq!(written("5", "5"), "+0.000000000");
        assert_eq!(written("1.1", "2"), "-0.900000000");
        assert_eq!(written("0", "999999999999.999999999"), "-999999999999.999999999");
        assert_eq!(written("999999999999.000000001", "0"), "+999999999999.000000001");
    }

    #[test]
    fn skew_of_another_program_is_written_as_nodes_write_it() {
        let rewritten = |text: &str| {
            let text = Skew::of_decimal(text.as_bytes()).unwrap().text();
            assert!(Skew::is_skew(text.as_bytes()));
            String::from_utf8(text.as_bytes().to_vec()).unwrap()
        };
        assert_eq!(rewritten("-4.29e-05"), "-0.000042900");
        assert_eq!(rewritten("0.263873"), "+0.263873000");
        assert_eq!(rewritten("9999999999999.999999999"), "+9999999999999.999999999");
        for own in ["+0.263873386", "-0.000000042", "-999999999999.999999999"] {
            assert_eq!(rewritten(own), own);
        }
        assert_eq!(Skew::of_decimal(b"nan"), None);
    }

    #[test]
    fn skew_is_read_as_it_was_written() {
        for text in [
            "+0.263873386",
            "-0.000000042",
            "+0.000000000",
            "-999999999999.999999999",
            "+9999999999999.999999999",
        ] {
            assert_eq!(Skew::parse(text.as_bytes()), Skew::of_decimal(text.as_bytes()), "{text}");
            assert_eq!(Skew::parse(text.as_bytes()).unwrap().text().as_bytes(), text.as_bytes());
        }
        // Nobody writes this one, and it was always taken.
        assert_eq!(Skew::parse(b"-0.000000000").map(Skew::as_nanoseconds), Some(0));
    }

    #[test]
    fn report_that_a_server_takes_was_taken_at_a_moment_by_its_clock() {
        let times = ["0", "0.000000001", "1479413884.392014450", "999999999999", "999999999999.999999999"];
        for server in times.map(|text| Timestamp::parse(text.as_bytes()).unwrap()) {
            for client in times.map(|text| Timestamp::parse(text.as_bytes()).unwrap()) {
                assert_eq!(client.after(Skew::between(server, client)), Some(server), "{server} {client}");
            }
        }
    }

    #[test]
    fn moment_after_a_skew_is_one_that_a_timestamp_tells_or_none() {
        let after = |time: &str, skew: &str| {
            let skew = Skew::parse(skew.as_bytes()).unwrap();
            Timestamp::parse(time.as_bytes()).unwrap().after(skew).map(|moment| moment.to_string())
        };
        assert_eq!(after("1479413884.392014450", "+0.263873386").as_deref(), Some("1479413884.655887836"));
        assert_eq!(after("2", "-0.900000000").as_deref(), Some("1.100000000"));
        assert_eq!(after("5", "-5.000000000").as_deref(), Some("0"));
        assert_eq!(after("5", "-5.000000001"), None);
        assert_eq!(after("999999999999", "+0.999999999").as_deref(), Some("999999999999.999999999"));
        assert_eq!(after("999999999999", "+1.000000000"), None);
        assert_eq!(after("0", "+9999999999999.999999999"), None);
        assert_eq!(after("999999999999.999999999", "-999999999999.999999999").as_deref(), Some("0"));
    }

    #[test]
    fn only_the_written_form_is_a_skew() {
        for text in ["", "+", "0.000000000", "+0.00000000", "+0.0000000000", "+00.000000000", "+.000000000"] {
            assert!(!Skew::is_skew(text.as_bytes()), "{text}");
        }
        for text in
            ["+0x000000000", "+1e3.00000000", "+0.00000000x", "+12345678901234.000000000", "+a.000000000"]
        {
            assert!(!Skew::is_skew(text.as_bytes()), "{text}");
        }
    }
}
