//! What some figures come to: the median, the range, the quartiles, and between which bounds the median lies that more
//! rounds would find.

use serde::{Deserialize, Serialize};

/// Which way a figure is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// More of it.
    More,
    /// Less of it.
    Less,
}

/// The middle of some figures, their quartiles and their range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    /// The middle one.
    pub median: f64,
    /// The lower quartile.
    pub low: f64,
    /// The upper quartile.
    pub high: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// `None` for no figures.
    pub(crate) fn of(figures: Vec<f64>) -> Option<Self> {
        let sorted = Sorted::of(figures)?;
        let [low, median, high] = sorted.quartiles();
        Some(Self { median, low, high, min: sorted.nth(1), max: sorted.greatest() })
    }
}

/// How sure an interval should be.
pub(crate) const LEVEL: f64 = 0.95;

/// Bounds between which the true median lies, and how surely.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Interval {
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// The probability that bounds found in this way hold the median.
    pub(crate) level: f64,
}

/// Figures from the least to the greatest; at least one.
#[derive(Clone, Debug)]
pub(crate) struct Sorted(Vec<f64>);

impl Sorted {
    /// `None` for no figures.
    pub(crate) fn of(mut figures: Vec<f64>) -> Option<Self> {
        figures.sort_by(f64::total_cmp);
        (!figures.is_empty()).then_some(Self(figures))
    }

    /// From 1.
    fn nth(&self, rank: usize) -> f64 {
        self.0[rank - 1]
    }

    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The worst of what is better less.
    pub(crate) fn greatest(&self) -> f64 {
        self.nth(self.0.len())
    }

    /// The lower quartile, the median, the upper quartile.
    pub(crate) fn quartiles(&self) -> [f64; 3] {
        [0.25, 0.5, 0.75].map(|share| self.quantile(share))
    }

    /// Between two figures where it falls between them, as spreadsheets and R do by default.
    fn quantile(&self, share: f64) -> f64 {
        let at = share * (self.0.len() - 1) as f64;
        let (below, above) = (self.0[at.floor() as usize], self.0[at.ceil() as usize]);
        if at.fract() == 0.5 { f64::midpoint(below, above) } else { below + (above - below) * at.fract() }
    }

    /// From the k-th least figure to the k-th greatest: each figure is below the true median as likely as above it,
    /// whatever their distribution (the sign test). k is the greatest with which they hold it with [`LEVEL`]; six figures
    /// are the fewest with which there is one. With fewer, it is their range, and less sure.
    pub(crate) fn interval(&self) -> Interval {
        let count = self.0.len();
        // The probability that so few figures, or fewer, fall on one side of the median.
        let mut tail = 0.0;
        let mut chance = 0.5_f64.powi(i32::try_from(count).unwrap_or(i32::MAX));
        let (mut rank, mut level) = (1, (1.0 - 2.0 * chance).max(0.0));
        for below in 0..count / 2 {
            tail += chance;
            let held = 1.0 - 2.0 * tail;
            if below > 0 && held < LEVEL {
                break;
            }
            (rank, level) = (below + 1, held);
            chance *= (count - below) as f64 / (below + 1) as f64;
        }
        Interval { low: self.nth(rank), high: self.nth(count + 1 - rank), level }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_two_middles() {
        let median = |figures: &[f64]| Spread::of(figures.to_vec()).map(|spread| spread.median);
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[9.0, 1.0, 2.0, 4.0]), Some(3.0));
        assert_eq!(
            Spread::of(vec![2.0, 1.0]),
            Some(Spread { median: 1.5, low: 1.25, high: 1.75, min: 1.0, max: 2.0 })
        );
    }

    fn first(count: u32) -> Sorted {
        Sorted::of((1..=count).rev().map(f64::from).collect()).unwrap()
    }

    #[test]
    fn quartiles_are_those_of_a_spreadsheet() {
        assert_eq!(first(5).quartiles(), [2.0, 3.0, 4.0]);
        assert_eq!(first(4).quartiles(), [1.75, 2.5, 3.25]);
        assert_eq!(first(1).quartiles(), [1.0; 3]);
    }

    /// Against tables of the sign test.
    #[test]
    fn an_interval_holds_the_median_as_surely_as_it_says() {
        let interval = |count| {
            let Interval { low, high, level } = first(count).interval();
            (low, high, (level * 1e4).round() / 1e4)
        };
        assert_eq!(interval(1), (1.0, 1.0, 0.0));
        assert_eq!(interval(2), (1.0, 2.0, 0.5));
        assert_eq!(interval(5), (1.0, 5.0, 0.9375));
        assert_eq!(interval(6), (1.0, 6.0, 0.9688));
        assert_eq!(interval(8), (1.0, 8.0, 0.9922));
        assert_eq!(interval(9), (2.0, 8.0, 0.9609));
        assert_eq!(interval(13), (3.0, 11.0, 0.9775));
        assert_eq!(interval(20), (6.0, 15.0, 0.9586));
    }
}
