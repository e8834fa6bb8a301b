//! The summary of a comparison, as Markdown: pure text from samples, so that a test can read it.

use std::fmt::Write;

use super::{
    Comparison, Sample, Subject, Trial, WINDOWS,
    statistics::{Spread, of, ratios},
};

/// The whole document.
pub(super) fn render(comparison: &Comparison, line_length: usize, samples: &[Sample]) -> String {
    let mut text = String::new();
    head(&mut text, comparison, line_length, samples);
    throughput(&mut text, comparison, samples);
    hops(&mut text, comparison, samples);
    text
}

fn head(text: &mut String, comparison: &Comparison, line_length: usize, samples: &[Sample]) {
    let Comparison { what, rounds, seconds, warmup, connections, clients, .. } = comparison;
    let (seconds, warmup) = (seconds.as_secs_f64(), warmup.as_secs_f64());
    put(text, &format!("# {what}\n"));
    put(
        text,
        &format!(
            "{rounds} rounds. {clients} clients, each reported once before measuring; every report newer than the \
             last. {connections} connections, {warmup} s of warm-up, {seconds} s measured. Replies of \
             {line_length} bytes and a newline. Client and server share the machine (machine.txt). Figures are \
             medians over the rounds (least to greatest); ratios are taken within each round, whose servers run side by side and take turns. Only ratios carry \
             over to other machines.\n"
        ),
    );
    for trial in WINDOWS.map(Trial::Throughput).into_iter().chain([Trial::HopBackToBack, Trial::HopIdle]) {
        for subject in trial.subjects() {
            objections(text, samples, trial, subject);
        }
    }
}

/// Says which rounds of a row do not count, and why the first of them does not.
fn objections(text: &mut String, samples: &[Sample], trial: Trial, subject: Subject) {
    let invalid: Vec<_> = of(samples, trial, subject)
        .filter_map(|sample| sample.invalid.as_ref().map(|reason| (sample.round, reason)))
        .collect();
    if let [(_, reason), ..] = invalid[..] {
        let rounds: Vec<_> = invalid.iter().map(|(round, _)| round.to_string()).collect();
        put(text, &format!("**INVALID: {trial}, {subject}, in round {}: {reason}.**\n", rounds.join(", ")));
    }
}

fn throughput(text: &mut String, comparison: &Comparison, samples: &[Sample]) {
    let connections = comparison.connections;
    put(text, &format!("## Throughput, C={connections}: thousand requests a second\n"));
    put(
        text,
        "| trial | server | k/s | of echo | target | verdict | p50 µs | p99 µs | client saturated |\n\
         |---|---|---|---|---|---|---|---|---|",
    );
    for trial in WINDOWS.map(Trial::Throughput) {
        for subject in trial.subjects() {
            let [figure, ratio, target, verdict] = compared(samples, trial, subject, 1_000.0);
            let p50 = median_of(samples, trial, subject, |sample| sample.latency().p50_us);
            let p99 = median_of(samples, trial, subject, |sample| sample.latency().p99_us);
            let rounds = of(samples, trial, subject).count();
            let saturated = of(samples, trial, subject).filter(|sample| sample.client_saturated()).count();
            put(
                text,
                &format!(
                    "| {trial} | {subject} | {figure} | {ratio} | {target} | {verdict} | {p50} | {p99} | \
                     {saturated} of {rounds} rounds |"
                ),
            );
        }
    }
    put(
        text,
        "\nLatencies are those of a closed loop: a slow server is asked less often. Where the client is saturated \
         the figure is a lower bound.\n",
    );
}

fn hops(text: &mut String, comparison: &Comparison, samples: &[Sample]) {
    let plan = comparison.hops;
    put(text, "## One flood hop: median µs, from the client's write to the neighbour's read\n");
    put(
        text,
        &format!(
            "{} hops back to back and {} after {} ms of pause each, in each round, after {} that are not \
             counted. The servers of a round run side by side and take turns.\n",
            plan.back_to_back, plan.idle, plan.pause_ms, plan.warmup
        ),
    );
    put(
        text,
        "| trial | server | p50 µs | of skeleton | target | verdict | p90 µs | p99 µs |\n\
         |---|---|---|---|---|---|---|---|",
    );
    for trial in [Trial::HopBackToBack, Trial::HopIdle] {
        for subject in trial.subjects() {
            let [figure, ratio, target, verdict] = compared(samples, trial, subject, 1.0);
            let p90 = median_of(samples, trial, subject, |sample| sample.latency().p90_us);
            let p99 = median_of(samples, trial, subject, |sample| sample.latency().p99_us);
            put(
                text,
                &format!(
                    "| {trial} | {subject} | {figure} | {ratio} | {target} | {verdict} | {p90} | {p99} |"
                ),
            );
        }
    }
}

/// Figure, ratio, target and verdict of one row.
fn compared(samples: &[Sample], trial: Trial, subject: Subject, unit: f64) -> [String; 4] {
    let figures = of(samples, trial, subject).map(|sample| sample.figure() / unit).collect();
    let figure = Spread::of(figures).map_or_else(none, |spread| spread_text(spread, 1));
    if subject == trial.base() {
        return [figure, "1".to_owned(), none(), none()];
    }
    let ratio = Spread::of(ratios(samples, trial, subject));
    let target = trial.target(subject);
    let valid = of(samples, trial, subject).all(|sample| sample.invalid.is_none());
    let verdict = match (ratio, target) {
        _ if !valid => "**invalid**".to_owned(),
        (Some(ratio), Some(target)) if target.is_met_by(ratio.median) => "met".to_owned(),
        (Some(_), Some(_)) => "**missed**".to_owned(),
        _ => none(),
    };
    let ratio = ratio.map_or_else(none, |spread| spread_text(spread, 2));
    [figure, ratio, target.map_or_else(none, |target| target.to_string()), verdict]
}

fn median_of(samples: &[Sample], trial: Trial, subject: Subject, figure: impl Fn(&Sample) -> f64) -> String {
    let figures = of(samples, trial, subject).map(figure).collect();
    Spread::of(figures).map_or_else(none, |spread| format!("{:.0}", spread.median))
}

fn spread_text(Spread { median, min, max }: Spread, decimals: usize) -> String {
    format!("{median:.decimals$} ({min:.decimals$} to {max:.decimals$})")
}

fn none() -> String {
    "–".to_owned()
}

fn put(text: &mut String, line: &str) {
    // Writing to a string cannot fail.
    let _infallible = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        compare::Measured,
        hop::HopPlan,
        outcome::{Latency, Outcome},
    };

    fn comparison() -> Comparison {
        Comparison {
            tester: "herd-load".into(),
            herd: "herd".into(),
            what: "threads-against-echo".to_owned(),
            runs: "runs".into(),
            rounds: 2,
            seconds: Duration::from_secs(3),
            warmup: Duration::from_millis(500),
            connections: 50,
            clients: 100_000,
            verify: true,
            hops: HopPlan { warmup: 1, back_to_back: 2, idle: 3, pause_ms: 2 },
        }
    }

    fn rate(round: u32, window: u32, subject: Subject, rate: u32) -> Sample {
        let replies = u64::from(rate);
        let outcome =
            Outcome::measured(Duration::from_secs(1), replies, Duration::ZERO, Duration::from_secs(1));
        let measured = Measured::Throughput(outcome);
        Sample { round, trial: Trial::Throughput(window), subject, measured, invalid: None }
    }

    fn hop(round: u32, subject: Subject, p50_us: f64) -> Sample {
        let measured = Measured::Hop(Latency { p50_us, ..Latency::default() });
        Sample { round, trial: Trial::HopBackToBack, subject, measured, invalid: None }
    }

    fn row<'a>(text: &'a str, trial: &str, subject: &str) -> &'a str {
        let start = format!("| {trial} | {subject} |");
        text.lines().find(|line| line.starts_with(&start)).unwrap()
    }

    #[test]
    fn targets_are_judged_by_the_median_ratio() {
        let samples = [
            rate(1, 1, Subject::Echo, 100_000),
            rate(1, 1, Subject::Node, 95_000),
            rate(1, 1, Subject::NodeLogging, 70_000),
            rate(2, 1, Subject::Echo, 200_000),
            rate(2, 1, Subject::Node, 180_000),
            rate(2, 1, Subject::NodeLogging, 140_000),
            hop(1, Subject::Skeleton, 20.0),
            hop(1, Subject::Node, 25.0),
            hop(1, Subject::NodeLogging, 25.2),
        ];
        let text = render(&comparison(), 86, &samples);
        assert!(
            row(&text, "P=1", "node, no log")
                .contains("| 137.5 (95.0 to 180.0) | 0.93 (0.90 to 0.95) | ≥ 0.90 | met |")
        );
        assert!(row(&text, "P=1", "node, log").contains("| ≥ 0.78 | **missed** |"));
        assert!(row(&text, "hop, back to back", "node, no log").contains("| ≤ 1.25 | met |"));
        assert!(row(&text, "hop, back to back", "node, log").contains("| **missed** |"));
        assert!(!text.contains("INVALID"));
    }

    #[test]
    fn a_run_that_dropped_log_lines_is_marked() {
        let dropped = Sample {
            invalid: Some("the node's log dropped traffic lines".to_owned()),
            ..rate(1, 64, Subject::NodeLogging, 1_000)
        };
        let samples = [rate(1, 64, Subject::Echo, 1_000), dropped];
        let text = render(&comparison(), 86, &samples);
        assert!(
            text.contains("**INVALID: P=64, node, log, in round 1: the node's log dropped traffic lines.**")
        );
        assert!(row(&text, "P=64", "node, log").contains("| **invalid** |"));
    }
}
