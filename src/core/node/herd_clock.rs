//! What the fastest clock of a herd that forgets by age shows at least: watermarks move by it, so a node whose own clock is
//! slow knows it by the watermark that it has taken and the time that has passed since.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::core::model::{Generation, RetentionTimes, Tick, Timestamp};

/// That clock, as one node knows it. It never goes back, as the watermark does not.
#[derive(Debug)]
pub(super) struct HerdClock {
    /// Its milliseconds since 1970, less those of the node's ticks.
    ahead: AtomicI64,
}

impl Default for HerdClock {
    fn default() -> Self {
        Self { ahead: AtomicI64::new(i64::MIN) }
    }
}

impl HerdClock {
    /// The node takes this watermark: some clock is `forget_after` later.
    pub(super) fn took(&self, times: RetentionTimes, watermark: u64, now: Tick) {
        let shows = i64::try_from(watermark.saturating_add(times.forget_after).saturating_mul(1_000));
        let ahead = shows.unwrap_or(i64::MAX).saturating_sub(milliseconds(now));
        self.ahead.fetch_max(ahead, Ordering::Relaxed);
    }

    /// The generation of its time now; the first of all while no watermark was taken.
    pub(super) fn generation(&self, now: Tick) -> Generation {
        let shows = self.ahead.load(Ordering::Relaxed).saturating_add(milliseconds(now));
        let time = u64::try_from(shows).ok().map(|shows| {
            let (seconds, rest) = (shows / 1_000, shows % 1_000);
            Timestamp::new(seconds, rest as u32 * 1_000_000)
        });
        time.and_then(Generation::at).unwrap_or(Generation::FIRST)
    }
}

fn milliseconds(tick: Tick) -> i64 {
    i64::try_from(tick.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_goes_on_from_the_watermark_and_never_back() {
        let times = RetentionTimes::of(3_600);
        let at = |clock: &HerdClock, seconds: u64| clock.generation(Duration::from_secs(seconds)).number();
        let clock = HerdClock::default();
        assert_eq!(at(&clock, 5), 0);
        clock.took(times, 996_360, Duration::from_secs(5));
        assert_eq!((at(&clock, 5), at(&clock, 7)), (999_960_000, 999_962_000));
        // A watermark that comes late tells less than is known.
        clock.took(times, 996_420, Duration::from_secs(70));
        assert_eq!(at(&clock, 70), 1_000_025_000);
        clock.took(times, 996_480, Duration::from_secs(71));
        assert_eq!(at(&clock, 71), 1_000_080_000);
        clock.took(times, u64::MAX, Duration::from_secs(71));
        assert_eq!(at(&clock, 71), 0, "no generation is as late");
    }
}
