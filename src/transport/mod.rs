//! What carries bytes: the one type of connection that threads read and write, and what they accept from. `TcpStream` is
//! named here and nowhere else.

mod listen;
mod stream;

pub(crate) use self::{
    listen::{listen, wait_for_connection, wake_accept},
    stream::Stream,
};
