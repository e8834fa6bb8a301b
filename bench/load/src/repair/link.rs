//! What one link carries: the tester sends a node locations as fast as it accepts them.

use serde_json::json;

use super::{
    Repair,
    bed::{Bed, Plan},
    updates::{Keyword, Updates},
};
use crate::rounds::{BenchError, Figure};

pub(super) fn measure(bed: &Bed<'_>, repair: &Repair) -> Result<Vec<Figure>, BenchError> {
    let mut updates = Updates::new(Keyword::At);
    let first = updates.of_all(repair.clients);
    let newer = updates.of_some(repair.clients, repair.updates.saturating_sub(repair.clients).max(1));
    let lines = [(first, repair.clients), (newer, repair.updates.saturating_sub(repair.clients).max(1))];
    let mut figures = told(bed, &lines, false)?;
    figures.extend(told(bed, &lines, true)?);
    Ok(figures)
}

/// Sends a fresh node all these lines, so many at a time, and waits for it after each batch.
fn told(bed: &Bed<'_>, lines: &[(Vec<u8>, u32); 2], traffic: bool) -> Result<Vec<Figure>, BenchError> {
    let plan = Plan::new("Solo", bed.address(0), &[bed.tester()]);
    let node = bed.start(&Plan { traffic, ..plan })?;
    let mut peer = bed.dial(&node)?;
    let mut sums = vec![peer.ask("SUM 0")?];
    let mut seconds = Vec::new();
    for (text, _) in lines {
        seconds.push(peer.tell(text)?.as_secs_f64());
        sums.push(peer.ask("SUM 0")?);
    }
    drop(peer);
    let is_stored = sums.windows(2).all(|pair| pair[0] != pair[1]);
    let objection = (!is_stored).then(|| "what was told was not stored".to_owned());
    let dropped = node.stop()?;
    let rate = |lines: u32, seconds: f64| f64::from(lines) / seconds / 1e3;
    let count = lines.iter().map(|(_, count)| count).sum();
    let detail = json!({
        "seconds": seconds,
        "first_k_s": rate(lines[0].1, seconds[0]),
        "newer_k_s": rate(lines[1].1, seconds[1]),
    });
    let log = if traffic { "log" } else { "no log" };
    let all = Figure::new(format!("updates, {log}"), "k/s", rate(count, seconds.iter().sum())).with(detail);
    let all = if traffic { all } else { all.at_least(1_200.0) };
    let of_first = Figure::new(format!("of them clients' first, {log}"), "k/s", rate(lines[0].1, seconds[0]));
    let of_newer = Figure::new(format!("of them newer ones, {log}"), "k/s", rate(lines[1].1, seconds[1]));
    let objection = objection.or(dropped);
    Ok([all, of_first, of_newer].map(|figure| figure.invalid_if(objection.clone())).into())
}
