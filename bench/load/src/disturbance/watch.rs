//! Takes samples, each again while it is disturbed or is not whole, and waits for a quiet machine.

use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::{Demands, Disturbance, Limits, Reading};

/// How long the machine must be undisturbed to be quiet, and how long each look at it takes.
const QUIET_LOOKS: u32 = 3;
const LOOK: Duration = Duration::from_secs(1);

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
        self.prepared(|| Ok(()), measure, |_| true)
    }

    /// Takes a sample of what is under way: it cannot wait for quiet, nor be taken again.
    pub(crate) fn once<T, E>(
        &self,
        measure: impl FnOnce() -> Result<T, E>,
    ) -> Result<(T, Option<Disturbance>), E> {
        let (found, seen) = Disturbance::during(&self.limits, measure);
        let found = found?;
        self.was_quiet.set(seen.is_none_or(|seen| !seen.disturbed));
        Ok((found, seen))
    }

    /// Takes a sample with something to be done before each try that is no part of it. A try that is not whole is taken
    /// again as if it were disturbed, and kept only if none is whole.
    pub(crate) fn prepared<T, E>(
        &self,
        prepare: impl Fn() -> Result<(), E>,
        measure: impl FnMut() -> Result<T, E>,
        is_whole: impl Fn(&T) -> bool,
    ) -> Result<(T, Option<Disturbance>), E> {
        let before = || {
            self.await_quiet();
            prepare()?;
            Ok(Reading::now(self.began))
        };
        let again = |seen: &Disturbance| {
            self.was_quiet.set(false);
            if !self.is_stopped() {
                let why = if seen.disturbed { "disturbed" } else { "not measured to its end" };
                (self.tell)(&format!("{why}: {}; measured again", told(seen)));
            }
            !self.is_stopped()
        };
        let after = || Reading::now(self.began);
        let found = least_disturbed(&self.limits, before, after, measure, is_whole, again)?;
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

/// Measures until a try is whole and nothing disturbs it, or as often as the limits say. Keeps the least disturbed of the
/// whole ones, or else of all, with what disturbed it, which is `None` if the system does not tell.
fn least_disturbed<T, E>(
    limits: &Limits,
    before: impl Fn() -> Result<Option<Reading>, E>,
    after: impl Fn() -> Option<Reading>,
    mut measure: impl FnMut() -> Result<T, E>,
    is_whole: impl Fn(&T) -> bool,
    again: impl Fn(&Disturbance) -> bool,
) -> Result<(T, Option<Disturbance>), E> {
    let (mut best, mut tries): (Option<(T, Disturbance)>, _) = (None, 0);
    let rank = |found: &T, seen: &Disturbance| (!is_whole(found), seen.disturbed, seen.taken());
    loop {
        tries += 1;
        let before = before()?;
        let found = measure()?;
        let Some((before, after)) = before.zip(after()) else { return Ok((found, None)) };
        let seen = Disturbance::between(&before, &after, limits);
        let (found, least) = match best {
            Some((kept, least)) if rank(&kept, &least) <= rank(&found, &seen) => (kept, least),
            _ => (found, seen),
        };
        let least = Disturbance { tries, ..least };
        let is_good = is_whole(&found) && !least.disturbed;
        if is_good || tries >= limits.tries || !again(&seen) {
            return Ok((found, Some(least)));
        }
        best = Some((found, least));
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// A second after the start, with so much of it stolen on one of two processors, and nothing used.
    fn second(stolen: f64) -> Reading {
        let (at, none) = (Duration::from_secs(1), Duration::ZERO);
        let steal = Duration::from_secs_f64(stolen);
        Reading { at, processors: 2, idle: none, busy: none, steal, own: none, waited: [None; 3] }
    }

    /// Measures 1, 2, 3 while so many seconds of each second are stolen, `cut` of which are not whole; what is kept, and how
    /// often was told.
    fn kept(stolen: &[f64], cut: &[u32]) -> (u32, Disturbance, u32) {
        let (number, told) = (Cell::new(0), Cell::new(0));
        let measure = || {
            number.set(number.get() + 1);
            Ok::<u32, Infallible>(number.get())
        };
        let after = || Some(second(stolen[number.get() as usize - 1]));
        let before = || Ok(Some(Reading { at: Duration::ZERO, steal: Duration::ZERO, ..second(0.0) }));
        let again = |_: &Disturbance| {
            told.set(told.get() + 1);
            true
        };
        let is_whole = |number: &u32| !cut.contains(number);
        let Ok((kept, seen)) = least_disturbed(&Limits::default(), before, after, measure, is_whole, again);
        (kept, seen.unwrap(), told.get())
    }

    #[test]
    fn a_disturbed_sample_is_measured_again_and_the_least_disturbed_is_kept() {
        let (first, seen, told) = kept(&[0.0], &[]);
        assert_eq!((first, seen.tries, seen.disturbed, told), (1, 1, false, 0));
        let (second, seen, told) = kept(&[0.9, 0.0], &[]);
        assert_eq!((second, seen.tries, seen.disturbed, told), (2, 2, false, 1));
        let (least, seen, told) = kept(&[0.9, 0.3, 0.5], &[]);
        assert_eq!((least, seen.tries, seen.disturbed, told), (2, 3, true, 2));
        assert!((seen.steal - 0.15).abs() < 1e-9, "{seen:?}");
    }

    #[test]
    fn a_sample_that_is_not_whole_is_measured_again_and_loses_to_one_that_is() {
        let (second, seen, told) = kept(&[0.0, 0.0], &[1]);
        assert_eq!((second, seen.tries, seen.disturbed, told), (2, 2, false, 1));
        let (disturbed, seen, _) = kept(&[0.0, 0.9, 0.0], &[1, 3]);
        assert_eq!((disturbed, seen.tries, seen.disturbed), (2, 3, true));
        let (least, seen, _) = kept(&[0.9, 0.0, 0.3], &[1, 2, 3]);
        assert_eq!((least, seen.tries, seen.disturbed), (2, 3, false));
    }

    #[test]
    fn where_the_system_says_nothing_a_sample_is_taken_once() {
        let found = least_disturbed(
            &Limits::default(),
            || Ok(None),
            || None,
            || Ok::<_, Infallible>(7),
            |_| true,
            |_| true,
        );
        assert_eq!(found, Ok((7, None)));
    }

    #[test]
    fn this_machine_can_be_read() {
        let patience = Duration::from_secs(60);
        let demands = Demands { wait_quiet: Some(patience), ..Demands::default() };
        let stop = Arc::default();
        let watch = Watch::new(Limits::default(), &demands, &stop, &|_| {});
        let Ok((_, seen)) = watch.once(|| Ok::<_, Infallible>(()));
        assert_eq!(watch.patience.get(), patience, "what is under way does not wait for quiet");
        let seen = seen.unwrap();
        assert!((0.0..=1.0).contains(&seen.steal) && (0.0..=1.0).contains(&seen.foreign), "{seen:?}");
    }
}
