//! The lines: how bytes become lines, what a line says, and what is said back (PROTOCOL.md).
//! Pure: no sockets, no clock, no locks. Parsing borrows from the line and allocates nothing.

mod fields;
mod lines;
mod peer;
mod request;

pub use fields::Fields;
pub use lines::{Ending, HEAD_BYTES, Line, LineBuffer, Lines, READ_BYTES_MAX};
pub use peer::{
    Hello, PEER_LINE_BYTES_MAX, PeerLine, REFUSED, is_hello, write_flooded, write_idle, write_refusal,
};
pub use request::{Invalid, QueryLimits, Report, Request, Whatsat};
