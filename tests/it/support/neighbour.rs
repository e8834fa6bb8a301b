//! A neighbour made of test code: it takes the node's flooder in and dials the node, as `HELLO 2` asks, and then does
//! whatever the test wants of it.

use std::{
    net::{SocketAddr, TcpListener},
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use proxyherd::core::{model::Timestamp, store::Placement};
use rustix::net::sockopt::{Timeout, set_socket_timeout};

use super::{Client, PATIENCE, Setup, TestNode};

/// The name of the herd all tests' nodes are of.
pub(crate) const HERD: &str = "test";

/// That herd's check value, as it stands in `HELLO`.
pub(crate) fn check() -> String {
    format!("{:016x}", Placement::of_herd(HERD).check())
}

/// A neighbour that listens.
pub(crate) struct FakePeer {
    id: &'static str,
    listener: TcpListener,
    incarnation: u64,
}

impl FakePeer {
    pub(crate) fn new(id: &'static str) -> Self {
        static STARTS: AtomicU64 = AtomicU64::new(1);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        set_socket_timeout(&listener, Timeout::Recv, Some(PATIENCE)).unwrap();
        Self { id, listener, incarnation: STARTS.fetch_add(1, Ordering::Relaxed) }
    }

    pub(crate) fn id(&self) -> &'static str {
        self.id
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// Where the node dials.
    pub(crate) fn listener(&self) -> &TcpListener {
        &self.listener
    }

    /// Takes no more calls.
    pub(crate) fn leave(&self) {
        rustix::net::shutdown(&self.listener, rustix::net::Shutdown::Both).unwrap();
    }

    /// Its handshake.
    pub(crate) fn hello(&self) -> String {
        self.hello_of(self.incarnation)
    }

    /// The handshake of another start of it.
    pub(crate) fn hello_of(&self, incarnation: u64) -> String {
        format!("HELLO 2 {HERD} {} {} {incarnation:016x} {} - - -\n", self.id, Setup::ID, check())
    }

    /// Takes the node's call, and neither hears nor says anything.
    #[track_caller]
    pub(crate) fn take_call(&self) -> Client {
        Client::of(self.listener.accept().expect("the node dials").0)
    }

    /// Takes the node's call, and its handshake, and does not answer.
    #[track_caller]
    pub(crate) fn answer_call(&self) -> (Client, String) {
        self.hear_hello(self.take_call())
    }

    /// Takes the handshake of a call.
    #[track_caller]
    pub(crate) fn hear_hello(&self, mut flooder: Client) -> (Client, String) {
        let hello = String::from_utf8(flooder.line()).unwrap();
        assert!(hello.starts_with(&format!("HELLO 2 {HERD} {} {} ", Setup::ID, self.id)), "{hello}");
        (flooder, hello)
    }

    /// Takes the node's flooder in.
    #[track_caller]
    pub(crate) fn take_flooder(&self) -> Client {
        let (mut flooder, _) = self.answer_call();
        flooder.send(self.hello());
        flooder
    }

    /// Takes the node's flooder in, and waits until the node takes the link for made, so that it floods from now on.
    #[track_caller]
    pub(crate) fn link(&self, node: &TestNode) -> Client {
        let mut flooder = self.take_flooder();
        node.expect_linked(self);
        // Its first round, at a neighbour that has nothing.
        while !flooder.keep() {}
        flooder
    }

    /// Dials the node and shakes hands.
    #[track_caller]
    pub(crate) fn dial(&self, node: &TestNode) -> Client {
        let mut session = node.client();
        session.send(self.hello());
        expect_hello(&mut session, self.id);
        session
    }
}

/// The answer to a ping, from a neighbour whose clock stands still.
fn pong(ping: &str) -> String {
    format!("{} 1479413884.392014450\n", ping.trim_end().replace("PING", "PONG"))
}

/// Checks that a handshake is answered with one.
#[track_caller]
pub(crate) fn expect_hello(session: &mut Client, to: &str) {
    let answer = String::from_utf8(session.line()).unwrap();
    let expected = format!("HELLO 2 {HERD} {} {to} {:016x} {} - - -\n", Setup::ID, 0, check());
    assert_eq!(answer, expected);
}

impl Client {
    /// The next line that is flooded, without its terminator. Others are answered as a neighbour would that has nothing.
    #[track_caller]
    pub(crate) fn news(&mut self) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let line = String::from_utf8(self.line()).unwrap();
            // A tombstone that is pushed has no sender.
            if line.starts_with("AT ") || line.starts_with("FORGOT ") && line.split(' ').count() > 5 {
                return line.strip_suffix('\n').unwrap().to_owned();
            }
            self.answer(&line);
            assert!(Instant::now() < deadline, "nothing is flooded");
        }
    }

    /// Sends lines, of which the last is that ping, and reads its answer.
    #[track_caller]
    pub(crate) fn ping(&mut self, lines: impl AsRef<[u8]>, number: u64) {
        self.send(lines);
        self.expect_pong(number);
    }

    /// Reads the answer to that ping.
    #[track_caller]
    pub(crate) fn expect_pong(&mut self, number: u64) {
        let answer = String::from_utf8(self.line()).unwrap();
        let time = answer.strip_prefix(&format!("PONG {number} ")).unwrap_or_else(|| panic!("{answer}"));
        assert!(Timestamp::parse(time.trim_end().as_bytes()).is_some(), "{answer}");
    }

    /// Reads a line that is no news, and answers it; whether it was a round's end.
    #[track_caller]
    pub(crate) fn keep(&mut self) -> bool {
        let line = String::from_utf8(self.line()).unwrap();
        self.answer(&line);
        line.starts_with("DONE ")
    }

    /// Answers whatever is not news until the node closes. Gives all that came, without pings.
    #[track_caller]
    pub(crate) fn keep_until_closed(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        while let Some(line) = self.try_line() {
            let line = String::from_utf8(line).unwrap();
            if line.starts_with("AT ") {
                told.push(line);
                continue;
            }
            self.answer(&line);
            if !line.starts_with("PING ") {
                told.push(line);
            }
        }
        told
    }

    #[track_caller]
    pub(crate) fn answer(&mut self, line: &str) {
        match line.split_ascii_whitespace().next() {
            Some("PING") => self.send(pong(line)),
            Some("SUM") => self.send(format!("SUM {:016x} 0\n", 0)),
            Some("DONE") => self.send(line),
            Some("PUSH" | "FORGOT") => {}
            _ => panic!("a neighbour that has nothing is not sent {line}"),
        }
    }
}
