//! An HTTP server in a node's stead, which does with each connection whatever a test wants once it was asked something.
//! It ends when dropped.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use parking_lot::Mutex;
use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket};

/// How long a slow server waits after each byte.
const BYTE_TIME: Duration = Duration::from_millis(10);

pub(crate) struct StandIn {
    address: String,
    asked: Arc<Mutex<String>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl StandIn {
    /// Serves each connection on a thread of its own, then closes it.
    pub(crate) fn new(serve: impl Fn(&TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (asked, is_over) = (Arc::<Mutex<String>>::default(), Arc::<AtomicBool>::default());
        let (heard, over, serve) = (Arc::clone(&asked), Arc::clone(&is_over), Arc::new(serve));
        let thread = thread::spawn(move || {
            for stream in listener.incoming().map(Result::unwrap) {
                if over.load(Ordering::Acquire) {
                    return;
                }
                let (heard, serve) = (Arc::clone(&heard), Arc::clone(&serve));
                thread::spawn(move || {
                    *heard.lock() = request(&stream);
                    serve(&stream);
                    // Unread bytes would turn the close into a reset, which may take the answer with it.
                    let _ = stream.shutdown(Shutdown::Write);
                    wait_for_close(&stream);
                });
            }
        });
        Self { address, asked, is_over, thread: Some(thread) }
    }

    /// Answers every request with the same.
    pub(crate) fn answering(answer: String) -> Self {
        Self::new(move |mut stream| stream.write_all(answer.as_bytes()).unwrap())
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The head of the last request.
    pub(crate) fn asked(&self) -> String {
        self.asked.lock().clone()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        let woken = TcpStream::connect(&self.address);
        if let Some(thread) = self.thread.take().filter(|_| woken.is_ok()) {
            let ended = thread.join();
            assert!(thread::panicking() || ended.is_ok(), "the server panicked");
        }
    }
}

/// The head of a request, or what there is of it.
fn request(mut stream: &TcpStream) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// Says nothing until the other end goes.
pub(super) fn wait_for_close(mut stream: &TcpStream) {
    while matches!(stream.read(&mut [0; 1024]), Ok(1..)) {}
}

/// Says this, and then a byte now and again until the other end goes.
pub(super) fn dribble(mut stream: &TcpStream, head: &str) {
    let mut written = stream.write_all(head.as_bytes());
    while written.is_ok() {
        // Slowness is what is tested.
        thread::sleep(BYTE_TIME);
        written = stream.write_all(b"x");
    }
}

/// An address at which nobody listens for as long as the socket is there: it is bound, so that nobody else can.
pub(super) fn refusing_address() -> (String, OwnedFd) {
    let taken = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&taken, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = SocketAddr::try_from(getsockname(&taken).unwrap()).unwrap();
    (address.to_string(), taken)
}
