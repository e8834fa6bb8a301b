//! The difference between a server's clock and a client's timestamp, exact to the nanosecond.

use super::Timestamp;

/// Server clock minus client timestamp, in nanoseconds; written `+0.263873386`, `-0.000000042`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Skew {
    nanoseconds: i128,
}

impl Skew {
    /// How far the server's clock is ahead of the client's.
    pub fn between(server: Timestamp, client: Timestamp) -> Self {
        Self { nanoseconds: server.as_nanoseconds() - client.as_nanoseconds() }
    }

    /// In nanoseconds; negative when the client's clock is ahead.
    pub fn as_nanoseconds(self) -> i128 {
        self.nanoseconds
    }

    /// The sign, the seconds, a `.` and nine decimals.
    pub fn text(self) -> SkewText {
        let mut bytes = [0; TEXT_BYTES_MAX];
        let size = self.nanoseconds.unsigned_abs();
        // A skew that fits 64 bits, as all but absurd ones do, is spared 128-bit division.
        let (mut seconds, mut fraction) = match u64::try_from(size) {
            Ok(size) => (size / NANOS, size % NANOS),
            Err(_) => ((size / u128::from(NANOS)) as u64, (size % u128::from(NANOS)) as u64),
        };
        let mut start = TEXT_BYTES_MAX;
        let mut put = |byte: u8| {
            start -= 1;
            bytes[start] = byte;
        };
        for _ in 0..9 {
            put(b'0' + (fraction % 10) as u8);
            fraction /= 10;
        }
        put(b'.');
        loop {
            put(b'0' + (seconds % 10) as u8);
            seconds /= 10;
            if seconds == 0 {
                break;
            }
        }
        put(if self.nanoseconds < 0 { b'-' } else { b'+' });
        SkewText { bytes, start }
    }

    /// Whether `text` is what [`Skew::text`] could have written.
    pub fn is_skew(text: &[u8]) -> bool {
        let Some((b'+' | b'-', number)) = text.split_first() else { return false };
        let Some(point) = number.len().checked_sub(10) else { return false };
        let (seconds, fraction) = number.split_at(point);
        let digits = |text: &[u8]| text.iter().all(u8::is_ascii_digit);
        fraction[0] == b'.'
            && digits(&fraction[1..])
            && (1..=13).contains(&seconds.len())
            && digits(seconds)
            && (seconds.len() == 1 || seconds[0] != b'0')
    }
}

const NANOS: u64 = 1_000_000_000;

/// The longest text, in bytes: a sign, 13 digits of seconds, a `.` and nine decimals.
const TEXT_BYTES_MAX: usize = 24;

/// A skew as it is written.
#[derive(Clone, Copy, Debug)]
pub struct SkewText {
    bytes: [u8; TEXT_BYTES_MAX],
    start: usize,
}

impl SkewText {
    /// The text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
