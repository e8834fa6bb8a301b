//! What std's listeners do not offer: a longer backlog, waking a blocked `accept`, and waiting for a connection without a
//! descriptor.

use std::{io, net::TcpListener};

use rustix::event::{PollFd, PollFlags};

/// How many connections may wait to be accepted. std asks for 128, which makes quick clients wait for seconds.
const BACKLOG: i32 = 4096;

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
