//! What several commands share that measure nodes in rounds, part by part: figures with their targets, the run folder
//! they go to, the nodes they are about.

mod error;
pub(crate) mod folder;
pub(crate) mod log;
pub(crate) mod node;
pub(crate) mod read;
mod sample;
mod statistics;
mod summary;
pub(crate) mod traffic_log;

use std::{
    fmt::{Debug, Display},
    path::Path,
};

use serde::Serialize;

pub use error::{BenchError, Finished};
pub use read::ReadError;
pub use sample::{Better, Sample};
pub(crate) use sample::{Figure, Target, number};
pub(crate) use statistics::Spread;

use folder::Folder;

/// What is measured by itself.
pub trait Part: Copy + PartialEq + Debug + Display + Serialize {
    /// What is promised about it and how that is measured; the beginning of its section.
    fn promise(self) -> &'static str;
}

/// A run, and what its folder says about it in advance.
#[derive(Debug)]
pub(crate) struct Rounds<'a, P> {
    pub(crate) herd: &'a Path,
    /// The end of the folder's name.
    pub(crate) what: &'a str,
    /// Where the folder goes.
    pub(crate) runs: &'a Path,
    pub(crate) rounds: u32,
    /// As it would be typed, programs by their names alone, and what it starts.
    pub(crate) command: String,
    /// How much of everything there is, for the summary.
    pub(crate) sizes: String,
    /// In their order.
    pub(crate) parts: Vec<P>,
}

impl<P: Part> Rounds<'_, P> {
    /// Measures all parts in every round; `tell` is called with every sample as it comes.
    pub(crate) fn run(
        &self,
        measure: impl Fn(P) -> Result<Vec<Figure>, BenchError>,
        tell: impl Fn(&Sample<P>),
    ) -> Result<Finished, BenchError> {
        if self.rounds == 0 {
            return Err(BenchError::NoRounds);
        }
        let mut folder = Folder::create(self.runs, self.what, self.herd, &self.command)?;
        let mut samples = Vec::new();
        for round in 1..=self.rounds {
            for part in &self.parts {
                let figures = match measure(*part) {
                    // The other parts may well succeed, and a failure is a finding.
                    Err(late @ BenchError::Late { .. }) => {
                        vec![Figure::new("finished", "", 0.0).invalid_if(Some(late.to_string()))]
                    }
                    figures => figures?,
                };
                for figure in figures {
                    let sample = Sample::new(round, *part, figure);
                    folder.append(&sample)?;
                    tell(&sample);
                    samples.push(sample);
                }
            }
        }
        let summary = summary::render(self.what, &self.sizes, &self.parts, &samples);
        folder.finish(&summary)?;
        let valid = samples.iter().all(|sample| sample.invalid.is_none());
        Ok(Finished { folder: folder.path().to_owned(), summary, valid })
    }
}
