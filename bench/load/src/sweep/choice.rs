//! What is chosen of a plan when it is run.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

/// Which parts of a plan to run, and how much of them.
#[derive(Clone, Debug, Default, clap::Args, Serialize, Deserialize)]
#[serde(default)]
pub struct Choice {
    /// What is measured, in a word or two, instead of the plan's: the end of the run folder's name
    #[arg(long)]
    pub what: Option<String>,
    /// Rounds, instead of the plan's
    #[arg(long)]
    pub rounds: Option<u32>,
    /// Seconds each server is measured at a point, instead of the plan's
    #[arg(long)]
    pub seconds: Option<f64>,
    /// Only these servers of the plan
    #[arg(long = "only-server", value_name = "NAME", value_delimiter = ',', num_args = 1..)]
    pub only_servers: Vec<String>,
    /// Only these points of the plan
    #[arg(long = "only-point", value_name = "NAME", value_delimiter = ',', num_args = 1..)]
    pub only_points: Vec<String>,
    /// What the random order of the servers is drawn from; otherwise the plan's, or a new one
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

/// Another each time, and short enough to be typed.
pub(super) fn new_seed() -> u64 {
    u64::from(SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().subsec_nanos())
}
