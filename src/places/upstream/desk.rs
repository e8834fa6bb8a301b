//! Who may call an upstream, who waits for another lookup's call, and who is turned away: one pure state under one
//! lock, held briefly. It gets the time as an argument and makes no call.

#![deny(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use super::{
    LookupKey,
    breaker::{Breaker, Change},
    cache::Cache,
    fault::CallFault,
    flight::Flight,
    rate::Rate,
};
use crate::{
    config::UpstreamLimits,
    core::model::Tick,
    metrics::NotAsked,
    places::{Failure, cut::Document},
};

/// The state of one upstream.
#[derive(Debug)]
pub(super) struct Desk {
    source: &'static str,
    lookups_max: usize,
    lookups: usize,
    flights: HashMap<LookupKey, Arc<Flight>>,
    cache: Cache,
    rate: Rate,
    breaker: Breaker,
}

/// What a lookup must do. After `Lead` and `Follow`, it must [leave](Desk::leave).
#[derive(Debug)]
pub(super) enum Turn {
    /// Nothing: here is the answer.
    Kept(Arc<Document>),
    /// Wait for another lookup's call.
    Follow(Arc<Flight>),
    /// Make the call, and [land](Desk::land) its result.
    Lead(Arc<Flight>),
    /// Do without.
    Refused(NotAsked, Failure),
}

impl Desk {
    pub(super) fn new(source: &'static str, limits: &UpstreamLimits, now: Tick) -> Self {
        Self {
            source,
            lookups_max: limits.lookups,
            lookups: 0,
            flights: HashMap::new(),
            cache: Cache::new(limits.cache_time, limits.cache_bytes),
            rate: Rate::new(limits.calls_per_second, limits.calls_per_day, now),
            breaker: Breaker::new(limits.breaker_failures, limits.breaker_time),
        }
    }

    /// A lookup arrives.
    pub(super) fn ask(&mut self, key: LookupKey, now: Tick) -> Turn {
        if let Some(document) = self.cache.get(key, now) {
            return Turn::Kept(document);
        }
        if self.lookups >= self.lookups_max {
            return self.refused(NotAsked::Lookups);
        }
        let Entry::Vacant(vacant) = self.flights.entry(key) else {
            self.lookups += 1;
            return Turn::Follow(Arc::clone(&self.flights[&key]));
        };
        if let Err(why) = self.breaker.admit(now) {
            return Turn::Refused(NotAsked::Breaker, why);
        }
        if let Err(why) = self.rate.take(now) {
            self.breaker.withdraw(now);
            return self.refused(why);
        }
        self.lookups += 1;
        Turn::Lead(Arc::clone(vacant.insert(Arc::default())))
    }

    /// After a refusal for the day: whether it is the first of that day, which is worth a line in the log.
    pub(super) fn take_end_of_day(&mut self) -> bool {
        self.rate.take_end_of_day()
    }

    fn refused(&self, why: NotAsked) -> Turn {
        let message = match why {
            NotAsked::Lookups => {
                format!("Too many lookups are waiting for {}; ask again later.", self.source)
            }
            NotAsked::Day => {
                format!("This server has asked {} as often as it may today; ask again tomorrow.", self.source)
            }
            NotAsked::Rate | NotAsked::Breaker => {
                format!("This server asks {} as often as it may; ask again later.", self.source)
            }
        };
        Turn::Refused(why, Failure { status: "OVER_QUERY_LIMIT", message })
    }

    /// Whether a call may be retried.
    pub(super) fn may_retry(&mut self, now: Tick) -> bool {
        self.rate.take(now).is_ok()
    }

    /// The call for that key has ended; the caller must tell those who wait for it.
    pub(super) fn land(
        &mut self,
        key: LookupKey,
        answer: &Result<Arc<Document>, CallFault>,
        now: Tick,
    ) -> Option<Change> {
        self.flights.remove(&key);
        match answer {
            Ok(document) => {
                self.cache.put(key, document, now);
                self.breaker.succeeded()
            }
            Err(fault) => self.breaker.failed(fault, now),
        }
    }

    /// A lookup that has led or followed is over.
    pub(super) fn leave(&mut self) {
        self.lookups -= 1;
    }

    pub(super) fn lookups(&self) -> usize {
        self.lookups
    }

    pub(super) fn is_breaker_open(&self) -> bool {
        self.breaker.is_open()
    }

    pub(super) fn cache_bytes(&self) -> usize {
        self.cache.bytes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::metrics::CallOutcome;

    const NOW: Tick = Duration::from_secs(100);

    fn desk(limits: &UpstreamLimits) -> Desk {
        Desk::new("google", limits, NOW)
    }

    fn key(number: u64) -> LookupKey {
        LookupKey([number, 0, 0])
    }

    fn document() -> Arc<Document> {
        Arc::new(Document::parse(b"{\"results\":[1]}".to_vec(), "results").unwrap())
    }

    fn leads(turn: &Turn) -> bool {
        matches!(turn, Turn::Lead(_))
    }

    #[test]
    fn one_leads_and_the_others_follow_until_it_lands() {
        let mut desk = desk(&UpstreamLimits::default());
        let Turn::Lead(first) = desk.ask(key(1), NOW) else { panic!("the first leads") };
        for _ in 0..3 {
            let Turn::Follow(flight) = desk.ask(key(1), NOW) else { panic!("others follow") };
            assert!(Arc::ptr_eq(&first, &flight));
        }
        assert!(leads(&desk.ask(key(2), NOW)), "another question is another call");
        assert_eq!(desk.lookups(), 5);
        desk.land(key(1), &Ok(document()), NOW);
        (0..5).for_each(|_| desk.leave());
        assert!(leads(&desk.ask(key(1), NOW)), "nothing is kept unless that is switched on");
    }

    #[test]
    fn what_is_kept_is_given_and_a_failure_is_not_kept() {
        let mut desk =
            desk(&UpstreamLimits { cache_time: Duration::from_secs(9), ..UpstreamLimits::default() });
        assert!(leads(&desk.ask(key(1), NOW)));
        desk.land(key(1), &Err(CallFault::new(CallOutcome::Timeout, String::new())), NOW);
        assert!(leads(&desk.ask(key(1), NOW)));
        desk.land(key(1), &Ok(document()), NOW);
        assert!(matches!(desk.ask(key(1), NOW), Turn::Kept(_)));
        assert!(leads(&desk.ask(key(1), NOW + Duration::from_secs(9))));
    }

    #[test]
    fn no_more_lookups_wait_than_may_and_each_that_leaves_makes_room() {
        let mut desk = desk(&UpstreamLimits { lookups: 2, ..UpstreamLimits::default() });
        assert!(leads(&desk.ask(key(1), NOW)));
        assert!(matches!(desk.ask(key(1), NOW), Turn::Follow(_)));
        for number in [1, 2] {
            let Turn::Refused(why, failure) = desk.ask(key(number), NOW) else { panic!("full") };
            assert_eq!((why, failure.status), (NotAsked::Lookups, "OVER_QUERY_LIMIT"));
        }
        desk.leave();
        assert!(leads(&desk.ask(key(2), NOW)));
    }

    #[test]
    fn calls_beyond_our_own_limit_are_refused_and_calls_again_count() {
        let mut desk = desk(&UpstreamLimits { calls_per_second: 2, ..UpstreamLimits::default() });
        assert!(leads(&desk.ask(key(1), NOW)));
        assert!(desk.may_retry(NOW));
        assert!(!desk.may_retry(NOW));
        let Turn::Refused(why, failure) = desk.ask(key(2), NOW) else { panic!("too often") };
        assert_eq!((why, failure.status), (NotAsked::Rate, "OVER_QUERY_LIMIT"));
        assert!(matches!(desk.ask(key(1), NOW), Turn::Follow(_)), "who follows calls nobody");
    }

    #[test]
    fn while_the_breaker_is_open_nobody_calls_and_one_tries_again() {
        let mut desk =
            desk(&UpstreamLimits { breaker_failures: 1, calls_per_second: 2, ..UpstreamLimits::default() });
        assert!(leads(&desk.ask(key(1), NOW)));
        let fault = CallFault::new(CallOutcome::Denied, "no".to_owned());
        assert_eq!(desk.land(key(1), &Err(fault), NOW), Some(Change::Opened(Duration::from_secs(5))));
        let Turn::Refused(why, failure) = desk.ask(key(1), NOW) else { panic!("open") };
        assert_eq!((why, failure.status), (NotAsked::Breaker, "REQUEST_DENIED"));
        let later = NOW + Duration::from_secs(5);
        assert!(leads(&desk.ask(key(1), later)));
        assert!(matches!(desk.ask(key(2), later), Turn::Refused(NotAsked::Breaker, _)));
        assert_eq!(desk.land(key(1), &Ok(document()), later), Some(Change::Closed));
        assert!(leads(&desk.ask(key(2), later)));
    }

    #[test]
    fn a_try_that_our_own_limit_stops_does_not_keep_the_breaker_open() {
        let limits = UpstreamLimits { breaker_failures: 1, calls_per_day: 1, ..UpstreamLimits::default() };
        let mut desk = desk(&limits);
        assert!(leads(&desk.ask(key(1), NOW)));
        desk.land(key(1), &Err(CallFault::new(CallOutcome::Timeout, String::new())), NOW);
        let later = NOW + Duration::from_secs(5);
        assert!(matches!(desk.ask(key(1), later), Turn::Refused(NotAsked::Day, _)));
        assert!(matches!(desk.ask(key(1), later), Turn::Refused(NotAsked::Day, _)), "not the breaker");
    }
}
