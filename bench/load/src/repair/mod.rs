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
mod sums;
mod updates;

pub use part::Part;

use std::{path::PathBuf, time::Duration};

use crate::{
    rounds::{BenchError, Finished},
    rounds::{Figure, Rounds, Sample},
};
use bed::Bed;

/// What to measure, and how much of it.
#[derive(Clone, Debug)]
pub struct Repair {
    /// This tester, for echo.
    pub tester: PathBuf,
    /// The `herd` program.
    pub herd: PathBuf,
    /// A `herd` that keeps no sums.
    pub without_sums: Option<PathBuf>,
    /// The end of the run folder's name.
    pub what: String,
    /// Where the run folder goes.
    pub runs: PathBuf,
    /// These parts; none is all.
    pub only: Vec<Part>,
    /// How often each is measured.
    pub rounds: u32,
    /// Clients the nodes hold.
    pub clients: u32,
    /// In so many clients two nodes differ, each number by itself.
    pub differing: Vec<u32>,
    /// Updates over one link.
    pub updates: u32,
    /// Connections of clients at once.
    pub connections: u32,
    /// How long a rate is measured.
    pub seconds: Duration,
    /// How long a neighbour is stopped.
    pub stopped: Duration,
    /// Reports through the chain.
    pub hops: u32,
}

impl Repair {
    /// The parts that were asked for and can be measured, in their order.
    fn parts(&self) -> impl Iterator<Item = Part> {
        let is_asked = |part: &Part| self.only.is_empty() || self.only.contains(part);
        Part::ALL.into_iter().filter(is_asked)
    }
}

/// Measures everything; `tell` is called with every sample as it comes.
pub fn run(repair: &Repair, tell: impl Fn(&Sample<Part>)) -> Result<Finished, BenchError> {
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
    };
    rounds.run(|part| measure(part, &bed, repair), tell)
}

fn measure(part: Part, bed: &Bed<'_>, repair: &Repair) -> Result<Vec<Figure>, BenchError> {
    match part {
        Part::Link => link::measure(bed, repair),
        Part::Join => join::measure(bed, repair),
        Part::Differ => differ::measure(bed, repair),
        Part::Sums => sums::measure(bed, repair),
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
    let without = repair.without_sums.as_ref().map(|path| format!(" --without-sums {}", name(path)));
    format!(
        "herd-load repair {} --what {what} --only {} --rounds {rounds} --clients {clients} \
         --differing {} --updates {updates} -c {connections} --seconds {seconds} --stopped {stopped} --hops {hops}{}\n\n\
         Every node is a process of its own (`herd node ID --config FILE --log-dir DIR`), its traffic log off but \
         where a line says otherwise.\n",
        name(&repair.herd),
        parts.join(","),
        differing.join(","),
        without.unwrap_or_default()
    )
}
