//! A thread for each connection, as a node has: read, answer all that came with one write, read again.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
};

use super::answer;
use crate::listener::{self, READ_BYTES, STACK_BYTES};

pub(super) fn serve(listener: &TcpListener, line: &[u8]) -> io::Error {
    listener::serve(listener, STACK_BYTES, |stream| session(stream, line))
}

fn session(mut stream: &TcpStream, line: &[u8]) -> io::Result<()> {
    let mut arrived = vec![0; READ_BYTES];
    let mut owed = Vec::with_capacity(READ_BYTES);
    loop {
        let count = stream.read(&mut arrived)?;
        if count == 0 {
            return Ok(());
        }
        owed.clear();
        answer(&arrived[..count], line, &mut owed);
        if !owed.is_empty() {
            stream.write_all(&owed)?;
        }
    }
}
