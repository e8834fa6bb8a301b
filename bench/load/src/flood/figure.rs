//! Figures, each on a line by itself that is complete without the others: for `plot`, for other programs, for run
//! folders.

use std::fmt::Write;

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
    /// Whatever else there is to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Figure {
    pub(super) fn new(server: &str, what: &str, unit: &'static str, value: f64, better: Better) -> Self {
        let (server, what) = (server.to_owned(), what.to_owned());
        Self { part: "flood", server, what, unit, value, better, detail: None }
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

    pub(super) fn with(self, detail: Option<String>) -> Self {
        Self { detail, ..self }
    }
}

/// An object a line.
pub(super) fn json(figures: &[Figure]) -> String {
    // A struct of words and numbers has nothing in it that JSON cannot hold.
    figures.iter().map(|figure| serde_json::to_string(figure).unwrap_or_default() + "\n").collect()
}

/// A line each, and one of headings before them.
pub(super) fn csv(figures: &[Figure]) -> String {
    let mut text = "part,server,what,unit,value,better,detail\n".to_owned();
    for figure in figures {
        let Figure { part, server, what, unit, value, better, detail } = figure;
        let better = match better {
            Better::Less => "less",
            Better::More => "more",
        };
        let (server, what) = (quoted(server), quoted(what));
        let detail = quoted(detail.as_deref().unwrap_or_default());
        // Writing to a string cannot fail.
        let _infallible = writeln!(text, "{part},{server},{what},{unit},{value},{better},{detail}");
    }
    text
}

/// As RFC 4180 has it.
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_one_line_in_each_form() {
        let plain = Figure::new("Ball", "hop p50", "µs", 12.5, Better::Less);
        let odd =
            Figure::new("a,b", "lost", "reports", 3.0, Better::Less).with(Some("says \"no\"".to_owned()));
        let json = json(std::slice::from_ref(&plain));
        let expected = serde_json::json!({
            "part": "flood", "server": "Ball", "what": "hop p50", "unit": "µs", "value": 12.5, "better": "less"
        });
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap(), expected);
        assert_eq!(
            csv(&[plain, odd]),
            "part,server,what,unit,value,better,detail\nflood,Ball,hop p50,µs,12.5,less,\n\
             flood,\"a,b\",lost,reports,3,less,\"says \"\"no\"\"\"\n"
        );
    }
}
