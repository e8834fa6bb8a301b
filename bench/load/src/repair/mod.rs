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
mod secured;
mod stopped;
mod updates;

pub use part::Part;

use std::time::Duration;

use crate::{
    rounds::{Asked, BenchError, Figure, Finished},
    words::seconds,
};
use bed::Bed;

/// What to measure, and how much of it.
#[derive(Clone, Debug, clap::Args)]
pub struct Repair {
    /// As of every run in rounds
    #[command(flatten)]
    pub asked: Asked<Part>,
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
    /// Seconds a neighbour is stopped
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "60")]
    pub stopped: Duration,
    /// Reports through the chain, and bare round trips, that follow one another at once
    #[arg(long, value_name = "N", default_value_t = 5_000)]
    pub hops: u32,
}

/// Measures everything; `tell` is called with every sample as it comes.
pub fn run(repair: &Repair, tell: &dyn Fn(&str)) -> Result<Finished, BenchError> {
    let Repair { asked, clients, .. } = repair;
    // Before anything is written, so that a program that cannot run leaves no folder.
    let bed = Bed::new(&asked.herd)?;
    let sizes = format!("{} rounds, {clients} clients", asked.rounds);
    asked.run(&more(repair), &sizes, |part| measure(part, &bed, repair), tell)
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

/// The rest of the command as it would be typed, and what it starts.
fn more(repair: &Repair) -> String {
    let Repair { clients, updates, connections, hops, .. } = repair;
    let differing: Vec<_> = repair.differing.iter().map(u32::to_string).collect();
    let (differing, stopped) = (differing.join(","), repair.stopped.as_secs_f64());
    format!(
        " --clients {clients} --differing {differing} --updates {updates} -c {connections} --stopped {stopped} \
         --hops {hops}\n\n\
         Every node is a process of its own (`herd node ID --config FILE --log-dir DIR`), its traffic log off but \
         where a line says otherwise.\n"
    )
}
