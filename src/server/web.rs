//! The web face: where its connections come in, with seats of their own, and the report that they are shown, gathered
//! from the whole node.

use std::{
    fmt, io,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    Shared,
    accept::{Door, Unserved},
    certificates::Certificates,
    seats::{Origin, SEAT_TIME, Tally, Unadmitted, WebSeat, WebSeats},
    shown_address::ShownAddress,
    threads::DoorKind,
    usage,
};
use crate::{
    config::{self, HttpConfig},
    core::{
        access::{Act, Principal, Quota, TokenHash},
        links::LinkState,
        model::Tick,
        node::Neighbour,
    },
    http::{self, LinkReport, NodeReport, Refused, RetentionReport, TokensReport},
    log::AuditKind,
    metrics::{RequestKind, RequestOutcome},
    places,
    system::clock,
    transport::{Stream, TlsFault, TlsService},
};

/// The web face of one node.
pub(super) struct Web {
    listener: TcpListener,
    config: HttpConfig,
    /// The names it answers to.
    hosts: Vec<String>,
    seats: WebSeats,
}

impl Web {
    /// The web face at `listener` for this node.
    pub(super) fn new(listener: TcpListener, config: &HttpConfig, node: &config::Node) -> Self {
        let own = [Some(&node.listen), Some(&node.address), node.http.as_ref()];
        let own = own.into_iter().flatten().map(|address| address.host.clone());
        Self {
            listener,
            config: config.clone(),
            hosts: own.chain(config.hosts.iter().cloned()).collect(),
            seats: WebSeats::new(config.connections),
        }
    }

    /// Whether it speaks TLS.
    pub(super) fn is_https(&self) -> bool {
        self.config.tls
    }

    /// How many connections it may have.
    pub(super) fn capacity(&self) -> usize {
        self.config.connections
    }

    /// Where it listens.
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// The door for the web face's connections, which are numbered separately.
pub(super) struct WebDoor<'a> {
    shared: &'a Shared<'a>,
    web: &'a Web,
    numbers: AtomicU64,
    started: Tick,
    /// In POSIX seconds.
    process_started: f64,
}

impl<'a> WebDoor<'a> {
    pub(super) fn new(shared: &'a Shared<'a>, web: &'a Web) -> Self {
        let (started, process_started) = (clock::tick(), usage::process_started(clock::wall()));
        Self { shared, web, numbers: AtomicU64::new(0), started, process_started }
    }

    /// Ends all its connections.
    pub(super) fn end_all(&self) {
        self.web.seats.stop();
    }

    /// Goes through the handshake of TLS, if there is one; whether the connection can be served.
    fn secure(&self, stream: &Stream, deadline: Tick) -> bool {
        let Shared { log, certificates, handshakes, rate_limits, .. } = self.shared;
        let Some(certificates) = certificates.filter(|_| self.web.is_https()) else { return true };
        let time = || deadline.saturating_sub(clock::tick());
        let secured = stream
            .prepare()
            .map_err(TlsFault::Broken)
            .and_then(|()| stream.accept_tls((&certificates.service, TlsService::Web), handshakes, time));
        let Err(fault) = secured else { return true };
        // A probe that only connects is nothing to tell.
        if !matches!(fault, TlsFault::Ended)
            && let Some(untold) = rate_limits.handshakes.allow(clock::tick())
        {
            log.warn(format_args!("a connection to the web face is closed: {fault}{untold}"));
        }
        false
    }

    /// Whether the holder of that token may read what shows more than health, and has not read too much of it.
    fn may_read(&self, stream: &Stream, token: Option<&TokenHash>) -> Result<(), Refused> {
        let (access, log) = (self.shared.node.access(), self.shared.log);
        let principal = token.and_then(|token| access.find(token, clock::wall()));
        let reader = Reader { address: stream.peer_address().ok(), principal };
        let now = clock::tick();
        if access.allows(reader.principal.as_ref(), Act::Monitor) {
            return self.charge(&reader, now);
        }
        match (&reader.principal, token) {
            (Some(_), _) => {
                log.audit(AuditKind::Forbidden, now, format_args!("{reader}: a page for monitors"));
                Err(Refused::NotMonitor)
            }
            (None, Some(_)) => {
                log.audit(AuditKind::AuthFailed, now, format_args!("{reader}"));
                Err(Refused::NoToken)
            }
            (None, None) => Err(Refused::NoToken),
        }
    }

    /// A page counts as one request, and cannot wait.
    fn charge(&self, reader: &Reader, now: Tick) -> Result<(), Refused> {
        let Shared { node, log, rate_limits, counters, .. } = self.shared;
        let allowance = match &reader.principal {
            Some(principal) => principal.account().allowance(node.quotas()),
            None => {
                reader.address.and_then(|address| self.shared.allowance_of(Origin::of(address.ip()), now))
            }
        };
        let Err(wait) = allowance.map_or(Ok(()), |allowance| allowance.charge_now(now)) else {
            return Ok(());
        };
        counters.pages_refused.fetch_add(1, Ordering::Relaxed);
        if let Some(untold) = rate_limits.over_quota.allow(now) {
            log.warn(format_args!("{reader} is refused a page because of {}{untold}", Quota::Requests));
        }
        Err(Refused::TooMany(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)))
    }

    fn tokens(&self) -> Option<TokensReport> {
        let failing = self.shared.tokens.as_ref()?.lock().failing.clone();
        Some(TokensReport { count: self.shared.node.access().count()?, failing })
    }

    fn report(&self, now: Tick) -> NodeReport {
        let Shared { node, connections, counters, requests, log, .. } = self.shared;
        let Web { config, seats, .. } = self.web;
        let uptime = now.saturating_sub(self.started);
        let link = |neighbour: &Neighbour| {
            let mut condition = neighbour.health.condition(now);
            // A peer whose lines are not understood shows up in its rounds.
            condition.is_refused &= neighbour.plain.is_some();
            // Nothing waits for a link that is down: what a session queued just as it ended is discarded.
            let is_up = condition.state == LinkState::Up;
            LinkReport {
                peer: neighbour.id.to_string(),
                dialect: if neighbour.plain.is_some() { "plain" } else { "herd" },
                is_behind: is_up && neighbour.outbox.is_behind(),
                outbox_bytes: if is_up { neighbour.outbox.bytes() } else { 0 },
                condition,
            }
        };
        let Tally { clients, peers, waiting } = connections.tally();
        NodeReport {
            herd: node.herd.clone(),
            node: node.id.to_string(),
            uptime,
            ready_grace: config.ready_grace,
            is_draining: self.shared.is_stopping(),
            clients: node.store().len(),
            tombstones: node.store().tombstones(),
            store_bytes: node.store().bytes(),
            store_bytes_max: node.store().bounds().bytes,
            sum: node.store().sum(),
            connections: http::ConnectionCounts {
                clients,
                peers,
                waiting,
                http: seats.count(),
                max: connections.most(),
                accepted: counters.accepted.load(Ordering::Relaxed),
                refused: counters.refused.load(Ordering::Relaxed),
            },
            quota_waits: Quota::ALL
                .map(|quota| (quota, counters.quota_waits[quota as usize].load(Ordering::Relaxed)))
                .to_vec(),
            pages_refused: counters.pages_refused.load(Ordering::Relaxed),
            audited: log.audited(),
            outcomes: RequestOutcome::ALL.map(|outcome| (outcome, requests.count(outcome))).to_vec(),
            spreads: RequestKind::ALL.map(|kind| (kind, requests.spread(kind))).to_vec(),
            links: node.neighbours().iter().map(link).collect(),
            certificate: self.shared.certificates.map(Certificates::report),
            upstreams: self.shared.places.map(places::Source::upstreams).unwrap_or_default(),
            journal: self.shared.journal.as_ref().map(|journal| journal.lock().clone()),
            tokens: self.tokens(),
            retention: self.shared.retention.as_ref().map(|report| RetentionReport {
                watermark: node.store().watermark(),
                hidden: node.store().hidden(),
                erased: node.store().erased(),
                ..report.lock().clone()
            }),
            log: log.condition(now),
            process: usage::read(self.process_started),
        }
    }
}

/// Who asks for a page. Displays for those who look for who did something.
struct Reader {
    /// Unknown if the other end has left.
    address: Option<SocketAddr>,
    principal: Option<Principal>,
}

impl fmt::Display for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = self.principal.as_ref().map(|principal| format!(" of {}", principal.name()));
        write!(f, "HTTP{} from {}", of.unwrap_or_default(), ShownAddress(self.address))
    }
}

impl<'a> Door for WebDoor<'a> {
    type Seat = WebSeat<'a>;

    fn kind(&self) -> DoorKind {
        DoorKind::Web
    }

    fn listener(&self) -> &TcpListener {
        &self.web.listener
    }

    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    fn seat(&self, number: u64, stream: &Arc<Stream>) -> Result<Self::Seat, Unadmitted> {
        self.web.seats.take(number, stream, clock::tick() + SEAT_TIME)
    }

    fn serve(&self, stream: &Arc<Stream>, _number: u64, seat: Self::Seat) {
        let Web { config, hosts, .. } = self.web;
        let deadline = clock::tick() + config.request_time;
        if !self.secure(stream, deadline) {
            return;
        }
        let report = || {
            seat.has_asked();
            self.report(clock::tick())
        };
        let may = |token: Option<&TokenHash>| self.may_read(stream, token);
        let is_served = http::serve(stream, (config, deadline), hosts, may, report);
        if !is_served && seat.is_evicted() {
            http::refuse(stream, config);
        }
    }

    /// Answers it, if there is a request to answer.
    fn refuse(&self, why: &Unserved<'_>) {
        // Before the handshake of TLS there is no way to answer.
        if let Unserved::Full(stream) = why
            && !self.web.is_https()
        {
            http::refuse(stream, &self.web.config);
        }
    }
}
