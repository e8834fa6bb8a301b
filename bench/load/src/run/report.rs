//! The result of a run as text, JSON or CSV, and what was wrong with it.

use std::{fmt::Write, iter, path::PathBuf, time::Duration};

use chrono::{DateTime, SecondsFormat, Utc};
use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::Run;
use crate::{
    disturbance::Disturbance,
    exit::Exit,
    load::Load,
    machine::Machine,
    outcome::{End, Latency, Outcome, microseconds},
    words::{Format, counted, per_second, shown, time},
};

/// The limits for a result, as clap reads them.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Thresholds {
    /// Miss the target if the median is above this; 250us, 5ms, 1s. Of response times with -R, else of service times
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub max_p50: Option<Duration>,
    /// Miss the target if 99 of 100 are not within this
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub max_p99: Option<Duration>,
    /// Miss the target if 999 of 1,000 are not within this
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub max_p999: Option<Duration>,
    /// Miss the target if there are fewer replies a second
    #[arg(long, value_name = "PER-SECOND")]
    pub min_rate: Option<f64>,
    /// Fail only if there are more errors
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub max_errors: u64,
}

/// How a result is written, as clap reads it.
#[derive(Clone, Debug, clap::Args)]
pub struct Written {
    /// How the result is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub output_format: Format,
    /// Also show how many replies came how soon, as bars
    #[arg(long)]
    pub histogram: bool,
    /// Also write all percentiles, in the form of HdrHistogram and wrk2
    #[arg(long)]
    pub spectrum: bool,
    /// The file to write to, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// An HdrHistogram log of each second's latencies
    #[arg(long, value_name = "FILE")]
    pub hdr: Option<PathBuf>,
}

impl Thresholds {
    /// Why the result counts for nothing, a sentence each; and what may help.
    pub fn failures(&self, outcome: &Outcome, load: &Load) -> Vec<String> {
        let mut failures = Vec::new();
        let Outcome { errors, replies, gave_up, .. } = outcome;
        if errors.total() > self.max_errors {
            let total = counted(errors.total(), "error");
            failures.push(format!("{total}, above {}: {errors}", self.max_errors));
            if *replies > 0 && errors.closed + errors.unanswered >= *replies && !load.reconnect {
                failures.push(
                    "the server closes connections early: if after each reply, use --reconnect".to_owned(),
                );
            }
        }
        failures.extend(gave_up.iter().map(|reason| format!("given up: {reason}")));
        if *replies == 0 {
            failures.push("nothing was measured: no reply counts".to_owned());
        }
        if *replies == 0 && gave_up.is_some() && !load.half_close {
            failures.push(
                "a server that reads to the end of its input needs --reconnect --half-close".to_owned(),
            );
        }
        failures
    }

    /// Which limits the result does not keep, a sentence each. What measured nothing keeps none.
    pub fn missed(&self, outcome: &Outcome) -> Vec<String> {
        let us = |of: fn(&Latency) -> f64| outcome.met().as_ref().map(of);
        let mut missed = Vec::new();
        for (name, us, bound) in [
            ("p50", us(|met| met.p50_us), self.max_p50),
            ("p99", us(|met| met.p99_us), self.max_p99),
            ("p99.9", us(|met| met.p999_us), self.max_p999),
        ] {
            match (us, bound) {
                (Some(us), Some(bound)) if us > bound.as_secs_f64() * 1e6 => {
                    missed.push(format!("{name} is {}, above {bound:?}", shown(us)));
                }
                (None, Some(bound)) => missed.push(format!("{name} is not known, so not within {bound:?}")),
                _ => {}
            }
        }
        if let Some(bound) = self.min_rate.filter(|bound| outcome.rate < *bound) {
            missed.push(format!("the rate is {}, below {bound}", per_second(outcome.rate)));
        }
        missed
    }
}

/// A run and what came of it.
pub(super) struct Report<'a> {
    pub(super) run: &'a Run,
    pub(super) started: DateTime<Utc>,
    pub(super) machine: Machine,
    /// What else the machine did meanwhile, if that is known.
    pub(super) seen: Option<Disturbance>,
    pub(super) outcome: &'a Outcome,
    /// What clients met, in nanoseconds.
    pub(super) met: &'a Histogram<u64>,
}

impl Report<'_> {
    pub(super) fn exit(&self) -> Exit {
        let Self { run: Run { thresholds, load, .. }, outcome, .. } = self;
        match (outcome.end, &thresholds.failures(outcome, load)[..], &thresholds.missed(outcome)[..]) {
            (End::Interrupted, ..) => Exit::Interrupted,
            (_, [], []) => Exit::Good,
            (_, [], _) => Exit::Missed,
            _ => Exit::Failed,
        }
    }

    pub(super) fn written(&self) -> String {
        match self.run.written.output_format {
            Format::Text => self.text(),
            Format::Json => format!("{}\n", self.json()),
            Format::Csv => {
                let mut columns = Vec::new();
                flatten("", &self.figures(), &mut columns);
                let (names, values): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
                format!("{}\n{}\n", names.join(","), values.join(","))
            }
        }
    }

    fn text(&self) -> String {
        let Self { run, outcome, met, seen, .. } = self;
        let addresses: Vec<_> = run.load.targets.iter().map(ToString::to_string).collect();
        let mut text = format!("servers   {}\n{outcome}\n", addresses.join(", "));
        text.extend(seen.as_ref().map(beside));
        for (is_wanted, part) in
            [(run.written.histogram, bars as fn(&_) -> _), (run.written.spectrum, spectrum)]
        {
            if is_wanted {
                let times = if outcome.response.is_some() { "response" } else { "service" };
                text += &format!("\n{times} times\n{}", part(met));
            }
        }
        let [failed, missed] = [run.thresholds.failures(outcome, &run.load), run.thresholds.missed(outcome)];
        text.extend(failed.iter().map(|failure| format!("FAILED    {failure}\n")));
        text.extend(missed.iter().map(|limit| format!("MISSED    {limit}\n")));
        text
    }

    fn json(&self) -> Value {
        let Self { run, started, machine, seen, outcome, met } = self;
        let mut value = json!(outcome);
        value["version"] = run.version.into();
        value["started"] = started.to_rfc3339_opts(SecondsFormat::Millis, true).into();
        value["servers"] = json!(run.servers);
        value["addresses"] = json!(run.load.targets);
        value["settings"] = json!(run.load);
        value["settings"]["prefill"] = run.prefill.into();
        value["machine"] = json!(machine);
        value["disturbance"] = json!(seen);
        if let Some(seen) = value["disturbance"].as_object_mut() {
            // Nothing is judged by it, nor measured again: a server on this machine is among the other processes.
            seen.retain(|name, _| name != "tries" && name != "disturbed");
        }
        value["failed"] = run.thresholds.failures(outcome, &run.load).into();
        value["missed"] = run.thresholds.missed(outcome).into();
        if run.written.spectrum {
            let row = |row: Row| json!({ "us": row.us, "quantile": row.quantile, "replies": row.replies });
            value["spectrum"] = rows(met).map(row).collect();
        }
        value
    }

    /// What a line of CSV holds: the same columns whatever was measured.
    fn figures(&self) -> Value {
        let mut absent = json!(Latency::default());
        let fields = absent.as_object_mut().into_iter().flat_map(|fields| fields.values_mut());
        fields.for_each(|us| *us = Value::Null);
        let mut value = json!(self.outcome);
        for times in ["/service", "/response", "/client/late"] {
            if let Some(times) = value.pointer_mut(times).filter(|times| times.is_null()) {
                *times = absent.clone();
            }
        }
        value
    }
}

/// What else the machine did, in a line.
fn beside(seen: &Disturbance) -> String {
    let [steal, foreign] = [seen.steal, seen.foreign].map(|share| share * 100.0);
    let mut text = format!(
        "machine   the host took {steal:.1} % of it, other processes {foreign:.1} %, a server that runs here among them"
    );
    let waited =
        [("a processor", seen.waited_cpu), ("a disk", seen.waited_io), ("memory", seen.waited_memory)];
    for (what, share) in waited {
        let _ = share.map_or(Ok(()), |share| write!(text, "; some waited for {what} {:.1} %", share * 100.0));
    }
    text + "\n"
}

/// Numbers and words by the path to them. No list is one of either, and none of them needs quotes.
fn flatten(path: &str, value: &Value, columns: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}_{name}") };
                flatten(&path, field, columns);
            }
        }
        Value::Array(_) => {}
        Value::Null => columns.push((path.to_owned(), String::new())),
        Value::String(text) => columns.push((path.to_owned(), text.replace([',', '"', '\n'], " "))),
        other => columns.push((path.to_owned(), other.to_string())),
    }
}

/// A point of a percentile spectrum: so many replies came within a time.
struct Row {
    us: f64,
    quantile: f64,
    replies: u64,
}

/// Five points for each half of what is left above the last.
fn rows(met: &Histogram<u64>) -> impl Iterator<Item = Row> {
    let mut replies = 0;
    met.iter_quantiles(5).map(move |step| {
        replies += step.count_since_last_iteration();
        Row { us: microseconds(step.value_iterated_to()), quantile: step.quantile_iterated_to(), replies }
    })
}

/// The spectrum as HdrHistogram's own tools write and read it, in milliseconds.
fn spectrum(met: &Histogram<u64>) -> String {
    let mut text =
        format!("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    for Row { us, quantile, replies } in rows(met) {
        let _ = write!(text, "{:12.3} {quantile:2.12} {replies:10}", us / 1e3);
        let _ =
            if quantile < 1.0 { writeln!(text, " {:14.2}", 1.0 / (1.0 - quantile)) } else { writeln!(text) };
    }
    let [mean, stdev, max] = [met.mean(), met.stdev(), met.max() as f64].map(|ns| ns / 1e6);
    let _ = writeln!(text, "#[Mean    = {mean:12.3}, StdDeviation   = {stdev:12.3}]");
    let _ = writeln!(text, "#[Max     = {max:12.3}, TotalCount     = {:12}]", met.len());
    let _ = writeln!(text, "#[Buckets = {:12}, SubBuckets     = {:12}]", met.buckets(), 2048);
    text
}

/// How many replies came in each tenth of the time up to p99, and how many later.
fn bars(met: &Histogram<u64>) -> String {
    const BARS: usize = 10;
    const WIDTH: u64 = 50;
    let low = met.min();
    let step = (met.value_at_quantile(0.99).saturating_sub(low) / BARS as u64).max(1);
    let mut counts = [0; BARS + 1];
    for value in met.iter_recorded() {
        let bar = (value.value_iterated_to().saturating_sub(low) / step) as usize;
        counts[bar.min(BARS)] += value.count_since_last_iteration();
    }
    let highest = counts.into_iter().max().unwrap_or(0).max(1);
    let ends = (1..=BARS as u64).map(|bar| low + bar * step).chain([met.max()]);
    let bar = |(end, count): (u64, u64)| {
        let bar = "■".repeat((count * WIDTH).div_ceil(highest) as usize);
        format!("{:>12} {count:>10} {bar}\n", shown(microseconds(end)))
    };
    let head = format!("{:>12} {:>10}\n", "up to", "replies");
    iter::once(head).chain(ends.zip(counts).filter(|(_, count)| *count > 0).map(bar)).collect()
}
