//! The doors where lines come in: of clients and peers, or of third-party nodes.

use std::{
    io,
    net::{IpAddr, TcpListener},
    sync::{Arc, atomic::Ordering},
};

use super::{
    Shared,
    accept::{Door, Unserved},
    ended::Ended,
    resolver::Resolver,
    seats::{LineSeat, Unadmitted},
    session,
    threads::{DoorKind, DrainTurn},
};
use crate::{config::Address, system::clock, transport::Stream};

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
    type Seat = LineSeat<'a>;

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
        self.shared.connections.admit(number, stream)
    }

    fn serve(&self, stream: &Arc<Stream>, number: u64, seat: Self::Seat) {
        session::run(self.shared, stream, number, seat, self.plain);
    }

    /// Counts it and logs it: a line a second at most, with the number of those not logged.
    fn refuse(&self, why: &Unserved<'_>) {
        let Shared { log, counters, connections, rate_limits, .. } = self.shared;
        counters.refused.fetch_add(1, Ordering::Relaxed);
        if let Some(untold) = rate_limits.refusals.allow(clock::tick()) {
            let connections = connections.count();
            log.warn(format_args!("a connection is refused: {why}; {connections} connections{untold}"));
        }
    }
}

/// Where third-party nodes tell their news. They shake no hands: a connection from the address of one is taken for its own.
pub(super) struct PlainDoor {
    listener: TcpListener,
    /// Their positions among the node's neighbours, and where they are.
    neighbours: Vec<(usize, Address)>,
}

impl PlainDoor {
    /// What listens at `listener` for those neighbours.
    pub(super) fn new(listener: TcpListener, neighbours: Vec<(usize, Address)>) -> Self {
        Self { listener, neighbours }
    }

    /// What to accept from.
    pub(super) fn listener(&self) -> &TcpListener {
        &self.listener
    }

    /// The positions of the neighbours at the address a connection comes from: one or more. Blocks while a name is resolved.
    pub(super) fn links_at(&self, stream: &Stream, shared: &Shared<'_>) -> Result<Vec<usize>, Ended> {
        let ip = stream.peer_address().map_err(Ended::Reset)?.ip().to_canonical();
        let mut links = Vec::new();
        let mut failure = None;
        for (link, address) in &self.neighbours {
            match self.is_at(ip, address, shared) {
                Ok(true) => links.push(*link),
                Ok(false) => {}
                Err(error) => failure = Some(error),
            }
        }
        match (links.is_empty(), failure) {
            (false, _) => Ok(links),
            (true, Some(error)) => Err(Ended::NoAddress(error)),
            (true, None) => Err(Ended::NoPlainNeighbour(ip)),
        }
    }

    fn is_at(&self, ip: IpAddr, address: &Address, shared: &Shared<'_>) -> io::Result<bool> {
        let resolve = shared.surroundings.resolve.clone();
        let mut resolver = Resolver::new(resolve, &address.host, address.port);
        let addresses =
            resolver.addresses(shared.limits.connect_time, shared.stop(DrainTurn::First).receiver())?;
        Ok(addresses.iter().any(|address| address.ip().to_canonical() == ip))
    }
}
