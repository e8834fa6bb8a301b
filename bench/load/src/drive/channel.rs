//! What a connection's bytes go through: its socket, and TLS if it speaks that. Nothing here waits.

use std::{
    io::{self, Read, Write},
    net::Shutdown,
};

use mio::net::TcpStream;
use rustls::ClientConnection;

use super::connection::Bytes;
use crate::tls::Tls;

#[derive(Debug)]
pub(crate) struct Channel {
    tcp: TcpStream,
    tls: Option<Box<Secured>>,
}

#[derive(Debug)]
struct Secured {
    terms: Tls,
    connection: ClientConnection,
    /// Whether its handshake is yet to be judged.
    is_new: bool,
}

/// What came at once.
#[derive(Debug)]
pub(crate) struct Arrived<'b> {
    pub(crate) bytes: &'b [u8],
    /// Whether the other end has ended what it says.
    pub(crate) is_end: bool,
    /// Whether more may have come; otherwise the next arrival is a new event.
    pub(crate) may_be_more: bool,
}

impl Channel {
    pub(crate) fn plain(tcp: TcpStream) -> Self {
        Self { tcp, tls: None }
    }

    /// One whose handshake may be over already.
    pub(crate) fn secured(tcp: TcpStream, terms: Tls, connection: ClientConnection) -> Self {
        Self { tcp, tls: Some(Box::new(Secured { terms, connection, is_new: true })) }
    }

    pub(crate) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// Reads what is there, as far as there is room.
    pub(crate) fn read<'b>(&mut self, buffer: &'b mut [u8], count: &mut Bytes) -> io::Result<Arrived<'b>> {
        let Some(secured) = &mut self.tls else {
            let came = self.tcp.read(buffer)?;
            count.received += came as u64;
            return Ok(Arrived {
                is_end: came == 0,
                may_be_more: came == buffer.len(),
                bytes: &buffer[..came],
            });
        };
        // What is opened is less than what came, but for a record that had come in part.
        let (sealed, opened) = buffer.split_at_mut(buffer.len() / 8 * 3);
        let came = self.tcp.read(sealed)?;
        count.received += came as u64;
        let (bytes, has_closed) = secured.open(&sealed[..came], opened)?;
        let is_end = came == 0 || has_closed;
        Ok(Arrived { bytes: &opened[..bytes], is_end, may_be_more: came == sealed.len() })
    }

    /// Takes some of what is to be sent; TLS takes it all.
    pub(crate) fn write(&mut self, bytes: &[u8], count: &mut Bytes) -> io::Result<usize> {
        if let Some(secured) = &mut self.tls {
            return secured.connection.writer().write(bytes);
        }
        let sent = self.tcp.write(bytes)?;
        count.sent += sent as u64;
        Ok(sent)
    }

    /// Sends what TLS has to send.
    pub(crate) fn push(&mut self, count: &mut Bytes) -> io::Result<()> {
        let Some(secured) = &mut self.tls else { return Ok(()) };
        while secured.connection.wants_write() {
            count.sent += secured.connection.write_tls(&mut self.tcp)? as u64;
        }
        Ok(())
    }

    /// Whether all that it has taken was sent. TLS keeps what it takes during the handshake until that is over.
    pub(crate) fn is_sent(&self) -> bool {
        let has_sent = |tls: &ClientConnection| !tls.wants_write() && !tls.is_handshaking();
        self.tls.as_ref().is_none_or(|secured| has_sent(&secured.connection))
    }

    /// Sends no more, and says so.
    pub(crate) fn half_close(&mut self, count: &mut Bytes) {
        if let Some(secured) = &mut self.tls {
            secured.connection.send_close_notify();
        }
        // If either fails, the connection has ended, as reading will show.
        let _ended = self.push(count);
        let _ended = self.tcp.shutdown(Shutdown::Write);
    }
}

impl Secured {
    /// Opens what came. Returns how many bytes that gives, and whether they are the last.
    fn open(&mut self, mut sealed: &[u8], opened: &mut [u8]) -> io::Result<(usize, bool)> {
        let (mut count, mut has_closed) = (0, false);
        while !sealed.is_empty() && !has_closed {
            self.connection.read_tls(&mut sealed)?;
            let state = self.connection.process_new_packets().map_err(io::Error::other)?;
            let fresh = state.plaintext_bytes_to_read();
            self.connection.reader().read_exact(&mut opened[count..count + fresh])?;
            count += fresh;
            has_closed = state.peer_has_closed();
        }
        if self.is_new && !self.connection.is_handshaking() {
            self.is_new = false;
            self.terms.check(&self.connection)?;
        }
        Ok((count, has_closed))
    }
}
