//! The command line of `herd-load flood`.

use super::FloodPlan;

/// The arguments of `flood`, as clap reads them.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// What is measured, and how
    #[command(flatten)]
    pub plan: FloodPlan,
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
