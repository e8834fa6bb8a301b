//! A client of a node: lines out, replies in, each within a time. It knows how a reply ends and nothing else of what
//! the replies should be.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpStream},
};

use super::PATIENCE;

/// A connection.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Client {
    #[track_caller]
    pub(crate) fn connect(address: &str) -> Self {
        Self::try_connect(address).unwrap_or_else(|error| panic!("no connection to {address}: {error}"))
    }

    pub(crate) fn try_connect(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address.parse().unwrap(), PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let reader = BufReader::new(stream.try_clone()?);
        Ok(Self { stream, reader })
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).unwrap();
    }

    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// No more is sent; what is owed still comes.
    pub(crate) fn end_input(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// One line without its newline; empty at the end.
    pub(crate) fn line(&mut self) -> String {
        self.try_line().unwrap()
    }

    pub(crate) fn try_line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line)?;
        Ok(String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned())
    }

    /// Sends a line and reads a line.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        self.send(format!("{line}\n").as_bytes());
        self.line()
    }

    /// Asks what is near a client: the AT line and the JSON, or the `?` line and nothing.
    pub(crate) fn whatsat(&mut self, client: &str) -> (String, Vec<u8>) {
        let first = self.ask(&format!("WHATSAT {client} 10 5"));
        let mut json = Vec::new();
        while first.starts_with("AT ") && !json.ends_with(b"\n\n") {
            assert_ne!(self.reader.read_until(b'\n', &mut json).unwrap(), 0, "a whole reply");
        }
        (first, json)
    }

    /// Everything until the node closes.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.reader.read_to_end(&mut rest).unwrap();
        rest
    }
}
