//! One connection, in the verbs that threads use: plain TCP. Several threads may share it: one reads and writes, another
//! may end it.

use std::{
    io::{self, ErrorKind},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use rustix::{
    io::Errno,
    net::{RecvFlags, SendFlags, sockopt::set_socket_recv_buffer_size},
};

/// How long one write call blocks before its caller looks at the clock.
const WRITE_SLICE: Duration = Duration::from_millis(100);

/// What may wait in the system of what a connection sends while nobody reads it; doubled, as for the listener.
const UNREAD_BYTES: usize = 64 * 1024;

/// How often a closing connection is read, 4 KiB at a time, for what its client had sent and nobody will read.
const UNREAD_READS_MAX: usize = 256;

/// A connection. Closed when dropped.
#[derive(Debug)]
pub(crate) struct Stream {
    tcp: TcpStream,
}

impl Stream {
    /// Takes a connection that waits at the listener, or waits for one.
    pub(crate) fn accept(listener: &TcpListener) -> io::Result<Self> {
        listener.accept().map(|(tcp, _)| Self { tcp })
    }

    /// Dials. Gives up after that time.
    pub(crate) fn connect(address: &SocketAddr, time: Duration) -> io::Result<Self> {
        Ok(Self { tcp: TcpStream::connect_timeout(address, time)? })
    }

    /// Prepares it for [`Stream::write_all`], and for small lines to leave at once.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        self.tcp.set_nodelay(true)?;
        self.tcp.set_write_timeout(Some(WRITE_SLICE))
    }

    /// Bounds what may come before it is read, which the system else lets grow to megabytes on a busy connection.
    pub(crate) fn bound_unread(&self) -> io::Result<()> {
        Ok(set_socket_recv_buffer_size(&self.tcp, UNREAD_BYTES)?)
    }

    /// The address of the other end.
    pub(crate) fn peer_address(&self) -> io::Result<SocketAddr> {
        self.tcp.peer_addr()
    }

    /// How long [`Stream::read`] waits from now on. More than nothing.
    pub(crate) fn set_read_timeout(&self, time: Duration) -> io::Result<()> {
        self.tcp.set_read_timeout(Some(time))
    }

    /// Reads what comes within the read timeout: 0 bytes are the end of the input, `None` is that nothing came.
    pub(crate) fn read(&self, bytes: &mut [u8]) -> io::Result<Option<usize>> {
        self.receive(bytes, RecvFlags::empty())
    }

    /// The same without waiting. To be asked before a write: after the other end's close, one write would still succeed
    /// and be lost.
    pub(crate) fn receive_now(&self, bytes: &mut [u8]) -> io::Result<Option<usize>> {
        self.receive(bytes, RecvFlags::DONTWAIT)
    }

    fn receive(&self, bytes: &mut [u8], flags: RecvFlags) -> io::Result<Option<usize>> {
        if_any(rustix::net::recv(&self.tcp, bytes, flags).map(|(_, count)| count))
    }

    /// Writes what the connection takes before its caller should look at the clock: how much that was.
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match rustix::net::send(&self.tcp, bytes, SendFlags::NOSIGNAL) {
            Ok(0) if !bytes.is_empty() => Err(ErrorKind::WriteZero.into()),
            written => if_any(written).map(Option::unwrap_or_default),
        }
    }

    /// Writes all of `bytes`, or fails with [`ErrorKind::TimedOut`] once `is_over` says so, which is asked each time a
    /// write has blocked for a while: a deadline for each call would start anew with every few bytes a slow reader takes.
    pub(crate) fn write_all(&self, mut bytes: &[u8], mut is_over: impl FnMut() -> bool) -> io::Result<()> {
        loop {
            bytes = &bytes[self.write(bytes)?..];
            if bytes.is_empty() {
                return Ok(());
            }
            if is_over() {
                return Err(ErrorKind::TimedOut.into());
            }
        }
    }

    /// From now on neither reading nor writing waits: what does not go at once does not go.
    pub(crate) fn set_hasty(&self) -> io::Result<()> {
        self.tcp.set_nonblocking(true)
    }

    /// Lets the other end have what was written to it, before the connection is dropped: bytes left unread would turn the
    /// close into a reset, which can overtake them. Waits for nothing.
    pub(crate) fn finish(&self) {
        self.shutdown(Shutdown::Write);
        if self.set_hasty().is_ok() {
            let mut unread = [0; 4096];
            for _ in 0..UNREAD_READS_MAX {
                if !matches!(self.read(&mut unread), Ok(Some(count)) if count > 0) {
                    break;
                }
            }
        }
    }

    /// Wakes whoever reads from or writes to the connection, for good.
    pub(crate) fn shutdown(&self, how: Shutdown) {
        // It fails only where the connection has ended already.
        let _ = self.tcp.shutdown(how);
    }
}

/// An error that says no more than that nothing came is none.
fn if_any(moved: Result<usize, Errno>) -> io::Result<Option<usize>> {
    match moved {
        Ok(count) => Ok(Some(count)),
        Err(Errno::AGAIN | Errno::INTR | Errno::TIMEDOUT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
impl Stream {
    /// A connection over loopback and its other end.
    pub(crate) fn pair() -> (Self, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
        let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
        (Self::accept(&listener).expect("one waits"), client)
    }
}
