//! Every limit of a node, named once. What enforces a limit is elsewhere.

use std::time::Duration;

use super::settings::table;

/// No time below is above 30 days: up to there a float of seconds tells every nanosecond apart.
const DAY: f64 = 86_400.0;

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
        /// Whether `address_connections` also holds for loopback addresses, where only this machine's own programs are.
        loopback_counts: bool = "loopback_counts", Flag { default: false }, "whether that holds for loopback addresses";
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
