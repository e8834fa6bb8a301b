//! TLS on one connection: bytes go from the socket to a machine and back. The thread that owns the connection is the only
//! one that reads and writes.

use std::{
    fmt,
    io::{self, ErrorKind},
    net::TcpStream,
};

use rustix::net::{RecvFlags, SendFlags};
use rustls::Error;

use super::machine::{Incoming, TlsMachine};
use crate::transport::stream::if_any;

/// How much is sealed at once. What one write takes is at most this.
const SEAL_BYTES_MAX: usize = 64 * 1024;

/// How much more is read after what filled its room, which a record may exceed.
const MORE_BYTES: usize = 64 * 1024;

/// One TLS connection whose handshake is over.
pub(in crate::transport) struct TlsSession {
    machine: Box<dyn TlsMachine>,
    /// The beginning of a record, and what there was no room to read.
    came: Incoming,
    leaving: Leaving,
    /// Why nothing more can be read.
    fault: Option<Box<Error>>,
}

impl fmt::Debug for TlsSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsSession")
    }
}

/// Records on their way out. What is in them is said to be written as they are sent, in proportion: so a slow link shows
/// that its bytes move, and nothing is said to be written before all of it is.
#[derive(Default, Debug)]
struct Leaving {
    records: Vec<u8>,
    sent: usize,
    /// How much they carry for others than TLS itself.
    plain: usize,
    told: usize,
}

impl Leaving {
    /// Sends what the socket takes, and returns how much more of the plaintext that is.
    fn send(&mut self, tcp: &TcpStream, flags: SendFlags) -> io::Result<usize> {
        if self.records.is_empty() {
            return Ok(0);
        }
        self.sent += send(tcp, &self.records[self.sent..], flags)?;
        let gone = self.plain * self.sent / self.records.len();
        let more = gone.saturating_sub(self.told);
        self.told += more;
        if self.sent == self.records.len() {
            *self = Self::default();
        }
        Ok(more)
    }
}

impl TlsSession {
    /// Of a connection whose handshake is over, and what has come after it.
    pub(super) fn new(machine: Box<dyn TlsMachine>, came: Incoming) -> Self {
        Self { machine, came, leaving: Leaving::default(), fault: None }
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
            let opened = self.open(bytes);
            if !matches!(opened, Ok(Some(_))) {
                self.send_what_waits(tcp);
            }
            if let Some(count) = opened? {
                return Ok(Some(count));
            }
            let Some(count) = receive(tcp, bytes, flags)? else { return Ok(None) };
            if count == 0 {
                let cut = "it ended without the goodbye of TLS";
                return Err(io::Error::new(ErrorKind::UnexpectedEof, cut));
            }
            self.came.add(&bytes[..count]);
            // A record may come in pieces; only the first wait is the caller's.
            flags |= RecvFlags::DONTWAIT;
            if count == bytes.len() {
                self.came.add_from(MORE_BYTES, |room| receive(tcp, room, flags).ok().flatten());
            }
        }
    }

    /// Opens what has come, as much as there is room for, and never touches the socket. `None` says that it is none, 0
    /// bytes that the other end has said goodbye.
    pub(in crate::transport) fn open(&mut self, bytes: &mut [u8]) -> io::Result<Option<usize>> {
        let mut filled = 0;
        while filled < bytes.len() {
            let mut read = self.machine.read(&mut bytes[filled..]);
            if read.is_none() && !self.came.is_empty() && self.fault.is_none() {
                let taken = self.machine.take(&mut self.came, &mut self.leaving.records);
                self.fault = taken.err().map(Box::new);
                read = self.machine.read(&mut bytes[filled..]);
            }
            match read {
                Some(count @ 1..) => filled += count,
                Some(0) if filled == 0 => return Ok(Some(0)),
                _ => break,
            }
        }
        match &self.fault {
            Some(fault) if filled == 0 => Err(io::Error::new(ErrorKind::InvalidData, (**fault).clone())),
            _ => Ok((filled > 0).then_some(filled)),
        }
    }

    /// Writes as the stream does. What is given next must begin where this ends.
    pub(in crate::transport) fn write(
        &mut self,
        tcp: &TcpStream,
        bytes: &[u8],
        flags: SendFlags,
    ) -> io::Result<usize> {
        if self.leaving.plain == 0 {
            let plain = &bytes[..bytes.len().min(SEAL_BYTES_MAX)];
            let sealed = self.machine.seal(plain, &mut self.came, &mut self.leaving.records);
            self.leaving.plain = sealed.map_err(io::Error::other)?;
        }
        self.leaving.send(tcp, flags)
    }

    /// Says goodbye, as far as that takes no time; returns whether all has been sent.
    pub(in crate::transport) fn end(&mut self, tcp: &TcpStream) -> io::Result<bool> {
        self.machine.say_goodbye(&mut self.came, &mut self.leaving.records);
        self.leaving.send(tcp, SendFlags::DONTWAIT)?;
        Ok(self.leaving.records.is_empty())
    }

    /// What TLS itself has to say, such as new keys. It waits for nothing: whoever writes next sends the rest.
    fn send_what_waits(&mut self, tcp: &TcpStream) {
        if self.leaving.plain == 0 {
            let _ = self.leaving.send(tcp, SendFlags::DONTWAIT);
        }
    }
}

/// Reads from the socket, which waits as its timeout has it unless the flag says not to.
pub(super) fn receive(tcp: &TcpStream, bytes: &mut [u8], flags: RecvFlags) -> io::Result<Option<usize>> {
    if_any(rustix::net::recv(tcp, bytes, flags).map(|(_, count)| count))
}

/// Writes to the socket, likewise; returns how much it took.
pub(super) fn send(tcp: &TcpStream, bytes: &[u8], flags: SendFlags) -> io::Result<usize> {
    let sent = if_any(rustix::net::send(tcp, bytes, flags | SendFlags::NOSIGNAL));
    sent.map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests;
