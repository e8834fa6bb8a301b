//! One figure of one part in one round, and what it aims at.

use std::fmt;

use clap::ValueEnum;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::compare::Target;

/// What is measured by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// What one link carries.
    Link,
    /// A node that starts with nothing.
    Join,
    /// Nodes that differ in few clients or in none.
    Differ,
    /// What keeping sums costs.
    Sums,
    /// A neighbour that is stopped for a while.
    Stopped,
    /// Three hops of a flood.
    Chain,
}

impl Part {
    /// All, in the order they are measured in.
    pub const ALL: [Self; 6] = [Self::Link, Self::Join, Self::Differ, Self::Sums, Self::Stopped, Self::Chain];

    /// The promise that is judged.
    pub(super) fn promise(self) -> &'static str {
        match self {
            Self::Link => {
                "One link carries 1.2 M updates/s from memory to the neighbour's store. The tester is the neighbour \
                 and writes lines that were made before; the time ends when a ping behind them is answered."
            }
            Self::Join => {
                "An empty node joins a herd that holds all clients and is in step within 4 s of its start, while its \
                 neighbour still answers clients at half its usual rate or better. In step is when the neighbour's log \
                 says so; once nobody reports any more, both nodes' sums are compared."
            }
            Self::Sums => {
                "Keeping sums costs at most 5 % of a node's throughput at P=64. The node without them is built from the \
                 same tree: `git apply bench/load/without-sums.patch`, `cargo build --release`, and given as \
                 `--without-sums`. Both run side by side and take turns."
            }
            Self::Stopped => {
                "A neighbour is stopped under full load, P=1 (command.txt says for how long): clients' p99 meanwhile \
                 within 1.5 times of that before; in step within 10 s of going on. The load goes on until then. Memory, \
                 second by second, is in raw.jsonl."
            }
            Self::Chain => {
                "Three hops of the graph of 2014-2015, Hamilton to Parker to Alford to Powell, Bolden beside them: at most \
                 11 times half a bare round trip, back to back, median. The tester is the client and Powell; bare round \
                 trips to an echo process take turns with the reports."
            }
            Self::Differ => {
                "Two nodes that hold all clients: 10 differ: at most 60 kB a direction and 100 ms until in step; none \
                 differ: at most 200 bytes a round and direction. A forwarder between the nodes counts what passes, \
                 pings left out. The time is from the first `linked` to the last `in step` of both logs."
            }
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.to_possible_value().as_ref().map_or("", |value| value.get_name()))
    }
}

/// What a part has found of one thing.
#[derive(Debug)]
pub(super) struct Figure {
    pub(super) what: String,
    pub(super) unit: &'static str,
    pub(super) value: f64,
    pub(super) target: Option<Target>,
    /// Why it does not count, if it does not.
    pub(super) invalid: Option<String>,
    /// Whatever else explains it, for the raw data.
    pub(super) detail: Value,
}

impl Figure {
    pub(super) fn new(what: impl Into<String>, unit: &'static str, value: f64) -> Self {
        Self { what: what.into(), unit, value, target: None, invalid: None, detail: Value::Null }
    }

    pub(super) fn at_least(self, bound: f64) -> Self {
        Self { target: Some(Target::AtLeast(bound)), ..self }
    }

    pub(super) fn at_most(self, bound: f64) -> Self {
        Self { target: Some(Target::AtMost(bound)), ..self }
    }

    pub(super) fn with(self, detail: impl Serialize) -> Self {
        Self { detail: serde_json::to_value(detail).unwrap_or_default(), ..self }
    }

    pub(super) fn invalid_if(self, objection: Option<String>) -> Self {
        Self { invalid: self.invalid.or(objection), ..self }
    }
}

/// A figure, with its place in the run.
#[derive(Debug, Serialize)]
pub struct Sample {
    /// From 1.
    pub round: u32,
    /// Of what.
    pub part: Part,
    /// Which figure.
    pub what: String,
    /// Its unit.
    pub unit: &'static str,
    /// The figure.
    pub value: f64,
    #[serde(serialize_with = "bound")]
    pub(super) target: Option<Target>,
    /// Why it does not count, if it does not.
    pub invalid: Option<String>,
    /// Whatever else explains it.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub detail: Value,
}

impl Sample {
    pub(super) fn new(round: u32, part: Part, figure: Figure) -> Self {
        let Figure { what, unit, value, target, invalid, detail } = figure;
        Self { round, part, what, unit, value, target, invalid, detail }
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { round, part, what, unit, value, .. } = self;
        write!(f, "round {round}  {part:<8} {what:<44} {} {unit}", number(*value))?;
        match &self.invalid {
            Some(reason) => write!(f, "  INVALID: {reason}"),
            None => Ok(()),
        }
    }
}

/// Three digits at least, and no fraction where it says nothing.
pub(super) fn number(value: f64) -> String {
    let decimals = if value >= 100.0 { 0 } else { 2 };
    format!("{value:.decimals$}")
}

/// `≥ 1200`, `≤ 0.1`.
pub(super) fn target_text(target: Target) -> String {
    match target {
        Target::AtLeast(bound) => format!("≥ {bound}"),
        Target::AtMost(bound) => format!("≤ {bound}"),
    }
}

fn bound<S: Serializer>(target: &Option<Target>, serializer: S) -> Result<S::Ok, S::Error> {
    target.map(target_text).serialize(serializer)
}
