//! Two run folders side by side: what changed from one to the other, and whether by more than the noise. Pure: it takes
//! two runs and returns a comparison, which `text` prints.

mod text;
mod verdict;

use std::{collections::HashMap, path::Path};

use serde::Serialize;

pub use verdict::Verdict;

use crate::rounds::{
    Better, Spread,
    read::{Key, LeftOut, ReadError, Recorded, Series},
};

/// A figure in one of the runs.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Side {
    /// What its rounds come to.
    #[serde(flatten)]
    pub spread: Spread,
    /// How many there are.
    pub samples: usize,
}

/// A figure in both runs.
#[derive(Clone, Debug, Serialize)]
pub struct Compared {
    /// Which figure.
    #[serde(flatten)]
    pub key: Key,
    /// In the first run.
    pub a: Side,
    /// In the second.
    pub b: Side,
    /// From the first median to the second; `None` from zero.
    pub change_percent: Option<f64>,
    /// Which direction is the better one, if that is known.
    pub better: Option<Better>,
    /// The verdict.
    pub verdict: Verdict,
    /// Whether it got worse by more than allowed.
    pub fails: bool,
}

/// A figure that is in both runs, but under loads that differ.
#[derive(Clone, Debug, Serialize)]
pub struct OtherLoad {
    /// Which figure.
    #[serde(flatten)]
    pub key: Key,
    /// What the loads differ in.
    pub difference: String,
}

/// What does not count in a run.
#[derive(Debug, Serialize)]
pub struct Run {
    /// The folder's name.
    pub name: String,
    /// How many rounds.
    pub rounds: usize,
    /// Figures that the other run lacks.
    pub only_here: Vec<Key>,
    /// Samples that are invalid.
    pub left_out: Vec<LeftOut>,
    /// How many figures were measured while the machine was disturbed.
    pub disturbed: usize,
}

impl Run {
    fn of(recorded: Recorded, only_here: Vec<Key>) -> Self {
        let Recorded { name, rounds, left_out, disturbed, .. } = recorded;
        Self { name, rounds, only_here, left_out, disturbed }
    }
}

/// Two runs side by side.
#[derive(Debug, Serialize)]
pub struct Comparison {
    /// The first run.
    pub a: Run,
    /// The second.
    pub b: Run,
    /// Worsening by more percent than this fails.
    pub fail_above: Option<f64>,
    /// Every figure that both have.
    pub compared: Vec<Compared>,
    /// Those that cannot be compared.
    pub other_load: Vec<OtherLoad>,
    /// How many figures are expected to be better, worse or different by chance if nothing changed.
    pub expected_by_chance: f64,
}

impl Comparison {
    /// Reads two run folders and compares them.
    ///
    /// # Errors
    ///
    /// If a folder cannot be read.
    pub fn read(a: &Path, b: &Path, fail_above: Option<f64>) -> Result<Self, ReadError> {
        Ok(Self::of(Recorded::read(a)?, Recorded::read(b)?, fail_above))
    }

    /// Compares two runs, in the order of the first.
    pub(crate) fn of(a: Recorded, b: Recorded, fail_above: Option<f64>) -> Self {
        let of_b: HashMap<&Key, &Series> = b.series.iter().map(|series| (&series.key, series)).collect();
        let (mut compared, mut other_load) = (Vec::new(), Vec::new());
        for one in &a.series {
            let Some(other) = of_b.get(&one.key) else { continue };
            match one.at.difference(&other.at) {
                Some(difference) => other_load.push(OtherLoad { key: one.key.clone(), difference }),
                None => compared.push(Compared::of(one, other, fail_above)),
            }
        }
        let expected_by_chance = compared.iter().map(Compared::chance).sum();
        let (only_a, only_b) = (missing(&a, &b), missing(&b, &a));
        Self {
            a: Run::of(a, only_a),
            b: Run::of(b, only_b),
            fail_above,
            compared,
            other_load,
            expected_by_chance,
        }
    }

    /// Whether any figure got worse by more than is allowed.
    pub fn fails(&self) -> bool {
        self.compared.iter().any(|figure| figure.fails)
    }
}

impl Compared {
    fn of(one: &Series, other: &Series, fail_above: Option<f64>) -> Self {
        let side = |series: &Series| Side { spread: series.spread(), samples: series.values.len() };
        let (a, b) = (side(one), side(other));
        let better = one.better.or(other.better);
        let verdict = Verdict::of(&a, &b, better);
        let change_percent = verdict::change(a.spread.median, b.spread.median);
        // From nothing to something is more than any percentage.
        let is_above = |limit: f64| change_percent.is_none_or(|change| change.abs() > limit);
        let fails = verdict == Verdict::Worse && fail_above.is_some_and(is_above);
        Self { key: one.key.clone(), a, b, change_percent, better, verdict, fails }
    }

    /// The chance of reporting a difference where there is none: either run may come out above the other.
    fn chance(&self) -> f64 {
        if matches!(self.verdict, Verdict::TooFewRounds | Verdict::Same) {
            return 0.0;
        }
        2.0 / verdict::orders(self.a.samples, self.b.samples)
    }
}

/// What one run has and the other lacks, not even as invalid samples.
fn missing(one: &Recorded, other: &Recorded) -> Vec<Key> {
    let is_there = |key: &Key| {
        other.series.iter().any(|series| series.key == *key)
            || other.left_out.iter().any(|out| out.key == *key)
    };
    one.series.iter().map(|series| &series.key).filter(|key| !is_there(key)).cloned().collect()
}
