//! The summary of a run, as Markdown: pure text from samples, so that a test can read it.

use super::{Part, Sample, Spread, sample::number};

/// The whole document, a section for each of the parts; `sizes` says how much of everything there was.
pub(super) fn render<P: Part>(what: &str, sizes: &str, parts: &[P], samples: &[Sample<P>]) -> String {
    let mut text = format!(
        "# {what}\n\n{sizes}. Nodes and tester share the machine (machine.txt). Figures are medians over the rounds \
         (least to greatest); the median is judged.\n"
    );
    for part in parts {
        text.push_str(&section(*part, samples));
    }
    text
}

fn section<P: Part>(part: P, samples: &[Sample<P>]) -> String {
    let of_part: Vec<_> = samples.iter().filter(|sample| sample.part == part).collect();
    let mut text = format!("\n## {part}\n\n{}\n", part.promise());
    if of_part.is_empty() {
        text.push_str("\nNot measured in this run.\n");
        return text;
    }
    text.push_str("\n| what | unit | median (min to max) | target | verdict |\n|---|---|---|---|---|\n");
    let mut told: Vec<&str> = Vec::new();
    for sample in &of_part {
        if !told.contains(&&*sample.what) {
            told.push(&sample.what);
            let same: Vec<_> = of_part.iter().filter(|other| other.what == sample.what).copied().collect();
            text.push_str(&row(sample, &same));
        }
    }
    for sample in of_part {
        if let Some(reason) = &sample.invalid {
            text.push_str(&format!("\n**INVALID: {}, in round {}: {reason}.**\n", sample.what, sample.round));
        }
    }
    text
}

/// A table's row for a figure in all its rounds.
fn row<P>(sample: &Sample<P>, same: &[&Sample<P>]) -> String {
    let Some(spread) = Spread::of(same.iter().map(|sample| sample.value).collect()) else {
        return String::new();
    };
    let (what, unit) = (&sample.what, sample.unit);
    let [median, min, max] = [spread.median, spread.min, spread.max].map(number);
    let target = sample.target.map_or_else(|| "–".to_owned(), |target| target.to_string());
    let verdict = match sample.target {
        _ if same.iter().any(|sample| sample.invalid.is_some()) => "**invalid**",
        None => "–",
        Some(target) if target.is_met_by(spread.median) => "met",
        Some(_) => "**missed**",
    };
    format!("| {what} | {unit} | {median} ({min} to {max}) | {target} | {verdict} |\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{repair::Part, rounds::Figure};

    fn sample(round: u32, value: f64, invalid: Option<&str>) -> Sample<Part> {
        let figure = Figure::new("updates", "k/s", value).at_least(1_200.0);
        Sample::new(round, Part::Link, figure.invalid_if(invalid.map(str::to_owned)))
    }

    #[test]
    fn the_median_is_judged() {
        let met = section(
            Part::Link,
            &[sample(1, 900.0, None), sample(2, 1_300.0, None), sample(3, 1_201.0, None)],
        );
        assert!(met.contains("| updates | k/s | 1201 (900 to 1300) | ≥ 1200 | met |"), "{met}");
        let missed = section(Part::Link, &[sample(1, 1_199.0, None)]);
        assert!(missed.contains("| **missed** |"), "{missed}");
    }

    #[test]
    fn what_does_not_count_is_said_to() {
        let text = section(Part::Link, &[sample(1, 1_300.0, None), sample(2, 1_300.0, Some("it rained"))]);
        assert!(text.contains("| **invalid** |"), "{text}");
        assert!(text.contains("**INVALID: updates, in round 2: it rained.**"), "{text}");
        assert!(section(Part::Link, &[]).contains("Not measured"));
    }
}
