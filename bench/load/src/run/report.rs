//! The result of a run as text, JSON or CSV, and its limits.

use std::{
    io::{self, Write},
    time::Duration,
};

use serde_json::json;

use crate::{
    outcome::{Latency, Outcome},
    words::Format,
};

/// The limits for a result.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Thresholds {
    /// The longest median.
    pub max_p50: Option<Duration>,
    /// The longest p99.
    pub max_p99: Option<Duration>,
    /// The longest p99.9.
    pub max_p999: Option<Duration>,
    /// The fewest replies a second.
    pub min_rate: Option<f64>,
    /// The most errors.
    pub max_errors: u64,
}

impl Thresholds {
    /// What does not hold, a sentence each.
    pub fn violations(&self, outcome: &Outcome) -> Vec<String> {
        let Latency { p50_us, p99_us, p999_us, .. } = outcome.met();
        let mut violations = Vec::new();
        for (name, us, bound) in
            [("p50", p50_us, self.max_p50), ("p99", p99_us, self.max_p99), ("p99.9", p999_us, self.max_p999)]
        {
            if let Some(bound) = bound.filter(|bound| us > bound.as_secs_f64() * 1e6) {
                violations.push(format!("{name} is {us:.1} µs, above {bound:?}"));
            }
        }
        if let Some(bound) = self.min_rate.filter(|bound| outcome.rate < *bound) {
            violations.push(format!("the rate is {:.0} /s, below {bound:.0}", outcome.rate));
        }
        let errors = outcome.errors.total();
        if errors > self.max_errors {
            violations.push(format!("{errors} errors, above {}: {}", self.max_errors, outcome.errors));
        }
        violations.extend(outcome.gave_up.iter().map(|reason| format!("given up: {reason}")));
        violations
    }
}

/// Writes a result, and which limits it did not meet.
pub(super) fn write(
    out: &mut dyn Write,
    outcome: &Outcome,
    violations: &[String],
    format: Format,
) -> io::Result<()> {
    match format {
        Format::Text => {
            writeln!(out, "{outcome}")?;
            violations.iter().try_for_each(|violation| writeln!(out, "FAILED    {violation}"))
        }
        Format::Json => {
            let mut value = serde_json::to_value(outcome)?;
            value["failed"] = json!(violations);
            writeln!(out, "{value}")
        }
        Format::Csv => {
            let columns = columns(outcome);
            let names: Vec<_> = columns.iter().map(|(name, _)| name.as_str()).collect();
            let values: Vec<_> = columns.iter().map(|(_, value)| value.as_str()).collect();
            writeln!(out, "{}\n{}", names.join(","), values.join(","))
        }
    }
}

/// Names and values of one line; none needs quotes.
fn columns(outcome: &Outcome) -> Vec<(String, String)> {
    let mut columns = vec![
        ("replies".to_owned(), outcome.replies.to_string()),
        ("seconds".to_owned(), outcome.seconds.to_string()),
        ("rate".to_owned(), outcome.rate.to_string()),
        ("target_rate".to_owned(), outcome.target_rate.map_or_else(String::new, |rate| rate.to_string())),
    ];
    for (name, latency) in [("service", Some(outcome.service)), ("response", outcome.response)] {
        let figure =
            |of: fn(&Latency) -> f64| latency.as_ref().map_or_else(String::new, |l| of(l).to_string());
        columns.extend([
            (format!("{name}_p50_us"), figure(|l| l.p50_us)),
            (format!("{name}_p90_us"), figure(|l| l.p90_us)),
            (format!("{name}_p99_us"), figure(|l| l.p99_us)),
            (format!("{name}_p999_us"), figure(|l| l.p999_us)),
            (format!("{name}_max_us"), figure(|l| l.max_us)),
        ]);
    }
    columns
        .extend(outcome.errors.by_kind().map(|(name, count)| (format!("errors_{name}"), count.to_string())));
    columns.extend([
        ("client_cpu".to_owned(), outcome.client.cpu.to_string()),
        ("client_saturated".to_owned(), outcome.client.saturated.to_string()),
        ("ceiling".to_owned(), outcome.ceiling.map_or_else(String::new, |rate| rate.to_string())),
    ]);
    columns
}
