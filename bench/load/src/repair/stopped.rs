//! A neighbour that is stopped for a while under full load: memory meanwhile, what clients notice, and how soon it is
//! in step when it continues.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{
    Repair,
    bed::{Bed, Plan, Running, now, seconds_between},
    join::{load, turns, until},
};
use crate::{drive::drive, load::Load, outcome::Outcome, rounds::BenchError, rounds::Figure};

/// How long the neighbour may take until it is in step.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long both may take to hold the same once nobody reports any more.
const CALM: Duration = Duration::from_secs(60);
/// How often memory is looked at.
const LOOK: Duration = Duration::from_secs(1);

pub(super) fn measure(bed: &Bed<'_>, repair: &Repair) -> Result<Vec<Figure>, BenchError> {
    let (here, there) = (("Here", bed.address(0)), ("There", bed.address(1)));
    let node = bed.start(&Plan::new(here.0, here.1, &[there, bed.tester()]))?;
    let peer = bed.start(&Plan::new(there.0, there.1, &[here, bed.tester()]))?;
    node.await_event(&["in step with There: "], peer.started, PATIENCE)?;
    let load = load(repair, &node, 1);
    let filled = drive(&load.prefill())?;
    let before = turns(load.clone(), repair.asked.seconds)?;

    peer.server.pause().map_err(BenchError::file("cannot stop the neighbour"))?;
    let stopped = sampled(load.clone(), &node, repair.stopped);
    let resumed = now();
    // Also where measuring failed, so that the neighbour can end.
    peer.server.resume().map_err(BenchError::file("cannot let the neighbour go on"))?;
    let (meanwhile, memory) = stopped?;
    let (outcome, in_step) = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| node.await_event(&["in step with There: "], resumed, PATIENCE));
        (until(load, || waiting.is_finished()), waiting.join())
    });
    let after = outcome?;
    let in_step = in_step.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;

    let objection = [&filled, &before, &meanwhile, &after].into_iter().find_map(Outcome::objection);
    let objection = objection.or(bed.await_alike([&node, &peer], CALM)?);
    peer.stop()?;
    node.stop()?;
    let growth = memory.iter().copied().fold(0.0, f64::max) - memory.first().copied().unwrap_or(0.0);
    let [p99, p99_before] = [&meanwhile, &before].map(|outcome| outcome.service.unwrap_or_default().p99_us);
    let p99 = p99 / p99_before;
    let detail = json!({ "before": before, "meanwhile": meanwhile, "after": after });
    let figures = [
        Figure::new("clients' p99 during the stop, of that before", "", p99).at_most(1.5).with(detail),
        Figure::new("going on until in step", "s", seconds_between(resumed, in_step)).at_most(10.0),
        Figure::new("memory grown by during the stop, at most", "MiB", growth)
            .with(json!({ "mib_each_second": memory })),
        Figure::new("rate before", "k/s", before.rate / 1e3),
        Figure::new("clients' p99 before", "µs", p99_before),
    ];
    Ok(figures.map(|figure| figure.invalid_if(objection.clone())).into())
}

/// Load for a time, and the node's memory each second, in MiB, first and last included.
fn sampled(load: Load, node: &Running, time: Duration) -> Result<(Outcome, Vec<f64>), BenchError> {
    let mebibytes = || node.server.resident_bytes().map(|bytes| bytes as f64 / f64::from(1 << 20));
    let mut memory = vec![mebibytes()];
    let began = Instant::now();
    let outcome = until(load, || {
        let is_over = began.elapsed() >= time;
        if is_over || began.elapsed() >= LOOK * memory.len() as u32 {
            memory.push(mebibytes());
        }
        is_over
    })?;
    let memory: Result<Vec<_>, _> = memory.into_iter().collect();
    Ok((outcome, memory.map_err(BenchError::file("cannot read the node's memory"))?))
}
