//! Pauses that a server's memory management says it made, read from its own log: beside the worst responses they show
//! whether it was what clients waited for. What is told in these logs:
//!
//! | format | made by | a line's pauses |
//! |---|---|---|
//! | `java` | `-Xlog:gc:file=FILE` | every `Pause …` |
//! | `go` | `GODEBUG=gctrace=1`, standard error | the two in which all goroutines stand still |
//! | `nodejs` | `--trace-gc`, standard output | the one of a collection; not the steps of marking that went before |
//! | `python` | `--pauses FILE` of our models | each collection |

use std::{fs, io, path::Path, time::Duration};

use serde::Deserialize;

use super::template::Template;

/// Where a server's pauses are told.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PauseLog {
    pub(super) format: Collector,
    pub(super) file: Template,
}

/// How they are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Collector {
    Java,
    Go,
    Nodejs,
    Python,
}

/// From and to when, since the server's start.
pub(super) type Span = (Duration, Duration);

/// All pauses within some spans.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Pauses {
    pub(super) count: u32,
    pub(super) longest_us: f64,
    pub(super) total_us: f64,
}

impl Collector {
    /// What a log says of these spans.
    pub(super) fn read(self, log: &Path, spans: &[Span]) -> io::Result<Pauses> {
        Ok(self.parse(&fs::read_to_string(log)?, spans))
    }

    /// Lines that tell of no pause are passed over.
    fn parse(self, text: &str, spans: &[Span]) -> Pauses {
        let is_within =
            |at: f64| spans.iter().any(|(from, to)| (from.as_secs_f64()..=to.as_secs_f64()).contains(&at));
        let mut pauses = Pauses::default();
        for (at, milliseconds) in text.lines().filter_map(|line| self.line(line)) {
            for us in milliseconds.into_iter().filter(|_| is_within(at)).map(|ms| ms * 1e3) {
                pauses.count += 1;
                pauses.total_us += us;
                pauses.longest_us = pauses.longest_us.max(us);
            }
        }
        pauses
    }

    /// Seconds since the server's start, and milliseconds of each pause.
    fn line(self, line: &str) -> Option<(f64, Vec<f64>)> {
        let number = |text: &str| text.trim().parse::<f64>().ok();
        let last = |text: &str| number(text.rsplit(' ').next()?);
        match self {
            Self::Java => {
                let at = number(line.strip_prefix('[')?.split_once("s]")?.0)?;
                let (_, pause) = line.split_once(" Pause ")?;
                Some((at, vec![last(pause.trim_end().strip_suffix("ms")?)?]))
            }
            Self::Go => {
                let (at, rest) = line.strip_prefix("gc ")?.split_once(" @")?.1.split_once("s ")?;
                let (_, clock) = rest.split_once(": ")?;
                let mut phases = clock.split_once(" ms clock")?.0.split('+');
                let (sweep, _, mark) = (phases.next()?, phases.next()?, phases.next()?);
                Some((number(at)?, vec![number(sweep)?, number(mark)?]))
            }
            Self::Nodejs => {
                let (at, rest) = line.strip_prefix('[')?.split_once("] ")?.1.split_once(" ms: ")?;
                Some((number(at)? / 1e3, vec![last(rest.split_once(" / ")?.0)?]))
            }
            Self::Python => {
                let (at, ms) = line.split_once(' ')?;
                Some((number(at)?, vec![number(ms)?]))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JAVA: &str = "[0.012s][info][gc] Using Serial\n\
        [1.250s][info][gc] GC(0) Pause Young (Allocation Failure) 17M->2M(61M) 3.205ms\n\
        [2.500s][info][gc] GC(1) Concurrent Mark Cycle 9.000ms\n\
        [2.750s][info][gc] GC(1) Pause Remark 20M->20M(61M) 0.500ms\n";
    const GO: &str = "gc 1 @0.009s 3%: 0.030+0.45+0.012 ms clock, 0.061+0.20/0.30/0+0.025 ms cpu, 3->4->1 MB, 4 MB goal, 0 MB stacks, 0 MB globals, 2 P\n\
        gc 2 @2.500s 1%: 0.500+1.2+0.250 ms clock, 1.0+0.4/1.1/0+0.5 ms cpu, 4->5->2 MB, 5 MB goal, 0 MB stacks, 0 MB globals, 2 P\n\
        scvg: 1 MB released\n";
    const NODEJS: &str = "listening 127.0.0.1:1\n\
        [99:0x55d0]      500 ms: Scavenge 5.6 (7.1) -> 4.6 (8.1) MB, 0.55 / 0.00 ms  (average mu = 1.000, current mu = 1.000) task; \n\
        [99:0x55d0]     2500 ms: Scavenge 9.1 (12.3) -> 6.2 (12.6) MB, pooled: 0 MB, 1.25 / 0.10 ms  (average mu = 1.000, current mu = 1.000) allocation failure; \n\
        [99:0x55d0]     2600 ms: Mark-Compact 20.1 (30.0) -> 10.0 (31.0) MB, 5.50 / 0.01 ms  (+ 1.3 ms in 10 steps since start of marking, biggest step 0.2 ms, walltime since start of marking 12 ms) (average mu = 0.990, current mu = 0.990) finalize incremental marking via stack guard; GC in old space requested\n";
    const PYTHON: &str = "0.200000 0.100\n2.500000 0.750\n2.600000 0.250\n";

    fn parsed(collector: Collector, text: &str, since: u64) -> (u32, f64, f64) {
        within(collector, text, &[(since as f64, 9.0)])
    }

    fn within(collector: Collector, text: &str, spans: &[(f64, f64)]) -> (u32, f64, f64) {
        let span = |(from, to): &(f64, f64)| [*from, *to].map(Duration::from_secs_f64).into();
        let spans: Vec<Span> = spans.iter().map(span).collect();
        let Pauses { count, longest_us, total_us } = collector.parse(text, &spans);
        (count, longest_us.round(), total_us.round())
    }

    #[test]
    fn each_collector_is_understood_by_its_own_log() {
        assert_eq!(parsed(Collector::Java, JAVA, 0), (2, 3205.0, 3705.0));
        assert_eq!(parsed(Collector::Go, GO, 0), (4, 500.0, 792.0));
        assert_eq!(parsed(Collector::Nodejs, NODEJS, 0), (3, 5500.0, 7300.0));
        assert_eq!(parsed(Collector::Python, PYTHON, 0), (3, 750.0, 1100.0));
    }

    #[test]
    fn what_was_between_the_turns_or_after_them_does_not_count() {
        let spans = [(0.1, 0.3), (2.55, 2.7)];
        assert_eq!(within(Collector::Python, PYTHON, &spans), (2, 250.0, 350.0));
        assert_eq!(within(Collector::Python, PYTHON, &[(0.3, 2.4), (2.7, 9.0)]), (0, 0.0, 0.0));
    }

    #[test]
    fn what_was_before_the_load_does_not_count() {
        assert_eq!(parsed(Collector::Java, JAVA, 2), (1, 500.0, 500.0));
        assert_eq!(parsed(Collector::Go, GO, 2), (2, 500.0, 750.0));
        assert_eq!(parsed(Collector::Nodejs, NODEJS, 2), (2, 5500.0, 6750.0));
        assert_eq!(parsed(Collector::Python, PYTHON, 2), (2, 750.0, 1000.0));
        assert_eq!(parsed(Collector::Java, JAVA, 3), (0, 0.0, 0.0));
    }
}
