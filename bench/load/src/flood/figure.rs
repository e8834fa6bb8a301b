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

/// An object a line.
pub(super) fn json(figures: &[Figure]) -> String {
    // A struct of words and numbers has nothing in it that JSON cannot hold.
    figures.iter().map(|figure| serde_json::to_string(figure).unwrap_or_default() + "\n").collect()
}

/// A line each, and one of headings before them.
pub(super) fn csv(figures: &[Figure]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for figure in figures {
        // Nor is there anything that CSV cannot hold; and writing to memory does not fail.
        let _infallible = writer.serialize(figure);
    }
    String::from_utf8_lossy(&writer.into_inner().unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_one_line_in_each_form() {
        let plain = Figure::new("Ball", "hop p50", "µs", 12.5, Better::Less);
        let odd = Figure::new("a,\"b\"", "lost", "reports", 3.0, Better::Less);
        let json = json(std::slice::from_ref(&plain));
        let expected = serde_json::json!({
            "part": "flood", "server": "Ball", "what": "hop p50", "unit": "µs", "value": 12.5, "better": "less"
        });
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap(), expected);
        assert_eq!(
            csv(&[plain, odd]),
            "part,server,what,unit,value,better\nflood,Ball,hop p50,µs,12.5,less\n\
             flood,\"a,\"\"b\"\"\",lost,reports,3.0,less\n"
        );
    }
}
