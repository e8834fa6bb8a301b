//! Reports while many lookups wait for an upstream that does not answer in time.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{Pair, Places, clients::Clients, lookups};
use crate::{
    drive::Drive,
    load::{Document, Length, Load},
    rounds::{BenchError, Figure},
};

/// Longer than any lookup may take.
const DELAY: Duration = Duration::from_secs(30);
const CONNECTIONS: u32 = 250;
/// Enough to call all at once, without the upstream being left alone for having failed.
const LIMITS: &str = "calls_per_second = 1000000\nbreaker_failures = 1000\n";
/// With and without, so often; the order turns each time.
const TURNS: u32 = 2;
/// A turn with lookups must be over before these fail, which is after 5 s.
const TURN_MAX: Duration = Duration::from_secs(3);
/// How long the calls may take to arrive upstream.
const PATIENCE: Duration = Duration::from_secs(4);
const LOOK: Duration = Duration::from_millis(5);

pub(super) fn measure(places: &Places) -> Result<Vec<Figure>, BenchError> {
    let pair = Pair::start(places, DELAY, LIMITS)?;
    let node = pair.node.address();
    Clients::at_ucla(CONNECTIONS).report_to(node)?;
    let document = Document { status: "UNKNOWN_ERROR", results: 0 };
    let mut lookups = Drive::open(lookups::on(node, CONNECTIONS, CONNECTIONS, document))?;
    let length = Length::Time((places.seconds / TURNS).min(TURN_MAX));
    // One of those that lookups ask about; no other client is where it reports to be.
    let load = Load { connections: 1, clients: 1, length, ..Load::on(node) };
    let (mut without, mut with) = (Drive::open(load.clone())?, Drive::open(load)?);
    let mut objection = None;
    for turn in 0..TURNS {
        if turn % 2 == 0 {
            without.turn()?;
        }
        objection = objection.or(hang(&pair, &mut lookups, &mut with)?);
        if turn % 2 == 1 {
            without.turn()?;
        }
    }
    let objection = objection.or(lookups.outcome().objection());
    drop(lookups);
    let (without, with) = (without.outcome(), with.outcome());
    pair.stop()?;
    let objection = objection.or(without.objection()).or(with.objection());
    let [p99_without, p99_with] = [&without, &with].map(|outcome| outcome.service.unwrap_or_default().p99_us);
    let figures = [
        Figure::new("reports' p99 beside 250 lookups, of that without", "", p99_with / p99_without)
            .at_most(1.5)
            .with(json!({ "with": with, "without": without })),
        Figure::new("reports' p99 beside 250 lookups", "µs", p99_with),
        Figure::new("reports' p99 without", "µs", p99_without),
        Figure::new("reports' median beside 250 lookups", "µs", with.service.unwrap_or_default().p50_us),
        Figure::new("reports' median without", "µs", without.service.unwrap_or_default().p50_us),
    ];
    Ok(figures.map(|figure| figure.invalid_if(objection.clone())).into())
}

/// A turn of the reports with all lookups waiting; then waits until the lookups fail. Returns why it does not count, if
/// not all waited all the time.
fn hang(pair: &Pair, lookups: &mut Drive, reports: &mut Drive) -> Result<Option<String>, BenchError> {
    let before = pair.calls()?;
    lookups.ask(1);
    let deadline = Instant::now() + PATIENCE;
    while pair.calls()? < before + u64::from(CONNECTIONS) {
        if Instant::now() >= deadline {
            return Err(BenchError::Late { what: "the upstream's last call".to_owned(), within: PATIENCE });
        }
        thread::sleep(LOOK);
    }
    reports.turn()?;
    let waiting = lookups.unanswered();
    lookups.await_all()?;
    let left = waiting < u64::from(CONNECTIONS);
    Ok(left.then(|| format!("only {waiting} of {CONNECTIONS} lookups waited until the end")))
}
