//! Values that more than one command line reads: times with their units, the form of a result.

use std::time::Duration;

/// How a result is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// For programs
    Json,
    /// For spreadsheets: a line of headings before the others
    Csv,
}

/// Seconds, or a time with its unit.
pub fn seconds(text: &str) -> Result<Duration, String> {
    duration(text, "s")
}

/// Milliseconds, or a time with its unit.
pub fn milliseconds(text: &str) -> Result<Duration, String> {
    duration(text, "ms")
}

/// Microseconds, or a time with its unit.
pub fn microseconds(text: &str) -> Result<Duration, String> {
    duration(text, "us")
}

/// A number with its unit.
pub fn time(text: &str) -> Result<Duration, String> {
    duration(text, "")
}

/// A number, optionally with the unit that it has by default, or another.
fn duration(text: &str, unit: &str) -> Result<Duration, String> {
    let end = text.find(|letter: char| letter.is_alphabetic()).unwrap_or(text.len());
    let (number, given) = text.split_at(end);
    let second = match if given.is_empty() { unit } else { given } {
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        _ => return Err("give a time with its unit, such as 250us, 5ms or 1.5s".to_owned()),
    };
    let number: f64 = number.trim().parse().map_err(|_| format!("give a number, such as 5 or 5{unit}"))?;
    Duration::try_from_secs_f64(number * second).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_the_unit_of_its_flag_or_its_own() {
        assert_eq!(milliseconds("100"), Ok(Duration::from_millis(100)));
        assert_eq!(milliseconds("100ms"), Ok(Duration::from_millis(100)));
        assert_eq!(milliseconds("2 s"), Ok(Duration::from_secs(2)));
        assert_eq!(microseconds("50"), Ok(Duration::from_micros(50)));
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(time("250us"), Ok(Duration::from_micros(250)));
        for wrong in ["5m", "", "-1", "ms"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
        assert!(time("5").is_err());
    }
}
