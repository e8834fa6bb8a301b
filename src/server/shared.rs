//! What all threads of a running node share, and what tells them to stop.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;

use super::{
    Announcement, Surroundings,
    capacity::{self, Others},
    certificates::Certificates,
    commits::Commits,
    seats::{LineSeats, Origin, SeatBounds},
    threads::{DrainTurn, Threads},
    tokens::TokensStanding,
    web::Web,
};
use crate::{
    config::Limits,
    core::{
        access::{Allowance, Ledger, Quota},
        dialogue::Buffers,
        model::{NodeId, Tick},
        node::Node,
    },
    journal::JournalCondition,
    log::{Log, RateLimit},
    metrics::Requests,
    places,
    transport::{HandshakePool, PeersTls},
    web::RetentionReport,
};

pub(super) struct Shared<'a> {
    pub(super) node: &'a Node,
    /// What peers speak TLS with, if they may.
    pub(super) peers_tls: Option<PeersTls>,
    /// What clients that speak TLS are shown.
    pub(super) certificates: Option<&'a Certificates>,
    /// Where TLS handshakes take their steps; served by threads wherever somebody may speak TLS.
    pub(super) handshakes: HandshakePool,
    /// Where WHATSAT looks up places.
    pub(super) places: Option<&'a dyn places::Source>,
    pub(super) limits: &'a Limits,
    pub(super) log: &'a Log,
    pub(super) surroundings: &'a Surroundings,
    pub(super) connections: LineSeats,
    /// What all connections hold for their lines and replies.
    pub(super) buffers: Buffers,
    pub(super) http_address: Option<SocketAddr>,
    /// Whether the web face speaks TLS.
    pub(super) is_https: bool,
    /// Where clients come in that speak TLS.
    pub(super) tls_address: Option<SocketAddr>,
    pub(super) threads: Threads,
    /// What the journal says about itself; `None` without one.
    pub(super) journal: Option<Mutex<JournalCondition>>,
    /// What the tokens' keeper says of them; `None` where nobody has any.
    pub(super) tokens: Option<Mutex<TokensStanding>>,
    /// What is said of forgetting by age; `None` in a herd that keeps everything.
    pub(super) retention: Option<Mutex<RetentionReport>>,
    /// Where sessions wait for the journal, if they do.
    pub(super) commits: Option<Commits>,
    /// One for each turn of a drain.
    stops: [Stop; 4],
    /// The neighbours that were linked at the stop and did not accept what they lacked.
    pub(super) lacking: Mutex<Vec<NodeId>>,
    /// What each address has left of its quotas; `None` if nothing is limited.
    quotas: Option<Ledger<Origin>>,
    pub(super) counters: Counters,
    pub(super) requests: Requests,
    pub(super) rate_limits: RateLimits,
    pub(super) connection_events: ConnectionEvents,
}

/// A stop: set once, and seen or waited for by many.
#[derive(Debug)]
pub(super) struct Stop {
    /// When the threads it is for must have ended.
    by: OnceLock<Tick>,
    sender: Mutex<Option<Sender<()>>>,
    /// Nothing is ever sent; the stop disconnects it.
    receiver: Receiver<()>,
}

impl Default for Stop {
    fn default() -> Self {
        let (sender, receiver) = bounded(0);
        Self { by: OnceLock::new(), sender: Mutex::new(Some(sender)), receiver }
    }
}

impl Stop {
    /// Sets it, unless it is set.
    pub(super) fn set(&self, by: Tick) {
        self.by.get_or_init(|| by);
        self.sender.lock().take();
    }

    /// When the threads it is for must have ended; `None` until it is set.
    pub(super) fn by(&self) -> Option<Tick> {
        self.by.get().copied()
    }

    pub(super) fn is_set(&self) -> bool {
        self.by.get().is_some()
    }

    /// A channel that the stop disconnects.
    pub(super) fn receiver(&self) -> &Receiver<()> {
        &self.receiver
    }

    /// Waits for that long, or until it is set.
    pub(super) fn wait(&self, time: Duration) {
        let _ = self.receiver.recv_timeout(time);
    }
}

/// Counts of connections, without the web face's, and of what these waited for.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Those that have a number: clients' and, in both directions, neighbours'.
    numbered: AtomicU64,
    pub(super) accepted: AtomicU64,
    pub(super) refused: AtomicU64,
    /// How often lines waited for their turn, by what they waited for.
    pub(super) quota_waits: [AtomicU64; Quota::ALL.len()],
    /// Pages that were refused because of a quota.
    pub(super) pages_refused: AtomicU64,
}

/// For events of each kind, the log has at most one line a second.
#[derive(Default)]
pub(super) struct RateLimits {
    pub(super) refusals: RateLimit,
    pub(super) closings: RateLimit,
    pub(super) overflows: RateLimit,
    pub(super) bad_lines: RateLimit,
    pub(super) bad_lines_of_neighbours: RateLimit,
    pub(super) quota_waits: RateLimit,
    pub(super) over_quota: RateLimit,
    pub(super) handshakes: RateLimit,
    pub(super) other_protocols: RateLimit,
    pub(super) plain_connections: RateLimit,
    pub(super) panics: RateLimit,
}

impl RateLimits {
    /// Logs how many of each kind were left out, since no later event will.
    fn log_untold(&self, log: &Log) {
        let Self { refusals, closings, overflows, bad_lines, handshakes, other_protocols, .. } = self;
        let Self { bad_lines_of_neighbours, quota_waits, over_quota, plain_connections, panics, .. } = self;
        for (kind, limit) in [
            ("bad lines", bad_lines),
            ("bad lines from neighbours", bad_lines_of_neighbours),
            ("connections that waited because of a quota", quota_waits),
            ("lines refused because of a quota", over_quota),
            ("connections closed", closings),
            ("connections refused", refusals),
            ("handshakes refused", handshakes),
            ("connections in another protocol", other_protocols),
            ("connections of third-party nodes", plain_connections),
            ("batches dropped by a full outbox", overflows),
            ("panics", panics),
        ] {
            if let Some(count) = limit.take_untold() {
                log.warn(format_args!("{kind}: {count} more since the last such line"));
            }
        }
    }
}

/// At most so many beginnings and ends of connections that send nothing are logged per second.
const CONNECTION_EVENTS_A_SECOND: u64 = 100;

/// Keeps a flood of connections from filling the log.
pub(super) struct ConnectionEvents {
    pub(super) begins: RateLimit,
    pub(super) ends: RateLimit,
}

impl Default for ConnectionEvents {
    fn default() -> Self {
        let limit = || RateLimit::per_second(CONNECTION_EVENTS_A_SECOND);
        Self { begins: limit(), ends: limit() }
    }
}

impl ConnectionEvents {
    fn log_untold(&self, log: &Log) {
        for (kind, limit) in [("connections opened", &self.begins), ("connections ended", &self.ends)] {
            if let Some(count) = limit.take_untold() {
                log.info(format_args!("{kind}: {count} more since the last such line"));
            }
        }
    }
}

impl<'a> Shared<'a> {
    /// Finds out how many connections the system allows this node.
    pub(super) fn new(
        (node, places): (&'a Node, Option<&'a dyn places::Source>),
        limits: &'a Limits,
        log: &'a Log,
        surroundings: &'a Surroundings,
        web: Option<&Web>,
    ) -> io::Result<Self> {
        let links = node.neighbours().len();
        let third_party = node.neighbours().iter().filter(|neighbour| neighbour.plain.is_some()).count();
        let (peers, plain) = (links - third_party, limits.plain_connections);
        let others = Others {
            links,
            peers,
            third_party: third_party * plain,
            web: web.map_or(0, Web::capacity),
            upstream: places.map_or(0, places::Source::sockets_max),
        };
        let bounds = SeatBounds {
            common: capacity::connections(limits, others, log),
            kept: capacity::reserved(peers),
            of_origin: limits.address_connections,
            caps_loopback: limits.loopback_counts,
            plain,
        };
        Ok(Self {
            node,
            peers_tls: None,
            certificates: None,
            handshakes: HandshakePool::default(),
            places,
            limits,
            log,
            surroundings,
            connections: LineSeats::new(bounds),
            buffers: Buffers::new(limits.connection_buffer_bytes),
            http_address: web.map(Web::address).transpose()?,
            is_https: web.is_some_and(Web::is_https),
            tls_address: None,
            threads: Threads::default(),
            journal: None,
            tokens: None,
            retention: None,
            commits: None,
            stops: Default::default(),
            lacking: Mutex::default(),
            quotas: node.quotas().are_any().then(|| Ledger::new(*node.quotas(), limits.quota_addresses)),
            counters: Counters::default(),
            requests: Requests::default(),
            rate_limits: RateLimits::default(),
            connection_events: ConnectionEvents::default(),
        })
    }

    /// Announces to the program that started the node, in the log if the log is all that it reads.
    pub(super) fn announce(&self, announcement: Announcement) {
        if self.log.is_on_standard_output() {
            self.log.info(format_args!("{announcement}"));
        }
        (self.surroundings.announce)(announcement);
    }

    /// Logs how many events were left out of those that outsiders can cause at will.
    pub(super) fn log_untold(&self) {
        self.rate_limits.log_untold(self.log);
        self.connection_events.log_untold(self.log);
        self.log.audit_untold();
    }

    /// What those who come from there without a token have left of their quotas; `None` if nothing is limited.
    // Not inlined: it would use stack in every connection.
    #[inline(never)]
    pub(super) fn allowance_of(&self, origin: Origin, now: Tick) -> Option<Arc<Allowance>> {
        let quotas = self.quotas.as_ref().filter(|_| self.limits.loopback_counts || !origin.is_loopback())?;
        Some(quotas.of(origin, now))
    }

    /// A number for a connection, never used before.
    pub(super) fn next_connection(&self) -> u64 {
        self.counters.numbered.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// What tells the threads of that turn to end.
    pub(super) fn stop(&self, turn: DrainTurn) -> &Stop {
        &self.stops[turn as usize]
    }

    /// Whether the node accepts no more.
    pub(super) fn is_stopping(&self) -> bool {
        self.stop(DrainTurn::First).is_set()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// Longer than any test takes.
    const LONG: Duration = Duration::from_secs(3_600);

    #[test]
    fn stop_is_seen_and_keeps_its_first_deadline() {
        let stop = Stop::default();
        assert!(!stop.is_set() && stop.by().is_none() && stop.receiver().try_recv().is_err());
        stop.wait(Duration::ZERO);
        stop.set(Duration::from_secs(7));
        stop.set(Duration::from_secs(8));
        assert!(stop.is_set());
        assert_eq!(stop.by(), Some(Duration::from_secs(7)));
    }

    #[test]
    fn stop_ends_every_wait_for_it_before_and_after() {
        let stop = Stop::default();
        thread::scope(|scope| {
            (0..3).for_each(|_| drop(scope.spawn(|| stop.wait(LONG))));
            stop.set(Tick::ZERO);
        });
        stop.wait(LONG);
    }
}
