//! Every limit of a node, named once. What enforces a limit is elsewhere.

use std::time::Duration;

use super::settings::table;
use crate::core::access::QuotaRules;

/// No time below is above 30 days: up to there a float of seconds tells every nanosecond apart.
const DAY: f64 = 86_400.0;

/// What `"auto"` stands for at a node that can be reached from beyond its machine.
const REQUESTS_PER_SECOND: usize = 1_000;
const BYTES_PER_SECOND: usize = 1_048_576;
const NEW_CLIENTS_PER_HOUR: usize = 10_000;

/// How much one principal may do.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum QuotaSetting {
    /// A default, or anything at a node that can be reached only from its own machine.
    #[default]
    Auto,
    /// Anything.
    Off,
    /// So much.
    Most(usize),
}

impl QuotaSetting {
    fn most(self, is_local: bool, default: usize) -> Option<u64> {
        match self {
            Self::Auto => (!is_local).then_some(default as u64),
            Self::Off => None,
            Self::Most(most) => Some(most as u64),
        }
    }
}

table! {
    /// How much of everything a node takes; the table `[limits]`.
    #[derive(Clone, PartialEq, Eq, Debug)]
    pub struct Limits fills "limits" {
        /// Connections at once, of clients and neighbours together. Where the system allows fewer, the node lowers it at
        /// start and says so in its log.
        connections: usize = "connections", Count { default: 12_000, min: 1, max: 1_000_000 }, "at once, clients and peers";
        /// Connections at once from one IPv4 address, or from one IPv6 network of 64 bits. A further connection must prove to be a
        /// neighbour's, as beyond `connections`. If all clients come through one address, such as a proxy's, set it to
        /// `connections`.
        address_connections: usize = "address_connections", Count { default: 1_000, min: 1, max: 1_000_000 }, "of those, from one address";
        /// Whether `address_connections` and the quotas below also hold for loopback addresses, where only this machine's own
        /// programs are.
        loopback_counts: bool = "loopback_counts", Flag { default: false }, "whether that holds for loopback addresses";
        /// Lines a second that one principal may send: all connections with one token's name, or without a token all from one
        /// address, as `address_connections` counts them. Beyond it, its lines wait for their turn. With `"auto"` it is 1,000, but
        /// off if the node can be reached only from its own machine. It never holds for neighbours.
        requests_per_second: QuotaSetting = "requests_per_second", Quota { min: 1, max: 1_000_000 }, "of one principal; \"auto\": 1000 beyond loopback, or \"off\"";
        /// Bytes a second that it may send, likewise. With `"auto"` it is 1,048,576, but off on loopback.
        bytes_per_second: QuotaSetting = "bytes_per_second", Quota { min: 65_536, max: 1_073_741_824 }, "of one principal; \"auto\": 1048576 beyond loopback, or \"off\"";
        /// Clients that the node does not know, whose reports it takes from one principal in an hour. Beyond it, such reports are
        /// invalid. They accrue evenly, and those of an hour at most are saved up. With `"auto"` it is 10,000, but off on loopback.
        new_clients_per_hour: QuotaSetting = "new_clients_per_hour", Quota { min: 1, max: 1_000_000_000 }, "of one principal; \"auto\": 10000 beyond loopback, or \"off\"";
        /// How many seconds' worth of lines and bytes a principal saves up while it sends fewer, and may send at once.
        quota_burst: Duration = "quota_burst_seconds", Seconds { default: 5.0, min: 1.0, max: 3_600.0 }, "what a principal saves up";
        /// How long a line waits for its turn. If its turn would come later, it is tried once more then, and is otherwise
        /// invalid.
        quota_wait: Duration = "quota_wait_seconds", Seconds { default: 5.0, min: 1.0, max: 60.0 }, "a line waits for its turn, then it is refused";
        /// Addresses that are told apart by what they have left of their quotas. Beyond it, an address that has used nothing up
        /// makes room; if there is none, further addresses share one quota.
        quota_addresses: usize = "quota_addresses", Count { default: 65_536, min: 1, max: 16_777_216 }, "told apart by what they have left";
        /// Connections at once to `plain_listen` from the address of a third-party neighbour; as many more for each other one at
        /// that address. One more takes the place of the oldest. They do not count among `connections`.
        plain_connections: usize = "plain_connections", Count { default: 64, min: 1, max: 10_000 }, "at once, of each third-party neighbour";
        /// What the buffers of all connections may hold together: lines that have come, and replies that were not taken.
        /// A connection whose buffers each hold at most 2 KiB does not count. While they hold more together, a client's connection
        /// shrinks its buffers at once, and is closed if it does not take its replies, or has sent 2 KiB of a line that does not
        /// end.
        connection_buffer_bytes: usize = "connection_buffer_bytes", Count { default: 268_435_456, min: 1_048_576, max: 1_099_511_627_776 }, "what all connections hold for lines and replies";
        /// The longest line of a client, without its terminator. A neighbour's first line must fit, too.
        line_bytes: usize = "line_bytes", Count { default: 16_384, min: 512, max: 32_768 }, "the longest line of a client";
        /// The time from a line's first byte to its last. A connection whose line takes longer is closed.
        line_time: Duration = "line_seconds", Seconds { default: 60.0, min: 0.01, max: DAY }, "from a line's first byte to its last";
        /// A client's connection that says nothing for this long is closed.
        idle_time: Duration = "idle_seconds", Seconds { default: 3_600.0, min: 0.01, max: 30.0 * DAY }, "a connection that says nothing is closed";
        /// A third-party neighbour's connection that says nothing for this long is closed.
        plain_idle_time: Duration = "plain_idle_seconds", Seconds { default: 3_600.0, min: 0.01, max: 30.0 * DAY }, "a third-party neighbour's connection that says nothing is closed";
        /// The time for a client to take all bytes of a batch of replies, or its connection is closed. A neighbour that takes
        /// nothing of what is written for this long, or for `liveness_seconds` if that is less, is given up.
        write_time: Duration = "write_seconds", Seconds { default: 10.0, min: 0.01, max: 3_600.0 }, "for replies to be taken";
        /// Clients that the node remembers. Beyond it, reports of new clients are invalid; updates from neighbours are still
        /// taken.
        max_clients: usize = "max_clients", Count { default: 20_000_000, min: 0, max: 1_000_000_000 }, "remembered; new ones beyond it are refused";
        /// The longest id of a client that reports. A longer one's reports are invalid.
        client_bytes: usize = "client_bytes", Count { default: 1_024, min: 1, max: 32_768 }, "the longest id of a client that reports";
        /// What the locations of all clients may take of the node's memory. Beyond it, reports that would take more are invalid;
        /// updates from neighbours are still taken. With `"auto"`, it is an eighth of the memory that the machine has, or the
        /// node's cgroup.
        max_bytes: Option<usize> = "max_bytes", BytesOrAuto { min: 0, max: 17_592_186_044_416 }, "of memory for locations; reports beyond it are refused, or \"auto\"";
        /// How far a report's time may be ahead of the node's clock. A client's report that is further ahead is invalid, and so
        /// is a line of a third-party node. With `"off"`, any is taken.
        max_ahead: Option<Duration> = "max_ahead_seconds", SecondsOrOff { default: DAY, min: 0.0, max: 30.0 * DAY }, "a report's time ahead of the server's clock, or \"off\"";
        /// What may wait to be sent to one neighbour. It also bounds the batches that wait, to one for each 256 bytes. An update
        /// that finds no room is repaired later.
        outbox_bytes: usize = "outbox_bytes", Count { default: 8_388_608, min: 1_024, max: 1_073_741_824 }, "waiting for one neighbour";
        /// A peer must answer at least once a second. The link is dropped if an answer is due and no byte moves for this long;
        /// while bytes move, the answer may take 12 times as long. A third-party node that vanishes is noticed within 4 times as
        /// long, in whole seconds. Below 3, all nodes need the same value.
        liveness_time: Duration = "liveness_seconds", Seconds { default: 5.0, min: 0.01, max: 3_600.0 }, "a peer silent for longer is gone";
        /// The time from one repair round with a neighbour to the next, a quarter more or less. After a start, a lost link or a
        /// full outbox, one comes at once.
        round_time: Duration = "round_seconds", Seconds { default: 30.0, min: 0.01, max: DAY }, "from one search for differences with a neighbour to the next";
        /// The first bound of the random wait before a neighbour is dialled again. The bound doubles with each failure.
        backoff_min: Duration = "backoff_ms_min", Milliseconds { default: 100, min: 1, max: 3_600_000 }, "the first wait before dialling again";
        /// The last bound of that wait. It may not be below the first.
        backoff_max: Duration = "backoff_ms_max", Milliseconds { default: 5_000, min: 1, max: 3_600_000 }, "the longest wait before dialling again";
        /// A link that was up for this long starts again from the first bound.
        backoff_reset: Duration = "backoff_reset_seconds", Seconds { default: 10.0, min: 0.0, max: 3_600.0 }, "a link good for this long starts again from the first wait";
        /// The time to resolve a neighbour's name, the time to connect to it, and the time for its part of the handshake: each
        /// may take this long.
        connect_time: Duration = "connect_seconds", Seconds { default: 2.0, min: 0.01, max: 60.0 }, "for a connection to a peer";
        /// The time for a connection beyond `connections` to prove that it is a neighbour's, and for anyone who claims to be a
        /// neighbour to prove the secret. Over TLS, its handshake is part of that time.
        handshake_time: Duration = "handshake_seconds", Seconds { default: 5.0, min: 0.01, max: 60.0 }, "for a peer's handshake";
        /// The time for a drain. Clients have half of it to take their last replies, neighbours three quarters to take what they
        /// lack. After it, the node exits with code 1; its log has a second in any case.
        drain_time: Duration = "drain_seconds", Seconds { default: 10.0, min: 0.0, max: 3_600.0 }, "for a drain before the node ends regardless";
        /// Whether threads that are woken wait for their turn (`SCHED_BATCH`) rather than interrupt others. With 100
        /// busy connections it is worth 1.2 times the requests; but when they come faster than half of what the node can
        /// take, the slowest hundredth waits many times longer.
        batch_scheduling: bool = "batch_scheduling", Flag { default: true }, "threads that are woken wait for their turn";
    }
}

impl Limits {
    /// The quotas of a node. `is_local` if it can be reached only from its own machine.
    pub fn quotas(&self, is_local: bool) -> QuotaRules {
        QuotaRules {
            requests: self.requests_per_second.most(is_local, REQUESTS_PER_SECOND),
            bytes: self.bytes_per_second.most(is_local, BYTES_PER_SECOND),
            new_clients: self.new_clients_per_hour.most(is_local, NEW_CLIENTS_PER_HOUR),
            burst: self.quota_burst,
            wait: self.quota_wait,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_are_off_on_loopback_unless_they_are_stated() {
        let auto = Limits::default();
        assert!(!auto.quotas(true).are_any());
        let quotas = |limits: &Limits, is_local| {
            let QuotaRules { requests, bytes, new_clients, .. } = limits.quotas(is_local);
            [requests, bytes, new_clients]
        };
        assert_eq!(quotas(&auto, false), [Some(1_000), Some(1_048_576), Some(10_000)]);
        let stated = Limits {
            requests_per_second: QuotaSetting::Off,
            bytes_per_second: QuotaSetting::Most(70_000),
            new_clients_per_hour: QuotaSetting::Most(1),
            ..Limits::default()
        };
        for is_local in [true, false] {
            assert_eq!(quotas(&stated, is_local), [None, Some(70_000), Some(1)]);
        }
    }
}
