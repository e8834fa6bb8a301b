//! What a run found: counts, rate, latency, and whether the tester itself was the limit. Plain data; the text
//! and the JSON are printers of it.

use std::{fmt, time::Duration};

use hdrhistogram::Histogram;
use serde::Serialize;

/// The longest latency that is told apart from longer ones: a minute, in nanoseconds.
const LATENCY_NS_MAX: u64 = 60_000_000_000;
/// From this share of a core on, the tester's one thread is the limit of what it measured.
const SATURATED_CPU: f64 = 0.9;
/// From this share of its time on, the tester always had something to do, whether or not it was given a core.
const NEVER_IDLE: f64 = 0.95;

/// An empty histogram of nanoseconds, three significant digits, that never needs to grow.
pub fn histogram() -> Histogram<u64> {
    let mut histogram = Histogram::new_with_max(LATENCY_NS_MAX, 3)
        .expect("a minute in nanoseconds at three digits is within the histogram's bounds");
    histogram.auto(false);
    histogram
}

/// Percentiles of a latency, in microseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Latency {
    /// The median.
    pub p50_us: f64,
    /// Nine of ten are at or below.
    pub p90_us: f64,
    /// Ninety-nine of a hundred are at or below.
    pub p99_us: f64,
    /// All but one of a thousand are at or below.
    pub p999_us: f64,
    /// The longest.
    pub max_us: f64,
}

impl Latency {
    /// The percentiles of a histogram of nanoseconds.
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| microseconds(histogram.value_at_quantile(quantile));
        Self {
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: microseconds(histogram.max()),
        }
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { p50_us, p90_us, p99_us, p999_us, max_us } = self;
        write!(
            f,
            "p50 {p50_us:.1} µs, p90 {p90_us:.1} µs, p99 {p99_us:.1} µs, p99.9 {p999_us:.1} µs, max {max_us:.1} µs"
        )
    }
}

/// One closed-loop run.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// Replies that arrived while measuring.
    pub replies: u64,
    /// How long was measured.
    pub seconds: f64,
    /// Replies a second.
    pub rate: f64,
    /// From just before the write that held a report to just after the read that held its reply. In a closed
    /// loop a slow server is asked less often, so these are service times under this load, not what clients
    /// arriving on their own clock would see.
    pub latency: Latency,
    /// Share of one core that the tester's thread used.
    pub client_cpu: f64,
    /// Share of the time that the tester's thread was not waiting for replies. Far above `client_cpu`, it says
    /// that tester and server compete for the same cores: then the machine is the limit.
    pub client_busy: f64,
    /// Whether the tester's thread used up its core; then the rate is a lower bound.
    pub client_saturated: bool,
    /// Reports sent in all, warming up included.
    pub sent: u64,
    /// Replies that were not what they had to be.
    pub wrong: u64,
    /// The first of those.
    pub first_wrong: Option<String>,
}

impl Outcome {
    /// Fills in the shares and the rate from what was measured.
    pub fn measured(elapsed: Duration, replies: u64, cpu: Duration, waited: Duration) -> Self {
        let seconds = elapsed.as_secs_f64().max(1e-9);
        let client_cpu = cpu.as_secs_f64() / seconds;
        Self {
            replies,
            seconds,
            rate: replies as f64 / seconds,
            latency: Latency::default(),
            client_cpu,
            client_busy: (1.0 - waited.as_secs_f64() / seconds).max(0.0),
            client_saturated: client_cpu >= SATURATED_CPU,
            sent: 0,
            wrong: 0,
            first_wrong: None,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "replies   {} in {:.3} s", self.replies, self.seconds)?;
        writeln!(f, "rate      {:.0} /s", self.rate)?;
        writeln!(f, "latency   {}", self.latency)?;
        let verdict = if self.client_saturated {
            "saturated: the rate is a lower bound"
        } else if self.client_busy >= NEVER_IDLE {
            "not saturated, but never idle: it shares its cores with others"
        } else {
            "not saturated"
        };
        let (cpu, busy) = (self.client_cpu, self.client_busy);
        write!(f, "client    {cpu:.2} of a core, busy {busy:.2} of the time, {verdict}")?;
        if let Some(line) = &self.first_wrong {
            write!(f, "\nWRONG     {} replies, the first: {line:?}", self.wrong)?;
        }
        Ok(())
    }
}

fn microseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_in_microseconds() {
        let mut histogram = histogram();
        (1..=1_000).for_each(|us| histogram.saturating_record(us * 1_000));
        let latency = Latency::of(&histogram);
        assert!((latency.p50_us - 500.0).abs() < 1.0);
        assert!((latency.p99_us - 990.0).abs() < 2.0);
        assert!((latency.max_us - 1_000.0).abs() < 2.0);
    }

    #[test]
    fn a_tester_that_used_up_its_core_is_saturated() {
        let second = Duration::from_secs(1);
        let hardly = Duration::from_millis(10);
        let full = Outcome::measured(second, 10, second, hardly);
        assert!(full.client_saturated && full.to_string().contains("lower bound"));
        let crowded = Outcome::measured(second, 10, second / 2, hardly);
        assert!(!crowded.client_saturated && crowded.to_string().contains("never idle"));
        let calm = Outcome::measured(second, 10, second / 2, second / 2);
        assert!(!calm.client_saturated && calm.to_string().ends_with("not saturated"));
        assert!((calm.rate - 10.0).abs() < 1e-9);
    }
}
