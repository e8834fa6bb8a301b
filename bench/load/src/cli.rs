//! The arguments, as clap reads them. No work is done here.

mod run;

pub(crate) use run::Run;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, CommandFactory, Parser, Subcommand};
use herd_load::{echo::Shape, flood, hop::HopPlan};
use proxyherd::cli::{completions, man, with_whole_notes};

/// Puts a herd under load, and reports what came back and how soon
#[derive(Debug, Parser)]
#[command(name = "herd-load", version, about, after_help = herd_load::exit::CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What is asked for makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// An echo server: a thread per connection as a node has, or an event loop; one fixed line for each line
    Echo(Echo),
    /// Load on one server or several: how many requests a second it handles, and how soon it answers
    #[command(after_help = run::EXAMPLES)]
    Run(Box<Run>),
    /// The time from a client's write to a node until its AT line reaches the node's neighbour
    Hop(Hop),
    /// How long until a report made at one server of any herd is known at the others
    #[command(long_about = flood::ABOUT)]
    Flood(Box<flood::Args>),
    /// What repair costs and how long it takes, between nodes that lost or missed something
    Repair(Box<herd_load::repair::Repair>),
    /// How soon a node starts, and what its lookups cost, from the embedded places and through a slow or silent upstream
    Places(herd_load::places::Places),
    /// What the number of a store's locks is worth: threads at 1 to 256 of them, to a run folder
    Locks(herd_load::locks::Locks),
    /// The report, with every figure read from the run folders
    Report(Report),
    /// Servers from a plan, under the same loads in turn: rates, latencies, CPU, memory, and their ratios
    Sweep(herd_load::sweep::Sweep),
    /// An upstream to look up places at: answers every legacy Nearby Search with one invented document
    Upstream(Upstream),
    /// Charts of a run folder, as SVG at the width of a paper's column
    Plot(Plot),
    /// Two run folders side by side: what changed, and whether by more than the noise
    Compare(Compare),
    /// A script that lets your shell complete herd-load's subcommands, flags and files
    #[command(after_help = COMPLETIONS)]
    Completions(completions::Args),
    /// A manual page for herd-load and for each of its subcommands
    #[command(after_help = MAN)]
    Man(man::Args),
}

const COMPLETIONS: &str = "\
Examples:
  source <(herd-load completions bash)           for this shell
  herd-load completions bash > ~/.local/share/bash-completion/completions/herd-load
  herd-load completions zsh > \"${fpath[1]}/_herd-load\"
  herd-load completions fish > ~/.config/fish/completions/herd-load.fish";

const MAN: &str = "\
Examples:
  herd-load man pages                            then: man -l pages/herd-load.1
  herd-load man ~/.local/share/man/man1          then: man herd-load, man herd-load-run";

/// What is understood.
pub(crate) fn arguments() -> clap::Command {
    with_whole_notes(Cli::command().long_version(version()))
}

/// The version, and what is known of the commit.
pub(crate) fn version() -> &'static str {
    herd_version::version_with_commit!()
}

#[derive(Debug, Args)]
pub(crate) struct Echo {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    /// Bytes of the line that answers each line, without its newline
    #[arg(long, default_value_t = 90)]
    pub(crate) line_length: usize,
    /// How connections are served
    #[arg(long, value_enum, default_value = "threads")]
    pub(crate) shape: Shape,
    /// Run under `SCHED_BATCH`, as a node does: a thread that is woken waits for its turn
    #[arg(long)]
    pub(crate) batch: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Hop {
    /// The node, HOST:PORT, if it is already running
    #[arg(long, value_name = "ADDRESS", required_unless_present = "command", conflicts_with = "command")]
    pub(crate) node: Option<String>,
    /// The command that starts the node, if it is not running yet
    #[arg(value_name = "NODE-COMMAND", trailing_var_arg = true)]
    pub(crate) command: Vec<String>,
    /// Where the node expects its neighbour
    #[arg(long, default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    /// The neighbour's id
    #[arg(long = "as", value_name = "ID", default_value = "Bench")]
    pub(crate) id: String,
    /// The herd's name
    #[arg(long, default_value = "bench")]
    pub(crate) herd: String,
    #[command(flatten)]
    pub(crate) hops: HopPlan,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// The report, with every figure read from the run folders
///
/// Fills in the placeholders of a template, such as {{full; C=50 P=1; node; rate; k1}}, and writes the text. Exits with
/// 1, and writes nothing, if a figure is missing or a claim of the template does not hold.
#[derive(Debug, Args)]
pub(crate) struct Report {
    #[command(flatten)]
    pub(crate) report: herd_load::report::Report,
    /// Where the text goes
    #[arg(long, value_name = "FILE", default_value = "REPORT.md")]
    pub(crate) out: PathBuf,
    /// Write nothing; exit with 1 if the file differs from what would be written
    #[arg(long)]
    pub(crate) check: bool,
}

/// Answers every GET of a path that ends in `/nearbysearch/json` with the same document of invented places, after a
/// delay, and GET `/count` with how many times it did. HTTP/1.1 without TLS, connections kept alive, one thread each.
/// Prints `listening ADDRESS`; give a node `source = "google"` and `base_url = "http://ADDRESS"` in `[places]`, and any
/// word as key.
#[derive(Debug, Args)]
pub(crate) struct Upstream {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    #[command(flatten)]
    pub(crate) upstream: herd_load::upstream::Upstream,
}

/// Charts of a run folder, as SVG at the width of a paper's column
///
/// Throughput against connections and against requests in flight, if a run varies them; throughput, processor time and
/// memory of each point as bars from zero; percentiles of each point, and of hops, on a logarithmic axis. All show
/// medians over the rounds with their quartiles, and leave out what is invalid. The same run gives the same
/// bytes. Prints each chart's file; a chart that already exists is overwritten, others stay.
#[derive(Debug, Args)]
pub(crate) struct Plot {
    /// The run folder
    #[arg(value_name = "RUN")]
    pub(crate) run: PathBuf,
    /// Where the charts go; by default `plots` in the run folder
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Draw no title and no footnote, for a document that has captions of its own
    #[arg(long)]
    pub(crate) no_captions: bool,
    /// Only these servers of the run, in this order; with `NAME=LABEL`, under another name
    #[arg(long = "only-server", value_name = "NAME", value_delimiter = ',', num_args = 1..)]
    pub(crate) only_servers: Vec<String>,
}

/// Two run folders side by side: what changed, and whether by more than the noise
///
/// For every figure that both runs have: the median of each run's rounds, their quartiles, and the change of
/// the median. Invalid samples are left out and reported; so are figures that only one run has, and figures measured
/// under another load.
///
/// A change is beyond the noise if the two ranges, from least to greatest, do not overlap: every round of one run is
/// above every round of the other. If both runs were alike, that would happen by chance for one of (n+m)!/(n! m!)
/// figures in each direction: one of 20 for three rounds each, one of 252 for five. If it is more than one of 20, the
/// rounds are too few to tell. With many figures some differ by chance; the end of the output says how many to expect.
/// Rounds show only the noise within a run: a machine that is busier today than yesterday shifts all rounds of a run
/// alike, so measure both in one session.
///
/// The figure says what is better or worse (`better`), or else its target does (≥, ≤), or else its unit: more of
/// anything per second, less of times and bytes. If none of these decides, a figure only differs.
#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// The run folder to compare with
    #[arg(value_name = "A")]
    pub(crate) a: PathBuf,
    /// The run folder that may have changed
    #[arg(value_name = "B")]
    pub(crate) b: PathBuf,
    /// Exit with 3 if a figure got worse by more than this, beyond the noise
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub(crate) fail_above: Option<f64>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim_end_matches('%').parse().ok();
    let is_share = |number: &f64| number.is_finite() && *number >= 0.0;
    number.filter(is_share).ok_or_else(|| "give a percentage, such as 5 or 2.5".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_hold_together() {
        arguments().debug_assert();
    }
}
