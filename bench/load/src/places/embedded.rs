//! Lookups in the embedded places, from a node that has one processor: how many, and how soon a wide one.

use serde_json::json;

use super::{Places, clients::Clients, lookups, plan, with_cpu};
use crate::{
    load::{Document, Load},
    processors,
    rounds::{
        BenchError, Figure,
        node::{Plan, Running},
    },
};

/// Clients around each of the places.
const CLIENTS: u32 = 1_000;
const BOUND: u32 = 20;
const EXPECTED: Document = Document { status: "OK", results: BOUND as usize };

pub(super) fn measure(places: &Places) -> Result<Vec<Figure>, BenchError> {
    let refused = || BenchError::file("cannot choose the processors");
    let processor = processors::allowed().map_err(refused())?.last().copied().unwrap_or(0);
    let plan = Plan { processor: Some(processor), ..plan("source = \"embedded\"\n".to_owned()) };
    let node = plan.start(&places.herd)?;
    let figures = processors::not_on(processor, || {
        Ok([rate(&node, places)?, latency(&node, places)?].into_iter().flatten().collect())
    });
    let figures = figures.map_err(refused())?;
    node.stop()?;
    figures
}

fn rate(node: &Running, places: &Places) -> Result<Vec<Figure>, BenchError> {
    Clients::at_ucla(CLIENTS).report_to(node.address())?;
    let load = Load { pipeline: 16, radius_km: 10, ..lookups::on(node.address(), 4, CLIENTS, EXPECTED) };
    let ((outcome, objection), cpu) = with_cpu(&node.server, || lookups::measure(&load, places.seconds))?;
    let figures = [
        Figure::new("UCLA, lookups", "/s", outcome.rate)
            .at_least(20_000.0)
            .with(json!({ "node_cpu": cpu, "outcome": outcome })),
        Figure::new("UCLA, the node's share of its processor", "", cpu),
        Figure::new("UCLA, lookups, of a whole processor", "/s", outcome.rate / cpu.max(0.01)),
        Figure::new("UCLA, the tester's share of one", "", outcome.client.cpu),
    ];
    Ok(figures.map(|figure| figure.invalid_if(objection.clone())).into())
}

fn latency(node: &Running, places: &Places) -> Result<Vec<Figure>, BenchError> {
    Clients::in_tokyo(CLIENTS).report_to(node.address())?;
    let load = Load { radius_km: 50, ..lookups::on(node.address(), 1, CLIENTS, EXPECTED) };
    let ((outcome, objection), cpu) = with_cpu(&node.server, || lookups::measure(&load, places.seconds))?;
    let met = outcome.service.unwrap_or_default();
    let figures = [
        Figure::new("Tokyo, one lookup, p99", "ms", met.p99_us / 1e3)
            .at_most(1.0)
            .with(json!({ "node_cpu": cpu, "outcome": outcome })),
        Figure::new("Tokyo, one lookup, median", "ms", met.p50_us / 1e3),
    ];
    Ok(figures.map(|figure| figure.invalid_if(objection.clone())).into())
}
