//! Where a client is: the ISO 6709 text of a report, checked exactly, and its value in degrees for lookups.

/// A point on the Earth, in decimal degrees, north and east positive.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Coordinates {
    /// -90.0 to 90.0
    pub latitude: f64,
    /// -180.0 to 180.0
    pub longitude: f64,
}

impl Coordinates {
    /// Reads a position such as `+34.068930-118.445127`, by the rules of [`is_position`].
    pub fn of_position(text: &[u8]) -> Option<Self> {
        let latitude_end = number(text, 90)?;
        is_position(text).then_some(())?;
        let degrees = |part: &[u8]| std::str::from_utf8(part).ok()?.parse().ok();
        let text = text.strip_suffix(b"/").unwrap_or(text);
        Some(Self { latitude: degrees(&text[..latitude_end])?, longitude: degrees(&text[latitude_end..])? })
    }
}

/// Whether `text` is a position by the rulings of PROTOCOL.md: twice a sign, 1 to 3 digits and perhaps a `.` with at least
/// one digit, latitude first, within ±90 and ±180, perhaps a closing `/`. The bounds are exact in every digit.
pub fn is_position(text: &[u8]) -> bool {
    let Some(latitude_end) = number(text, 90) else { return false };
    let rest = &text[latitude_end..];
    number(rest, 180).is_some_and(|end| matches!(&rest[end..], b"" | b"/"))
}

/// The length of the signed decimal number `text` begins with, if its size is at most `bound`.
fn number(text: &[u8], bound: u32) -> Option<usize> {
    let (b'+' | b'-') = text.first()? else { return None };
    let digits = |from: usize| text[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole_digits = digits(1);
    if !(1..=3).contains(&whole_digits) {
        return None;
    }
    let mut end = 1 + whole_digits;
    let whole = text[1..end].iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    let mut has_fraction = false;
    if text.get(end) == Some(&b'.') {
        let fraction_digits = digits(end + 1);
        if fraction_digits == 0 {
            return None;
        }
        let fraction = &text[end + 1..][..fraction_digits];
        has_fraction = whole == bound && fraction.iter().any(|&digit| digit != b'0');
        end += 1 + fraction_digits;
    }
    (whole <= bound && !has_fraction).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_of_the_rulings_are_taken() {
        for text in [
            "+34-118",
            "+34.06893-118.445127",
            "+27.5916+086.5640",
            "+34.068930-118.445127/",
            "+90.000-180.0",
            "-90+180",
            "+0.0-0.0",
            "-000.5+1",
        ] {
            assert!(is_position(text.as_bytes()), "{text}");
            assert!(Coordinates::of_position(text.as_bytes()).is_some(), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_position() {
        for text in [
            "",
            "+",
            "+34",
            "34-118",
            "+34118",
            "+34.-118",
            "+.5-118",
            "+34-118.",
            "+34-118+5",
            "+34-118//",
            "+34-118x",
            "+3e1-118",
            "+0034-118",
            "+34-1180",
            "+90.0000000000000000000000000000001-118",
            "+91-118",
            "-34-180.00001",
            "+34-181",
            "+34 -118",
            "++34-118",
            "+nan-118",
        ] {
            assert!(!is_position(text.as_bytes()), "{text}");
            assert_eq!(Coordinates::of_position(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn degrees_are_north_and_east_positive() {
        let at = Coordinates::of_position(b"+34.068930-118.445127/").unwrap();
        assert_eq!(at, Coordinates { latitude: 34.06893, longitude: -118.445127 });
    }
}
