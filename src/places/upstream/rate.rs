//! The node's own limits on calls: per second and per day, because an upstream bills by the call.

#![deny(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]

use std::time::Duration;

use crate::{core::model::Tick, metrics::NotAsked};

const DAY: Duration = Duration::from_secs(86_400);

/// A bucket that fills evenly up to a second's worth, and a count that starts over each day since the start.
#[derive(Debug)]
pub(super) struct Rate {
    per_second: u64,
    per_day: usize,
    /// In billionths of a call.
    saved: u64,
    filled: Tick,
    started: Tick,
    day: u64,
    today: usize,
    /// Whether it was reported that today's calls are used up.
    is_end_told: bool,
}

const CALL: u64 = 1_000_000_000;

impl Rate {
    pub(super) fn new(per_second: usize, per_day: usize, now: Tick) -> Self {
        let per_second = per_second as u64;
        Self {
            per_second,
            per_day,
            saved: per_second * CALL,
            filled: now,
            started: now,
            day: 0,
            today: 0,
            is_end_told: false,
        }
    }

    /// Takes one call, if there is one left.
    pub(super) fn take(&mut self, now: Tick) -> Result<(), NotAsked> {
        let day = now.saturating_sub(self.started).as_secs() / DAY.as_secs();
        if day != self.day {
            (self.day, self.today, self.is_end_told) = (day, 0, false);
        }
        if self.today >= self.per_day {
            return Err(NotAsked::Day);
        }
        let passed = now.saturating_sub(self.filled).min(Duration::from_secs(1)).as_nanos() as u64;
        self.filled = self.filled.max(now);
        self.saved = (self.saved + passed * self.per_second).min(self.per_second * CALL);
        if self.saved < CALL {
            return Err(NotAsked::Rate);
        }
        self.saved -= CALL;
        self.today += 1;
        Ok(())
    }

    /// Whether to report that today's calls are used up; true once a day.
    pub(super) fn take_end_of_day(&mut self) -> bool {
        self.today >= self.per_day && !std::mem::replace(&mut self.is_end_told, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(rate: &mut Rate, now: Tick, tries: usize) -> usize {
        (0..tries).filter(|_| rate.take(now).is_ok()).count()
    }

    #[test]
    fn a_seconds_worth_may_come_at_once_and_then_only_as_time_passes() {
        let start = Duration::from_secs(7);
        let mut rate = Rate::new(10, 1000, start);
        assert_eq!(taken(&mut rate, start, 20), 10);
        assert_eq!(rate.take(start), Err(NotAsked::Rate));
        assert_eq!(taken(&mut rate, start + Duration::from_millis(99), 5), 0);
        assert_eq!(taken(&mut rate, start + Duration::from_millis(100), 5), 1);
        assert_eq!(
            taken(&mut rate, start + Duration::from_secs(3600), 99),
            10,
            "what is not used is not saved up"
        );
    }

    #[test]
    fn small_steps_lose_nothing() {
        let mut rate = Rate::new(1_000_000, usize::MAX, Duration::ZERO);
        assert_eq!(taken(&mut rate, Duration::ZERO, 1_000_000), 1_000_000);
        let steps = (1..=30_000_u64).map(|step| Duration::from_nanos(step * 333));
        let count: usize = steps.map(|now| taken(&mut rate, now, 3)).sum();
        assert_eq!(count, 9_990);
    }

    #[test]
    fn a_days_calls_end_and_come_back_the_next_day() {
        let start = Duration::from_secs(50);
        let mut rate = Rate::new(100, 3, start);
        assert_eq!(taken(&mut rate, start, 9), 3);
        assert_eq!(rate.take(start + DAY - Duration::from_nanos(1)), Err(NotAsked::Day));
        assert_eq!(taken(&mut rate, start + DAY, 9), 3);
    }

    #[test]
    fn end_of_a_days_calls_is_told_once_a_day() {
        let mut rate = Rate::new(10, 1, Duration::ZERO);
        assert!(!rate.take_end_of_day(), "none is used up yet");
        for day in 0..2 {
            let now = DAY * day + Duration::from_secs(1);
            assert_eq!(taken(&mut rate, now, 3), 1);
            assert_eq!([rate.take_end_of_day(), rate.take_end_of_day()], [true, false]);
        }
    }

    #[test]
    fn a_clock_read_before_another_thread_took_its_turn_does_no_harm() {
        let mut rate = Rate::new(2, 10, Duration::from_secs(10));
        assert_eq!(taken(&mut rate, Duration::from_secs(11), 9), 2);
        assert_eq!(rate.take(Duration::from_secs(10)), Err(NotAsked::Rate));
        assert_eq!(taken(&mut rate, Duration::from_millis(11_500), 9), 1);
    }
}
