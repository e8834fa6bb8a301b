//! Seats: a connection's slot among those that may be at once, free again when it is dropped. Two kinds: clients and
//! neighbours keep theirs until they leave; the web face's are given up for newcomers.

mod line;
mod web;

pub(super) use self::{
    line::{LineSeat, LineSeats, Tally},
    web::{WebSeat, WebSeats},
};

/// Why a connection gets no seat.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unadmitted {
    /// There are as many connections as there may be.
    Full,
    /// The node stops.
    Stopped,
}
