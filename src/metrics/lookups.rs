//! A node's counts of the upstreams that it asks for places.

use std::sync::atomic::{AtomicU64, Ordering};

/// What became of one call to an upstream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CallOutcome {
    /// It answered, possibly with no places.
    Ok,
    /// It refused the key, or is not enabled for it.
    Denied,
    /// It was asked too often.
    Limited,
    /// It did not understand the question.
    Invalid,
    /// It could not be reached, or said that it cannot answer.
    Unavailable,
    /// It took too long.
    Timeout,
    /// It sent something that is not an answer.
    Malformed,
}

impl CallOutcome {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::Ok,
        Self::Denied,
        Self::Limited,
        Self::Invalid,
        Self::Unavailable,
        Self::Timeout,
        Self::Malformed,
    ];

    /// The label `outcome`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Denied => "denied",
            Self::Limited => "limited",
            Self::Invalid => "invalid",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Malformed => "malformed",
        }
    }
}

/// How a lookup ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LookupOutcome {
    /// With places.
    Ok,
    /// With the answer that there are none.
    ZeroResults,
    /// With an error.
    Failed,
}

impl LookupOutcome {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Ok, Self::ZeroResults, Self::Failed];

    /// The label `outcome`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ZeroResults => "zero_results",
            Self::Failed => "failed",
        }
    }
}

/// Why an upstream was not asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotAsked {
    /// It has failed too often recently.
    Breaker,
    /// It was called as often as allowed this second.
    Rate,
    /// It was called as often as allowed this day.
    Day,
    /// As many lookups wait for it as are allowed.
    Lookups,
}

impl NotAsked {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Breaker, Self::Rate, Self::Day, Self::Lookups];

    /// The label `why`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Breaker => "breaker",
            Self::Rate => "rate",
            Self::Day => "day",
            Self::Lookups => "lookups",
        }
    }
}

/// The counters of one upstream.
#[derive(Default, Debug)]
pub struct Lookups {
    lookups: [AtomicU64; LookupOutcome::ALL.len()],
    calls: [AtomicU64; CallOutcome::ALL.len()],
    refused: [AtomicU64; NotAsked::ALL.len()],
    shared: AtomicU64,
    cached: AtomicU64,
    retries: AtomicU64,
}

impl Lookups {
    /// A lookup has ended.
    pub fn ended(&self, outcome: LookupOutcome) {
        self.lookups[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// A call has ended.
    pub fn called(&self, outcome: CallOutcome) {
        self.calls[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// The upstream was not asked, for this reason.
    pub fn refused(&self, why: NotAsked) {
        self.refused[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// A lookup waits for another lookup's call.
    pub fn shared(&self) {
        self.shared.fetch_add(1, Ordering::Relaxed);
    }

    /// A lookup was answered from the cache.
    pub fn cached(&self) {
        self.cached.fetch_add(1, Ordering::Relaxed);
    }

    /// A call is retried.
    pub fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// All values at this moment, for the upstream of that name.
    pub fn report(&self, source: &'static str) -> UpstreamReport {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        UpstreamReport {
            source,
            lookups: LookupOutcome::ALL.map(|outcome| (outcome.label(), of(&self.lookups[outcome as usize]))),
            calls: CallOutcome::ALL.map(|outcome| (outcome.label(), of(&self.calls[outcome as usize]))),
            refused: NotAsked::ALL.map(|why| (why.label(), of(&self.refused[why as usize]))),
            shared: of(&self.shared),
            cached: of(&self.cached),
            retries: of(&self.retries),
            in_flight: 0,
            is_breaker_open: false,
            cache_bytes: 0,
        }
    }
}

/// One upstream at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UpstreamReport {
    /// Its name in the configuration.
    pub source: &'static str,
    /// How many lookups had each outcome.
    pub lookups: [(&'static str, u64); LookupOutcome::ALL.len()],
    /// How many calls had each outcome.
    pub calls: [(&'static str, u64); CallOutcome::ALL.len()],
    /// How often it was not asked, and why.
    pub refused: [(&'static str, u64); NotAsked::ALL.len()],
    /// Lookups that shared another lookup's call.
    pub shared: u64,
    /// Lookups answered from the cache.
    pub cached: u64,
    /// Calls retried.
    pub retries: u64,
    /// Lookups that wait now.
    pub in_flight: usize,
    /// Whether the breaker keeps lookups from it now.
    pub is_breaker_open: bool,
    /// How much memory the cached answers use.
    pub cache_bytes: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_count_lands_under_its_own_label() {
        let lookups = Lookups::default();
        lookups.ended(LookupOutcome::ZeroResults);
        lookups.called(CallOutcome::Timeout);
        lookups.refused(NotAsked::Day);
        lookups.shared();
        lookups.cached();
        lookups.cached();
        lookups.retried();
        let report = lookups.report("google");
        assert_eq!(report.lookups, [("ok", 0), ("zero_results", 1), ("failed", 0)]);
        assert_eq!(report.calls.iter().find(|(_, count)| *count > 0), Some(&("timeout", 1)));
        assert_eq!(report.refused.iter().find(|(_, count)| *count > 0), Some(&("day", 1)));
        assert_eq!((report.shared, report.cached, report.retries), (1, 2, 1));
        assert!(CallOutcome::ALL.iter().enumerate().all(|(place, &outcome)| outcome as usize == place));
        assert!(NotAsked::ALL.iter().enumerate().all(|(place, &why)| why as usize == place));
    }
}
