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
    path::PathBuf,
    time::Duration,
};

use clap::{ValueEnum, builder::EnumValueParser};
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
    words::seconds,
};
use folder::{Folder, version};

/// What is measured by itself.
pub trait Part: Copy + PartialEq + Debug + Display + Serialize {
    /// The subcommand that measures it.
    const COMMAND: &'static str;

    /// What is promised about it and how that is measured; the beginning of its section.
    fn promise(self) -> &'static str;
}

/// What is asked of a run in rounds.
#[derive(Clone, Debug, clap::Args)]
pub struct Asked<P: Part + ValueEnum + Send + Sync + 'static> {
    /// The `herd` program to measure
    #[arg(value_name = "HERD")]
    pub herd: PathBuf,
    /// What is measured, in a word or two: the end of the run folder's name
    #[arg(long, default_value = P::COMMAND)]
    pub what: String,
    /// Where the run folder goes
    #[arg(long, default_value = "bench/runs")]
    pub runs: PathBuf,
    /// Only these parts; all of them otherwise
    #[arg(long, value_name = "PART", value_parser = EnumValueParser::<P>::new(), value_delimiter = ',',
          num_args = 1..)]
    pub only: Vec<P>,
    /// Rounds; each measures everything once
    #[arg(long, default_value_t = 5)]
    pub rounds: u32,
    /// Seconds each rate and each latency is measured
    #[arg(long, value_parser = seconds, default_value = "5")]
    pub seconds: Duration,
    /// When a sample is disturbed
    #[command(flatten)]
    pub disturbance: Demands,
}

impl<P: Part + ValueEnum + Send + Sync + 'static> Asked<P> {
    /// The parts that were asked for, in their order.
    fn parts(&self) -> Vec<P> {
        let is_asked = |part: &P| self.only.is_empty() || self.only.contains(part);
        P::value_variants().iter().copied().filter(is_asked).collect()
    }

    /// As it would be typed, programs by their names alone.
    fn command(&self) -> String {
        let Self { herd, what, rounds, seconds, .. } = self;
        let herd = herd.file_name().unwrap_or_default().to_string_lossy();
        let parts: Vec<_> = self.parts().iter().map(P::to_string).collect();
        let (command, parts, seconds) = (P::COMMAND, parts.join(","), seconds.as_secs_f64());
        format!(
            "herd-load {command} {herd} --what {what} --only {parts} --rounds {rounds} --seconds {seconds}"
        )
    }

    /// Measures all parts in every round; `tell` is called with every sample as it comes. `more` is the rest of the command,
    /// and what it starts; `sizes` say how much of everything there is.
    pub(crate) fn run(
        &self,
        more: &str,
        sizes: &str,
        measure: impl Fn(P) -> Result<Vec<Figure>, BenchError>,
        tell: &dyn Fn(&str),
    ) -> Result<Finished, BenchError> {
        if self.rounds == 0 {
            return Err(BenchError::NoRounds);
        }
        let parts = self.parts();
        let stop = interrupt::watch().map_err(BenchError::file("cannot wait for signals"))?;
        let watch = Watch::new(Limits::default(), &self.disturbance, &stop, tell);
        let settings = json!({ "limits": watch.limits() });
        let (programs, command) = ([version("herd", &self.herd)], self.command() + more);
        let mut folder = Folder::create(&self.runs, &self.what, &programs, &command, &settings)?;
        let mut samples = Vec::new();
        let in_order = (1..=self.rounds).flat_map(|round| parts.iter().map(move |part| (round, *part)));
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
        let summary = summary::render(&self.what, sizes, &notes, &parts, &samples);
        folder.add("summary.md", &summary)?;
        Ok(Finished::new(&folder, summary, &samples, interrupted, missed))
    }
}
