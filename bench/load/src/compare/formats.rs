//! A comparison for programs: as one JSON document, or as CSV with a row for each figure of either run.

use serde::Serialize;

use super::{CompareError, Comparison, Side};
use crate::rounds::read::Key;

/// The columns of the CSV.
#[derive(Debug, Default, Serialize)]
struct Row<'a> {
    part: &'a str,
    server: &'a str,
    what: &'a str,
    unit: &'a str,
    hops: Option<u64>,
    a_median: Option<f64>,
    a_min: Option<f64>,
    a_max: Option<f64>,
    a_samples: Option<usize>,
    b_median: Option<f64>,
    b_min: Option<f64>,
    b_max: Option<f64>,
    b_samples: Option<usize>,
    change_percent: Option<f64>,
    /// For a figure of both runs: the verdict. Otherwise why it was not compared.
    verdict: &'a str,
    fails: bool,
}

impl<'a> Row<'a> {
    fn of(key: &'a Key, verdict: &'a str) -> Self {
        let Key { part, server, what, unit, hops } = key;
        let server = server.as_deref().unwrap_or_default();
        Self { part, server, what, unit, hops: *hops, verdict, ..Self::default() }
    }

    fn with(self, a: Side, b: Side) -> Self {
        Self {
            a_median: Some(a.median),
            a_min: Some(a.min),
            a_max: Some(a.max),
            a_samples: Some(a.samples),
            b_median: Some(b.median),
            b_min: Some(b.min),
            b_max: Some(b.max),
            b_samples: Some(b.samples),
            ..self
        }
    }
}

impl Comparison {
    /// One document, with everything in it.
    ///
    /// # Errors
    ///
    /// Never, with the figures that a run folder can hold.
    pub fn json(&self) -> Result<String, CompareError> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// A header and one row per figure. Only the other formats say why a sample does not count.
    ///
    /// # Errors
    ///
    /// Never, with the figures that a run folder can hold.
    pub fn csv(&self) -> Result<String, CompareError> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        for figure in &self.compared {
            let row = Row::of(&figure.key, figure.verdict.name()).with(figure.a, figure.b);
            writer.serialize(Row { change_percent: figure.change_percent, fails: figure.fails, ..row })?;
        }
        for figure in &self.other_load {
            writer.serialize(Row::of(&figure.key, "another load"))?;
        }
        for (run, only, invalid) in
            [(&self.a, "only in a", "invalid in a"), (&self.b, "only in b", "invalid in b")]
        {
            for key in &run.only_here {
                writer.serialize(Row::of(key, only))?;
            }
            for out in &run.left_out {
                writer.serialize(Row::of(&out.key, invalid))?;
            }
        }
        let bytes = writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}
