//! How soon one node starts, and what answering WHATSAT costs: from the embedded places, and through an upstream that the
//! tester plays. Each part runs a real node in a process of its own; all of it goes to one run folder.

mod clients;
mod embedded;
mod hanging;
mod lookups;
mod part;
mod single_flight;
mod start;
mod upstream;

pub use part::Part;

use std::{net::SocketAddr, time::Duration};

use crate::{
    rounds::{
        Asked, BenchError, Finished,
        node::{KEY_FILE, Plan, Running},
    },
    server::{Server, own_program},
};

/// What to measure, and how much of it.
pub type Places = Asked<Part>;

/// What follows the command.
const STARTED: &str = "\n\n\
    Every part of a round has a node of its own (`herd node ID --config FILE --log-dir DIR`), its traffic log off, and \
    where it has an upstream one of these (`herd-load upstream`).\n";

/// Measures everything; `tell` is called with every sample as it comes.
pub fn run(places: &Places, tell: &dyn Fn(&str)) -> Result<Finished, BenchError> {
    let Places { herd, rounds, seconds, .. } = places;
    // Before anything is written, so that a program that cannot run leaves no folder.
    plan(String::new()).start(herd)?.stop()?;
    let sizes = format!("{rounds} rounds, {} s a measurement", seconds.as_secs_f64());
    let measure = |part| match part {
        Part::Start => start::measure(places),
        Part::Embedded => embedded::measure(places),
        Part::SingleFlight => single_flight::measure(places),
        Part::Upstream => upstream::measure(places),
        Part::Hanging => hanging::measure(places),
    };
    places.run(STARTED, &sizes, measure, tell)
}

/// A node without neighbours, and with these lines in its table `[places]`.
fn plan(places: String) -> Plan<'static> {
    Plan { places, ..Plan::new("Solo", SocketAddr::from(([127, 0, 0, 1], 0)), &[]) }
}

/// An upstream, in a process of its own, and a node that asks it.
#[derive(Debug)]
struct Pair {
    upstream: Server,
    node: Running,
}

impl Pair {
    /// `limits` are lines for the node's table `[places]`.
    fn start(places: &Places, delay: Duration, limits: &str) -> Result<Self, BenchError> {
        let upstream = start_upstream(delay)?;
        let address = upstream.address();
        let table = format!(
            "source = \"google\"\nkey_file = {KEY_FILE:?}\nbase_url = \"http://{address}\"\n{limits}"
        );
        Ok(Self { node: plan(table).start(&places.herd)?, upstream })
    }

    /// How often the upstream was called.
    fn calls(&self) -> Result<u64, BenchError> {
        crate::upstream::count(self.upstream.address())
            .map_err(BenchError::file("the upstream does not tell its count"))
    }

    /// The node first: it ends what it waits for.
    fn stop(self) -> Result<(), BenchError> {
        self.node.stop()?;
        self.upstream.stop()?;
        Ok(())
    }
}

/// The results of each of the upstream's documents.
const RESULTS: usize = 5;
/// Their size.
const BODY_BYTES: usize = 2_048;

fn start_upstream(delay: Duration) -> Result<Server, BenchError> {
    let mut command = own_program()?;
    command.arg("upstream").arg(format!("--delay={}", delay.as_millis()));
    command.arg(format!("--body-bytes={BODY_BYTES}")).arg(format!("--results={RESULTS}"));
    Ok(Server::start(command)?)
}

/// Does something; also the share of one processor that a process used meanwhile.
fn with_cpu<T>(
    server: &Server,
    action: impl FnOnce() -> Result<T, BenchError>,
) -> Result<(T, f64), BenchError> {
    let cpu = || server.cpu().map_err(BenchError::file("cannot read a process' CPU time"));
    let (began, before) = (std::time::Instant::now(), cpu()?);
    let done = action()?;
    let used = cpu()?.saturating_sub(before);
    Ok((done, used.as_secs_f64() / began.elapsed().as_secs_f64()))
}
