//! The distribution of durations: counts between fixed bounds, and their sum.

use std::{
    array,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// The upper bounds of the buckets: from the time of a request on a quiet machine to more than any client waits.
pub const BOUNDS: [Duration; 19] = {
    const fn micros(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }
    [
        micros(10),
        micros(25),
        micros(50),
        micros(100),
        micros(250),
        micros(500),
        micros(1_000),
        micros(2_500),
        micros(5_000),
        micros(10_000),
        micros(25_000),
        micros(50_000),
        micros(100_000),
        micros(250_000),
        micros(500_000),
        micros(1_000_000),
        micros(2_500_000),
        micros(5_000_000),
        micros(10_000_000),
    ]
};

/// A histogram that many threads add to.
#[derive(Debug)]
pub struct Histogram {
    /// One per bound, and one for everything beyond the last.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: array::from_fn(|_| AtomicU64::new(0)), nanoseconds: AtomicU64::new(0) }
    }
}

impl Histogram {
    /// So many requests took that long.
    pub fn add(&self, took: Duration, count: u64) {
        let bucket = BOUNDS.partition_point(|&bound| bound < took);
        self.buckets[bucket].fetch_add(count, Ordering::Relaxed);
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds.saturating_mul(count), Ordering::Relaxed);
    }
}

/// The contents of a histogram when it was read.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Spread {
    buckets: [u64; BOUNDS.len() + 1],
    nanoseconds: u64,
}

impl Spread {
    /// Adds the present contents of `histogram`.
    pub fn add(&mut self, histogram: &Histogram) {
        for (sum, bucket) in self.buckets.iter_mut().zip(&histogram.buckets) {
            *sum += bucket.load(Ordering::Relaxed);
        }
        self.nanoseconds += histogram.nanoseconds.load(Ordering::Relaxed);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The sum of their durations, in seconds.
    pub fn sum_seconds(&self) -> f64 {
        self.nanoseconds as f64 / 1e9
    }

    /// For each bucket its upper bound in seconds, infinite for the last, and its count.
    pub fn buckets(&self) -> Vec<(f64, u64)> {
        let bounds = BOUNDS.iter().map(Duration::as_secs_f64).chain([f64::INFINITY]);
        bounds.zip(self.buckets).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_fall_into_the_bucket_whose_bound_they_do_not_pass() {
        let histogram = Histogram::default();
        histogram.add(Duration::from_micros(10), 3);
        histogram.add(Duration::from_nanos(10_001), 2);
        histogram.add(Duration::from_secs(11), 1);
        let mut spread = Spread::default();
        spread.add(&histogram);
        let filled: Vec<_> = spread.buckets().into_iter().filter(|&(_, count)| count > 0).collect();
        assert_eq!(filled, [(10e-6, 3), (25e-6, 2), (f64::INFINITY, 1)]);
        assert_eq!(spread.count(), 6);
        assert_eq!(spread.sum_seconds(), 11.000_050_002);
    }
}
