//! The least that a hop through a node's threads can cost: a session thread that reads a line, makes a shared line of
//! it and sends that into a bounded channel; a flooder thread that takes it out and writes it to the neighbour. The
//! same threads and channel as in a node, and none of its work.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use crossbeam_channel::{Receiver, Sender, bounded};
use thiserror::Error;

use crate::{
    hop::{HelloError, answer, hello},
    listener::{self, READ_BYTES, STACK_BYTES},
};

/// Lines that may wait for the flooder.
const OUTBOX_LINES: usize = 1024;
/// What every client is answered.
const REPLY: &[u8] = b"AT Solo +0.000000000 kiwi0.cs.ucla.edu +34.068930-118.445127 0000000000.000000000\n";

/// The neighbour that the skeleton floods to, and the skeleton's own id.
#[derive(Clone, Debug)]
pub struct Ends {
    /// The neighbour's address.
    pub neighbour: SocketAddr,
    /// The herd's name.
    pub herd: String,
    /// The skeleton's id.
    pub id: String,
    /// The neighbour's id.
    pub peer: String,
}

/// Why the skeleton ended.
#[derive(Debug, Error)]
pub enum SkeletonError {
    /// A socket or a thread failed.
    #[error("the skeleton's link failed: {0}; is the neighbour there?")]
    Link(#[from] io::Error),
    /// The neighbour answered something else.
    #[error("the neighbour's handshake does not fit: {0}")]
    Hello(#[from] HelloError),
}

/// Links up, then serves clients until accepting fails.
pub fn serve(listener: &TcpListener, ends: &Ends) -> Result<(), SkeletonError> {
    let mut link = connect(ends)?;
    let (outbox, drained) = bounded(OUTBOX_LINES);
    thread::scope(|scope| {
        let flooder = thread::Builder::new().name(format!("flood-{}", ends.peer));
        flooder.spawn_scoped(scope, move || drop(flood(&mut link, &drained)))?;
        let error = listener::serve(listener, STACK_BYTES, |stream| session(stream, &outbox));
        drop(outbox);
        Err(error.into())
    })
}

fn connect(ends: &Ends) -> Result<TcpStream, SkeletonError> {
    let mut link = TcpStream::connect(ends.neighbour)?;
    link.set_nodelay(true)?;
    let Ends { herd, id, peer, .. } = ends;
    link.write_all(format!("{}\n", hello(herd, id, peer, 1, 1)).as_bytes())?;
    let mut welcome = String::new();
    BufReader::new(&link).read_line(&mut welcome)?;
    answer(welcome.trim_end().as_bytes(), herd, id, 1)?;
    Ok(link)
}

fn flood(link: &mut TcpStream, drained: &Receiver<Arc<[u8]>>) -> io::Result<()> {
    while let Ok(line) = drained.recv() {
        link.write_all(&line)?;
    }
    Ok(())
}

fn session(mut stream: &TcpStream, outbox: &Sender<Arc<[u8]>>) -> io::Result<()> {
    let mut arrived = vec![0; READ_BYTES];
    loop {
        let count = stream.read(&mut arrived)?;
        if count == 0 {
            return Ok(());
        }
        // The tester has one report in flight here, so a read is a line.
        let line = flooded(&arrived[..count]);
        outbox.send(line).map_err(|_closed| io::Error::other("the flooder is gone"))?;
        stream.write_all(REPLY)?;
    }
}

/// The AT line for the neighbour, from the fields of the report as they came.
fn flooded(report: &[u8]) -> Arc<[u8]> {
    let fields = report.trim_ascii().strip_prefix(b"IAMAT").unwrap_or_default();
    [b"AT Solo +0.000000000", fields, b" Solo\n"].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flooded_line_is_an_at_line_with_its_sender() {
        let line = flooded(b"IAMAT kiwi0.cs.ucla.edu +34.068930-118.445127 1479413884.392014450\n");
        let text = String::from_utf8_lossy(&line).into_owned();
        assert_eq!(
            text,
            "AT Solo +0.000000000 kiwi0.cs.ucla.edu +34.068930-118.445127 1479413884.392014450 Solo\n"
        );
    }
}
