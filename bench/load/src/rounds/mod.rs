//! What several commands share that measure nodes in rounds, part by part: figures with their targets, the run folder
//! they go to, the nodes they are about.

mod error;
pub(crate) mod folder;
pub(crate) mod log;
pub(crate) mod node;
pub(crate) mod read;
mod sample;
pub(crate) mod summary;
pub(crate) mod table;
pub(crate) mod traffic_log;

use std::{
    fmt::{Debug, Display},
    path::Path,
};

use serde::Serialize;
use serde_json::json;

pub(crate) use crate::statistics::{Better, Spread};
pub use error::{BenchError, Finished};
pub use read::ReadError;
pub use sample::Sample;
pub(crate) use sample::{Figure, Judgement, Target, number};

use crate::{
    disturbance::{Demands, Limits, Watch},
    interrupt,
};
use folder::{Folder, version};

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
    /// When a part is measured again.
    pub(crate) disturbance: &'a Demands,
}

impl<P: Part> Rounds<'_, P> {
    /// Measures all parts in every round; `tell` is called with every sample as it comes.
    pub(crate) fn run(
        &self,
        measure: impl Fn(P) -> Result<Vec<Figure>, BenchError>,
        tell: &dyn Fn(&str),
    ) -> Result<Finished, BenchError> {
        if self.rounds == 0 {
            return Err(BenchError::NoRounds);
        }
        let stop = interrupt::watch().map_err(BenchError::file("cannot wait for signals"))?;
        let watch = Watch::new(Limits::default(), self.disturbance, &stop, tell);
        let settings = json!({ "limits": watch.limits() });
        let programs = [version("herd", self.herd)];
        let mut folder = Folder::create(self.runs, self.what, &programs, &self.command, &settings)?;
        let mut samples = Vec::new();
        let in_order = (1..=self.rounds).flat_map(|round| self.parts.iter().map(move |part| (round, *part)));
        for (round, part) in in_order {
            let (figures, seen) = match watch.sample(|| measure(part)) {
                // A signal ends the nodes as well, so that a part that is under way breaks.
                _ if watch.is_stopped() => break,
                // The other parts may well succeed, and a failure is a finding.
                Err(late @ BenchError::Late { .. }) => {
                    (vec![Figure::new("finished", "", 0.0).invalid_if(Some(late.to_string()))], None)
                }
                found => found?,
            };
            for figure in figures {
                let sample = Sample::new(round, part, figure.amid(seen));
                folder.append(&sample)?;
                tell(&sample.to_string());
                samples.push(sample);
            }
        }
        let (interrupted, missed) = (watch.is_stopped(), summary::misses(&samples));
        let notes = summary::notes(&samples, &watch.limits(), interrupted);
        let summary = summary::render(self.what, &self.sizes, &notes, &self.parts, &samples);
        folder.finish(&summary)?;
        Ok(Finished::new(&folder, summary, &samples, interrupted, missed))
    }
}
