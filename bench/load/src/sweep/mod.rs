//! A sweep: servers from a plan, each under the same loads, round after round. What they do is compared within a round
//! only, since the machine is never the same for long; all of it goes to a run folder.

mod bed;
mod certificates;
mod choice;
mod figures;
mod graph;
mod herd;
mod measure;
mod order;
mod pauses;
mod plan;
mod point;
mod ratios;
mod share;
mod summary;
mod target;
mod template;
mod tokens;

pub use choice::Choice;
pub use plan::PlanError;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::json;
use thiserror::Error;

use crate::{
    disturbance::{self, Limits, Watch},
    interrupt,
    rounds::{
        BenchError, Figure, Finished, Sample,
        folder::{Folder, Unfinished, versions},
    },
};
use bed::{Bed, Missing};
use order::Order;
use plan::Plan;
use point::Point;

/// What to run.
#[derive(Clone, Debug, clap::Args)]
pub struct Sweep {
    /// The plan, such as bench/plans/full.toml
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// The `herd` program to measure; by default the one beside this tester
    #[arg(long, value_name = "HERD")]
    pub herd: Option<PathBuf>,
    /// Where the run folder goes
    #[arg(long, default_value = "bench/runs")]
    pub runs: PathBuf,
    /// Which parts of the plan, and how much
    #[command(flatten)]
    pub choice: Choice,
    /// Continues this run folder, which was interrupted, with the same choice: rounds that are complete are kept
    #[arg(long, value_name = "RUN", conflicts_with_all = ["what", "runs", "rounds", "seconds", "only_servers",
          "only_points", "seed", "max_steal", "max_foreign", "tries"])]
    pub resume: Option<PathBuf>,
    /// When a sample is disturbed
    #[command(flatten)]
    pub disturbance: disturbance::Demands,
}

/// Why a sweep was not made.
#[derive(Debug, Error)]
pub enum SweepError {
    /// The plan has nothing that can be run.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A server cannot be started here.
    #[error(
        "server {server:?}: {reason}; build or install it (bench/README.md says how), give it skip_if_missing = true in \
         the plan, or leave it out by --only-server"
    )]
    Missing {
        /// Its name.
        server: String,
        /// What is not there.
        reason: String,
    },
    /// None of the plan's servers can be.
    #[error("none of the plan's servers can be started here, see above")]
    NoServer,
    /// The run folder does not go with what is measured now.
    #[error("cannot resume this run: {0}")]
    Resume(&'static str),
    /// A run broke.
    #[error(transparent)]
    Bench(#[from] BenchError),
}

impl SweepError {
    /// Whether another command line, or another plan, would help.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Plan(_) | Self::Resume(_))
    }
}

/// What a run is resumed with.
#[derive(Debug, Serialize, Deserialize)]
struct Settings {
    choice: Choice,
    seed: u64,
    limits: Limits,
}

/// Measures everything; `tell` is called with what is left out, and with every rate and ratio as it comes.
pub fn run(sweep: &Sweep, tell: &dyn Fn(&str)) -> Result<Finished, SweepError> {
    let unfinished = sweep.resume.as_deref().map(Unfinished::read).transpose()?;
    let earlier = unfinished.as_ref().map(|run| Settings::deserialize(&run.settings)).transpose();
    let earlier =
        earlier.map_err(|_| SweepError::Resume("its raw.jsonl does not begin with what was chosen"))?;
    let choice = earlier.as_ref().map_or(&sweep.choice, |earlier| &earlier.choice);
    let mut plan = Plan::read(&sweep.plan, choice)?;
    if let Some(Settings { seed, limits, .. }) = earlier {
        (plan.seed, plan.limits) = (seed, limits);
    }
    let mut bed = Bed::new(&sweep.plan, sweep.herd.as_deref())?;
    let (versions, missing) = find(&bed, &plan)?;
    for Missing { server, reason } in &missing {
        tell(&format!("SKIPPED {server}: {reason}"));
    }
    plan.leave_out(&missing);
    if plan.points.is_empty() {
        return Err(SweepError::NoServer);
    }
    let stop = interrupt::watch().map_err(BenchError::file("cannot wait for signals"))?;
    let watch = Watch::new(plan.limits, &sweep.disturbance, &stop, tell);
    let (mut folder, samples, rounds) = match unfinished {
        Some(unfinished) => resume(&plan, &versions, unfinished)?,
        None => (create(sweep, &plan, &versions, watch.limits())?, Vec::new(), 0),
    };
    bed.start_upstream(&plan)?;
    let record = Record { plan: &plan, folder: &mut folder, tell, samples };
    let samples = record.measure(&bed, &watch, rounds)?;
    let interrupted = watch.is_stopped();
    let summary = summary::render(&plan, &missing, &samples, &watch.limits(), interrupted);
    folder.add("summary.md", &summary)?;
    let missed = summary::misses(&plan, &samples);
    Ok(Finished::new(&folder, summary, &samples, interrupted, missed))
}

/// A new run folder, with all that is known in advance.
fn create(sweep: &Sweep, plan: &Plan, versions: &Versions, limits: Limits) -> Result<Folder, SweepError> {
    let settings = Settings { choice: sweep.choice.clone(), seed: plan.seed, limits };
    let command = command(sweep, plan);
    let folder = Folder::create(&sweep.runs, &plan.what, versions, &command, &json!(settings))?;
    folder.add("plan.toml", &plan.text)?;
    Ok(folder)
}

/// The run folder with what its complete rounds have found, and how many these are; the next one comes from the same
/// plan, the same servers, the same kernel.
fn resume(
    plan: &Plan,
    now: &Versions,
    unfinished: Unfinished,
) -> Result<(Folder, Vec<Sample<String>>, u32), SweepError> {
    // A tree may change in what is not measured.
    let measured = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.starts_with("revision: ")).map(str::to_owned).collect()
    };
    if unfinished.file("plan.toml")? != plan.text {
        return Err(SweepError::Resume("the plan is not the one beside its raw.jsonl"));
    }
    if measured(&unfinished.file("versions.txt")?) != measured(&versions(now)) {
        return Err(SweepError::Resume(
            "other servers or versions than in its versions.txt would be measured",
        ));
    }
    let rounds = unfinished.rounds;
    let samples = unfinished.samples()?;
    Ok((unfinished.resume()?, samples, rounds))
}

type Versions = Vec<(String, Option<String>)>;

/// The servers' versions, and those that are missing and may be.
fn find(bed: &Bed, plan: &Plan) -> Result<(Versions, Vec<Missing>), SweepError> {
    let (mut versions, mut missing) = (Vec::new(), Vec::new());
    for server in &plan.servers {
        match bed.find(server) {
            Ok(None) => {}
            Ok(version) => versions.push((server.name.clone(), version)),
            Err(absent) if server.skip_if_missing => missing.push(absent),
            Err(Missing { server, reason }) => return Err(SweepError::Missing { server, reason }),
        }
    }
    Ok((versions, missing))
}

/// What has been found so far, written down as it comes.
struct Record<'a> {
    plan: &'a Plan,
    folder: &'a mut Folder,
    tell: &'a dyn Fn(&str),
    samples: Vec<Sample<String>>,
}

impl Record<'_> {
    /// Measures all rounds but these first ones, or until a signal comes: what is under way then is not kept.
    fn measure(mut self, bed: &Bed, watch: &Watch<'_>, done: u32) -> Result<Vec<Sample<String>>, BenchError> {
        let plan = self.plan;
        for round in done + 1..=plan.rounds {
            for (index, point) in plan.points.iter().enumerate().filter(|(_, point)| round <= point.rounds) {
                let (point, refused) = share::in_round(point, round, &self.samples);
                let order = Order::draw(plan.seed, round, index, &point);
                let figures = figures_of(bed, plan, &point, &order, watch);
                if watch.is_stopped() {
                    return Ok(self.samples);
                }
                self.folder
                    .note(&json!({ "round": round, "point": point.name, "order": order.names(&point) }))?;
                for figure in figures.into_iter().chain(refused) {
                    self.keep(round, &point.name, figure)?;
                }
            }
            for (part, figure) in ratios::of_round(plan, round, &self.samples) {
                self.keep(round, &part, figure)?;
            }
            self.folder.note(&json!({ "completed": round }))?;
        }
        Ok(self.samples)
    }

    fn keep(&mut self, round: u32, part: &str, figure: Figure) -> Result<(), BenchError> {
        let target = figure.server.as_deref().and_then(|server| self.plan.target(part, server, &figure.what));
        let sample = Sample::new(round, part.to_owned(), figure.aims_at(target));
        self.folder.append(&sample)?;
        if ["rate", "ratio", figures::IN_STEP].contains(&&*sample.what) {
            (self.tell)(&sample.to_string());
        }
        self.samples.push(sample);
        Ok(())
    }
}

/// The figures of all of a point's servers.
fn figures_of(bed: &Bed, plan: &Plan, point: &Point, order: &Order, watch: &Watch<'_>) -> Vec<Figure> {
    let told = |server: &str, found: Result<(Vec<Figure>, Option<String>), BenchError>| {
        let (figures, objection) = found.unwrap_or_else(|error| (figures::none(error.to_string()), None));
        let of_server = |figure: Figure| figure.of(server, point.at()).invalid_if(objection.clone());
        figures.into_iter().map(of_server).collect::<Vec<_>>()
    };
    if point.graph.nodes > 1 {
        let found = herd::measure(bed, plan, point, order, watch).into_iter();
        let each = found
            .map(|(server, herd)| told(&server, herd.map(|herd| (figures::of_herd(&herd), herd.objection))));
        return each.flatten().collect();
    }
    let found = measure::measure(bed, plan, point, order, watch).into_iter();
    let each =
        found.map(|(server, one)| told(&server, one.map(|one| (figures::of(point, &one), one.objection))));
    each.flatten().collect()
}

/// The command as it would be typed, files by their names alone.
fn command(sweep: &Sweep, plan: &Plan) -> String {
    let Sweep { choice, .. } = sweep;
    let name = sweep.plan.file_name().unwrap_or_default().to_string_lossy();
    let mut command = format!("herd-load sweep {name} --what {}", plan.what);
    command.push_str(&format!(" --rounds {} --seed {}", plan.rounds, plan.seed));
    if let Some(seconds) = choice.seconds {
        command.push_str(&format!(" --seconds {seconds}"));
    }
    let lists = [("--only-server", &choice.only_servers), ("--only-point", &choice.only_points)];
    for (flag, names) in lists.iter().filter(|(_, names)| !names.is_empty()) {
        command.push_str(&format!(" {flag} '{}'", names.join(",")));
    }
    command + "\n\nThe plan is beside this file, with the command that starts each server.\n"
}
