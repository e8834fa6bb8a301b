//! What carries bytes: the one type of connection that threads read and write, and what they accept it from. No other
//! part of the program names `TcpStream`.

mod client;
mod listen;
mod stream;
mod tls;

pub use self::tls::Trust;
pub(crate) use self::{
    client::ClientStream,
    listen::{Bound, wait_for_connection, wake_accept},
    stream::Stream,
    tls::{HandshakePool, PeersTls, ServiceTls, TlsFault, TlsService},
};
