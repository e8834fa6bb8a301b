//! A proxy for the way out: takes CONNECT, remembers what it was told before it became a tunnel and what went through, and
//! lets nothing pass where it is told so.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use parking_lot::Mutex;

/// The proxy; it takes no more connections once it is dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    is_open: bool,
    heads: Mutex<Vec<String>>,
    /// What went to the services.
    forth: Mutex<Vec<u8>>,
    is_over: AtomicBool,
}

impl Proxy {
    /// One that connects whoever asks, or one that refuses everybody.
    pub(crate) fn new(is_open: bool) -> Self {
        // Not 127.0.0.1, which a herd of processes replaces by its own address.
        let listener = TcpListener::bind("127.0.0.3:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (heads, forth, is_over) = (Mutex::default(), Mutex::default(), AtomicBool::new(false));
        let shared = Arc::new(Shared { is_open, heads, forth, is_over });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if accepting.is_over.load(Ordering::Acquire) {
                    return;
                }
                let shared = Arc::clone(&accepting);
                thread::spawn(move || shared.serve(&stream));
            }
        });
        Self { address, shared }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was asked of the proxy itself, head by head.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.shared.heads.lock().clone()
    }

    /// What went through it to the services.
    pub(crate) fn forth(&self) -> Vec<u8> {
        self.shared.forth.lock().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Release);
        // It wakes `accept`.
        drop(TcpStream::connect(self.address));
    }
}

impl Shared {
    fn serve(&self, mut client: &TcpStream) {
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            if client.read_exact(&mut byte).is_err() {
                return;
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).map(str::to_owned);
        self.heads.lock().push(head);
        let service = target.filter(|_| self.is_open).and_then(|target| TcpStream::connect(target).ok());
        let Some(service) = service else {
            let _ = client.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
            return;
        };
        if client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").is_err() {
            return;
        }
        thread::scope(|scope| {
            scope.spawn(|| pump(&service, client, |_| {}));
            pump(client, &service, |bytes| self.forth.lock().extend_from_slice(bytes));
        });
    }
}

/// Passes on what one end says, until it ends.
fn pump(mut from: &TcpStream, mut to: &TcpStream, mut see: impl FnMut(&[u8])) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        see(&bytes[..count]);
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
