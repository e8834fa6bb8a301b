//! Seats: slots for a limited number of connections, freed when dropped. There are two kinds: clients and neighbours
//! keep theirs until they leave, unless they must earn them; the web face's go to newcomers.

mod line;
mod seating;
mod web;

use std::{net::IpAddr, time::Duration};

pub(super) use self::{
    line::{LineSeat, LineSeats, Tally},
    seating::{Origin, SeatBounds},
    web::{WebSeat, WebSeatBounds, WebSeats},
};

/// How long a connection that must give its seat up may take. Its thread only needs to be woken.
pub(super) const SEAT_TIME: Duration = Duration::from_secs(1);

/// Why a connection gets no seat.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unadmitted {
    /// The maximum number of connections is reached.
    Full,
    /// It came to the door of third-party neighbours, from an address that none of them has.
    Stranger(IpAddr),
    /// The same, as far as is known: not all of their names are resolved.
    Unresolved(IpAddr),
    /// The node is stopping.
    Stopped,
}
