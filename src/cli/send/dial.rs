//! How `herd send` reaches a node, and until when.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs},
    thread,
    time::Duration,
};

use crossbeam_channel::bounded;

use crate::{
    config::Address,
    core::model::Tick,
    system::clock,
    transport::{ClientStream, Trust},
};

/// For each address of a name.
pub(super) const CONNECT_TIME: Duration = Duration::from_secs(5);

/// When the whole call must be over, if ever.
#[derive(Clone, Copy)]
pub(super) struct CallLimit {
    /// When, and how long after the begin that is.
    pub(super) at: Option<(Tick, f64)>,
}

impl CallLimit {
    pub(super) fn of(seconds: Option<f64>) -> Self {
        Self { at: seconds.map(|seconds| (clock::tick() + Duration::from_secs_f64(seconds), seconds)) }
    }

    /// Nothing once it is over; `None` where there is none.
    pub(super) fn left(self) -> Option<Duration> {
        self.at.map(|(at, _)| at.saturating_sub(clock::tick()))
    }

    pub(super) fn is_over(self) -> bool {
        self.left().is_some_and(|left| left.is_zero())
    }

    /// How long it was, in seconds.
    pub(super) fn seconds(self) -> f64 {
        self.at.map_or(f64::INFINITY, |(_, seconds)| seconds)
    }

    fn no_connection(self) -> io::Error {
        io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {} s", self.seconds()))
    }
}

/// Dials a node, and speaks TLS with it if somebody is to vouch for it; then an error of the kind
/// [`io::ErrorKind::InvalidData`] says that TLS failed.
pub(super) fn dial(
    address: &Address,
    trust: Option<&Trust>,
    deadline: CallLimit,
) -> io::Result<ClientStream> {
    let host = &address.host;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "its name has no address");
    for address in resolved(address, deadline)? {
        let time = deadline.left().map_or(CONNECT_TIME, |left| left.min(CONNECT_TIME));
        if time.is_zero() {
            return Err(deadline.no_connection());
        }
        match ClientStream::connect(&address, time) {
            Ok(stream) => {
                let Some(trust) = trust else { return Ok(stream) };
                let until =
                    clock::tick() + deadline.left().map_or(CONNECT_TIME, |left| left.min(CONNECT_TIME));
                return stream.secured(trust, host, || until.saturating_sub(clock::tick()));
            }
            Err(error) => last = error,
        }
    }
    Err(if deadline.is_over() { deadline.no_connection() } else { last })
}

/// The addresses of a name. The system's call takes no deadline: where there is one, the call has a thread of its own, which
/// ends with the process where it takes longer.
fn resolved(address: &Address, deadline: CallLimit) -> io::Result<Vec<SocketAddr>> {
    let (host, port) = (address.host.clone(), address.port);
    let resolve = move || (host.as_str(), port).to_socket_addrs().map(Iterator::collect);
    let Some(left) = deadline.left() else { return resolve() };
    let (answer, answered) = bounded(1);
    let thread = thread::Builder::new().name("resolve".into());
    thread.spawn(move || answer.send(resolve()).is_ok())?;
    answered.recv_timeout(left).unwrap_or_else(|_| Err(deadline.no_connection()))
}
