//! What else the machine did while something was measured: what its host took, what other processes used, how long
//! tasks had to wait. Two readings of `/proc` are compared and judged here; `watch` waits and measures again.

mod watch;

use std::{
    fs,
    time::{Duration, Instant},
};

use rustix::param::clock_ticks_per_second;
use serde::{Deserialize, Serialize};

use crate::usage;
pub(crate) use watch::Watch;

/// What `/proc` counts is exact to a tick, a hundredth of a second as a rule: what is above a limit by less is not seen.
/// What others used is a difference of five such counts.
const STEAL_TICKS: u32 = 1;
const FOREIGN_TICKS: u32 = 5;

/// What is demanded of the machine, and what follows where it does not hold.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Demands {
    /// The share of the machine that its host may take during a sample (steal); above that, the sample is measured
    /// again [default: 0.02]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub max_steal: Option<f64>,
    /// The share of the machine that processes other than the tester and its servers may use [default: 0.05]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub max_foreign: Option<f64>,
    /// How often a sample is measured at most; of those that are all disturbed, the least is kept, and marked
    /// [default: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub tries: Option<u32>,
    /// Waits before the start, and after a disturbed sample, until the machine is quiet; so many minutes at most in all,
    /// 45 without a number
    #[arg(long, value_name = "MINUTES", num_args = 0..=1, require_equals = true, default_missing_value = "45",
          value_parser = minutes)]
    pub wait_quiet: Option<Duration>,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "give a share of the machine, from 0 to 1, such as 0.02".to_owned())
}

fn minutes(text: &str) -> Result<Duration, String> {
    let minutes: f64 = text.parse().map_err(|_| "give minutes, such as 45".to_owned())?;
    Duration::try_from_secs_f64(minutes * 60.0).map_err(|error| error.to_string())
}

/// What a sample may meet with and still count as undisturbed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Share of the machine that its host takes.
    pub max_steal: f64,
    /// Share of the machine that other processes use.
    pub max_foreign: f64,
    /// How often a sample is measured, at most.
    pub tries: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_steal: 0.02, max_foreign: 0.05, tries: 3 }
    }
}

impl Limits {
    /// These, where a flag says nothing else.
    pub(crate) fn with(self, args: &Demands) -> Self {
        Self {
            max_steal: args.max_steal.unwrap_or(self.max_steal),
            max_foreign: args.max_foreign.unwrap_or(self.max_foreign),
            tries: args.tries.unwrap_or(self.tries),
        }
    }
}

/// What `/proc` said at a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Reading {
    at: Duration,
    processors: u32,
    /// Of all processors together since they started, waits for a disk among it.
    idle: Duration,
    /// In any process, or in the kernel on behalf of devices, as found at each tick of the clock.
    busy: Duration,
    /// What the host gave to others, when a processor had something to do.
    steal: Duration,
    /// Used by the tester, and by all processes that it has started.
    own: Duration,
    /// How long some task waited for a processor, a disk, memory; `None` where the kernel does not say.
    waited: [Option<Duration>; 3],
}

impl Reading {
    /// From `/proc/stat`, and from the three files in `/proc/pressure`.
    fn parse(at: Duration, own: Duration, stat: &str, pressure: [&str; 3]) -> Option<Self> {
        let mut ticks = stat.lines().next()?.strip_prefix("cpu ")?.split_ascii_whitespace().map(str::parse);
        let mut ticks = || ticks.next()?.ok().map(usage::of_ticks);
        let [user, nice, system, idle, disk, irq, softirq, steal] = [(); 8].map(|()| ticks());
        let busy = [user, nice, system, irq, softirq].into_iter().flatten().sum();
        let is_processor = |line: &&str| line.strip_prefix("cpu").is_some_and(|rest| !rest.starts_with(' '));
        let processors = u32::try_from(stat.lines().filter(is_processor).count()).ok()?;
        let waited = pressure.map(|text| {
            let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
            Some(Duration::from_micros(some.rsplit_once("total=")?.1.parse().ok()?))
        });
        Some(Self {
            at,
            processors,
            idle: idle? + disk?,
            busy,
            steal: steal.unwrap_or_default(),
            own,
            waited,
        })
    }

    fn now(since: Instant) -> Option<Self> {
        let [cpu, io, memory] = ["cpu", "io", "memory"]
            .map(|name| fs::read_to_string(format!("/proc/pressure/{name}")).unwrap_or_default());
        let own = usage::family_cpu(std::process::id()).ok()?;
        let stat = fs::read_to_string("/proc/stat").ok()?;
        Self::parse(since.elapsed(), own, &stat, [&cpu, &io, &memory])
    }
}

/// What else happened on the machine during a sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Disturbance {
    /// How long the sample took.
    pub seconds: f64,
    /// Share of the machine's processor time that its host took.
    pub steal: f64,
    /// Share of it that other processes used, and the kernel on nobody's behalf.
    pub foreign: f64,
    /// Share of the time in which some task waited for a processor, the tester's and its servers' included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waited_cpu: Option<f64>,
    /// For a disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waited_io: Option<f64>,
    /// For memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waited_memory: Option<f64>,
    /// How often it was measured.
    pub tries: u32,
    /// Whether even the best of them is above a limit.
    pub disturbed: bool,
    /// The shares of steal and foreign above which it is, by more than the slack.
    #[serde(skip)]
    pub(crate) limits: [f64; 2],
    /// What the counts of these two are exact to.
    #[serde(skip)]
    pub(crate) slack: [f64; 2],
}

impl Disturbance {
    /// Of what is under way and is made once, if the system tells.
    pub(crate) fn during<T>(limits: &Limits, measure: impl FnOnce() -> T) -> (T, Option<Self>) {
        let began = Instant::now();
        let before = Reading::now(began);
        let found = measure();
        let readings = before.zip(Reading::now(began));
        (found, readings.map(|(before, after)| Self::between(&before, &after, limits)))
    }

    fn between(from: &Reading, to: &Reading, limits: &Limits) -> Self {
        let elapsed = to.at.saturating_sub(from.at).as_secs_f64().max(1e-9);
        let machine = elapsed * f64::from(to.processors.max(1));
        let since = |of: fn(&Reading) -> Duration| of(to).saturating_sub(of(from)).as_secs_f64();
        let (steal, own) = (since(|reading| reading.steal), since(|reading| reading.own));
        // Two counts that err in opposite directions. What is not idle includes the ways into idleness and out of it, some
        // percent where threads sleep and wake often. What ticks find busy is a sample, and misses who runs between them.
        let used = (machine - since(|reading| reading.idle) - steal).min(since(|reading| reading.busy));
        let foreign = (used - own).max(0.0);
        let limits = [limits.max_steal, limits.max_foreign];
        let tick = 1.0 / clock_ticks_per_second() as f64 / machine;
        let slack = [STEAL_TICKS, FOREIGN_TICKS].map(|ticks| f64::from(ticks) * tick);
        let [waited_cpu, waited_io, waited_memory] = [0, 1, 2].map(|which: usize| {
            let waited = to.waited[which]?.saturating_sub(from.waited[which]?);
            Some((waited.as_secs_f64() / elapsed).min(1.0))
        });
        let (steal, foreign) = ((steal / machine).min(1.0), (foreign / machine).min(1.0));
        let seconds = elapsed;
        Self {
            seconds,
            steal,
            foreign,
            waited_cpu,
            waited_io,
            waited_memory,
            tries: 1,
            disturbed: false,
            limits,
            slack,
        }
        .judged()
    }

    fn judged(self) -> Self {
        let is_above = |which: usize, share: f64| share > self.limits[which] + self.slack[which];
        Self { disturbed: is_above(0, self.steal) || is_above(1, self.foreign), ..self }
    }

    /// Of two samples that make one: shares of both together, and judged by these. What their counts are off by adds up as
    /// independent errors do, so that what a sample of many turns may take comes close to the limit.
    pub(crate) fn and(&self, other: &Self) -> Self {
        let seconds = (self.seconds + other.seconds).max(f64::MIN_POSITIVE);
        let share = |one: f64, two: f64| (one * self.seconds + two * other.seconds) / seconds;
        let error = |one: f64, two: f64| (one * self.seconds).hypot(two * other.seconds) / seconds;
        let known = |one: Option<f64>, two: Option<f64>| Some(share(one?, two?));
        Self {
            seconds,
            steal: share(self.steal, other.steal),
            foreign: share(self.foreign, other.foreign),
            waited_cpu: known(self.waited_cpu, other.waited_cpu),
            waited_io: known(self.waited_io, other.waited_io),
            waited_memory: known(self.waited_memory, other.waited_memory),
            tries: self.tries.max(other.tries),
            disturbed: false,
            limits: self.limits,
            slack: [0, 1].map(|which: usize| error(self.slack[which], other.slack[which])),
        }
        .judged()
    }

    /// What was taken from the sample, of either kind.
    fn taken(&self) -> f64 {
        self.steal + self.foreign
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str =
        "cpu  100 5 50 1000 20 3 7 30 0 0\ncpu0 1 0 1 1 1 1 1 1 0 0\ncpu1 1 0 1 1 1 1 1 1 0 0\nintr 9\n";
    const PRESSURE: &str = "some avg10=1.00 avg60=1.00 avg300=1.00 total=2500000\nfull avg10=0.00 total=7\n";

    pub(super) fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    /// Two processors, so long after some reading, with so many seconds of each.
    pub(super) fn reading(at: f64, idle: f64, steal: f64, own: f64) -> Reading {
        let [at, idle, steal, own] = [at, idle, steal, own].map(seconds);
        let busy = (at * 2).saturating_sub(idle + steal);
        Reading {
            at,
            processors: 2,
            idle,
            busy,
            steal,
            own,
            waited: [Some(at / 2), None, Some(Duration::ZERO)],
        }
    }

    fn from_zero(to: &Reading) -> Disturbance {
        Disturbance::between(&reading(0.0, 0.0, 0.0, 0.0), to, &Limits::default())
    }

    #[test]
    fn a_reading_is_what_proc_says() {
        let read = Reading::parse(seconds(1.0), seconds(2.0), STAT, [PRESSURE, "", "nonsense"]).unwrap();
        assert_eq!((read.processors, read.idle, read.steal), (2, seconds(10.2), seconds(0.3)));
        assert_eq!(read.busy, seconds(1.65));
        assert_eq!(read.waited, [Some(seconds(2.5)), None, None]);
        // A kernel that is older than steal.
        let old = Reading::parse(seconds(1.0), seconds(2.0), "cpu  1 2 3 4 5\ncpu0 1", ["", "", ""]).unwrap();
        assert_eq!((old.processors, old.steal), (1, Duration::ZERO));
        assert_eq!(Reading::parse(seconds(1.0), seconds(2.0), "intr 9", ["", "", ""]), None);
    }

    #[test]
    fn what_neither_idled_nor_was_stolen_nor_is_our_own_is_foreign() {
        // Of 20 s of processor time.
        let seen = from_zero(&reading(10.0, 8.0, 1.0, 6.0));
        assert!((seen.steal - 0.05).abs() < 1e-9 && (seen.foreign - 0.25).abs() < 1e-9, "{seen:?}");
        assert_eq!((seen.waited_cpu, seen.waited_io, seen.waited_memory), (Some(0.5), None, Some(0.0)));
        assert!(seen.disturbed);
        assert!(!from_zero(&reading(10.0, 10.0, 0.4, 9.0)).disturbed, "2 % and 3 %");
        assert!(from_zero(&reading(10.0, 10.0, 0.5, 9.0)).disturbed, "2.5 % stolen");
        assert!(from_zero(&reading(10.0, 9.0, 0.0, 9.5)).disturbed, "7.5 % foreign");
        let seldom_at_ticks = Reading { busy: seconds(9.6), ..reading(10.0, 9.0, 0.0, 9.5) };
        assert!((from_zero(&seldom_at_ticks).foreign - 0.005).abs() < 1e-9, "the lesser count");
        // Counts that disagree by a tick or two are nobody's.
        assert_eq!(from_zero(&reading(10.0, 11.0, 0.0, 9.5)).foreign, 0.0);
    }

    #[test]
    fn what_is_no_more_than_the_counts_are_exact_to_is_not_seen() {
        // Of 0.2 s: two hundredths stolen are a tenth, one is within what can be read.
        assert!(from_zero(&reading(0.1, 0.1, 0.02, 0.08)).disturbed);
        assert!(!from_zero(&reading(0.1, 0.1, 0.01, 0.05)).disturbed);
        assert!(from_zero(&reading(0.1, 0.1, 0.0, 0.03)).disturbed);
    }

    #[test]
    fn two_samples_that_make_one_are_weighed_by_their_length() {
        let [short, long] =
            [reading(1.0, 2.0, 0.0, 0.0), reading(3.0, 0.0, 3.0, 3.0)].map(|to| from_zero(&to));
        let both = short.and(&long);
        assert!((both.steal - 0.375).abs() < 1e-9 && both.disturbed && !short.disturbed, "{both:?}");
        assert_eq!((both.seconds, both.waited_cpu, both.waited_io), (4.0, Some(0.5), None));
        let [hit, calm] = [reading(1.0, 1.9, 0.1, 0.0), reading(3.0, 6.0, 0.0, 0.0)].map(|to| from_zero(&to));
        assert!(hit.disturbed && !hit.and(&calm).disturbed, "5 % of a second are 1.25 % of four");
        // 6.75 %: one tick of 0.2 s is 5 %, but of twice as much 3.5 %.
        let seldom = from_zero(&reading(0.1, 0.1, 0.0135, 0.08));
        assert!(!seldom.disturbed && seldom.and(&seldom).disturbed, "{seldom:?}");
    }
}
