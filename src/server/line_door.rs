//! The doors where lines come in: of clients and peers, or of third-party nodes.

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
    plain: Option<&'a PlainDoor>,
}

impl<'a> LineDoor<'a> {
    /// The door at that listener; `plain` where it is the one for third-party nodes.
    pub(super) fn new(
        shared: &'a Shared<'a>,
        listener: &'a TcpListener,
        plain: Option<&'a PlainDoor>,
    ) -> Self {
        Self { shared, listener, plain }
    }
}

impl<'a> Door for LineDoor<'a> {
    /// With what is known of whose it is.
    type Seat = (LineSeat<'a>, Opening, Arrival);

    fn kind(&self) -> DoorKind {
        if self.plain.is_some() { DoorKind::Plain } else { DoorKind::Clients }
    }

    fn listener(&self) -> &TcpListener {
        self.listener
    }

    fn number(&self) -> u64 {
        self.shared.next_connection()
    }

    fn seat(&self, number: u64, stream: &Arc<Stream>) -> Result<Self::Seat, Unadmitted> {
        let seats = &self.shared.connections;
        // One that has ended by now is from nowhere.
        let address = stream.peer_address().ok();
        let ip = address.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.ip().to_canonical());
        let origin = Origin::of(ip);
        let (seat, opening) = match self.plain {
            None => {
                let seat = seats.admit(number, stream, origin)?;
                let opening = Opening::Common { is_kept: seat.is_kept() };
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

    /// Counts it and logs it: a line a second at most, with the number of those not logged.
    fn refuse(&self, why: &Unserved<'_>) {
        let Shared { log, counters, connections, rate_limits, .. } = self.shared;
        counters.refused.fetch_add(1, Ordering::Relaxed);
        if let Some(untold) = rate_limits.refusals.allow(clock::tick()) {
            let connections = connections.count();
            log.warn(format_args!("refused a connection: {why}; {connections} connections are open{untold}"));
        }
    }
}

/// Where third-party nodes tell their news. They shake no hands: a connection from the address of one is taken for its own.
pub(super) struct PlainDoor {
    listener: TcpListener,
    /// Their positions among the node's neighbours, and what their names mean.
    neighbours: Vec<(usize, Arc<Resolver>)>,
}

impl PlainDoor {
    /// What listens at `listener` for those neighbours.
    pub(super) fn new(listener: TcpListener, neighbours: Vec<(usize, Arc<Resolver>)>) -> Self {
        Self { listener, neighbours }
    }

    /// What to accept from.
    pub(super) fn listener(&self) -> &TcpListener {
        &self.listener
    }

    /// The positions of the neighbours at that address: one or more. Waits for nothing, least of all for a stranger: where a
    /// name is not resolved, or no longer means what it meant, the neighbour gets in when it comes again.
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
