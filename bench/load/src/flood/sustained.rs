//! The rate of reports at which no server falls behind the others: trials of one rate after another, each under a load
//! that keeps to its rate, while markers measure how long a report takes to be known.

use std::{
    fmt, thread,
    time::{Duration, Instant},
};

use super::{
    FloodError, FloodPlan,
    figure::Figure,
    probe::Prober,
    search::search,
    trial::{Pushed, Sample, Trial},
};
use crate::{
    clock::nanoseconds,
    drive::drive,
    load::{Length, Load, LoadError},
    statistics::Better,
};

/// The sustained rate and the next that was not are this close.
const WITHIN: f64 = 0.05;
/// Questions are at least so far apart during trials, so that asking costs the servers little.
const SPACING_MIN: Duration = Duration::from_millis(1);
/// Between two markers of a trial.
const PAUSE: Duration = Duration::from_millis(20);
/// A load is this far over its rate if it does not keep to it.
const OVER: f64 = 1.1;

/// What is searched, and how.
#[derive(Clone, Debug)]
pub struct SustainedPlan {
    /// The servers and the markers; the number of reports in it is ignored.
    pub flood: FloodPlan,
    /// Whether the load goes to all servers, not only to where the markers are made.
    pub is_at_all: bool,
    /// Connections of the load to each server it goes to.
    pub connections: u32,
    /// Reports in flight on each, at most.
    pub pipeline: u32,
    /// Distinct clients of the load.
    pub clients: u32,
    /// How long each trial lasts.
    pub length: Duration,
    /// A node whose markers take longer than this at the end of a trial is behind.
    pub behind: Duration,
    /// The rate tried first, in reports a second.
    pub first: f64,
    /// The highest rate tried, in reports a second.
    pub most: f64,
    /// How long the servers may take to catch up between trials.
    pub catch_up: Duration,
}

impl SustainedPlan {
    /// Trials of five seconds at the server where the markers are made, by default.
    pub fn new(flood: FloodPlan) -> Self {
        Self {
            flood,
            is_at_all: false,
            connections: 8,
            pipeline: 64,
            clients: 10_000,
            length: Duration::from_secs(5),
            behind: Duration::from_millis(100),
            first: 1_000.0,
            most: 10_000_000.0,
            catch_up: Duration::from_secs(60),
        }
    }

    fn check(&self) -> Result<(), FloodError> {
        self.flood.check()?;
        if self.length.is_zero() || self.behind.is_zero() {
            return Err(FloodError::Senseless("--seconds and --behind must be more than nothing"));
        }
        if !(self.first >= 1.0 && self.most >= self.first) {
            return Err(FloodError::Senseless("--rate-first must be at least 1, and --rate-max no less"));
        }
        Ok(())
    }
}

/// What was found.
#[derive(Clone, Debug)]
pub struct SustainedOutcome {
    /// Where the markers were made.
    pub from: String,
    /// Every trial, as they came.
    pub trials: Vec<Trial>,
    /// The highest rate that was kept up, as it was achieved, in reports a second.
    pub rate: Option<f64>,
    /// Why the search ended before its time, if it did; then the rate is a lower bound.
    pub cut_short: Option<String>,
}

impl SustainedOutcome {
    /// All of it, one figure a line.
    pub fn figures(&self) -> Vec<Figure> {
        let mut figures: Vec<_> = self.trials.iter().flat_map(Trial::figures).collect();
        let rate = self.rate.unwrap_or(0.0);
        let rate = Figure::new("every node", "sustained", "/s", rate, Better::More);
        figures.push(rate.with(self.cut_short.clone()));
        figures
    }
}

impl fmt::Display for SustainedOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "reports a second, and until those made at {} were known\n", self.from)?;
        for trial in &self.trials {
            writeln!(f, "{trial}")?;
        }
        match self.rate {
            Some(rate) => write!(f, "\nsustained   {rate:.0} reports a second")?,
            None => write!(f, "\nsustained   no rate that was tried")?,
        }
        match &self.cut_short {
            Some(reason) => write!(f, "\nCUT SHORT   {reason}; the rate is a lower bound"),
            None => Ok(()),
        }
    }
}

/// Why the search goes no further.
enum Halt {
    Broken(FloodError),
    NotCaughtUp(String),
}

impl From<FloodError> for Halt {
    fn from(error: FloodError) -> Self {
        Self::Broken(error)
    }
}

/// Searches with the load tester's own loop; `tell` hears of every trial as it is over.
pub fn sustain(plan: &SustainedPlan, tell: impl FnMut(&Trial)) -> Result<SustainedOutcome, FloodError> {
    sustain_with(plan, &push, tell)
}

/// The same with a load that is made by other means.
pub fn sustain_with(
    plan: &SustainedPlan,
    push: &(dyn Fn(&Load) -> Result<Pushed, LoadError> + Sync),
    mut tell: impl FnMut(&Trial),
) -> Result<SustainedOutcome, FloodError> {
    plan.check()?;
    let mut prober = Prober::open(&plan.flood)?;
    for _ in 0..plan.flood.warmup {
        prober.mark()?;
    }
    prober.set_spacing(plan.flood.spacing.max(SPACING_MIN));
    let mut trials: Vec<Trial> = Vec::new();
    let ended = search(plan.first, plan.most, WITHIN, |rate| -> Result<bool, Halt> {
        catch_up(plan, &mut prober)?;
        let number = trials.len() as u32 + 1;
        let trial = trial(plan, &mut prober, (number, rate), push)?;
        if trial.achieved > rate * OVER {
            return Err(FloodError::Unpaced { asked: rate, achieved: trial.achieved }.into());
        }
        tell(&trial);
        let is_kept_up = trial.failure.is_none();
        trials.push(trial);
        Ok(is_kept_up)
    });
    let cut_short = match ended {
        Ok(_) => None,
        Err(Halt::NotCaughtUp(reason)) => Some(reason),
        Err(Halt::Broken(error)) => return Err(error),
    };
    let kept = trials.iter().filter(|trial| trial.failure.is_none());
    let rate = kept.map(|trial| trial.achieved).max_by(f64::total_cmp);
    Ok(SustainedOutcome { from: plan.flood.from.to_string(), trials, rate, cut_short })
}

/// Waits until a marker is known everywhere soon enough.
fn catch_up(plan: &SustainedPlan, prober: &mut Prober) -> Result<(), Halt> {
    let began = Instant::now();
    loop {
        let marked = prober.mark()?;
        let is_late = |known_ns: Option<u64>| known_ns.is_none_or(|ns| ns > nanoseconds(plan.behind));
        let late = marked.seen.iter().position(|seen| is_late(seen.map(|seen| seen.answered_ns)));
        match late {
            None if !is_late(marked.replied_ns) => return Ok(()),
            _ if began.elapsed() < plan.catch_up => thread::sleep(PAUSE),
            late => {
                let server = late.map_or(&plan.flood.from, |node| &plan.flood.to[node]);
                let within = plan.catch_up.as_secs_f64();
                return Err(Halt::NotCaughtUp(format!("{server} had not caught up within {within} s")));
            }
        }
    }
}

fn trial(
    plan: &SustainedPlan,
    prober: &mut Prober,
    (number, rate): (u32, f64),
    push: &(dyn Fn(&Load) -> Result<Pushed, LoadError> + Sync),
) -> Result<Trial, FloodError> {
    let load = load(plan, prober, rate)?;
    let began_ns = prober.now_ns();
    let (pushed, samples) = thread::scope(|scope| {
        let builder = thread::Builder::new().name("flood-load".to_owned());
        let pusher = builder.spawn_scoped(scope, || push(&load)).map_err(FloodError::Thread)?;
        let mut samples = Vec::new();
        loop {
            // Checked first, so that one more marker is made when the load has ended: it comes after everything that is
            // late.
            let is_last = pusher.is_finished();
            let at_ns = prober.now_ns() - began_ns;
            samples.push(Sample::new(at_ns, &prober.mark()?.seen));
            if is_last {
                break;
            }
            thread::sleep(PAUSE);
        }
        let pushed = pusher.join().map_err(|_panic| FloodError::Panicked)??;
        Ok::<_, FloodError>((pushed, samples))
    })?;
    let servers: Vec<_> = plan.flood.to.iter().map(ToString::to_string).collect();
    Ok(Trial::judge((number, rate), &pushed, &servers, &samples, plan.length, plan.behind))
}

fn load(plan: &SustainedPlan, prober: &Prober, rate: f64) -> Result<Load, FloodError> {
    let mut targets = prober.addresses();
    if !plan.is_at_all {
        targets.truncate(1);
    }
    // Where reports are made may be among those that are to learn of them.
    targets.sort_unstable();
    targets.dedup();
    let connections = plan.connections.saturating_mul(targets.len() as u32);
    let lasting = plan.flood.lasting;
    Ok(Load {
        connections,
        pipeline: if lasting.is_short() { 1 } else { plan.pipeline },
        reconnect: lasting.is_short(),
        half_close: lasting.half_closes(),
        rate: Some(rate),
        length: Length::Time(plan.length),
        clients: plan.clients.max(connections),
        ..Load { targets: targets.clone(), ..Load::on(targets[0]) }
    })
}

/// The load tester's own loop.
fn push(load: &Load) -> Result<Pushed, LoadError> {
    let outcome = drive(load)?;
    // A herd that stops answering under such a load has not kept up with it.
    let rate = if outcome.gave_up.is_some() { 0.0 } else { outcome.rate };
    let first_wrong = outcome.mismatches.first().map(|mismatch| mismatch.got.clone());
    let wrong = outcome.errors.total();
    Ok(Pushed { rate, wrong, first_wrong, is_saturated: outcome.client.saturated })
}
