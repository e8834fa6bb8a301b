//! The web face's seats. When all are taken, the connection that has waited longest without sending a request gives its
//! seat up, so that connections that send nothing, drip, or do not read their answers never keep a probe out.

use std::{collections::BTreeMap, net::Shutdown, sync::Arc, time::Duration};

use parking_lot::{Condvar, Mutex};

use super::Unadmitted;
use crate::{core::model::Tick, system::clock, transport::Stream};

/// How long a connection that has sent its request may keep its seat while others want it: far longer than an answer
/// takes when it is read.
const ANSWER_TIME: Duration = Duration::from_millis(100);

/// A fixed number of connections, in the order in which they came.
#[derive(Debug)]
pub(crate) struct WebSeats {
    most: usize,
    state: Mutex<State>,
    /// Notified when a seat becomes free, and at stop.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_stopped: bool,
    taken: BTreeMap<u64, Taken>,
}

#[derive(Debug)]
struct Taken {
    stream: Arc<Stream>,
    /// When its request was complete.
    asked_at: Option<Tick>,
    is_evicted: bool,
}

/// The seat of one such connection.
#[derive(Debug)]
pub(crate) struct WebSeat<'a> {
    seats: &'a WebSeats,
    number: u64,
}

impl WebSeats {
    /// So many seats at most.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Gives a connection a seat. If none is free, makes one free, and waits for that until the deadline.
    pub(crate) fn take(
        &self,
        number: u64,
        stream: &Arc<Stream>,
        deadline: Tick,
    ) -> Result<WebSeat<'_>, Unadmitted> {
        let mut state = self.state.lock();
        let mut look_at = Some(Tick::ZERO);
        while !state.is_stopped && state.taken.len() >= self.most {
            let now = clock::tick();
            if look_at.is_some_and(|at| at <= now) {
                look_at = state.evict(now);
            }
            if now >= deadline {
                return Err(Unadmitted::Full);
            }
            self.changed.wait_for(&mut state, look_at.unwrap_or(deadline).min(deadline).saturating_sub(now));
        }
        if state.is_stopped {
            return Err(Unadmitted::Stopped);
        }
        state.taken.insert(number, Taken { stream: Arc::clone(stream), asked_at: None, is_evicted: false });
        Ok(WebSeat { seats: self, number })
    }

    /// How many are taken.
    pub(crate) fn count(&self) -> usize {
        self.state.lock().taken.len()
    }

    /// Gives no more, and ends every connection there is.
    pub(crate) fn stop(&self) {
        let mut state = self.state.lock();
        state.is_stopped = true;
        state.taken.values().for_each(|taken| taken.stream.shutdown(Shutdown::Both));
        self.changed.notify_all();
    }
}

impl State {
    /// Ends the oldest connection that has not sent a request. If all have, ends the one that did so first, once its
    /// time is up; until then it does nothing, and returns when to look again.
    ///
    /// A request that has arrived but was not read yet is answered all the same: what has arrived can still be read.
    fn evict(&mut self, now: Tick) -> Option<Tick> {
        let staying = self.taken.values_mut().filter(|taken| !taken.is_evicted);
        // The silent ones first, each kind in the order in which they came or asked.
        let chosen = staying.min_by_key(|taken| taken.asked_at)?;
        let (how, not_before) = match chosen.asked_at {
            None => (Shutdown::Read, Tick::ZERO),
            Some(asked_at) => (Shutdown::Both, asked_at + ANSWER_TIME),
        };
        if now < not_before {
            return Some(not_before);
        }
        chosen.is_evicted = true;
        chosen.stream.shutdown(how);
        None
    }
}

impl WebSeat<'_> {
    /// Its request is complete.
    pub(crate) fn has_asked(&self) {
        if let Some(taken) = self.seats.state.lock().taken.get_mut(&self.number) {
            taken.asked_at = Some(clock::tick());
        }
    }

    /// Whether it was told to give its seat up.
    pub(crate) fn is_evicted(&self) -> bool {
        self.seats.state.lock().taken.get(&self.number).is_some_and(|taken| taken.is_evicted)
    }
}

impl Drop for WebSeat<'_> {
    fn drop(&mut self) {
        self.seats.state.lock().taken.remove(&self.number);
        self.seats.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    /// A connection's two ends.
    fn pair() -> (Arc<Stream>, TcpStream) {
        let (stream, client) = Stream::pair();
        (Arc::new(stream), client)
    }

    fn is_shut_down(stream: &Stream) -> bool {
        matches!(stream.receive_now(&mut [0]), Ok(Some(0)))
    }

    #[test]
    fn oldest_that_has_not_asked_gives_its_seat_up_then_the_one_that_asked_first() {
        let seats = WebSeats::new(3);
        let (sockets, _clients): (Vec<_>, Vec<_>) = (0..3).map(|_| pair()).unzip();
        let take = |(at, socket)| seats.take(at, socket, Tick::ZERO).unwrap();
        let taken: Vec<_> = (0..).zip(&sockets).map(take).collect();
        taken[0].has_asked();
        let (newcomer, _client) = pair();
        let evicted = || taken.iter().map(WebSeat::is_evicted).collect::<Vec<_>>();
        for expected in [[false, true, false], [false, true, true]] {
            assert_eq!(seats.take(9, &newcomer, Tick::ZERO).unwrap_err(), Unadmitted::Full);
            assert_eq!(evicted(), expected);
        }
        // One that has sent its request has its time.
        for _ in 0..2 {
            assert!(seats.take(9, &newcomer, clock::tick() + 2 * ANSWER_TIME).is_err());
            assert_eq!(evicted(), [true, true, true]);
        }
        assert!(sockets.iter().all(|socket| is_shut_down(socket)));
        assert_eq!(seats.count(), 3);
        drop(taken);
        assert!(!seats.take(9, &newcomer, Tick::ZERO).unwrap().is_evicted());
        assert_eq!(seats.count(), 0);
    }

    #[test]
    fn one_that_asked_just_now_is_left_alone() {
        let seats = WebSeats::new(1);
        let ((first, _client), (second, _other)) = (pair(), pair());
        let seat = seats.take(1, &first, Tick::ZERO).unwrap();
        seat.has_asked();
        let asked = clock::tick();
        let is_full = seats.take(2, &second, Tick::ZERO).is_err();
        assert!(is_full && (!seat.is_evicted() || clock::tick() - asked >= ANSWER_TIME));
    }

    #[test]
    fn reader_who_takes_nothing_gives_its_seat_up_in_the_middle_of_its_answer() {
        let seats = WebSeats::new(1);
        let ((first, _client), (second, _other)) = (pair(), pair());
        let seat = seats.take(1, &first, Tick::ZERO).unwrap();
        seat.has_asked();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // It blocks once the sockets hold no more, and fails once the socket is shut down.
                first.prepare().unwrap();
                while first.write_all(&[0; 64 * 1024], || false).is_ok() {}
                drop(seat);
            });
            assert!(seats.take(2, &second, clock::tick() + Duration::from_secs(60)).is_ok());
        });
    }

    #[test]
    fn newcomer_waits_for_the_seat_that_is_given_up() {
        let seats = WebSeats::new(1);
        let ((first, _client), (second, _other)) = (pair(), pair());
        let seat = seats.take(1, &first, Tick::ZERO).unwrap();
        std::thread::scope(|scope| {
            // As the first one's thread would do: its read ends, and then it does.
            scope.spawn(|| {
                assert!(matches!(first.read(&mut [0]), Ok(Some(0))));
                drop(seat);
            });
            let deadline = clock::tick() + Duration::from_secs(60);
            assert!(seats.take(2, &second, deadline).is_ok());
        });
    }

    #[test]
    fn none_is_given_after_stop() {
        let seats = WebSeats::new(1);
        let (socket, _client) = pair();
        seats.stop();
        assert_eq!(seats.take(1, &socket, Tick::ZERO).unwrap_err(), Unadmitted::Stopped);
    }
}
