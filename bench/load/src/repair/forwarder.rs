//! A proxy between two nodes: a connection made here is connected to the node on the other side, and what passes is
//! counted, by direction. While there is none, the link is cut.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
};

use crate::{
    listener::{self, READ_BYTES},
    reply::Lines,
};

/// What has passed one way.
#[derive(Debug, Default)]
struct Meter {
    bytes: AtomicU64,
    rounds: AtomicU64,
}

/// What has passed in both ways, keepalives not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Passed {
    /// From the node that dialled, in bytes.
    pub(super) there: u64,
    /// To it, in bytes.
    pub(super) back: u64,
    /// Rounds that are over.
    pub(super) rounds: u64,
}

impl Passed {
    /// What has passed since `earlier`.
    pub(super) fn since(self, earlier: Self) -> Self {
        Self {
            there: self.there - earlier.there,
            back: self.back - earlier.back,
            rounds: self.rounds - earlier.rounds,
        }
    }
}

impl Meter {
    /// Counts a line, given without its newline.
    fn count(&self, line: &[u8]) {
        if line.starts_with(b"PING ") || line.starts_with(b"PONG ") {
            return;
        }
        self.bytes.fetch_add(line.len() as u64 + 1, Relaxed);
        if line.starts_with(b"DONE ") {
            self.rounds.fetch_add(1, Relaxed);
        }
    }
}

/// The proxy. Dropping it cuts what passes.
#[derive(Debug)]
pub(super) struct Forwarder {
    shared: Arc<Shared>,
    address: SocketAddr,
    accept: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    there: Meter,
    back: Meter,
    is_over: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Forwarder {
    /// Connects each connection to `address` with `behind`.
    pub(super) fn open(address: SocketAddr, behind: SocketAddr) -> io::Result<Self> {
        let listener = listener::bind(address)?;
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let accept = thread::Builder::new().name("forwarder".to_owned());
        let accept = accept.spawn(move || serve(&listener, behind, &of_thread))?;
        Ok(Self { shared, address, accept: Some(accept) })
    }

    pub(super) fn passed(&self) -> Passed {
        let Shared { there, back, .. } = &*self.shared;
        Passed {
            there: there.bytes.load(Relaxed),
            back: back.bytes.load(Relaxed),
            rounds: back.rounds.load(Relaxed),
        }
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Relaxed);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
        for stream in self.shared.open.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            drop(stream.shutdown(Shutdown::Both));
        }
        if let Some(accept) = self.accept.take() {
            drop(accept.join());
        }
    }
}

fn serve(listener: &TcpListener, behind: SocketAddr, shared: &Shared) {
    thread::scope(|scope| {
        for caller in listener.incoming().map_while(Result::ok) {
            if shared.is_over.load(Relaxed) {
                return;
            }
            // If the node is not there, the call ends as it would without us.
            let Ok((caller, callee)) = join(caller, behind, shared) else { continue };
            let (caller, callee) = (Arc::new(caller), Arc::new(callee));
            let (to_caller, to_callee) = (Arc::clone(&caller), Arc::clone(&callee));
            scope.spawn(move || drop(pass(&caller, &to_callee, &shared.there)));
            scope.spawn(move || drop(pass(&callee, &to_caller, &shared.back)));
        }
    });
}

fn join(caller: TcpStream, behind: SocketAddr, shared: &Shared) -> io::Result<(TcpStream, TcpStream)> {
    let callee = TcpStream::connect(behind)?;
    for stream in [&caller, &callee] {
        stream.set_nodelay(true)?;
        shared.open.lock().unwrap_or_else(PoisonError::into_inner).push(stream.try_clone()?);
    }
    Ok((caller, callee))
}

fn pass(mut from: &TcpStream, mut to: &TcpStream, meter: &Meter) -> io::Result<()> {
    let mut lines = Lines::default();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        // Counted first: when a node says that a round is over, its bytes are counted.
        lines.feed(&buffer[..count], |line| meter.count(line));
        to.write_all(&buffer[..count])?;
    }
    to.shutdown(Shutdown::Both)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};

    use super::*;

    #[test]
    fn lines_pass_both_ways_and_are_counted_but_for_keepalives() {
        let behind = listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let free = listener::bind("127.0.0.1:0".parse().unwrap()).unwrap().local_addr().unwrap();
        let forwarder = Forwarder::open(free, behind.local_addr().unwrap()).unwrap();
        let mut caller = TcpStream::connect(free).unwrap();
        let (mut callee, _) = behind.accept().unwrap();
        caller.write_all(b"SUM 0\nPING 1\nDONE 1\n").unwrap();
        let mut lines = BufReader::new(callee.try_clone().unwrap()).lines();
        assert_eq!(lines.nth(2).unwrap().unwrap(), "DONE 1");
        callee.write_all(b"PONG 1 1479413884.392014450\nDONE 1\n").unwrap();
        assert_eq!(BufReader::new(&caller).lines().nth(1).unwrap().unwrap(), "DONE 1");
        assert_eq!(forwarder.passed(), Passed { there: 13, back: 7, rounds: 1 });
        drop(forwarder);
        assert!(lines.next().is_none_or(|line| line.is_err()));
    }
}
