//! Whether a figure of one run differs from that of another by more than its rounds differ among themselves.
//!
//! Two figures differ beyond the noise if the ranges of their rounds do not overlap. If both runs were alike, all n
//! rounds of the one would be above all m of the other once in (n+m)! / (n! m!) times; if that is more than once in
//! twenty, the rounds are too few to tell. Nothing is assumed about how figures are distributed, only that rounds are
//! alike. They are not if the machine changed between the runs, and no statistics of two runs can show that.

use serde::Serialize;

use super::Side;
use crate::rounds::Better;

/// Chance may have one order of rounds in so many.
const CHANCE: f64 = 20.0;

/// The verdict on a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// All rounds of both runs are equal.
    Same,
    /// The ranges overlap.
    WithinNoise,
    /// They do not overlap, but with so few rounds that happens by chance.
    TooFewRounds,
    /// It changed, beyond the noise, to the better.
    Better,
    /// It changed, beyond the noise, to the worse.
    Worse,
    /// It changed, beyond the noise, and it is not known which direction is better.
    Differs,
}

impl Verdict {
    /// In a table's cell.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::WithinNoise => "within noise",
            Self::TooFewRounds => "too few rounds",
            Self::Better => "better",
            Self::Worse => "WORSE",
            Self::Differs => "differs",
        }
    }

    /// Judges a figure by its ranges and by how many rounds each has.
    pub(super) fn of(a: &Side, b: &Side, better: Option<Better>) -> Self {
        let (of_a, of_b) = (a.samples, b.samples);
        let (a, b) = (a.spread, b.spread);
        let is_above = b.min > a.max;
        if a == b && a.min == a.max {
            Self::Same
        } else if !is_above && b.max >= a.min {
            Self::WithinNoise
        } else if orders(of_a, of_b) < CHANCE {
            Self::TooFewRounds
        } else {
            match better {
                None => Self::Differs,
                Some(better) if is_above == (better == Better::More) => Self::Better,
                Some(_) => Self::Worse,
            }
        }
    }
}

/// The number of orders in which the rounds of two runs may come out.
pub(super) fn orders(of_a: usize, of_b: usize) -> f64 {
    let fewer = of_a.min(of_b);
    (1..=fewer).map(|chosen| (of_a.max(of_b) + chosen) as f64 / chosen as f64).product()
}

/// From one median to another, in percent; `None` from zero.
pub(super) fn change(from: f64, to: f64) -> Option<f64> {
    if from == to {
        return Some(0.0);
    }
    (from != 0.0).then(|| (to - from) / from.abs() * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rounds::Spread;

    fn verdict(a: &[f64], b: &[f64], better: Option<Better>) -> Verdict {
        let side =
            |values: &[f64]| Side { spread: Spread::of(values.to_vec()).unwrap(), samples: values.len() };
        Verdict::of(&side(a), &side(b), better)
    }

    #[test]
    fn ranges_that_overlap_or_touch_are_noise() {
        let a = [1.0, 2.0, 3.0];
        assert_eq!(verdict(&a, &[3.0, 4.0, 5.0], Some(Better::More)), Verdict::WithinNoise);
        assert_eq!(verdict(&a, &[-1.0, 0.0, 1.0], Some(Better::More)), Verdict::WithinNoise);
        assert_eq!(verdict(&a, &[0.0, 9.0], None), Verdict::WithinNoise);
        assert_eq!(verdict(&[2.0; 3], &[2.0; 3], None), Verdict::Same);
        assert_eq!(verdict(&a, &a, None), Verdict::WithinNoise);
    }

    #[test]
    fn worse_is_what_the_direction_says() {
        let (low, high) = ([1.0, 2.0, 3.0], [3.5, 4.0, 5.0]);
        assert_eq!(verdict(&low, &high, Some(Better::More)), Verdict::Better);
        assert_eq!(verdict(&low, &high, Some(Better::Less)), Verdict::Worse);
        assert_eq!(verdict(&high, &low, Some(Better::More)), Verdict::Worse);
        assert_eq!(verdict(&high, &low, Some(Better::Less)), Verdict::Better);
        assert_eq!(verdict(&high, &low, None), Verdict::Differs);
    }

    #[test]
    fn three_rounds_each_are_the_least_that_tell() {
        assert_eq!(orders(3, 3), 20.0);
        assert_eq!(orders(5, 5), 252.0);
        assert_eq!(orders(2, 5), 21.0);
        assert_eq!(orders(1, 1), 2.0);
        assert_eq!(verdict(&[1.0; 2], &[2.0, 3.0, 4.0], Some(Better::Less)), Verdict::TooFewRounds);
        assert_eq!(verdict(&[1.0], &[9.0], None), Verdict::TooFewRounds);
    }

    #[test]
    fn a_change_is_of_the_first() {
        assert_eq!(change(50.0, 60.0), Some(20.0));
        assert_eq!(change(-50.0, -60.0), Some(-20.0));
        assert_eq!(change(0.0, 0.0), Some(0.0));
        assert_eq!(change(0.0, 1.0), None);
    }
}
