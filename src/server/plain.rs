//! The door for third-party nodes, which do not shake hands: a connection from the address of one is taken for its own.

use std::{
    io,
    net::{IpAddr, TcpListener},
};

use super::{Shared, ended::Ended, resolver::Resolver, threads::DrainTurn};
use crate::{config::Address, transport::Stream};

/// Where such neighbours tell their news.
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
