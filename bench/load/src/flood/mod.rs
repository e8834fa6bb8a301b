//! How long a report takes from the server where it is made to the others, in any herd that speaks this protocol, using
//! only IAMAT and WHATSAT.
//!
//! A server cannot be told to say when it learns of something. So it is asked repeatedly, and the result is a question
//! that it answered with `?`, and a later one that it answered with the report: it learned of the report between the
//! sending of the first and the answer to the second.

mod answer;
mod args;
mod endpoint;
mod error;
mod figure;
mod marker;
mod probe;
mod tally;

pub use self::{
    args::{ABOUT, Args},
    endpoint::Endpoint,
    error::FloodError,
    figure::Figure,
    marker::FAR_FROM_LAND,
    tally::{FloodOutcome, NodeOutcome},
};

use std::{thread, time::Duration};

use self::{probe::Prober, tally::Tally};
use crate::{
    clock::{Clock, thread_cpu},
    words::{microseconds, milliseconds, seconds, usual},
};

/// A node that did not learn of so many reports in a row is no longer waited for.
pub const GIVEN_UP_AFTER: u32 = 3;

/// What is measured, and how.
#[derive(Clone, Debug, clap::Args)]
pub struct FloodPlan {
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
}

impl FloodPlan {
    /// Two hundred reports after twenty, each as soon as all know of the last, by default.
    pub fn new(from: Endpoint, to: Vec<Endpoint>) -> Self {
        // What these words say is replaced.
        Self { from, to, ..usual(&["from:1", "to:1"]) }
    }

    /// Whether each request has a connection of its own.
    fn is_short(&self) -> bool {
        self.reconnect || self.half_close
    }

    fn check(&self) -> Result<(), FloodError> {
        let is_no_word = self.location.is_empty() || self.location.contains(char::is_whitespace);
        let faults = [
            (self.to.is_empty(), "give at least one server that is to learn of reports"),
            (self.reports == 0, "without reports there is nothing to measure: raise -n"),
            (self.timeout.is_zero(), "no server learns of a report in no time: raise --timeout"),
            (is_no_word, "--location is one word, such as +34.068930-118.445127"),
        ];
        let fault = faults.into_iter().find(|(is_so, _)| *is_so);
        fault.map_or(Ok(()), |(_, why)| Err(FloodError::Senseless(why)))
    }
}

/// Makes reports one by one and measures until each server knows of them.
pub fn measure(plan: &FloodPlan) -> Result<FloodOutcome, FloodError> {
    plan.check()?;
    let mut prober = Prober::open(plan)?;
    let mut tally = Tally::new(plan.to.len());
    for node in 0..plan.to.len() {
        tally.bare(node, prober.round_trips(node, plan.round_trips)?);
    }
    let (mut clock, mut cpu) = (Clock::start(), thread_cpu());
    for number in 0..plan.warmup.saturating_add(plan.reports) {
        if number == plan.warmup {
            prober.forget_spacing();
            (clock, cpu) = (Clock::start(), thread_cpu());
        }
        if number > 0 && !plan.interval.is_zero() {
            thread::sleep(plan.interval);
        }
        let marked = prober.mark()?;
        if marked.replied_ns.is_none() {
            return Err(FloodError::Silent { server: plan.from.to_string(), within: plan.timeout });
        }
        for node in tally.add(&marked, number >= plan.warmup) {
            prober.give_up(node);
        }
        if tally.all_are_given_up() {
            break;
        }
    }
    let seconds = Duration::from_nanos(clock.elapsed_ns()).as_secs_f64().max(1e-9);
    let client_cpu = (thread_cpu() - cpu).as_secs_f64() / seconds;
    Ok(tally.outcome(plan, &prober, client_cpu))
}
