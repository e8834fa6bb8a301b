//! The doors where lines come in: of clients and peers, or of third-party nodes.

use std::{
    net::TcpListener,
    sync::{Arc, atomic::Ordering},
};

use super::{
    Shared,
    accept::{Door, Unserved},
    plain::PlainDoor,
    seats::{LineSeat, Unadmitted},
    session,
    threads::DoorKind,
};
use crate::{system::clock, transport::Stream};

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
