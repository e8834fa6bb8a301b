//! One question that many ask at once, of an upstream that takes its time.

use std::time::{Duration, Instant};

use super::{Pair, Places, RESULTS, clients::Clients, lookups};
use crate::{
    drive::Drive,
    load::{Document, Load},
    rounds::{BenchError, Figure},
};

/// Long enough for all to have asked before the answer is there.
const DELAY: Duration = Duration::from_millis(300);
const CONNECTIONS: u32 = 200;

pub(super) fn measure(places: &Places) -> Result<Vec<Figure>, BenchError> {
    let pair = Pair::start(places, DELAY, "")?;
    Clients::at_ucla(1).report_to(pair.node.address())?;
    let document = Document { status: "OK", results: RESULTS };
    let load = Load { verify: true, ..lookups::on(pair.node.address(), CONNECTIONS, 1, document) };
    let mut lookups = Drive::open(load)?;
    let began = Instant::now();
    lookups.ask(1);
    lookups.await_all()?;
    let took = began.elapsed();
    let objection = lookups.outcome().objection();
    let calls = pair.calls()?;
    drop(lookups);
    pair.stop()?;
    let objection = objection.or_else(|| (calls == 0).then(|| "nobody asked the upstream".to_owned()));
    let figures = [
        Figure::new("calls for 200 equal lookups", "", calls as f64).at_most(1.0),
        Figure::new("first question to last answer", "ms", took.as_secs_f64() * 1e3),
    ];
    Ok(figures.map(|figure| figure.invalid_if(objection.clone())).into())
}
