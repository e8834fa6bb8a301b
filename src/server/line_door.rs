//! The doors where lines come in: from clients and peers, or from third-party nodes.

use std::{
    net::{IpAddr, Ipv4Addr, TcpListener},
    sync::{Arc, atomic::Ordering},
};

use super::{
    Shared,
    accept::{Door, Unserved},
    resolver::Resolver,
    seats::{LineSeat, Origin, Unadmitted},
    session::{self, Arrival},
    threads::DoorKind,
};
use crate::{core::dialogue::Opening, system::clock, transport::Stream};

/// Where lines come in.
pub(super) struct LineDoor<'a> {
    shared: &'a Shared<'a>,
    listener: &'a TcpListener,
    /// Whether what comes in speaks TLS.
    is_tls: bool,
    plain: Option<&'a PlainDoor>,
}

impl<'a> LineDoor<'a> {
    /// The door at that listener; `plain` if it is the one for third-party nodes.
    pub(super) fn new(
        shared: &'a Shared<'a>,
        listener: &'a TcpListener,
        plain: Option<&'a PlainDoor>,
    ) -> Self {
        Self { shared, listener, is_tls: false, plain }
    }

    /// The door at that listener for clients that speak TLS.
    pub(super) fn over_tls(shared: &'a Shared<'a>, listener: &'a TcpListener) -> Self {
        Self { is_tls: true, ..Self::new(shared, listener, None) }
    }
}

impl<'a> Door for LineDoor<'a> {
    /// With what is known about whose connection it is.
    type Seat = (LineSeat<'a>, Opening, Arrival);

    fn kind(&self) -> DoorKind {
        match self.plain {
            Some(_) => DoorKind::Plain,
            None if self.is_tls => DoorKind::Tls,
            None => DoorKind::Clients,
        }
    }

    fn listener(&self) -> &TcpListener {
        self.listener
    }

    fn number(&self) -> u64 {
        self.shared.next_connection()
    }

    fn seat(&self, number: u64, stream: &Arc<Stream>) -> Result<Self::Seat, Unadmitted> {
        let seats = &self.shared.connections;
        // A connection that has ended by now has no address.
        let address = stream.peer_address().ok();
        let ip = address.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.ip().to_canonical());
        let origin = Origin::of(ip);
        let (seat, opening) = match self.plain {
            None => {
                let seat = seats.admit(number, stream, origin)?;
                let is_kept = seat.is_kept();
                let opening =
                    if self.is_tls { Opening::Secured { is_kept } } else { Opening::Common { is_kept } };
                (seat, opening)
            }
            Some(door) => {
                let links = door.links_at(ip)?;
                (seats.admit_plain(number, stream, origin, links.len())?, Opening::Plain(links))
            }
        };
        Ok((seat, opening, Arrival::now(self.shared, number, address)))
    }

    fn serve(&self, stream: &Arc<Stream>, number: u64, (seat, opening, arrival): Self::Seat) {
        session::run(self.shared, stream, number, seat, (opening, arrival));
    }

    /// Counts and logs it: at most one line a second, with the number of those not logged.
    fn refuse(&self, why: &Unserved<'_>) {
        let Shared { log, counters, connections, rate_limits, .. } = self.shared;
        counters.refused.fetch_add(1, Ordering::Relaxed);
        if let Some(untold) = rate_limits.refusals.allow(clock::tick()) {
            let connections = connections.count();
            log.warn(format_args!("refused a connection: {why}; {connections} connections are open{untold}"));
        }
    }
}

/// Where third-party nodes send their updates. There is no handshake: a connection from the address of one is taken to
/// be its own.
pub(super) struct PlainDoor {
    listener: TcpListener,
    /// Their positions among the node's neighbours, and the resolvers of their names.
    neighbours: Vec<(usize, Arc<Resolver>)>,
}

impl PlainDoor {
    /// The door at `listener` for those neighbours.
    pub(super) fn new(listener: TcpListener, neighbours: Vec<(usize, Arc<Resolver>)>) -> Self {
        Self { listener, neighbours }
    }

    /// The listener to accept from.
    pub(super) fn listener(&self) -> &TcpListener {
        &self.listener
    }

    /// The positions of the neighbours at that address: one or more. Waits for nothing, least of all for a stranger: if
    /// a name is not resolved, or has changed its meaning, the neighbour gets in on its next attempt.
    fn links_at(&self, ip: IpAddr) -> Result<Vec<usize>, Unadmitted> {
        let (mut links, mut is_unresolved, now) = (Vec::new(), false, clock::tick());
        for (link, resolver) in &self.neighbours {
            match resolver.is_at(ip, now) {
                Some(true) => links.push(*link),
                Some(false) => {}
                None => is_unresolved = true,
            }
        }
        match (links.is_empty(), is_unresolved) {
            (false, _) => Ok(links),
            (true, true) => Err(Unadmitted::Unresolved(ip)),
            (true, false) => Err(Unadmitted::Stranger(ip)),
        }
    }
}
