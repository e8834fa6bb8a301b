//! The summary of a sweep, as Markdown: pure text from the plan and the samples, so that a test can read it.

use super::{bed::Missing, plan::Plan, point::Point, share::Share, target::Wanted};
use crate::{
    disturbance::Limits,
    rounds::{
        Judgement, Sample, number,
        summary::{BETWEEN, notes},
        table::{Column, cell, counted, found, none, objections, reach, table},
    },
    statistics::Sorted,
    words,
};

type Samples<'a> = &'a [Sample<String>];

const AFTER_RATIO: [Column; 6] = [
    ("p50 µs", "service p50", |found| format!("{:.0}", found.median())),
    ("p99 µs", "service p99", |found| format!("{:.0}", found.median())),
    ("CPU µs/req", "cpu", |found| format!("{:.2}", found.median())),
    ("client CPU µs/req", "client cpu", |found| format!("{:.2}", found.median())),
    ("switches/req", "switches", |found| format!("{:.2}", found.median())),
    ("RSS under load MiB", "rss under load", mebibytes),
];
/// Only those that a point has values for.
const BESIDE: [Column; 13] = [
    ("response p50 µs", "response p50", |found| format!("{:.0}", found.median())),
    ("response p90 µs", "response p90", |found| format!("{:.0}", found.median())),
    ("response p99 µs", "response p99", |found| format!("{:.0}", found.median())),
    ("response p99.9 µs", "response p99.9", |found| format!("{:.0}", found.median())),
    ("worst response µs", "response max", |found| format!("{:.0}", found.greatest())),
    ("longest pause µs", "pause max", |found| format!("{:.0}", found.greatest())),
    ("pauses", "pauses", |found| reach(found, 1.0, 0)),
    ("all pauses µs", "pause total", |found| reach(found, 1.0, 0)),
    ("RSS at rest MiB", "rss at rest", mebibytes),
    ("bytes a connection at rest", "rss a connection", |found| reach(found, 1.0, 0)),
    ("bytes a client", "rss a client", |found| reach(found, 1.0, 0)),
    ("all accepted, s", "accept all", |found| reach(found, 1.0, 3)),
    ("in step after, s", "in step", |found| reach(found, 1.0, 3)),
];

/// The whole document.
pub(super) fn render(
    plan: &Plan,
    missing: &[Missing],
    samples: Samples<'_>,
    limits: &Limits,
    interrupted: bool,
) -> String {
    let mut text = format!("# {}\n\nRounds: {}. Seed: {}.\n", plan.what, plan.rounds, plan.seed);
    for Missing { server, reason } in missing {
        text.push_str(&format!("\n**SKIPPED: {server}: {reason}.**\n"));
    }
    text.push_str(&notes(samples, limits, interrupted));
    for point in &plan.points {
        text.push_str(&section(point, plan.rounds, samples));
    }
    text.push_str(&targets(plan, samples));
    text.push_str(HOW_TO_READ);
    text.push_str(&format!("- {BETWEEN}\n"));
    text
}

/// Whether any target is missed.
pub(super) fn misses(plan: &Plan, samples: Samples<'_>) -> bool {
    plan.targets
        .iter()
        .any(|wanted| judge(wanted, samples, &plan.what_of(wanted)).1 == Some(Judgement::Missed))
}

const HOW_TO_READ: &str = "
## How to read this

- Figures are medians over the rounds, with (lower to upper quartile), but the worst response and the longest pause are
  the greatest of all rounds; what does not count is left out of them. Client and servers share the machine
  (machine.txt), so ratios carry over to other machines rather than rates. A ratio is taken within each round, shown with
  the bounds between which its median lies; a round is won with a ratio above 1.
- Each round starts each server afresh in a process of its own and reports every client once before measuring. The servers
  of a point run side by side and take turns, in an order that is random in each turn, unless it says that each runs alone.
- A turn that was disturbed, given up, or cut off by `grace` was taken again, and the least disturbed of its tries counts,
  one that went to its end before others; a sample with a turn that never did does not count. What others used is what
  the machine's processors did, less what tester and servers used; all of it is counted in hundredths of a second.
- Before each turn of a server with a log, 256 MiB beside it are written and removed, so that its log finds memory in the
  same state whatever ran before.
- Service times are those of the requests that were made: in a closed loop a slow server is asked less often. Response
  times count from the moment a request was planned for.
- Where the client was saturated, its one thread was the limit and the rate is a lower bound: so is a ratio to another
  server, and a ratio of another server to this one is an upper bound.
- CPU and context switches are those of the server's own process over the measured turns with their warm-up, for each
  request; the client's is that of its one thread. CPU time is told in hundredths of a second.
- A connection's bytes are what the resident memory grew by while all of them were open and silent; a client's what it
  had grown by after the prefill, whose connections were closed. All are accepted once a request on one more connection
  behind them is answered.
- Pauses are those that a server's memory management tells in its own log, of the turns that count, without their warm-up. A
  worst response of the longest one's length may be its doing; one far beyond it has another cause.
- A herd is in step once every node knows of a last report at each node. What a full outbox dropped, and a node repairs
  later, this does not show.
";

fn section(point: &Point, rounds: u32, samples: Samples<'_>) -> String {
    let of_point: Vec<_> = samples.iter().filter(|sample| sample.part == point.name).collect();
    let mut text = format!("\n## {}\n\n{}\n", point.name, told(point, rounds));
    if of_point.is_empty() {
        text.push_str("\nNot measured in this run.\n");
        return text;
    }
    text.push_str(&rates(point, &of_point));
    text.push_str(&beside(point, &of_point));
    text.push_str(&hops(point, &of_point));
    text.push_str(&objections(&point.servers, "rate", &of_point));
    text
}

/// The load, in words.
fn told(point: &Point, rounds: u32) -> String {
    let herd = match point.graph.nodes {
        1 if point.together => "The servers take turns, side by side".to_owned(),
        1 => "Each server runs alone".to_owned(),
        nodes => format!("Each herd of {nodes} linked nodes runs alone, with reports at all nodes at once"),
    };
    let (seconds, warmup) = (point.seconds.as_secs_f64(), point.warmup().as_secs_f64());
    let few = (point.rounds < rounds).then(|| format!(" Only in the first {} rounds.", point.rounds));
    let share = point.share.as_ref().map(|Share { point, share }| {
        format!(" Requests have times, at {share} of the rate that the same server had at {point} in the same round.")
    });
    format!(
        "{herd}: {} clients, {seconds} s in {}, {warmup} s of warm-up.{}{}",
        point.clients(),
        words::counted(point.turns.into(), "turn"),
        share.unwrap_or_default(),
        few.unwrap_or_default()
    )
}

fn rates(point: &Point, samples: &[&Sample<String>]) -> String {
    let baseline = point.baseline.as_ref().filter(|baseline| point.servers.contains(baseline));
    let of = baseline.map_or_else(String::new, |baseline| format!(" of {baseline}, between | rounds won |"));
    let heads: String = AFTER_RATIO.iter().map(|(head, ..)| format!(" {head} |")).collect();
    let rules = "---|".repeat(AFTER_RATIO.len() + 3 + 2 * usize::from(baseline.is_some()));
    let mut text = format!("\n| server | k/s |{of}{heads} client saturated |\n|{rules}\n");
    for server in &point.servers {
        let rate = found(samples, server, "rate").map_or_else(none, |rate| reach(&rate, 1e-3, 1));
        let ratio = match baseline {
            None => String::new(),
            Some(baseline) if baseline == server => format!(" 1 | {} |", none()),
            Some(_) => ratio(samples, server),
        };
        let cells: String = AFTER_RATIO.iter().map(|column| cell(samples, server, column)).collect();
        text.push_str(&format!("| {server} | {rate} |{ratio}{cells} {} |\n", saturated(samples, server)));
    }
    text
}

/// Two cells: the ratio to the baseline, and how many rounds are won against it.
fn ratio(samples: &[&Sample<String>], server: &str) -> String {
    let ratios = counted(samples.iter().copied(), server, "ratio");
    let values: Vec<f64> = ratios.map(|sample| sample.value).collect();
    let (won, all) = (values.iter().filter(|ratio| **ratio > 1.0).count(), values.len());
    Sorted::of(values).map_or_else(
        || format!(" {0} | {0} |", none()),
        |found| format!(" {:.2} ({}) | {won} of {all} |", found.median(), between(&found)),
    )
}

fn beside(point: &Point, samples: &[&Sample<String>]) -> String {
    let is_there =
        |(_, what, _): &&Column| point.servers.iter().any(|server| found(samples, server, what).is_some());
    let columns: Vec<_> = BESIDE.iter().filter(is_there).copied().collect();
    if columns.is_empty() { String::new() } else { table("server", &point.servers, &columns, samples) }
}

/// How long a report takes to a node so many links away, if that was timed.
fn hops(point: &Point, samples: &[&Sample<String>]) -> String {
    let hop = |sample: &&Sample<String>| sample.at["hops"].as_u64().filter(|_| sample.what == "hop p50");
    let Some(farthest) = samples.iter().filter_map(hop).max() else { return String::new() };
    let heads: String = (1..=farthest).map(|hops| format!(" {hops} |")).collect();
    let rules = "---|".repeat(farthest as usize + 1);
    let mut text = format!("\n| links to the node: µs until it knows, p50 |{heads}\n|{rules}\n");
    for server in &point.servers {
        let at = |distance: u64| {
            let hops = counted(samples.iter().copied(), server, "hop p50");
            let values = hops.filter(|sample| hop(sample) == Some(distance)).map(|sample| sample.value);
            let found = Sorted::of(values.collect());
            format!(" {} |", found.map_or_else(none, |found| reach(&found, 1.0, 0)))
        };
        let cells: String = (1..=farthest).map(at).collect();
        text.push_str(&format!("| {server} |{cells}\n"));
    }
    text
}

/// In how many rounds the client was the limit.
fn saturated(samples: &[&Sample<String>], server: &str) -> String {
    let rates: Vec<_> = counted(samples.iter().copied(), server, "rate").collect();
    let is_saturated = |sample: &&&Sample<String>| sample.detail["outcome"]["client"]["saturated"] == true;
    match (rates.iter().filter(is_saturated).count(), rates.len()) {
        (_, 0) => none(),
        (0, _) => "no".to_owned(),
        (some, all) => format!("in {some} of {all} rounds: a lower bound"),
    }
}

fn targets(plan: &Plan, samples: Samples<'_>) -> String {
    let mut text = "\n## Targets\n".to_owned();
    if plan.targets.is_empty() {
        text.push_str("\nNone that this run could meet.\n");
        return text;
    }
    text.push_str(
        "\n| point | server | figure | target | median (between) | verdict |\n|---|---|---|---|---|---|\n",
    );
    for wanted in &plan.targets {
        text.push_str(&row(wanted, samples, &plan.what_of(wanted)));
    }
    text
}

/// What was found of a target's figure, and what that comes to if it has a bound and all samples count.
fn judge(wanted: &Wanted, samples: Samples<'_>, what: &str) -> (Option<Sorted>, Option<Judgement>) {
    let of_point: Vec<_> = samples.iter().filter(|sample| sample.part == wanted.point).collect();
    let found = found(&of_point, &wanted.server, what);
    let judgement = found.as_ref().zip(wanted.target).map(|(found, target)| target.judge(&found.interval()));
    (found, judgement.filter(|_| !is_invalid(wanted, samples)))
}

fn is_invalid(wanted: &Wanted, samples: Samples<'_>) -> bool {
    wanted.places().any(|(point, server)| {
        let mut of_place =
            samples.iter().filter(|sample| sample.part == point && sample.server.as_deref() == Some(server));
        of_place.any(|sample| sample.invalid.is_some())
    })
}

fn row(wanted: &Wanted, samples: Samples<'_>, what: &str) -> String {
    let Wanted { point, server, figure, of, target } = wanted;
    let (found, judgement) = judge(wanted, samples, what);
    let verdict = match (&found, judgement) {
        _ if is_invalid(wanted, samples) => "**invalid**".to_owned(),
        (Some(found), Some(judgement)) => judgement.told(&found.interval()),
        (None, _) => "not measured".to_owned(),
        (Some(_), None) => "stated".to_owned(),
    };
    let of = of.as_ref().map_or_else(String::new, |base| {
        let at = if base.point == *point { String::new() } else { format!(" at {}", base.point) };
        format!(" of {}{at}", base.server)
    });
    let target = target.map_or_else(none, |target| target.to_string());
    let found = found.map_or_else(none, |found| format!("{} ({})", number(found.median()), between(&found)));
    format!("| {point} | {server} | {figure}{of} | {target} | {found} | {verdict} |\n")
}

/// The bounds between which the true median lies.
fn between(found: &Sorted) -> String {
    let interval = found.interval();
    let [low, high] = [interval.low, interval.high].map(number);
    format!("{low} to {high}")
}

fn mebibytes(found: &Sorted) -> String {
    format!("{:.1}", found.median() / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        outcome::{Client, Outcome},
        rounds::Figure,
        sweep::{choice::Choice, ratios},
    };

    const PLAN: &str = r#"
        what = "trial"
        rounds = 3
        seconds = 2
        clients = 1000
        baseline = "echo"
        target = [
            { point = "C=50 P=1", server = "node", figure = "rate", of = "echo", at_least = 0.9 },
            { point = "C=50 P=1", server = "node", figure = "cpu", of = "echo", at_most = 1.5 },
            { point = "C=50 P=1", server = "node", figure = "rss a client", at_most = 110 },
            { point = "C=50 P=1", server = "java", figure = "rate", of = "echo", at_least = 0.1 },
            { point = "C=9 P=1", server = "node", figure = "rate", of_point = "C=50 P=1" },
        ]
        [[server]]
        name = "echo"
        command = ["x"]
        [[server]]
        name = "node"
        command = ["y"]
        [[server]]
        name = "java"
        command = ["z"]
        [[point]]
        connections = 50
        pipeline = 1
        [[point]]
        connections = 9
        pipeline = 1
        servers = ["node"]
    "#;

    fn plan() -> Plan {
        Plan::parse("p.toml", PLAN, ".".as_ref(), &Choice::default()).unwrap()
    }

    fn rendered(plan: &Plan, samples: Samples<'_>) -> String {
        render(plan, &[], samples, &Limits::default(), false)
    }

    fn sample(round: u32, server: &str, what: &str, value: f64) -> Sample<String> {
        let figure = Figure::new(what, "", value).of(server, json!({}));
        Sample::new(round, "C=50 P=1".to_owned(), figure)
    }

    fn with_ratios(plan: &Plan, mut samples: Vec<Sample<String>>) -> Vec<Sample<String>> {
        for round in 1..=plan.rounds {
            let ratios = ratios::of_round(plan, round, &samples);
            samples.extend(ratios.into_iter().map(|(part, figure)| Sample::new(round, part, figure)));
        }
        samples
    }

    fn row<'a>(text: &'a str, start: &str) -> &'a str {
        text.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start} in {text}"))
    }

    #[test]
    fn ratios_are_taken_within_a_round_and_judged_by_their_median() {
        let plan = plan();
        let samples = vec![
            sample(1, "echo", "rate", 100_000.0),
            sample(1, "node", "rate", 95_000.0),
            // A slow round, for both.
            sample(2, "node", "rate", 46_000.0),
            sample(2, "echo", "rate", 50_000.0),
            // A round without its base says nothing of it.
            sample(3, "node", "rate", 99_000.0),
            sample(1, "echo", "cpu", 5.0),
            sample(1, "node", "cpu", 8.0),
            sample(2, "echo", "cpu", 5.0),
            sample(2, "node", "cpu", 8.0),
            sample(1, "node", "rss a client", 110.0),
            sample(1, "node", "response max", 9.0),
            sample(2, "node", "response max", 700.0),
            sample(3, "node", "response max", 8.0),
        ];
        let samples = with_ratios(&plan, samples);
        assert_eq!(samples.iter().filter(|sample| sample.what == "ratio").count(), 2);
        let text = rendered(&plan, &samples);
        assert!(
            row(&text, "| node |")
                .starts_with("| node | 95.0 (70.5 to 97.0) | 0.94 (0.92 to 0.95) | 0 of 2 |"),
            "{text}"
        );
        assert!(row(&text, "| echo |").contains("| 1 | – |"), "{text}");
        assert!(misses(&plan, &samples), "the CPU");
        let judged = |figure: &str| row(&text, &format!("| C=50 P=1 | node | {figure} |"));
        assert_eq!(
            judged("rate of echo"),
            "| C=50 P=1 | node | rate of echo | ≥ 0.9 | 0.94 (0.92 to 0.95) | met (50 %) |"
        );
        assert!(
            judged("cpu of echo").ends_with("| ≤ 1.5 | 1.60 (1.60 to 1.60) | **missed** (50 %) |"),
            "{text}"
        );
        assert!(judged("rss a client").ends_with("| not decided |"), "one round: {text}");
        assert!(text.contains("| worst response µs |") && text.contains("\n| node | 700 |"), "{text}");
        assert!(row(&text, "| C=50 P=1 | java |").ends_with("| – | not measured |"), "{text}");
        assert!(text.contains("| C=9 P=1 | node | rate of node at C=50 P=1 |"), "{text}");
        assert!(text.contains("## C=9 P=1\n") && text.contains("Not measured in this run."), "{text}");
        assert!(!text.contains("INVALID"));
    }

    #[test]
    fn a_ratio_across_points_is_of_the_same_round() {
        let plan = plan();
        let other = Sample { part: "C=9 P=1".to_owned(), ..sample(1, "node", "rate", 20_000.0) };
        let samples = with_ratios(&plan, vec![sample(1, "node", "rate", 40_000.0), other]);
        let ratio = samples.iter().find(|sample| sample.what == "rate of node at C=50 P=1").unwrap();
        assert!((ratio.value - 0.5).abs() < 1e-9 && ratio.part == "C=9 P=1", "{ratio:?}");
    }

    #[test]
    fn what_does_not_count_is_said_left_out_and_not_judged() {
        let plan = plan();
        let invalid =
            Sample { invalid: Some("3 wrong replies".to_owned()), ..sample(2, "node", "rate", 1.0) };
        let samples = vec![
            sample(1, "echo", "rate", 1e5),
            sample(1, "node", "rate", 99_000.0),
            sample(2, "echo", "rate", 1e5),
            invalid,
        ];
        let samples = with_ratios(&plan, samples);
        let text = rendered(&plan, &samples);
        assert!(
            row(&text, "| node |")
                .starts_with("| node | 99.0 (99.0 to 99.0) | 0.99 (0.99 to 0.99) | 0 of 1 |")
        );
        assert!(!misses(&plan, &samples));
        assert!(text.contains("**INVALID: node, in round 2: 3 wrong replies.**"), "{text}");
        assert!(row(&text, "| C=50 P=1 | node | rate of echo |").ends_with("| **invalid** |"), "{text}");
    }

    #[test]
    fn each_distance_has_a_column_of_hops() {
        let plan = plan();
        let rate = sample(1, "echo", "rate", 1e5);
        assert!(!rendered(&plan, std::slice::from_ref(&rate)).contains("links to the node"));
        let hop = |round, hops, value| {
            let figure = Figure::new("hop p50", "µs", value).after_hops(hops).of("echo", json!({}));
            Sample::new(round, "C=50 P=1".to_owned(), figure)
        };
        let samples = [rate, hop(1, 1, 50.0), hop(2, 1, 70.0), hop(3, 1, 60.0), hop(1, 3, 150.0)];
        let text = rendered(&plan, &samples);
        assert!(
            text.contains("| links to the node: µs until it knows, p50 | 1 | 2 | 3 |\n|---|---|---|---|\n"),
            "{text}"
        );
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| echo |")).collect();
        assert_eq!(rows[1], "| echo | 60 (55 to 65) | – | 150 (150 to 150) |", "{text}");
    }

    #[test]
    fn where_the_client_was_the_limit_the_rate_is_a_lower_bound() {
        let plan = plan();
        let mut busy = sample(1, "echo", "rate", 1e5);
        let client = Client { saturated: true, ..Client::default() };
        busy.detail = json!({ "outcome": Outcome { client, ..Outcome::default() } });
        let text = rendered(&plan, &[busy, sample(2, "echo", "rate", 1e5)]);
        assert!(row(&text, "| echo |").ends_with("| in 1 of 2 rounds: a lower bound |"), "{text}");
    }

    #[test]
    fn what_was_left_out_is_told() {
        let missing =
            Missing { server: "java".to_owned(), reason: "the program java is not there".to_owned() };
        let text = render(&plan(), &[missing], &[], &Limits::default(), false);
        assert!(text.contains("**SKIPPED: java: the program java is not there.**"), "{text}");
    }
}
