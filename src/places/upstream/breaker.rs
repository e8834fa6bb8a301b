//! The circuit breaker: an upstream that fails repeatedly is left alone, and retried automatically.

#![deny(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]

use std::time::Duration;

use super::fault::CallFault;
use crate::{core::model::Tick, metrics::CallOutcome, places::Failure};

/// The most times that the wait doubles.
const DOUBLINGS_MAX: u32 = 5;

/// Whether an upstream may be called.
#[derive(Debug)]
pub(super) struct Breaker {
    failures_max: usize,
    first_wait: Duration,
    state: State,
    /// How many times it has opened without an answer in between.
    openings: u32,
}

#[derive(Debug)]
enum State {
    Closed {
        failures: usize,
    },
    Open {
        until: Tick,
        why: Failure,
    },
    /// One call is in progress to find out.
    Trying {
        why: Failure,
    },
}

/// What the end of a call has changed; for the log.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Change {
    /// The upstream is left alone for this long.
    Opened(Duration),
    /// It answers again.
    Closed,
}

impl Breaker {
    pub(super) fn new(failures_max: usize, first_wait: Duration) -> Self {
        Self { failures_max, first_wait, state: State::Closed { failures: 0 }, openings: 0 }
    }

    pub(super) fn is_open(&self) -> bool {
        !matches!(self.state, State::Closed { .. })
    }

    /// Lets a call through, or says why the last ones failed. Every call let through must be ended.
    pub(super) fn admit(&mut self, now: Tick) -> Result<(), Failure> {
        match &self.state {
            State::Closed { .. } => Ok(()),
            State::Open { until, why } if now >= *until => {
                self.state = State::Trying { why: why.clone() };
                Ok(())
            }
            State::Open { why, .. } | State::Trying { why } => Err(why.clone()),
        }
    }

    /// A call that was let through was not made after all.
    pub(super) fn withdraw(&mut self, now: Tick) {
        if let State::Trying { why } = &self.state {
            self.state = State::Open { until: now, why: why.clone() };
        }
    }

    /// A call has been answered.
    pub(super) fn succeeded(&mut self) -> Option<Change> {
        let was_open = self.is_open();
        self.state = State::Closed { failures: 0 };
        self.openings = 0;
        was_open.then_some(Change::Closed)
    }

    /// A call has failed. A refused key will be refused again, so that opens the breaker at once; a question that was
    /// not understood does not count against the upstream.
    pub(super) fn failed(&mut self, fault: &CallFault, now: Tick) -> Option<Change> {
        if fault.outcome == CallOutcome::Invalid {
            return self.succeeded();
        }
        let failures = match &self.state {
            State::Closed { failures } => failures + 1,
            State::Trying { .. } => self.failures_max,
            // The call began before it opened.
            State::Open { .. } => return None,
        };
        if failures < self.failures_max && fault.outcome != CallOutcome::Denied {
            self.state = State::Closed { failures };
            return None;
        }
        let wait = self.first_wait * 2_u32.pow(self.openings.min(DOUBLINGS_MAX));
        self.openings += 1;
        self.state = State::Open { until: now + wait, why: fault.failure.clone() };
        Some(Change::Opened(wait))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Tick {
        Duration::from_secs(seconds)
    }

    fn fault(outcome: CallOutcome) -> CallFault {
        CallFault::new(outcome, "down".to_owned())
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::new(3, seconds(5));
        assert_eq!(breaker.failed(&fault(CallOutcome::Timeout), seconds(0)), None);
        assert_eq!(breaker.failed(&fault(CallOutcome::Timeout), seconds(0)), None);
        assert_eq!(breaker.admit(seconds(0)), Ok(()));
        assert_eq!(
            breaker.failed(&fault(CallOutcome::Limited), seconds(10)),
            Some(Change::Opened(seconds(5)))
        );
        breaker
    }

    #[test]
    fn so_many_failures_in_a_row_open_it_and_it_says_why() {
        let mut breaker = opened();
        assert!(breaker.is_open());
        assert_eq!(breaker.admit(seconds(14)).unwrap_err().status, "OVER_QUERY_LIMIT");
    }

    #[test]
    fn an_answer_in_between_begins_the_count_again() {
        let mut breaker = Breaker::new(2, seconds(5));
        for _ in 0..5 {
            assert_eq!(breaker.failed(&fault(CallOutcome::Unavailable), seconds(0)), None);
            assert_eq!(breaker.succeeded(), None);
        }
    }

    #[test]
    fn after_the_wait_one_call_finds_out() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(seconds(15)), Ok(()));
        assert!(breaker.admit(seconds(15)).is_err(), "one at a time");
        assert_eq!(breaker.succeeded(), Some(Change::Closed));
        assert_eq!(breaker.admit(seconds(15)), Ok(()));
        assert!(!breaker.is_open());
    }

    #[test]
    fn each_vain_try_doubles_the_wait_up_to_a_limit_and_an_answer_resets_it() {
        let mut breaker = opened();
        let mut now = seconds(15);
        for wait in [10, 20, 40, 80, 160, 160] {
            assert_eq!(breaker.admit(now), Ok(()));
            let failed = breaker.failed(&fault(CallOutcome::Timeout), now);
            assert_eq!(failed, Some(Change::Opened(seconds(wait))));
            assert!(breaker.admit(now + seconds(wait) - Duration::from_nanos(1)).is_err());
            now += seconds(wait);
        }
        assert_eq!(breaker.admit(now), Ok(()));
        breaker.succeeded();
        for _ in 0..2 {
            assert_eq!(breaker.failed(&fault(CallOutcome::Timeout), now), None);
        }
        assert_eq!(breaker.failed(&fault(CallOutcome::Timeout), now), Some(Change::Opened(seconds(5))));
    }

    #[test]
    fn a_refused_key_opens_it_at_once_and_an_invalid_question_never() {
        let mut breaker = Breaker::new(3, seconds(5));
        for _ in 0..9 {
            assert_eq!(breaker.failed(&fault(CallOutcome::Invalid), seconds(0)), None);
        }
        assert_eq!(breaker.failed(&fault(CallOutcome::Denied), seconds(0)), Some(Change::Opened(seconds(5))));
        assert_eq!(breaker.admit(seconds(1)).unwrap_err().status, "REQUEST_DENIED");
    }

    #[test]
    fn calls_that_began_before_it_opened_do_not_lengthen_the_wait() {
        let mut breaker = opened();
        assert_eq!(breaker.failed(&fault(CallOutcome::Timeout), seconds(12)), None);
        assert_eq!(breaker.admit(seconds(15)), Ok(()));
    }

    #[test]
    fn a_try_that_is_withdrawn_leaves_room_for_the_next() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(seconds(15)), Ok(()));
        breaker.withdraw(seconds(15));
        assert_eq!(breaker.admit(seconds(15)), Ok(()));
    }
}
