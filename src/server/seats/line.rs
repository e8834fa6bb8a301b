//! The seats of clients and neighbours, which speak in lines: how many there may be, and how to reach their streams
//! when one must end. [`Seating`] decides who gets which.

use std::{collections::HashMap, net::Shutdown, sync::Arc, time::Duration};

use parking_lot::{Condvar, Mutex};

use super::{
    SEAT_TIME, Unadmitted,
    seating::{NoSeat, Origin, SeatBounds, SeatKind, Seating, Sitter},
};
use crate::{system::clock, transport::Stream};

/// How long the node still reads from a connection that must make room.
const LAST_LINES_TIME: Duration = Duration::from_millis(500);

/// All of them, under one lock, which is taken when a connection begins, ends or becomes a peer's, and never for a
/// line.
#[derive(Debug)]
pub(crate) struct LineSeats {
    state: Mutex<State>,
    /// Notified when a seat becomes free, and at stop.
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    is_stopped: bool,
    seating: Seating,
    held: HashMap<u64, SeatedStream>,
}

/// A connection that has a seat.
#[derive(Debug)]
struct SeatedStream {
    stream: Arc<Stream>,
    /// Whether this end has ended what it says, so that its last line may be half of one.
    is_cut: bool,
}

/// The seat of one such connection.
#[derive(Debug)]
pub(crate) struct LineSeat<'a> {
    seats: &'a LineSeats,
    sitter: Sitter,
}

/// How many connections there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Tally {
    /// Of clients, or of those that have not said yet what they are.
    pub(crate) clients: usize,
    /// Of neighbours.
    pub(crate) peers: usize,
    /// In seats kept for neighbours, without having proved to be one.
    pub(crate) waiting: usize,
}

impl LineSeats {
    /// Seats in these numbers.
    pub(crate) fn new(bounds: SeatBounds) -> Self {
        let state = State { is_stopped: false, seating: Seating::new(bounds), held: HashMap::new() };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Gives a connection a seat: a common one, or when those are taken a kept one, which it must earn by a peer's
    /// handshake; another connection may have to make room. Gives none once stop is set, under the same lock, so that
    /// no socket is overlooked.
    pub(crate) fn admit(
        &self,
        number: u64,
        stream: &Arc<Stream>,
        origin: Origin,
    ) -> Result<LineSeat<'_>, Unadmitted> {
        // It is a stranger's, which is owed nothing.
        self.take(number, stream, Shutdown::Both, |seating| seating.sit(number, origin))
    }

    /// Gives a connection a seat in the same way, if it comes from the address of so many third-party neighbours.
    pub(crate) fn admit_plain(
        &self,
        number: u64,
        stream: &Arc<Stream>,
        origin: Origin,
        neighbours: usize,
    ) -> Result<LineSeat<'_>, Unadmitted> {
        // The lines that a neighbour has already sent can still be read.
        self.take(number, stream, Shutdown::Read, |seating| seating.sit_plain(number, origin, neighbours))
    }

    fn take(
        &self,
        number: u64,
        stream: &Arc<Stream>,
        how: Shutdown,
        mut sit: impl FnMut(&mut Seating) -> Result<Sitter, NoSeat>,
    ) -> Result<LineSeat<'_>, Unadmitted> {
        let (mut state, mut began, mut evicted) = (self.state.lock(), None, None);
        loop {
            if state.is_stopped {
                return Err(Unadmitted::Stopped);
            }
            match sit(&mut state.seating) {
                Ok(sitter) => {
                    state.held.insert(number, SeatedStream { stream: Arc::clone(stream), is_cut: false });
                    return Ok(LineSeat { seats: self, sitter });
                }
                Err(NoSeat::Full) => return Err(Unadmitted::Full),
                Err(NoSeat::Evict(number)) => {
                    state.cut(number, how);
                    evicted = Some(number);
                }
                Err(NoSeat::Leaving) => {}
            }
            let now = clock::tick();
            let waited = now - *began.get_or_insert(now);
            if waited >= SEAT_TIME {
                return Err(Unadmitted::Full);
            }
            // A connection that keeps sending never reaches the end of its input, nor does one that reads nothing.
            if waited >= LAST_LINES_TIME
                && let Some(number) = evicted.take()
            {
                state.cut(number, Shutdown::Both);
            }
            let until = if evicted.is_some() { LAST_LINES_TIME } else { SEAT_TIME };
            self.changed.wait_for(&mut state, until.saturating_sub(waited));
        }
    }

    /// How many there may be, without those kept for peers.
    pub(crate) fn most(&self) -> usize {
        self.state.lock().seating.bounds().common
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.state.lock().held.len()
    }

    /// How many there are of each kind.
    pub(crate) fn tally(&self) -> Tally {
        let state = self.state.lock();
        let (peers, waiting) = state.seating.peers_and_waiting();
        Tally { clients: state.held.len() - peers - waiting, peers, waiting }
    }

    /// Ends one connection, if it is still there.
    pub(crate) fn close(&self, number: u64) {
        if let Some(held) = self.state.lock().held.get(&number) {
            held.stream.shutdown(Shutdown::Both);
        }
    }

    /// Lets no more in, and wakes every session from its read; replies can still be written.
    pub(crate) fn stop(&self) {
        let mut state = self.state.lock();
        state.is_stopped = true;
        state.held.values().for_each(|held| held.stream.shutdown(Shutdown::Read));
        self.changed.notify_all();
    }

    /// Ends every connection, even if something is still to be written.
    pub(crate) fn abort(&self) {
        self.state.lock().held.values().for_each(|held| held.stream.shutdown(Shutdown::Both));
    }
}

impl State {
    /// Ends a connection, or what it says. What the other end has ended itself comes to its end without that, and whole.
    fn cut(&mut self, number: u64, how: Shutdown) {
        if let Some(held) = self.held.get_mut(&number)
            && (how != Shutdown::Read || !held.stream.has_all_come())
        {
            held.is_cut = true;
            held.stream.shutdown(how);
        }
    }
}

impl LineSeat<'_> {
    /// Whether the seat is one of those kept for peers, which must be earned.
    pub(crate) fn is_kept(&self) -> bool {
        self.sitter.kind == SeatKind::Kept
    }

    /// Where its connection comes from.
    pub(crate) fn origin(&self) -> Origin {
        self.sitter.origin
    }

    /// The connection is a peer's: it moves to a kept seat if one is free, and leaves its common one to others.
    pub(crate) fn become_peer(&mut self) {
        self.seats.state.lock().seating.prove(&mut self.sitter);
    }

    /// Whether this end has cut it off to free its seat for another.
    pub(crate) fn is_cut(&self) -> bool {
        self.seats.state.lock().held.get(&self.sitter.number).is_some_and(|held| held.is_cut)
    }
}

impl Drop for LineSeat<'_> {
    fn drop(&mut self) {
        let mut state = self.seats.state.lock();
        state.held.remove(&self.sitter.number);
        state.seating.leave(&self.sitter);
        self.seats.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, TcpStream};

    use super::*;

    fn seats(common: usize, kept: usize) -> LineSeats {
        LineSeats::new(SeatBounds { common, kept, of_origin: 9, caps_loopback: false, plain: 1 })
    }

    fn pair() -> (Arc<Stream>, TcpStream) {
        let (stream, client) = Stream::pair();
        (Arc::new(stream), client)
    }

    fn origin() -> Origin {
        Origin::of(IpAddr::from([192, 0, 2, 1]))
    }

    #[test]
    fn a_peer_leaves_its_common_seat_to_others() {
        let seats = seats(1, 1);
        let (stream, _client) = pair();
        let mut peer = seats.admit(1, &stream, origin()).unwrap();
        peer.become_peer();
        assert_eq!(seats.tally(), Tally { clients: 0, peers: 1, waiting: 0 });
        let client = seats.admit(2, &stream, origin()).unwrap();
        assert!(!client.is_kept());
        assert_eq!(seats.admit(3, &stream, origin()).unwrap_err(), Unadmitted::Full);
        drop((peer, client));
        assert_eq!(seats.tally(), Tally { clients: 0, peers: 0, waiting: 0 });
        assert!(!seats.admit(4, &stream, origin()).unwrap().is_kept());
    }

    #[test]
    fn newcomer_waits_for_the_seat_of_one_that_has_proved_nothing() {
        let seats = seats(0, 1);
        let ((first, _client), (second, _other)) = (pair(), pair());
        let seat = seats.admit(1, &first, origin()).unwrap();
        assert_eq!(seats.tally(), Tally { clients: 0, peers: 0, waiting: 1 });
        std::thread::scope(|scope| {
            // As its thread would do: its read ends, and then it does.
            scope.spawn(|| {
                assert_eq!(first.read(&mut [0]).unwrap(), Some(0));
                assert!(seat.is_cut());
                drop(seat);
            });
            assert!(seats.admit(2, &second, origin()).unwrap().is_kept());
        });
    }

    #[test]
    fn what_a_third_party_node_has_said_is_read_though_its_seat_is_wanted() {
        use std::io::Write;
        let seats = seats(0, 0);
        let ((first, mut client), (second, _other)) = (pair(), pair());
        let seat = seats.admit_plain(1, &first, origin(), 1).unwrap();
        client.write_all(b"AT").unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut said = [0; 2];
                assert_eq!((first.read(&mut said).unwrap(), said), (Some(2), *b"AT"));
                assert_eq!(first.read(&mut said).unwrap(), Some(0));
                assert!(seat.is_cut());
                drop(seat);
            });
            assert!(seats.admit_plain(2, &second, origin(), 1).is_ok());
        });
    }

    #[test]
    fn third_party_node_that_has_ended_what_it_says_is_not_cut_off() {
        use std::io::Write;
        let seats = seats(0, 0);
        let ((first, mut client), (second, _other)) = (pair(), pair());
        let seat = seats.admit_plain(1, &first, origin(), 1).unwrap();
        client.write_all(b"AT").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        while !first.has_all_come() {
            std::thread::yield_now();
        }
        let sitter = seat.sitter;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !seats.state.lock().seating.is_evicted(&sitter) {
                    std::thread::yield_now();
                }
                let mut said = [0; 2];
                assert_eq!((first.read(&mut said).unwrap(), said), (Some(2), *b"AT"));
                assert_eq!(first.read(&mut said).unwrap(), Some(0));
                assert!(!seat.is_cut(), "its last line is whole");
                drop(seat);
            });
            assert!(seats.admit_plain(2, &second, origin(), 1).is_ok());
        });
    }

    #[test]
    fn none_is_admitted_after_stop() {
        let seats = seats(1, 1);
        seats.stop();
        assert_eq!(seats.admit(1, &pair().0, origin()).unwrap_err(), Unadmitted::Stopped);
    }
}
