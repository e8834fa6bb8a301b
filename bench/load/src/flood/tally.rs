//! What is counted of the markers, and what comes out in the end.

use std::fmt;

use hdrhistogram::Histogram;

use super::{
    FloodPlan, GIVEN_UP_AFTER,
    figure::Figure,
    probe::{Marked, Prober},
};
use crate::{
    outcome::{Latency, histogram},
    statistics::Better,
};

/// How soon reports were known.
#[derive(Clone, Debug)]
pub struct FloodOutcome {
    /// Where they were made.
    pub from: String,
    /// Reports that were to be measured.
    pub reports: u32,
    /// From just before the write of a report until the reading of its own answer.
    pub reply: Latency,
    /// Those that should learn of them, in the order they were given.
    pub nodes: Vec<NodeOutcome>,
    /// From just before the write of a report until the last of all answers that tell it was read.
    pub every: Latency,
    /// Share of one core that the tester's thread used.
    pub client_cpu: f64,
}

/// How soon one node knew of them.
#[derive(Clone, Debug)]
pub struct NodeOutcome {
    /// As it was named.
    pub server: String,
    /// From just before the write of a report until the answer that tells it was read: an upper bound.
    pub hop: Latency,
    /// From there until the last question was sent that was answered `?`: a lower bound.
    pub not_before: Latency,
    /// From there until the question was sent whose answer has it.
    pub asked: Latency,
    /// That question's round trip, which is in `hop`; half of it or so is the answer's way back.
    pub lookup: Latency,
    /// From one question to the next, which is how finely the node was watched.
    pub spacing: Latency,
    /// A round trip at this node while it had nothing else to do: a question about a client that nobody has.
    pub bare: Latency,
    /// Reports it did not know of in time, those of the warm-up among them.
    pub lost: u32,
    /// Whether it was no longer asked, having lost [`GIVEN_UP_AFTER`] in a row.
    pub is_given_up: bool,
}

impl FloodOutcome {
    /// Whether every node knew of every report in time.
    pub fn is_whole(&self) -> bool {
        self.nodes.iter().all(|node| node.lost == 0)
    }

    /// All of it, one figure a line.
    pub fn figures(&self) -> Vec<Figure> {
        let mut figures = Vec::new();
        for node in &self.nodes {
            figures.extend(Figure::percentiles(&node.server, "hop", &node.hop));
            let medians = [
                ("not before p50", &node.not_before),
                ("asked p50", &node.asked),
                ("lookup p50", &node.lookup),
                ("poll p50", &node.spacing),
                ("bare p50", &node.bare),
            ];
            // Figures that were not timed are left out: a 0 would be the best there is.
            let timed = medians.into_iter().filter(|(_, times)| times.count > 0);
            let median = |(what, times): (&str, &Latency)| {
                Figure::new(&node.server, what, "µs", times.p50_us, Better::Less)
            };
            figures.extend(timed.map(median));
            let count = |what: &str, value, better| Figure::new(&node.server, what, "reports", value, better);
            figures.push(count("known", node.hop.count as f64, Better::More));
            figures.push(count("lost", f64::from(node.lost), Better::Less));
        }
        figures.extend(Figure::percentiles("every node", "hop", &self.every));
        figures.push(Figure::new("every node", "known", "reports", self.every.count as f64, Better::More));
        if self.reply.count > 0 {
            figures.push(Figure::new(&self.from, "reply p50", "µs", self.reply.p50_us, Better::Less));
        }
        figures.push(Figure::new("herd-load", "cpu", "cores", self.client_cpu, Better::Less));
        figures
    }
}

impl fmt::Display for FloodOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let servers = self.nodes.iter().map(|node| node.server.chars().count());
        let width = servers.max().unwrap_or(0).max(EVERY.len());
        writeln!(f, "{} reports at {}, one by one; times in µs\n", self.reports, self.from)?;
        let heads = ["reports", "lost", "p50", "p90", "p99", "max", "not before", "½ lookup", "poll", "bare"];
        row(f, width, "known at", heads.map(str::to_owned))?;
        for node in &self.nodes {
            let [p50, p90, p99, max] = cells(&node.hop);
            let [not_before, lookup, poll, bare] =
                [(&node.not_before, 1.0), (&node.lookup, 0.5), (&node.spacing, 1.0), (&node.bare, 1.0)]
                    .map(|(times, share)| cell(times, times.p50_us * share));
            let (known, lost) = (node.hop.count.to_string(), node.lost.to_string());
            row(f, width, &node.server, [known, lost, p50, p90, p99, max, not_before, lookup, poll, bare])?;
        }
        let [p50, p90, p99, max] = cells(&self.every);
        let none = String::new;
        let every =
            [self.every.count.to_string(), none(), p50, p90, p99, max, none(), none(), none(), none()];
        row(f, width, EVERY, every)?;
        write!(f, "\n{LEGEND}\nclient      {:.2} of a core", self.client_cpu)?;
        if self.reply.count > 0 {
            write!(f, "; a report was answered after {:.1} µs (p50)", self.reply.p50_us)?;
        }
        for node in self.nodes.iter().filter(|node| node.lost > 0) {
            let NodeOutcome { server, lost, is_given_up, .. } = node;
            let then = if *is_given_up { ", and was no longer asked" } else { "" };
            write!(f, "\nLOST        {server} did not know of {lost} reports in time{then}; {HINT}")?;
        }
        Ok(())
    }
}

/// A line of the table.
fn row(f: &mut fmt::Formatter<'_>, width: usize, name: &str, cells: [String; 10]) -> fmt::Result {
    let [known, lost, p50, p90, p99, max, not_before, lookup, poll, bare] = cells;
    let line = format!(
        "{name:width$} {known:>7} {lost:>5} {p50:>9} {p90:>9} {p99:>9} {max:>9}   {not_before:>10} {lookup:>9} {poll:>9} {bare:>9}"
    );
    writeln!(f, "{}", line.trim_end())
}

/// All zeros if nothing was measured.
fn times(histogram: &Histogram<u64>) -> Latency {
    Latency::of(histogram).unwrap_or_default()
}

fn cells(times: &Latency) -> [String; 4] {
    [times.p50_us, times.p90_us, times.p99_us, times.max_us].map(|us| cell(times, us))
}

/// A time, or a dash where nothing was timed.
fn cell(times: &Latency, us: f64) -> String {
    if times.count == 0 { "-".to_owned() } else { format!("{us:.1}") }
}

const EVERY: &str = "every one of these";
const HINT: &str = "is it linked, and does it have a source of places?";
const LEGEND: &str = "\
p50 to max  from just before the report is written until the answer that tells it is read: at most this
not before  until the last question was sent that was answered with `?` (p50): at least this
½ lookup    half the round trip of the question that found it (p50), an upstream's time included: the way back
poll        from one question to the next (p50): nothing finer than this can be told
bare        round trip of a question about an unknown client, the node having nothing else to do (p50)";

/// One node's counts.
#[derive(Debug)]
struct Node {
    hop: Histogram<u64>,
    not_before: Histogram<u64>,
    asked: Histogram<u64>,
    lookup: Histogram<u64>,
    bare: Histogram<u64>,
    lost: u32,
    lost_in_a_row: u32,
    is_given_up: bool,
}

/// The counts so far.
#[derive(Debug)]
pub(super) struct Tally {
    nodes: Vec<Node>,
    every: Histogram<u64>,
    reply: Histogram<u64>,
}

impl Tally {
    pub(super) fn new(nodes: usize) -> Self {
        let node = || Node {
            hop: histogram(),
            not_before: histogram(),
            asked: histogram(),
            lookup: histogram(),
            bare: histogram(),
            lost: 0,
            lost_in_a_row: 0,
            is_given_up: false,
        };
        Self { nodes: (0..nodes).map(|_| node()).collect(), every: histogram(), reply: histogram() }
    }

    /// Takes a node's bare round trips.
    pub(super) fn bare(&mut self, node: usize, took: Histogram<u64>) {
        self.nodes[node].bare = took;
    }

    /// Takes a marker, whose times may be those of a warm-up; returns the nodes that are no longer asked.
    pub(super) fn add(&mut self, marked: &Marked, counts: bool) -> Vec<usize> {
        let mut hopeless = Vec::new();
        for (index, (node, seen)) in self.nodes.iter_mut().zip(&marked.seen).enumerate() {
            match seen {
                _ if node.is_given_up => {}
                Some(seen) => {
                    node.lost_in_a_row = 0;
                    if counts {
                        node.hop.saturating_record(seen.answered_ns);
                        node.not_before.saturating_record(seen.not_before_ns);
                        node.asked.saturating_record(seen.asked_ns);
                        node.lookup.saturating_record(seen.answered_ns - seen.asked_ns);
                    }
                }
                None => {
                    node.lost += 1;
                    node.lost_in_a_row += 1;
                    if node.lost_in_a_row == GIVEN_UP_AFTER {
                        node.is_given_up = true;
                        hopeless.push(index);
                    }
                }
            }
        }
        if counts {
            marked.replied_ns.into_iter().for_each(|replied_ns| self.reply.saturating_record(replied_ns));
            let answered = marked.seen.iter().map(|seen| seen.map(|seen| seen.answered_ns));
            if let Some(last) = answered.collect::<Option<Vec<u64>>>().and_then(|all| all.into_iter().max()) {
                self.every.saturating_record(last);
            }
        }
        hopeless
    }

    pub(super) fn all_are_given_up(&self) -> bool {
        self.nodes.iter().all(|node| node.is_given_up)
    }

    pub(super) fn outcome(&self, plan: &FloodPlan, prober: &Prober, client_cpu: f64) -> FloodOutcome {
        let nodes = self.nodes.iter().zip(&plan.to).enumerate().map(|(index, (node, server))| NodeOutcome {
            server: server.to_string(),
            hop: times(&node.hop),
            not_before: times(&node.not_before),
            asked: times(&node.asked),
            lookup: times(&node.lookup),
            spacing: times(prober.spacing(index)),
            bare: times(&node.bare),
            lost: node.lost,
            is_given_up: node.is_given_up,
        });
        FloodOutcome {
            from: plan.from.to_string(),
            reports: plan.reports,
            reply: times(&self.reply),
            nodes: nodes.collect(),
            every: times(&self.every),
            client_cpu,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flood::probe::Seen;

    fn marked(answered: [Option<u64>; 2]) -> Marked {
        let seen = |answered_ns: u64| Seen {
            not_before_ns: answered_ns / 2,
            asked_ns: answered_ns / 2,
            answered_ns,
        };
        Marked { replied_ns: Some(1_000), seen: answered.map(|answered| answered.map(seen)).into() }
    }

    #[test]
    fn every_node_has_it_when_the_last_has() {
        let mut tally = Tally::new(2);
        assert!(tally.add(&marked([Some(10_000), Some(30_000)]), true).is_empty());
        assert!(tally.add(&marked([Some(90_000), None]), true).is_empty());
        assert_eq!((tally.every.len(), tally.nodes[0].hop.len(), tally.nodes[1].hop.len()), (1, 2, 1));
        assert!((30_000..30_100).contains(&tally.every.max()));
        assert_eq!((tally.nodes[0].lost, tally.nodes[1].lost), (0, 1));
    }

    #[test]
    fn a_warm_up_leaves_no_times_but_its_losses() {
        let mut tally = Tally::new(2);
        tally.add(&marked([Some(10_000), None]), false);
        assert_eq!((tally.nodes[0].hop.len(), tally.every.len(), tally.reply.len()), (0, 0, 0));
        assert_eq!(tally.nodes[1].lost, 1);
    }

    #[test]
    fn who_never_learns_is_given_up_and_who_misses_one_is_not() {
        let mut tally = Tally::new(2);
        for known in [None, None, Some(1), None, None] {
            assert!(tally.add(&marked([known, Some(1)]), true).is_empty());
        }
        assert_eq!(tally.add(&marked([None, Some(1)]), true), [0]);
        assert!(tally.add(&marked([None, Some(1)]), true).is_empty(), "told once");
        assert_eq!(tally.nodes[0].lost, 5, "it was not asked the last time");
        assert!(!tally.all_are_given_up());
    }
}
