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
use crate::clock::{Clock, thread_cpu};

/// A node that did not learn of so many reports in a row is no longer waited for.
pub const GIVEN_UP_AFTER: u32 = 3;

/// What is measured, and how.
#[derive(Clone, Debug)]
pub struct FloodPlan {
    /// Where reports are made.
    pub from: Endpoint,
    /// The servers that should learn of them.
    pub to: Vec<Endpoint>,
    /// Reports that count, one after another.
    pub reports: u32,
    /// Reports before those.
    pub warmup: u32,
    /// Pause between two reports, in which nothing is asked.
    pub interval: Duration,
    /// Least time from one question at a node to the next; with zero the next follows the answer at once.
    pub spacing: Duration,
    /// Whether the tester watches its sockets without ever sleeping, which takes a processor of its own.
    pub spins: bool,
    /// How long a node may take to learn of a report.
    pub timeout: Duration,
    /// The position of the clients that report, as a report has it.
    pub location: String,
    /// Bare round trips, of each node.
    pub round_trips: u32,
    /// How long a connection lasts.
    pub lasting: Lasting,
}

/// How long a connection lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    /// For the whole run.
    Kept,
    /// For one request; then its end is shown by a half-close, if wanted, for servers that read to the end of the
    /// input.
    OneRequest {
        /// Whether it is.
        half_close: bool,
    },
}

impl Lasting {
    /// Whether each request has a connection of its own.
    pub fn is_short(self) -> bool {
        self != Self::Kept
    }

    /// Whether a request's end is shown by a half-close.
    pub fn half_closes(self) -> bool {
        self == Self::OneRequest { half_close: true }
    }
}

impl FloodPlan {
    /// Two hundred reports after twenty, each as soon as all know of the last, by default.
    pub fn new(from: Endpoint, to: Vec<Endpoint>) -> Self {
        Self {
            from,
            to,
            reports: 200,
            warmup: 20,
            interval: Duration::ZERO,
            spacing: Duration::ZERO,
            spins: false,
            timeout: Duration::from_secs(10),
            location: FAR_FROM_LAND.to_owned(),
            round_trips: 500,
            lasting: Lasting::Kept,
        }
    }

    fn check(&self) -> Result<(), FloodError> {
        if self.to.is_empty() {
            return Err(FloodError::Senseless("give at least one server that is to learn of reports"));
        }
        if self.reports == 0 {
            return Err(FloodError::Senseless("without reports there is nothing to measure: raise -n"));
        }
        if self.timeout.is_zero() {
            return Err(FloodError::Senseless("no server learns of a report in no time: raise --timeout"));
        }
        if self.location.is_empty() || self.location.contains(char::is_whitespace) {
            return Err(FloodError::Senseless("--location is one word, such as +34.068930-118.445127"));
        }
        Ok(())
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
