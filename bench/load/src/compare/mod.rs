//! A node against the bare shape of a node: alternating rounds of echo, node and node with its log, then of
//! skeleton and node for one hop, written to a run folder. Every server runs in a process of its own and is
//! driven by the same code.

mod bed;
pub(crate) mod folder;
mod sample;
pub(crate) mod statistics;
mod summary;
pub(crate) mod traffic_log;

pub(crate) use sample::Target;
pub use sample::{Measured, Sample, Subject, Trial};

use std::{io, iter, path::PathBuf, time::Duration};

use thiserror::Error;

use crate::{
    drive::{Drive, Length, Load, LoadError, drive},
    hop::{HopError, HopPlan, Neighbour, Timer},
    server::ServerError,
};
use bed::Bed;
use folder::Folder;

/// Reports in flight on each connection, one trial each.
const WINDOWS: [u32; 2] = [1, 64];
/// How long a node may take to call its neighbour.
const CALL: Duration = Duration::from_secs(30);
/// Into how many turns a round's hops are cut.
const TURNS: u32 = 20;
/// Into how many turns the time of a round's throughput is cut.
const THROUGHPUT_TURNS: u32 = 5;

/// What to compare, and for how long.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// This tester, for echo and skeleton.
    pub tester: PathBuf,
    /// The `herd` program.
    pub herd: PathBuf,
    /// The end of the run folder's name.
    pub what: String,
    /// Where the run folder goes.
    pub runs: PathBuf,
    /// How often everything is measured.
    pub rounds: u32,
    /// How long each throughput is measured.
    pub seconds: Duration,
    /// How long it is loaded before.
    pub warmup: Duration,
    /// Connections at once.
    pub connections: u32,
    /// Distinct clients.
    pub clients: u32,
    /// Whether every field of a node's replies is checked while its clients are first reported.
    pub verify: bool,
    /// The hops of each round.
    pub hops: HopPlan,
}

/// A comparison that was made.
#[derive(Debug)]
pub struct Finished {
    /// The run folder.
    pub folder: PathBuf,
    /// Its summary.
    pub summary: String,
    /// Whether every sample counts.
    pub valid: bool,
}

/// Why a comparison was not made.
#[derive(Debug, Error)]
pub enum CompareError {
    /// No rounds.
    #[error("a comparison needs at least one round: raise --rounds")]
    NoRounds,
    /// The run folder is there already.
    #[error("{0} exists; give another --what, or move it away")]
    FolderExists(PathBuf),
    /// A file could not be written or read.
    #[error("{what}: {source}")]
    File {
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// A server was not there.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The loop broke.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The hops broke.
    #[error(transparent)]
    Hop(#[from] HopError),
    /// The node's reply to a single report was not one.
    #[error("the node answered {0:?} to a report")]
    Wrong(String),
    /// The node's reply to a lookup was not one.
    #[error("the node answered {0:?} to a lookup")]
    WrongToLookup(String),
    /// The node's answer to its neighbour was not the one.
    #[error("the node answered {0:?} to its neighbour")]
    WrongToNeighbour(String),
    /// Something did not come about.
    #[error("{what} did not come within {} s; the nodes' logs should say why", .within.as_secs())]
    Late {
        /// What was awaited.
        what: String,
        /// For how long.
        within: Duration,
    },
}

impl CompareError {
    /// Names what was being done when the system refused.
    pub(crate) fn file(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { what, source }
    }
}

/// Makes the comparison; `tell` hears of every sample as it comes.
pub fn run(comparison: &Comparison, tell: impl Fn(&Sample)) -> Result<Finished, CompareError> {
    if comparison.rounds == 0 {
        return Err(CompareError::NoRounds);
    }
    let bed = Bed::new(comparison);
    // Before anything is written, so that a program that cannot run leaves no folder.
    let line_length = bed.reply_length()?;
    let Comparison { runs, what, herd, .. } = comparison;
    let mut folder = Folder::create(runs, what, herd, &command(comparison, line_length))?;
    let mut samples = Vec::new();
    for round in 1..=comparison.rounds {
        for sample in measure_round(comparison, &bed, round, line_length) {
            let sample = sample?;
            folder.append(&sample)?;
            tell(&sample);
            samples.push(sample);
        }
    }
    let summary = summary::render(comparison, line_length, &samples);
    folder.finish(&summary)?;
    let valid = samples.iter().all(|sample| sample.invalid.is_none());
    Ok(Finished { folder: folder.path().to_owned(), summary, valid })
}

/// The command as it would be typed, programs by their names alone.
fn command(comparison: &Comparison, line_length: usize) -> String {
    let Comparison { what, rounds, seconds, warmup, connections, clients, verify, hops, .. } = comparison;
    let herd = comparison.herd.file_name().unwrap_or_default().to_string_lossy();
    let (seconds, warmup) = (seconds.as_secs_f64(), warmup.as_secs_f64());
    let verify = if *verify { "" } else { " --no-verify" };
    format!(
        "herd-load compare {herd} --what {what} --rounds {rounds} --seconds {seconds} --warmup {warmup} \
         -c {connections} --clients {clients} --back-to-back {} --idle {}{verify}\n\n\
         Each round starts afresh, each server in a process of its own. They run side by side and take turns:\n\
         herd-load echo --line-length {line_length}   (the length of the node's own answers)\n\
         {herd} node Solo --config FILE --log-dir DIR   (once with `[log] traffic = false`, once with true)\n\
         herd-load skeleton\n",
        hops.back_to_back, hops.idle
    )
}

/// All of one round, each sample measured when it is asked for.
fn measure_round<'a>(
    comparison: &'a Comparison,
    bed: &'a Bed<'a>,
    round: u32,
    line_length: usize,
) -> impl Iterator<Item = Result<Sample, CompareError>> + 'a {
    let throughput = WINDOWS
        .into_iter()
        .map(move |window| measure_throughput(comparison, bed, round, window, line_length));
    let hops = iter::once_with(move || measure_hops(comparison, bed, round));
    throughput.chain(hops).flat_map(|samples| match samples {
        Ok(samples) => samples.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error)],
    })
}

/// The subjects, each round beginning with another, so that none always follows the same one.
fn rotated(mut subjects: [Subject; 3], round: u32) -> impl Iterator<Item = Subject> {
    let by = round as usize % subjects.len();
    subjects.rotate_left(by);
    subjects.into_iter()
}

/// A round's throughput. The servers run side by side and take turns in an order that changes, so that what the machine
/// does for a while, it does to all of them.
fn measure_throughput(
    comparison: &Comparison,
    bed: &Bed<'_>,
    round: u32,
    window: u32,
    line_length: usize,
) -> Result<Vec<Sample>, CompareError> {
    let mut driven = Vec::new();
    for subject in rotated(Subject::OF_THROUGHPUT, round) {
        let running = bed.start_for_throughput(subject, line_length)?;
        let load = Load {
            address: running.address(),
            connections: comparison.connections,
            window,
            clients: comparison.clients,
            length: Length::Time(comparison.seconds / THROUGHPUT_TURNS),
            warmup: comparison.warmup / THROUGHPUT_TURNS,
            verify: false,
        };
        let verify = comparison.verify && subject.is_node();
        let prefill = drive(&Load { verify, ..load.prefill() })?;
        driven.push((subject, running, prefill, Drive::open(load)?));
    }
    for turn in 0..THROUGHPUT_TURNS {
        for (.., drive) in &mut driven {
            drive.turn()?;
        }
        // Forwards and backwards after it, and another first each time.
        driven.reverse();
        driven.rotate_left(turn as usize % 2);
    }
    let mut samples = Vec::new();
    for (subject, running, prefill, drive) in driven {
        let outcome = drive.outcome();
        let wrong = prefill.wrong + outcome.wrong;
        let unlogged = running.stop(prefill.sent + outcome.sent)?;
        let invalid = if wrong > 0 { Some(format!("{wrong} wrong replies")) } else { unlogged };
        let measured = Measured::Throughput(outcome);
        samples.push(Sample { round, trial: Trial::Throughput(window), subject, measured, invalid });
    }
    samples.sort_by_key(|sample| sample.subject as usize);
    Ok(samples)
}

/// All of a round's hops. The three run side by side and take turns, a few hops each: where the scheduler puts
/// the threads, and how deep the idle cores sleep, changes a hop more than the node's work does, and so that
/// must meet all of them alike.
fn measure_hops(comparison: &Comparison, bed: &Bed<'_>, round: u32) -> Result<Vec<Sample>, CompareError> {
    let plan = comparison.hops;
    let mut timed = Vec::new();
    for subject in rotated(Subject::OF_HOPS, round) {
        let neighbour = Neighbour::listen(bed.neighbour_address(subject), bed::HERD, bed::NEIGHBOUR)?;
        let running = bed.start_for_hops(subject)?;
        let timer = Timer::start(neighbour.accept(CALL)?, running.address(), plan)?;
        timed.push((subject, running, timer));
    }
    for turn in 0..TURNS {
        for (_, _, timer) in &mut timed {
            timer.back_to_back(part(plan.back_to_back, turn))?;
        }
    }
    for turn in 0..TURNS {
        for (_, _, timer) in &mut timed {
            timer.idle(part(plan.idle, turn))?;
        }
    }
    let mut samples = Vec::new();
    for (subject, running, timer) in timed {
        let outcome = timer.outcome();
        drop(timer);
        let invalid = running.stop(outcome.sent)?;
        let sample = |trial, latency| Sample {
            round,
            trial,
            subject,
            measured: Measured::Hop(latency),
            invalid: invalid.clone(),
        };
        samples.push(sample(Trial::HopBackToBack, outcome.back_to_back));
        samples.push(sample(Trial::HopIdle, outcome.idle));
    }
    Ok(samples)
}

/// How many of `all` hops fall to this turn.
fn part(all: u32, turn: u32) -> u32 {
    all / TURNS + u32::from(turn < all % TURNS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_round_begins_with_another_subject() {
        let first = |round| rotated(Subject::OF_THROUGHPUT, round).next().unwrap();
        assert_ne!(first(1), first(2));
        assert_ne!(first(2), first(3));
        assert_eq!(first(1), first(4));
        assert_eq!(rotated(Subject::OF_HOPS, 5).count(), 3);
    }

    #[test]
    fn the_turns_add_up_to_the_plan() {
        for all in [0, 1, 19, 20, 21, 5_000] {
            assert_eq!((0..TURNS).map(|turn| part(all, turn)).sum::<u32>(), all);
        }
    }
}
