//! How soon a node listens.

use super::{Places, plan};
use crate::{
    rounds::{
        BenchError, Figure,
        log::{now, seconds_between},
    },
    statistics::Sorted,
};

/// How often the node is started in each round; one start takes too little to be told from its neighbours'.
const STARTS: usize = 21;

pub(super) fn measure(places: &Places) -> Result<Vec<Figure>, BenchError> {
    let mut took = Vec::new();
    for _ in 0..STARTS {
        let node = plan(String::new()).start(&places.herd)?;
        // Without the files that were written for it before.
        took.push(seconds_between(node.started, now()) * 1e3);
        node.stop()?;
    }
    let median = Sorted::of(took).map(|took| took.median());
    Ok(median.into_iter().map(|ms| Figure::new("median of 21 starts", "ms", ms)).collect())
}
