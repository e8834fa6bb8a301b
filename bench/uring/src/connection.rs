//! A connection that a ring carries. The system reads into a buffer, and writes from one, while the task does something
//! else, so both must be the operation's own; what is read is copied from there, and what is written is copied to it.

use std::{cell::RefCell, io, mem::take, net, pin::Pin, time::Duration};

use compio::{
    BufResult,
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use herd_tasks::Stream;

thread_local! {
    /// Connections to the upstream that no lookup of this ring uses now.
    static KEPT: RefCell<Vec<Connection>> = const { RefCell::new(Vec::new()) };
}

/// An operation that goes on if nobody waits for it: what it has read or written would be lost with it.
type Operation = Pin<Box<dyn Future<Output = BufResult<usize, Vec<u8>>>>>;

pub(crate) struct Connection {
    stream: TcpStream,
    reading: Option<Operation>,
    arrived: Vec<u8>,
    /// Bytes of `arrived` that were handed over.
    taken: usize,
    writing: Option<Operation>,
    /// Memory for what is written.
    leaving: Vec<u8>,
}

impl Connection {
    pub(crate) fn new(stream: net::TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self::of(TcpStream::from_std(stream)?))
    }

    fn of(stream: TcpStream) -> Self {
        let (arrived, leaving) = (Vec::new(), Vec::new());
        Self { stream, reading: None, arrived, taken: 0, writing: None, leaving }
    }
}

impl Stream for Connection {
    async fn connect(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self::of(stream))
    }

    async fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.arrived.len() {
            let reading = self.reading.get_or_insert_with(|| {
                let (mut stream, mut buffer) = (self.stream.clone(), take(&mut self.arrived));
                (buffer, self.taken) = (emptied(buffer, space.len()), 0);
                Box::pin(async move { stream.read(buffer).await })
            });
            let BufResult(count, buffer) = reading.await;
            (self.reading, self.arrived) = (None, buffer);
            self.arrived.truncate(count?);
        }
        let rest = &self.arrived[self.taken..];
        let count = rest.len().min(space.len());
        space[..count].copy_from_slice(&rest[..count]);
        self.taken += count;
        Ok(count)
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let writing = self.writing.get_or_insert_with(|| {
            let (mut stream, buffer) = (self.stream.clone(), take(&mut self.leaving));
            let mut buffer = emptied(buffer, bytes.len());
            buffer.extend_from_slice(bytes);
            Box::pin(async move { stream.write(buffer).await })
        });
        let BufResult(count, buffer) = writing.await;
        (self.writing, self.leaving) = (None, buffer);
        count
    }

    fn kept() -> Option<Self> {
        KEPT.with_borrow_mut(Vec::pop)
    }

    fn keep(self) {
        KEPT.with_borrow_mut(|kept| kept.push(self));
    }

    fn sleep(time: Duration) -> impl Future<Output = ()> {
        compio::time::sleep(time)
    }
}

/// With room for so much.
fn emptied(mut buffer: Vec<u8>, room: usize) -> Vec<u8> {
    buffer.clear();
    buffer.reserve(room);
    buffer
}
