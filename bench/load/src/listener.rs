//! Listening and accepting as a node does: a deep backlog, a named thread for each connection. Shared by the
//! servers that a node is measured against, so that they differ from it only in their work.

use std::{
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

/// Connections the kernel may hold for us; std's 128 drops clients that connect in a burst.
const BACKLOG: i32 = 4096;
/// The stack of a node's session.
pub const STACK_BYTES: usize = 256 * 1024;
/// The most a session reads at once.
pub const READ_BYTES: usize = 64 * 1024;

/// Binds, with the backlog of a node.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    rustix::net::listen(&listener, BACKLOG)?;
    Ok(listener)
}

/// Runs `session` on a thread of its own with so much stack for each connection, until accepting fails; then waits for them.
/// A session's error ends its connection and affects nothing else.
pub fn serve(
    listener: &TcpListener,
    stack_bytes: usize,
    session: impl Fn(&TcpStream) -> io::Result<()> + Sync,
) -> io::Error {
    let session = &session;
    thread::scope(|scope| {
        for number in 0_u64.. {
            let stream = match accept(listener) {
                Ok(stream) => stream,
                Err(error) => return error,
            };
            let body = move || drop(session(&stream));
            let builder = thread::Builder::new().name(format!("session-{number}")).stack_size(stack_bytes);
            // If there is no thread for it, the connection is closed: that is what dropping the body does.
            drop(builder.spawn_scoped(scope, body));
        }
        io::Error::other("more connections than can be numbered")
    })
}

fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    loop {
        match listener.accept() {
            Ok((stream, _peer)) => return stream.set_nodelay(true).map(|()| stream),
            Err(error) if is_the_clients_fault(error.kind()) => {}
            Err(error) => return Err(error),
        }
    }
}

fn is_the_clients_fault(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}
