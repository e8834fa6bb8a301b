//! How a server looks, the same in all charts of a run: a colour that the colour-blind can distinguish (Okabe and Ito),
//! and in addition a marker, a dash and a hatching, so that a grey print shows as much.

use super::svg::{Svg, number};

/// Okabe and Ito's colours but the yellow, which is too light for lines; each with its tint for areas.
const COLOURS: [(&str, &str); 7] = [
    ("#0072b2", "#b3d5e8"),
    ("#d55e00", "#f2cfb3"),
    ("#009e73", "#b3e2d5"),
    ("#000000", "#e0e0e0"),
    ("#cc79a7", "#f0d7e5"),
    ("#e69f00", "#f8e2b3"),
    ("#56b4e9", "#cce9f8"),
];
/// Lengths of strokes and of gaps between them.
const DASHES: [&str; 5] = ["", "5 2", "1.5 1.5", "6 2 1.5 2", "3 3"];
/// Half of a marker's width.
const MARKER: f64 = 2.6;

/// A server's place in its run decides how it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Style(pub(super) usize);

impl Style {
    pub(super) fn colour(self) -> &'static str {
        COLOURS[self.0 % COLOURS.len()].0
    }

    fn tint(self) -> &'static str {
        COLOURS[self.0 % COLOURS.len()].1
    }

    /// The attributes of a line.
    pub(super) fn stroke(self) -> String {
        let dash = DASHES[self.0 % DASHES.len()];
        let dash = if dash.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{dash}\"") };
        format!("stroke=\"{}\" stroke-width=\"1.1\"{dash}", self.colour())
    }

    /// Defines the hatching that [`Self::fill`] names.
    pub(super) fn define(self, svg: &mut Svg) {
        let strokes = match self.0 % 6 {
            0 => "",
            1 => "M-1,1 L1,-1 M0,5 L5,0 M4,6 L6,4",
            2 => "M-1,4 L1,6 M0,0 L5,5 M4,-1 L6,1",
            3 => "M0,2.5 H5",
            4 => "M2.5,0 V5",
            _ => "M0,2.5 H5 M2.5,0 V5",
        };
        let (id, tint, colour) = (self.0, self.tint(), self.colour());
        svg.raw(&format!(
            "<defs><pattern id=\"hatching{id}\" width=\"5\" height=\"5\" patternUnits=\"userSpaceOnUse\">\
             <rect width=\"5\" height=\"5\" fill=\"{tint}\"/>\
             <path d=\"{strokes}\" stroke=\"{colour}\" stroke-width=\"0.9\"/></pattern></defs>"
        ));
    }

    /// The attributes of an area.
    pub(super) fn fill(self) -> String {
        format!("fill=\"url(#hatching{})\" stroke=\"{}\" stroke-width=\"0.8\"", self.0, self.colour())
    }

    /// A marker around a place: of eight shapes every other is filled, and in the next eight the others are.
    pub(super) fn marker(self, svg: &mut Svg, (x, y): (f64, f64)) {
        let at = |dx: f64, dy: f64| format!("{},{}", number(x + dx * MARKER), number(y + dy * MARKER));
        let path = match self.0 % 8 {
            0 => format!("M{} a{MARKER},{MARKER} 0 1 0 0.01,0 z", at(0.0, -1.0)),
            1 => format!("M{} L{} L{} L{} z", at(-0.9, -0.9), at(0.9, -0.9), at(0.9, 0.9), at(-0.9, 0.9)),
            2 => format!("M{} L{} L{} z", at(0.0, -1.1), at(1.1, 0.9), at(-1.1, 0.9)),
            3 => format!("M{} L{} L{} L{} z", at(0.0, -1.3), at(1.3, 0.0), at(0.0, 1.3), at(-1.3, 0.0)),
            4 => format!("M{} L{} L{} z", at(0.0, 1.1), at(1.1, -0.9), at(-1.1, -0.9)),
            5 => format!("M{} L{} M{} L{}", at(-1.0, -1.0), at(1.0, 1.0), at(-1.0, 1.0), at(1.0, -1.0)),
            6 => format!("M{} L{} M{} L{}", at(-1.2, 0.0), at(1.2, 0.0), at(0.0, -1.2), at(0.0, 1.2)),
            _ => format!("M{} L{} L{} L{} z", at(-1.2, -0.6), at(1.2, -0.6), at(1.2, 0.6), at(-1.2, 0.6)),
        };
        let is_open = (self.0 + self.0 / 8).is_multiple_of(2);
        let fill = if is_open { "#ffffff" } else { self.colour() };
        let fill = if matches!(self.0 % 8, 5 | 6) { "none" } else { fill };
        svg.raw(&format!(
            "<path class=\"marker\" d=\"{path}\" fill=\"{fill}\" stroke=\"{}\" stroke-width=\"1\"/>",
            self.colour()
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirty_servers_all_look_different() {
        let look = |index: usize| {
            let mut svg = Svg::default();
            Style(index).marker(&mut svg, (0.0, 0.0));
            (svg.document(1.0, "", ""), Style(index).stroke())
        };
        let looks: Vec<_> = (0..30).map(look).collect();
        let mut different = looks.clone();
        different.sort();
        different.dedup();
        assert_eq!(different.len(), looks.len());
    }
}
