//! Medians of rounds, and of ratios within rounds: whatever else the machine does in one round, it does to the
//! subject and to its base alike.

use super::{Sample, Subject, Trial};

/// The middle of some figures, and how far they reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// `None` for no figures.
    pub(crate) fn of(mut figures: Vec<f64>) -> Option<Self> {
        figures.sort_by(f64::total_cmp);
        let (min, max) = (*figures.first()?, *figures.last()?);
        let middle = figures.len() / 2;
        let median = if figures.len() % 2 == 1 {
            figures[middle]
        } else {
            f64::midpoint(figures[middle - 1], figures[middle])
        };
        Some(Self { median, min, max })
    }
}

/// The samples of one subject in one trial.
pub(super) fn of(samples: &[Sample], trial: Trial, subject: Subject) -> impl Iterator<Item = &Sample> {
    samples.iter().filter(move |sample| sample.trial == trial && sample.subject == subject)
}

/// For each round, this subject's figure over that of the trial's base in the same round.
pub(super) fn ratios(samples: &[Sample], trial: Trial, subject: Subject) -> Vec<f64> {
    let base_in =
        |round| of(samples, trial, trial.base()).find(|base| base.round == round).map(Sample::figure);
    of(samples, trial, subject)
        .filter_map(|sample| base_in(sample.round).map(|base| sample.figure() / base))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{compare::Measured, outcome::Latency};

    fn hop(round: u32, subject: Subject, p50_us: f64) -> Sample {
        let measured = Measured::Hop(Latency { p50_us, ..Latency::default() });
        Sample { round, trial: Trial::HopIdle, subject, measured, invalid: None }
    }

    #[test]
    fn the_median_is_the_middle_or_between_the_two_middles() {
        let median = |figures: &[f64]| Spread::of(figures.to_vec()).map(|spread| spread.median);
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[9.0, 1.0, 2.0, 4.0]), Some(3.0));
        assert_eq!(Spread::of(vec![2.0, 1.0]), Some(Spread { median: 1.5, min: 1.0, max: 2.0 }));
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let samples = [
            hop(1, Subject::Skeleton, 10.0),
            hop(1, Subject::Node, 12.0),
            // A slow round, for both.
            hop(2, Subject::Node, 36.0),
            hop(2, Subject::Skeleton, 30.0),
            // A round without its base says nothing.
            hop(3, Subject::Node, 99.0),
        ];
        let ratios = ratios(&samples, Trial::HopIdle, Subject::Node);
        assert_eq!(ratios.len(), 2);
        assert!(ratios.iter().all(|ratio| (ratio - 1.2).abs() < 1e-9));
    }
}
