//! The limit of a thread for each connection: one `recv` and one `send` for whatever came, a stack of four pages, and nothing
//! from the heap. What is answered is the same for all threads, so nothing is copied either.

use std::{
    io,
    mem::MaybeUninit,
    net::{TcpListener, TcpStream},
};

use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::listener;

/// The least that the system gives.
const STACK_BYTES: usize = 16 * 1024;
/// The most that is read at once, and what 64 reports in flight take.
const ARRIVED_BYTES: usize = 6 * 1024;
/// Answers that one write sends.
const LINES: usize = 128;

pub(super) fn serve(listener: &TcpListener, line: &[u8]) -> io::Error {
    let lines = line.repeat(LINES);
    listener::serve(listener, STACK_BYTES, |stream| session(stream, &lines, line.len()))
}

fn session(stream: &TcpStream, lines: &[u8], length: usize) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); ARRIVED_BYTES];
    loop {
        let ((arrived, _), _) = recv(stream, &mut space, RecvFlags::empty())?;
        if arrived.is_empty() {
            return Ok(());
        }
        let mut owed = memchr::memchr_iter(b'\n', arrived).count();
        while owed > 0 {
            let count = owed.min(LINES);
            send_all(stream, &lines[..count * length])?;
            owed -= count;
        }
    }
}

fn send_all(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        bytes = &bytes[send(stream, bytes, SendFlags::NOSIGNAL)?..];
    }
    Ok(())
}
