//! What all threads of a running node share, and what tells them to stop.

use std::{
    io,
    net::SocketAddr,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;

use super::{
    Surroundings, capacity,
    seats::{LineSeats, SeatBounds},
    threads::{DrainTurn, Threads},
    web::Web,
};
use crate::{
    config::Limits,
    core::{dialogue::Buffers, node::Node},
    log::{Log, RateLimit},
    metrics::Requests,
    places,
};

pub(super) struct Shared<'a> {
    pub(super) node: &'a Node,
    /// Where WHATSAT looks places up.
    pub(super) places: Option<&'a dyn places::Source>,
    pub(super) limits: &'a Limits,
    pub(super) log: &'a Log,
    pub(super) surroundings: &'a Surroundings,
    pub(super) connections: LineSeats,
    /// What all connections hold for their lines and replies.
    pub(super) buffers: Buffers,
    pub(super) http_address: Option<SocketAddr>,
    pub(super) threads: Threads,
    /// One for each turn of a drain.
    stops: [Stop; 3],
    pub(super) counters: Counters,
    pub(super) requests: Requests,
    pub(super) rate_limits: RateLimits,
}

/// A stop: set once, and seen or waited for by many.
#[derive(Debug)]
pub(super) struct Stop {
    is_set: AtomicBool,
    sender: Mutex<Option<Sender<()>>>,
    /// Nothing is ever sent; it is disconnected by the stop.
    receiver: Receiver<()>,
}

impl Default for Stop {
    fn default() -> Self {
        let (sender, receiver) = bounded(0);
        Self { is_set: AtomicBool::new(false), sender: Mutex::new(Some(sender)), receiver }
    }
}

impl Stop {
    pub(super) fn set(&self) {
        self.is_set.store(true, Ordering::Release);
        self.sender.lock().take();
    }

    pub(super) fn is_set(&self) -> bool {
        self.is_set.load(Ordering::Acquire)
    }

    /// What is disconnected by it.
    pub(super) fn receiver(&self) -> &Receiver<()> {
        &self.receiver
    }

    /// Waits for that long, or until it is set.
    pub(super) fn wait(&self, time: Duration) {
        let _ = self.receiver.recv_timeout(time);
    }
}

/// What is counted of connections, but for the web face's.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Those that have a number: with neighbours, in both directions.
    numbered: AtomicU64,
    pub(super) accepted: AtomicU64,
    pub(super) refused: AtomicU64,
}

/// Of events of each kind, the log has a line a second at most.
#[derive(Default)]
pub(super) struct RateLimits {
    pub(super) refusals: RateLimit,
    pub(super) closings: RateLimit,
    pub(super) overflows: RateLimit,
    pub(super) bad_lines: RateLimit,
    pub(super) handshakes: RateLimit,
    pub(super) other_protocols: RateLimit,
    pub(super) panics: RateLimit,
}

impl RateLimits {
    /// Counts what was not told of each kind, which no later event will do.
    pub(super) fn log_untold(&self, log: &Log) {
        let Self { refusals, closings, overflows, bad_lines, handshakes, other_protocols, panics } = self;
        for (kind, limit) in [
            ("bad lines", bad_lines),
            ("connections closed", closings),
            ("connections refused", refusals),
            ("handshakes refused", handshakes),
            ("connections of another protocol", other_protocols),
            ("batches missed by a full outbox", overflows),
            ("panics", panics),
        ] {
            if let Some(count) = limit.take_untold() {
                log.warn(format_args!("{kind}: {count} more since the last such line"));
            }
        }
    }
}

impl<'a> Shared<'a> {
    /// Finds out how many connections the system lets this node have.
    pub(super) fn new(
        (node, places): (&'a Node, Option<&'a dyn places::Source>),
        limits: &'a Limits,
        log: &'a Log,
        surroundings: &'a Surroundings,
        web: Option<&Web>,
    ) -> io::Result<Self> {
        let third_party = node.neighbours().iter().filter(|neighbour| neighbour.plain.is_some()).count();
        let (peers, plain) = (node.neighbours().len() - third_party, limits.plain_connections);
        let others = web.map_or(0, Web::capacity) + third_party * plain;
        let bounds = SeatBounds {
            common: capacity::connections(limits, peers, others, log),
            kept: capacity::reserved(peers),
            of_origin: limits.address_connections,
            caps_loopback: limits.loopback_counts,
            plain,
        };
        Ok(Self {
            node,
            places,
            limits,
            log,
            surroundings,
            connections: LineSeats::new(bounds),
            buffers: Buffers::new(limits.connection_buffer_bytes),
            http_address: web.map(Web::address).transpose()?,
            threads: Threads::default(),
            stops: Default::default(),
            counters: Counters::default(),
            requests: Requests::default(),
            rate_limits: RateLimits::default(),
        })
    }

    /// A number for a connection, not used before.
    pub(super) fn next_connection(&self) -> u64 {
        self.counters.numbered.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// What tells the threads of that turn to end.
    pub(super) fn stop(&self, turn: DrainTurn) -> &Stop {
        &self.stops[turn as usize]
    }

    /// Whether the node takes in no more.
    pub(super) fn is_stopping(&self) -> bool {
        self.stop(DrainTurn::First).is_set()
    }
}
