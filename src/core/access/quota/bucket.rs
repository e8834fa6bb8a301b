//! A token bucket: units accrue at a steady rate, at most so many are saved up, and they may be taken ahead of time by
//! whoever waits for them. One atomic number, so that many connections can share a bucket without a lock.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::core::model::Tick;

/// A bucket that is full to begin with.
///
/// Units accrue on a grid of times that is fixed from the beginning, at each multiple of `period / count`. What has accrued
/// by a time is computed from that time alone, so nothing is lost or won by rounding, however often it is asked.
#[derive(Debug)]
pub struct Bucket {
    count: u64,
    period: Duration,
    saved_max: u64,
    /// Units taken since the beginning, and those for which there was no room. It is ahead of what has accrued by as much
    /// as the bucket lacks.
    spent: AtomicU64,
}

impl Bucket {
    /// `count` units accrue in each `period`; at most `saved_max` are saved up. Neither is 0.
    pub fn new(count: u64, period: Duration, saved_max: u64) -> Self {
        Self { count: count.max(1), period, saved_max: saved_max.max(1), spent: AtomicU64::new(0) }
    }

    /// Takes `units`, and returns from when on they may be used: now, or at a later time. If that is more than `wait` from
    /// now, nothing is taken, and the result is `None`.
    pub fn take(&self, units: u64, now: Tick, wait: Duration) -> Option<Tick> {
        self.take_some(|_| units, now, wait).map(|(_, at)| at)
    }

    /// The same for as many units as `wanted` says when it is told how many are saved up. Returns how many it were.
    pub fn take_some(&self, wanted: impl Fn(u64) -> u64, now: Tick, wait: Duration) -> Option<(u64, Tick)> {
        let full = self.accrued(now).saturating_add(self.saved_max);
        let mut taken = (0, now);
        let take = |spent: u64| {
            let spent = spent.max(full - self.saved_max);
            let units = wanted(full.saturating_sub(spent));
            let spent = spent.saturating_add(units);
            // The usual case computes no time.
            let at = if spent <= full { now } else { self.accrues(spent - self.saved_max) };
            taken = (units, at);
            (at <= now.saturating_add(wait)).then_some(spent)
        };
        self.spent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok().then_some(taken)
    }

    /// Puts back what was taken and not used.
    pub fn put_back(&self, units: u64) {
        let put = |spent: u64| Some(spent.saturating_sub(units));
        let _ = self.spent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, put);
    }

    /// How long it is from now until so many units are there.
    pub fn time_until(&self, units: u64, now: Tick) -> Duration {
        let accrued = self.accrued(now);
        let spent = self.spent.load(Ordering::Relaxed).max(accrued).saturating_add(units);
        self.accrues(spent.saturating_sub(self.saved_max)).saturating_sub(now)
    }

    /// Whether it is as if nothing had ever been taken.
    pub fn is_full(&self, now: Tick) -> bool {
        self.spent.load(Ordering::Relaxed) <= self.accrued(now)
    }

    /// Units that have accrued since the beginning of ticks.
    fn accrued(&self, now: Tick) -> u64 {
        let units = now.as_nanos() * u128::from(self.count) / self.period.as_nanos();
        u64::try_from(units).unwrap_or(u64::MAX)
    }

    /// When so many units will have accrued.
    fn accrues(&self, units: u64) -> Tick {
        let nanoseconds = (u128::from(units) * self.period.as_nanos()).div_ceil(u128::from(self.count));
        u64::try_from(nanoseconds).map_or(Tick::MAX, Tick::from_nanos)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(milliseconds: u64) -> Tick {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn what_is_saved_may_be_taken_at_once_and_one_more_when_it_accrues() {
        let bucket = Bucket::new(10, SECOND, 20);
        assert_eq!(bucket.take(20, at(7_000), Duration::ZERO), Some(at(7_000)));
        assert_eq!(bucket.take(1, at(7_000), at(99)), None, "it would be there in 100 ms");
        assert_eq!(bucket.take(1, at(7_000), at(100)), Some(at(7_100)));
        assert_eq!(bucket.time_until(1, at(7_000)), at(200));
        assert_eq!(bucket.take(1, at(7_199), Duration::ZERO), None);
        assert_eq!(bucket.take(1, at(7_200), Duration::ZERO), Some(at(7_200)));
        // What has no room is not saved.
        assert!(!bucket.is_full(at(9_199)) && bucket.is_full(at(9_200)));
        assert_eq!(bucket.take(21, at(99_000), Duration::ZERO), None);
        assert_eq!(bucket.take(20, at(99_000), Duration::ZERO), Some(at(99_000)));
    }

    #[test]
    fn what_is_put_back_can_be_taken_again_and_no_more() {
        let bucket = Bucket::new(1, SECOND, 5);
        assert_eq!(bucket.take(5, at(1_000), Duration::ZERO), Some(at(1_000)));
        bucket.put_back(2);
        assert_eq!(bucket.take(3, at(1_000), Duration::ZERO), None);
        assert_eq!(bucket.take(2, at(1_000), Duration::ZERO), Some(at(1_000)));
        bucket.put_back(u64::MAX);
        assert_eq!(bucket.take(6, at(1_000), Duration::ZERO), None, "it holds five");
    }

    #[test]
    fn part_of_what_is_wanted_may_be_taken() {
        let bucket = Bucket::new(10, SECOND, 20);
        let most = |most: u64| move |saved: u64| most.min(saved.max(3));
        assert_eq!(bucket.take_some(most(100), at(0), SECOND), Some((20, at(0))));
        assert_eq!(bucket.take_some(most(100), at(0), SECOND), Some((3, at(300))));
        assert_eq!(bucket.take_some(most(2), at(0), SECOND), Some((2, at(500))));
    }

    #[test]
    fn clock_read_before_another_thread_took_its_turn_does_no_harm() {
        let bucket = Bucket::new(2, SECOND, 2);
        assert_eq!(bucket.take(2, at(11_000), Duration::ZERO), Some(at(11_000)));
        assert_eq!(bucket.take(1, at(10_000), Duration::ZERO), None);
        assert_eq!(bucket.take(1, at(11_500), Duration::ZERO), Some(at(11_500)));
    }

    #[expect(clippy::disallowed_methods, reason = "threads compete for it")]
    #[test]
    fn many_threads_take_no_more_than_there_is() {
        let bucket = Bucket::new(1, SECOND, 10_000);
        let taken: usize = std::thread::scope(|scope| {
            let take = || (0..5_000).filter(|_| bucket.take(1, at(5), Duration::ZERO).is_some()).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(taken, 10_000);
    }

    /// A bucket by the book: every unit has its time, and is put in by itself.
    struct Model {
        count: u128,
        period: u128,
        saved_max: i128,
        saved: i128,
        filled: u128,
    }

    impl Model {
        /// The `number`th unit comes at the first nanosecond at which that many have had their share of a period.
        fn fill(&mut self, now: u128) {
            let mut number = self.filled * self.count / self.period + 1;
            while number * self.period <= now * self.count {
                self.saved = (self.saved + 1).min(self.saved_max);
                number += 1;
            }
            self.filled = now;
        }

        /// When the bucket no longer lacks anything.
        fn ready(&self, now: u128) -> u128 {
            let mut model = Self { ..*self };
            let mut time = now;
            while model.saved < 0 {
                let number = time * self.count / self.period + 1;
                time = (number * self.period).div_ceil(self.count);
                model.fill(time);
            }
            time
        }

        fn take(&mut self, units: i128, now: u128, wait: u128) -> Option<u128> {
            self.fill(now);
            self.saved -= units;
            let ready = self.ready(now);
            if ready > now + wait {
                self.saved += units;
                return None;
            }
            Some(ready)
        }
    }

    proptest! {
        #[test]
        fn bucket_gives_what_a_plain_model_gives(
            count in 1_u64..2_000,
            period in prop_oneof![Just(SECOND), Just(Duration::from_secs(3_600)), (1_u64..5_000_000_000).prop_map(Duration::from_nanos)],
            saved_max in 1_u64..50,
            steps in prop::collection::vec((0_u64..2_500, 0_u64..60, 0_u64..40), 1..60),
        ) {
            let bucket = Bucket::new(count, period, saved_max);
            let saved = i128::from(saved_max);
            let mut model = Model { count: count.into(), period: period.as_nanos(), saved_max: saved, saved, filled: 0 };
            // In thousandths of what one unit takes, so that every kind of step occurs at every rate.
            let share = |thousandths: u64| Duration::from_nanos((period.as_nanos() as u64 / count).max(1) * thousandths / 1_000);
            let (mut now, mut granted) = (Duration::ZERO, 0);
            for (passed, units, patience) in steps {
                now += share(passed);
                let wait = share(patience * 1_000);
                let taken = bucket.take(units, now, wait);
                let expected = model.take(units.into(), now.as_nanos(), wait.as_nanos());
                prop_assert_eq!(taken.map(|at| at.as_nanos()), expected);
                granted += if taken.is_some_and(|at| at <= now) { units } else { 0 };
                prop_assert!(u128::from(granted) <= u128::from(saved_max) + now.as_nanos() * u128::from(count) / period.as_nanos());
                prop_assert_eq!(bucket.is_full(now), model.saved == saved);
            }
        }
    }
}
