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
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};
use rustls::Connection;

use super::tls::{TlsBeginning, Trust};

/// The connection. Neither thread keeps the other waiting: they wait for the socket outside the lock.
pub(crate) struct ClientStream {
    tcp: TcpStream,
    tls: Option<Mutex<Box<Connection>>>,
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
        let shaken = beginning.dial(dialler).map_err(unsafe_end)?;
        self.tcp.set_read_timeout(None)?;
        self.tls = Some(Mutex::new(shaken));
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
        match tls.lock().reader().read(bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            read => return read,
        }
        self.wait(PollFlags::IN, time)?;
        let mut tls = tls.lock();
        self.at_once(|tcp| tls.read_tls(tcp))?;
        tls.process_new_packets().map_err(io::Error::other)?;
        tls.reader().read(bytes)
    }

    /// Writes all of it, however long that takes.
    pub(crate) fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        let Some(tls) = &self.tls else { return (&self.tcp).write_all(bytes) };
        while !bytes.is_empty() {
            bytes = &bytes[tls.lock().writer().write(bytes)?..];
            self.send(tls)?;
        }
        Ok(())
    }

    /// Sends no more, and says so; still reads.
    pub(crate) fn end(&self) {
        if let Some(tls) = &self.tls {
            tls.lock().send_close_notify();
            let _ = self.send(tls);
        }
        let _ = self.tcp.shutdown(Shutdown::Write);
    }

    /// Wakes both threads, for good.
    pub(crate) fn shutdown(&self) {
        let _ = self.tcp.shutdown(Shutdown::Both);
    }

    /// Sends what TLS has encrypted.
    fn send(&self, tls: &Mutex<Box<Connection>>) -> io::Result<()> {
        loop {
            let mut held = tls.lock();
            if !held.wants_write() {
                return Ok(());
            }
            match self.at_once(|tcp| held.write_tls(tcp)) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                written => {
                    written?;
                    continue;
                }
            }
            drop(held);
            self.wait(PollFlags::OUT, None)
                .or_else(|error| if error.kind() == ErrorKind::WouldBlock { Ok(()) } else { Err(error) })?;
        }
    }

    /// Reads or writes what can be without waiting.
    fn at_once(&self, act: impl FnOnce(&mut AtOnce<'_>) -> io::Result<usize>) -> io::Result<usize> {
        act(&mut AtOnce(&self.tcp))
    }

    fn wait(&self, what: PollFlags, time: Option<Duration>) -> io::Result<()> {
        let time =
            time.map(|time| Timespec { tv_sec: time.as_secs() as _, tv_nsec: time.subsec_nanos().into() });
        match poll(&mut [PollFd::new(&self.tcp, what)], time.as_ref()) {
            Ok(0) | Err(Errno::INTR) => Err(ErrorKind::WouldBlock.into()),
            polled => Ok(polled.map(drop)?),
        }
    }
}

impl AsFd for ClientStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tcp.as_fd()
    }
}

/// The socket, for one thread while the other waits for it.
struct AtOnce<'a>(&'a TcpStream);

impl Read for AtOnce<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let flags = rustix::net::RecvFlags::DONTWAIT;
        Ok(rustix::net::recv(self.0, bytes, flags).map(|(_, count)| count)?)
    }
}

impl Write for AtOnce<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        use rustix::net::SendFlags;
        Ok(rustix::net::send(self.0, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
