//! How long something may take, as a flag says it: seconds, of which there may be a part.

/// No flag takes less.
const SECONDS_MIN: f64 = 0.01;

/// The number that a flag was given, at most `max`.
pub(super) fn seconds(text: &str, max: f64) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (SECONDS_MIN..=max).contains(number));
    number.ok_or_else(|| format!("give {SECONDS_MIN} to {max} seconds"))
}
