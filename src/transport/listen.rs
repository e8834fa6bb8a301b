//! What std's listeners do not offer: a longer backlog, waking a blocked `accept`, and waiting for a connection without a
//! descriptor.

use std::{io, net::TcpListener};

use rustix::{
    event::{PollFd, PollFlags},
    net::sockopt::set_socket_send_buffer_size,
};

/// How many connections may wait to be accepted. std asks for 128, which makes clients that connect in bursts wait for
/// seconds.
const BACKLOG: i32 = 4096;

/// How many sent but unaccepted bytes of a connection the system may hold. It counts its own records too, and doubles
/// the number for them.
const UNTAKEN_BYTES: usize = 64 * 1024;

/// Binds and listens. Accepted connections inherit the listener's send buffer, which costs them no call; by default the
/// system would let each have megabytes. A name is resolved, and the first of its addresses that can be bound is used.
pub(crate) fn listen(host: &str, port: u16) -> io::Result<TcpListener> {
    let listener = TcpListener::bind((host, port))?;
    set_socket_send_buffer_size(&listener, UNTAKEN_BYTES)?;
    rustix::net::listen(&listener, BACKLOG)?;
    Ok(listener)
}

/// Makes a blocked `accept` return an error, now and ever after. Needs no descriptor.
pub(crate) fn wake_accept(listener: &TcpListener) {
    // It fails only if nothing listens any more.
    let _ = rustix::net::shutdown(listener, rustix::net::Shutdown::Both);
}

/// Waits until a connection can be accepted, or [`wake_accept`] has been called. Needs no descriptor.
pub(crate) fn wait_for_connection(listener: &TcpListener) {
    // A signal may end the wait early, which does not hurt whoever accepts next.
    let _ = rustix::event::poll(&mut [PollFd::new(listener, PollFlags::IN)], None);
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use rustix::net::sockopt::socket_send_buffer_size;

    use super::*;

    #[test]
    fn accepted_connections_have_the_listeners_send_buffer() {
        let listener = listen("127.0.0.1", 0).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        assert_eq!(socket_send_buffer_size(&accepted).unwrap(), 2 * UNTAKEN_BYTES);
    }
}
