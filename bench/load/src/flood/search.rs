//! The search for the highest rate that is sustained: doubling until one is not, then halving the interval.

/// Tries rates, beginning with `first` and never above `most`, until the highest that was sustained and the lowest that
/// was not are within the share `within` of each other; returns the former. `None` if not even one a second was.
pub(super) fn search<E>(
    first: f64,
    most: f64,
    within: f64,
    mut is_kept_up: impl FnMut(f64) -> Result<bool, E>,
) -> Result<Option<f64>, E> {
    let (mut kept, mut failed) = (None, None);
    let mut rate = first.clamp(1.0, most.max(1.0));
    loop {
        if is_kept_up(rate)? {
            kept = Some(rate);
        } else {
            failed = Some(rate);
        }
        rate = match (kept, failed) {
            (Some(kept), None) if kept >= most => return Ok(Some(kept)),
            (Some(kept), None) => (2.0 * kept).min(most),
            (Some(kept), Some(failed)) if failed <= kept * (1.0 + within) => return Ok(Some(kept)),
            (Some(kept), Some(failed)) => f64::midpoint(kept, failed),
            (None, _) if rate <= 1.0 => return Ok(None),
            (None, _) => (rate / 2.0).max(1.0),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// What is found of a herd that keeps up with so many a second, and the rates that were tried.
    fn found(first: f64, most: f64, keeps_up_with: f64) -> (Option<f64>, Vec<f64>) {
        let mut tried = Vec::new();
        let found = search::<Infallible>(first, most, 0.05, |rate| {
            tried.push(rate);
            Ok(rate <= keeps_up_with)
        });
        (found.unwrap(), tried)
    }

    #[test]
    fn the_rate_is_found_from_below_and_from_above() {
        for truth in [1.0, 37.0, 999.0, 1_000.0, 1_001.0, 123_456.0, 4e6] {
            let (rate, tried) = found(1_000.0, 1e7, truth);
            let rate = rate.unwrap();
            assert!(rate <= truth && truth <= rate * 1.05, "{rate} of {truth}");
            assert!(tried.len() < 30 && tried[0] == 1_000.0, "{tried:?}");
        }
    }

    #[test]
    fn rates_are_doubled_then_halved_between() {
        let (rate, tried) = found(1_000.0, 1e7, 5_000.0);
        assert_eq!(tried, [1e3, 2e3, 4e3, 8e3, 6e3, 5e3, 5.5e3, 5.25e3]);
        assert_eq!(rate, Some(5_000.0));
    }

    #[test]
    fn nothing_above_the_most_is_tried() {
        let (rate, tried) = found(1_000.0, 3_000.0, 1e9);
        assert_eq!((rate, tried), (Some(3_000.0), vec![1e3, 2e3, 3e3]));
        assert_eq!(found(1_000.0, 500.0, 1e9), (Some(500.0), vec![500.0]));
    }

    #[test]
    fn a_herd_that_keeps_up_with_nothing_has_no_rate() {
        let (rate, tried) = found(4.0, 1e7, 0.0);
        assert_eq!((rate, tried), (None, vec![4.0, 2.0, 1.0]));
    }

    #[test]
    fn a_trial_that_was_not_made_ends_the_search() {
        assert_eq!(search(1.0, 2.0, 0.05, |_| Err::<bool, _>("broken")), Err("broken"));
    }
}
