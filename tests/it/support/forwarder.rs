//! A link's faults, made to order: a forwarder stands where a node is dialled and passes on what its neighbours say to it,
//! until it is told to cut a neighbour off, to swallow what is said, to delay it, or to let little pass at a time. It tells
//! neighbours apart by their handshakes. A connection that has lost bytes stays dead once the fault is over, as one is whose other end lost power.

use std::{
    collections::HashMap,
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;
use rustix::net::sockopt::set_socket_recv_buffer_size;

use super::PATIENCE;

/// What is wrong with the connections that a neighbour dials.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// Those there are, are closed; new ones are closed at their first line.
    Cut,
    /// What is said is taken and thrown away, and closing is not told either: by the one that dialled, and by the one
    /// that answers.
    Swallow {
        /// Of the one that dialled.
        forth: bool,
        /// Of the one that was dialled.
        back: bool,
    },
    /// Every piece waits this long before it is passed on.
    Delay(Duration),
    /// Only so many bytes a second are passed on, each way, and what the neighbour says is kept for [`Forwarder::passed`].
    Throttle(u32),
}

/// How much is passed on at a time where only so much a second may be.
const THROTTLED_BYTES: usize = 4 * 1024;

/// What one that dialled has said, as far as it was passed on, one connection after the other.
#[derive(Clone, Default, Debug)]
pub(crate) struct Passed {
    pub(crate) connections: usize,
    pub(crate) bytes: Vec<u8>,
}

/// The forwarder in front of one node. Dropping it closes everything it holds.
pub(crate) struct Forwarder {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<Sender<()>>,
    accepts: Option<JoinHandle<()>>,
}

struct Shared {
    target: OnceLock<SocketAddr>,
    /// By the id of the neighbour that dials.
    faults: Mutex<HashMap<String, Fault>>,
    passed: Mutex<HashMap<String, Passed>>,
    open: Mutex<Vec<Arc<Connection>>>,
    is_stopping: AtomicBool,
    stopped: Receiver<()>,
}

struct Connection {
    from: String,
    dialler: TcpStream,
    dialled: TcpStream,
}

impl Connection {
    fn close(&self) {
        // They fail where that end is closed already.
        let _ = self.dialler.shutdown(Shutdown::Both);
        let _ = self.dialled.shutdown(Shutdown::Both);
    }
}

impl Forwarder {
    /// One that listens already, and closes every connection until it is aimed.
    pub(crate) fn new() -> Self {
        // Not 127.0.0.1, which a herd of processes replaces by its own address.
        let listener = TcpListener::bind("127.0.0.2:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = bounded(0);
        let (target, is_stopping) = (OnceLock::new(), AtomicBool::new(false));
        let (faults, passed, open) = (Mutex::default(), Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared { target, faults, passed, open, is_stopping, stopped });
        let accepting = Arc::clone(&shared);
        let accepts = Some(thread::spawn(move || accept(&listener, &accepting)));
        Self { address, shared, stop: Some(stop), accepts }
    }

    /// Where it is dialled.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The node it stands in front of; once.
    pub(crate) fn aim(&self, target: SocketAddr) {
        self.shared.target.set(target).unwrap();
    }

    /// From now on something is wrong with what that neighbour dials.
    pub(crate) fn fail(&self, from: &str, fault: Fault) {
        self.shared.faults.lock().insert(from.to_owned(), fault);
        if fault == Fault::Cut {
            let open = self.shared.open.lock();
            open.iter()
                .filter(|connection| connection.from == from)
                .for_each(|connection| connection.close());
        }
    }

    /// From now on nothing is wrong with what that neighbour dials anew.
    pub(crate) fn heal(&self, from: &str) {
        self.shared.faults.lock().remove(from);
    }
}

impl Forwarder {
    /// What that neighbour has said while little passed.
    pub(crate) fn passed(&self, from: &str) -> Passed {
        self.shared.passed.lock().get(from).cloned().unwrap_or_default()
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.shared.is_stopping.store(true, Ordering::Release);
        self.stop = None;
        // It wakes `accept`.
        drop(TcpStream::connect_timeout(&self.address, PATIENCE));
        let ended = self.accepts.take().map(JoinHandle::join);
        assert!(thread::panicking() || ended.is_none_or(|ended| ended.is_ok()), "the forwarder panicked");
    }
}

impl Shared {
    fn fault(&self, from: &str) -> Option<Fault> {
        self.faults.lock().get(from).copied()
    }

    /// Waits as long as so many bytes take, and remembers those that go forth.
    fn throttle(&self, from: &str, rate: u32, bytes: &[u8], is_forth: bool) {
        let _ = self.stopped.recv_timeout(Duration::from_secs(bytes.len() as u64) / rate);
        if is_forth {
            self.passed.lock().entry(from.to_owned()).or_default().bytes.extend_from_slice(bytes);
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    thread::scope(|scope| {
        for stream in listener.incoming() {
            if shared.is_stopping.load(Ordering::Acquire) {
                break;
            }
            let Ok(stream) = stream else { continue };
            scope.spawn(|| forward(stream, shared));
        }
        shared.open.lock().iter().for_each(|connection| connection.close());
    });
}

/// Takes a connection from its first line to its end.
fn forward(mut dialler: TcpStream, shared: &Shared) {
    let Some((hello, from)) = first_line(&mut dialler) else { return };
    let Some(&target) = shared.target.get() else { return };
    let fault = shared.fault(&from);
    if fault == Some(Fault::Cut) {
        return;
    }
    let Ok(mut dialled) = TcpStream::connect_timeout(&target, PATIENCE) else { return };
    let _ = (dialler.set_nodelay(true), dialled.set_nodelay(true));
    if let Some(Fault::Throttle(_)) = fault {
        shared.passed.lock().entry(from.clone()).or_default().connections += 1;
        // Little waits in the forwarder; what else the system holds is between the two nodes.
        let _ = set_socket_recv_buffer_size(&dialler, THROTTLED_BYTES);
    }
    let is_swallowed = matches!(fault, Some(Fault::Swallow { forth: true, .. }));
    if !is_swallowed && dialled.write_all(&hello).is_err() {
        return;
    }
    let connection = Arc::new(Connection { from, dialler, dialled });
    shared.open.lock().push(Arc::clone(&connection));
    // One that was cut off or stopped in between did not see it in the list.
    if shared.fault(&connection.from) == Some(Fault::Cut) || shared.is_stopping.load(Ordering::Acquire) {
        connection.close();
    }
    thread::scope(|scope| {
        scope.spawn(|| pump(&connection, true, is_swallowed, shared));
        pump(&connection, false, false, shared);
    });
    shared.open.lock().retain(|other| !Arc::ptr_eq(other, &connection));
}

/// The line `HELLO 2 herd from to …` with its terminator, and who says it. Nothing is read beyond it.
fn first_line(stream: &mut TcpStream) -> Option<(Vec<u8>, String)> {
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let (mut line, mut byte) = (Vec::new(), [0]);
    while !line.ends_with(b"\n") {
        stream.read_exact(&mut byte).ok()?;
        line.push(byte[0]);
    }
    stream.set_read_timeout(None).ok()?;
    let from = std::str::from_utf8(&line).ok()?.split(' ').nth(3)?.to_owned();
    Some((line, from))
}

/// Passes on what one end says, until it ends.
fn pump(connection: &Connection, is_forth: bool, mut is_spoiled: bool, shared: &Shared) {
    let Connection { from, dialler, dialled } = connection;
    let (mut source, mut sink) = if is_forth { (dialler, dialled) } else { (dialled, dialler) };
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let most = match shared.fault(from) {
            Some(Fault::Throttle(_)) => THROTTLED_BYTES,
            _ => bytes.len(),
        };
        let count = match source.read(&mut bytes[..most]) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            // A reset is passed on as an end.
            Err(_) => 0,
            Ok(count) => count,
        };
        match shared.fault(from) {
            Some(Fault::Swallow { forth, back }) => is_spoiled |= if is_forth { forth } else { back },
            Some(Fault::Delay(time)) => {
                // The piece is to be late; it is not waited for anything but the forwarder's end.
                let _ = shared.stopped.recv_timeout(time);
            }
            Some(Fault::Throttle(rate)) => shared.throttle(from, rate, &bytes[..count], is_forth),
            Some(Fault::Cut) | None => {}
        }
        if count == 0 {
            if !is_spoiled {
                let _ = sink.shutdown(Shutdown::Write);
            }
            return;
        }
        if !is_spoiled && sink.write_all(&bytes[..count]).is_err() {
            connection.close();
            return;
        }
    }
}
