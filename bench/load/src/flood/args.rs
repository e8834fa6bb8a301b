//! The command line of `herd-load flood`.

use std::time::Duration;

use super::{Endpoint, FAR_FROM_LAND, FloodPlan, Lasting};
use crate::words::{microseconds, milliseconds, seconds};

/// The arguments of `flood`, as clap reads them.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Where reports are made: HOST:PORT, or NAME=HOST:PORT to give it a name in the results
    #[arg(value_name = "FROM")]
    pub from: Endpoint,
    /// The servers that should learn of them
    #[arg(value_name = "TO", required = true)]
    pub to: Vec<Endpoint>,
    /// Reports to measure
    #[arg(short = 'n', long, value_name = "REPORTS", default_value_t = 200)]
    pub reports: u32,
    /// Reports before any is counted
    #[arg(long, value_name = "REPORTS", default_value_t = 20)]
    pub warmup: u32,
    /// Pause between two reports, in which nothing is asked
    #[arg(long, value_name = "MS", value_parser = milliseconds, default_value = "0")]
    pub interval: Duration,
    /// Least time from one question at a server to the next; with 0 the next follows the answer at once
    #[arg(long, value_name = "US", value_parser = microseconds, default_value = "0")]
    pub spacing: Duration,
    /// Never sleep while waiting: exact to the microsecond if the tester has a processor to itself
    #[arg(long)]
    pub spin: bool,
    /// The time after which a report counts as lost
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "10")]
    pub timeout: Duration,
    /// Where the clients are; lookups there should cost little
    #[arg(long, value_name = "LOCATION", default_value = FAR_FROM_LAND, allow_hyphen_values = true)]
    pub location: String,
    /// Bare round trips to each server first
    #[arg(long, value_name = "N", default_value_t = 500)]
    pub round_trips: u32,
    /// A connection for each request
    #[arg(long)]
    pub reconnect: bool,
    /// The same, each ended by a half-close, for servers that read to the end of the input
    #[arg(long)]
    pub half_close: bool,
    /// Print JSON, a figure a line
    #[arg(long)]
    pub json: bool,
}

/// What it does and how, for `--help`.
pub const ABOUT: &str = "\
Makes reports at one server of a herd and measures until the others know of them, by nothing but IAMAT and \
WHATSAT, so any herd that speaks this protocol can be measured. Reports are of clients that report only once, \
one after the other. The others are asked all the while; a server that knew of a report at one answer and not at \
the one before learned of it in between, and both bounds are told. Asking costs the servers something, and more \
where there are few processors: --spacing makes it less, and what is told coarser; fewer servers at a time are \
watched more finely.

The figures hold the answers' own way, half a lookup or so. Where a server asks an upstream for places, as the \
models of bench/README.md do, that upstream must be running, and its time is in every figure; without one such a \
server answers no lookup and all reports count as lost.

The exit status is 0 if every server knew of every report, and 1 otherwise.";

const EXAMPLES: &str = "\
Examples:
  herd-load flood localhost:11600 localhost:11601 localhost:11602
  herd-load flood A=[::1]:11600 B=[::1]:11601 -n 1000 --json > hops.jsonl
  herd-load flood old-herd:12000 old-herd:12001 --half-close --spacing 1000";

impl Args {
    /// What they ask for.
    pub fn plan(&self) -> FloodPlan {
        FloodPlan {
            reports: self.reports,
            warmup: self.warmup,
            interval: self.interval,
            spacing: self.spacing,
            spins: self.spin,
            timeout: self.timeout,
            location: self.location.clone(),
            round_trips: self.round_trips,
            lasting: match (self.reconnect, self.half_close) {
                (false, false) => Lasting::Kept,
                (_, half_close) => Lasting::OneRequest { half_close },
            },
            ..FloodPlan::new(self.from.clone(), self.to.clone())
        }
    }
}
