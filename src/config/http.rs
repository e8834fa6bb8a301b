//! How the web face of a node is kept from being a burden. Where it listens stands with each node.

use std::time::Duration;

use super::settings::table;

table! {
    /// The table `[http]`.
    #[derive(Clone, PartialEq, Eq, Debug)]
    pub struct HttpConfig fills "http" {
        /// Connections at once, counted apart from those of clients. One more takes the place of the oldest that has not sent
        /// its whole request, which is answered with 503.
        connections: usize = "connections", Count { default: 64, min: 1, max: 1_000 }, "at once; one more is answered with 503";
        /// The head of a request: its first line and its headers.
        head_bytes: usize = "head_bytes", Count { default: 8_192, min: 256, max: 65_536 }, "of a request, its body not counted";
        /// The time from the start of a connection until the head of its request is complete, TLS included.
        request_time: Duration = "request_seconds", Seconds { default: 5.0, min: 0.01, max: 60.0 }, "for a request to come";
        /// The time for an answer to be taken.
        write_time: Duration = "write_seconds", Seconds { default: 5.0, min: 0.01, max: 60.0 }, "for an answer to be taken";
        /// Whether the `http` addresses serve HTTPS, with the certificate of `[tls]`, and nothing else.
        tls: bool = "tls", Flag { default: false }, "whether `http` addresses serve HTTPS";
        /// This long after its start a node is ready, even if no peer has completed a repair round with it.
        ready_grace: Duration = "ready_seconds", Seconds { default: 10.0, min: 0.0, max: 3_600.0 }, "after its start a node is ready without its neighbours";
    } and {
        /// Names a request may call the node by, beside addresses, `localhost` and the names in its own addresses.
        pub hosts: Vec<String>,
    }
}
