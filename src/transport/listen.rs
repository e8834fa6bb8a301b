//! What std's listeners do not offer: binding before they listen, a longer backlog, waking a blocked `accept`, and
//! waiting for a connection without a descriptor.

use std::{
    io,
    net::{SocketAddr, TcpListener, ToSocketAddrs},
    os::fd::OwnedFd,
};

use rustix::{
    event::{PollFd, PollFlags},
    net::{
        AddressFamily, SocketFlags, SocketType, getsockname, socket_with,
        sockopt::{set_socket_reuseaddr, set_socket_send_buffer_size},
    },
};

/// How many connections may wait to be accepted. std asks for 128, which makes clients that connect in bursts wait for
/// seconds.
const BACKLOG: i32 = 4096;

/// How many sent but unaccepted bytes of a connection the system may hold. It counts its own records too, and doubles
/// the number for them.
const UNTAKEN_BYTES: usize = 64 * 1024;

/// An address that was found free, at which nobody can connect yet. Another program may still be the first to listen there.
#[derive(Debug)]
pub(crate) struct Bound(OwnedFd);

impl Bound {
    /// A name is resolved, and the first of its addresses that can be bound is used.
    pub(crate) fn at(host: &str, port: u16) -> io::Result<Self> {
        let mut refused = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in (host, port).to_socket_addrs()? {
            match Self::at_address(address) {
                Ok(bound) => return Ok(bound),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    fn at_address(address: SocketAddr) -> io::Result<Self> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        // As std does: a node that starts again need not wait for its last connections to be forgotten.
        set_socket_reuseaddr(&socket, true)?;
        rustix::net::bind(&socket, &address)?;
        Ok(Self(socket))
    }

    /// With the port that the system picked if it was 0.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        Ok(getsockname(&self.0)?.try_into()?)
    }

    /// Lets clients connect. Accepted connections inherit the listener's send buffer, which costs them no call; by default
    /// the system would let each have megabytes.
    pub(crate) fn listen(self) -> io::Result<TcpListener> {
        set_socket_send_buffer_size(&self.0, UNTAKEN_BYTES)?;
        rustix::net::listen(&self.0, BACKLOG)?;
        Ok(self.0.into())
    }
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
        let listener = Bound::at("127.0.0.1", 0).unwrap().listen().unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        assert_eq!(socket_send_buffer_size(&accepted).unwrap(), 2 * UNTAKEN_BYTES);
    }

    #[test]
    fn nobody_connects_to_what_is_only_bound_and_what_listens_is_taken() {
        let bound = Bound::at("127.0.0.1", 0).unwrap();
        let address = bound.address().unwrap();
        assert_eq!(TcpStream::connect(address).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        let _listener = bound.listen().unwrap();
        TcpStream::connect(address).unwrap();
        let again = Bound::at("127.0.0.1", address.port());
        assert_eq!(again.unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
