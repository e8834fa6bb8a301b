//! The seats of clients and neighbours, who speak in lines: how many there may be, and how to reach their streams when
//! one must end.

use std::{collections::HashMap, net::Shutdown, sync::Arc};

use parking_lot::Mutex;

use super::Unadmitted;
use crate::transport::Stream;

/// All of them. One lock, taken when a connection begins, ends or becomes a peer's, never for a line.
#[derive(Debug)]
pub(crate) struct LineSeats {
    most: usize,
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

/// The seat of one such connection.
#[derive(Debug)]
pub(crate) struct LineSeat<'a> {
    seats: &'a LineSeats,
    number: u64,
    is_reserved: bool,
    is_peer: bool,
}

/// How many connections there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Tally {
    /// Of clients, or of those who have not said yet what they are.
    pub(crate) clients: usize,
    /// Of neighbours.
    pub(crate) peers: usize,
    /// In a seat that is kept for neighbours, without having shown to be one.
    pub(crate) waiting: usize,
}

impl LineSeats {
    /// Seats for `common` connections, and `reserved` more for peers.
    pub(crate) fn new(common: usize, reserved: usize) -> Self {
        Self {
            most: common,
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
    pub(crate) fn admit(&self, number: u64, stream: &Arc<Stream>) -> Result<LineSeat<'_>, Unadmitted> {
        let mut state = self.state.lock();
        if state.is_stopped {
            return Err(Unadmitted::Stopped);
        }
        let is_reserved = state.common == 0;
        let free = if is_reserved { &mut state.reserved } else { &mut state.common };
        *free = free.checked_sub(1).ok_or(Unadmitted::Full)?;
        state.waiting += usize::from(is_reserved);
        state.streams.insert(number, Arc::clone(stream));
        Ok(LineSeat { seats: self, number, is_reserved, is_peer: false })
    }

    /// How many there may be, but for those reserved for peers.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.state.lock().streams.len()
    }

    /// How many there are of each kind.
    pub(crate) fn tally(&self) -> Tally {
        let state = self.state.lock();
        let State { peers, waiting, .. } = *state;
        Tally { clients: state.streams.len() - peers - waiting, peers, waiting }
    }

    /// Ends one connection, if it is still there.
    pub(crate) fn close(&self, number: u64) {
        if let Some(stream) = self.state.lock().streams.get(&number) {
            stream.shutdown(Shutdown::Both);
        }
    }

    /// Lets no more in, and wakes every session from its read; replies can still be written.
    pub(crate) fn stop(&self) {
        let mut state = self.state.lock();
        state.is_stopped = true;
        state.streams.values().for_each(|stream| stream.shutdown(Shutdown::Read));
    }

    /// Ends every connection there is, whatever is still to be written.
    pub(crate) fn abort(&self) {
        self.state.lock().streams.values().for_each(|stream| stream.shutdown(Shutdown::Both));
    }
}

impl LineSeat<'_> {
    /// Whether the seat is one of those kept for peers.
    pub(crate) fn is_reserved(&self) -> bool {
        self.is_reserved
    }

    /// The connection is a peer's: it moves to a reserved seat, if one is free, and leaves its common one to others.
    pub(crate) fn become_peer(&mut self) {
        let mut state = self.seats.state.lock();
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

impl Drop for LineSeat<'_> {
    fn drop(&mut self) {
        let mut state = self.seats.state.lock();
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
        let seats = LineSeats::new(1, 1);
        let first = seats.admit(1, &stream()).unwrap();
        assert!(!first.is_reserved());
        let second = seats.admit(2, &stream()).unwrap();
        assert!(second.is_reserved());
        assert_eq!(seats.tally(), Tally { clients: 1, peers: 0, waiting: 1 });
        assert_eq!(seats.admit(3, &stream()).unwrap_err(), Unadmitted::Full);
        drop(first);
        assert!(!seats.admit(4, &stream()).unwrap().is_reserved());
        assert_eq!(seats.count(), 1);
    }

    #[test]
    fn a_peer_leaves_its_common_seat_to_others() {
        let seats = LineSeats::new(1, 1);
        let mut peer = seats.admit(1, &stream()).unwrap();
        peer.become_peer();
        assert_eq!(seats.tally(), Tally { clients: 0, peers: 1, waiting: 0 });
        let client = seats.admit(2, &stream()).unwrap();
        assert!(!client.is_reserved());
        assert_eq!(seats.admit(3, &stream()).unwrap_err(), Unadmitted::Full);
        drop((peer, client));
        assert_eq!(seats.tally(), Tally { clients: 0, peers: 0, waiting: 0 });
        assert!(!seats.admit(4, &stream()).unwrap().is_reserved());
    }

    #[test]
    fn peer_in_a_reserved_seat_has_earned_it() {
        let seats = LineSeats::new(0, 1);
        let mut peer = seats.admit(1, &stream()).unwrap();
        assert_eq!(seats.tally(), Tally { clients: 0, peers: 0, waiting: 1 });
        peer.become_peer();
        peer.become_peer();
        assert_eq!(seats.tally(), Tally { clients: 0, peers: 1, waiting: 0 });
        drop(peer);
        assert_eq!(seats.tally(), Tally { clients: 0, peers: 0, waiting: 0 });
    }

    #[test]
    fn none_is_admitted_after_stop() {
        let seats = LineSeats::new(1, 1);
        seats.stop();
        assert_eq!(seats.admit(1, &stream()).unwrap_err(), Unadmitted::Stopped);
    }
}
