//! TLS on one connection. rustls has no socket and never waits; here bytes go from the socket to it and back. The
//! thread that owns the connection is the only one that reads and writes.

use std::{
    fmt,
    io::{self, ErrorKind, IoSlice, Read, Write},
    net::TcpStream,
};

use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags};
use rustls::Connection;

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

/// Whether an error only says that nothing moved.
pub(super) fn is_nothing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

impl TlsSession {
    /// Of a connection whose handshake is over.
    pub(super) fn new(connection: Box<Connection>) -> Self {
        Self { connection, leaving: None }
    }

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
pub(super) struct Socket<'a> {
    tcp: &'a TcpStream,
    flags: RecvFlags,
    offered: usize,
    taken: usize,
}

impl<'a> Socket<'a> {
    /// Which waits, as the socket's timeouts have it, unless the flag says not to.
    pub(super) fn new(tcp: &'a TcpStream, flags: RecvFlags) -> Self {
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
    use std::{net::Shutdown, thread, time::Duration};

    use super::{
        super::{PeersTls, TlsFault, pool::tests::with_threads},
        *,
    };
    use crate::{core::wire::Channel, transport::Stream};

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
