//! One question that many ask at once, of an upstream that takes its time.

use std::time::{Duration, Instant};

use super::{
    Pair, Places, RESULTS,
    clients::Clients,
    lookups::{Lookups, Questions},
    replies::Expected,
};
use crate::{rounds::BenchError, rounds::Figure};

/// Long enough for all to have asked before the answer is there.
const DELAY: Duration = Duration::from_millis(300);
const CONNECTIONS: u32 = 200;

pub(super) fn measure(places: &Places) -> Result<Vec<Figure>, BenchError> {
    let pair = Pair::start(places, DELAY, "")?;
    Clients::at_ucla(1).report_to(pair.node.address())?;
    let mut lookups = Lookups::open(Questions {
        node: pair.node.address(),
        connections: CONNECTIONS,
        window: 1,
        clients: 1,
        radius_km: 10,
        bound: 20,
        expected: Expected { status: "OK", results: RESULTS },
    })?;
    let began = Instant::now();
    lookups.ask(1)?;
    lookups.await_all()?;
    let took = began.elapsed();
    let objection = lookups.objection();
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
