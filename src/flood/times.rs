//! The times a link lives by, of either kind, as a node's limits make them.

use std::time::Duration;

use crate::config::Limits;

/// From one ping to the next, unless a neighbour's silence is to be noticed sooner.
const PING_TIME: Duration = Duration::from_secs(1);

/// Rounds of a link begin at least this far apart, unless they are configured to come sooner.
const ROUND_GAP: Duration = Duration::from_secs(1);

/// The times a link lives by.
#[derive(Clone, Copy, Debug)]
pub struct LinkTimes {
    /// The first bound of the wait before dialling again.
    pub backoff_min: Duration,
    /// Its last bound.
    pub backoff_max: Duration,
    /// How long a connection must have been good for the bound to start again.
    pub backoff_reset: Duration,
    /// How long the neighbour may take for its part of the handshake.
    pub greeting: Duration,
    /// From one ping to the next.
    pub ping: Duration,
    /// A neighbour that owes an answer and says nothing for this long is gone.
    pub liveness: Duration,
    /// From one round's end to the next one's begin, on average, where nothing is known to be missing.
    pub round: Duration,
    /// Rounds begin at least this far apart, and at least twice as far as the last one took.
    pub round_gap: Duration,
}

impl LinkTimes {
    /// The times of the links of a node with those limits.
    pub fn of(limits: &Limits) -> Self {
        Self {
            backoff_min: limits.backoff_min,
            backoff_max: limits.backoff_max,
            backoff_reset: limits.backoff_reset,
            greeting: limits.connect_time,
            ping: PING_TIME.min(limits.liveness_time / 3),
            liveness: limits.liveness_time,
            round: limits.round_time,
            round_gap: ROUND_GAP.min(limits.round_time),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pings_and_rounds_come_each_second_or_sooner_where_the_limits_want_it() {
        let (second, ms) = (Duration::from_secs(1), Duration::from_millis);
        let times = LinkTimes::of(&Limits::default());
        assert_eq!((times.ping, times.round_gap), (second, second));
        let limits = Limits { liveness_time: ms(300), round_time: ms(200), ..Limits::default() };
        let times = LinkTimes::of(&limits);
        assert_eq!((times.ping, times.round_gap), (ms(100), ms(200)));
    }
}
