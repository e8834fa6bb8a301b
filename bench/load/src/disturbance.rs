//! What else the machine did while something was measured: what its host took, what other processes used, how long
//! tasks had to wait. The core compares two readings of `/proc` and decides; `Watch` reads, waits and measures again.

use std::{
    cell::Cell,
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::param::clock_ticks_per_second;
use serde::{Deserialize, Serialize};

use crate::usage;

/// How long the machine must be undisturbed to be quiet, and how long each look at it takes.
const QUIET_LOOKS: u32 = 3;
const LOOK: Duration = Duration::from_secs(1);
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
}

impl Disturbance {
    fn between(from: &Reading, to: &Reading, limits: &Limits) -> Self {
        let elapsed = to.at.saturating_sub(from.at).as_secs_f64().max(1e-9);
        let machine = elapsed * f64::from(to.processors.max(1));
        let since = |of: fn(&Reading) -> Duration| of(to).saturating_sub(of(from)).as_secs_f64();
        let (steal, own) = (since(|reading| reading.steal), since(|reading| reading.own));
        // Two counts that err in opposite directions. What is not idle includes the ways into idleness and out of it, some
        // percent where threads sleep and wake often. What ticks find busy is a sample, and misses who runs between them.
        let used = (machine - since(|reading| reading.idle) - steal).min(since(|reading| reading.busy));
        let foreign = (used - own).max(0.0);
        let is_above = |seconds: f64, limit: f64, ticks: u32| {
            seconds > limit * machine + f64::from(ticks) / clock_ticks_per_second() as f64
        };
        let disturbed = is_above(steal, limits.max_steal, STEAL_TICKS)
            || is_above(foreign, limits.max_foreign, FOREIGN_TICKS);
        let [waited_cpu, waited_io, waited_memory] = [0, 1, 2].map(|which: usize| {
            let waited = to.waited[which]?.saturating_sub(from.waited[which]?);
            Some((waited.as_secs_f64() / elapsed).min(1.0))
        });
        let (steal, foreign) = ((steal / machine).min(1.0), (foreign / machine).min(1.0));
        Self { seconds: elapsed, steal, foreign, waited_cpu, waited_io, waited_memory, tries: 1, disturbed }
    }

    /// Of two samples that make one: shares of both together, and disturbed if one of them is.
    pub(crate) fn and(&self, other: &Self) -> Self {
        let seconds = self.seconds + other.seconds;
        let share =
            |one: f64, two: f64| (one * self.seconds + two * other.seconds) / seconds.max(f64::MIN_POSITIVE);
        let known = |one: Option<f64>, two: Option<f64>| Some(share(one?, two?));
        Self {
            seconds,
            steal: share(self.steal, other.steal),
            foreign: share(self.foreign, other.foreign),
            waited_cpu: known(self.waited_cpu, other.waited_cpu),
            waited_io: known(self.waited_io, other.waited_io),
            waited_memory: known(self.waited_memory, other.waited_memory),
            tries: self.tries.max(other.tries),
            disturbed: self.disturbed || other.disturbed,
        }
    }

    /// What was taken from the sample, of either kind.
    fn taken(&self) -> f64 {
        self.steal + self.foreign
    }
}

/// Takes samples, each again while it is disturbed.
pub(crate) struct Watch<'a> {
    limits: Limits,
    began: Instant,
    /// How long may still be waited for quiet.
    patience: Cell<Duration>,
    was_quiet: Cell<bool>,
    /// Set when nothing more is to be measured.
    stop: &'a Arc<AtomicBool>,
    tell: &'a dyn Fn(&str),
}

impl<'a> Watch<'a> {
    /// With flags instead of these limits where there are some; `tell` hears of what is measured again.
    pub(crate) fn new(
        limits: Limits,
        args: &Demands,
        stop: &'a Arc<AtomicBool>,
        tell: &'a dyn Fn(&str),
    ) -> Self {
        Self {
            limits: limits.with(args),
            began: Instant::now(),
            patience: Cell::new(args.wait_quiet.unwrap_or_default()),
            was_quiet: Cell::new(false),
            stop,
            tell,
        }
    }

    /// Whether nothing more is to be measured.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// What is set when nothing more is to be measured.
    pub(crate) fn stop(&self) -> Arc<AtomicBool> {
        Arc::clone(self.stop)
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// Takes a sample, at most as often as the limits say, and keeps the least disturbed.
    pub(crate) fn sample<T, E>(
        &self,
        measure: impl FnMut() -> Result<T, E>,
    ) -> Result<(T, Option<Disturbance>), E> {
        self.with(&self.limits, || Ok(()), measure)
    }

    /// The same, with something to be done before each try that is no part of it.
    pub(crate) fn prepared<T, E>(
        &self,
        prepare: impl Fn() -> Result<(), E>,
        measure: impl FnMut() -> Result<T, E>,
    ) -> Result<(T, Option<Disturbance>), E> {
        self.with(&self.limits, prepare, measure)
    }

    /// Takes a sample of what is under way: it cannot wait for quiet, nor be taken again.
    pub(crate) fn once<T, E>(
        &self,
        measure: impl FnOnce() -> Result<T, E>,
    ) -> Result<(T, Option<Disturbance>), E> {
        let before = Reading::now(self.began);
        let found = measure()?;
        let readings = before.zip(Reading::now(self.began));
        let seen = readings.map(|(before, after)| Disturbance::between(&before, &after, &self.limits));
        self.was_quiet.set(seen.is_none_or(|seen| !seen.disturbed));
        Ok((found, seen))
    }

    fn with<T, E>(
        &self,
        limits: &Limits,
        prepare: impl Fn() -> Result<(), E>,
        measure: impl FnMut() -> Result<T, E>,
    ) -> Result<(T, Option<Disturbance>), E> {
        let before = || {
            self.await_quiet();
            prepare()?;
            Ok(Reading::now(self.began))
        };
        let again = |seen: &Disturbance| {
            self.was_quiet.set(false);
            if !self.is_stopped() {
                (self.tell)(&format!("disturbed: {}; measured again", told(seen)));
            }
            !self.is_stopped()
        };
        let found = least_disturbed(limits, before, || Reading::now(self.began), measure, again)?;
        self.was_quiet.set(found.1.is_none_or(|seen| !seen.disturbed));
        Ok(found)
    }

    /// Waits while there is patience left, unless the last sample was undisturbed.
    fn await_quiet(&self) {
        let (mut quiet, mut was_told) = (0, false);
        while !self.was_quiet.get()
            && !self.is_stopped()
            && !self.patience.get().is_zero()
            && quiet < QUIET_LOOKS
        {
            let look = LOOK.min(self.patience.get());
            let before = Reading::now(self.began);
            thread::sleep(look);
            self.patience.set(self.patience.get() - look);
            let Some((before, after)) = before.zip(Reading::now(self.began)) else { return };
            let seen = Disturbance::between(&before, &after, &self.limits);
            quiet = if seen.disturbed { 0 } else { quiet + 1 };
            if seen.disturbed && !was_told {
                (self.tell)(&format!("waiting for a quiet machine: {}", told(&seen)));
                was_told = true;
            }
        }
        self.was_quiet.set(true);
    }
}

fn told(seen: &Disturbance) -> String {
    let [steal, foreign] = [seen.steal, seen.foreign].map(|share| share * 100.0);
    format!("the host took {steal:.1} % of the machine, other processes {foreign:.1} %")
}

/// Measures until nothing disturbs, or as often as the limits say; the least disturbed with what disturbed it, which is
/// `None` if the system does not tell.
fn least_disturbed<T, E>(
    limits: &Limits,
    before: impl Fn() -> Result<Option<Reading>, E>,
    after: impl Fn() -> Option<Reading>,
    mut measure: impl FnMut() -> Result<T, E>,
    again: impl Fn(&Disturbance) -> bool,
) -> Result<(T, Option<Disturbance>), E> {
    let (mut best, mut tries): (Option<(T, Disturbance)>, _) = (None, 0);
    loop {
        tries += 1;
        let before = before()?;
        let found = measure()?;
        let Some((before, after)) = before.zip(after()) else { return Ok((found, None)) };
        let seen = Disturbance::between(&before, &after, limits);
        let (found, least) = match best {
            Some((kept, least)) if seen.disturbed && least.taken() <= seen.taken() => (kept, least),
            _ => (found, seen),
        };
        let least = Disturbance { tries, ..least };
        if !least.disturbed || tries >= limits.tries || !again(&seen) {
            return Ok((found, Some(least)));
        }
        best = Some((found, least));
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    const STAT: &str =
        "cpu  100 5 50 1000 20 3 7 30 0 0\ncpu0 1 0 1 1 1 1 1 1 0 0\ncpu1 1 0 1 1 1 1 1 1 0 0\nintr 9\n";
    const PRESSURE: &str = "some avg10=1.00 avg60=1.00 avg300=1.00 total=2500000\nfull avg10=0.00 total=7\n";

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    /// Two processors, so long after some reading, with so many seconds of each.
    fn reading(at: f64, idle: f64, steal: f64, own: f64) -> Reading {
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
    }

    /// Measures 1, 2, 3 while so many seconds of each second are stolen; what is kept, and how often was told.
    fn kept(stolen: &[f64]) -> (u32, Disturbance, u32) {
        let (number, told) = (Cell::new(0), Cell::new(0));
        let measure = || {
            number.set(number.get() + 1);
            Ok::<u32, Infallible>(number.get())
        };
        let after = || {
            Some(reading(
                1.0,
                1.0,
                stolen[number.get() as usize - 1],
                1.0 - stolen[number.get() as usize - 1],
            ))
        };
        let before = || Ok(Some(reading(0.0, 0.0, 0.0, 0.0)));
        let again = |_: &Disturbance| {
            told.set(told.get() + 1);
            true
        };
        let Ok((kept, seen)) = least_disturbed(&Limits::default(), before, after, measure, again);
        (kept, seen.unwrap(), told.get())
    }

    #[test]
    fn a_disturbed_sample_is_measured_again_and_the_least_disturbed_is_kept() {
        let (first, seen, told) = kept(&[0.0]);
        assert_eq!((first, seen.tries, seen.disturbed, told), (1, 1, false, 0));
        let (second, seen, told) = kept(&[0.9, 0.0]);
        assert_eq!((second, seen.tries, seen.disturbed, told), (2, 2, false, 1));
        let (least, seen, told) = kept(&[0.9, 0.3, 0.5]);
        assert_eq!((least, seen.tries, seen.disturbed, told), (2, 3, true, 2));
        assert!((seen.steal - 0.15).abs() < 1e-9, "{seen:?}");
    }

    #[test]
    fn where_the_system_says_nothing_a_sample_is_taken_once() {
        let found =
            least_disturbed(&Limits::default(), || Ok(None), || None, || Ok::<_, Infallible>(7), |_| true);
        assert_eq!(found, Ok((7, None)));
    }

    #[test]
    fn this_machine_can_be_read() {
        let patience = seconds(60.0);
        let demands = Demands { wait_quiet: Some(patience), ..Demands::default() };
        let stop = Arc::default();
        let watch = Watch::new(Limits::default(), &demands, &stop, &|_| {});
        let Ok((_, seen)) = watch.once(|| Ok::<_, Infallible>(()));
        assert_eq!(watch.patience.get(), patience, "what is under way does not wait for quiet");
        let seen = seen.unwrap();
        assert!((0.0..=1.0).contains(&seen.steal) && (0.0..=1.0).contains(&seen.foreign), "{seen:?}");
    }
}
