//! A line a second at most, for events that outsiders can cause as often as they like.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::core::model::Tick;

const INTERVAL_NANOSECONDS: u64 = 1_000_000_000;

/// Lets one event a second through and counts the others. Lock-free.
#[derive(Debug, Default)]
pub struct RateLimit {
    /// From when on the next may pass, in nanoseconds.
    open_at: AtomicU64,
    held: AtomicU64,
}

/// How many events before this one were not told; displayed as a closing remark, or as nothing where there were none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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
    /// `Some` where an event may be told now, with how many before it were not.
    pub fn allow(&self, now: Tick) -> Option<Untold> {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let open_at = self.open_at.load(Ordering::Relaxed);
        let next = now.saturating_add(INTERVAL_NANOSECONDS);
        let is_open = now >= open_at
            && self.open_at.compare_exchange(open_at, next, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if is_open {
            return Some(Untold(self.held.swap(0, Ordering::Relaxed)));
        }
        self.held.fetch_add(1, Ordering::Relaxed);
        None
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
}
