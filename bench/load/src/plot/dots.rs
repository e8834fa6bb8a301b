//! Percentiles on a logarithmic axis, one row per server: a marker for each percentile's median, with a whisker through
//! it from quartile to quartile. Rows rather than columns, so that servers' names need not be turned.

use super::{
    frame::{AXIS, Captions, Frame, GRID, MARGIN, told, whisker},
    lines::apart_enough,
    quantity::Unit,
    scale::Scale,
    style::Style,
    svg::{Anchor, COLUMN, LEADING, TEXT, shortened, width},
};
use crate::rounds::read::Series;

const ROW: f64 = 15.0;
/// Between a name and its row.
const GAP: f64 = 4.0;
const NAME_MAX: f64 = 80.0;
/// From the names of the percentiles to the first row's middle.
const LEADERS: f64 = 20.0;
/// Between two names of percentiles, at least.
const BETWEEN: f64 = 4.0;

/// A server, with its figure of each percentile that it has.
#[derive(Clone, Debug)]
pub(super) struct Row<'a> {
    pub(super) label: String,
    /// Which of the percentiles, ascending.
    pub(super) points: Vec<(usize, &'a Series)>,
}

/// Draws the rows in their order; `percentiles` are named above the first.
pub(super) fn draw(captions: Captions, unit: Unit, percentiles: &[&str], rows: &[Row<'_>]) -> String {
    let mut frame = Frame::new(captions);
    let names = rows.iter().map(|row| width(&row.label, TEXT)).fold(0.0, f64::max).min(NAME_MAX);
    let (left, right) = (MARGIN + names + GAP, COLUMN - MARGIN - 16.0);
    let Some(scale) = scale(rows, (left, right)) else { return frame.finish(MARGIN) };
    let above = frame.top + TEXT;
    let (top, bottom) = (above + 3.0, above + LEADERS + ROW * (rows.len() as f64 - 0.5));

    let svg = &mut frame.svg;
    svg.line((left, bottom), (right, bottom), AXIS);
    let mut free_from = 0.0;
    for tick in scale.ticks(9) {
        let (x, text) = (scale.at(tick), unit.tick(tick));
        let half = width(&text, TEXT) / 2.0;
        svg.line((x, top + 8.0), (x, bottom), GRID);
        // A tick whose name would overlap the one before has no name.
        if x - half >= free_from && x + half <= COLUMN {
            svg.text((x, bottom + LEADING - 1.0), Anchor::Middle, &text);
            free_from = x + half + 2.0;
        }
    }
    let middle = |index: usize| above + LEADERS + ROW * index as f64;
    if let Some(first) = rows.first() {
        let wanted: Vec<f64> =
            first.points.iter().map(|(_, series)| scale.at(series.spread().median)).collect();
        let widest = percentiles.iter().map(|name| width(name, TEXT)).fold(0.0, f64::max);
        let ends = (left + widest / 2.0, COLUMN - MARGIN - widest / 2.0);
        let room = (ends.1 - ends.0) / wanted.len().saturating_sub(1).max(1) as f64;
        let places = apart_enough(&wanted, (widest + BETWEEN).min(room), ends);
        for (((percentile, _), marker), place) in first.points.iter().zip(wanted).zip(places) {
            svg.text((place, above), Anchor::Middle, percentiles[*percentile]);
            svg.line((place, above + 2.5), (marker, middle(0)), GRID);
        }
    }
    for (index, row) in rows.iter().enumerate() {
        let y = middle(index);
        svg.text((left - GAP, y + TEXT * 0.36), Anchor::End, &shortened(&row.label, TEXT, names));
        svg.line((left, y), (right, y), GRID);
        for (percentile, series) in &row.points {
            let spread = series.spread();
            let [from, median, to] = [spread.low, spread.median, spread.high].map(|figure| scale.at(figure));
            let label = format!("{}, {}", row.label, percentiles[*percentile]);
            svg.group("point", &told(&label, series), |svg| {
                whisker(svg, [from, to], y);
                Style(*percentile).marker(svg, (median, y));
            });
        }
    }
    let axis = bottom + 2.0 * LEADING;
    svg.text((f64::midpoint(left, right), axis), Anchor::Middle, "time, logarithmic");
    frame.finish(axis)
}

/// What is not above zero has no place on a logarithmic axis, and is shown at its lower end.
fn scale(rows: &[Row<'_>], paper: (f64, f64)) -> Option<Scale> {
    let spreads = || rows.iter().flat_map(|row| &row.points).map(|(_, series)| series.spread());
    let greatest = spreads().map(|spread| spread.high).fold(0.0, f64::max);
    let least = spreads().map(|spread| spread.low).filter(|low| *low > 0.0).fold(greatest, f64::min);
    (greatest > 0.0).then(|| Scale::log(least, greatest, paper))
}
