//! Every limit of a node, named once, with its unit, default and bounds. What enforces a limit is elsewhere.

use std::time::Duration;

use super::settings::{Setting, Slot};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// How much of everything a node takes; the table `[limits]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Connections at once, clients and peers. `connections`: 12,000; 1 to 1,000,000.
    pub connections: usize,
    /// The longest line of a client, in bytes without its terminator. `line_bytes`: 16,384; 512 to
    /// 32,768, since a neighbour's first line must fit too.
    pub line_bytes: usize,
    /// A line must be whole this long after its first byte. `line_seconds`: 60 s; 0.01 s to 1 day.
    pub line_time: Duration,
    /// A connection that says nothing for this long is closed. `idle_seconds`: 3,600 s; 0.01 s to 30 days.
    pub idle_time: Duration,
    /// A write's bytes must all be taken within this. `write_seconds`: 10 s; 0.01 s to 1 hour.
    pub write_time: Duration,
    /// Clients remembered; beyond it new ids are invalid. `max_clients`: 20,000,000; 0 to 1,000,000,000.
    pub max_clients: usize,
    /// How far a client's report may be ahead of the server's clock. `max_ahead_seconds`: 86,400 s; 0 s to 30 days, or
    /// `"off"`, which is no bound.
    pub max_ahead: Option<Duration>,
    /// What may wait for one neighbour, in bytes. `outbox_bytes`: 8,388,608; 1,024 to 1 GiB.
    pub outbox_bytes: usize,
    /// A peer silent for this long is gone. `liveness_seconds`: 5 s; 0.01 s to 1 hour.
    pub liveness_time: Duration,
    /// From one search for differences to the next on a link where nothing is known to be missing, on average.
    /// `round_seconds`: 30 s; 0.01 s to 1 day.
    pub round_time: Duration,
    /// The first wait before dialling again. `backoff_ms_min`: 100 ms; 1 ms to 1 hour.
    pub backoff_min: Duration,
    /// The longest wait before dialling again, not below the first. `backoff_ms_max`: 5,000 ms; 1 ms to 1 hour.
    pub backoff_max: Duration,
    /// A link that was good for this long starts again from the first wait. `backoff_reset_seconds`: 10 s; 0 s to
    /// 1 hour.
    pub backoff_reset: Duration,
    /// For a connection to a peer to come about. `connect_seconds`: 2 s; 0.01 s to 1 minute.
    pub connect_time: Duration,
    /// For a peer's handshake. `handshake_seconds`: 1 s; 0.01 s to 1 minute.
    pub handshake_time: Duration,
    /// For a drain, before the node ends with what is left undone. `drain_seconds`: 10 s; 0 s to 1 hour.
    pub drain_time: Duration,
    /// Whether threads that are woken wait for their turn, rather than interrupt others. `batch_scheduling`: true.
    pub batch_scheduling: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 12_000,
            line_bytes: 16 * KIB,
            line_time: Duration::from_secs(60),
            idle_time: Duration::from_secs(3_600),
            write_time: Duration::from_secs(10),
            max_clients: 20_000_000,
            max_ahead: Some(Duration::from_secs(86_400)),
            outbox_bytes: 8 * MIB,
            liveness_time: Duration::from_secs(5),
            round_time: Duration::from_secs(30),
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_millis(5_000),
            backoff_reset: Duration::from_secs(10),
            connect_time: Duration::from_secs(2),
            handshake_time: Duration::from_secs(1),
            drain_time: Duration::from_secs(10),
            batch_scheduling: true,
        }
    }
}

/// No time below is above 30 days: up to there a float of seconds tells every nanosecond apart.
const DAY: f64 = 86_400.0;

/// The keys of `[limits]`.
#[rustfmt::skip]
pub(super) const SETTINGS: [Setting<Limits>; 17] = {
    use Slot::{Count, Flag, Milliseconds, OptionalSeconds, Seconds};
    [
        Setting { key: "connections", min: 1.0, max: 1e6, slot: Count(|limits| &mut limits.connections), about: "at once, clients and peers" },
        Setting { key: "line_bytes", min: 512.0, max: 32_768.0, slot: Count(|limits| &mut limits.line_bytes), about: "the longest line of a client" },
        Setting { key: "line_seconds", min: 0.01, max: DAY, slot: Seconds(|limits| &mut limits.line_time), about: "from a line's first byte to its last" },
        Setting { key: "idle_seconds", min: 0.01, max: 30.0 * DAY, slot: Seconds(|limits| &mut limits.idle_time), about: "a connection that says nothing is closed" },
        Setting { key: "write_seconds", min: 0.01, max: 3_600.0, slot: Seconds(|limits| &mut limits.write_time), about: "for replies to be taken" },
        Setting { key: "max_clients", min: 0.0, max: 1e9, slot: Count(|limits| &mut limits.max_clients), about: "remembered; new ones beyond it are refused" },
        Setting { key: "max_ahead_seconds", min: 0.0, max: 30.0 * DAY, slot: OptionalSeconds(|limits| &mut limits.max_ahead), about: "a report's time ahead of the server's clock, or \"off\"" },
        Setting { key: "outbox_bytes", min: 1_024.0, max: 1_073_741_824.0, slot: Count(|limits| &mut limits.outbox_bytes), about: "waiting for one neighbour" },
        Setting { key: "liveness_seconds", min: 0.01, max: 3_600.0, slot: Seconds(|limits| &mut limits.liveness_time), about: "a peer silent for longer is gone" },
        Setting { key: "round_seconds", min: 0.01, max: DAY, slot: Seconds(|limits| &mut limits.round_time), about: "from one search for differences with a neighbour to the next" },
        Setting { key: "backoff_ms_min", min: 1.0, max: 3_600_000.0, slot: Milliseconds(|limits| &mut limits.backoff_min), about: "the first wait before dialling again" },
        Setting { key: "backoff_ms_max", min: 1.0, max: 3_600_000.0, slot: Milliseconds(|limits| &mut limits.backoff_max), about: "the longest wait before dialling again" },
        Setting { key: "backoff_reset_seconds", min: 0.0, max: 3_600.0, slot: Seconds(|limits| &mut limits.backoff_reset), about: "a link good for this long starts again from the first wait" },
        Setting { key: "connect_seconds", min: 0.01, max: 60.0, slot: Seconds(|limits| &mut limits.connect_time), about: "for a connection to a peer" },
        Setting { key: "handshake_seconds", min: 0.01, max: 60.0, slot: Seconds(|limits| &mut limits.handshake_time), about: "for a peer's handshake" },
        Setting { key: "drain_seconds", min: 0.0, max: 3_600.0, slot: Seconds(|limits| &mut limits.drain_time), about: "for a drain before the node ends regardless" },
        Setting { key: "batch_scheduling", min: 0.0, max: 1.0, slot: Flag(|limits| &mut limits.batch_scheduling), about: "threads that are woken wait for their turn" },
    ]
};

#[cfg(test)]
mod tests {
    use super::{Slot::Flag, *};

    #[test]
    fn every_default_is_within_its_own_bounds() {
        for setting in SETTINGS {
            let text = setting.assignment(&mut Limits::default());
            let Some((_, value)) = text.split_once(" = ") else { continue };
            if let Flag(_) = setting.slot {
                continue;
            }
            let value: f64 = value.parse().unwrap();
            assert!((setting.min..=setting.max).contains(&value), "{text}");
        }
    }
}
