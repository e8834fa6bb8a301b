//! The web face: where its connections come in, with seats of their own. `visit.rs` is a connection's thread, `gate.rs` says
//! who may have what, `report.rs` is what the pages show.

mod gate;
mod report;
mod visit;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use self::visit::Visit;
use super::{
    Shared,
    accept::{Door, Unserved},
    seats::{SEAT_TIME, Unadmitted, WebSeat, WebSeatBounds, WebSeats},
    threads::DoorKind,
    usage,
};
use crate::{
    config::{self, HttpConfig, Limits},
    core::model::Tick,
    system::clock,
    transport::{Stream, TlsFault, TlsService},
    web::{
        PageFace, Router,
        wire::{Refused, Site, WebConnection, WireRules},
    },
};

/// Seats for health, beyond those of the configuration.
const RESERVED_SEATS: usize = 8;

/// The web face of one node.
pub(super) struct Web {
    listener: TcpListener,
    config: HttpConfig,
    /// The names it answers to, and whose pages may use it.
    site: Site,
    rules: WireRules,
    seats: WebSeats,
}

impl Web {
    /// The web face at `listener` for this node.
    pub(super) fn new(
        listener: TcpListener,
        (config, limits): (&HttpConfig, &Limits),
        node: &config::Node,
    ) -> Self {
        let own = [Some(&node.listen), Some(&node.address), node.http.as_ref()];
        let own = own.into_iter().flatten().map(|address| address.host.clone());
        let hosts = own.chain(config.hosts.iter().cloned()).collect();
        Self {
            listener,
            site: Site { hosts, origins: config.origins.clone() },
            rules: WireRules {
                head_bytes: config.head_bytes,
                body_bytes: config.body_bytes,
                request_time: config.request_time,
                body_time: config.body_time,
                idle_time: config.idle_time,
            },
            seats: WebSeats::new(WebSeatBounds {
                common: config.connections,
                of_origin: config.address_connections,
                caps_loopback: limits.loopback_counts,
                reserved: RESERVED_SEATS,
            }),
            config: config.clone(),
        }
    }

    /// Whether it speaks TLS.
    pub(super) fn is_https(&self) -> bool {
        self.config.tls
    }

    /// How many connections it may have.
    pub(super) fn capacity(&self) -> usize {
        self.config.connections + RESERVED_SEATS
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
        let opened = clock::tick();
        if !self.secure(stream, opened + self.web.config.request_time) {
            return;
        }
        let pages = PageFace::new(|| self.report(clock::tick()));
        Visit::new(self, stream, &seat).serve(&Router::new(&[&pages]), opened);
    }

    /// Answers it without waiting: what it is told fits the socket's buffer.
    fn refuse(&self, why: &Unserved<'_>) {
        // Before the handshake of TLS there is no way to answer.
        if let Unserved::Full(stream) = why
            && !self.web.is_https()
            && stream.set_hasty().is_ok()
        {
            let mut connection = WebConnection::new(&self.web.site, &self.web.rules, clock::tick());
            connection.refuse(Refused::Full, &clock::http_date(clock::wall()));
            if stream.write_all(connection.output(), || true).is_ok() {
                stream.finish();
            }
        }
    }
}
