//! Ratios within a round: each server's rate over its point's baseline, and whatever else the plan's targets divide.

use serde_json::json;

use super::{
    plan::Plan,
    target::{Base, Wanted},
};
use crate::rounds::{Better, Figure, Sample, table::counted};

/// The ratios of one round, each with the name of its point. What does not count is not divided.
pub(super) fn of_round(plan: &Plan, round: u32, samples: &[Sample<String>]) -> Vec<(String, Figure)> {
    wanted(plan).iter().filter_map(|wanted| ratio(plan, wanted, round, samples)).collect()
}

/// Each ratio once.
fn wanted(plan: &Plan) -> Vec<Wanted> {
    let mut all: Vec<Wanted> = Vec::new();
    for point in &plan.points {
        let Some(baseline) = &point.baseline else { continue };
        for server in point.servers.iter().filter(|server| *server != baseline) {
            all.push(Wanted {
                point: point.name.clone(),
                server: server.clone(),
                figure: "rate".to_owned(),
                of: Some(Base { server: baseline.clone(), point: point.name.clone() }),
                target: None,
            });
        }
    }
    for target in plan.targets.iter().filter(|target| target.of.is_some()) {
        let asked = Wanted { target: None, ..target.clone() };
        if !all.contains(&asked) {
            all.push(asked);
        }
    }
    all
}

fn ratio(plan: &Plan, wanted: &Wanted, round: u32, samples: &[Sample<String>]) -> Option<(String, Figure)> {
    let base = wanted.of.as_ref()?;
    let find = |point: &str, server: &str| {
        let mut figures = counted(samples, server, &wanted.figure);
        figures.find(|sample| sample.round == round && sample.part == point)
    };
    let own = find(&wanted.point, &wanted.server)?;
    let other = find(&base.point, &base.server).filter(|other| other.value > 0.0)?;
    let what = plan.what_of(wanted);
    let figure = Figure::new(what, "", own.value / other.value)
        .of(&wanted.server, own.at.clone())
        .better(own.better.unwrap_or(Better::More))
        .with(json!({ "of": base.server, "at": base.point, "figure": wanted.figure }));
    Some((wanted.point.clone(), figure))
}
