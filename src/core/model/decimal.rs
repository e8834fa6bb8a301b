//! Decimal numbers as other programs write them, read exactly: no digit passes through a float.

/// The largest exponent that is accepted, in size. A 64-bit float has none beyond 324.
const EXPONENT_MAX: i64 = 999;

/// Digits from a second to a nanosecond.
const NANOS_DIGITS: i64 = 9;

/// The nanoseconds in a number of seconds, with or without sign, point and exponent: `0.25`, `-4.29e-05`, `+1`. Half a
/// nanosecond is rounded to the even one. `None` for anything else, and for a number of more than `digits_max` digits before
/// the point.
pub(super) fn nanoseconds(text: &[u8], digits_max: i64) -> Option<i128> {
    let (is_negative, number) = match text {
        [b'-', number @ ..] => (true, number),
        [b'+', number @ ..] => (false, number),
        number => (false, number),
    };
    let (mantissa, exponent) = match memchr::memchr2(b'e', b'E', number) {
        Some(at) => (&number[..at], exponent(&number[at + 1..])?),
        None => (number, 0),
    };
    let (whole, fraction) = match memchr::memchr(b'.', mantissa) {
        Some(at) => (&mantissa[..at], &mantissa[at + 1..]),
        None => (mantissa, &[][..]),
    };
    let mut digits = whole.iter().chain(fraction);
    if mantissa.len() == usize::from(mantissa.contains(&b'.')) || !digits.clone().all(u8::is_ascii_digit) {
        return None;
    }
    let zeros = digits.clone().take_while(|&&digit| digit == b'0').count();
    if zeros == whole.len() + fraction.len() {
        return Some(0);
    }
    // So many digits, from the first on, are whole nanoseconds; the rest is rounded.
    let kept = whole.len() as i64 + exponent + NANOS_DIGITS;
    let most = digits_max + NANOS_DIGITS;
    if kept - zeros as i64 > most {
        return None;
    }
    let value = |digit: Option<&u8>| digit.map_or(0, |digit| i128::from(digit - b'0'));
    let mut size = (0..kept).fold(0, |size: i128, _| size * 10 + value(digits.next()));
    // Before the first digit there are only zeros.
    if kept >= 0 {
        let (next, has_more) = (value(digits.next()), digits.any(|&digit| digit != b'0'));
        size += i128::from(next > 5 || next == 5 && (has_more || size % 2 == 1));
    }
    (size < 10_i128.pow(most as u32)).then_some(if is_negative { -size } else { size })
}

fn exponent(text: &[u8]) -> Option<i64> {
    let (sign, digits) = match text {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] => (1, digits),
        digits => (1, digits),
    };
    let add = |sum: i64, digit: &u8| {
        let sum = digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0'))?;
        (sum <= EXPONENT_MAX).then_some(sum)
    };
    if digits.is_empty() { None } else { digits.iter().try_fold(0, add).map(|size| sign * size) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(text: &str) -> Option<i128> {
        nanoseconds(text.as_bytes(), 13)
    }

    #[test]
    fn every_way_to_write_a_decimal_is_read() {
        for (text, nanoseconds) in [
            ("+0.263873386", 263_873_386),
            ("0.263873", 263_873_000),
            ("-0.000042", -42_000),
            ("-4.29e-05", -42_900),
            ("4.29E-5", 42_900),
            ("1e0", 1_000_000_000),
            ("+1.5e+003", 1_500_000_000_000),
            ("12345e-4", 1_234_500_000),
            ("0.00012345e4", 1_234_500_000),
            (".5", 500_000_000),
            ("5.", 5_000_000_000),
            ("007", 7_000_000_000),
            ("0", 0),
            ("-0.0", 0),
            ("0e-999", 0),
            ("1795240785.8198101", 1_795_240_785_819_810_100),
        ] {
            assert_eq!(of(text), Some(nanoseconds), "{text}");
        }
    }

    #[test]
    fn half_a_nanosecond_goes_to_the_even_one_and_all_digits_behind_it_count() {
        for (text, nanoseconds) in [
            ("0.0000000005", 0),
            ("0.0000000015", 2),
            ("-0.0000000025", -2),
            ("-0.0000000035", -4),
            ("0.00000000050", 0),
            ("0.000000000500000000000000000000000001", 1),
            ("0.0000000004999999999999999999999999999", 0),
            ("0.00000000149", 1),
            ("0.9999999995", 1_000_000_000),
            ("5e-10", 0),
            ("15e-10", 2),
            ("9e-11", 0),
            ("1e-999", 0),
        ] {
            assert_eq!(of(text), Some(nanoseconds), "{text}");
        }
    }

    #[test]
    fn size_holds_at_its_edge() {
        let most = 10_i128.pow(22) - 1;
        assert_eq!(of("9999999999999.999999999"), Some(most));
        assert_eq!(of("-0009999999999999.999999999"), Some(-most));
        assert_eq!(of("9.999999999999999999999e12"), Some(most));
        for text in [
            "10000000000000",
            "1e13",
            "9999999999999.9999999995",
            "1e999",
            "0.1e14",
            "9999999999999999999999e999",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_number() {
        for text in [
            "",
            "+",
            "-",
            ".",
            "+.",
            "e5",
            ".e5",
            "1e",
            "1e+",
            "1e1000",
            "0e1000",
            "1e-1000",
            "1e99999999999999999999",
            "nan",
            "inf",
            "-inf",
            "0x10",
            "1_0",
            "1,5",
            "--1",
            "+-1",
            "1.2.3",
            "1e1e1",
            "1e1.5",
            "1f",
            "٣",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[-+]?[0-9.eE+x-]{0,40}|[0-9]{0,30}\\.?[0-9]{0,30}(e-?[0-9]{1,4})?") {
            let _ = of(&text);
        }

        #[test]
        fn where_the_point_is_written_does_not_matter(
            digits in "[0-9]{1,22}",
            point in 0_usize..30,
            shift in -20_i64..20,
        ) {
            let padded = format!("{digits:0<30}");
            let text = format!("{}.{}e{shift}", &padded[..point], &padded[point..]);
            let plain = format!("{digits}e{}", point as i64 + shift - digits.len() as i64);
            prop_assert_eq!(of(&text), of(&plain), "{} {}", text, plain);
        }
    }
}
