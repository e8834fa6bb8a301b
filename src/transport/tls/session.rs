//! TLS on one connection. rustls has no socket and never waits; here bytes go from the socket to it and back. The
//! thread that owns the connection is the only one that reads and writes.

use std::{
    fmt,
    io::{self, ErrorKind, IoSlice, Read, Write},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags};
use rustls::{Connection, Error, ServerConfig, ServerConnection, server::Acceptor};

use super::{HandshakePool, PeersTls, TlsFault};
use crate::core::wire::{Channel, Exporter};

/// How long one read of a handshake blocks before its caller is asked whether there is time left.
const HANDSHAKE_SLICE: Duration = Duration::from_millis(100);

/// The label of RFC 9266, whose context is empty.
const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

/// One TLS connection whose handshake is over.
pub(in crate::transport) struct TlsSession {
    connection: Box<Connection>,
    /// What was encrypted and has not all been sent.
    leaving: Option<Leaving>,
}

impl fmt::Debug for TlsSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsSession")
    }
}

/// Plaintext on its way out. It is said to be written as its records are sent, in proportion: so a slow link shows that
/// its bytes move, and nothing is said to be written before all of it is.
#[derive(Debug)]
struct Leaving {
    plain: usize,
    told: usize,
    /// How many bytes its records have, and the records before them.
    sealed: usize,
}

/// A handshake in the making: a socket, what was already read from it, and how much time is left.
pub(in crate::transport) struct TlsBeginning<'a, T> {
    pub(in crate::transport) tcp: &'a TcpStream,
    /// Who takes its steps; without one, the thread itself.
    pub(in crate::transport) pool: Option<&'a HandshakePool>,
    pub(in crate::transport) begun: &'a [u8],
    pub(in crate::transport) time: T,
}

impl<T: FnMut() -> Duration> TlsBeginning<'_, T> {
    /// Accepts a peer: its first message must offer what peers speak.
    pub(in crate::transport) fn accept_peer(
        mut self,
        tls: &PeersTls,
    ) -> Result<(TlsSession, Channel), TlsFault> {
        let mut acceptor = Box::new(Acceptor::default());
        let connection = loop {
            self.receive(|from| acceptor.read_tls(from))?;
            let config = Arc::clone(&tls.server);
            let (taken, begun);
            (acceptor, taken) = self.step(move || {
                let taken = begin_peer(&mut acceptor, config);
                (acceptor, taken)
            });
            begun = taken?;
            if let Some(connection) = begun {
                break connection;
            }
        };
        bound(self.shake(connection)?)
    }

    /// Dials a peer.
    pub(in crate::transport) fn dial_peer(self, tls: &PeersTls) -> Result<(TlsSession, Channel), TlsFault> {
        let connection = self.shake(Box::new(tls.dialler()?))?;
        if PeersTls::is_agreed(&connection) { bound(connection) } else { Err(TlsFault::OtherInside) }
    }

    /// Goes on as the end that dials.
    pub(in crate::transport) fn dial(self, dialler: Connection) -> Result<Box<Connection>, TlsFault> {
        self.shake(Box::new(dialler))
    }

    /// Accepts a client.
    pub(in crate::transport) fn accept(self, config: Arc<ServerConfig>) -> Result<TlsSession, TlsFault> {
        let connection = self.step(move || begin(config))?;
        let connection = self.shake(connection)?;
        Ok(TlsSession { connection, leaving: None })
    }

    /// Goes through the handshake, and sends what follows it.
    fn shake(mut self, mut connection: Box<Connection>) -> Result<Box<Connection>, TlsFault> {
        loop {
            while connection.wants_write() {
                self.check_time()?;
                match connection.write_tls(&mut Socket::new(self.tcp, RecvFlags::empty())) {
                    Err(error) if !is_nothing(&error) => return Err(broken(error)),
                    _ => {}
                }
            }
            if !connection.is_handshaking() {
                return Ok(connection);
            }
            self.receive(|from| connection.read_tls(from))?;
            let processed;
            (connection, processed) = self.step(move || {
                let processed = process(&mut connection);
                (connection, processed)
            });
            if let Err(error) = processed {
                // The other end may be told why, if that takes no time.
                let _ = connection.write_tls(&mut Socket::new(self.tcp, RecvFlags::DONTWAIT));
                return Err(error.into());
            }
        }
    }

    /// Takes what goes deep.
    fn step<R: Send + 'static>(&self, step: impl FnOnce() -> R + Send + 'static) -> R {
        match self.pool {
            Some(pool) => pool.take(step),
            None => step(),
        }
    }

    fn check_time(&mut self) -> Result<Duration, TlsFault> {
        Some((self.time)()).filter(|left| !left.is_zero()).ok_or(TlsFault::Late)
    }

    /// Hands over what was read before, or what arrives.
    fn receive(&mut self, mut take: impl FnMut(&mut dyn Read) -> io::Result<usize>) -> Result<(), TlsFault> {
        loop {
            let left = self.check_time()?;
            let taken = if self.begun.is_empty() {
                self.tcp.set_read_timeout(Some(left.min(HANDSHAKE_SLICE))).map_err(TlsFault::Broken)?;
                take(&mut Socket::new(self.tcp, RecvFlags::empty()))
            } else {
                take(&mut self.begun)
            };
            match taken {
                Ok(0) => return Err(TlsFault::Ended),
                Ok(_) => return Ok(()),
                Err(error) if is_nothing(&error) => {}
                Err(error) => return Err(broken(error)),
            }
        }
    }
}

// None of these is inlined: it would use stack in every connection.

#[inline(never)]
fn begin(config: Arc<ServerConfig>) -> Result<Box<Connection>, TlsFault> {
    Ok(Box::new(ServerConnection::new(config)?.into()))
}

/// Begins with what has come of a peer, once that is its whole first message.
#[inline(never)]
fn begin_peer(
    acceptor: &mut Acceptor,
    config: Arc<ServerConfig>,
) -> Result<Option<Box<Connection>>, TlsFault> {
    // Its alert is not sent: who does not speak as a peer gets no answer.
    let Some(accepted) = acceptor.accept().map_err(|(error, _alert)| error)? else { return Ok(None) };
    if !accepted.client_hello().alpn().is_some_and(PeersTls::is_offered) {
        return Err(TlsFault::OtherInside);
    }
    let connection = accepted.into_connection(config).map_err(|(error, _alert)| error)?;
    Ok(Some(Box::new(connection.into())))
}

#[inline(never)]
fn process(connection: &mut Connection) -> Result<(), Error> {
    connection.process_new_packets().map(drop)
}

/// With what binds a handshake inside to it.
fn bound(connection: Box<Connection>) -> Result<(TlsSession, Channel), TlsFault> {
    let exporter = connection.export_keying_material([0; Exporter::BYTES], EXPORTER_LABEL, Some(b""))?;
    let session = TlsSession { connection, leaving: None };
    Ok((session, Channel::Tls(Exporter::of_bytes(exporter))))
}

fn broken(error: io::Error) -> TlsFault {
    match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => TlsFault::Ended,
        _ => TlsFault::Broken(error),
    }
}

/// Whether an error only says that nothing moved.
fn is_nothing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

impl TlsSession {
    /// Reads as the stream does. An end without the goodbye of TLS is an error, [`ErrorKind::UnexpectedEof`]: somebody
    /// on the way may have cut it.
    pub(in crate::transport) fn read(
        &mut self,
        tcp: &TcpStream,
        bytes: &mut [u8],
        mut flags: RecvFlags,
    ) -> io::Result<Option<usize>> {
        loop {
            match self.connection.reader().read(bytes) {
                Ok(count) => return Ok(Some(count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                    return Err(io::Error::new(error.kind(), "it ended without the goodbye of TLS"));
                }
                Err(error) => return Err(error),
            }
            self.send_what_waits(tcp);
            match self.connection.read_tls(&mut Socket::new(tcp, flags)) {
                Err(error) if is_nothing(&error) => return Ok(None),
                read => read?,
            };
            if let Err(error) = self.connection.process_new_packets() {
                self.send_what_waits(tcp);
                return Err(io::Error::new(ErrorKind::InvalidData, error));
            }
            // A record may come in pieces; only the first wait is the caller's.
            flags |= RecvFlags::DONTWAIT;
        }
    }

    /// Writes as the stream does. What is given next must begin where this ends.
    pub(in crate::transport) fn write(&mut self, tcp: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
        if self.leaving.is_none() {
            let plain = self.connection.writer().write(bytes)?;
            self.leaving = Some(Leaving { plain, told: 0, sealed: 0 });
        }
        let mut socket = Socket::new(tcp, RecvFlags::empty());
        match self.connection.write_tls(&mut socket) {
            Err(error) if !is_nothing(&error) => return Err(error),
            _ => {}
        }
        let is_all = !self.connection.wants_write();
        let Some(leaving) = &mut self.leaving else { return Ok(0) };
        leaving.sealed = leaving.sealed.max(socket.offered);
        let left = socket.offered - socket.taken;
        let gone = if is_all {
            leaving.plain
        } else {
            leaving.plain * (leaving.sealed - left) / leaving.sealed.max(1)
        };
        let more = gone - leaving.told.min(gone);
        leaving.told += more;
        if is_all {
            self.leaving = None;
        }
        Ok(more)
    }

    /// Says goodbye, if that takes no time.
    pub(in crate::transport) fn end(&mut self, tcp: &TcpStream) {
        self.connection.send_close_notify();
        let _ = self.connection.write_tls(&mut Socket::new(tcp, RecvFlags::DONTWAIT));
    }

    /// What rustls itself has to say, such as new keys. It waits for nothing: whoever writes next sends the rest.
    fn send_what_waits(&mut self, tcp: &TcpStream) {
        if self.leaving.is_none() && self.connection.wants_write() {
            let _ = self.connection.write_tls(&mut Socket::new(tcp, RecvFlags::DONTWAIT));
        }
    }
}

/// The socket as rustls has it, and how much it was offered and took in one write.
struct Socket<'a> {
    tcp: &'a TcpStream,
    flags: RecvFlags,
    offered: usize,
    taken: usize,
}

impl<'a> Socket<'a> {
    /// Which waits, as the socket's timeouts have it, unless the flag says not to.
    fn new(tcp: &'a TcpStream, flags: RecvFlags) -> Self {
        Self { tcp, flags, offered: 0, taken: 0 }
    }
}

impl Read for Socket<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::net::recv(self.tcp, bytes, self.flags).map(|(_, count)| count)?)
    }
}

impl Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut flags = SendFlags::NOSIGNAL;
        flags.set(SendFlags::DONTWAIT, self.flags.contains(RecvFlags::DONTWAIT));
        self.offered = pieces.iter().map(|piece| piece.len()).sum();
        let sent = rustix::net::sendmsg(self.tcp, pieces, &mut SendAncillaryBuffer::default(), flags);
        self.taken = sent?;
        Ok(self.taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Shutdown, thread};

    use super::{super::pool::tests::with_threads, *};
    use crate::transport::Stream;

    /// Longer than any test takes.
    const LONG: Duration = Duration::from_secs(3_600);

    /// The two ends of a connection of peers, the first of which was dialled.
    fn pair() -> (Stream, Stream) {
        let tls = PeersTls::new().unwrap();
        let (accepted, dialled) = Stream::pair();
        let dialled = Stream::of(dialled);
        for end in [&accepted, &dialled] {
            end.prepare().unwrap();
        }
        thread::scope(|scope| {
            let dials = scope.spawn(|| dialled.dial_peer_tls(&tls, || LONG).unwrap());
            let accept = |pool: &_| accepted.accept_peer_tls(&[], (&tls, pool), || LONG).unwrap();
            let channel = with_threads(1, accept);
            assert_eq!(channel, dials.join().unwrap(), "both ends export the same");
            assert_ne!(channel, Channel::Plain);
        });
        for end in [&accepted, &dialled] {
            end.set_read_timeout(LONG).unwrap();
        }
        (accepted, dialled)
    }

    #[test]
    fn no_two_connections_export_the_same() {
        let tls = PeersTls::new().unwrap();
        let channel = || {
            let (accepted, dialled) = Stream::pair();
            let dialled = Stream::of(dialled);
            thread::scope(|scope| {
                scope.spawn(|| dialled.dial_peer_tls(&tls, || LONG).unwrap());
                with_threads(1, |pool| accepted.accept_peer_tls(&[], (&tls, pool), || LONG).unwrap())
            })
        };
        assert_ne!(channel(), channel());
    }

    #[test]
    fn bytes_arrive_as_they_were_written_and_a_goodbye_is_an_end_and_a_cut_is_none() {
        let (accepted, dialled) = pair();
        let mut space = [0; 8];
        assert_eq!(accepted.receive_now(&mut space).unwrap(), None);
        dialled.write_all(b"hello", || true).unwrap();
        assert_eq!((accepted.read(&mut space).unwrap(), &space[..5]), (Some(5), &b"hello"[..]));
        // The end of one direction is not that of the other.
        dialled.finish();
        assert_eq!(accepted.read(&mut space).unwrap(), Some(0));
        accepted.finish();
        let (accepted, dialled) = pair();
        dialled.write_all(b"hel", || true).unwrap();
        dialled.shutdown(Shutdown::Write);
        assert_eq!(accepted.read(&mut space).unwrap(), Some(3));
        assert_eq!(accepted.read(&mut space).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }

    #[test]
    fn record_that_comes_in_pieces_is_waited_for_by_whoever_waits() {
        let (accepted, dialled) = pair();
        let mut record = Vec::new();
        {
            let mut tls = dialled.tls().unwrap();
            tls.connection.writer().write_all(&[7; 9_000]).unwrap();
            tls.connection.write_tls(&mut record).unwrap();
        }
        let (first, last) = record.split_at(record.len() - 1);
        let mut raw = dialled.raw();
        raw.write_all(first).unwrap();
        let mut space = [0; 16_384];
        accepted.set_read_timeout(Duration::from_millis(1)).unwrap();
        // It has no more than the first pieces.
        for _ in 0..5 {
            assert_eq!(accepted.read(&mut space).unwrap(), None);
        }
        raw.write_all(last).unwrap();
        accepted.set_read_timeout(LONG).unwrap();
        assert_eq!(accepted.read(&mut space).unwrap(), Some(9_000));
    }

    #[test]
    fn what_is_written_is_told_as_it_leaves_and_whole_only_once_all_has_left() {
        let (accepted, dialled) = pair();
        accepted.hold_little_unsent().unwrap();
        accepted.set_hasty().unwrap();
        let text: Vec<u8> = (0..1 << 21).map(|at: u32| (at % 251) as u8).collect();
        let (mut told, mut read, mut steps) = (0, Vec::new(), 0);
        let mut space = [0; 16_384];
        while read.len() < text.len() {
            // As much as the sockets hold, and then as room appears.
            while told < text.len()
                && let count @ 1.. = accepted.write(&text[told..]).unwrap()
            {
                told += count;
            }
            if let Some(Leaving { plain, told, .. }) = &accepted.tls().unwrap().leaving {
                assert!(told < plain, "{told} of {plain} are told, and some have not left");
            }
            let count = dialled.read(&mut space).unwrap().unwrap();
            read.extend_from_slice(&space[..count]);
            assert!(read.len() <= told + 64 * 1024, "{} of {told}", read.len());
            assert!(read.len() < text.len() || told == text.len(), "it is all there, and so it has left");
            steps += 1;
        }
        assert!(read == text && steps > 16, "{steps}");
    }

    #[test]
    fn writing_that_blocks_keeps_nobody_from_reading() {
        let (accepted, dialled) = pair();
        let (from_accepted, from_dialled) = (vec![1; 4 << 20], vec![2; 4 << 20]);
        // Each end writes far more than the sockets hold, and reads whenever it cannot.
        let exchange = |end: &Stream, text: &[u8]| {
            end.set_hasty().unwrap();
            let (mut told, mut came, mut space) = (0, 0, [0; 16_384]);
            while told < text.len() || came < text.len() {
                told += if told < text.len() { end.write(&text[told..]).unwrap() } else { 0 };
                came += end.receive_now(&mut space).unwrap().unwrap_or(0);
                thread::yield_now();
            }
        };
        thread::scope(|scope| {
            scope.spawn(|| exchange(&accepted, &from_accepted));
            exchange(&dialled, &from_dialled);
        });
    }

    #[test]
    fn new_keys_that_are_asked_for_are_sent_without_waiting_for_anything() {
        let (accepted, dialled) = pair();
        let mut space = [0; 8];
        for _ in 0..100 {
            dialled.tls().unwrap().connection.refresh_traffic_keys().unwrap();
            dialled.write_all(b"x", || true).unwrap();
            assert_eq!(accepted.read(&mut space).unwrap(), Some(1));
            accepted.write_all(b"y", || true).unwrap();
            assert_eq!(dialled.read(&mut space).unwrap(), Some(1));
        }
    }

    #[test]
    fn handshake_ends_when_no_time_is_left_or_the_other_end_does() {
        let tls = PeersTls::new().unwrap();
        let (accepted, other) = Stream::pair();
        with_threads(1, |pool| {
            let mut times = [LONG, Duration::from_millis(1), Duration::ZERO].into_iter();
            let time = || times.next().unwrap();
            let late = accepted.accept_peer_tls(b"\x16\x03", (&tls, pool), time).unwrap_err();
            assert!(matches!(late, TlsFault::Late), "{late}");
            drop(other);
            let ended = accepted.accept_peer_tls(b"\x16\x03", (&tls, pool), || LONG).unwrap_err();
            assert!(matches!(ended, TlsFault::Ended), "{ended}");
        });
    }
}
