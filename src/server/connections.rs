//! The connections a node has: how many it may have, and how to reach their streams when one must end.

use std::{collections::HashMap, net::Shutdown, sync::Arc};

use parking_lot::Mutex;

use super::admission::Unadmitted;
use crate::transport::Stream;

/// All connections. One lock, taken when a connection begins, ends or becomes a peer's, never for a line.
#[derive(Debug)]
pub(super) struct Connections {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    is_stopped: bool,
    /// Seats free for anyone, and for those who complete a peer's handshake.
    common: usize,
    reserved: usize,
    /// How many are peers'.
    peers: usize,
    /// How many hold a reserved seat that they have not earned yet.
    waiting: usize,
    streams: HashMap<u64, Arc<Stream>>,
}

/// A connection's seat among those a node may have; free again when dropped.
#[derive(Debug)]
pub(super) struct Slot<'a> {
    connections: &'a Connections,
    number: u64,
    is_reserved: bool,
    is_peer: bool,
}

/// How many connections there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Tally {
    /// Of clients, or of those who have not said yet what they are.
    pub(super) clients: usize,
    /// Of neighbours.
    pub(super) peers: usize,
    /// In a seat that is kept for neighbours, without having shown to be one.
    pub(super) waiting: usize,
}

impl Connections {
    /// Seats for `common` connections, and `reserved` more for peers.
    pub(super) fn new(common: usize, reserved: usize) -> Self {
        Self {
            state: Mutex::new(State {
                is_stopped: false,
                common,
                reserved,
                peers: 0,
                waiting: 0,
                streams: HashMap::new(),
            }),
        }
    }

    /// Gives a connection a seat: a common one, or when those are taken a reserved one, which it must earn by a peer's
    /// handshake. None once stop is set, under the same lock, so that no socket is overlooked.
    pub(super) fn admit(&self, number: u64, stream: &Arc<Stream>) -> Result<Slot<'_>, Unadmitted> {
        let mut state = self.state.lock();
        if state.is_stopped {
            return Err(Unadmitted::Stopped);
        }
        let is_reserved = state.common == 0;
        let free = if is_reserved { &mut state.reserved } else { &mut state.common };
        *free = free.checked_sub(1).ok_or(Unadmitted::Full)?;
        state.waiting += usize::from(is_reserved);
        state.streams.insert(number, Arc::clone(stream));
        Ok(Slot { connections: self, number, is_reserved, is_peer: false })
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.state.lock().streams.len()
    }

    /// How many there are of each kind.
    pub(super) fn tally(&self) -> Tally {
        let state = self.state.lock();
        let State { peers, waiting, .. } = *state;
        Tally { clients: state.streams.len() - peers - waiting, peers, waiting }
    }

    /// Ends one connection, if it is still there.
    pub(super) fn close(&self, number: u64) {
        if let Some(stream) = self.state.lock().streams.get(&number) {
            stream.shutdown(Shutdown::Both);
        }
    }

    /// Lets no more in, and wakes every session from its read; replies can still be written.
    pub(super) fn stop(&self) {
        let mut state = self.state.lock();
        state.is_stopped = true;
        state.streams.values().for_each(|stream| stream.shutdown(Shutdown::Read));
    }

    /// Ends every connection there is, whatever is still to be written.
    pub(super) fn abort(&self) {
        self.state.lock().streams.values().for_each(|stream| stream.shutdown(Shutdown::Both));
    }
}

impl Slot<'_> {
    /// Whether the seat is one of those kept for peers.
    pub(super) fn is_reserved(&self) -> bool {
        self.is_reserved
    }

    /// The connection is a peer's: it moves to a reserved seat, if one is free, and leaves its common one to others.
    pub(super) fn become_peer(&mut self) {
        let mut state = self.connections.state.lock();
        state.peers += usize::from(!self.is_peer);
        state.waiting -= usize::from(self.is_reserved && !self.is_peer);
        self.is_peer = true;
        if !self.is_reserved && state.reserved > 0 {
            state.reserved -= 1;
            state.common += 1;
            self.is_reserved = true;
        }
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let mut state = self.connections.state.lock();
        state.streams.remove(&self.number);
        state.peers -= usize::from(self.is_peer);
        state.waiting -= usize::from(self.is_reserved && !self.is_peer);
        *if self.is_reserved { &mut state.reserved } else { &mut state.common } += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> Arc<Stream> {
        Arc::new(Stream::pair().0)
    }

    #[test]
    fn seats_are_common_first_then_reserved_then_none() {
        let connections = Connections::new(1, 1);
        let first = connections.admit(1, &stream()).unwrap();
        assert!(!first.is_reserved());
        let second = connections.admit(2, &stream()).unwrap();
        assert!(second.is_reserved());
        assert_eq!(connections.tally(), Tally { clients: 1, peers: 0, waiting: 1 });
        assert_eq!(connections.admit(3, &stream()).unwrap_err(), Unadmitted::Full);
        drop(first);
        assert!(!connections.admit(4, &stream()).unwrap().is_reserved());
        assert_eq!(connections.count(), 1);
    }

    #[test]
    fn a_peer_leaves_its_common_seat_to_others() {
        let connections = Connections::new(1, 1);
        let mut peer = connections.admit(1, &stream()).unwrap();
        peer.become_peer();
        assert_eq!(connections.tally(), Tally { clients: 0, peers: 1, waiting: 0 });
        let client = connections.admit(2, &stream()).unwrap();
        assert!(!client.is_reserved());
        assert_eq!(connections.admit(3, &stream()).unwrap_err(), Unadmitted::Full);
        drop((peer, client));
        assert_eq!(connections.tally(), Tally { clients: 0, peers: 0, waiting: 0 });
        assert!(!connections.admit(4, &stream()).unwrap().is_reserved());
    }

    #[test]
    fn peer_in_a_reserved_seat_has_earned_it() {
        let connections = Connections::new(0, 1);
        let mut peer = connections.admit(1, &stream()).unwrap();
        assert_eq!(connections.tally(), Tally { clients: 0, peers: 0, waiting: 1 });
        peer.become_peer();
        peer.become_peer();
        assert_eq!(connections.tally(), Tally { clients: 0, peers: 1, waiting: 0 });
        drop(peer);
        assert_eq!(connections.tally(), Tally { clients: 0, peers: 0, waiting: 0 });
    }

    #[test]
    fn none_is_admitted_after_stop() {
        let connections = Connections::new(1, 1);
        connections.stop();
        assert_eq!(connections.admit(1, &stream()).unwrap_err(), Unadmitted::Stopped);
    }
}
