//! A comparison for a terminal: a table for each part, then what was not compared, then what it comes to.

use std::fmt::{self, Write};

use super::{Compared, Comparison, Run, Side, Verdict};
use crate::{rounds::read::Key, words::counted};

/// What stands above a table's columns.
const HEADINGS: [&str; COLUMNS] = ["server", "figure", "unit", "A (quartiles)", "B", "change", "verdict"];
const COLUMNS: usize = 7;
/// Those of numbers stand at the right of their column.
const IS_NUMBER: [bool; COLUMNS] = [false, false, false, true, true, true, false];

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (letter, run) in [("A", &self.a), ("B", &self.b)] {
            writeln!(f, "{letter}  {} ({})", run.name, counted(run.rounds as u64, "round"))?;
        }
        let rows: Vec<[String; COLUMNS]> = self.compared.iter().map(Compared::cells).collect();
        let widths: [usize; COLUMNS] = std::array::from_fn(|column| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.chain([HEADINGS[column].len()]).max().unwrap_or(0)
        });
        let mut part = None;
        for (figure, row) in self.compared.iter().zip(&rows) {
            if part != Some(&figure.key.part) {
                part = Some(&figure.key.part);
                let heading = if figure.key.part.is_empty() { "all figures" } else { &figure.key.part };
                writeln!(f, "\n{heading}")?;
                writeln!(f, "  {}", line(&HEADINGS.map(str::to_owned), &widths))?;
            }
            writeln!(f, "  {}", line(row, &widths))?;
        }
        self.a.not_compared("A", f)?;
        self.b.not_compared("B", f)?;
        if !self.other_load.is_empty() {
            writeln!(f, "\nNot compared, since the load differs")?;
        }
        for figure in &self.other_load {
            writeln!(f, "  {}: {}", figure.key, figure.difference)?;
        }
        self.closing(f)
    }
}

impl Comparison {
    fn closing(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |verdict| self.compared.iter().filter(|figure| figure.verdict == verdict).count();
        let mut text = counted(self.compared.len() as u64, "figure");
        text.push_str(" compared");
        for verdict in [
            Verdict::Worse,
            Verdict::Better,
            Verdict::Differs,
            Verdict::WithinNoise,
            Verdict::Same,
            Verdict::TooFewRounds,
        ] {
            if count(verdict) > 0 {
                write!(text, ", {} {}", count(verdict), verdict.name().to_lowercase())?;
            }
        }
        writeln!(f, "\n{text}.")?;
        if self.expected_by_chance > 0.0 {
            let expected = plain(self.expected_by_chance);
            writeln!(
                f,
                "Were both runs alike, chance alone would have about {expected} of them beyond the noise."
            )?;
        }
        writeln!(
            f,
            "A change is beyond the noise if every round of one run is above every round of the other; the table shows \
             quartiles."
        )?;
        if count(Verdict::TooFewRounds) > 0 {
            writeln!(
                f,
                "Where rounds are too few, ranges that lie apart tell nothing: run three or more in each."
            )?;
        }
        let Some(limit) = self.fail_above else { return Ok(()) };
        let failed: Vec<_> = self.compared.iter().filter(|figure| figure.fails).collect();
        if failed.is_empty() {
            return writeln!(f, "None got worse by more than {limit} % beyond the noise.");
        }
        writeln!(f, "{} got worse by more than {limit} % beyond the noise:", failed.len())?;
        failed.iter().try_for_each(|figure| writeln!(f, "  {}: {}", figure.key, figure.change()))
    }
}

impl Run {
    fn not_compared(&self, letter: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.only_here.is_empty() {
            writeln!(f, "\nOnly in {letter}")?;
        }
        self.only_here.iter().try_for_each(|key| writeln!(f, "  {key}"))?;
        if !self.left_out.is_empty() {
            writeln!(f, "\nInvalid in {letter}, left out")?;
        }
        self.left_out
            .iter()
            .try_for_each(|out| writeln!(f, "  {}, round {}: {}", out.key, out.round, out.reason))?;
        if self.disturbed > 0 {
            writeln!(
                f,
                "\n{} of {letter}, taken while its machine was disturbed",
                counted(self.disturbed as u64, "figure")
            )?;
        }
        Ok(())
    }
}

impl Compared {
    fn cells(&self) -> [String; COLUMNS] {
        let Key { server, what, unit, hops, .. } = &self.key;
        let what = hops.map_or_else(|| what.clone(), |hops| format!("{what}, {}", counted(hops, "hop")));
        let server = server.clone().unwrap_or_default();
        let (a, b) = (self.a.cell(), self.b.cell());
        [server, what, unit.clone(), a, b, self.change(), self.verdict.name().to_owned()]
    }

    fn change(&self) -> String {
        self.change_percent.map_or_else(|| "from 0".to_owned(), |change| format!("{change:+.1} %"))
    }
}

impl Side {
    fn cell(self) -> String {
        let [low, median, high] = [self.spread.low, self.spread.median, self.spread.high].map(plain);
        format!("{median} ({low} to {high})")
    }
}

impl fmt::Display for Key {
    /// `C=50 P=1, node, rate (/s)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { part, server, what, unit, hops } = self;
        for name in [part, server.as_ref().unwrap_or(&String::new())] {
            if !name.is_empty() {
                write!(f, "{name}, ")?;
            }
        }
        f.write_str(what)?;
        if let Some(hops) = hops {
            write!(f, ", {}", counted(*hops, "hop"))?;
        }
        if unit.is_empty() { Ok(()) } else { write!(f, " ({unit})") }
    }
}

/// Cells at the widths of their columns, without spaces at the end.
fn line(cells: &[String; COLUMNS], widths: &[usize; COLUMNS]) -> String {
    let mut text = String::new();
    for ((cell, width), is_number) in cells.iter().zip(widths).zip(IS_NUMBER) {
        let fill = " ".repeat(width - cell.chars().count());
        text += &if is_number { format!("{fill}{cell}  ") } else { format!("{cell}{fill}  ") };
    }
    text.trim_end().to_owned()
}

/// Three digits that count, and no fraction beyond a hundred.
fn plain(value: f64) -> String {
    let magnitude = if value == 0.0 { 0.0 } else { value.abs().log10().floor() };
    let decimals = (2.0 - magnitude).clamp(0.0, 6.0) as usize;
    if value == 0.0 { "0".to_owned() } else { format!("{value:.decimals$}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_that_count() {
        let numbers = [0.0, 0.012_34, 0.5, 4.932, 28.0, 99.96, 115_852.5, -4.2];
        let texts = numbers.map(plain);
        assert_eq!(texts, ["0", "0.0123", "0.500", "4.93", "28.0", "100.0", "115852", "-4.20"]);
    }

    #[test]
    fn cells_line_up() {
        let cells = ["a", "µs", "c", "1", "22", "3", "d"].map(str::to_owned);
        assert_eq!(line(&cells, &[2, 3, 1, 3, 2, 2, 9]), "a   µs   c    1  22   3  d");
    }
}
