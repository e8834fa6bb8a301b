//! What a run found: counts, rate, latency, and whether the tester itself was the limit. Plain data; the text
//! and the JSON are printers of it.

use std::{fmt, time::Duration};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::words::{counted, per_second, shown};

/// The longest latency that is distinguished from longer ones: ten minutes, in nanoseconds.
const LATENCY_NS_MAX: u64 = 600_000_000_000;
/// From this share of a core on, the tester's one thread is the limit of what it measured.
const SATURATED_CPU: f64 = 0.9;
/// From this share of its time on, the tester always had something to do, whether or not it was given a core.
const NEVER_IDLE: f64 = 0.95;

/// An empty histogram of nanoseconds, three significant digits, that never needs to grow.
pub fn histogram() -> Histogram<u64> {
    let mut histogram = Histogram::new_with_max(LATENCY_NS_MAX, 3)
        .expect("ten minutes in nanoseconds at three digits are within the histogram's bounds");
    histogram.auto(false);
    histogram
}

/// A latency that was measured at least once, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Latency {
    /// How many times it was measured.
    pub count: u64,
    /// The mean.
    pub mean_us: f64,
    /// The standard deviation.
    pub stdev_us: f64,
    /// The median.
    pub p50_us: f64,
    /// Nine of ten are at or below.
    pub p90_us: f64,
    /// Nineteen of twenty are at or below.
    pub p95_us: f64,
    /// Ninety-nine of a hundred are at or below.
    pub p99_us: f64,
    /// All but one of a thousand are at or below.
    pub p999_us: f64,
    /// The longest.
    pub max_us: f64,
}

impl Latency {
    /// What a histogram of nanoseconds says; nothing if it is empty.
    pub fn of(histogram: &Histogram<u64>) -> Option<Self> {
        let at = |quantile| microseconds(histogram.value_at_quantile(quantile));
        (!histogram.is_empty()).then(|| Self {
            count: histogram.len(),
            mean_us: histogram.mean() / 1e3,
            stdev_us: histogram.stdev() / 1e3,
            p50_us: at(0.5),
            p90_us: at(0.9),
            p95_us: at(0.95),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: microseconds(histogram.max()),
        })
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mean_us, stdev_us, p50_us, p90_us, p95_us, p99_us, p999_us, max_us, .. } = *self;
        let ranks = [("p50", p50_us), ("p90", p90_us), ("p95", p95_us), ("p99", p99_us), ("p99.9", p999_us)];
        ranks.iter().try_for_each(|(name, us)| write!(f, "{name} {}, ", shown(*us)))?;
        write!(f, "max {}, mean {} ± {}", shown(max_us), shown(mean_us), shown(stdev_us))
    }
}

/// A latency as text; a dash if there is none.
pub fn told(latency: Option<Latency>) -> String {
    latency.map_or_else(|| "–".to_owned(), |latency| latency.to_string())
}

/// Failures by kind. Whatever is lost counts once, under one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Errors {
    /// Requests whose connection could not be made.
    pub connect: u64,
    /// Connections that the server closed although they owed nothing.
    pub closed: u64,
    /// Requests that were sent and never answered: their connection ended, or the run did.
    pub unanswered: u64,
    /// Requests that an open loop planned and had not sent when the run ended.
    pub unsent: u64,
    /// Replies that refuse: `? …`, or an error of Redis.
    pub refused: u64,
    /// Replies that are not what they must be.
    pub wrong: u64,
    /// Lines that answer no request.
    pub surplus: u64,
}

impl Errors {
    /// Each with its name.
    pub fn by_kind(&self) -> [(&'static str, u64); 7] {
        let Self { connect, closed, unanswered, unsent, refused, wrong, surplus } = *self;
        [
            ("connect", connect),
            ("closed", closed),
            ("unanswered", unanswered),
            ("unsent", unsent),
            ("refused", refused),
            ("wrong", wrong),
            ("surplus", surplus),
        ]
    }

    /// All together.
    pub fn total(&self) -> u64 {
        self.by_kind().iter().map(|(_, count)| count).sum()
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (name, count) in self.by_kind().into_iter().filter(|(_, count)| *count > 0) {
            write!(f, "{separator}{name} {count}")?;
            separator = ", ";
        }
        if separator.is_empty() { f.write_str("none") } else { Ok(()) }
    }
}

/// A reply that was not what it had to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// What was asked.
    pub sent: String,
    /// What came.
    pub got: String,
}

/// One kind of requests among others.
#[derive(Clone, Debug, Serialize)]
pub struct OfKind {
    /// `IAMAT` or `WHATSAT`.
    pub kind: &'static str,
    /// Replies that count.
    pub replies: u64,
    /// From the write to the reply.
    pub service: Option<Latency>,
    /// From the planned moment to the reply.
    pub response: Option<Latency>,
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// It had measured what it was to measure.
    #[default]
    Complete,
    /// Somebody interrupted it.
    Interrupted,
    /// Its time was over, and so was the grace for the last replies.
    GraceOver,
    /// The server answered nothing any more.
    GaveUp,
}

/// One of several servers.
#[derive(Clone, Debug, Serialize)]
pub struct OfTarget {
    /// Its address.
    pub address: String,
    /// Replies that count.
    pub replies: u64,
}

/// The tester's own share.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Client {
    /// Share of one core that its thread used.
    pub cpu: f64,
    /// Share of the time that its thread was not waiting. Far above `cpu`, it says that tester and server compete for the
    /// same cores: then the machine is the limit.
    pub busy: f64,
    /// Whether its thread used up its core; then the rate is a lower bound.
    pub saturated: bool,
    /// How much later than planned it sent, when nothing but itself was in the way.
    pub late: Option<Latency>,
}

impl Client {
    /// Of a thread that used so much time and waited for so much of what elapsed.
    pub fn measured(elapsed: Duration, cpu: Duration, waited: Duration, late: Option<Latency>) -> Self {
        let seconds = elapsed.as_secs_f64().max(1e-9);
        let cpu = cpu.as_secs_f64() / seconds;
        let busy = (1.0 - waited.as_secs_f64() / seconds).max(0.0);
        Self { cpu, busy, saturated: cpu >= SATURATED_CPU, late }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu, busy, saturated, late } = self;
        let verdict = if *saturated {
            "saturated: the rate is a lower bound"
        } else if *busy >= NEVER_IDLE {
            "not saturated, but never idle: it shares its cores with others"
        } else {
            "not saturated"
        };
        write!(f, "{cpu:.2} of a core, busy {busy:.2} of the time, {verdict}")?;
        late.map_or(Ok(()), |late| {
            write!(f, "; sent late by p50 {}, p99 {}", shown(late.p50_us), shown(late.p99_us))
        })
    }
}

/// One run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Outcome {
    /// Replies that count: in a closed loop those that arrived while measuring, in an open loop the answers to requests
    /// planned for that time, whenever they arrived.
    pub replies: u64,
    /// Those of them that arrived in the time that was measured.
    pub in_time: u64,
    /// How long was measured.
    pub seconds: f64,
    /// Replies a second in that time.
    pub rate: f64,
    /// Requests a second that an open loop planned.
    pub target_rate: Option<f64>,
    /// From just before the write that held a request to just after the read that held its reply. In a closed
    /// loop a slow server is asked less often, so these are service times under this load, not what clients
    /// arriving on their own clock would see.
    pub service: Option<Latency>,
    /// From the moment a request was planned for to its reply: what a client waits that comes on its own clock. Only an
    /// open loop plans. Requests that were never answered are in it, with the time they waited until the run ended.
    pub response: Option<Latency>,
    /// By kind, if there is more than one.
    pub kinds: Vec<OfKind>,
    /// By server, if there is more than one.
    pub targets: Vec<OfTarget>,
    /// The tester's own share.
    pub client: Client,
    /// What an echo on this machine let the tester do at most, in requests a second, if it was measured.
    pub ceiling: Option<f64>,
    /// How long all connections took to be made.
    pub connecting_seconds: f64,
    /// Bytes a second that were sent while measuring.
    pub sent_bytes_rate: f64,
    /// Bytes a second that were received while measuring.
    pub received_bytes_rate: f64,
    /// Requests sent in all, warming up included.
    pub sent: u64,
    /// Requests that an interrupted run no longer awaited.
    pub in_flight: u64,
    /// Failures by kind, warming up included.
    pub errors: Errors,
    /// The first of the replies that were refused, wrong or surplus.
    pub mismatches: Vec<Mismatch>,
    /// Why it ended.
    pub end: End,
    /// Why the run was abandoned, if it was.
    pub gave_up: Option<String>,
}

impl Outcome {
    /// The latencies a client would see: response times if there are any.
    pub fn met(&self) -> Option<Latency> {
        self.response.or(self.service)
    }

    /// Why the run does not count, if it does not.
    pub fn objection(&self) -> Option<String> {
        if let Some(reason) = &self.gave_up {
            return Some(reason.clone());
        }
        let first =
            self.mismatches.first().map(|shown| format!("; to {:?} came {:?}", shown.sent, shown.got));
        (self.errors.total() > 0).then(|| format!("errors: {}{}", self.errors, first.unwrap_or_default()))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { replies, in_time, seconds, rate, .. } = *self;
        let late = replies - in_time;
        let late = if late > 0 { format!(", and {late} after that time") } else { String::new() };
        writeln!(f, "replies   {in_time} in {seconds:.3} s{late}")?;
        write!(f, "rate      {}", per_second(rate))?;
        if let Some(target) = self.target_rate {
            write!(f, " of {target} /s asked for")?;
        }
        let [sent, received] = [self.sent_bytes_rate, self.received_bytes_rate].map(|rate| rate / 1e6);
        writeln!(f, "; {sent:.3} MB/s sent, {received:.3} MB/s received")?;
        writeln!(f, "service   {}", told(self.service))?;
        let unknown = "not known: a closed loop asks a slow server less often; see --rate";
        let response = if self.target_rate.is_some() { told(self.response) } else { unknown.to_owned() };
        writeln!(f, "response  {response}")?;
        for OfKind { kind, replies, service, response } in &self.kinds {
            writeln!(f, "  {kind:<8}{replies} replies, {}", told(response.or(*service)))?;
        }
        for OfTarget { address, replies } in &self.targets {
            writeln!(f, "  {address}  {replies} replies")?;
        }
        writeln!(f, "errors    {}", self.errors)?;
        for Mismatch { sent, got } in &self.mismatches {
            writeln!(f, "  to {sent:?}\n  came {got:?}")?;
        }
        write!(f, "client    {}", self.client)?;
        if let Some(ceiling) = self.ceiling {
            write!(f, "\nceiling   {ceiling:.0} /s: all this tester gets out of an echo on this machine")?;
        }
        match self.end {
            End::Complete => Ok(()),
            End::Interrupted => {
                write!(f, "\nINTERRUPTED with {} in flight", counted(self.in_flight, "request"))
            }
            End::GraceOver => write!(f, "\nCUT OFF   when the grace for the last replies was over"),
            End::GaveUp => write!(f, "\nGAVE UP   {}", self.gave_up.as_deref().unwrap_or_default()),
        }
    }
}

/// Nanoseconds as microseconds.
pub(crate) fn microseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_in_microseconds() {
        let mut histogram = histogram();
        (1..=1_000).for_each(|us| histogram.saturating_record(us * 1_000));
        assert!(Latency::of(&super::histogram()).is_none(), "nothing has no percentiles");
        let latency = Latency::of(&histogram).unwrap();
        assert_eq!(latency.count, 1_000);
        assert!((latency.p50_us - 500.0).abs() < 1.0);
        assert!((latency.p99_us - 990.0).abs() < 2.0);
        assert!((latency.p95_us - 950.0).abs() < 2.0 && (latency.max_us - 1_000.0).abs() < 2.0);
        assert!((latency.mean_us - 500.5).abs() < 1.0 && (latency.stdev_us - 288.7).abs() < 1.0);
    }

    #[test]
    fn a_tester_that_used_up_its_core_is_saturated() {
        let second = Duration::from_secs(1);
        let hardly = Duration::from_millis(10);
        let full = Client::measured(second, second, hardly, None);
        assert!(full.saturated && full.to_string().contains("lower bound"));
        let crowded = Client::measured(second, second / 2, hardly, None);
        assert!(!crowded.saturated && crowded.to_string().contains("never idle"));
        let calm = Client::measured(second, second / 2, second / 2, None);
        assert!(!calm.saturated && calm.to_string().ends_with("not saturated"));
    }

    #[test]
    fn errors_are_told_by_their_kind() {
        let errors = Errors { closed: 2, wrong: 5, ..Errors::default() };
        assert_eq!((errors.to_string(), errors.total()), ("closed 2, wrong 5".to_owned(), 7));
        assert_eq!(Errors::default().to_string(), "none");
    }
}
