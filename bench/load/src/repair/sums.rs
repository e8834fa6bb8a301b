//! What keeping sums costs: a node beside one that keeps none, built from the same tree with a patch. Both run side by
//! side and take turns.

use std::{path::Path, time::Duration};

use serde_json::json;

use super::{
    Repair,
    bed::{Bed, Plan},
    join::load,
};
use crate::{
    drive::{Drive, drive},
    load::{Length, Load},
    outcome::Outcome,
    rounds::BenchError,
    rounds::Figure,
};

/// Reports in flight on each connection.
const WINDOW: u32 = 64;
/// Into how many turns the time is cut.
const TURNS: u32 = 10;

/// Nothing without a node that keeps none.
pub(super) fn measure(bed: &Bed<'_>, repair: &Repair) -> Result<Vec<Figure>, BenchError> {
    let Some(without) = &repair.without_sums else { return Ok(Vec::new()) };
    let mut driven = Vec::new();
    for (number, program) in [&repair.herd, without].into_iter().enumerate() {
        driven.push(start(bed, repair, number as u16, program)?);
    }
    for turn in 0..TURNS {
        for (_, _, drive) in &mut driven {
            drive.turn()?;
        }
        // Forwards and backwards after it, and another first each time.
        driven.reverse();
        driven.rotate_left(turn as usize % 2);
    }
    driven.sort_by_key(|(number, ..)| *number);
    let mut outcomes = Vec::new();
    for (_, node, mut drive) in driven {
        outcomes.push(drive.outcome());
        node.stop()?;
    }
    let objection = outcomes.iter().find_map(Outcome::objection);
    let rate = |index: usize| outcomes[index].rate / 1e3;
    let figures = [
        Figure::new("rate with sums, of that without", "", rate(0) / rate(1))
            .at_least(0.95)
            .with(json!({ "with": outcomes[0], "without": outcomes[1] })),
        Figure::new("with sums", "k/s", rate(0)),
        Figure::new("without", "k/s", rate(1)),
    ];
    Ok(figures.map(|figure| figure.invalid_if(objection.clone())).into())
}

type Driven = (u16, super::bed::Running, Drive);

fn start(bed: &Bed<'_>, repair: &Repair, number: u16, program: &Path) -> Result<Driven, BenchError> {
    let node = Plan::new("Solo", bed.address(number), &[]).start(program)?;
    let load = load(repair, &node, WINDOW);
    let length = Length::Time(repair.seconds / TURNS);
    let load = Load { length, warmup: Duration::from_millis(50), ..load };
    drive(&load.prefill())?;
    Ok((number, node, Drive::open(load)?))
}
