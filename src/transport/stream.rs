//! One connection, in the verbs that threads use: plain TCP. Several threads may share it: one reads and writes, another
//! may end it.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use rustix::net::{RecvFlags, sockopt};

/// How long one write call blocks before its caller looks at the clock.
const WRITE_SLICE: Duration = Duration::from_millis(100);

/// What the system may hold of what a link has written: a piece of news and a piece of repair, which is what a link writes
/// at once. Left alone it lets megabytes wait, and on a slow link all that is said later waits behind them. (It doubles the
/// number, for its own accounts.)
const LINK_SEND_BYTES: usize = 128 * 1024;

/// How often the system asks in vain whether the other end is there before it gives the connection up.
const KEEPALIVE_PROBES: u32 = 3;

/// The system counts the times of keepalive in whole seconds.
const KEEPALIVE_TIME_MIN: Duration = Duration::from_secs(1);

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

    /// Has little of what a link writes wait in the system.
    pub(crate) fn hold_little_unsent(&self) -> io::Result<()> {
        Ok(sockopt::set_socket_send_buffer_size(&self.tcp, LINK_SEND_BYTES)?)
    }

    /// Has the system ask whether the other end is still there once nothing has come for `time`, and then so often again.
    /// Reading fails once that was in vain, and so does writing once what was written is not taken for as long. It is for
    /// those who cannot be pinged.
    pub(crate) fn keep_alive(&self, time: Duration) -> io::Result<()> {
        let time = time.max(KEEPALIVE_TIME_MIN);
        sockopt::set_tcp_keepidle(&self.tcp, time)?;
        sockopt::set_tcp_keepintvl(&self.tcp, time)?;
        sockopt::set_tcp_keepcnt(&self.tcp, KEEPALIVE_PROBES)?;
        let all_ms = (time * (1 + KEEPALIVE_PROBES)).as_millis();
        sockopt::set_tcp_user_timeout(&self.tcp, u32::try_from(all_ms).unwrap_or(u32::MAX))?;
        Ok(sockopt::set_socket_keepalive(&self.tcp, true)?)
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
        if_any((&self.tcp).read(bytes))
    }

    /// The same without waiting. To be asked before a write: after the other end's close, one write would still succeed
    /// and be lost.
    pub(crate) fn receive_now(&self, bytes: &mut [u8]) -> io::Result<Option<usize>> {
        let received = rustix::net::recv(&self.tcp, bytes, RecvFlags::DONTWAIT);
        if_any(received.map(|(_, count)| count).map_err(io::Error::from))
    }

    /// Writes what the connection takes before its caller should look at the clock: how much that was.
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match (&self.tcp).write(bytes) {
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

/// An error that says no more than that nothing came is none. (That a connection has timed out is one: the system has given
/// the other end up.)
fn if_any(read: io::Result<usize>) -> io::Result<Option<usize>> {
    match read {
        Ok(count) => Ok(Some(count)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
        Err(error) => Err(error),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_holds_no_more_of_a_link_than_is_written_at_once() {
        let (stream, mut other) = Stream::pair();
        // Left alone, the system lets the other end's buffer grow, too.
        sockopt::set_socket_recv_buffer_size(&other, 4096).unwrap();
        stream.hold_little_unsent().unwrap();
        assert_eq!(sockopt::socket_send_buffer_size(&stream.tcp).unwrap(), 2 * LINK_SEND_BYTES);
        stream.set_hasty().unwrap();
        let mut held = 0;
        while let written @ 1.. = stream.write(&[0; 4096]).unwrap() {
            held += written;
        }
        assert!((LINK_SEND_BYTES / 2..4 * LINK_SEND_BYTES).contains(&held), "{held} bytes");
        assert!(other.read(&mut [0; 4096]).unwrap() > 0);
    }

    #[test]
    fn other_end_that_cannot_be_pinged_is_asked_by_the_system() {
        let (stream, _other) = Stream::pair();
        let options = |stream: &Stream| {
            let tcp = &stream.tcp;
            (
                sockopt::socket_keepalive(tcp).unwrap(),
                sockopt::tcp_keepidle(tcp).unwrap(),
                sockopt::tcp_keepintvl(tcp).unwrap(),
                sockopt::tcp_keepcnt(tcp).unwrap(),
                sockopt::tcp_user_timeout(tcp).unwrap(),
            )
        };
        assert!(!options(&stream).0);
        let seconds = Duration::from_secs;
        stream.keep_alive(seconds(5)).unwrap();
        assert_eq!(options(&stream), (true, seconds(5), seconds(5), 3, 20_000));
        stream.keep_alive(Duration::from_millis(10)).unwrap();
        assert_eq!(options(&stream), (true, seconds(1), seconds(1), 3, 4000));
        stream.keep_alive(seconds(3600)).unwrap();
        assert_eq!(options(&stream), (true, seconds(3600), seconds(3600), 3, 14_400_000));
    }
}
