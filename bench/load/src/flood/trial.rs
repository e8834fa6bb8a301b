//! One trial of a rate: what was seen of its markers, and whether the herd kept up.

use std::{fmt, time::Duration};

use super::{figure::Figure, probe::Seen};
use crate::clock::nanoseconds;
use crate::{outcome::microseconds, statistics::Better};

/// The number of parts that a trial is divided into to see whether a node's lag grows.
const PARTS: u32 = 4;
/// A lag that grows steadily must have grown by this factor, or it is noise.
const GROWTH: u64 = 2;
/// And by this share of what counts as behind.
const GROWTH_SHARE: u64 = 10;
/// A load that reaches less of its rate than this was not accepted by the servers, or not made by the tester.
const RATE_REACHED: f64 = 0.95;

/// A marker of a trial.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// When its report was written, from the beginning of the trial, in nanoseconds.
    pub(super) at_ns: u64,
    /// Until it was known, by node, in nanoseconds; none where that took too long.
    pub(super) known_ns: Vec<Option<u64>>,
}

impl Sample {
    pub(super) fn new(at_ns: u64, seen: &[Option<Seen>]) -> Self {
        Self { at_ns, known_ns: seen.iter().map(|seen| seen.map(|seen| seen.answered_ns)).collect() }
    }
}

/// The result of a trial's load.
#[derive(Clone, Debug, Default)]
pub struct Pushed {
    /// Reports that were answered, a second.
    pub rate: f64,
    /// Answers that were not what they had to be.
    pub wrong: u64,
    /// The first of those.
    pub first_wrong: Option<String>,
    /// Whether the tester used up its core for it.
    pub is_saturated: bool,
}

/// How far behind a node was in a trial.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeLag {
    /// As it was named.
    pub server: String,
    /// The longest until a report was known, in microseconds; `None` if one was not known in time.
    pub worst_us: Option<f64>,
    /// The median of those made in the last quarter, in microseconds; `None` if that one was not known in time.
    pub end_us: Option<f64>,
}

/// One trial.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Which, from 1.
    pub number: u32,
    /// Reports a second that were to be made.
    pub asked: f64,
    /// Reports a second that were made and answered.
    pub achieved: f64,
    /// Markers that were seen.
    pub markers: u32,
    /// The nodes, in the order they were given.
    pub nodes: Vec<NodeLag>,
    /// Why the rate does not count as sustained, if it does not.
    pub failure: Option<String>,
}

impl Trial {
    /// Judges a trial that lasted `length`, where so much is `behind`.
    pub(super) fn judge(
        (number, asked): (u32, f64),
        pushed: &Pushed,
        servers: &[String],
        samples: &[Sample],
        length: Duration,
        behind: Duration,
    ) -> Self {
        let (length_ns, behind_ns) = (nanoseconds(length), nanoseconds(behind));
        let mut failure = pushed_failure(asked, pushed);
        let nodes = servers.iter().enumerate().map(|(node, server)| {
            let lags: Vec<_> = samples.iter().map(|sample| (sample.at_ns, sample.known_ns[node])).collect();
            let reason = falls_behind(&lags, length_ns, behind_ns);
            failure = failure.take().or_else(|| reason.map(|reason| format!("{server} {reason}")));
            let worst = lags.iter().map(|(_, lag)| lag.unwrap_or(u64::MAX)).max();
            NodeLag {
                server: server.clone(),
                worst_us: told(worst),
                end_us: told(at_the_end(&lags, length_ns)),
            }
        });
        let nodes = nodes.collect();
        let markers = u32::try_from(samples.len()).unwrap_or(u32::MAX);
        Self { number, asked, achieved: pushed.rate, markers, nodes, failure }
    }

    /// All of it, one figure a line.
    pub(super) fn figures(&self) -> Vec<Figure> {
        let what = |of: &str| format!("trial {} {of}", self.number);
        let rate = |of: &str, value| Figure::new("herd-load", &what(of), "/s", value, Better::More);
        let mut figures = vec![rate("asked", self.asked), rate("achieved", self.achieved)];
        let kept_up = f64::from(u8::from(self.failure.is_none()));
        let kept_up = Figure::new("every node", &what("kept up"), "", kept_up, Better::More);
        figures.push(kept_up.with(self.failure.clone()));
        for NodeLag { server, worst_us, end_us } in &self.nodes {
            let lags = [("worst", worst_us), ("end", end_us)];
            let known = lags.into_iter().filter_map(|(of, us)| us.map(|us| (of, us)));
            figures.extend(known.map(|(of, us)| Figure::new(server, &what(of), "µs", us, Better::Less)));
        }
        figures
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>9.0} asked {:>9.0} achieved  worst", self.asked, self.achieved)?;
        for NodeLag { server, worst_us, .. } in &self.nodes {
            match worst_us {
                Some(us) => write!(f, " {server} {:.1} ms,", us / 1_000.0)?,
                None => write!(f, " {server} lost,")?,
            }
        }
        match &self.failure {
            Some(failure) => write!(f, "  NOT KEPT UP: {failure}"),
            None => write!(f, "  kept up"),
        }
    }
}

/// Microseconds; `u64::MAX` stands for what was not known in time.
fn told(lag_ns: Option<u64>) -> Option<f64> {
    lag_ns.filter(|lag_ns| *lag_ns != u64::MAX).map(microseconds)
}

fn pushed_failure(asked: f64, pushed: &Pushed) -> Option<String> {
    let Pushed { rate, wrong, first_wrong, is_saturated } = pushed;
    if *wrong > 0 {
        let first = first_wrong.as_deref().unwrap_or_default();
        return Some(format!("{wrong} reports were not answered as they had to be, the first: {first:?}"));
    }
    let limit = if *is_saturated { ", the tester's core being used up" } else { "" };
    (*rate < asked * RATE_REACHED).then(|| format!("only {rate:.0} reports a second were taken{limit}"))
}

/// Why a node counts as behind, if it does: lags by the moment they begin at, in nanoseconds.
fn falls_behind(lags: &[(u64, Option<u64>)], length_ns: u64, behind_ns: u64) -> Option<String> {
    if lags.iter().any(|(_, lag)| lag.is_none()) {
        return Some("did not know of a report in time".to_owned());
    }
    let end_ns = at_the_end(lags, length_ns)?;
    if end_ns > behind_ns {
        return Some(format!("was {:.0} ms behind at the end", end_ns as f64 / 1e6));
    }
    let medians: Option<Vec<_>> = (0..PARTS).map(|part| median(in_part(lags, length_ns, part))).collect();
    let medians = medians?;
    let (first_ns, last_ns) = (*medians.first()?, *medians.last()?);
    let grows = medians.is_sorted_by(|before, after| before < after)
        && last_ns > GROWTH * first_ns
        && last_ns - first_ns > behind_ns / GROWTH_SHARE;
    let told = |ns: u64| ns as f64 / 1e6;
    grows.then(|| format!("fell behind steadily, from {:.1} to {:.1} ms", told(first_ns), told(last_ns)))
}

/// The median lag of what was made in the last part, or the last lag, where one took longer than that; `u64::MAX`
/// stands for what was not known in time.
fn at_the_end(lags: &[(u64, Option<u64>)], length_ns: u64) -> Option<u64> {
    let last = lags.last().map(|(_, lag)| lag.unwrap_or(u64::MAX));
    median(in_part(lags, length_ns, PARTS - 1)).or(last)
}

/// The lags that begin in one part of a trial; what begins after its end is of the last.
fn in_part(lags: &[(u64, Option<u64>)], length_ns: u64, part: u32) -> Vec<u64> {
    let part_of = |at_ns: u64| (at_ns / (length_ns / u64::from(PARTS)).max(1)).min(u64::from(PARTS - 1));
    let of_part = lags.iter().filter(|(at_ns, _)| part_of(*at_ns) == u64::from(part));
    of_part.map(|(_, lag)| lag.unwrap_or(u64::MAX)).collect()
}

/// The upper one of two in the middle.
fn median(mut lags: Vec<u64>) -> Option<u64> {
    lags.sort_unstable();
    lags.get(lags.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// The verdict on lags in milliseconds at so many moments in a trial of a second, where 100 is behind.
    fn reason(lags: &[(u64, u64)]) -> Option<String> {
        let lags: Vec<_> = lags.iter().map(|(at, lag)| (at * MS, Some(lag * MS))).collect();
        falls_behind(&lags, 1_000 * MS, 100 * MS)
    }

    #[test]
    fn a_node_that_is_slow_for_a_moment_keeps_up() {
        assert_eq!(reason(&[(0, 1), (300, 900), (600, 1), (800, 2), (900, 300), (950, 1)]), None);
        assert_eq!(reason(&[(0, 1), (300, 2), (600, 3), (800, 4)]), None, "too little to tell");
        assert_eq!(reason(&[]), None);
    }

    #[test]
    fn a_node_that_is_late_at_the_end_is_behind() {
        assert_eq!(reason(&[(0, 1), (900, 340)]).unwrap(), "was 340 ms behind at the end");
        // One that takes all of the last part leaves none that begins there.
        assert_eq!(reason(&[(0, 1), (600, 700)]).unwrap(), "was 700 ms behind at the end");
        assert!(reason(&[(0, 1), (1_300, 700)]).is_some(), "made as the load ended");
    }

    #[test]
    fn a_lag_that_grows_steadily_is_behind() {
        let grows = reason(&[(0, 5), (300, 20), (600, 40), (800, 60)]).unwrap();
        assert_eq!(grows, "fell behind steadily, from 5.0 to 60.0 ms");
        assert_eq!(reason(&[(0, 5), (300, 40), (600, 20), (800, 60)]), None, "up and down");
        assert_eq!(reason(&[(0, 50), (300, 60), (600, 70), (800, 80)]), None, "it does not double");
    }

    #[test]
    fn a_report_that_is_not_known_in_time_is_behind() {
        assert!(falls_behind(&[(0, Some(1)), (1, None), (2, Some(1))], 1_000 * MS, 100 * MS).is_some());
    }

    fn judged(pushed: &Pushed) -> Trial {
        let samples = [Sample { at_ns: 0, known_ns: vec![Some(3_000)] }];
        let second = Duration::from_secs(1);
        Trial::judge((1, 1_000.0), pushed, &["Ball".to_owned()], &samples, second, second / 10)
    }

    #[test]
    fn reports_that_fail_or_are_not_taken_are_told() {
        let good = Pushed { rate: 990.0, ..Pushed::default() };
        let trial = judged(&good);
        assert_eq!(trial.failure, None);
        assert_eq!(
            trial.nodes,
            [NodeLag { server: "Ball".to_owned(), worst_us: Some(3.0), end_us: Some(3.0) }]
        );
        let slow = judged(&Pushed { rate: 900.0, ..Pushed::default() });
        assert!(slow.failure.as_deref().is_some_and(|failure| failure.contains("only 900")));
        let wrong = judged(&Pushed { wrong: 3, first_wrong: Some("? x".to_owned()), ..good });
        assert!(wrong.failure.as_deref().is_some_and(|failure| failure.contains("3 reports")));
        assert!(wrong.figures().iter().any(|figure| figure.what == "trial 1 kept up" && figure.value == 0.0));
    }
}
