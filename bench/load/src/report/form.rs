//! How a figure is written: `[factor][decimals][q|g]`, such as `k1` for thousands with one decimal, `2q` for two decimals
//! followed by both quartiles, and `ms1g` for the greatest of the rounds, which is what the worst response is.

use crate::rounds::Spread;

/// What a figure is divided by, by the name of the factor.
const FACTORS: [(&str, f64); 7] =
    [("KiB", 1024.0), ("MiB", 1_048_576.0), ("ms", 1e3), ("pct", 0.01), ("k", 1e3), ("M", 1e6), ("", 1.0)];

/// What to make of a figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Form {
    /// Its text.
    Written { divisor: f64, decimals: usize, which: Which },
    /// Nothing, if it is greater.
    Above(f64),
    /// Nothing, if it is less.
    Below(f64),
}

/// Which of the rounds' values are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Median,
    MedianAndQuartiles,
    Greatest,
}

impl Form {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no form such as 0, k1, MiB1, ms2, pct0, 2q, 2g, > 1.5 or < 2");
        let bound = |text: &str| text.trim().parse().map_err(|_| wrong());
        if let Some(bound_of) = text.strip_prefix('>') {
            return Ok(Self::Above(bound(bound_of)?));
        }
        if let Some(bound_of) = text.strip_prefix('<') {
            return Ok(Self::Below(bound(bound_of)?));
        }
        let others = [('q', Which::MedianAndQuartiles), ('g', Which::Greatest)];
        let other = others.into_iter().find_map(|(letter, which)| Some((text.strip_suffix(letter)?, which)));
        let (rest, which) = other.unwrap_or((text, Which::Median));
        let factor = rest.trim_end_matches(|letter: char| letter.is_ascii_digit());
        let (_, divisor) = FACTORS.into_iter().find(|(name, _)| *name == factor).ok_or_else(wrong)?;
        let decimals =
            rest[factor.len()..].parse().ok().filter(|decimals| *decimals <= 9).ok_or_else(wrong)?;
        Ok(Self::Written { divisor, decimals, which })
    }

    /// # Errors
    ///
    /// If a claim does not hold.
    pub(super) fn of(self, spread: Spread) -> Result<String, String> {
        let Spread { median, low, high, max, .. } = spread;
        match self {
            Self::Written { divisor, decimals, which } => {
                let written = |figure: f64| grouped(&format!("{:.decimals$}", figure / divisor));
                Ok(match which {
                    Which::Median => written(median),
                    Which::MedianAndQuartiles => {
                        format!("{} ({} to {})", written(median), written(low), written(high))
                    }
                    Which::Greatest => written(max),
                })
            }
            Self::Above(bound) if median > bound => Ok(String::new()),
            Self::Below(bound) if median < bound => Ok(String::new()),
            Self::Above(bound) => Err(format!("it is {median}, not above {bound}")),
            Self::Below(bound) => Err(format!("it is {median}, not below {bound}")),
        }
    }
}

/// `1234567.5` as `1,234,567.5`.
pub(super) fn grouped(figure: &str) -> String {
    let (whole, fraction) = figure.split_at(figure.find('.').unwrap_or(figure.len()));
    let digits = whole.trim_start_matches('-').len();
    let mut text = String::new();
    let mut left = digits;
    for letter in whole.chars() {
        text.push(letter);
        if letter != '-' {
            left -= 1;
            if left > 0 && left.is_multiple_of(3) {
                text.push(',');
            }
        }
    }
    text + fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(form: &str, values: &[f64]) -> Result<String, String> {
        Form::parse(form)?.of(Spread::of(values.to_vec()).unwrap())
    }

    #[test]
    fn a_figure_is_written_as_its_form_says() {
        let cases = [
            ("0", "98,813"),
            ("k1", "98.8"),
            ("ms2", "98.81"),
            ("KiB0", "96"),
            ("M3", "0.099"),
            ("pct0", "9,881,260"),
        ];
        for (form, expected) in cases {
            assert_eq!(written(form, &[98_812.6]).as_deref(), Ok(expected), "{form}");
        }
        assert_eq!(written("1q", &[1.0, 3.04, 2.0]).as_deref(), Ok("2.0 (1.5 to 2.5)"));
        assert_eq!(written("1g", &[1.5, 3.04, 2.0]).as_deref(), Ok("3.0"));
        for wrong in ["", "k", "q1", "1x", "> x", "-1", "10"] {
            assert!(written(wrong, &[1.0]).unwrap_err().contains("is no form"), "{wrong:?}");
        }
    }

    #[test]
    fn a_claim_is_nothing_or_refused() {
        assert_eq!(written("> 1.5", &[2.0]).as_deref(), Ok(""));
        assert_eq!(written("<3", &[2.0]).as_deref(), Ok(""));
        assert_eq!(written("> 2", &[2.0]), Err("it is 2, not above 2".to_owned()));
        assert_eq!(written("< 2", &[2.5]), Err("it is 2.5, not below 2".to_owned()));
    }

    #[test]
    fn thousands_are_told_apart() {
        let cases = [
            ("7", "7"),
            ("999", "999"),
            ("1000", "1,000"),
            ("-1234567.25", "-1,234,567.25"),
            ("-999", "-999"),
        ];
        for (plain, expected) in cases {
            assert_eq!(grouped(plain), expected);
        }
    }
}
