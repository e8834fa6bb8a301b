//! One connection, in the verbs that threads use, plain or with TLS. Several threads may share it: one reads and writes,
//! another may end it.

use std::{
    io::{self, ErrorKind},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    os::fd::AsFd,
    sync::OnceLock,
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};

use rustix::{
    event::{PollFd, PollFlags, Timespec},
    io::Errno,
    net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt},
};

use super::tls::{HandshakePool, PeersTls, ServiceTls, TlsBeginning, TlsFault, TlsService, TlsSession};
use crate::core::wire::Channel;

/// How long to wait for a connection in the making before asking the caller whether there is time left.
const CONNECT_SLICE: Duration = Duration::from_millis(100);

/// How long one write call blocks before its caller looks at the clock.
const WRITE_SLICE: Duration = Duration::from_millis(100);

/// How much of what a link has written the system may hold: a piece of updates and a piece of repair, which is what a
/// link writes at once. By default it lets megabytes wait, and on a slow link everything said later waits for them. (It
/// doubles the number, for its own records.)
const LINK_SEND_BYTES: usize = 128 * 1024;

/// How many times the system asks in vain whether the other end is there before it gives the connection up.
const KEEPALIVE_PROBES: u32 = 3;

/// The system counts keepalive times in whole seconds.
const KEEPALIVE_TIME_MIN: Duration = Duration::from_secs(1);
/// How many bytes the system may hold of what a connection sends while nobody reads it; doubled, as for the listener.
const UNREAD_BYTES: usize = 64 * 1024;

/// How many times a closing connection is read, 4 KiB at a time, to discard what its client sent.
const UNREAD_READS_MAX: usize = 256;

/// A connection. Closed when dropped.
#[derive(Debug)]
pub(crate) struct Stream {
    tcp: TcpStream,
    /// Set once the connection speaks TLS. Only the thread that reads and writes takes the lock.
    tls: OnceLock<Mutex<TlsSession>>,
}

impl Stream {
    /// Accepts a connection that waits at the listener, or waits for one.
    pub(crate) fn accept(listener: &TcpListener) -> io::Result<Self> {
        listener.accept().map(|(tcp, _)| Self::of(tcp))
    }

    /// Dials, or fails with [`ErrorKind::TimedOut`] once `time`, which is called repeatedly, says that none is left.
    pub(crate) fn connect(address: &SocketAddr, mut time: impl FnMut() -> Duration) -> io::Result<Self> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let tcp = TcpStream::from(rustix::net::socket_with(family, SocketType::STREAM, flags, None)?);
        match rustix::net::connect(&tcp, address) {
            Err(Errno::INPROGRESS) => wait_for_connect(&tcp, &mut time)?,
            connected => connected?,
        }
        tcp.set_nonblocking(false)?;
        Ok(Self::of(tcp))
    }

    pub(super) fn of(tcp: TcpStream) -> Self {
        Self { tcp, tls: OnceLock::new() }
    }

    /// Speaks TLS with a peer that has dialled, from here on; `begun` is what was read of it. `time` is called
    /// repeatedly, as for [`Stream::connect`].
    pub(crate) fn accept_peer_tls(
        &self,
        begun: &[u8],
        (tls, pool): (&PeersTls, &HandshakePool),
        time: impl FnMut() -> Duration,
    ) -> Result<Channel, TlsFault> {
        let beginning = TlsBeginning { tcp: &self.tcp, pool: Some(pool), begun, time };
        let (session, channel) = beginning.accept_peer(tls)?;
        self.speak(session);
        Ok(channel)
    }

    /// Speaks TLS with a peer that was dialled, from here on.
    pub(crate) fn dial_peer_tls(
        &self,
        tls: &PeersTls,
        time: impl FnMut() -> Duration,
    ) -> Result<Channel, TlsFault> {
        // Links are few, so their threads may keep what they have touched.
        let beginning = TlsBeginning { tcp: &self.tcp, pool: None, begun: &[], time };
        let (session, channel) = beginning.dial_peer(tls)?;
        self.speak(session);
        Ok(channel)
    }

    /// Speaks TLS with a client that has dialled, from here on.
    pub(crate) fn accept_tls(
        &self,
        (tls, service): (&ServiceTls, TlsService),
        pool: &HandshakePool,
        time: impl FnMut() -> Duration,
    ) -> Result<(), TlsFault> {
        let beginning = TlsBeginning { tcp: &self.tcp, pool: Some(pool), begun: &[], time };
        self.speak(beginning.accept(tls.config(service))?);
        Ok(())
    }

    /// Whether it speaks TLS.
    pub(crate) fn speaks_tls(&self) -> bool {
        self.tls.get().is_some()
    }

    pub(super) fn speak(&self, session: TlsSession) {
        let is_first = self.tls.set(Mutex::new(session)).is_ok();
        debug_assert!(is_first, "there is no TLS in TLS");
    }

    pub(super) fn tls(&self) -> Option<MutexGuard<'_, TlsSession>> {
        self.tls.get().map(|tls| tls.lock())
    }

    /// Prepares it for [`Stream::write_all`], and makes small lines leave at once.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        self.tcp.set_nodelay(true)?;
        self.tcp.set_write_timeout(Some(WRITE_SLICE))
    }

    /// Limits how much of what a link writes may wait in the system.
    pub(crate) fn hold_little_unsent(&self) -> io::Result<()> {
        Ok(sockopt::set_socket_send_buffer_size(&self.tcp, LINK_SEND_BYTES)?)
    }

    /// Makes the system ask whether the other end is still there once nothing has arrived for `time`, and then a number
    /// of times more. Reading fails once that was in vain, and so does writing once nothing written has been accepted
    /// for as long. For connections that cannot be pinged.
    pub(crate) fn keep_alive(&self, time: Duration) -> io::Result<()> {
        let time = time.max(KEEPALIVE_TIME_MIN);
        sockopt::set_tcp_keepidle(&self.tcp, time)?;
        sockopt::set_tcp_keepintvl(&self.tcp, time)?;
        sockopt::set_tcp_keepcnt(&self.tcp, KEEPALIVE_PROBES)?;
        let all_ms = (time * (1 + KEEPALIVE_PROBES)).as_millis();
        sockopt::set_tcp_user_timeout(&self.tcp, u32::try_from(all_ms).unwrap_or(u32::MAX))?;
        Ok(sockopt::set_socket_keepalive(&self.tcp, true)?)
    }

    /// Bounds how much may arrive before it is read; otherwise the system lets that grow to megabytes on a busy
    /// connection.
    pub(crate) fn bound_unread(&self) -> io::Result<()> {
        Ok(sockopt::set_socket_recv_buffer_size(&self.tcp, UNREAD_BYTES)?)
    }

    /// The address of the other end.
    pub(crate) fn peer_address(&self) -> io::Result<SocketAddr> {
        self.tcp.peer_addr()
    }

    /// How long [`Stream::read`] waits from now on. More than zero.
    pub(crate) fn set_read_timeout(&self, time: Duration) -> io::Result<()> {
        self.tcp.set_read_timeout(Some(time))
    }

    /// Reads what arrives within the read timeout: 0 bytes mean the end of the input, `None` that nothing arrived. An
    /// end that TLS does not vouch for is an error, [`ErrorKind::UnexpectedEof`].
    pub(crate) fn read(&self, bytes: &mut [u8]) -> io::Result<Option<usize>> {
        self.receive(bytes, RecvFlags::empty())
    }

    /// The same without waiting. To be called before a write: after the other end's close, one write would still
    /// succeed and be lost.
    pub(crate) fn receive_now(&self, bytes: &mut [u8]) -> io::Result<Option<usize>> {
        self.receive(bytes, RecvFlags::DONTWAIT)
    }

    fn receive(&self, bytes: &mut [u8], flags: RecvFlags) -> io::Result<Option<usize>> {
        match self.tls() {
            Some(mut tls) => tls.read(&self.tcp, bytes, flags),
            None => if_any(rustix::net::recv(&self.tcp, bytes, flags).map(|(_, count)| count)),
        }
    }

    /// Writes as much as the connection accepts before its caller should look at the clock; returns how much that was.
    /// What is written next must begin there.
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(mut tls) = self.tls() {
            return tls.write(&self.tcp, bytes, SendFlags::empty());
        }
        match rustix::net::send(&self.tcp, bytes, SendFlags::NOSIGNAL) {
            Ok(0) if !bytes.is_empty() => Err(ErrorKind::WriteZero.into()),
            written => if_any(written).map(Option::unwrap_or_default),
        }
    }

    /// Writes all of `bytes`, or fails with [`ErrorKind::TimedOut`] once `is_over` says so, which is asked each time a
    /// write has blocked for a while: a deadline for each call would start over with every few bytes that a slow reader
    /// accepts.
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

    /// From now on neither reading nor writing waits: what cannot be sent at once is not sent.
    pub(crate) fn set_hasty(&self) -> io::Result<()> {
        self.tcp.set_nonblocking(true)
    }

    /// Tells the other end that nothing more is written.
    pub(crate) fn end_output(&self) {
        if let Some(mut tls) = self.tls() {
            // Who cannot be told so at once sees a cut.
            let _ = tls.end(&self.tcp);
        }
        self.shutdown(Shutdown::Write);
    }

    /// Lets the other end receive what was written before the connection is dropped: bytes left unread would turn the
    /// close into a reset, which can overtake the output. Waits for nothing.
    pub(crate) fn finish(&self) {
        self.end_output();
        if self.set_hasty().is_ok() {
            let mut unread = [0; 4096];
            for _ in 0..UNREAD_READS_MAX {
                let read = rustix::net::recv(&self.tcp, &mut unread[..], RecvFlags::empty());
                if !matches!(read, Ok((_, count)) if count > 0) {
                    break;
                }
            }
        }
    }

    /// Ends the connection as an error for the other end. What has not arrived there does not.
    pub(crate) fn reset(self) {
        // Where it fails, an orderly end is what is left.
        let _ = sockopt::set_socket_linger(&self.tcp, Some(Duration::ZERO));
    }

    /// Whether the other end has ended what it says, be it read already or not.
    pub(crate) fn has_all_come(&self) -> bool {
        let mut ready = [PollFd::new(&self.tcp, PollFlags::RDHUP)];
        // Where it cannot be told, it has not.
        let polled = rustix::event::poll(&mut ready, Some(&Timespec::default()));
        polled.is_ok() && ready[0].revents().contains(PollFlags::RDHUP)
    }

    /// Wakes any thread that reads from or writes to the connection, for good.
    pub(crate) fn shutdown(&self, how: Shutdown) {
        // It fails only if the connection has already ended.
        let _ = self.tcp.shutdown(how);
    }
}

/// Waits until a connection in the making is ready, or has failed.
fn wait_for_connect(tcp: &TcpStream, time: &mut impl FnMut() -> Duration) -> io::Result<()> {
    loop {
        let left = time();
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        if wait_for(tcp, PollFlags::OUT, Some(left.min(CONNECT_SLICE)))? {
            return Ok(sockopt::socket_error(tcp)??);
        }
    }
}

/// Waits until a socket is ready for that, or has failed, and returns whether it is; with a time, no longer than that. A
/// wait may end too early.
pub(super) fn wait_for(socket: impl AsFd, what: PollFlags, time: Option<Duration>) -> io::Result<bool> {
    let time = time.map(|time| Timespec { tv_sec: time.as_secs() as _, tv_nsec: time.subsec_nanos().into() });
    match rustix::event::poll(&mut [PollFd::new(&socket, what)], time.as_ref()) {
        Ok(0) | Err(Errno::INTR) => Ok(false),
        polled => Ok(polled.map(|_| true)?),
    }
}

/// Turns an error that only says that nothing arrived into `None`. (That a connection has timed out is an error: the
/// system has given the other end up.)
pub(super) fn if_any(moved: Result<usize, Errno>) -> io::Result<Option<usize>> {
    match moved {
        Ok(count) => Ok(Some(count)),
        Err(Errno::AGAIN | Errno::INTR) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
impl Stream {
    /// Past its TLS.
    pub(super) fn raw(&self) -> &TcpStream {
        &self.tcp
    }

    /// A connection over loopback and its other end.
    pub(crate) fn pair() -> (Self, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
        let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
        (Self::accept(&listener).expect("one waits"), client)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    /// Longer than any test takes.
    const LONG: Duration = Duration::from_secs(3_600);

    #[test]
    fn connection_that_is_made_waits_like_an_accepted_one() {
        for ip in ["127.0.0.1", "::1"] {
            let listener = TcpListener::bind((ip, 0)).unwrap();
            let stream = Stream::connect(&listener.local_addr().unwrap(), || LONG).unwrap();
            let accepted = Stream::accept(&listener).unwrap();
            let mut space = [0; 8];
            stream.set_read_timeout(Duration::from_millis(1)).unwrap();
            assert_eq!(stream.read(&mut space).unwrap(), None);
            accepted.write_all(b"hello", || true).unwrap();
            stream.set_read_timeout(LONG).unwrap();
            assert_eq!(stream.read(&mut space).unwrap(), Some(5));
        }
    }

    #[test]
    fn connection_that_is_refused_is_so_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        super::super::wake_accept(&listener);
        assert_eq!(Stream::connect(&address, || LONG).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    }

    #[test]
    fn connection_that_is_not_answered_is_given_up_when_no_time_is_left() {
        // Its queue has room for one connection, which nobody accepts.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let address = listener.local_addr().unwrap();
        let _first = Stream::connect(&address, || LONG).unwrap();
        let mut times = [LONG, Duration::from_millis(1), Duration::ZERO].into_iter();
        let error = Stream::connect(&address, || times.next().unwrap()).unwrap_err();
        assert_eq!((error.kind(), times.next()), (ErrorKind::TimedOut, None));
    }

    #[test]
    fn system_holds_no_more_of_a_link_than_is_written_at_once() {
        let (stream, mut other) = Stream::pair();
        // By default, the system lets the other end's buffer grow, too.
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
