//! From figures to places on the paper, and which figures an axis names.

/// An axis' range, and where on the paper it goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    is_log: bool,
    low: f64,
    high: f64,
    /// Where `low` and `high` are.
    paper: (f64, f64),
}

impl Scale {
    /// From zero to the first tick that is not below `max`.
    pub(super) fn zero_based(max: f64, ticks_max: usize, paper: (f64, f64)) -> Self {
        let step = step(max, ticks_max);
        let high = (max / step - 1e-9).ceil().max(1.0) * step;
        Self { is_log: false, low: 0.0, high, paper }
    }

    /// Logarithmic, from the last 1, 2 or 5 that is not above `min` to the first that is not below `max`.
    pub(super) fn log(min: f64, max: f64, paper: (f64, f64)) -> Self {
        let (low, high) = (round_down(min), round_up(max));
        let high = if high > low { high } else { round_up(low * 1.5) };
        Self { is_log: true, low, high, paper }
    }

    /// Logarithmic, with exactly these at its ends.
    pub(super) fn log_between(low: f64, high: f64, paper: (f64, f64)) -> Self {
        Self { is_log: true, low, high, paper }
    }

    /// Where a figure is; one that the axis does not reach, at its end.
    pub(super) fn at(&self, figure: f64) -> f64 {
        let share = if self.is_log {
            (figure.max(f64::MIN_POSITIVE) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (figure - self.low) / (self.high - self.low)
        };
        let (from, to) = self.paper;
        from + share.clamp(0.0, 1.0) * (to - from)
    }

    /// The figures that the axis names: round ones, and no more than so many unless it is logarithmic.
    pub(super) fn ticks(&self, ticks_max: usize) -> Vec<f64> {
        if !self.is_log {
            let step = step(self.high, ticks_max);
            let count = (self.high / step).round() as u32;
            return (0..=count).map(|index| f64::from(index) * step).collect();
        }
        let decades = (self.high / self.low).log10();
        let mantissas: &[f64] = if decades > 2.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let exponents = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
        let all =
            exponents.flat_map(|exponent| mantissas.iter().map(move |mantissa| mantissa * power(exponent)));
        let reaches = |tick: &f64| *tick >= self.low * (1.0 - 1e-9) && *tick <= self.high * (1.0 + 1e-9);
        all.filter(reaches).collect()
    }
}

/// The least of 1, 2 and 5 times a power of ten with which so many steps reach `max`.
fn step(max: f64, ticks_max: usize) -> f64 {
    let max = if max > 0.0 { max } else { 1.0 };
    round_up(max / ticks_max.max(1) as f64 * (1.0 - 1e-9))
}

fn round_up(figure: f64) -> f64 {
    let decade = power(exponent_of(figure));
    let mantissa = [1.0, 2.0, 5.0].into_iter().find(|mantissa| mantissa * decade >= figure * (1.0 - 1e-9));
    mantissa.unwrap_or(10.0) * decade
}

fn round_down(figure: f64) -> f64 {
    let decade = power(exponent_of(figure));
    let mantissa = [5.0, 2.0].into_iter().find(|mantissa| mantissa * decade <= figure * (1.0 + 1e-9));
    mantissa.unwrap_or(1.0) * decade
}

fn exponent_of(figure: f64) -> i32 {
    (figure.max(f64::MIN_POSITIVE).log10() + 1e-9).floor() as i32
}

/// Exact where a decimal is: 0.01, where ten to the power of -2 may be a bit off.
fn power(exponent: i32) -> f64 {
    format!("1e{exponent}").parse().unwrap_or_else(|_| 10_f64.powi(exponent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_axis_begins_at_zero_and_ends_on_a_tick() {
        let scale = Scale::zero_based(116.0, 4, (10.0, 110.0));
        assert_eq!(scale.ticks(4), [0.0, 50.0, 100.0, 150.0]);
        assert_eq!(scale.at(0.0), 10.0);
        assert_eq!(scale.at(75.0), 60.0);
        assert_eq!(scale.at(150.0), 110.0);
        assert_eq!(Scale::zero_based(100.0, 5, (0.0, 1.0)).ticks(5), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        assert_eq!(Scale::zero_based(0.0, 4, (0.0, 1.0)).at(0.0), 0.0);
        assert_eq!(Scale::zero_based(0.3, 3, (0.0, 1.0)).ticks(3).len(), 4);
    }

    #[test]
    fn a_logarithmic_axis_has_equal_ways_for_equal_ratios() {
        let scale = Scale::log(10.0, 1_000.0, (100.0, 0.0));
        assert!((scale.at(100.0) - 50.0).abs() < 1e-9);
        assert_eq!(scale.at(10.0), 100.0);
        assert_eq!(scale.at(1.0), 100.0, "what is below the axis is at its end");
    }

    #[test]
    fn a_logarithmic_axis_names_decades_and_between_them_where_there_are_few() {
        assert_eq!(Scale::log(12.0, 9_000.0, (0.0, 1.0)).ticks(9), [10.0, 100.0, 1_000.0, 10_000.0]);
        assert_eq!(Scale::log(12.0, 90.0, (0.0, 1.0)).ticks(9), [10.0, 20.0, 50.0, 100.0]);
        assert_eq!(Scale::log(0.3, 0.3, (0.0, 1.0)).ticks(9), [0.2, 0.5]);
        assert_eq!(Scale::log(5.0, 5.0, (0.0, 1.0)).ticks(9), [5.0, 10.0]);
    }

    #[test]
    fn the_paper_may_run_the_other_way() {
        let scale = Scale::zero_based(10.0, 2, (200.0, 100.0));
        assert_eq!(scale.at(10.0), 100.0);
        assert_eq!(scale.at(2.5), 175.0);
    }
}
