//! One connection: its socket, what it may still send and what it is owed. It never waits; the loop in `drive` tells it
//! when its socket may have become ready.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::SocketAddr,
    time::Duration,
};

use mio::{Interest, Registry, Token as Number, net::TcpStream};
use proxyherd::core::access::Token;
use rustls::ClientConnection;

use super::{
    channel::Channel,
    inbox::{Inbox, Judge},
    owed::Owed,
    tally::Tally,
};
use crate::{keys::Keys, load::Load, tls::Tls};

/// How long to wait before redialling a connection that could not be made, or was closed at once.
pub(crate) const RETRY: Duration = Duration::from_millis(100);
/// The longest line or document that is read.
const REPLY_BYTES_MAX: usize = 64 << 20;

/// The state of a connection.
#[derive(Debug)]
pub(crate) enum Socket {
    /// There is none, and none is made before this time.
    Closed { until_ns: u64 },
    /// Requested, not there yet.
    Connecting(TcpStream),
    /// There. TLS may still be in the making.
    Open(Channel),
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It was never made.
    Unmade,
    /// The server closed it, or the network did.
    Closed,
}

/// What went over a connection's sockets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bytes {
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

#[derive(Debug)]
pub(crate) struct Connection {
    /// Which of the servers.
    pub(crate) target: usize,
    pub(crate) socket: Socket,
    pub(crate) keys: Keys,
    /// Requests it may still send.
    pub(crate) quota: u64,
    /// Of an open loop: requests whose time has come, and how many of them left.
    pub(crate) due: u64,
    pub(crate) left: u64,
    pub(crate) owed: Owed,
    pub(crate) inbox: Inbox,
    pub(crate) out: Vec<u8>,
    pub(crate) bytes: Bytes,
    /// How much of `out` the socket has taken.
    taken: usize,
    /// Whether anything came on this socket.
    has_answered: bool,
    /// How each socket speaks TLS, if it does.
    tls: Option<Tls>,
    /// What each socket shows first.
    token: Option<Token>,
    /// Whether the answer to that is still to come.
    is_unwelcome: bool,
}

impl Connection {
    /// To that server of a load.
    pub(crate) fn new(target: usize, keys: Keys, load: &Load) -> Self {
        Self {
            target,
            socket: Socket::Closed { until_ns: 0 },
            keys,
            quota: 0,
            due: 0,
            left: 0,
            owed: Owed::default(),
            inbox: Inbox::default(),
            out: Vec::new(),
            bytes: Bytes::default(),
            taken: 0,
            has_answered: false,
            tls: load.tls.clone(),
            token: load.token.clone(),
            is_unwelcome: false,
        }
    }

    /// Connects, and waits for it, so long at most.
    pub(crate) fn open(
        &mut self,
        address: SocketAddr,
        registry: &Registry,
        number: Number,
        within: Duration,
    ) -> io::Result<()> {
        let mut stream = std::net::TcpStream::connect_timeout(&address, within)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(within))?;
        let mut secured = self.secured()?;
        if let Some((tls, connection)) = &mut secured {
            tls.shake(connection, &mut stream)?;
            tls.check(connection)?;
        }
        match (&self.token, &mut secured) {
            (None, _) => {}
            (Some(token), None) => show(&stream, token)?,
            (Some(token), Some((_, connection))) => {
                show(rustls::Stream::new(connection, &mut stream), token)?;
            }
        }
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        register(&mut stream, registry, number)?;
        self.socket = Socket::Open(channel(stream, secured));
        Ok(())
    }

    /// A TLS connection in the making, if that is how the server is spoken to.
    fn secured(&self) -> io::Result<Option<(Tls, ClientConnection)>> {
        let Some(tls) = &self.tls else { return Ok(None) };
        let connection = tls.connection(self.target).map_err(io::Error::other)?;
        Ok(Some((tls.clone(), connection)))
    }

    /// Begins to connect.
    pub(crate) fn begin(
        &mut self,
        address: SocketAddr,
        registry: &Registry,
        number: Number,
    ) -> io::Result<()> {
        let mut stream = TcpStream::connect(address)?;
        register(&mut stream, registry, number)?;
        self.socket = Socket::Connecting(stream);
        if let Some(token) = &self.token {
            self.out = auth(token);
            self.is_unwelcome = true;
        }
        Ok(())
    }

    /// Looks whether a connection that was asked for is there by now.
    pub(crate) fn finish_connecting(&mut self) -> Result<(), Ended> {
        let Socket::Connecting(stream) = &self.socket else { return Ok(()) };
        if let Ok(Some(_)) | Err(_) = stream.take_error() {
            return Err(Ended::Unmade);
        }
        match stream.peer_addr() {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotConnected => return Ok(()),
            Err(_) => return Err(Ended::Unmade),
        }
        // If it is refused, the only effect is delay.
        let _refused = stream.set_nodelay(true);
        let secured = self.secured().map_err(|_| Ended::Unmade)?;
        if let Socket::Connecting(stream) =
            std::mem::replace(&mut self.socket, Socket::Closed { until_ns: 0 })
        {
            self.socket = Socket::Open(channel(stream, secured));
        }
        Ok(())
    }

    /// Reads until the socket is empty; everything that came is judged and counted.
    pub(crate) fn receive(
        &mut self,
        buffer: &mut [u8],
        judge: &mut Judge,
        tally: &mut Tally,
        now_ns: impl Fn() -> u64,
    ) -> Result<(), Ended> {
        let Self { socket, owed, inbox, target, has_answered, bytes, is_unwelcome, .. } = self;
        let Socket::Open(channel) = socket else { return Ok(()) };
        loop {
            let arrived = match channel.read(buffer, bytes) {
                Ok(arrived) => arrived,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return Err(Ended::Closed),
            };
            let mut came = arrived.bytes;
            *has_answered |= !came.is_empty();
            if *is_unwelcome {
                // A token that is not taken was found out by the first connections. Its answer may come in pieces.
                let end = memchr::memchr(b'\n', came);
                *is_unwelcome = end.is_none();
                came = &came[end.map_or(came.len(), |end| end + 1)..];
            }
            inbox.feed(came, owed, judge, tally, (*target, now_ns()));
            if arrived.is_end {
                inbox.end(owed, judge, tally, (*target, now_ns()));
                return Err(Ended::Closed);
            }
            if inbox.unfinished() > REPLY_BYTES_MAX {
                return Err(Ended::Closed);
            }
            if !arrived.may_be_more {
                return Ok(());
            }
        }
    }

    /// Writes what the socket takes; the rest waits for the next event.
    pub(crate) fn flush(&mut self) -> Result<(), Ended> {
        let Self { socket: Socket::Open(channel), out, taken, bytes, .. } = self else { return Ok(()) };
        while *taken < out.len() {
            match channel.write(&out[*taken..], bytes) {
                Ok(count) => *taken += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(Ended::Closed),
            }
        }
        out.clear();
        *taken = 0;
        match channel.push(bytes) {
            Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                Err(Ended::Closed)
            }
            _ => Ok(()),
        }
    }

    /// Shows the end of the output, once everything is written.
    pub(crate) fn half_close(&mut self) {
        if let Socket::Open(channel) = &mut self.socket
            && self.out.is_empty()
            && channel.is_sent()
            && self.owed.requests() > 0
        {
            channel.half_close(&mut self.bytes);
        }
    }

    /// Lets go of the socket and of everything in flight. A socket that never brought anything is not replaced at once.
    pub(crate) fn close(&mut self, now_ns: u64) {
        let pause = if self.has_answered { Duration::ZERO } else { RETRY };
        self.socket = Socket::Closed { until_ns: now_ns + crate::clock::nanoseconds(pause) };
        self.inbox = Inbox::default();
        self.out.clear();
        self.taken = 0;
        (self.has_answered, self.is_unwelcome) = (false, false);
    }

    /// Closes a connection on which nothing more is awaited, with a reset: with many a second, none may linger on its
    /// port, and a server need not answer what it was still asked.
    pub(crate) fn hang_up(&mut self) {
        if let Socket::Open(channel) = &self.socket {
            let _refused = rustix::net::sockopt::set_socket_linger(channel.tcp(), Some(Duration::ZERO));
        }
        self.close(0);
        self.socket = Socket::Closed { until_ns: 0 };
    }
}

fn channel(stream: TcpStream, secured: Option<(Tls, ClientConnection)>) -> Channel {
    match secured {
        Some((tls, connection)) => Channel::secured(stream, tls, connection),
        None => Channel::plain(stream),
    }
}

fn auth(token: &Token) -> Vec<u8> {
    format!("AUTH {}\n", token.text()).into_bytes()
}

/// Shows it, and waits until it is taken.
fn show(mut stream: impl Read + Write, token: &Token) -> io::Result<()> {
    stream.write_all(&auth(token))?;
    let mut answer = Vec::new();
    // Nothing else was sent, so nothing else comes.
    while !answer.ends_with(b"\n") && answer.len() < 128 {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        answer.push(byte[0]);
    }
    match answer.starts_with(b"WELCOME ") {
        true => Ok(()),
        false => Err(io::Error::other("it does not take the token of --token-file")),
    }
}

/// Edge-triggered: an event for writing comes only after a write that did not fit.
fn register(stream: &mut TcpStream, registry: &Registry, number: Number) -> io::Result<()> {
    registry.register(stream, number, Interest::READABLE | Interest::WRITABLE)
}
