//! The few things std's sockets do not offer: a longer backlog, a write with one deadline for all its bytes, a look for
//! the end of the input, and waking a blocked accept. All safe calls of rustix on std's own sockets.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags},
    net::RecvFlags,
};

/// How many connections may wait to be accepted. std asks for 128, which makes quick clients wait for seconds.
const BACKLOG: i32 = 4096;

/// How long one write call blocks before its caller looks at the clock.
const WRITE_SLICE: Duration = Duration::from_millis(100);

/// Binds and listens. A name is resolved; the first of its addresses that can be bound is.
pub(crate) fn listen(host: &str, port: u16) -> io::Result<TcpListener> {
    let listener = TcpListener::bind((host, port))?;
    rustix::net::listen(&listener, BACKLOG)?;
    Ok(listener)
}

/// Makes a blocked `accept` return an error, now and ever after. Needs no descriptor.
pub(crate) fn wake_accept(listener: &TcpListener) {
    // It fails only where nothing listens any more.
    let _ = rustix::net::shutdown(listener, rustix::net::Shutdown::Both);
}

/// Waits until a connection can be accepted, or [`wake_accept`] has been called. Needs no descriptor.
pub(crate) fn wait_for_connection(listener: &TcpListener) {
    // A signal may end the wait early, which those who accept next do not mind.
    let _ = rustix::event::poll(&mut [PollFd::new(listener, PollFlags::IN)], None);
}

/// Prepares a new connection for [`write_all`], and for small lines to leave at once.
pub(crate) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(WRITE_SLICE))
}

/// Writes all of `bytes`, or fails with [`ErrorKind::TimedOut`] once `is_over` says so, which is asked each time a write
/// has blocked for a while: a deadline for each call would start anew with every few bytes a slow reader takes.
pub(crate) fn write_all(
    mut stream: &TcpStream,
    mut bytes: &[u8],
    mut is_over: impl FnMut() -> bool,
) -> io::Result<()> {
    loop {
        match stream.write(bytes) {
            Ok(count) if count == bytes.len() => return Ok(()),
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        if is_over() {
            return Err(ErrorKind::TimedOut.into());
        }
    }
}

/// Reads what is there, without waiting; as `read` does, an error of kind `WouldBlock` says that nothing is. To be asked
/// before a write: after the other end's close, one write would still succeed and be lost.
pub(crate) fn receive_now(stream: &TcpStream, bytes: &mut [u8]) -> io::Result<usize> {
    let (_, count) = rustix::net::recv(stream, bytes, RecvFlags::DONTWAIT)?;
    Ok(count)
}

/// How often a closing connection is read, 4 KiB at a time, for what its client had sent and nobody will read.
const UNREAD_READS_MAX: usize = 256;

/// Lets the other end have what was written to it, before the socket is dropped: bytes left unread would turn the close
/// into a reset, which can overtake them. Waits for nothing.
pub(crate) fn finish(mut stream: &TcpStream) {
    close(stream, Shutdown::Write);
    if stream.set_nonblocking(true).is_ok() {
        let mut unread = [0; 4096];
        for _ in 0..UNREAD_READS_MAX {
            if !matches!(stream.read(&mut unread), Ok(count) if count > 0) {
                break;
            }
        }
    }
}

/// Wakes whoever reads from or writes to the connection, for good.
pub(crate) fn close(stream: &TcpStream, how: Shutdown) {
    // It fails only where the connection has ended already.
    let _ = stream.shutdown(how);
}
