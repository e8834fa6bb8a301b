//! One line per server, each named at its right end; a marker is a median, and the thin line through it reaches from
//! the lower to the upper quartile. Servers stand a little beside each other, so that no whisker hides another.

use super::{
    frame::{AXIS, Captions, Frame, GRID, MARGIN, told},
    quantity::Unit,
    scale::Scale,
    style::Style,
    svg::{Anchor, COLUMN, LEADING, TEXT, shortened, width},
};
use crate::rounds::read::Series;

/// The least height of what is drawn in.
const HEIGHT: f64 = 140.0;
/// From one name to the next, at least.
const NAME_LEADING: f64 = 11.0;
/// Between the end of the lines and their markers beside the names.
const LEADERS: f64 = 14.0;
/// From a name's marker to the name.
const GAP: f64 = 5.0;
const NAME_MAX: f64 = 84.0;
/// From the frame to the first and the last place of the horizontal axis.
const INSET: f64 = 12.0;
/// From here on figures that differ by more would be lost on a linear axis.
const LINEAR_RATIO: f64 = 20.0;
/// From one server to the next at one place, at most, and as a share of the way to the next place.
const ASIDE_MAX: f64 = 2.4;
const ASIDE_SHARE: f64 = 0.7;
/// Between the names of two places.
const BETWEEN: f64 = 5.0;

/// A server, with its figure at each place of the horizontal axis that it has one at.
#[derive(Clone, Debug)]
pub(super) struct Line<'a> {
    pub(super) label: String,
    pub(super) style: Style,
    /// Places of the axis, ascending.
    pub(super) points: Vec<(usize, &'a Series)>,
}

/// The horizontal axis, logarithmic: its title, and the figures that are its places, ascending.
#[derive(Clone, Debug)]
pub(super) struct Across {
    pub(super) title: &'static str,
    pub(super) figures: Vec<u64>,
}

/// Draws the lines in their order.
pub(super) fn draw(captions: Captions, unit: Unit, across: &Across, lines: &[Line<'_>]) -> String {
    let mut frame = Frame::new(captions);
    let names = lines.iter().map(|line| width(&line.label, TEXT)).fold(0.0, f64::max).min(NAME_MAX);
    let height = HEIGHT.max(NAME_LEADING * (lines.len() + 1) as f64);
    let vertical = Vertical::of(unit, lines);
    frame.paragraph(&vertical.title);
    let (top, bottom) = (frame.top + 4.0, frame.top + 4.0 + height);
    let scale = vertical.scale((bottom, top));
    let ticks: Vec<(f64, String)> =
        scale.ticks(5).into_iter().map(|tick| (tick, vertical.tick(tick))).collect();
    let left = MARGIN + 3.0 + ticks.iter().map(|(_, text)| width(text, TEXT)).fold(0.0, f64::max);
    let right = COLUMN - MARGIN - names - GAP - LEADERS;

    let svg = &mut frame.svg;
    for (tick, text) in &ticks {
        let y = scale.at(*tick);
        svg.line((left, y), (right, y), GRID);
        svg.text((left - 3.0, y + TEXT * 0.36), Anchor::End, text);
    }
    svg.line((left, top), (left, bottom), AXIS);
    svg.line((left, bottom), (right, bottom), AXIS);
    let places = across.places((left + INSET, right - INSET));
    for (x, name) in across.names(&places) {
        svg.line((x, bottom), (x, bottom + 2.5), AXIS);
        if let Some(name) = name {
            svg.text((x, bottom + LEADING + 1.0), Anchor::Middle, &name);
        }
    }
    let (title, below) = (across.title, bottom + 2.0 * LEADING + 2.0);
    let half = width(title, TEXT) / 2.0;
    svg.text((f64::midpoint(left, right).max(MARGIN + half), below), Anchor::Middle, title);

    let mut ends = Vec::new();
    let step = step_aside(&places, lines.len());
    for (index, line) in lines.iter().enumerate() {
        let aside = (index as f64 - (lines.len() - 1) as f64 / 2.0) * step;
        let place = |(at, series): &(usize, &Series)| (places[*at] + aside, scale.at(series.spread().median));
        let middles: Vec<_> = line.points.iter().map(place).collect();
        svg.polyline(&middles, &line.style.stroke());
        for (middle, (_, series)) in middles.iter().zip(&line.points) {
            let [low, high] = [series.spread().low, series.spread().high].map(|figure| scale.at(figure));
            svg.group("point", &told(&line.label, series), |svg| {
                let stroke = format!("stroke=\"{}\" stroke-width=\"0.7\"", line.style.colour());
                svg.line((middle.0, low), (middle.0, high), &stroke);
                line.style.marker(svg, *middle);
            });
        }
        ends.push(middles.last().copied().unwrap_or((right, bottom)));
    }
    let wanted: Vec<f64> = ends.iter().map(|(_, y)| *y).collect();
    for ((line, end), y) in lines.iter().zip(&ends).zip(apart_enough(&wanted, NAME_LEADING, (top, bottom))) {
        let x = right + LEADERS - 3.0;
        // From a line that ends earlier it would cross the others.
        if line.points.last().is_some_and(|(at, _)| at + 1 == places.len()) {
            let leader = format!("stroke=\"{}\" stroke-width=\"0.4\"", line.style.colour());
            svg.line((end.0 + 3.0, end.1), (x - 4.0, y), &leader);
        }
        line.style.marker(svg, (x, y));
        svg.text((x + GAP, y + TEXT * 0.36), Anchor::Start, &shortened(&line.label, TEXT, names));
    }
    frame.finish(below)
}

impl Across {
    /// Where its places are.
    fn places(&self, paper: (f64, f64)) -> Vec<f64> {
        let [low, high] =
            [self.figures.first(), self.figures.last()].map(|end| end.map_or(1.0, |end| *end as f64));
        let scale = Scale::log_between(low, high, paper);
        self.figures.iter().map(|figure| scale.at(*figure as f64)).collect()
    }

    /// Each place with its name, if there is room for one. The ends have theirs before those between them.
    fn names(&self, places: &[f64]) -> Vec<(f64, Option<String>)> {
        let text = |index: usize| Unit::Rate.tick(self.figures[index] as f64);
        let mut named: Vec<usize> = Vec::new();
        for index in [places.len() - 1].into_iter().chain(0..places.len() - 1) {
            let is_apart = |other: &usize| {
                let halves = (width(&text(index), TEXT) + width(&text(*other), TEXT)) / 2.0;
                (places[index] - places[*other]).abs() >= halves + BETWEEN
            };
            if named.iter().all(is_apart) {
                named.push(index);
            }
        }
        let name = |(index, x): (usize, &f64)| (*x, named.contains(&index).then(|| text(index)));
        places.iter().enumerate().map(name).collect()
    }
}

/// What the vertical axis shows.
#[derive(Debug)]
struct Vertical {
    unit: Unit,
    is_log: bool,
    least: f64,
    greatest: f64,
    title: String,
}

impl Vertical {
    fn of(unit: Unit, lines: &[Line<'_>]) -> Self {
        let spreads = || lines.iter().flat_map(|line| &line.points).map(|(_, series)| series.spread());
        let greatest = spreads().map(|spread| spread.high).fold(0.0, f64::max);
        // What is not above zero has no place on a logarithmic axis, and is shown at its lower end.
        let above_zero = |figure: &f64| *figure > 0.0;
        let least =
            spreads().map(|spread| spread.low).filter(above_zero).fold(f64::MAX, f64::min).min(greatest);
        let medians = || spreads().map(|spread| spread.median);
        let least_median = medians().fold(f64::MAX, f64::min);
        let ratio = medians().fold(0.0, f64::max) / least_median;
        let is_log = greatest > 0.0 && ratio > LINEAR_RATIO;
        let title = match (is_log, unit) {
            (false, unit) => unit.multiple(greatest).name.to_owned(),
            (true, Unit::Rate) => "requests a second, logarithmic".to_owned(),
            (true, Unit::Time) => "time, logarithmic".to_owned(),
            (true, Unit::Bytes) => "memory, logarithmic".to_owned(),
        };
        Self { unit, is_log, least, greatest, title }
    }

    fn scale(&self, paper: (f64, f64)) -> Scale {
        if self.is_log {
            Scale::log(self.least, self.greatest, paper)
        } else {
            Scale::zero_based(self.greatest, 5, paper)
        }
    }

    fn tick(&self, figure: f64) -> String {
        if self.is_log { self.unit.tick(figure) } else { self.unit.multiple(self.greatest).tick(figure) }
    }
}

/// From one server to the next at one place: so little that two places stay apart.
fn step_aside(places: &[f64], servers: usize) -> f64 {
    let room = places.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min);
    (room * ASIDE_SHARE / servers.max(1) as f64).min(ASIDE_MAX)
}

/// Places as near as possible to the wanted ones, in the same order, so far apart at least, between two ends.
pub(super) fn apart_enough(wanted: &[f64], apart: f64, (top, bottom): (f64, f64)) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|one, two| wanted[*one].total_cmp(&wanted[*two]).then(one.cmp(two)));
    // Runs of names that touch: where the first is, and how many. A run stands where its names want to be on average.
    let mut runs: Vec<(f64, usize)> = Vec::new();
    for index in &order {
        let mut run = (wanted[*index], 1);
        loop {
            let (first, count): (f64, usize) = run;
            run.0 = first.min(bottom - apart * (count - 1) as f64).max(top);
            match runs.pop() {
                Some((before, of_before)) if before + apart * of_before as f64 > run.0 => {
                    let (one, two) = (of_before as f64, count as f64);
                    let meant = (before * one + (run.0 - apart * one) * two) / (one + two);
                    run = (meant, of_before + count);
                }
                Some(before) => break runs.push(before),
                None => break,
            }
        }
        runs.push(run);
    }
    let ascending =
        runs.iter().flat_map(|(first, count)| (0..*count).map(move |nth| first + apart * nth as f64));
    let mut places = vec![0.0; wanted.len()];
    for (index, place) in order.into_iter().zip(ascending) {
        places[index] = place;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_overlap_move_apart() {
        let alone = apart_enough(&[30.0, 10.0, 50.0], 10.0, (0.0, 100.0));
        assert_eq!(alone, [30.0, 10.0, 50.0]);
        let same = apart_enough(&[50.0, 50.0, 50.0], 10.0, (0.0, 100.0));
        assert_eq!(same, [40.0, 50.0, 60.0]);
        let chain = apart_enough(&[20.0, 22.0, 31.0], 10.0, (0.0, 100.0));
        assert!(chain.windows(2).all(|pair| pair[1] - pair[0] >= 10.0 - 1e-9), "{chain:?}");
    }

    #[test]
    fn names_stay_between_the_ends() {
        for wanted in [[0.0, 1.0, 2.0, 3.0], [99.0, 100.0, 100.0, 98.0], [0.0, 100.0, 100.0, 100.0]] {
            let mut places = apart_enough(&wanted, 10.0, (0.0, 100.0));
            places.sort_by(f64::total_cmp);
            assert!(places[0] >= 0.0 && places[3] <= 100.0, "{places:?}");
            assert!(places.windows(2).all(|pair| pair[1] - pair[0] >= 10.0 - 1e-9), "{places:?}");
        }
    }
}
