//! A connection that tokio carries.

use std::{
    io,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use herd_tasks::Stream;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Connections to the upstream that no lookup uses now.
static KEPT: Mutex<Vec<Connection>> = Mutex::new(Vec::new());

pub(crate) struct Connection(TcpStream);

impl Connection {
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }
}

impl Stream for Connection {
    async fn connect(address: &str) -> io::Result<Self> {
        Self::new(TcpStream::connect(address).await?)
    }

    async fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        self.0.read(space).await
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).await
    }

    fn kept() -> Option<Self> {
        KEPT.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn keep(self) {
        KEPT.lock().unwrap_or_else(PoisonError::into_inner).push(self);
    }

    fn sleep(time: Duration) -> impl Future<Output = ()> {
        tokio::time::sleep(time)
    }
}
