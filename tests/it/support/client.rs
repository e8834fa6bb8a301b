//! A connection to a node as a test sees it: bytes out, lines in, and the end of it. Also the test's end of a
//! neighbour's connections.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use rustls::Connection;

use super::PATIENCE;

/// One connection; closed when dropped.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
    /// What it speaks, if it is TLS.
    tls: Option<Box<Connection>>,
}

impl Client {
    #[track_caller]
    pub(crate) fn connect(to: SocketAddr) -> Self {
        Self::of(TcpStream::connect_timeout(&to, PATIENCE).unwrap())
    }

    pub(crate) fn of(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream, unread: Vec::new(), tls: None }
    }

    /// Speaks TLS from here on.
    pub(crate) fn secured(mut self, mut tls: Connection) -> io::Result<Self> {
        tls.set_buffer_limit(None);
        while tls.is_handshaking() {
            tls.complete_io(&mut self.stream)?;
        }
        self.tls = Some(Box::new(tls));
        Ok(self)
    }

    /// Its TLS.
    pub(crate) fn tls(&mut self) -> &mut Connection {
        self.tls.as_mut().expect("it speaks TLS")
    }

    /// Sends what its TLS has to say.
    #[track_caller]
    pub(crate) fn flush_tls(&mut self) {
        while let Some(tls) = self.tls.as_mut().filter(|tls| tls.wants_write()) {
            tls.write_tls(&mut self.stream).unwrap();
        }
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    #[track_caller]
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        match &mut self.tls {
            None => self.stream.write_all(bytes.as_ref()).unwrap(),
            Some(tls) => tls.writer().write_all(bytes.as_ref()).unwrap(),
        }
        self.flush_tls();
    }

    /// Sends a line and reads one: its text, without terminators.
    #[track_caller]
    pub(crate) fn ask(&mut self, line: &str) -> String {
        self.send(format!("{line}\n"));
        let reply = String::from_utf8(self.line()).unwrap();
        reply.strip_suffix('\n').unwrap().to_owned()
    }

    /// Sends bytes, and checks those that come back.
    #[track_caller]
    pub(crate) fn exchange(&mut self, sent: impl AsRef<[u8]>, expected: impl AsRef<[u8]>) {
        self.send(&sent);
        self.expect(expected, &format!("reply to {}", sent.as_ref().escape_ascii()));
    }

    #[track_caller]
    pub(crate) fn expect(&mut self, expected: impl AsRef<[u8]>, what: &str) {
        let expected = expected.as_ref();
        let got = self.exact(expected.len());
        assert!(got == expected, "{what}: {}, not {}", got.escape_ascii(), expected.escape_ascii());
    }

    /// The next line, its terminator included.
    #[track_caller]
    pub(crate) fn line(&mut self) -> Vec<u8> {
        let line = self.try_line();
        line.unwrap_or_else(|| panic!("the end came amid {}", self.unread.escape_ascii()))
    }

    /// The next line, its terminator included, unless the end comes first.
    pub(crate) fn try_line(&mut self) -> Option<Vec<u8>> {
        let mut scanned = 0;
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.unread[scanned..]) {
                return Some(self.unread.drain(..=scanned + at).collect());
            }
            scanned = self.unread.len();
            if !self.fill() {
                return None;
            }
        }
    }

    #[track_caller]
    pub(crate) fn exact(&mut self, length: usize) -> Vec<u8> {
        while self.unread.len() < length {
            assert!(self.fill(), "the end came after {}", self.unread.escape_ascii());
        }
        self.unread.drain(..length).collect()
    }

    /// Everything until the other end closes.
    #[track_caller]
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let deadline = Instant::now() + PATIENCE;
        while self.fill() {
            assert!(Instant::now() < deadline, "the end does not come, but {}", self.unread.escape_ascii());
        }
        std::mem::take(&mut self.unread)
    }

    /// Checks that nothing more comes but the end.
    #[track_caller]
    pub(crate) fn expect_closed(&mut self) {
        let rest = self.rest();
        assert!(rest.is_empty(), "before the end came {}", rest.escape_ascii());
    }

    /// Checks that nothing more comes but the goodbye of TLS.
    #[track_caller]
    pub(crate) fn expect_goodbye(&mut self) {
        self.expect_closed();
        assert!(self.tls().process_new_packets().unwrap().peer_has_closed(), "it ends without a goodbye");
    }

    /// Says the goodbye of TLS; still reads.
    #[track_caller]
    pub(crate) fn say_goodbye(&mut self) {
        self.tls().send_close_notify();
        self.flush_tls();
    }

    /// Sends no more, and over TLS without a goodbye; still reads.
    pub(crate) fn half_close(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Ends the connection as a machine does that loses power or patience: with a reset.
    pub(crate) fn vanish(self) {
        rustix::net::sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO)).unwrap();
    }

    /// Reads some; `false` at the end, whether it was a clean one or a reset.
    #[track_caller]
    fn fill(&mut self) -> bool {
        let mut bytes = [0; 16 * 1024];
        match self.read(&mut bytes) {
            // A wait with a deadline is not taken up again by the system after a signal.
            Err(error) if error.kind() == ErrorKind::Interrupted => true,
            Ok(0) => false,
            Ok(count) => {
                self.unread.extend_from_slice(&bytes[..count]);
                true
            }
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => false,
            Err(error) => panic!("nothing came after {}: {error}", self.unread.escape_ascii()),
        }
    }

    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let Self { stream, tls, .. } = self;
        let Some(tls) = tls else { return stream.read(bytes) };
        loop {
            match tls.reader().read(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // Without a goodbye.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                read => return read,
            }
            tls.read_tls(stream)?;
            tls.process_new_packets().map_err(io::Error::other)?;
        }
    }
}
