//! Figures with their units, as a chart shows them: `116` of thousand requests a second, `20 ms`, `1.2 GB`.

/// Which multiple of its unit a linear axis counts in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Multiple {
    /// How many of the unit.
    of: f64,
    /// The multiple's name, as the axis says it.
    pub(super) name: &'static str,
}

/// Multiples of a unit, least first, each from so many of it.
const RATES: [Multiple; 3] = [
    Multiple { of: 1.0, name: "requests a second" },
    Multiple { of: 1e3, name: "thousand requests a second" },
    Multiple { of: 1e6, name: "million requests a second" },
];
const TIMES: [Multiple; 3] =
    [Multiple { of: 1.0, name: "µs" }, Multiple { of: 1e3, name: "ms" }, Multiple { of: 1e6, name: "s" }];
const BYTES: [Multiple; 4] = [
    Multiple { of: 1.0, name: "bytes" },
    Multiple { of: 1e3, name: "kB" },
    Multiple { of: 1e6, name: "MB" },
    Multiple { of: 1e9, name: "GB" },
];
/// Of rates by themselves, where there is no room for words.
const SHORT_RATES: [Multiple; 3] =
    [Multiple { of: 1.0, name: "" }, Multiple { of: 1e3, name: "k" }, Multiple { of: 1e6, name: "M" }];

/// A unit that charts are drawn in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Requests a second.
    Rate,
    /// Microseconds.
    Time,
    /// Bytes.
    Bytes,
}

impl Unit {
    /// As run folders write it.
    pub(super) fn written(self) -> &'static str {
        match self {
            Self::Rate => "/s",
            Self::Time => "µs",
            Self::Bytes => "bytes",
        }
    }

    /// What to count in, where `max` is the greatest figure: two digits at least, if the unit allows.
    pub(super) fn multiple(self, max: f64) -> Multiple {
        let all: &[Multiple] = match self {
            Self::Rate => &RATES,
            Self::Time => &TIMES,
            Self::Bytes => &BYTES,
        };
        pick(all, max / 2.0)
    }

    /// A figure with its unit, for ticks that reach over several multiples: `20 µs`, `100 ms`, `5 k`.
    pub(super) fn tick(self, figure: f64) -> String {
        let multiple = match self {
            Self::Rate => pick(&SHORT_RATES, figure),
            Self::Time => pick(&TIMES, figure),
            Self::Bytes => pick(&BYTES, figure),
        };
        let number = shortest(multiple.count(figure));
        if multiple.name.is_empty() { number } else { format!("{number} {}", multiple.name) }
    }
}

impl Multiple {
    fn count(self, figure: f64) -> f64 {
        figure / self.of
    }

    /// A figure with three digits that count: `116`, `4.93`.
    pub(super) fn value(self, figure: f64) -> String {
        let count = self.count(figure);
        let magnitude = if count == 0.0 { 0.0 } else { count.abs().log10().floor() };
        let decimals = (2.0 - magnitude).clamp(0.0, 4.0) as usize;
        format!("{count:.decimals$}")
    }

    /// A round figure with as many digits as it has.
    pub(super) fn tick(self, figure: f64) -> String {
        shortest(self.count(figure))
    }
}

fn pick(all: &[Multiple], figure: f64) -> Multiple {
    let reached = all.iter().rev().find(|multiple| figure >= multiple.of * (1.0 - 1e-9));
    reached.copied().unwrap_or(all[0])
}

/// Without the digits that only come from counting in binary.
fn shortest(number: f64) -> String {
    let text = format!("{number:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_counts_in_what_gives_short_numbers() {
        let of = |unit: Unit, max| unit.multiple(max).name;
        assert_eq!(of(Unit::Rate, 131_000.0), "thousand requests a second");
        assert_eq!(of(Unit::Rate, 1_900.0), "requests a second");
        assert_eq!(of(Unit::Rate, 2_800_000.0), "million requests a second");
        assert_eq!(of(Unit::Bytes, 119.0), "bytes");
        assert_eq!(of(Unit::Bytes, 3.0e8), "MB");
        assert_eq!(of(Unit::Time, 0.3), "µs");
    }

    #[test]
    fn values_have_three_digits_and_ticks_those_they_need() {
        let thousands = Unit::Rate.multiple(131_000.0);
        assert_eq!(thousands.value(115_852.5), "116");
        assert_eq!(thousands.value(4_932.0), "4.93");
        assert_eq!(thousands.value(0.0), "0.00");
        assert_eq!(thousands.tick(50_000.0), "50");
        assert_eq!(thousands.tick(2_500.0), "2.5");
    }

    #[test]
    fn ticks_over_decades_bring_their_unit() {
        assert_eq!(
            [20.0, 1e3, 5e5, 1e7].map(|figure| Unit::Time.tick(figure)),
            ["20 µs", "1 ms", "500 ms", "10 s"]
        );
        assert_eq!([100.0, 5e3, 1e6].map(|figure| Unit::Rate.tick(figure)), ["100", "5 k", "1 M"]);
        assert_eq!(Unit::Bytes.tick(2e9), "2 GB");
        assert_eq!(Unit::Time.tick(0.5), "0.5 µs");
    }
}
