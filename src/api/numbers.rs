//! Numbers as they are written: coordinates and times keep the digits received, so none of them passes through a float.

use chrono::DateTime;

use crate::core::model::Timestamp;

/// The longest text of one, in bytes, before and after its exponent is worked out.
pub(super) const NUMBER_BYTES_MAX: usize = 64;

/// The greatest exponent, in size.
const EXPONENT_MAX: usize = NUMBER_BYTES_MAX;

/// A decimal number as JSON writes it, without its exponent, which is worked out exactly: `-1.184e2` is `-118.4`. A `+`
/// before it is taken, too. `None` for anything else, and for what is longer than [`NUMBER_BYTES_MAX`].
pub(super) fn plain_number(text: &str) -> Option<String> {
    let (sign, number) = match text.strip_prefix('-') {
        Some(number) => ("-", number),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match number.find(['e', 'E']) {
        Some(at) => (&number[..at], exponent(&number[at + 1..])?),
        None => (number, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let has_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_number = has_digits(whole) && (has_digits(fraction) || whole == mantissa);
    if !is_number || text.len() > NUMBER_BYTES_MAX {
        return None;
    }
    if exponent == 0 {
        return Some(format!("{sign}{mantissa}"));
    }
    let digits = format!("{whole}{fraction}");
    let point = whole.len() as isize + exponent;
    let (before, after) = match usize::try_from(point) {
        Err(_) => ("0".to_owned(), format!("{}{digits}", "0".repeat(point.unsigned_abs()))),
        Ok(0) => ("0".to_owned(), digits),
        Ok(point) if point < digits.len() => (digits[..point].to_owned(), digits[point..].to_owned()),
        Ok(point) => (format!("{digits:0<point$}"), String::new()),
    };
    let before = without_leading_zeros(&before);
    let point = if after.is_empty() { "" } else { "." };
    let plain = format!("{sign}{before}{point}{after}");
    (plain.len() <= NUMBER_BYTES_MAX).then_some(plain)
}

fn exponent(text: &str) -> Option<isize> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_number =
        !digits.is_empty() && digits.len() <= 9 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let size: usize = is_number.then(|| digits.parse().ok())??;
    let size = (size <= EXPONENT_MAX).then_some(size as isize)?;
    Some(if text.starts_with('-') { -size } else { size })
}

fn without_leading_zeros(digits: &str) -> &str {
    let zeros = digits.bytes().take_while(|&byte| byte == b'0').count();
    &digits[zeros.min(digits.len() - 1)..]
}

/// A signed decimal of a position as JSON writes it: `+034.50` is `34.50`.
pub(super) fn json_number(text: &str) -> String {
    let (sign, number) = match text.strip_prefix('-') {
        Some(number) => ("-", number),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let whole = number.split('.').next().unwrap_or(number);
    format!("{sign}{}{}", without_leading_zeros(whole), &number[whole.len()..])
}

/// Latitude and longitude of a valid position, each with its sign.
pub(super) fn halves(position: &str) -> (&str, &str) {
    let position = position.strip_suffix('/').unwrap_or(position);
    let middle = position.get(1..).and_then(|rest| rest.find(['+', '-'])).map_or(position.len(), |at| at + 1);
    position.split_at(middle)
}

/// A moment of RFC 3339 as POSIX seconds, with the decimals received. `None` for anything else, for one before 1970 or in a
/// leap second, and for more than nine decimals.
pub(super) fn posix_of(text: &str) -> Option<String> {
    if text.len() > NUMBER_BYTES_MAX {
        return None;
    }
    let moment = DateTime::parse_from_rfc3339(text).ok()?;
    let seconds = u64::try_from(moment.timestamp()).ok()?;
    let fraction = match text.split_once('.') {
        Some((_, rest)) => &rest[..rest.bytes().take_while(u8::is_ascii_digit).count()],
        None => "",
    };
    let is_leap = moment.timestamp_subsec_nanos() >= 1_000_000_000;
    let point = if fraction.is_empty() { "" } else { "." };
    (!is_leap && fraction.len() <= 9).then(|| format!("{seconds}{point}{fraction}"))
}

/// A moment in RFC 3339, with nine decimals or none; `None` for one after the year 9999, which that cannot say.
pub(super) fn rfc3339_of(time: Timestamp) -> Option<String> {
    /// The first second of the year 10000.
    const YEAR_10000: u64 = 253_402_300_800;
    let seconds = Some(time.seconds()).filter(|seconds| *seconds < YEAR_10000)?;
    let moment = DateTime::from_timestamp(i64::try_from(seconds).ok()?, 0)?;
    let fraction = match time.nanoseconds() {
        0 => String::new(),
        nanoseconds => format!(".{nanoseconds:09}"),
    };
    Some(format!("{}{fraction}Z", moment.format("%Y-%m-%dT%H:%M:%S")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_digits_and_lose_their_exponents() {
        for (text, plain) in [
            ("34.068930", "34.068930"),
            ("-118.445127", "-118.445127"),
            ("+34", "34"),
            ("-0", "-0"),
            ("034.5", "034.5"),
            ("-1.184e2", "-118.4"),
            ("1184E-1", "118.4"),
            ("1.50e1", "15.0"),
            ("1e1", "10"),
            ("5e-3", "0.005"),
            ("12e-2", "0.12"),
            ("0.5e1", "5"),
            ("0e5", "0"),
            ("1e+0", "1"),
        ] {
            assert_eq!(plain_number(text).as_deref(), Some(plain), "{text}");
        }
        for text in [
            "",
            "-",
            ".5",
            "5.",
            "1e",
            "1e+",
            "--1",
            "1.2.3",
            "0x1",
            "nan",
            "1e65",
            "1e9999999999",
            "1 ",
            "٣",
        ] {
            assert_eq!(plain_number(text), None, "{text}");
        }
    }

    #[test]
    fn length_of_a_number_holds_at_its_edge() {
        let longest = format!("1.{}", "5".repeat(NUMBER_BYTES_MAX - 2));
        assert_eq!(plain_number(&longest).as_deref(), Some(&*longest));
        assert_eq!(plain_number(&format!("{longest}5")), None);
        assert_eq!(plain_number("1e63").map(|plain| plain.len()), Some(NUMBER_BYTES_MAX));
        assert_eq!(plain_number("1e64"), None);
    }

    #[test]
    fn positions_become_numbers_that_json_has() {
        for (position, latitude, longitude) in [
            ("+34.068930-118.445127", "34.068930", "-118.445127"),
            ("+034-000.50/", "34", "-0.50"),
            ("-000+180.0", "-0", "180.0"),
        ] {
            let (north, east) = halves(position);
            assert_eq!((json_number(north).as_str(), json_number(east).as_str()), (latitude, longitude));
        }
    }

    #[test]
    fn moments_are_read_with_their_decimals_and_written_with_nine() {
        for (text, posix) in [
            ("2016-11-17T20:18:04.392014450Z", "1479413884.392014450"),
            ("2016-11-17T20:18:04.3Z", "1479413884.3"),
            ("2016-11-17T12:18:04-08:00", "1479413884"),
            ("1970-01-01T00:00:00Z", "0"),
        ] {
            assert_eq!(posix_of(text).as_deref(), Some(posix), "{text}");
        }
        for text in [
            "2016-11-17",
            "2016-11-17T20:18:04",
            "1969-12-31T23:59:59Z",
            "2016-12-31T23:59:60Z",
            "2016-11-17T20:18:04.3920144501Z",
            "2016-11-17T25:18:04Z",
        ] {
            assert_eq!(posix_of(text), None, "{text}");
        }
        let written = |text: &str| rfc3339_of(Timestamp::parse(text.as_bytes()).unwrap());
        assert_eq!(written("1479413884.392").as_deref(), Some("2016-11-17T20:18:04.392000000Z"));
        assert_eq!(written("1479413884").as_deref(), Some("2016-11-17T20:18:04Z"));
        assert_eq!(written("253402300799").as_deref(), Some("9999-12-31T23:59:59Z"));
        assert_eq!(written("253402300800"), None);
    }
}
