//! A connection that a program makes to a node, plain or with TLS: one thread reads it while another writes. A node's own
//! connections are [`super::Stream`]s, each of one thread.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};

use parking_lot::Mutex;
use rustix::{
    event::PollFlags,
    net::{RecvFlags, SendFlags},
};

use super::{
    stream::wait_for,
    tls::{TlsBeginning, TlsSession, Trust},
};

/// The connection. Neither thread keeps the other waiting: they wait for the socket outside the lock.
pub(crate) struct ClientStream {
    tcp: TcpStream,
    tls: Option<Mutex<TlsSession>>,
}

impl ClientStream {
    /// Dials, within that time.
    pub(crate) fn connect(address: &SocketAddr, time: Duration) -> io::Result<Self> {
        let tcp = TcpStream::connect_timeout(address, time)?;
        tcp.set_nodelay(true)?;
        Ok(Self { tcp, tls: None })
    }

    /// Speaks TLS with a node of that name or address, from here on. `time` is called repeatedly, for how much is left.
    pub(crate) fn secured(
        mut self,
        trust: &Trust,
        host: &str,
        time: impl FnMut() -> Duration,
    ) -> io::Result<Self> {
        let unsafe_end = |fault: super::TlsFault| io::Error::new(ErrorKind::InvalidData, fault.to_string());
        let dialler = trust.dialler(host).map_err(unsafe_end)?;
        let beginning = TlsBeginning { tcp: &self.tcp, pool: None, begun: &[], time };
        let session = beginning.dial(dialler).map_err(unsafe_end)?;
        self.tls = Some(Mutex::new(session));
        Ok(self)
    }

    /// Reads what comes within that time, which is not zero; for ever without one. Nothing in time is
    /// [`ErrorKind::WouldBlock`], and so is a wait that ends too early; an end that TLS does not vouch for is
    /// [`ErrorKind::UnexpectedEof`].
    pub(crate) fn read(&self, bytes: &mut [u8], time: Option<Duration>) -> io::Result<usize> {
        let Some(tls) = &self.tls else {
            self.tcp.set_read_timeout(time)?;
            return (&self.tcp).read(bytes);
        };
        if let Some(count) = tls.lock().open(bytes)? {
            return Ok(count);
        }
        let is_ready = wait_for(&self.tcp, PollFlags::IN, time)?;
        let read = if is_ready { tls.lock().read(&self.tcp, bytes, RecvFlags::DONTWAIT)? } else { None };
        read.ok_or_else(|| ErrorKind::WouldBlock.into())
    }

    /// Writes all of it, however long that takes.
    pub(crate) fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        let Some(tls) = &self.tls else { return (&self.tcp).write_all(bytes) };
        while !bytes.is_empty() {
            let count = tls.lock().write(&self.tcp, bytes, SendFlags::DONTWAIT)?;
            bytes = &bytes[count..];
            if count == 0 {
                wait_for(&self.tcp, PollFlags::OUT, None)?;
            }
        }
        Ok(())
    }

    /// Sends no more, and says so; still reads.
    pub(crate) fn end(&self) {
        if let Some(tls) = &self.tls {
            loop {
                let ended = tls.lock().end(&self.tcp);
                if !matches!(ended, Ok(false)) || wait_for(&self.tcp, PollFlags::OUT, None).is_err() {
                    break;
                }
            }
        }
        let _ = self.tcp.shutdown(Shutdown::Write);
    }

    /// Wakes both threads, for good.
    pub(crate) fn shutdown(&self) {
        let _ = self.tcp.shutdown(Shutdown::Both);
    }
}

impl AsFd for ClientStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tcp.as_fd()
    }
}
