//! How the web face of a node is kept from being a burden. Where it listens stands with each node.

use std::time::Duration;

use super::settings::{Setting, Slot};

/// The table `[http]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HttpConfig {
    /// Connections at once; one more is answered with 503. `connections`: 64; 1 to 1,000.
    pub connections: usize,
    /// A request's head, in bytes. `head_bytes`: 8,192; 256 to 65,536.
    pub head_bytes: usize,
    /// From a connection's begin until its request's head is whole. `request_seconds`: 5 s; 0.01 s to 1 minute.
    pub request_time: Duration,
    /// For an answer to be taken. `write_seconds`: 5 s; 0.01 s to 1 minute.
    pub write_time: Duration,
    /// A node from which no neighbour's round has ended is ready this long after its start. `ready_seconds`: 10 s; 0 s to
    /// 1 hour.
    pub ready_grace: Duration,
    /// Names a request may call the node by, beside addresses, `localhost` and the names in its own addresses. `hosts`.
    pub hosts: Vec<String>,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            connections: 64,
            head_bytes: 8 * 1024,
            request_time: Duration::from_secs(5),
            write_time: Duration::from_secs(5),
            ready_grace: Duration::from_secs(10),
            hosts: Vec::new(),
        }
    }
}

/// The keys of `[http]` but for `hosts`.
#[rustfmt::skip]
pub(super) const SETTINGS: [Setting<HttpConfig>; 5] = {
    use Slot::{Count, Seconds};
    [
        Setting { key: "connections", min: 1.0, max: 1_000.0, slot: Count(|http| &mut http.connections), about: "at once; one more is answered with 503" },
        Setting { key: "head_bytes", min: 256.0, max: 65_536.0, slot: Count(|http| &mut http.head_bytes), about: "of a request, its body not counted" },
        Setting { key: "request_seconds", min: 0.01, max: 60.0, slot: Seconds(|http| &mut http.request_time), about: "for a request to come" },
        Setting { key: "write_seconds", min: 0.01, max: 60.0, slot: Seconds(|http| &mut http.write_time), about: "for an answer to be taken" },
        Setting { key: "ready_seconds", min: 0.0, max: 3_600.0, slot: Seconds(|http| &mut http.ready_grace), about: "after its start a node is ready without its neighbours" },
    ]
};
