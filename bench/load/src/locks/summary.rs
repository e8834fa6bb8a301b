//! The summary of a run, as Markdown: pure text from samples, so that a test can read it.

use super::{Behind, Locks, part};
use crate::{
    rounds::{
        Sample, number,
        table::{Column, objections, reach, table},
    },
    statistics::Sorted,
};

const ABOUT: &str = "The store is the node's own, of 256 shards with 256 leaves each. Before it stand so many locks, each \
                     for an equal part of the shards; whoever has one meets nobody at a shard's own, which costs the same \
                     in every row. In the last row the shards' own locks stand alone. A thread does what a session does \
                     for a line, less its socket, log and neighbours, under the node's scheduling policy.";

const COLUMNS: [Column; 6] = [
    ("updates k/s", "updates", |found| reach(found, 1.0, 0)),
    ("of 256 locks", "ratio", |found| reach(found, 1.0, 2)),
    ("CPU µs a line", "cpu", median),
    ("blocked, a 1000 lines", "blocked", median),
    ("interrupted, a 1000 lines", "interrupted", median),
    ("met locked, a 1000 lines", "met locked", median),
];

/// The whole document, a section for each number of threads.
pub(super) fn render(locks: &Locks, samples: &[Sample<String>], notes: &str) -> String {
    let Locks { what, rounds, clients, reads, .. } = locks;
    let seconds = locks.seconds.as_secs_f64();
    let mut text = format!(
        "# {what}\n\n{rounds} rounds, {seconds} s a trial, {clients} clients, {reads} of 100 lines ask for one. {ABOUT} \
         Figures are medians over the rounds, with (lower to upper quartile) of updates and of ratios, which are taken within a \
         round.\n{notes}"
    );
    for &threads in &locks.threads {
        let part = part(threads);
        let of_part: Vec<_> = samples.iter().filter(|sample| sample.part == part).collect();
        text.push_str(&section(&part, &locks.behind(), &of_part));
    }
    text.push_str(HOW_TO_READ);
    text
}

const HOW_TO_READ: &str = "
## How to read this

- Blocked counts voluntary context switches: a thread slept until a lock came free. Before it sleeps it looks again and
  yields some ten times, and yields count as interrupted, as do turns that end.
- Met locked is the share of lines that found their lock taken when they came to it; of the shards' own it is not known.
- Threads beyond the machine's processors (machine.txt) meet at a lock mostly where its holder's turn ends while it holds it.
";

fn section(part: &str, behind: &[Behind], samples: &[&Sample<String>]) -> String {
    let names: Vec<_> = behind.iter().map(Behind::to_string).collect();
    let told = table("behind", &names, &COLUMNS, samples);
    format!("\n## {part}\n{told}{}", objections(&names, "updates", samples))
}

fn median(found: &Sorted) -> String {
    number(found.median())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::rounds::Figure;

    fn sample(round: u32, behind: Behind, what: &str, value: f64, invalid: Option<&str>) -> Sample<String> {
        let figure = Figure::new(what, "", value).of(&behind.to_string(), Value::Null);
        Sample::new(round, "T=8".to_owned(), figure.invalid_if(invalid.map(str::to_owned)))
    }

    #[test]
    fn a_row_tells_medians_and_leaves_out_what_does_not_count() {
        let one = Behind::Gates(1);
        let samples = [
            sample(1, one, "updates", 900.0, None),
            sample(2, one, "updates", 1_100.0, None),
            sample(3, one, "updates", 5_000.0, Some("it rained")),
            sample(1, one, "ratio", 0.25, None),
            sample(1, Behind::Own, "updates", 4_000.0, None),
        ];
        let text = section("T=8", &[one, Behind::Own], &samples.iter().collect::<Vec<_>>());
        assert!(
            text.contains("| 1 lock | 1000 (950 to 1050) | 0.25 (0.25 to 0.25) | – | – | – | – |\n"),
            "{text}"
        );
        assert!(text.contains("| shards' own | 4000 (4000 to 4000) | – | – | – | – | – |\n"), "{text}");
        assert!(text.contains("**INVALID: 1 lock, in round 3: it rained.**"), "{text}");
    }
}
