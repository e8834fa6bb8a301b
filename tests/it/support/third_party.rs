//! Third-party nodes as students write them, each with habits of its own. They take IAMAT, WHATSAT and AT, store what is
//! strictly newer and pass it on to their one neighbour; beyond that they have nothing in common with this program's nodes.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{PATIENCE, plain::try_connect_from};

/// How soon one that keeps its connection dials again.
const REDIAL_TIME: Duration = Duration::from_millis(20);

/// What a node does in its own way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Habit {
    /// Keeps its connections; skews are Python's floats; AT lines have seven fields.
    Keeps,
    /// Takes one command a connection, which it reads to the end of the input; says one AT line of six fields on each, without
    /// a newline; skews have six decimals.
    OneCommand,
    /// Makes a connection for each update, which it closes once it is answered; says who has it behind the line; skews have
    /// no plus.
    Answered,
}

/// What is reported to it at a time it does not tell: the skew as it says it, and as nodes of ours write it.
pub(crate) const SKEWS: [(&str, &str); 6] = [
    ("-4.29e-05", "-0.000042900"),
    ("0.00021109999999999998", "+0.000211100"),
    ("1795240785.8198101", "+1795240785.819810100"),
    ("+0.263873", "+0.263873000"),
    ("0.5", "+0.500000000"),
    ("12.000042", "+12.000042000"),
];

impl Habit {
    /// Those of [`SKEWS`] that are of its making.
    fn skews(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Keeps => &SKEWS[..3],
            Self::OneCommand => &SKEWS[3..4],
            Self::Answered => &SKEWS[4..],
        }
    }

    /// Another node's skew, as it passes it on.
    fn rewritten(self, skew: &str) -> String {
        let number: f64 = skew.parse().unwrap();
        match self {
            Self::Keeps => python_float(number),
            Self::OneCommand => format!("{number:+.6}"),
            Self::Answered => skew.trim_start_matches('+').to_owned(),
        }
    }
}

/// What Python's `str` makes of a float.
fn python_float(number: f64) -> String {
    let text = format!("{number:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap();
    let exponent: i32 = exponent.parse().unwrap();
    match exponent {
        -4..16 => format!("{number:?}"),
        _ => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{mantissa}e{sign}{:02}", exponent.abs())
        }
    }
}

/// Such a node; it is gone, as by `kill -9`, when dropped.
pub(crate) struct ThirdParty {
    mind: Arc<Mind>,
    address: SocketAddr,
    listener: TcpListener,
    threads: Vec<JoinHandle<()>>,
}

/// What its threads share.
struct Mind {
    id: &'static str,
    habit: Habit,
    /// Its neighbour's name, and where that takes its news.
    neighbour: (&'static str, SocketAddr),
    address: SocketAddr,
    known: Mutex<HashMap<String, Known>>,
    /// How many reports it has taken, by which it picks its skews.
    reports: AtomicUsize,
    /// The skew it says in the place of any other, once it misbehaves.
    nonsense: AtomicBool,
    /// Where it keeps its connection: that.
    kept: Mutex<Option<Arc<TcpStream>>>,
    /// Those that it has taken or made, as long as they are in use.
    streams: Mutex<Vec<Weak<TcpStream>>>,
    is_over: AtomicBool,
}

#[derive(Clone, Debug)]
struct Known {
    time: f64,
    server: String,
    skew: String,
    position: String,
    timestamp: String,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

impl ThirdParty {
    /// One that listens there, and has that neighbour.
    pub(crate) fn start(
        id: &'static str,
        habit: Habit,
        address: SocketAddr,
        neighbour: (&'static str, SocketAddr),
    ) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let mind = Arc::new(Mind {
            id,
            habit,
            neighbour,
            address,
            known: Mutex::default(),
            reports: AtomicUsize::new(0),
            nonsense: AtomicBool::new(false),
            kept: Mutex::default(),
            streams: Mutex::default(),
            is_over: AtomicBool::new(false),
        });
        let (its, incoming) = (Arc::clone(&mind), listener.try_clone().unwrap());
        let mut threads = vec![thread::spawn(move || {
            for stream in incoming.incoming().map_while(Result::ok) {
                let (mind, stream) = (Arc::clone(&its), Arc::new(stream));
                lock(&its.streams).push(Arc::downgrade(&stream));
                thread::spawn(move || mind.serve(&stream));
            }
        })];
        if habit == Habit::Keeps {
            let its = Arc::clone(&mind);
            threads.push(thread::spawn(move || its.keep_connected()));
        }
        Self { mind, address, listener, threads }
    }

    /// Whether it can tell its news.
    pub(crate) fn is_connected(&self) -> bool {
        self.mind.habit != Habit::Keeps || lock(&self.mind.kept).is_some()
    }

    /// A client's report to it; the skew that our nodes write.
    pub(crate) fn report(&self, client: &str, timestamp: &str) -> &'static str {
        let skews = self.mind.habit.skews();
        let at = self.mind.reports.load(Ordering::Acquire) % skews.len();
        let reply = self.ask(&format!("IAMAT {client} +34.068930-118.445127 {timestamp}"));
        assert_eq!(
            reply,
            format!("AT {} {} {client} +34.068930-118.445127 {timestamp}", self.mind.id, skews[at].0)
        );
        skews[at].1
    }

    /// The AT line that WHATSAT gives at it.
    pub(crate) fn whatsat(&self, client: &str) -> Option<String> {
        Some(self.ask(&format!("WHATSAT {client} 10 5"))).filter(|reply| reply.starts_with("AT "))
    }

    /// From now on it says a skew that is no number, or no longer.
    pub(crate) fn misbehave(&self, nonsense: bool) {
        self.mind.nonsense.store(nonsense, Ordering::Release);
    }

    /// The first line it answers a client's line with.
    fn ask(&self, line: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(format!("{line}\n").as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply.lines().next().unwrap_or_default().to_owned()
    }
}

impl Drop for ThirdParty {
    fn drop(&mut self) {
        self.mind.is_over.store(true, Ordering::Release);
        // To close the sockets would not be enough: a process that another test is starting has copies for a moment.
        rustix::net::shutdown(&self.listener, rustix::net::Shutdown::Both).unwrap();
        for stream in lock(&self.mind.streams).iter().filter_map(Weak::upgrade) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            assert!(thread::panicking() || ended.is_ok(), "the third-party node panicked");
        }
    }
}

impl Mind {
    fn serve(&self, mut stream: &TcpStream) {
        match self.habit {
            Habit::Keeps => {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let _ = stream.write_all(self.handle(&line).as_bytes());
                }
            }
            Habit::OneCommand => {
                let mut command = String::new();
                if stream.read_to_string(&mut command).is_ok() {
                    let _ = stream.write_all(self.handle(&command).trim_end().as_bytes());
                }
            }
            Habit::Answered => {
                let (mut lines, mut line) = (BufReader::new(stream), String::new());
                if matches!(lines.read_line(&mut line), Ok(1..)) {
                    let reply = self.handle(&line);
                    let reply = if reply.is_empty() { "OK\n" } else { &reply };
                    let _ = stream.write_all(reply.as_bytes());
                    let _ = lines.read_to_end(&mut Vec::new());
                }
            }
        }
        let _ = stream.shutdown(Shutdown::Both);
    }

    /// Does what a line says, and gives the reply; none to an AT line.
    fn handle(&self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["IAMAT", client, position, timestamp] => {
                let skews = self.habit.skews();
                let skew = skews[self.reports.fetch_add(1, Ordering::AcqRel) % skews.len()].0;
                self.learn([self.id, skew, client, position, timestamp], &[]);
                format!("AT {} {skew} {client} {position} {timestamp}\n", self.id)
            }
            ["WHATSAT", client, _, _] => match lock(&self.known).get(client) {
                Some(Known { server, skew, position, timestamp, .. }) => {
                    format!("AT {server} {skew} {client} {position} {timestamp}\n{{\"results\": []}}\n\n")
                }
                None => format!("? {}\n", line.trim_end()),
            },
            ["AT", server, skew, client, position, timestamp, ref names @ ..] => {
                let skew = self.habit.rewritten(skew);
                self.learn([server, &skew, client, position, timestamp], names);
                String::new()
            }
            _ => format!("? {}\n", line.trim_end()),
        }
    }

    /// Stores what is newer, and passes it on unless the neighbour is said to have it.
    fn learn(&self, [server, skew, client, position, timestamp]: [&str; 5], names: &[&str]) {
        let time: f64 = timestamp.parse().unwrap();
        let [server, skew, position, timestamp] = [server, skew, position, timestamp].map(str::to_owned);
        let at = format!("AT {server} {skew} {client} {position} {timestamp}");
        let mut known = lock(&self.known);
        if known.get(client).is_some_and(|known| known.time >= time) {
            return;
        }
        known.insert(client.to_owned(), Known { time, server, skew: skew.clone(), position, timestamp });
        drop(known);
        if !names.contains(&self.neighbour.0) {
            let at = match self.nonsense.load(Ordering::Acquire) {
                true => at.replacen(&skew, "soon", 1),
                false => at,
            };
            self.tell(&at, names);
        }
    }

    /// Tells the neighbour, if it can be reached.
    fn tell(&self, at: &str, names: &[&str]) {
        if self.habit == Habit::Keeps {
            if let Some(stream) = lock(&self.kept).as_deref() {
                let _ = (&mut &*stream).write_all(format!("{at} {}\n", self.id).as_bytes());
            }
            return;
        }
        let Some(stream) = self.dial() else { return };
        if self.habit == Habit::OneCommand {
            let _ = (&mut &*stream).write_all(at.as_bytes());
            return;
        }
        let who_has_it = [names, &[self.id]].concat().join(" ");
        let _ = (&mut &*stream).write_all(format!("{at} {who_has_it} {}\n", self.neighbour.0).as_bytes());
        let mut answer = String::new();
        let answered = BufReader::new(&*stream).read_line(&mut answer);
        assert!(answered.is_err() || answer == "OK\n" || answer.is_empty(), "{answer:?}");
    }

    fn dial(&self) -> Option<Arc<TcpStream>> {
        let stream = Arc::new(try_connect_from(self.address.ip(), self.neighbour.1).ok()?);
        lock(&self.streams).push(Arc::downgrade(&stream));
        Some(stream)
    }

    /// Has a connection to the neighbour, again and again.
    fn keep_connected(&self) {
        while !self.is_over.load(Ordering::Acquire) {
            if let Some(stream) = self.dial() {
                *lock(&self.kept) = Some(Arc::clone(&stream));
                let _ = (&mut &*stream).read_to_end(&mut Vec::new());
                *lock(&self.kept) = None;
            }
            thread::sleep(REDIAL_TIME);
        }
    }
}

#[test]
fn floats_are_written_as_python_does() {
    for (number, text) in [
        (-4.29e-05, "-4.29e-05"),
        (0.000_211_1, "0.0002111"),
        (0.0001, "0.0001"),
        (1_795_240_785.819_81, "1795240785.81981"),
        (1.0, "1.0"),
        (1e16, "1e+16"),
        (123_456_789_012_345_680.0, "1.2345678901234568e+17"),
    ] {
        assert_eq!(python_float(number), text);
    }
}
