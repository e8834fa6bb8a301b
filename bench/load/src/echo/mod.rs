//! The ceiling a node is compared with: the same threads and system calls, and no work. Every line that comes
//! in is answered with one fixed line; nothing is parsed, stored or logged.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
};

use crate::listener::{self, READ_BYTES};

/// Answers until accepting fails, with lines of `line_length` bytes, the newline not counted.
pub fn serve(listener: &TcpListener, line_length: usize) -> io::Error {
    let line = line(line_length);
    listener::serve(listener, |stream| session(stream, &line))
}

/// A line that begins as a node's answer does, so that one check fits both.
fn line(length: usize) -> Vec<u8> {
    let mut line = b"AT Echo +0.000000000 ".to_vec();
    line.resize(length, b'x');
    line.push(b'\n');
    line
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
        for _newline in memchr::memchr_iter(b'\n', &arrived[..count]) {
            owed.extend_from_slice(line);
        }
        if !owed.is_empty() {
            stream.write_all(&owed)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_has_the_length_that_was_asked_for() {
        for length in [21, 86, 90] {
            let line = line(length);
            assert_eq!(line.len(), length + 1);
            assert!(crate::reply::is_at_line(&line) && line.ends_with(b"\n"));
        }
    }
}
