//! Percentiles of times, in microseconds.

use hdrhistogram::Histogram;

use crate::outcome::microseconds;

/// The longest time that is distinguished from longer ones: ten minutes, in nanoseconds.
const TIME_NS_MAX: u64 = 600_000_000_000;

/// An empty histogram of nanoseconds, three significant digits, that never needs to grow.
pub(super) fn histogram() -> Histogram<u64> {
    let mut histogram = Histogram::new_with_max(TIME_NS_MAX, 3)
        .expect("ten minutes in nanoseconds at three digits are within the histogram's bounds");
    histogram.auto(false);
    histogram
}

/// Percentiles, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Times {
    /// How many times there were; with none the others are 0.
    pub count: u64,
    /// The median.
    pub p50_us: f64,
    /// Nine of ten are at or below.
    pub p90_us: f64,
    /// Ninety-nine of a hundred are at or below.
    pub p99_us: f64,
    /// The longest.
    pub max_us: f64,
}

impl Times {
    /// Of a histogram of nanoseconds.
    pub(super) fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| microseconds(histogram.value_at_quantile(quantile));
        Self {
            count: histogram.len(),
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            max_us: microseconds(histogram.max()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_in_microseconds() {
        let mut histogram = histogram();
        (1..=1_000).for_each(|us| histogram.saturating_record(us * 1_000));
        let times = Times::of(&histogram);
        assert_eq!(times.count, 1_000);
        assert!((times.p50_us - 500.0).abs() < 1.0 && (times.p90_us - 900.0).abs() < 2.0);
        assert!((times.p99_us - 990.0).abs() < 2.0 && (times.max_us - 1_000.0).abs() < 2.0);
        assert_eq!(Times::of(&super::histogram()), Times::default());
    }
}
