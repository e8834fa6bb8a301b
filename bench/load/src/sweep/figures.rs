//! The figures of one server at one point, made from what was measured. Plans' targets and readers of the raw data use
//! their names.

use serde_json::json;

use super::{
    herd,
    measure::{Measured, Turns},
    pauses::Pauses,
    point::Point,
};
use crate::{
    disturbance::Disturbance,
    outcome::{Latency, Outcome},
    rounds::{Better, Figure},
};

/// All that a target may name.
pub(super) const NAMES: [&str; 24] = [
    "rate",
    "service p50",
    "service p90",
    "service p99",
    "service p99.9",
    "service max",
    "response p50",
    "response p90",
    "response p99",
    "response p99.9",
    "response max",
    "cpu",
    "kernel cpu",
    "client cpu",
    "switches",
    "rss at rest",
    "rss under load",
    "rss a connection",
    "rss a client",
    "accept all",
    "pauses",
    "pause max",
    "pause total",
    IN_STEP,
];

/// Of a herd only.
pub(super) const IN_STEP: &str = "in step";
/// With fewer connections, what each of them takes is lost in what a process does anyway.
const CONNECTIONS_MIN: u32 = 100;
/// With fewer clients for each connection, what the connections leave behind would count as theirs.
const CLIENTS_A_CONNECTION_MIN: u32 = 100;

/// Of a server that was measured.
pub(super) fn of(point: &Point, measured: &Measured) -> Vec<Figure> {
    let Measured { memory, accept_all, prefill, turns, outcome, pauses, .. } = measured;
    let mut figures = under_load(outcome, prefill, turns, memory.loaded);
    figures.push(less("rss at rest", "bytes", memory.rest as f64));
    let connections = point.connections();
    if connections >= CONNECTIONS_MIN {
        figures.push(less("accept all", "s", accept_all.as_secs_f64()));
        let grown = memory.connected.saturating_sub(memory.rest) as f64;
        figures.push(less("rss a connection", "bytes", grown / f64::from(connections)));
    }
    if point.clients() / connections >= CLIENTS_A_CONNECTION_MIN {
        let grown = memory.filled.saturating_sub(memory.rest) as f64;
        figures.push(less("rss a client", "bytes", grown / f64::from(point.clients())));
    }
    if let Some(Pauses { count, longest_us, total_us }) = *pauses {
        figures.push(less("pauses", "", f64::from(count)));
        figures.extend([less("pause max", "µs", longest_us), less("pause total", "µs", total_us)]);
    }
    amid(figures, turns.disturbance)
}

/// Of a herd.
pub(super) fn of_herd(measured: &herd::Measured) -> Vec<Figure> {
    let herd::Measured {
        prefill, outcome, turns, loaded, in_step, hops, amid: [spreading, flooding], ..
    } = measured;
    let mut figures = amid(under_load(outcome, prefill, turns, *loaded), turns.disturbance);
    figures.push(less(IN_STEP, "s", in_step.as_secs_f64()).amid(*spreading));
    for (times, hops) in hops.iter().zip(1..) {
        let Latency { p50_us, p90_us, p99_us, max_us, .. } = *times;
        let ranks = [("hop p50", p50_us), ("hop p90", p90_us), ("hop p99", p99_us), ("hop max", max_us)];
        figures.extend(ranks.map(|(what, us)| less(what, "µs", us).after_hops(hops).amid(*flooding)));
    }
    figures
}

fn amid(figures: Vec<Figure>, disturbance: Option<Disturbance>) -> Vec<Figure> {
    figures.into_iter().map(|figure| figure.amid(disturbance)).collect()
}

fn under_load(outcome: &Outcome, prefill: &Outcome, turns: &Turns, loaded: u64) -> Vec<Figure> {
    let Turns { usage, requests, .. } = turns;
    let requests = (*requests).max(1) as f64;
    let client = outcome.client.cpu * outcome.seconds * 1e6 / outcome.replies.max(1) as f64;
    let [user, system] = [usage.user, usage.system].map(|time| time.as_secs_f64() * 1e6 / requests);
    let detail = json!({ "outcome": outcome, "prefill": prefill });
    let mut figures = vec![Figure::new("rate", "/s", outcome.rate).better(Better::More).with(detail)];
    figures.extend(latencies(outcome));
    figures.extend([
        less("cpu", "µs", user + system).with(json!({ "user": user, "system": system })),
        less("kernel cpu", "µs", system),
        less("client cpu", "µs", client),
        less("switches", "", usage.switches as f64 / requests),
        less("rss under load", "bytes", loaded as f64),
    ]);
    figures
}

/// Percentiles, of service times and, where requests were sent at planned times, of what clients saw.
fn latencies(outcome: &Outcome) -> Vec<Figure> {
    let kinds = [("service", outcome.service), ("response", outcome.response)];
    let percentiles = |(kind, latency): (&str, Option<Latency>)| {
        latency.map(|latency| {
            let Latency { p50_us, p90_us, p99_us, p999_us, max_us, .. } = latency;
            [("p50", p50_us), ("p90", p90_us), ("p99", p99_us), ("p99.9", p999_us), ("max", max_us)]
                .map(|(percentile, us)| less(format!("{kind} {percentile}"), "µs", us))
        })
    };
    kinds.into_iter().filter_map(percentiles).flatten().collect()
}

fn less(what: impl Into<String>, unit: &'static str, value: f64) -> Figure {
    Figure::new(what, unit, value).better(Better::Less)
}

/// Of a server that was not: the reason, as a figure that does not count.
pub(super) fn none(reason: String) -> Vec<Figure> {
    vec![Figure::new("rate", "/s", 0.0).better(Better::More).invalid_if(Some(reason))]
}
