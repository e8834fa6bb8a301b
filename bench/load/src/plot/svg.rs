//! SVG as text: a few elements, numbers of two decimals, everything escaped. One unit is a point, so that a font size is
//! what it is on paper. How wide a text is can only be guessed; the guess is of a wide font.

use std::fmt::Write;

/// A column of a two-column page, 3.3 inches, in points.
pub(super) const COLUMN: f64 = 237.6;
/// The size of all text but titles, in points. Nothing is smaller.
pub(super) const TEXT: f64 = 9.0;
/// From one line of text to the next.
pub(super) const LEADING: f64 = 11.0;
const POINTS_AN_INCH: f64 = 72.0;

/// Where a text's position is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// Elements, so far.
#[derive(Debug, Default)]
pub(super) struct Svg {
    body: String,
}

impl Svg {
    /// The document, as wide as a column; `title` and `description` are for readers who do not see it.
    pub(super) fn document(&self, height: f64, title: &str, description: &str) -> String {
        let (width, inches) = (number(COLUMN), number(height / POINTS_AN_INCH));
        let height = number(height);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"3.3in\" height=\"{inches}in\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"{TEXT}\" role=\"img\">\n\
             <title>{}</title>\n<desc>{}</desc>\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n{}</svg>\n",
            escaped(title),
            escaped(description),
            self.body
        )
    }

    /// Elements with a name that is shown to a reader who points at them.
    pub(super) fn group(&mut self, class: &str, title: &str, fill: impl FnOnce(&mut Self)) {
        let _ = writeln!(self.body, "<g class=\"{class}\"><title>{}</title>", escaped(title));
        fill(self);
        self.body.push_str("</g>\n");
    }

    /// An element whose attributes are known.
    pub(super) fn raw(&mut self, element: &str) {
        self.body.push_str(element);
        self.body.push('\n');
    }

    pub(super) fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let _ = writeln!(
            self.body,
            "<text x=\"{}\" y=\"{}\"{anchor}>{}</text>",
            number(x),
            number(y),
            escaped(text)
        );
    }

    pub(super) fn bold(&mut self, (x, y): (f64, f64), size: f64, text: &str) {
        let (x, y) = (number(x), number(y));
        let text = escaped(text);
        let _ = writeln!(
            self.body,
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" font-weight=\"bold\">{text}</text>"
        );
    }

    /// `style` is further attributes: a stroke at least.
    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), style: &str) {
        let [x1, y1, x2, y2] = [from.0, from.1, to.0, to.1].map(number);
        let _ = writeln!(self.body, "<line x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\" {style}/>");
    }

    pub(super) fn rect(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), style: &str) {
        let [x, y, width, height] = [x, y, width, height].map(number);
        let _ =
            writeln!(self.body, "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" {style}/>");
    }

    pub(super) fn polyline(&mut self, points: &[(f64, f64)], style: &str) {
        let points: Vec<_> = points.iter().map(|(x, y)| format!("{},{}", number(*x), number(*y))).collect();
        let _ = writeln!(self.body, "<polyline points=\"{}\" fill=\"none\" {style}/>", points.join(" "));
    }
}

/// Two decimals at most.
pub(super) fn number(number: f64) -> String {
    let text = format!("{number:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// For text and attributes; what XML cannot hold becomes a mark that something was there.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\t' | '\n' | '\r' => escaped.push(' '),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// How wide a text is, in points, about: the advances of DejaVu Sans, which are greater than those of most.
pub(super) fn width(text: &str, size: f64) -> f64 {
    let advance = |letter: char| match letter {
        'i' | 'j' | 'l' | '\'' | 'I' | '|' => 0.30,
        ' ' | '.' | ',' | ':' | ';' | '/' | '-' => 0.35,
        'f' | 'r' | 't' | '(' | ')' | '!' | '[' | ']' => 0.41,
        'c' | 's' | 'v' | 'x' | 'y' | 'z' | 'k' | 'J' => 0.58,
        'm' | 'w' | 'M' | 'W' | '%' | '=' | '+' | '…' | '≥' | '≤' => 0.98,
        'A'..='Z' => 0.74,
        letter if letter.is_ascii() || (letter > '\u{a0}' && letter < '\u{2000}') => 0.635,
        _ => 1.0,
    };
    text.chars().map(advance).sum::<f64>() * size
}

/// Breaks a text at its spaces, so that no line is wider than this; a word that is gets shortened.
pub(super) fn wrap(text: &str, size: f64, width_max: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(&format!("{line} {word}"), size) <= width_max => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(shortened(word, size, width_max)),
        }
    }
    lines
}

/// The text, or as much of its beginning as there is room for.
pub(super) fn shortened(text: &str, size: f64, width_max: f64) -> String {
    if width(text, size) <= width_max {
        return text.to_owned();
    }
    let mut kept = String::new();
    for letter in text.chars() {
        if width(&format!("{kept}{letter}…"), size) > width_max {
            break;
        }
        kept.push(letter);
    }
    kept + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_reserves_is_escaped() {
        assert_eq!(escaped("a<b> & \"c\"\n\u{1}"), "a&lt;b&gt; &amp; &quot;c&quot; \u{fffd}");
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([1.0, 0.5, 1.234_5, -0.001, 100.0].map(number), ["1", "0.5", "1.23", "0", "100"]);
    }

    #[test]
    fn lines_are_not_wider_than_they_may_be() {
        let text = "Throughput against connections, one in flight on each of them";
        let lines = wrap(text, TEXT, 120.0);
        assert!(lines.len() > 1);
        assert!(lines.iter().all(|line| width(line, TEXT) <= 120.0));
        assert_eq!(lines.join(" "), text);
        let long = wrap("short averyveryverylongwordthatnobodyknows", TEXT, 60.0);
        assert_eq!(long.len(), 2);
        assert!(long[1].ends_with('…') && width(&long[1], TEXT) <= 60.0);
    }
}
