//! What a trial says in numbers, and the numbers of all rounds as a table.

use std::{fmt::Write, time::Duration};

use serde_json::{Value, json};

use super::{
    super::meter::{Amount, Said},
    graphs::Kind,
    trial::{Flooded, Healed, Trial},
};

/// One number of one herd.
#[derive(Clone, Debug)]
pub(super) struct Figure {
    pub(super) what: String,
    unit: &'static str,
    value: f64,
}

/// A figure, with its place in the run.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) round: u64,
    pub(super) kind: Kind,
    pub(super) nodes: usize,
    pub(super) figure: Figure,
}

impl Sample {
    /// A line of raw.jsonl, with the names the other run folders have.
    pub(super) fn as_json(&self) -> Value {
        let Self { round, kind, nodes, figure: Figure { what, unit, value } } = self;
        json!({
            "round": round, "part": format!("{kind}, {nodes} nodes"), "what": what, "unit": unit, "value": value,
            "at": { "nodes": nodes }, "target": null, "invalid": null,
        })
    }
}

/// All figures of a trial, in the order of the table.
pub(super) fn figures(trial: &Trial) -> Vec<Figure> {
    let mut figures = Vec::new();
    let mut add = |what: &str, unit, value: f64| {
        figures.push(Figure { what: what.to_owned(), unit, value });
    };
    let (nodes, links) = (trial.nodes as f64, trial.links as f64);
    let of_reports = |value: &dyn Fn(&Flooded) -> usize| {
        let mut values: Vec<usize> = trial.reports.iter().map(value).collect();
        values.sort_unstable();
        values
    };
    let middle = |values: &[usize]| values[values.len() / 2] as f64;
    let most = |values: &[usize]| values.last().copied().unwrap_or(0) as f64;
    let lines = of_reports(&|report| report.lines);
    let bytes = middle(&of_reports(&|report| report.bytes));
    add("links", "", links);
    add("a report: AT lines, the fewest of five", "lines", lines[0] as f64);
    add("a report: AT lines, the most of five", "lines", most(&lines));
    add("a report: 2 links − (nodes − 1)", "lines", 2.0 * links - (nodes - 1.0));
    add("a report: AT lines a node", "lines", middle(&lines) / nodes);
    add("a report: AT lines of the busiest node", "lines", most(&of_reports(&|report| report.lines_of_one)));
    add("a report: bytes of AT lines, whole herd", "kB", bytes / 1e3);
    add("a report: links passed until half of the nodes know", "hops", {
        middle(&of_reports(&|report| report.hops[report.hops.len() / 2]))
    });
    add("a report: links passed until all know, the most of five", "hops", {
        most(&of_reports(&|report| most(&report.hops) as usize))
    });
    add("a report: links to the furthest node, the most of five", "hops", {
        most(&of_reports(&|report| most(&report.distances) as usize))
    });
    add("one report a second at each node: AT lines in, a node", "lines/s", middle(&lines));
    add("one report a second at each node: AT bytes in, a node", "kB/s", bytes / 1e3);
    let seconds = trial.quiet.time.as_secs_f64();
    let quiet = |amount: Amount| amount.bytes as f64 / seconds;
    let said = trial.quiet.said;
    add("quiet: rounds a link and direction in 30 s", "rounds", trial.quiet.rounds as f64 / (2.0 * links));
    add("quiet: pings, a link", "bytes/s", quiet(said.pings) / links);
    add("quiet: sums, a link", "bytes/s", quiet(said.sums) / links);
    add("quiet: all, a node", "bytes/s", (quiet(said.pings) + quiet(said.sums)) / nodes);
    add("quiet: all, whole herd", "kB/s", (quiet(said.pings) + quiet(said.sums)) / 1e3);
    healed("partition", &trial.partition, &mut add);
    healed("absence", &trial.absence, &mut add);
    figures
}

fn healed(of: &str, healed: &Healed, add: &mut dyn FnMut(&str, &'static str, f64)) {
    add(&format!("{of}: links cut"), "", healed.links_cut as f64);
    add(&format!("{of}: parts the herd falls into"), "", healed.parts as f64);
    let ends = [("all know all", healed.known), ("all links are silent", healed.settled)];
    for (end, (time, said)) in ends {
        repair(&format!("{of}, healed until {end}"), time, &said, add);
    }
}

fn repair(of: &str, time: Duration, said: &Said, add: &mut dyn FnMut(&str, &'static str, f64)) {
    let kilobytes = |amount: Amount| amount.bytes as f64 / 1e3;
    add(&format!("{of}: time"), "s", time.as_secs_f64());
    add(&format!("{of}: sums and lists"), "kB", kilobytes(said.sums));
    add(&format!("{of}: pushes"), "kB", kilobytes(said.pushes));
    add(&format!("{of}: pushed"), "lines", said.pushes.lines as f64);
    add(&format!("{of}: all but pings"), "kB", kilobytes(said.repair() + said.news));
}

/// The document of a run: for each graph a table with a column for each size.
pub(super) fn summary(rounds: u64, sizes: &[usize], samples: &[Sample]) -> String {
    let mut text = format!(
        "# scale\n\nRounds: {rounds}, each with graphs, places of reports and sides of partitions of its own. One process \
         simulates all nodes: their own code, no sockets, a virtual clock; a byte takes 1 ms from node to node, a node \
         no time. Figures are medians over the rounds (least to greatest). Bytes are those of lines, without what TCP \
         and IP add.\n"
    );
    for kind in Kind::ALL {
        let _ = write!(text, "\n## {kind}\n\n{}\n\n| what | unit |", kind.about());
        sizes.iter().for_each(|size| text.push_str(&format!(" {size} nodes |")));
        text.push_str(&format!("\n|---|---|{}\n", "---|".repeat(sizes.len())));
        let of_kind: Vec<&Sample> = samples.iter().filter(|sample| sample.kind == kind).collect();
        let first = of_kind.iter().filter(|sample| sample.round == 1 && sample.nodes == sizes[0]);
        for Sample { figure: Figure { what, unit, .. }, .. } in first {
            let _ = write!(text, "| {what} | {unit} |");
            for &size in sizes {
                let same =
                    of_kind.iter().filter(|sample| sample.nodes == size && sample.figure.what == *what);
                let _ = write!(text, " {} |", spread(same.map(|sample| sample.figure.value).collect()));
            }
            text.push('\n');
        }
    }
    text
}

/// The median, and the least and the greatest where they are others.
fn spread(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    let (Some(&least), Some(&most)) = (values.first(), values.last()) else { return "–".to_owned() };
    let median = number(values[values.len() / 2]);
    if least == most { median } else { format!("{median} ({} to {})", number(least), number(most)) }
}

/// Three digits at least, and no fraction where there is none or it says nothing.
fn number(value: f64) -> String {
    let decimals = if value >= 100.0 || value.fract() == 0.0 { 0 } else { 2 };
    format!("{value:.decimals$}")
}

#[test]
fn summary_has_a_column_for_each_size_and_the_spread_of_the_rounds() {
    let sample = |round, nodes, value| Sample {
        round,
        kind: Kind::Tree,
        nodes,
        figure: Figure { what: "links".into(), unit: "", value },
    };
    let samples = [sample(1, 10, 9.0), sample(2, 10, 9.0), sample(1, 20, 0.5), sample(2, 20, 7.25)];
    let text = summary(2, &[10, 20], &samples);
    assert!(text.contains("| what | unit | 10 nodes | 20 nodes |"), "{text}");
    assert!(text.contains("| links |  | 9 | 7.25 (0.50 to 7.25) |"), "{text}");
    // Who reads a run tells figures apart by their part, not by the load.
    assert_eq!(samples[2].as_json()["part"], "tree of regions, 20 nodes");
}
