//! What carries bytes: the one type of connection that threads read and write, and what they accept it from. No other
//! part of a node names `TcpStream`; `herd send`, which is a client, does.

mod listen;
mod stream;

pub(crate) use self::{
    listen::{Bound, wait_for_connection, wake_accept},
    stream::Stream,
};
