//! A third-party node: one thread accepts, one reads each connection, a location is stored if it is strictly newer
//! and passed on to its one neighbour over a connection of its own. It knows AT lines and nothing else.

use std::{
    collections::HashMap,
    io::{self, BufRead, BufReader, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
};

use rustix::net::{AddressFamily, SocketType};

/// What it does that a better node would not.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Manners {
    /// Answers every line with `? ` and the line.
    pub(crate) echoes: bool,
    /// Sends AT lines with a skew of its own making.
    pub(crate) own_skew: bool,
    /// Sends AT lines without its own name behind.
    pub(crate) six_fields: bool,
    /// Ends its lines with a carriage return too.
    pub(crate) crlf: bool,
}

/// The node; it ends when dropped.
pub(crate) struct PlainNode {
    shared: Arc<Shared>,
    address: SocketAddr,
    listener: TcpListener,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    id: &'static str,
    manners: Manners,
    /// Where its neighbour takes its news.
    neighbour: Mutex<Option<TcpStream>>,
    /// For each client the timestamp, and the AT line without a sender.
    known: Mutex<HashMap<String, (f64, String)>>,
    /// Lines as they came.
    heard: Mutex<Vec<String>>,
    connections: Mutex<Vec<TcpStream>>,
    accepted: AtomicUsize,
}

/// A connection from that address of this machine.
pub(crate) fn connect_from(ip: IpAddr, to: SocketAddr) -> TcpStream {
    try_connect_from(ip, to).unwrap()
}

/// The same, where there may be nobody.
pub(super) fn try_connect_from(ip: IpAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
    rustix::net::bind(&socket, &SocketAddr::new(ip, 0))?;
    rustix::net::connect(&socket, &to)?;
    Ok(socket.into())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

impl PlainNode {
    pub(crate) fn start(id: &'static str, listener: TcpListener, manners: Manners) -> Self {
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            id,
            manners,
            neighbour: Mutex::default(),
            known: Mutex::default(),
            heard: Mutex::default(),
            connections: Mutex::default(),
            accepted: AtomicUsize::new(0),
        });
        let (its, incoming) = (Arc::clone(&shared), listener.try_clone().unwrap());
        let accepting = thread::spawn(move || {
            for stream in incoming.incoming().map_while(Result::ok) {
                its.accepted.fetch_add(1, Ordering::Release);
                lock(&its.connections).push(stream.try_clone().unwrap());
                let reading = Arc::clone(&its);
                thread::spawn(move || reading.read(&stream));
            }
        });
        Self { shared, address, listener, accepting: Some(accepting) }
    }

    /// Where its neighbour takes its news from now on.
    pub(crate) fn tell(&self, neighbour: SocketAddr) {
        *lock(&self.shared.neighbour) = Some(connect_from(self.address.ip(), neighbour));
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A client's report to it.
    pub(crate) fn report(&self, client: &str, timestamp: &str) {
        self.shared.learn(&format!("AT {} +1.000000000 {client} +1+1 {timestamp}", self.shared.id));
    }

    /// Sends its neighbour a line as it stands.
    pub(crate) fn say(&self, line: &str) {
        self.shared.say(line);
    }

    /// The AT line it has of a client, without a sender.
    pub(crate) fn knows(&self, client: &str) -> Option<String> {
        lock(&self.shared.known).get(client).map(|(_, line)| line.clone())
    }

    pub(crate) fn known(&self) -> usize {
        lock(&self.shared.known).len()
    }

    /// What came, line by line, with `\r` where there was one.
    pub(crate) fn heard(&self) -> Vec<String> {
        lock(&self.shared.heard).clone()
    }

    /// How many connections it has taken.
    pub(crate) fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::Acquire)
    }
}

impl Drop for PlainNode {
    fn drop(&mut self) {
        // Another node may want the address at once. To close the socket would not be enough: a process that another test is
        // starting has a copy of it for a moment.
        rustix::net::shutdown(&self.listener, rustix::net::Shutdown::Both).unwrap();
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
        for stream in lock(&self.shared.connections).iter().chain(lock(&self.shared.neighbour).iter()) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}

impl Shared {
    fn read(&self, stream: &TcpStream) {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8(line).unwrap();
            lock(&self.heard).push(line.clone());
            if self.manners.echoes {
                let _ = (&mut &*stream).write_all(format!("? {line}\n").as_bytes());
                self.say(&format!("? {line}"));
            }
            self.learn(line.trim_end());
        }
    }

    fn learn(&self, line: &str) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (["AT", server, skew, client, position, timestamp, ..], 6 | 7) = (&fields[..], fields.len())
        else {
            return;
        };
        let time: f64 = timestamp.parse().unwrap();
        let mut known = lock(&self.known);
        if known.get(*client).is_some_and(|&(earlier, _)| earlier >= time) {
            return;
        }
        let skew = if self.manners.own_skew { "+77.000000000" } else { skew };
        let line = format!("AT {server} {skew} {client} {position} {timestamp}");
        known.insert((*client).to_owned(), (time, line.clone()));
        drop(known);
        self.say(&if self.manners.six_fields { line } else { format!("{line} {}", self.id) });
    }

    fn say(&self, line: &str) {
        if let Some(neighbour) = &mut *lock(&self.neighbour) {
            let end = if self.manners.crlf { "\r\n" } else { "\n" };
            // A neighbour that has gone hears nothing.
            let _ = neighbour.write_all(format!("{line}{end}").as_bytes());
        }
    }
}
