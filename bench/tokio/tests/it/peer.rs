//! What a peer sees: a handshake at either end, news at once, and repair. The models in other languages speak without. The
//! herd on io_uring is held to this file, too.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use proxyherd::core::store::Placement;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running node named A. Dropping it ends it.
struct Node {
    child: Child,
    address: SocketAddr,
    /// Kept, since it must be able to say that it is linked.
    _says: BufReader<ChildStdout>,
}

impl Node {
    fn with_peer(peer: SocketAddr) -> Self {
        let mut child = Command::new(crate::PROGRAM)
            .args(["--id", "A", "--listen", "127.0.0.1:0", "--peer", &format!("B={peer}")])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut says = BufReader::new(child.stdout.take().unwrap());
        says.read_line(&mut said).unwrap();
        let address = said.strip_prefix("listening ").unwrap().trim_end().parse().unwrap();
        Self { child, address, _says: says }
    }

    fn connect(&self) -> Lines {
        Lines::of(TcpStream::connect(self.address).unwrap())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

struct Lines(BufReader<TcpStream>);

impl Lines {
    fn of(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    fn say(&mut self, line: &str) {
        self.0.get_mut().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end_matches('\n').to_owned()
    }

    fn ask(&mut self, line: &str) -> String {
        self.say(line);
        self.hear()
    }
}

fn hello(from: &str, to: &str) -> String {
    format!("HELLO 2 bench {from} {to} 0000000000000002 {:016x} - - -", Placement::of_herd("bench").check())
}

fn assert_is_hello(line: &str) {
    let fields: Vec<_> = line.split(' ').collect();
    let ours = hello("A", "B");
    let expected: Vec<_> = ours.split(' ').collect();
    // The incarnation is a random number, or zeros.
    assert!(fields.len() == 10 && fields[..5] == expected[..5] && fields[6..] == expected[6..], "{line}");
}

/// Takes the node's call, shakes hands, and answers as one that has nothing until the first round is over.
fn take_call(listener: &TcpListener) -> Lines {
    let mut link = Lines::of(listener.accept().unwrap().0);
    assert_is_hello(&link.hear());
    link.say(&hello("B", "A"));
    loop {
        let line = link.hear();
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("SUM", _) => link.say("SUM 0000000000000000 0"),
            ("PING", number) => link.say(&format!("PONG {number} 1479413884.392014450")),
            ("DONE", number) => {
                link.say(&format!("DONE {number}"));
                return link;
            }
            _ => panic!("{line}"),
        }
    }
}

/// Reads on until a line is news, answering what is asked meanwhile.
fn next_news(link: &mut Lines) -> String {
    loop {
        let line = link.hear();
        match line.strip_prefix("PING ") {
            Some(number) => link.say(&format!("PONG {number} 1479413884.392014450")),
            None if line.starts_with("AT ") => return line,
            None => panic!("{line}"),
        }
    }
}

#[test]
fn peer_that_connects_shakes_hands_and_is_answered() {
    if !crate::is_available() {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let node = Node::with_peer(listener.local_addr().unwrap());
    let news = "AT B +0.000000001 kiwi +1+1 1 B";
    let mut stranger = node.connect();
    assert_eq!(stranger.ask(news), format!("? {news}"), "without a handshake it is a client's line");
    let mut peer = node.connect();
    assert_is_hello(&peer.ask(&hello("B", "A")));
    let empty = peer.ask("SUM 0");
    peer.say(news);
    assert!(peer.ask("PING 7").starts_with("PONG 7 "));
    assert_ne!(peer.ask("SUM 0"), empty);
}

#[test]
fn peer_that_falls_silent_is_hung_up_on() {
    if !crate::is_available() {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let node = Node::with_peer(listener.local_addr().unwrap());
    let mut peer = node.connect();
    assert_is_hello(&peer.ask(&hello("B", "A")));
    // It must speak once in five seconds; a client need not.
    assert_eq!(peer.hear(), "");
    assert!(node.connect().ask("nonsense").starts_with("? "));
}

#[test]
fn news_is_told_at_once_and_what_was_missed_by_a_round() {
    if !crate::is_available() {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let node = Node::with_peer(listener.local_addr().unwrap());
    let mut link = take_call(&listener);
    let mut client = node.connect();
    let began = Instant::now();
    for second in 1..=10 {
        let at = client.ask(&format!("IAMAT kiwi +1+1 {second}"));
        let told = next_news(&mut link);
        assert_eq!(told.strip_suffix(" A").unwrap_or(&told), at);
    }
    // A link that nobody wakes looks what there is once a second, when it pings.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    drop(link);
    client.ask("IAMAT plum +1+1 1");
    let mut link = Lines::of(listener.accept().unwrap().0);
    assert_is_hello(&link.hear());
    link.say(&hello("B", "A"));
    let mut asked = link.hear();
    while let Some(number) = asked.strip_prefix("PING ") {
        link.say(&format!("PONG {number} 1479413884.392014450"));
        asked = link.hear();
    }
    assert_eq!(asked, "SUM 0");
    link.say("SUM 0000000000000000 0");
    let mut pushed: Vec<_> = (0..2).map(|_| link.hear()).collect();
    pushed.sort();
    assert!(pushed[0].contains(" kiwi ") && pushed[1].contains(" plum "), "{pushed:?}");
}
