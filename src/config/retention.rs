//! After what time a herd forgets: a number of days, hours, minutes or seconds with the unit's letter, or `"off"`.

use std::time::Duration;

use crate::core::model::RetentionTimes;

/// How many seconds the letters stand for, the longest first.
const UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];

/// As long as a clock's seconds can be told apart from none: 100 years.
const FORGET_AFTER_MAX: u64 = 36_500 * 86_400;

/// What may stand there, for messages.
pub(super) const WANTED: &str = "a time such as \"1h\" or \"30d\", or \"off\"";

/// Why a text is no time after which to forget.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NoTime {
    /// It is not written so.
    Form,
    /// It is below an hour, or above 100 years.
    Range,
}

/// The time that the text says; `None` for never.
pub(super) fn parse(text: &str) -> Result<Option<Duration>, NoTime> {
    if text == "off" {
        return Ok(None);
    }
    let split = |(letter, seconds): &(&str, u64)| Some((text.strip_suffix(letter)?, *seconds));
    let (digits, unit) = UNITS.iter().find_map(split).ok_or(NoTime::Form)?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NoTime::Form);
    }
    let seconds =
        digits.parse::<u64>().ok().and_then(|count| count.checked_mul(unit)).ok_or(NoTime::Range)?;
    let is_possible = (RetentionTimes::FORGET_AFTER_MIN..=FORGET_AFTER_MAX).contains(&seconds);
    if is_possible { Ok(Some(Duration::from_secs(seconds))) } else { Err(NoTime::Range) }
}

/// The shortest text that [`parse`] reads as that time.
pub(super) fn text(time: Duration) -> String {
    let seconds = time.as_secs();
    let (letter, unit) =
        UNITS.into_iter().find(|(_, unit)| seconds.is_multiple_of(*unit)).unwrap_or(("s", 1));
    format!("{}{letter}", seconds / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        for (written, seconds) in [
            ("1h", 3_600),
            ("3601s", 3_601),
            ("61m", 3_660),
            ("30d", 2_592_000),
            ("36500d", FORGET_AFTER_MAX),
        ] {
            let time = Duration::from_secs(seconds);
            assert_eq!(parse(written), Ok(Some(time)), "{written}");
            assert_eq!(text(time), written);
        }
        assert_eq!(parse("3600s"), Ok(Some(Duration::from_secs(3_600))));
        assert_eq!(text(Duration::from_secs(3_600)), "1h");
        assert_eq!(parse("off"), Ok(None));
    }

    #[test]
    fn anything_else_is_refused_for_its_form_or_its_range() {
        for form in ["", "h", "1", "1 h", "-1h", "1.5h", "1w", "1H", "one", "OFF"] {
            assert_eq!(parse(form), Err(NoTime::Form), "{form}");
        }
        for range in ["0h", "59m", "3599s", "36501d", "99999999999999999999d"] {
            assert_eq!(parse(range), Err(NoTime::Range), "{range}");
        }
    }
}
