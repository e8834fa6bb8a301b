//! What surrounds every chart: a title that says what is measured, and below it where that is from. Both are in the file's
//! own title and description too, which are all that is left of them in a chart that gets its caption elsewhere.

use super::svg::{COLUMN, LEADING, Svg, TEXT, number, wrap};
use crate::rounds::{Spread, read::Series};

/// Space between what is drawn and the paper's edge.
pub(super) const MARGIN: f64 = 3.0;
/// Of text below its baseline.
const DESCENT: f64 = 3.0;
const TITLE: f64 = 10.0;
const TITLE_LEADING: f64 = 12.5;

/// A thin line of the grid.
pub(super) const GRID: &str = "stroke=\"#c8c8c8\" stroke-width=\"0.4\"";
/// The line that an axis begins at.
pub(super) const AXIS: &str = "stroke=\"#000000\" stroke-width=\"0.7\"";

/// What reaches from the lower to the upper quartile, and half of its ends.
const WHISKER_STROKE: &str = "stroke=\"#000000\" stroke-width=\"0.8\"";
const WHISKER: f64 = 2.5;

/// What is said above and below a chart.
#[derive(Clone, Debug)]
pub(super) struct Captions {
    /// What is measured.
    pub(super) title: String,
    /// Under which load.
    pub(super) load: String,
    /// The run folder, how many rounds, what stands for them.
    pub(super) footnote: String,
    /// Whether they are drawn.
    pub(super) are_drawn: bool,
}

/// A chart's text so far: the title stands there, and what is drawn next begins at `top`.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) svg: Svg,
    pub(super) top: f64,
    captions: Captions,
}

impl Frame {
    pub(super) fn new(captions: Captions) -> Self {
        let (mut svg, mut top) = (Svg::default(), MARGIN);
        if !captions.are_drawn {
            return Self { svg, top, captions };
        }
        let width_max = COLUMN - 2.0 * MARGIN;
        // Bold is wider by a tenth.
        for line in wrap(&captions.title, TITLE * 1.1, width_max) {
            svg.bold((MARGIN, top + TITLE - 1.5), TITLE, &line);
            top += TITLE_LEADING;
        }
        let mut frame = Self { svg, top, captions };
        frame.paragraph(&frame.captions.load.clone());
        frame.top += 4.0;
        frame
    }

    /// Text over the whole width.
    pub(super) fn paragraph(&mut self, text: &str) {
        for line in wrap(text, TEXT, COLUMN - 2.0 * MARGIN) {
            self.svg.text((MARGIN, self.top + TEXT - 1.5), super::svg::Anchor::Start, &line);
            self.top += LEADING;
        }
    }

    /// The whole document, with the footnote below what was drawn down to `bottom`.
    pub(super) fn finish(mut self, bottom: f64) -> String {
        let footnote = self.captions.footnote.clone();
        self.top = bottom;
        if self.captions.are_drawn {
            self.top += 8.0;
            self.svg.line((MARGIN, self.top), (MARGIN + 60.0, self.top), GRID);
            self.top += 3.0;
            self.paragraph(&footnote);
        }
        let description = format!("{} {}", self.captions.load, footnote);
        self.svg.document(self.top + DESCENT, &self.captions.title, &description)
    }
}

/// From the lower to the upper quartile, at this height.
pub(super) fn whisker(svg: &mut Svg, [from, to]: [f64; 2], y: f64) {
    svg.line((from, y), (to, y), WHISKER_STROKE);
    for end in [from, to] {
        svg.line((end, y - WHISKER), (end, y + WHISKER), WHISKER_STROKE);
    }
}

/// What is shown of a figure to one who points at it.
pub(super) fn told(label: &str, series: &Series) -> String {
    let Spread { median, low, high, .. } = series.spread();
    let [median, low, high] = [median, low, high].map(number);
    let unit = &series.key.unit;
    format!("{label}: {median} {unit} ({low} to {high}), {} rounds", series.values.len())
}
