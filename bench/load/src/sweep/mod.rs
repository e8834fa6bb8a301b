//! A sweep: servers from a plan, each under the same loads, round after round. What they do is compared within a round
//! only, since the machine is never the same for long; all of it goes to a run folder.

mod bed;
mod figures;
mod graph;
mod herd;
mod measure;
mod pauses;
mod plan;
mod point;
mod ratios;
mod share;
mod summary;
mod target;
mod template;

pub use plan::{Choice, Fault, PlanError};

use std::path::PathBuf;

use thiserror::Error;

use crate::rounds::{BenchError, Figure, Finished, Sample, folder::Folder};
use bed::{Bed, Missing};
use plan::Plan;
use point::Point;

/// What to run.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// This tester, for echo and the upstream.
    pub tester: PathBuf,
    /// The `herd` program.
    pub herd: PathBuf,
    /// The plan's file.
    pub plan: PathBuf,
    /// Where the run folder goes.
    pub runs: PathBuf,
    /// Which parts of the plan, and how much.
    pub choice: Choice,
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
    /// A run broke.
    #[error(transparent)]
    Bench(#[from] BenchError),
}

/// Measures everything; `tell` is called with what is left out, and with every rate and ratio as it comes.
pub fn run(sweep: &Sweep, tell: impl Fn(&str)) -> Result<Finished, SweepError> {
    let mut plan = Plan::read(&sweep.plan, &sweep.choice)?;
    let mut bed = Bed::new(&sweep.plan, &sweep.tester, &sweep.herd)?;
    let (versions, missing) = find(&bed, &plan)?;
    for Missing { server, reason } in &missing {
        tell(&format!("SKIPPED {server}: {reason}"));
    }
    plan.leave_out(&missing);
    if plan.points.is_empty() {
        return Err(SweepError::NoServer);
    }
    let mut folder = Folder::create_with(&sweep.runs, &plan.what, &versions, &command(sweep, &plan))?;
    let text =
        std::fs::read_to_string(&sweep.plan).map_err(BenchError::file("cannot read the plan again"))?;
    folder.add("plan.toml", &text)?;
    bed.start_upstream(&plan)?;
    let samples = measure(&bed, &plan, &mut folder, tell)?;
    let summary = summary::render(&plan, &missing, &samples);
    folder.finish(&summary)?;
    let valid = samples.iter().all(|sample| sample.invalid.is_none());
    Ok(Finished { folder: folder.path().to_owned(), summary, valid })
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

fn measure(
    bed: &Bed,
    plan: &Plan,
    folder: &mut Folder,
    tell: impl Fn(&str),
) -> Result<Vec<Sample<String>>, BenchError> {
    let mut record = Record { plan, folder, tell, samples: Vec::new() };
    for round in 1..=plan.rounds {
        for point in plan.points.iter().filter(|point| round <= point.rounds) {
            let (point, refused) = share::in_round(point, round, &record.samples);
            for figure in figures_of(bed, plan, &point, round).into_iter().chain(refused) {
                record.keep(round, &point.name, figure)?;
            }
        }
        for (part, figure) in ratios::of_round(plan, round, &record.samples) {
            record.keep(round, &part, figure)?;
        }
    }
    Ok(record.samples)
}

/// What has been found so far, written down as it comes.
#[derive(Debug)]
struct Record<'a, T> {
    plan: &'a Plan,
    folder: &'a mut Folder,
    tell: T,
    samples: Vec<Sample<String>>,
}

impl<T: Fn(&str)> Record<'_, T> {
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
fn figures_of(bed: &Bed, plan: &Plan, point: &Point, round: u32) -> Vec<Figure> {
    let of = |server: &str, figures: Vec<Figure>, objection: Option<String>| {
        let at = point.at();
        let of_server = |figure: Figure| figure.of(server, at.clone()).invalid_if(objection.clone());
        figures.into_iter().map(of_server).collect::<Vec<_>>()
    };
    if point.graph.nodes > 1 {
        let found = herd::measure(bed, plan, point, round);
        let each = found.into_iter().map(|(server, found)| match found {
            Ok(measured) => of(&server, figures::of_herd(&measured), measured.objection),
            Err(reason) => of(&server, figures::none(reason), None),
        });
        return each.flatten().collect();
    }
    let found = measure::measure(bed, plan, point, round);
    let each = found.into_iter().map(|(server, found)| match found {
        Ok(measured) => of(&server, figures::of(point, &measured), measured.objection),
        Err(reason) => of(&server, figures::none(reason), None),
    });
    each.flatten().collect()
}

/// The command as it would be typed, files by their names alone.
fn command(sweep: &Sweep, plan: &Plan) -> String {
    let Sweep { choice, .. } = sweep;
    let name = sweep.plan.file_name().unwrap_or_default().to_string_lossy();
    let mut command = format!("herd-load sweep {name} --what {}", plan.what);
    command.push_str(&format!(" --rounds {}", plan.rounds));
    if let Some(seconds) = choice.seconds {
        command.push_str(&format!(" --seconds {seconds}"));
    }
    let lists = [("--only-server", &choice.only_servers), ("--only-point", &choice.only_points)];
    for (flag, names) in lists.iter().filter(|(_, names)| !names.is_empty()) {
        command.push_str(&format!(" {flag} '{}'", names.join(",")));
    }
    command + "\n\nThe plan is beside this file, with the command that starts each server.\n"
}
