//! What repair costs: between nodes that lost something, missed something or start with nothing. Each part runs real
//! nodes in processes of their own and plays everyone else it needs; all of it goes to one run folder.

mod bed;
mod chain;
mod differ;
mod forwarder;
mod join;
mod link;
mod part;
mod peer;
mod stopped;
mod updates;

pub use part::Part;

use std::{path::PathBuf, time::Duration};

use clap::ValueEnum;

use crate::{
    disturbance,
    rounds::{BenchError, Figure, Finished, Rounds},
    words::seconds,
};
use bed::Bed;

/// What to measure, and how much of it.
#[derive(Clone, Debug, clap::Args)]
pub struct Repair {
    /// The `herd` program to measure
    #[arg(value_name = "HERD")]
    pub herd: PathBuf,
    /// What is measured, in a word or two: the end of the run folder's name
    #[arg(long, default_value = "repair")]
    pub what: String,
    /// Where the run folder goes
    #[arg(long, default_value = "bench/runs")]
    pub runs: PathBuf,
    /// Only these parts; all of them otherwise
    #[arg(long, value_name = "PART", value_enum, value_delimiter = ',', num_args = 1..)]
    pub only: Vec<Part>,
    /// Rounds; each measures everything once
    #[arg(long, default_value_t = 5)]
    pub rounds: u32,
    /// Clients that the nodes hold
    #[arg(long, default_value_t = 1_000_000)]
    pub clients: u32,
    /// Clients whose locations are newer at one of two nodes, for `differ`; each number is measured separately
    #[arg(long, value_name = "N", value_delimiter = ',', num_args = 1.., default_value = "10")]
    pub differing: Vec<u32>,
    /// Updates over one link, each client's first among them
    #[arg(long, value_name = "N", default_value_t = 2_000_000)]
    pub updates: u32,
    /// Connections of clients at once
    #[arg(short, long, default_value_t = 50)]
    pub connections: u32,
    /// Seconds each rate is measured, and each latency before a stop
    #[arg(long, value_parser = seconds, default_value = "5")]
    pub seconds: Duration,
    /// Seconds a neighbour is stopped
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "60")]
    pub stopped: Duration,
    /// Reports through the chain, and bare round trips, that follow one another at once
    #[arg(long, value_name = "N", default_value_t = 5_000)]
    pub hops: u32,
    /// When a sample is disturbed
    #[command(flatten)]
    pub disturbance: disturbance::Demands,
}

impl Repair {
    /// The parts that were asked for, in their order.
    fn parts(&self) -> impl Iterator<Item = Part> {
        let is_asked = |part: &Part| self.only.is_empty() || self.only.contains(part);
        Part::value_variants().iter().copied().filter(is_asked)
    }
}

/// Measures everything; `tell` is called with every sample as it comes.
pub fn run(repair: &Repair, tell: &dyn Fn(&str)) -> Result<Finished, BenchError> {
    let Repair { herd, what, runs, rounds, clients, .. } = repair;
    // Before anything is written, so that a program that cannot run leaves no folder.
    let bed = Bed::new(herd)?;
    let rounds = Rounds {
        herd,
        what,
        runs,
        rounds: *rounds,
        command: command(repair),
        sizes: format!("{rounds} rounds, {clients} clients"),
        parts: repair.parts().collect(),
        disturbance: &repair.disturbance,
    };
    rounds.run(|part| measure(part, &bed, repair), tell)
}

fn measure(part: Part, bed: &Bed<'_>, repair: &Repair) -> Result<Vec<Figure>, BenchError> {
    match part {
        Part::Link => link::measure(bed, repair),
        Part::Join => join::measure(bed, repair),
        Part::Differ => differ::measure(bed, repair),
        Part::Stopped => stopped::measure(bed, repair),
        Part::Chain => chain::measure(bed, repair),
    }
}

/// The command as it would be typed, programs by their names alone.
fn command(repair: &Repair) -> String {
    let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let Repair { what, rounds, clients, updates, connections, hops, .. } = repair;
    let differing: Vec<_> = repair.differing.iter().map(u32::to_string).collect();
    let (seconds, stopped) = (repair.seconds.as_secs_f64(), repair.stopped.as_secs_f64());
    let parts: Vec<_> = repair.parts().map(|part| part.to_string()).collect();
    format!(
        "herd-load repair {} --what {what} --only {} --rounds {rounds} --clients {clients} \
         --differing {} --updates {updates} -c {connections} --seconds {seconds} --stopped {stopped} --hops {hops}\n\n\
         Every node is a process of its own (`herd node ID --config FILE --log-dir DIR`), its traffic log off but \
         where a line says otherwise.\n",
        name(&repair.herd),
        parts.join(","),
        differing.join(","),
    )
}
