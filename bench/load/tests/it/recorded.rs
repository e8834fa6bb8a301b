//! Run folders made up for the tests: eleven servers at six points, whose every figure follows from a rule.

use std::{fs, path::PathBuf};

use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// Servers, in the order of a run, and how many thousand requests a second each answers at the first point.
pub(crate) const SERVERS: [(&str, f64); 11] = [
    ("echo-threads", 116.0),
    ("echo-events", 131.0),
    ("node", 108.0),
    ("node-log", 101.0),
    ("tokio-log", 92.0),
    ("asyncio", 21.0),
    ("twisted", 12.0),
    ("nodejs", 44.0),
    ("java", 88.0),
    ("redis-geoadd", 97.0),
    ("redis-set", 124.0),
];

/// Points: a name, connections that ask and that sit there, requests in flight, and what of the rate at the first point.
pub(crate) const POINTS: [(&str, u64, u64, u64, f64); 6] = [
    ("C=50 P=1", 50, 0, 1, 1.0),
    ("C=500 P=1", 500, 0, 1, 0.93),
    ("C=50 P=16", 50, 0, 16, 6.0),
    ("C=50 P=64", 50, 0, 64, 11.0),
    ("C=10000 active 100", 100, 9_900, 1, 0.9),
    ("C=10000", 10_000, 0, 1, 0.55),
];

/// Percentiles, and what each is of the median.
pub(crate) const PERCENTILES: [(&str, f64); 5] =
    [("p50", 1.0), ("p90", 1.4), ("p99", 2.6), ("p99.9", 7.0), ("max", 31.0)];

/// What the rounds are of the median, which is 1.
const ROUNDS: [f64; 5] = [1.0, 0.97, 1.02, 1.04, 0.95];

/// A run folder that is there until it is dropped.
#[derive(Debug)]
pub(crate) struct Run {
    folder: TempDir,
    lines: Vec<Value>,
}

impl Run {
    pub(crate) fn empty() -> Self {
        Self { folder: TempDir::with_prefix("2026-11-21-made-up-").unwrap(), lines: Vec::new() }
    }

    /// All servers at all points, and four kinds of nodes flooding.
    pub(crate) fn sweep() -> Self {
        let mut run = Self::empty();
        for (part, connections, idle, pipeline, share) in POINTS {
            let at = json!({"connections": connections, "idle": idle, "pipeline": pipeline, "iamat": 100,
                "whatsat": 0, "clients": 100_000, "rate": null});
            for (index, (server, thousands)) in SERVERS.into_iter().enumerate() {
                let rate = thousands * 1e3 * share;
                let mut add = |what: &str, unit, better, value| {
                    run.add(
                        &json!({"part": part, "server": server, "what": what, "unit": unit, "value": value,
                        "better": better, "at": at}),
                    );
                };
                add("rate", "/s", "more", rate);
                let median = (connections * pipeline) as f64 / rate * 1e6;
                for (name, factor) in PERCENTILES {
                    add(
                        &format!("service {name}"),
                        "µs",
                        "less",
                        median * factor * (1.0 + index as f64 / 40.0),
                    );
                }
                let a_connection = 9_000.0 + 1_700.0 * index as f64;
                add("cpu", "µs", "less", 1e6 / rate);
                add("rss under load", "bytes", "less", 2.2e7 + a_connection * (connections + idle) as f64);
                if part == "C=10000" {
                    add("rss a connection", "bytes", "less", a_connection);
                    add("rss a client", "bytes", "less", 100.0 + 31.0 * index as f64);
                }
            }
        }
        for (server, median) in [("skeleton", 11.0), ("node", 14.0), ("node-log", 15.5), ("tokio", 24.0)] {
            for hops in [1, 3] {
                for (name, factor) in &PERCENTILES[..3] {
                    run.add(&json!({"part": "flood idle", "server": server, "what": format!("hop {name}"),
                        "unit": "µs", "value": median * factor * f64::from(hops), "better": "less", "at": {"hops": hops}}));
                }
            }
        }
        run
    }

    /// A figure, in all rounds.
    pub(crate) fn add(&mut self, figure: &Value) {
        let value = figure["value"].as_f64().unwrap();
        self.add_rounds(figure, &ROUNDS.map(|factor| value * factor));
    }

    /// A figure, with a value for each of the rounds.
    pub(crate) fn add_rounds(&mut self, figure: &Value, values: &[f64]) {
        for (round, value) in values.iter().enumerate() {
            let mut line: Map<_, _> = figure.as_object().unwrap().clone();
            line.insert("round".to_owned(), json!(round + 1));
            line.insert("value".to_owned(), json!(value));
            line.entry("target").or_insert(Value::Null);
            line.entry("invalid").or_insert(Value::Null);
            self.lines.push(line.into());
        }
    }

    /// Changes the lines that a test holds otherwise.
    pub(crate) fn change(&mut self, change: impl Fn(&mut Value)) {
        self.lines.iter_mut().for_each(change);
    }

    /// Writes the folder.
    pub(crate) fn path(&self) -> PathBuf {
        let text: String = self.lines.iter().map(|line| format!("{line}\n")).collect();
        fs::write(self.folder.path().join("raw.jsonl"), text).unwrap();
        self.folder.path().to_owned()
    }
}
