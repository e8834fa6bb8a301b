//! One thread for all connections, edge-triggered: when a socket has something, it is read until a read comes up short,
//! and everything that arrived is answered with one write. What the client does not accept waits, and nothing more is
//! read meanwhile.

use std::{
    convert::Infallible,
    io::{self, ErrorKind, Read, Write},
    net,
};

use mio::{
    Events, Interest, Poll, Token,
    event::Event,
    net::{TcpListener, TcpStream},
};

use super::answer;
use crate::listener::READ_BYTES;

/// Sockets handled between two waits.
const EVENTS: usize = 1024;
/// From here on, answers are written before more is read.
const OWED_BYTES_MAX: usize = 1 << 20;
const LISTENER: Token = Token(usize::MAX);

pub(super) fn serve(listener: net::TcpListener, line: &[u8]) -> io::Result<Infallible> {
    listener.set_nonblocking(true)?;
    let mut listener = TcpListener::from_std(listener);
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut echo = Echo { line, arrived: vec![0; READ_BYTES], connections: Vec::new(), free: Vec::new() };
    let mut events = Events::with_capacity(EVENTS);
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            polled => polled?,
        }
        for event in &events {
            if event.token() == LISTENER {
                echo.accept(&listener, &poll)?;
            } else {
                echo.serve(event);
            }
        }
    }
}

#[derive(Debug)]
struct Echo<'a> {
    line: &'a [u8],
    arrived: Vec<u8>,
    /// By token; a place is empty once its connection has ended.
    connections: Vec<Option<Connection>>,
    /// The empty places.
    free: Vec<usize>,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    /// Answers that are not written yet.
    owed: Vec<u8>,
    /// Whether the client has sent its last.
    is_ended: bool,
}

impl Echo<'_> {
    fn accept(&mut self, listener: &TcpListener, poll: &Poll) -> io::Result<()> {
        loop {
            let mut stream = match listener.accept() {
                Ok((stream, _peer)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error)
                    if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) =>
                {
                    continue;
                }
                Err(error) => return Err(error),
            };
            stream.set_nodelay(true)?;
            let place = self.free.pop().unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() - 1
            });
            poll.registry().register(&mut stream, Token(place), Interest::READABLE | Interest::WRITABLE)?;
            self.connections[place] = Some(Connection { stream, owed: Vec::new(), is_ended: false });
        }
    }

    fn serve(&mut self, event: &Event) {
        let place = event.token().0;
        // A connection may have ended at an earlier event of the same wait.
        let Some(connection) = &mut self.connections[place] else { return };
        let is_open = connection.advance(self.line, &mut self.arrived, event.is_read_closed());
        if !is_open.unwrap_or(false) {
            self.connections[place] = None;
            self.free.push(place);
        }
    }
}

impl Connection {
    /// Whether it goes on. A short read says that nothing more is there, but not that nothing more will come: if the
    /// client has sent its last, the end must be read too, since no other event will show it.
    fn advance(&mut self, line: &[u8], arrived: &mut [u8], is_last: bool) -> io::Result<bool> {
        loop {
            let is_all_written = self.flush()?;
            if !is_all_written || self.is_ended {
                return Ok(!is_all_written);
            }
            let is_short = loop {
                match self.stream.read(arrived) {
                    Ok(0) => {
                        self.is_ended = true;
                        break true;
                    }
                    Ok(count) => {
                        answer(&arrived[..count], line, &mut self.owed);
                        if count < arrived.len() && !is_last {
                            break true;
                        }
                        // Answers may not pile up without bound.
                        if self.owed.len() >= OWED_BYTES_MAX {
                            break false;
                        }
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break true,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            };
            if is_short {
                let is_all_written = self.flush()?;
                return Ok(!is_all_written || !self.is_ended);
            }
        }
    }

    /// Whether all is written.
    fn flush(&mut self) -> io::Result<bool> {
        while !self.owed.is_empty() {
            match self.stream.write(&self.owed) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => drop(self.owed.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}
