//! A line a second at most, or a few, or so many an hour, for events that outsiders can cause as often as they like.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::core::model::Tick;

const SECOND_NANOSECONDS: u64 = 1_000_000_000;
const HOUR_NANOSECONDS: u64 = 3_600 * SECOND_NANOSECONDS;

/// Lets so many events a second or an hour through, by default one a second, and counts the others. Lock-free.
#[derive(Debug)]
pub struct RateLimit {
    /// The second or the hour, in nanoseconds.
    period: u64,
    /// One event's share of it.
    share: u64,
    /// Up to when events that have passed have taken their shares. It may lie a period ahead: so many pass at once.
    taken_until: AtomicU64,
    held: AtomicU64,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self::per_second(1)
    }
}

/// How many events before this one were not told; displayed as a closing remark, or as nothing where there were none.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Untold(u64);

impl fmt::Display for Untold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            count => write!(f, " (and {count} more since the last such line)"),
        }
    }
}

impl RateLimit {
    /// Lets `most` through, at least one.
    pub fn per_second(most: u64) -> Self {
        Self::per(SECOND_NANOSECONDS, most)
    }

    /// Lets `most` through an hour, at least one: so many at once, and later one after another as their time comes.
    pub fn per_hour(most: u64) -> Self {
        Self::per(HOUR_NANOSECONDS, most)
    }

    fn per(period: u64, most: u64) -> Self {
        let share = period / most.max(1);
        Self { period, share, taken_until: AtomicU64::new(0), held: AtomicU64::new(0) }
    }

    /// `Some` where an event may be told now, with how many before it were not.
    pub fn allow(&self, now: Tick) -> Option<Untold> {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let take = |taken_until: u64| {
            let next = now.max(taken_until).saturating_add(self.share);
            (next - now <= self.period).then_some(next)
        };
        if self.taken_until.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
            return Some(Untold(self.held.swap(0, Ordering::Relaxed)));
        }
        self.held.fetch_add(1, Ordering::Relaxed);
        None
    }

    /// One that was held back has been told for another reason.
    pub fn told_after_all(&self) {
        // Where a later event has counted it already, that cannot be mended.
        let _ = self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| held.checked_sub(1));
    }

    /// How many events have not been told since the last that was; `None` without any. Asked at the end, when no later event
    /// will tell.
    pub fn take_untold(&self) -> Option<u64> {
        Some(self.held.swap(0, Ordering::Relaxed)).filter(|&count| count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_a_second_passes_with_the_count_of_the_others() {
        let limit = RateLimit::default();
        let at = Tick::from_millis;
        assert_eq!(limit.allow(at(0)), Some(Untold(0)));
        assert_eq!(limit.allow(at(1)), None);
        assert_eq!(limit.allow(at(999)), None);
        assert_eq!(limit.allow(at(1000)), Some(Untold(2)));
        assert_eq!(limit.allow(at(1001)), None);
        assert_eq!(limit.allow(at(9000)), Some(Untold(1)));
        assert_eq!(limit.take_untold(), None);
        assert_eq!(limit.allow(at(9001)), None);
        assert_eq!(limit.take_untold(), Some(1));
        assert_eq!(limit.take_untold(), None);
    }

    #[test]
    fn several_a_second_pass_at_once_or_one_by_one() {
        let limit = RateLimit::per_second(4);
        let passes =
            |ms: [u64; 5]| ms.map(|ms| limit.allow(Tick::from_millis(ms)).map(|Untold(count)| count));
        assert_eq!(passes([5000; 5]), [Some(0), Some(0), Some(0), Some(0), None]);
        assert_eq!(passes([5249, 5250, 5250, 5499, 5500]), [None, Some(2), None, None, Some(2)]);
        assert_eq!(passes([9000; 5]), [Some(0), Some(0), Some(0), Some(0), None]);
        limit.told_after_all();
        assert_eq!(limit.take_untold(), None);
    }

    #[test]
    fn an_hours_events_pass_at_once_and_then_one_in_each_share_of_it() {
        let limit = RateLimit::per_hour(60);
        let passed = |second: u64, tries: usize| {
            (0..tries).filter(|_| limit.allow(Tick::from_secs(second)).is_some()).count()
        };
        assert_eq!(passed(7_200, 100), 60);
        assert_eq!([passed(7_259, 9), passed(7_260, 9), passed(7_379, 9), passed(7_380, 9)], [0, 1, 1, 1]);
        assert_eq!(passed(90_000, 100), 60);
    }
}
