//! Seats: a connection's slot among those that may be at once, free again when it is dropped. Two kinds: clients and
//! neighbours keep theirs until they leave, but for those that must be earned; the web face's are given up for newcomers.

mod line;
mod seating;
mod web;

use std::{net::IpAddr, time::Duration};

pub(super) use self::{
    line::{LineSeat, LineSeats, Tally},
    seating::{Origin, SeatBounds},
    web::{WebSeat, WebSeats},
};

/// How long one that gives its seat up has for it. Its thread needs no more than to be woken.
pub(super) const SEAT_TIME: Duration = Duration::from_secs(1);

/// Why a connection gets no seat.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unadmitted {
    /// There are as many connections as there may be.
    Full,
    /// It came where third-party neighbours do, from where none is.
    Stranger(IpAddr),
    /// The same, as far as is known: not all of their names are resolved.
    Unresolved(IpAddr),
    /// The node stops.
    Stopped,
}
