//! Horizontal bars from zero, one row per server: the median as the bar's end, the quartiles as a whisker, the
//! figure beside it.

use super::{
    frame::{AXIS, Captions, Frame, GRID, MARGIN, told, whisker},
    quantity::Unit,
    scale::Scale,
    style::Style,
    svg::{Anchor, COLUMN, LEADING, TEXT, shortened, width},
};
use crate::rounds::read::Series;

const ROW: f64 = 15.0;
const BAR: f64 = 9.0;
/// Between a label and what it labels.
const GAP: f64 = 4.0;
/// Of the longest name.
const NAME_MAX: f64 = 92.0;

/// A row.
#[derive(Clone, Debug)]
pub(super) struct Bar<'a> {
    pub(super) label: String,
    pub(super) style: Style,
    pub(super) series: &'a Series,
}

/// Draws the rows in their order.
pub(super) fn draw(captions: Captions, unit: Unit, bars: &[Bar<'_>]) -> String {
    let mut frame = Frame::new(captions);
    let max = bars.iter().map(|bar| bar.series.spread().high).fold(0.0, f64::max);
    let multiple = unit.multiple(max);
    let names = bars.iter().map(|bar| width(&bar.label, TEXT)).fold(0.0, f64::max).min(NAME_MAX);
    let value = |bar: &Bar<'_>| multiple.value(bar.series.spread().median);
    let values = bars.iter().map(|bar| width(&value(bar), TEXT)).fold(0.0, f64::max);
    let left = MARGIN + names + GAP;
    let right = COLUMN - MARGIN - values - GAP;
    let ticks_max = if width(&multiple.tick(max), TEXT) > 16.0 { 3 } else { 4 };
    let scale = Scale::zero_based(max, ticks_max, (left, right));
    let (top, bottom) = (frame.top, frame.top + ROW * bars.len() as f64);

    let svg = &mut frame.svg;
    for tick in scale.ticks(ticks_max) {
        let x = scale.at(tick);
        svg.line((x, top), (x, bottom), if tick == 0.0 { AXIS } else { GRID });
        svg.text((x, bottom + LEADING - 1.0), Anchor::Middle, &multiple.tick(tick));
    }
    for (index, bar) in bars.iter().enumerate() {
        let middle = top + ROW * (index as f64 + 0.5);
        let spread = bar.series.spread();
        let [from, median, to] = [spread.low, spread.median, spread.high].map(|figure| scale.at(figure));
        let baseline = middle + TEXT * 0.36;
        bar.style.define(svg);
        svg.text((left - GAP, baseline), Anchor::End, &shortened(&bar.label, TEXT, names));
        svg.group("bar", &told(&bar.label, bar.series), |svg| {
            svg.rect((left, middle - BAR / 2.0), (median - left, BAR), &bar.style.fill());
            whisker(svg, [from, to], middle);
        });
        let (beside, text) = (to.max(median) + GAP, value(bar));
        // No line of the grid runs through the figure.
        svg.rect((beside - 1.0, middle - 5.0), (width(&text, TEXT) + 1.0, 10.0), "fill=\"#ffffff\"");
        svg.text((beside, baseline), Anchor::Start, &text);
    }
    let axis = (f64::midpoint(left, right), bottom + 2.0 * LEADING);
    let half = width(multiple.name, TEXT) / 2.0;
    let x = axis.0.min(COLUMN - MARGIN - half).max(MARGIN + half);
    svg.text((x, axis.1), Anchor::Middle, multiple.name);
    frame.finish(axis.1)
}
