//! When to dial a neighbour, for both kinds of link: immediately at first and when it calls, otherwise after a wait
//! that doubles with each failure, with full jitter, until a connection was good for a while.

use std::time::Duration;

use super::LinkTimes;
use crate::core::model::Tick;

/// Whether a link is up, and when it may be dialled if it is not.
#[derive(Debug)]
pub(super) struct Dialling {
    backoff: Backoff,
    /// It is not dialled before this.
    dial_at: Tick,
    up_since: Option<Tick>,
}

impl Dialling {
    /// For a link that dials at once.
    pub(super) fn new(times: &LinkTimes) -> Self {
        let backoff = Backoff::new(times.backoff_min, times.backoff_max, times.backoff_reset);
        Self { backoff, dial_at: Tick::ZERO, up_since: None }
    }

    /// When to dial the neighbour.
    pub(super) fn dial_at(&self) -> Tick {
        self.dial_at
    }

    /// Whether the handshake, if there is one, is done, and nothing has failed since.
    pub(super) fn is_up(&self) -> bool {
        self.up_since.is_some()
    }

    /// The link is up.
    pub(super) fn up(&mut self, now: Tick) {
        self.up_since = Some(now);
    }

    /// The connection broke, or could not be made. `random` is any 64 random bits.
    pub(super) fn lost(&mut self, now: Tick, random: u64) {
        if let Some(since) = self.up_since.take() {
            self.backoff.was_up(now.saturating_sub(since));
        }
        self.dial_at = now + self.backoff.next_wait(random);
    }

    /// The neighbour has just connected to this node, so it can be dialled without waiting.
    pub(super) fn called(&mut self, now: Tick) {
        self.dial_at = now;
    }
}

/// Waits that double from a smallest bound to a largest one, each drawn evenly from zero up to the bound, so that nodes
/// that lost each other together do not dial together. A link that was up for long enough starts over from the
/// smallest.
#[derive(Clone, Debug)]
struct Backoff {
    min: Duration,
    max: Duration,
    bound: Duration,
    reset_after: Duration,
}

impl Backoff {
    /// Waits bounded by `min` at first and by `max` at last, and by `min` again after a link was up for `reset_after`.
    fn new(min: Duration, max: Duration, reset_after: Duration) -> Self {
        Self { min, max, bound: min, reset_after }
    }

    /// The next wait; `random` is any 64 random bits.
    fn next_wait(&mut self, random: u64) -> Duration {
        let bound = self.bound;
        self.bound = (bound * 2).min(self.max);
        // The bound's fraction random / 2^64, exact in 128 bits.
        let nanoseconds = (bound.as_nanos().min(u128::from(u64::MAX)) * u128::from(random)) >> 64;
        Duration::from_nanos(nanoseconds as u64)
    }

    /// The link was up for so long, and is lost.
    fn was_up(&mut self, time: Duration) {
        if time >= self.reset_after {
            self.bound = self.min;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_double_to_the_largest_and_start_again_once_a_link_was_up_for_long_enough() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(100), ms(5000), ms(10_000));
        let bounds: Vec<u128> = (0..8).map(|_| backoff.next_wait(u64::MAX).as_millis() + 1).collect();
        assert_eq!(bounds, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        backoff.was_up(ms(9999));
        assert_eq!(backoff.next_wait(u64::MAX).as_millis() + 1, 5000);
        backoff.was_up(ms(10_000));
        assert_eq!(backoff.next_wait(u64::MAX).as_millis() + 1, 100);
    }

    #[test]
    fn jitter_is_full() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(1), Duration::ZERO);
        assert_eq!(backoff.next_wait(0), Duration::ZERO);
        assert_eq!(backoff.next_wait(1 << 63), Duration::from_millis(500));
    }
}
