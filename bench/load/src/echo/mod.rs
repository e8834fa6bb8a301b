//! The ceilings that a node is compared with: the least that a server of some shape can do, without any work. Every
//! line that arrives is answered with one fixed line; nothing is parsed, stored or logged.

mod events;
mod minimal;
mod threads;

use std::{io, net::TcpListener};

/// How connections are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Shape {
    /// A thread for each, with a node's system calls.
    Threads,
    /// A thread for each, with as little beside its two system calls as there can be.
    Minimal,
    /// One thread for all, which waits for events.
    Events,
}

/// Answers until accepting fails, with lines of `line_length` bytes, the newline not counted.
pub fn serve(listener: TcpListener, shape: Shape, line_length: usize) -> io::Error {
    let line = line(line_length);
    match shape {
        Shape::Threads => threads::serve(&listener, &line),
        Shape::Minimal => minimal::serve(&listener, &line),
        Shape::Events => match events::serve(listener, &line) {
            Ok(never) => match never {},
            Err(error) => error,
        },
    }
}

/// A line that begins as a node's answer does, so that one check fits both.
fn line(length: usize) -> Vec<u8> {
    let mut line = b"AT Echo +0.000000000 ".to_vec();
    line.resize(length, b'x');
    line.push(b'\n');
    line
}

/// Adds a line for each that has arrived.
fn answer(arrived: &[u8], line: &[u8], owed: &mut Vec<u8>) {
    for _newline in memchr::memchr_iter(b'\n', arrived) {
        owed.extend_from_slice(line);
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

    #[test]
    fn only_whole_lines_are_answered() {
        let mut owed = Vec::new();
        answer(b"a\nb\nc", b"AT\n", &mut owed);
        assert_eq!(owed, b"AT\nAT\n");
    }
}
