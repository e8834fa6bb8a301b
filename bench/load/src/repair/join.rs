//! A node that starts with nothing, beside one that knows many clients and has others to answer meanwhile.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{
    Repair,
    bed::{Bed, Plan, Running, seconds_between},
};
use crate::{
    drive::{Drive, drive},
    load::{Length, Load},
    outcome::Outcome,
    rounds::{BenchError, Figure, log::Micros},
};

/// Reports in flight on each connection, each a measurement of its own.
const WINDOWS: [u32; 2] = [1, 64];
/// The load runs for this long at a time, also while the usual rate is measured.
const SLICE: Duration = Duration::from_millis(100);
/// How long a node may take to be in step.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long both may take to hold the same once nobody reports any more.
const CALM: Duration = Duration::from_secs(60);

pub(super) fn measure(bed: &Bed<'_>, repair: &Repair) -> Result<Vec<Figure>, BenchError> {
    let figures = WINDOWS.map(|window| beside(bed, repair, window));
    Ok(figures.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// What the older node logs once the newer one has what it came for. If clients report more than a link carries, it is
/// never in step; then its first round shows when the newer one has everything that there was at its start.
fn end(window: u32) -> (&'static str, &'static [&'static str]) {
    if window == 1 {
        ("start until in step", &["in step with New: "])
    } else {
        (
            "start until the first round is over",
            &["in step with New: round 1 ", "not yet in step with New: round 1 "],
        )
    }
}

fn beside(bed: &Bed<'_>, repair: &Repair, window: u32) -> Result<Vec<Figure>, BenchError> {
    let (old, new) = (("Old", bed.address(0)), ("New", bed.address(1)));
    let node = bed.start(&Plan::new(old.0, old.1, &[new, bed.tester()]))?;
    let load = load(repair, &node, window);
    let (what_ends, ends) = end(window);
    let filled = drive(&load.prefill())?;
    let usual = turns(load.clone(), repair.asked.seconds)?;
    let plan = Plan::new(new.0, new.1, &[old, bed.tester()]);
    let (outcome, joined) = thread::scope(|scope| {
        let joining = scope.spawn(|| join(bed, &plan, &node, ends));
        let outcome = until(load, || joining.is_finished());
        (outcome, joining.join())
    });
    let meanwhile = outcome?;
    let (newcomer, in_step) = joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    let objection = [&filled, &usual, &meanwhile].into_iter().find_map(Outcome::objection);
    let calm = Instant::now();
    let objection = objection.or(bed.await_alike([&node, &newcomer], CALM)?);
    let alike = calm.elapsed().as_secs_f64();
    let seconds = seconds_between(newcomer.started, in_step);
    newcomer.stop()?;
    node.stop()?;
    let what = |what| format!("P={window}: {what}");
    let detail = json!({ "usual": usual, "meanwhile": meanwhile });
    let time = Figure::new(what(what_ends), "s", seconds);
    let figures = [
        if window == 1 { time.at_most(4.0) } else { time },
        Figure::new(what("rate meanwhile, of the usual one"), "", meanwhile.rate / usual.rate)
            .at_least(0.5)
            .with(detail),
        Figure::new(what("end of the load until both hold the same"), "s", alike),
        Figure::new(what("usual rate"), "k/s", usual.rate / 1e3),
    ];
    Ok(figures.map(|figure| figure.invalid_if(objection.clone())).into())
}

/// Starts the newcomer; the moment when its neighbour says what ends the joining.
fn join(
    bed: &Bed<'_>,
    plan: &Plan<'_>,
    node: &Running,
    ends: &[&str],
) -> Result<(Running, Micros), BenchError> {
    let newcomer = bed.start(plan)?;
    let in_step = node.await_event(ends, newcomer.started, PATIENCE)?;
    Ok((newcomer, in_step))
}

/// The load of a herd's clients on one node.
pub(super) fn load(repair: &Repair, node: &Running, window: u32) -> Load {
    let Repair { connections, clients, .. } = *repair;
    let length = Length::Time(SLICE);
    Load { connections, pipeline: window, clients, length, ..Load::on(node.address()) }
}

/// The load for a time, in slices.
pub(super) fn turns(load: Load, time: Duration) -> Result<Outcome, BenchError> {
    let mut left = time.div_duration_f64(SLICE).ceil() as u64;
    until(load, || {
        left = left.saturating_sub(1);
        left == 0
    })
}

/// The load until something is so, checked after each slice.
pub(super) fn until(load: Load, mut is_over: impl FnMut() -> bool) -> Result<Outcome, BenchError> {
    let mut drive = Drive::open(load)?;
    loop {
        drive.turn()?;
        if is_over() {
            return Ok(drive.outcome());
        }
    }
}
