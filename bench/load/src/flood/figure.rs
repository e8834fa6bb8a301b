//! Figures, each on a line by itself that is complete without the others: for `plot`, for other programs, for run
//! folders.

use serde::Serialize;

use crate::{outcome::Latency, statistics::Better};

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// Always `flood`.
    pub part: &'static str,
    /// What it belongs to: a server as it was named, `every node`, or the tester.
    pub server: String,
    /// What was measured.
    pub what: String,
    /// Its unit.
    pub unit: &'static str,
    /// The figure.
    pub value: f64,
    /// Which way it gets better.
    pub better: Better,
}

impl Figure {
    pub(super) fn new(server: &str, what: &str, unit: &'static str, value: f64, better: Better) -> Self {
        let (server, what) = (server.to_owned(), what.to_owned());
        Self { part: "flood", server, what, unit, value, better }
    }

    /// Four of them; none where nothing was timed.
    pub(super) fn percentiles(server: &str, what: &str, times: &Latency) -> Vec<Self> {
        if times.count == 0 {
            return Vec::new();
        }
        let at = [("p50", times.p50_us), ("p90", times.p90_us), ("p99", times.p99_us), ("max", times.max_us)];
        let figure = |(rank, value)| Self::new(server, &format!("{what} {rank}"), "µs", value, Better::Less);
        at.map(figure).into()
    }
}
