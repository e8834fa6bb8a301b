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
    duration(text, Some(1.0))
}

/// The same, and more than none.
pub fn some_seconds(text: &str) -> Result<Duration, String> {
    seconds(text).and_then(|time| (!time.is_zero()).then_some(time).ok_or("must be more than 0".to_owned()))
}

/// Milliseconds, or a time with its unit.
pub fn milliseconds(text: &str) -> Result<Duration, String> {
    duration(text, Some(1e-3))
}

/// Microseconds, or a time with its unit.
pub fn microseconds(text: &str) -> Result<Duration, String> {
    duration(text, Some(1e-6))
}

/// A time with its unit.
pub fn time(text: &str) -> Result<Duration, String> {
    duration(text, None)
}

/// A time with units, or a number of the unit that it has by default, which is so many seconds.
fn duration(text: &str, unit: Option<f64>) -> Result<Duration, String> {
    match (text.parse::<f64>(), unit) {
        (Ok(number), Some(unit)) => {
            Duration::try_from_secs_f64(number * unit).map_err(|error| error.to_string())
        }
        _ => humantime::parse_duration(text)
            .map_err(|error| format!("{error}; give a time such as 250us, 5ms, 1.5s or 1m30s")),
    }
}

/// What a command line says that has nothing but these words: where a plan's defaults are.
pub fn usual<A: clap::Args>(words: &[&str]) -> A {
    let command = A::augment_args(clap::Command::new("usual").no_binary_name(true));
    A::from_arg_matches(&command.get_matches_from(words)).unwrap_or_else(|error| error.exit())
}

/// A time as JSON has it.
pub fn as_seconds<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

/// Microseconds in the unit that suits them.
pub fn shown(us: f64) -> String {
    match us {
        ..1e3 => format!("{us:.1} µs"),
        ..1e6 => format!("{:.2} ms", us / 1e3),
        _ => format!("{:.2} s", us / 1e6),
    }
}

/// Something a second: whole where that is exact to a percent.
pub fn per_second(rate: f64) -> String {
    let decimals = match rate {
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    format!("{rate:.decimals$} /s")
}

/// So many of something: `1 turn`, `2 turns`.
pub fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Each once, in the order they first come.
pub fn distinct<T: PartialEq>(all: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut distinct = Vec::new();
    for one in all {
        if !distinct.contains(&one) {
            distinct.push(one);
        }
    }
    distinct
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
        assert_eq!(seconds("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(time("1.5s"), Ok(Duration::from_millis(1_500)));
        for wrong in ["5x", "", "-1", "ms", "nan", "1m-30s"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
        assert!(time("5").is_err() && some_seconds("0").is_err() && some_seconds("0ms").is_err());
    }

    #[test]
    fn rates_and_counts_are_told_as_they_are() {
        assert_eq!([0.5, 12.0, 20_000.4].map(per_second), ["0.50 /s", "12.0 /s", "20000 /s"]);
        assert_eq!([0, 1, 2].map(|count| counted(count, "turn")), ["0 turns", "1 turn", "2 turns"]);
    }

    #[test]
    fn a_time_is_shown_in_the_unit_that_suits_it() {
        assert_eq!([0.04, 999.9, 1_234.0, 2.5e6].map(shown), ["0.0 µs", "999.9 µs", "1.23 ms", "2.50 s"]);
    }
}
