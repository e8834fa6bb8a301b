//! The web face's seats. When all are taken, the connection that has waited longest without a whole request gives its seat up,
//! so that connections that say nothing, drip, or do not read their answers never keep a newcomer out. A few further seats are
//! reserved for health: a newcomer sits there until its request shows that it needs another.

use std::{
    cell::Cell,
    collections::{BTreeMap, HashMap},
    net::Shutdown,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::{Origin, Unadmitted};
use crate::{core::model::Tick, system::clock, transport::Stream};

/// How long a connection that has sent its request may keep its seat while others want it: far longer than an answer
/// takes when it is read.
const ANSWER_TIME: Duration = Duration::from_millis(100);

/// How long one that was told to give its seat up has for it before another is told.
const LEAVE_TIME: Duration = Duration::from_millis(100);

/// How many there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct WebSeatBounds {
    /// For anything.
    pub(crate) common: usize,
    /// Of those, for one origin.
    pub(crate) of_origin: usize,
    /// Whether that holds for this machine's own programs, too.
    pub(crate) caps_loopback: bool,
    /// Further ones, for health.
    pub(crate) reserved: usize,
}

/// A limited number of connections.
#[derive(Debug)]
pub(crate) struct WebSeats {
    bounds: WebSeatBounds,
    state: Mutex<State>,
    /// Notified when a seat becomes free, and at stop.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_stopped: bool,
    taken: BTreeMap<u64, TakenSeat>,
    /// How many of them are common.
    common: usize,
    /// How many each origin has, of either kind.
    of_origin: HashMap<Origin, usize>,
}

#[derive(Debug)]
struct TakenSeat {
    stream: Arc<Stream>,
    origin: Option<Origin>,
    is_reserved: bool,
    standing: Arc<Standing>,
}

/// What a connection is doing: set by its thread for each request, without a lock, and read when seats are wanting.
#[derive(Debug)]
struct Standing {
    /// Since when, in nanoseconds, doubled; and one more if it has a whole request.
    since: AtomicU64,
    is_evicted: AtomicBool,
}

impl Standing {
    fn waiting(now: Tick) -> Self {
        Self { since: AtomicU64::new(Self::number(now, false)), is_evicted: AtomicBool::new(false) }
    }

    /// In 64 bits there is room for 292 years.
    fn number(since: Tick, has_asked: bool) -> u64 {
        2 * since.as_nanos() as u64 + u64::from(has_asked)
    }

    fn set(&self, since: Tick, has_asked: bool) {
        self.since.store(Self::number(since, has_asked), Ordering::Relaxed);
    }

    /// Whether it has a whole request, and since when that is so.
    fn read(&self) -> (bool, Tick) {
        let number = self.since.load(Ordering::Relaxed);
        (number % 2 == 1, Duration::from_nanos(number / 2))
    }

    fn is_evicted(&self) -> bool {
        self.is_evicted.load(Ordering::Relaxed)
    }
}

/// The seat of one such connection.
#[derive(Debug)]
pub(crate) struct WebSeat<'a> {
    seats: &'a WebSeats,
    number: u64,
    is_reserved: Cell<bool>,
    /// While it is reserved: when a connection may be told to make room, after the one that was told at first.
    evicts_at: Tick,
    standing: Arc<Standing>,
}

impl WebSeats {
    /// So many seats at most.
    pub(crate) fn new(bounds: WebSeatBounds) -> Self {
        Self { bounds, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Gives a connection a seat. If none is free, has one given up, and waits for that until the deadline; a reserved one
    /// is taken meanwhile.
    pub(crate) fn take(
        &self,
        number: u64,
        stream: &Arc<Stream>,
        deadline: Tick,
    ) -> Result<WebSeat<'_>, Unadmitted> {
        let origin = stream.peer_address().ok().map(|address| Origin::of(address.ip()));
        let origin = origin.filter(|origin| self.bounds.caps_loopback || !origin.is_loopback());
        let mut state = self.state.lock();
        if self.has_all(&state, origin) {
            // It has its fill already: what it may not do is take others' seats.
            state = self.wait(state, (Tick::ZERO, deadline), |state| self.has_all(state, origin), origin)?;
        }
        let (mut is_reserved, mut evicts_at) = (false, Tick::ZERO);
        if state.common >= self.bounds.common {
            if state.taken.len() - state.common < self.bounds.reserved {
                is_reserved = true;
                let now = clock::tick();
                evicts_at = state.evict(now, None).unwrap_or(now + LEAVE_TIME);
            } else {
                let is_full = |state: &State| state.common >= self.bounds.common;
                state = self.wait(state, (Tick::ZERO, deadline), is_full, None)?;
            }
        }
        if state.is_stopped {
            return Err(Unadmitted::Stopped);
        }
        let standing = Arc::new(Standing::waiting(clock::tick()));
        let taken =
            TakenSeat { stream: Arc::clone(stream), origin, is_reserved, standing: Arc::clone(&standing) };
        state.taken.insert(number, taken);
        state.common += usize::from(!is_reserved);
        if let Some(origin) = origin {
            *state.of_origin.entry(origin).or_default() += 1;
        }
        Ok(WebSeat { seats: self, number, is_reserved: Cell::new(is_reserved), evicts_at, standing })
    }

    fn has_all(&self, state: &State, origin: Option<Origin>) -> bool {
        let count = origin.and_then(|origin| state.of_origin.get(&origin)).copied().unwrap_or_default();
        count >= self.bounds.of_origin
    }

    /// Waits while `is_full`, and has a connection make room from `evicts_at` on, one of that origin if there is one.
    fn wait<'s>(
        &self,
        mut state: MutexGuard<'s, State>,
        (evicts_at, deadline): (Tick, Tick),
        is_full: impl Fn(&State) -> bool,
        origin: Option<Origin>,
    ) -> Result<MutexGuard<'s, State>, Unadmitted> {
        let mut look_at = Some(evicts_at);
        while !state.is_stopped && is_full(&state) {
            let now = clock::tick();
            if look_at.is_some_and(|at| at <= now) {
                look_at = state.evict(now, origin);
            }
            if now >= deadline {
                return Err(Unadmitted::Full);
            }
            self.changed.wait_for(&mut state, look_at.unwrap_or(deadline).min(deadline).saturating_sub(now));
        }
        if state.is_stopped { Err(Unadmitted::Stopped) } else { Ok(state) }
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
    /// Ends the connection that has waited longest for a whole request. If none waits, ends the one that has had one
    /// for longest, once its time is up; until then it does nothing, and returns when to look again.
    ///
    /// A request that has arrived but was not read yet is answered all the same: what has arrived can still be read.
    fn evict(&mut self, now: Tick, origin: Option<Origin>) -> Option<Tick> {
        let staying = self.taken.iter().filter(|(_, taken)| {
            !taken.standing.is_evicted() && (origin.is_none() || taken.origin == origin)
        });
        // Of several at one moment, the one that came first.
        let (_, chosen) = staying.min_by_key(|(number, taken)| (taken.standing.read(), **number))?;
        let (how, not_before) = match chosen.standing.read() {
            (false, _) => (Shutdown::Read, Tick::ZERO),
            (true, asked_at) => (Shutdown::Both, asked_at + ANSWER_TIME),
        };
        if now < not_before {
            return Some(not_before);
        }
        chosen.standing.is_evicted.store(true, Ordering::Relaxed);
        chosen.stream.shutdown(how);
        None
    }
}

impl WebSeat<'_> {
    /// A request is complete.
    pub(crate) fn has_asked(&self) {
        self.standing.set(clock::tick(), true);
    }

    /// It is answered.
    pub(crate) fn waits(&self) {
        self.standing.set(clock::tick(), false);
    }

    /// Whether it was told to give its seat up.
    pub(crate) fn is_evicted(&self) -> bool {
        self.standing.is_evicted()
    }

    /// Whether it may only ask for the node's health.
    pub(crate) fn is_reserved(&self) -> bool {
        self.is_reserved.get()
    }

    /// Takes a common seat instead of a reserved one, once there is one; `false` if there is none by the deadline.
    pub(crate) fn leave_reserved(&self, deadline: Tick) -> bool {
        if !self.is_reserved() {
            return true;
        }
        let is_full = |state: &State| state.common >= self.seats.bounds.common;
        // One was told to make room when this one came: telling another at once would cost two for one.
        let times = (self.evicts_at, deadline);
        let Ok(mut state) = self.seats.wait(self.seats.state.lock(), times, is_full, None) else {
            return false;
        };
        let Some(taken) = state.taken.get_mut(&self.number) else { return false };
        taken.is_reserved = false;
        state.common += 1;
        self.is_reserved.set(false);
        self.seats.changed.notify_all();
        true
    }
}

impl Drop for WebSeat<'_> {
    fn drop(&mut self) {
        let mut state = self.seats.state.lock();
        if let Some(taken) = state.taken.remove(&self.number) {
            state.common -= usize::from(!taken.is_reserved);
            if let Some(origin) = taken.origin
                && let Some(count) = state.of_origin.get_mut(&origin)
            {
                *count -= 1;
                if *count == 0 {
                    state.of_origin.remove(&origin);
                }
            }
        }
        self.seats.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    fn seats(common: usize) -> WebSeats {
        WebSeats::new(WebSeatBounds { common, of_origin: 100, caps_loopback: true, reserved: 0 })
    }

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
        let seats = seats(3);
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
        let seats = seats(1);
        let ((first, _client), (second, _other)) = (pair(), pair());
        let seat = seats.take(1, &first, Tick::ZERO).unwrap();
        seat.has_asked();
        let asked = clock::tick();
        let is_full = seats.take(2, &second, Tick::ZERO).is_err();
        assert!(is_full && (!seat.is_evicted() || clock::tick() - asked >= ANSWER_TIME));
    }

    #[test]
    fn reader_who_takes_nothing_gives_its_seat_up_in_the_middle_of_its_answer() {
        let seats = seats(1);
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
        let seats = seats(1);
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
        let seats = seats(1);
        let (socket, _client) = pair();
        seats.stop();
        assert_eq!(seats.take(1, &socket, Tick::ZERO).unwrap_err(), Unadmitted::Stopped);
    }

    #[test]
    fn one_that_waits_for_its_next_request_makes_room_and_the_one_that_asked_later_stays() {
        let seats = seats(2);
        let ((first, _a), (second, _b), (third, _c)) = (pair(), pair(), pair());
        let (kept, idle) =
            (seats.take(1, &first, Tick::ZERO).unwrap(), seats.take(2, &second, Tick::ZERO).unwrap());
        idle.has_asked();
        idle.waits();
        kept.has_asked();
        kept.waits();
        assert_eq!(seats.take(3, &third, Tick::ZERO).unwrap_err(), Unadmitted::Full);
        assert_eq!((kept.is_evicted(), idle.is_evicted()), (false, true));
    }

    #[test]
    fn origin_that_has_its_fill_gives_up_a_seat_of_its_own() {
        let bounds = WebSeatBounds { common: 9, of_origin: 2, caps_loopback: true, reserved: 0 };
        let seats = WebSeats::new(bounds);
        let (sockets, _clients): (Vec<_>, Vec<_>) = (0..3).map(|_| pair()).unzip();
        let first = seats.take(1, &sockets[0], Tick::ZERO).unwrap();
        let second = seats.take(2, &sockets[1], Tick::ZERO).unwrap();
        assert_eq!(seats.take(3, &sockets[2], Tick::ZERO).unwrap_err(), Unadmitted::Full);
        assert_eq!((first.is_evicted(), second.is_evicted()), (true, false));
        drop(first);
        assert!(seats.take(3, &sockets[2], Tick::ZERO).is_ok());
        drop(second);
        assert!(seats.state.lock().of_origin.is_empty());
        // This machine's own programs are not counted, unless they are to be.
        let seats = WebSeats::new(WebSeatBounds { caps_loopback: false, ..bounds });
        let taken: Vec<_> =
            (0..).zip(&sockets).map(|(at, socket)| seats.take(at, socket, Tick::ZERO).unwrap()).collect();
        assert!(taken.iter().all(|seat| !seat.is_evicted()));
    }

    #[test]
    fn reserved_seat_is_there_at_once_and_is_left_when_another_is_free() {
        let bounds = WebSeatBounds { common: 1, of_origin: 9, caps_loopback: true, reserved: 1 };
        let seats = WebSeats::new(bounds);
        let ((first, _a), (second, _b), (third, _c)) = (pair(), pair(), pair());
        let busy = seats.take(1, &first, Tick::ZERO).unwrap();
        assert!(!busy.is_reserved() && busy.leave_reserved(Tick::ZERO));
        busy.has_asked();
        let probe = seats.take(2, &second, Tick::ZERO).unwrap();
        assert!(probe.is_reserved() && !probe.leave_reserved(Tick::ZERO));
        assert_eq!(seats.take(3, &third, Tick::ZERO).unwrap_err(), Unadmitted::Full);
        drop(busy);
        assert!(probe.leave_reserved(Tick::ZERO) && !probe.is_reserved());
        assert!(seats.take(3, &third, Tick::ZERO).unwrap().is_reserved());
        drop(probe);
        assert_eq!((seats.count(), seats.state.lock().common), (0, 0));
    }
}
