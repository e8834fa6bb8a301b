//! Two nodes that hold many clients and differ in few, or in none: bytes and time until they are in step.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{
    Repair,
    bed::{Bed, Plan, Running, now, seconds_between},
    forwarder::{Forwarder, Passed},
    updates::{Keyword, Updates},
};
use crate::rounds::{BenchError, Figure, Target};

/// The number of differences up to which their cost has bounds.
const BOUNDED: u32 = 10;
/// Rounds of each link that find nothing, at least.
const IDLE_ROUNDS: u64 = 3;
/// How long the nodes may take for either.
const PATIENCE: Duration = Duration::from_secs(60);
/// Dialled often, so that the link is up soon after it can be; rounds follow each other soon after they end.
const LIMITS: &str = "round_seconds = 1\nbackoff_ms_min = 10\nbackoff_ms_max = 50\n";
/// How often the bytes are looked at.
const LOOK: Duration = Duration::from_millis(20);

/// For each number of differences, and at last for none.
pub(super) fn measure(bed: &Bed<'_>, repair: &Repair) -> Result<Vec<Figure>, BenchError> {
    let mut figures = Vec::new();
    for (number, differing) in repair.differing.iter().enumerate() {
        let is_last = number + 1 == repair.differing.len();
        figures.extend(measure_one(bed, repair.clients, *differing, is_last)?);
    }
    Ok(figures)
}

/// Two nodes that differ in so many clients, and then in none.
fn measure_one(
    bed: &Bed<'_>,
    clients: u32,
    differing: u32,
    with_none: bool,
) -> Result<Vec<Figure>, BenchError> {
    let [left, right, to_left, to_right] = [0, 1, 2, 3].map(|number| bed.address(number));
    let start = |id, listen, peer, through| {
        bed.start(&Plan { limits: LIMITS, ..Plan::new(id, listen, &[(peer, through), bed.tester()]) })
    };
    let nodes = [start("Left", left, "Right", to_right)?, start("Right", right, "Left", to_left)?];
    fill(bed, &nodes, clients, differing)?;

    // Right's first: of those that dial, Left then has nobody to wait for.
    let open = |address, behind| {
        Forwarder::open(address, behind).map_err(BenchError::file("cannot listen between the nodes"))
    };
    let links = [open(to_right, right)?, open(to_left, left)?];
    let mut figures = some(bed, &nodes, &links, differing)?;
    if with_none {
        figures.push(none(&links)?);
    }
    drop(links);
    nodes.into_iter().try_for_each(|node| node.stop().map(drop))?;
    Ok(figures)
}

/// Pushes the same to both, then some newer locations to the first.
fn fill(bed: &Bed<'_>, nodes: &[Running; 2], clients: u32, differing: u32) -> Result<(), BenchError> {
    let mut updates = Updates::new(Keyword::Push);
    let same = updates.of_all(clients);
    for node in nodes {
        bed.dial(node)?.tell(&same)?;
    }
    bed.dial(&nodes[0])?.tell(&updates.of_some(clients, differing))?;
    Ok(())
}

/// The first rounds, after which the nodes are alike.
fn some(
    bed: &Bed<'_>,
    nodes: &[Running; 2],
    links: &[Forwarder; 2],
    differing: u32,
) -> Result<Vec<Figure>, BenchError> {
    let since = now() - 1_000_000;
    let mut linked = Vec::new();
    let mut in_step = Vec::new();
    for (node, peer) in nodes.iter().zip(["Right", "Left"]) {
        linked.push(node.await_event(&[&format!("linked {peer} ")], since, PATIENCE)?);
        in_step.push(node.await_event(&[&format!("in step with {peer}: ")], since, PATIENCE)?);
    }
    let passed = links.each_ref().map(Forwarder::passed);
    let objection = bed.await_alike(nodes.each_ref(), Duration::from_secs(1))?;
    let (from, to) = (linked.into_iter().min().unwrap_or(0), in_step.into_iter().max().unwrap_or(0));
    let bytes = by_direction(passed);
    let kilobytes = bytes.into_iter().max().unwrap_or(0) as f64 / 1e3;
    let milliseconds = seconds_between(from, to) * 1e3;
    let what = |what| format!("{differing} differ: {what}");
    let bound = |most| (differing <= BOUNDED).then_some(Target::AtMost(most));
    let detail = json!({ "bytes": bytes, "rounds": passed.map(|link| link.rounds) });
    let figures = [
        Figure::new(what("the busier direction"), "kB", kilobytes).aims_at(bound(60.0)).with(detail),
        Figure::new(what("link up until in step"), "ms", milliseconds).aims_at(bound(100.0)),
    ];
    Ok(figures.map(|figure| figure.invalid_if(objection.clone())).into())
}

/// Later rounds, which find nothing.
fn none(links: &[Forwarder; 2]) -> Result<Figure, BenchError> {
    let before = links.each_ref().map(Forwarder::passed);
    let passed = || [0, 1].map(|link: usize| links[link].passed().since(before[link]));
    let deadline = Instant::now() + PATIENCE;
    while passed().iter().any(|link| link.rounds < IDLE_ROUNDS) {
        if Instant::now() >= deadline {
            let what = "a round that finds nothing".to_owned();
            return Err(BenchError::Late { what, within: PATIENCE });
        }
        thread::sleep(LOOK);
    }
    let passed = passed();
    let a_round = |link: &Passed| link.there.max(link.back) as f64 / link.rounds as f64;
    let busiest = passed.iter().map(a_round).fold(0.0, f64::max);
    let detail = json!({ "bytes": by_direction(passed), "rounds": passed.map(|link| link.rounds) });
    let figure = Figure::new("0 differ: a round, the busier direction", "bytes", busiest);
    Ok(figure.at_most(200.0).with(detail))
}

/// Bytes from the first node to the second, and the other way, over both connections of their link.
fn by_direction([one, other]: [Passed; 2]) -> [u64; 2] {
    [one.there + other.back, one.back + other.there]
}
