//! When a link dials, speaks and starts anew: its state, without sockets or clocks. The flooder asks what is due, does
//! it, and says how it went.

use std::time::Duration;

use super::Backoff;
use crate::clock::Tick;

/// The times a link lives by.
#[derive(Clone, Copy, Debug)]
pub struct LinkTimes {
    /// The first bound of the wait before dialling again.
    pub backoff_min: Duration,
    /// Its last bound.
    pub backoff_max: Duration,
    /// How long a connection must have been good for the bound to start again.
    pub backoff_reset: Duration,
    /// After how long without a line an idle line is sent.
    pub idle: Duration,
}

/// What a link should do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Due {
    /// Dial the neighbour now.
    Dial,
    /// Send an idle line now.
    Idle,
    /// Nothing before this moment.
    Wait(Tick),
}

/// One link, as its flooder sees it.
#[derive(Debug)]
pub struct Link {
    times: LinkTimes,
    backoff: Backoff,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Down { dial_at: Tick },
    Up { since: Tick, spoke: Tick },
}

impl Link {
    /// A link that dials at once.
    pub fn new(times: LinkTimes) -> Self {
        let backoff = Backoff::new(times.backoff_min, times.backoff_max);
        Self { times, backoff, state: State::Down { dial_at: Tick::ZERO } }
    }

    /// What to do at `now`.
    pub fn due(&self, now: Tick) -> Due {
        let (at, what) = match self.state {
            State::Down { dial_at } => (dial_at, Due::Dial),
            State::Up { spoke, .. } => (spoke + self.times.idle, Due::Idle),
        };
        if now >= at { what } else { Due::Wait(at) }
    }

    /// The handshake is done.
    pub fn linked(&mut self, now: Tick) {
        self.state = State::Up { since: now, spoke: now };
    }

    /// Something was sent.
    pub fn spoke(&mut self, now: Tick) {
        if let State::Up { spoke, .. } = &mut self.state {
            *spoke = now;
        }
    }

    /// The connection broke, or dialling failed. `random` is any 64 random bits.
    pub fn failed(&mut self, now: Tick, random: u64) {
        if let State::Up { since, .. } = self.state
            && now.saturating_sub(since) >= self.times.backoff_reset
        {
            self.backoff.reset();
        }
        self.state = State::Down { dial_at: now + self.backoff.next_wait(random) };
    }

    /// The neighbour has just connected to this node, so it can be dialled without waiting.
    pub fn neighbour_called(&mut self, now: Tick) {
        if let State::Down { dial_at } = &mut self.state {
            *dial_at = now;
        }
    }

    /// Whether the handshake is done and nothing has failed since.
    pub fn is_up(&self) -> bool {
        matches!(self.state, State::Up { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: LinkTimes = LinkTimes {
        backoff_min: Duration::from_millis(100),
        backoff_max: Duration::from_secs(5),
        backoff_reset: Duration::from_secs(10),
        idle: Duration::from_secs(1),
    };

    fn ms(ms: u64) -> Tick {
        Tick::from_millis(ms)
    }

    /// Random bits that make a wait just short of its bound.
    const LONGEST: u64 = u64::MAX;

    fn wait_after_failure(link: &mut Link, now: Tick) -> u128 {
        link.failed(now, LONGEST);
        let Due::Wait(until) = link.due(now) else { panic!() };
        (until - now).as_millis() + 1
    }

    #[test]
    fn link_dials_at_once_then_with_doubling_waits() {
        let mut link = Link::new(TIMES);
        assert_eq!(link.due(ms(0)), Due::Dial);
        assert_eq!(wait_after_failure(&mut link, ms(0)), 100);
        assert_eq!(link.due(ms(100)), Due::Dial);
        assert_eq!(wait_after_failure(&mut link, ms(100)), 200);
    }

    #[test]
    fn only_a_good_connection_resets_the_wait() {
        let mut link = Link::new(TIMES);
        for _ in 0..6 {
            link.failed(ms(0), LONGEST);
        }
        link.linked(ms(0));
        assert_eq!(wait_after_failure(&mut link, ms(9_999)), 5000);
        link.linked(ms(20_000));
        assert_eq!(wait_after_failure(&mut link, ms(30_000)), 100);
    }

    #[test]
    fn link_is_up_from_its_handshake_to_its_first_failure() {
        let mut link = Link::new(TIMES);
        assert!(!link.is_up());
        link.linked(ms(0));
        assert!(link.is_up());
        link.failed(ms(0), 0);
        assert!(!link.is_up());
    }

    #[test]
    fn a_call_from_the_neighbour_ends_the_wait() {
        let mut link = Link::new(TIMES);
        wait_after_failure(&mut link, ms(0));
        link.neighbour_called(ms(10));
        assert_eq!(link.due(ms(10)), Due::Dial);
        link.linked(ms(10));
        link.neighbour_called(ms(20));
        assert_eq!(link.due(ms(20)), Due::Wait(ms(1_010)));
    }

    #[test]
    fn an_idle_second_is_filled() {
        let mut link = Link::new(TIMES);
        link.linked(ms(0));
        assert_eq!(link.due(ms(999)), Due::Wait(ms(1000)));
        assert_eq!(link.due(ms(1000)), Due::Idle);
        link.spoke(ms(1000));
        assert_eq!(link.due(ms(1500)), Due::Wait(ms(2000)));
    }
}
