//! The times that govern a link, of either kind.

use std::time::Duration;

/// The times that govern a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LinkTimes {
    /// The first bound of the wait before redialling.
    pub backoff_min: Duration,
    /// Its last bound.
    pub backoff_max: Duration,
    /// How long a connection must have been good for the bound to start over.
    pub backoff_reset: Duration,
    /// How long the neighbour may take for its part of the handshake.
    pub greeting: Duration,
    /// A neighbour that accepts none of what is written for this long is gone.
    pub write: Duration,
    /// The time from one ping to the next.
    pub ping: Duration,
    /// A neighbour that owes an answer is gone if no byte moves for this long.
    pub liveness: Duration,
    /// How long the neighbour may take for everything that is written at once, and for an answer, while bytes move:
    /// that is, for each step of a round.
    pub answer: Duration,
    /// The average time from one round's end to the next one's beginning, if nothing is known to be missing.
    pub round: Duration,
    /// Rounds begin at least this far apart, and at least twice as far as the last one took.
    pub round_gap: Duration,
}

/// The times of a node's links unless they are configured.
impl Default for LinkTimes {
    fn default() -> Self {
        let (seconds, milliseconds) = (Duration::from_secs, Duration::from_millis);
        Self {
            backoff_min: milliseconds(100),
            backoff_max: seconds(5),
            backoff_reset: seconds(10),
            greeting: seconds(2),
            write: seconds(5),
            ping: seconds(1),
            liveness: seconds(5),
            answer: seconds(60),
            round: seconds(30),
            round_gap: seconds(1),
        }
    }
}
