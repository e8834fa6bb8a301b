//! What an upstream that takes its time lets through: every lookup waits for a call of its own.

use std::time::Duration;

use serde_json::json;

use super::{Pair, Places, RESULTS, clients::Clients, lookups, with_cpu};
use crate::{load::Document, rounds::BenchError, rounds::Figure};

const DELAY: Duration = Duration::from_millis(50);
const CONNECTIONS: u32 = 250;
/// Each connection has 40 of its own.
const CLIENTS: u32 = 40 * CONNECTIONS;
/// As many as there may be.
const LIMITS: &str = "calls_per_second = 1000000\ncalls_per_day = 1000000000\n";

pub(super) fn measure(places: &Places) -> Result<Vec<Figure>, BenchError> {
    let pair = Pair::start(places, DELAY, LIMITS)?;
    Clients::at_ucla(CLIENTS).report_to(pair.node.address())?;
    let document = Document { status: "OK", results: RESULTS };
    let load = lookups::on(pair.node.address(), CONNECTIONS, CLIENTS, document);
    let (((outcome, objection), node_cpu), upstream_cpu) =
        with_cpu(&pair.upstream, || with_cpu(&pair.node.server, || lookups::measure(&load, places.seconds)))?;
    let calls = pair.calls()?;
    let unlike = (calls < outcome.sent).then(|| format!("{calls} calls for {} lookups", outcome.sent));
    let objection = objection.or(unlike);
    pair.stop()?;
    let ideal = f64::from(CONNECTIONS) / DELAY.as_secs_f64();
    let detail = json!({
        "of_ideal": outcome.rate / ideal,
        "node_cpu": node_cpu,
        "upstream_cpu": upstream_cpu,
        "outcome": outcome,
    });
    let figures = [
        Figure::new("lookups", "/s", outcome.rate).at_least(0.9 * ideal).with(detail),
        Figure::new("p99", "ms", outcome.service.unwrap_or_default().p99_us / 1e3),
        Figure::new("the node's share of one processor", "", node_cpu),
        Figure::new("the upstream's share of one", "", upstream_cpu),
        Figure::new("the tester's share of one", "", outcome.client.cpu),
    ];
    Ok(figures.map(|figure| figure.invalid_if(objection.clone())).into())
}
