//! The summary of a run, as Markdown: pure text from samples, so that a test can read it.

use std::fmt::Display;

use super::{Judgement, Part, Sample, sample::number, table::none};
use crate::{
    disturbance::{Disturbance, Limits},
    statistics::Sorted,
    words::distinct,
};

/// The whole document, a section for each of the parts; `sizes` says how much of everything there was.
pub(super) fn render<P: Part>(
    what: &str,
    sizes: &str,
    notes: &str,
    parts: &[P],
    samples: &[Sample<P>],
) -> String {
    let mut text = format!(
        "# {what}\n\n{sizes}. Nodes and tester share the machine (machine.txt). Figures are medians over the rounds \
         (lower to upper quartile). {BETWEEN}\n{notes}"
    );
    for part in parts {
        text.push_str(&section(*part, samples));
    }
    text
}

/// What intervals and verdicts mean.
pub(crate) const BETWEEN: &str = "Between are the bounds of the true median, found from the order of the rounds alone \
    (the sign test), with 95 % or more where there are six rounds; of fewer it is their range. A target is met or missed \
    if all between them meets or misses it, with the level beside it where that is less; otherwise it is not decided, as \
    with a single round.";

/// What a reader must know of all samples: whether the run is whole, and which of them were disturbed.
pub(crate) fn notes<P: Display>(samples: &[Sample<P>], limits: &Limits, interrupted: bool) -> String {
    let mut text = String::new();
    if interrupted {
        text.push_str("\n**INTERRUPTED: this is what had been measured until then.**\n");
    }
    // All figures of a sample have the same disturbance.
    let mut seen = distinct(samples.iter().filter_map(|sample| {
        let server = sample.server.as_ref().map_or_else(String::new, |server| format!(", {server}"));
        Some((format!("{}{server}", sample.part), sample.round, sample.disturbance?))
    }));
    if seen.is_empty() {
        return text;
    }
    let all = seen.len();
    let Limits { max_steal, max_foreign, tries } = limits;
    let stolen = seen.iter().filter(|(.., seen)| seen.steal > *max_steal).count();
    let worst = seen.iter().map(|(.., seen)| seen.steal * 100.0).fold(0.0, f64::max);
    seen.retain(|(.., disturbance)| disturbance.disturbed);
    let [steal, foreign] = [max_steal, max_foreign].map(|share| share * 100.0);
    text.push_str(&format!(
        "\n{} of {all} samples were disturbed, even the best of {tries} tries: the host took more than {steal} % of the \
         machine, or other processes more than {foreign} %, by more than the counts are exact to. Steal by itself was \
         above {steal} % in {stolen} of {all} samples; the worst had {worst:.1} %.\n",
        seen.len(),
    ));
    while let Some((name, ..)) = seen.first().cloned() {
        let (same, others): (Vec<_>, _) = seen.into_iter().partition(|(other, ..)| *other == name);
        seen = others;
        let rounds: Vec<_> = same.iter().map(|(_, round, _)| round.to_string()).collect();
        let most = |share: fn(&Disturbance) -> f64| {
            same.iter().map(|(.., disturbance)| share(disturbance) * 100.0).fold(0.0, f64::max)
        };
        let (host, others) = (most(|seen| seen.steal), most(|seen| seen.foreign));
        text.push_str(&format!(
            "\n**DISTURBED: {name}, in round {}: host up to {host:.1} %, others up to {others:.1} %.**\n",
            rounds.join(", ")
        ));
    }
    text
}

/// Whether any figure is not what it should be.
pub(super) fn misses<P: PartialEq>(samples: &[Sample<P>]) -> bool {
    samples.iter().any(|sample| {
        let of_part: Vec<_> = samples.iter().filter(|other| other.part == sample.part).collect();
        judge(sample, &of_part) == Some(Judgement::Missed)
    })
}

/// The rounds of a figure that count.
fn found<P>(sample: &Sample<P>, of_part: &[&Sample<P>]) -> Option<Sorted> {
    let same = of_part.iter().filter(|other| other.what == sample.what && other.invalid.is_none());
    Sorted::of(same.map(|other| other.value).collect())
}

/// By all rounds of a figure, if it has a target and the whole part counts: where a part failed, the figure is not there.
fn judge<P>(sample: &Sample<P>, of_part: &[&Sample<P>]) -> Option<Judgement> {
    let counts = of_part.iter().all(|sample| sample.invalid.is_none());
    let target = sample.target.filter(|_| counts)?;
    Some(target.judge(&found(sample, of_part)?.interval()))
}

fn section<P: Part>(part: P, samples: &[Sample<P>]) -> String {
    let of_part: Vec<_> = samples.iter().filter(|sample| sample.part == part).collect();
    let mut text = format!("\n## {part}\n\n{}\n", part.promise());
    if of_part.is_empty() {
        text.push_str("\nNot measured in this run.\n");
        return text;
    }
    text.push_str(
        "\n| what | unit | median (quartiles) | between | target | verdict |\n|---|---|---|---|---|---|\n",
    );
    for what in distinct(of_part.iter().map(|sample| &*sample.what)) {
        text.extend(of_part.iter().find(|sample| sample.what == what).map(|sample| row(sample, &of_part)));
    }
    for sample in of_part {
        if let Some(reason) = &sample.invalid {
            text.push_str(&format!("\n**INVALID: {}, in round {}: {reason}.**\n", sample.what, sample.round));
        }
    }
    text
}

/// A table's row for a figure in all its rounds.
fn row<P>(sample: &Sample<P>, of_part: &[&Sample<P>]) -> String {
    let Sample { what, unit, target, .. } = sample;
    let target = target.map_or_else(none, |target| target.to_string());
    let found = found(sample, of_part);
    let verdict = match (judge(sample, of_part), &found) {
        (Some(judgement), Some(found)) => judgement.told(&found.interval()),
        _ if of_part.iter().any(|sample| sample.invalid.is_some()) => "**invalid**".to_owned(),
        _ => none(),
    };
    let cells = |found: Sorted| {
        let [low, median, high] = found.quartiles().map(number);
        let between = found.interval();
        let [least, most] = [between.low, between.high].map(number);
        format!("{median} ({low} to {high}) | {least} to {most}")
    };
    let cells = found.map_or_else(|| "– | –".to_owned(), cells);
    format!("| {what} | {unit} | {cells} | {target} | {verdict} |\n")
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use serde::Serialize;

    use super::*;
    use crate::rounds::Figure;

    #[derive(Clone, Copy, Debug, PartialEq, Serialize)]
    struct Solo;

    impl Display for Solo {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("solo")
        }
    }

    impl Part for Solo {
        const COMMAND: &'static str = "solo";

        fn promise(self) -> &'static str {
            "It is fast."
        }
    }

    fn sample(round: u32, value: f64, invalid: Option<&str>) -> Sample<Solo> {
        let figure = Figure::new("updates", "k/s", value).at_least(1_200.0);
        Sample::new(round, Solo, figure.invalid_if(invalid.map(str::to_owned)))
    }

    #[test]
    fn what_lies_between_is_judged() {
        let of = |values: &[f64]| {
            let rounds: Vec<_> =
                (1..).zip(values).map(|(round, value)| sample(round, *value, None)).collect();
            (section(Solo, &rounds), misses(&rounds))
        };
        let (met, misses) = of(&[1_900.0, 1_300.0, 1_201.0]);
        assert!(
            met.contains("| updates | k/s | 1300 (1250 to 1600) | 1201 to 1900 | ≥ 1200 | met (75 %) |"),
            "{met}"
        );
        assert!(!misses);
        let (open, misses) = of(&[900.0, 1_300.0, 1_201.0]);
        assert!(open.contains("| not decided |") && !misses, "{open}");
        let (missed, misses) = of(&[1_199.0, 1_100.0]);
        assert!(missed.contains("| **missed** (50 %) |") && misses, "{missed}");
        let (single, misses) = of(&[1_199.0]);
        assert!(single.contains("| not decided |") && !misses, "{single}");
    }

    #[test]
    fn disturbed_samples_are_counted_and_named_once() {
        let seen = Disturbance { steal: 0.12, foreign: 0.3, disturbed: true, ..Disturbance::default() };
        let calm = Disturbance { disturbed: false, steal: 0.01, ..seen };
        let amid = |round, seen| Sample { disturbance: Some(seen), ..sample(round, 1.0, None) };
        let other = Sample { what: "other".to_owned(), ..amid(2, seen) };
        let worse = Disturbance { steal: 0.4, ..seen };
        let samples = [amid(1, calm), amid(2, seen), other, amid(4, worse)];
        let text = notes(&samples, &Limits::default(), false);
        assert!(text.contains("\n2 of 3 samples were disturbed, even the best of 3 tries: "), "{text}");
        let stolen = "Steal by itself was above 2 % in 2 of 3 samples; the worst had 40.0 %.";
        assert!(text.contains(stolen), "{text}");
        let told = "**DISTURBED: solo, in round 2, 4: host up to 40.0 %, others up to 30.0 %.**";
        assert!(text.matches("DISTURBED").count() == 1 && text.contains(told), "{text}");
        assert!(notes(&samples, &Limits::default(), true).contains("INTERRUPTED"));
    }

    #[test]
    fn what_does_not_count_is_said_to() {
        let text = section(Solo, &[sample(1, 1_300.0, None), sample(2, 9.0, Some("it rained"))]);
        let left = "| 1300 (1300 to 1300) | 1300 to 1300 | ≥ 1200 | **invalid** |";
        assert!(text.contains(left), "{text}");
        assert!(text.contains("**INVALID: updates, in round 2: it rained.**"), "{text}");
        let text = section(Solo, &[sample(1, 9.0, Some("it rained"))]);
        assert!(text.contains("| updates | k/s | – | – | ≥ 1200 | **invalid** |"), "{text}");
        assert!(section(Solo, &[]).contains("Not measured"));
    }

    #[test]
    fn a_part_that_failed_in_a_round_is_not_judged_by_the_others() {
        let failed = Sample { what: "finished".to_owned(), target: None, ..sample(3, 0.0, Some("late")) };
        let rounds = [sample(1, 900.0, None), sample(2, 800.0, None), failed];
        let text = section(Solo, &rounds);
        assert!(text.contains("| ≥ 1200 | **invalid** |") && !misses(&rounds), "{text}");
    }
}
