//! Connections to the web face as scripts: what is sent, in whatever pieces, and what comes back.

use std::time::Duration;

use super::{HttpReply, HttpStatus, Refused, Site, WebConnection, WebNext, WireRules};
use crate::core::model::Tick;

const RULES: WireRules = WireRules {
    head_bytes: 1_024,
    body_bytes: 20_000,
    request_time: Duration::from_secs(5),
    body_time: Duration::from_secs(30),
    idle_time: Duration::from_secs(75),
};

fn site() -> Site {
    Site { hosts: Vec::new(), origins: vec!["https://map.example".into()] }
}

fn at(seconds: u64) -> Tick {
    Duration::from_secs(seconds)
}

/// A connection whose requests are answered with what they are, at once.
struct Script<'s> {
    connection: WebConnection<'s>,
    now: Tick,
    output: String,
    /// Set once it is over: whether it lingers.
    closed: Option<bool>,
    /// How often it has written.
    writes: usize,
    body_most: usize,
}

impl<'s> Script<'s> {
    fn new(site: &'s Site) -> Self {
        let connection = WebConnection::new(site, &RULES, at(100));
        Self {
            connection,
            now: at(100),
            output: String::new(),
            closed: None,
            writes: 0,
            body_most: usize::MAX,
        }
    }

    /// Does what it says until it waits or is over; until when it waits.
    fn run(&mut self) -> Option<Tick> {
        loop {
            match self.connection.next(self.now) {
                WebNext::Wait(until) => return Some(until),
                WebNext::Admit => {
                    let request = self.connection.request().unwrap();
                    assert!(request.body.is_empty(), "it is judged by its head");
                    if *request.path.slices() == [b"forbidden"] {
                        self.connection.answered(&Refused::NoToken.reply(), "now", false);
                    } else {
                        self.connection.admitted(self.body_most, self.now);
                    }
                }
                WebNext::Answer => {
                    let request = self.connection.request().unwrap();
                    let path = request.path.slices().concat();
                    let text = [&path[..], b"=", &request.body].concat();
                    let is_ending = path == b"last";
                    let reply = HttpReply::text(HttpStatus::OK, String::from_utf8(text).unwrap());
                    self.connection.answered(&reply, "now", is_ending);
                }
                WebNext::Refuse(why) => self.connection.refuse(why, "now"),
                WebNext::Write => {
                    self.output += std::str::from_utf8(self.connection.output()).unwrap();
                    self.writes += 1;
                    self.connection.wrote(self.now);
                }
                WebNext::Close { lingers } => {
                    self.closed = Some(lingers);
                    return None;
                }
            }
        }
    }

    /// Sends that in pieces of at most so many bytes, as far as it is read.
    fn send(&mut self, mut bytes: &[u8], piece: usize) -> Option<Tick> {
        let mut until = self.run();
        while !bytes.is_empty() && until.is_some() {
            let space = self.connection.space();
            let count = space.len().min(bytes.len()).min(piece);
            assert!(count > 0, "it waits for what it has no room for");
            space[..count].copy_from_slice(&bytes[..count]);
            self.connection.received(count);
            bytes = &bytes[count..];
            until = self.run();
        }
        until
    }

    /// The statuses and the bodies of all replies so far; `+` for 100 Continue.
    fn told(&self) -> String {
        let (mut rest, mut told) = (&*self.output, Vec::new());
        while !rest.is_empty() {
            let (head, after) = rest.split_once("\r\n\r\n").unwrap();
            let code = &head[9..12];
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
            let length = length.map_or(0, |length| length.parse().unwrap());
            told.push(if code == "100" { "+".to_owned() } else { format!("{code} {}", &after[..length]) });
            rest = &after[length..];
        }
        told.join("|")
    }
}

/// What a script is told, however what it sends is cut.
fn told(text: impl AsRef<[u8]>) -> String {
    let site = site();
    let all = [usize::MAX, 1, 2, 7].map(|piece| {
        let mut script = Script::new(&site);
        script.send(text.as_ref(), piece);
        // Whether a body has come before its sender is asked for it depends on the pieces.
        (script.told().replace("+|", ""), script.closed)
    });
    assert!(all.iter().all(|told| *told == all[0]), "{all:?}");
    let closed = match all[0].1 {
        None => "",
        Some(false) => "|end",
        Some(true) => "|end, lingering",
    };
    format!("{}{closed}", all[0].0)
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

fn post(path: &str, lines: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n{body}")
}

#[test]
fn requests_of_one_connection_are_answered_in_their_order_however_they_are_cut() {
    let chunked = "Transfer-Encoding: chunked\r\n";
    let all = [
        get("/a"),
        post("/b", "Content-Length: 5\r\n", "hello"),
        post("/c", chunked, "3\r\nhow\r\n9;x\r\n are you \r\n0\r\nX: y\r\n\r\n"),
        post("/d", "Content-Length: 0\r\n", ""),
        post("/e", chunked, "0\r\n\r\n"),
        "\r\n".to_owned() + &get("/f"),
    ];
    assert_eq!(told(all.concat()), "200 a=|200 b=hello|200 c=how are you |200 d=|200 e=|200 f=");
    let with_last = [get("/a"), get("/last"), get("/never")].concat();
    assert_eq!(told(with_last), "200 a=|200 last=|end");
    let closing =
        "GET /a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".to_owned() + &get("/never");
    assert_eq!(told(closing), "200 a=|end");
    assert_eq!(told("GET /a HTTP/1.0\r\n\r\n"), "200 a=|end");
    assert_eq!(
        told("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.0\r\n\r\n"),
        "200 a=|200 b=|end"
    );
}

#[test]
fn pipelined_requests_are_written_together() {
    let site = site();
    let mut script = Script::new(&site);
    script.send(get("/a").repeat(16).as_bytes(), usize::MAX);
    assert_eq!(script.told(), vec!["200 a="; 16].join("|"));
    assert!(script.writes <= 2, "{} writes", script.writes);
}

#[test]
fn what_is_refused_is_told_so_after_what_came_before_and_ends_the_connection() {
    for (bad, status) in [
        ("nonsense\r\n\r\n", "400"),
        ("GET / HTTP/1.1\nHost: localhost\n\n", "400"),
        ("\u{16}\u{3}\u{1}", "400"),
        ("GET / HTTP/3.0\r\n\r\n", "505"),
        ("BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n", "501"),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20001\r\n\r\n", "413"),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n4e21\r\n", "413"),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello", "400"),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nExpect: x\r\n\r\n", "417"),
        ("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", "421"),
    ] {
        let all = told(get("/a") + bad + &get("/never"));
        let (begin, end) = (format!("200 a=|{status} "), "|end, lingering");
        assert!(all.starts_with(&begin) && all.ends_with(end) && !all.contains("never"), "{bad:?}: {all}");
    }
}

#[test]
fn limits_of_heads_and_bodies_hold_to_the_byte() {
    let padded = |length: usize| {
        let (begin, end) = ("GET /a HTTP/1.1\r\nHost: localhost\r\nX: ", "\r\n\r\n");
        [begin, &"x".repeat(length - begin.len() - end.len()), end].concat()
    };
    assert_eq!(told(padded(RULES.head_bytes)), "200 a=");
    assert!(told(padded(RULES.head_bytes + 1)).starts_with("431 "));
    let long_target = format!("GET /{} HTTP/1.1\r\n", "x".repeat(RULES.head_bytes));
    assert!(told(long_target).starts_with("414 "));
    let sized = |length: usize| {
        post("/a", &format!("Content-Length: {length}\r\n"), &"x".repeat(length)) + &get("/b")
    };
    let all = told(sized(RULES.body_bytes));
    assert!(all.starts_with("200 a=xxx") && all.ends_with("xxx|200 b="), "{}", &all[..9]);
    assert!(told(sized(RULES.body_bytes + 1)).starts_with("413 "));
    let site = site();
    for (length, expected) in [(5, "200 a=xxxxx"), (6, "413 ")] {
        let mut script = Script { body_most: 5, ..Script::new(&site) };
        script.send(sized(length).as_bytes(), usize::MAX);
        assert!(script.told().starts_with(expected), "{}", script.told());
        let mut script = Script { body_most: 5, ..Script::new(&site) };
        let chunk = format!("{length}\r\n{}\r\n0\r\n\r\n", "x".repeat(length));
        script.send(post("/a", "Transfer-Encoding: chunked\r\n", &chunk).as_bytes(), 1);
        assert!(script.told().starts_with(expected), "{}", script.told());
    }
}

#[test]
fn one_that_is_refused_by_its_head_is_not_asked_for_its_body() {
    let lines = "Expect: 100-continue\r\nContent-Length: 5\r\n";
    let site = site();
    let mut script = Script::new(&site);
    script.send(post("/forbidden", lines, "").as_bytes(), usize::MAX);
    assert!(script.told().starts_with("401 ") && script.closed == Some(true), "{}", script.told());
    assert!(script.output.contains("\r\nConnection: close\r\n"));
    // Without a body, the connection goes on.
    assert!(told(get("/forbidden") + &get("/b")).ends_with("|200 b="));
    // One that is not refused is asked, once, and after the replies that it waits for.
    let mut script = Script::new(&site);
    script.send((get("/a") + &post("/b", lines, "")).as_bytes(), usize::MAX);
    assert_eq!(script.told(), "200 a=|+");
    script.send(b"he", 1);
    script.send(b"llo", 1);
    assert_eq!(script.told(), "200 a=|+|200 b=hello");
    // One that has sent its body is not.
    let mut script = Script::new(&site);
    script.send(post("/b", lines, "hello").as_bytes(), usize::MAX);
    assert_eq!(script.told(), "200 b=hello");
}

#[test]
fn each_wait_has_its_deadline() {
    let site = site();
    // The first head, from the beginning, whatever comes of it.
    for begun in ["", "GET / HTTP/1.1\r\n"] {
        let mut script = Script::new(&site);
        assert_eq!(script.send(begun.as_bytes(), 1), Some(at(105)));
        script.now = at(104);
        assert_eq!(script.run(), Some(at(105)));
        script.now = at(105);
        script.run();
        assert!(script.told().starts_with("408 ") && script.closed == Some(true), "{}", script.told());
    }
    // Between requests: silently.
    let mut script = Script::new(&site);
    script.now = at(102);
    assert_eq!(script.send(get("/a").as_bytes(), usize::MAX), Some(at(177)));
    assert!(script.connection.is_idle());
    script.now = at(176);
    assert_eq!(script.run(), Some(at(177)));
    // A further head, from its first byte.
    assert_eq!(script.send(b"G", 1), Some(at(181)));
    assert!(!script.connection.is_idle());
    script.now = at(180);
    assert_eq!(script.send(b"ET / HTTP/1.1\r\n", 1), Some(at(181)));
    // A body, from its head's end.
    let more = "Host: localhost\r\nContent-Length: 5\r\n\r\n";
    assert_eq!(script.send(more.as_bytes(), 1), Some(at(210)));
    script.now = at(209);
    assert_eq!(script.send(b"hell", 1), Some(at(210)));
    script.now = at(210);
    script.run();
    assert!(script.told().contains("|408 ") && script.closed == Some(true), "{}", script.told());
    let mut script = Script::new(&site);
    script.send(get("/a").as_bytes(), usize::MAX);
    script.now = at(175);
    assert_eq!((script.run(), script.closed, script.told()), (None, Some(false), "200 a=".to_owned()));
}

#[test]
fn what_came_before_the_end_is_answered() {
    let site = site();
    let mut script = Script::new(&site);
    let both = get("/a") + &get("/b") + "GET /c";
    let space = script.connection.space();
    space[..both.len()].copy_from_slice(both.as_bytes());
    script.connection.received(both.len());
    script.connection.ended();
    assert_eq!((script.run(), script.told()), (None, "200 a=|200 b=".to_owned()));
    let mut script = Script::new(&site);
    script.send(post("/a", "Content-Length: 5\r\n", "hell").as_bytes(), 1);
    script.connection.ended();
    assert_eq!((script.run(), script.told(), script.closed), (None, String::new(), Some(false)));
}

#[test]
fn page_of_a_configured_origin_may_read_the_answer() {
    let site = site();
    let mut script = Script::new(&site);
    let lines = "Origin: https://map.example\r\nContent-Length: 0\r\n";
    script.send(post("/a", lines, "").as_bytes(), usize::MAX);
    let told = "\r\nAccess-Control-Allow-Origin: https://map.example\r\nVary: Origin\r\n";
    assert!(script.output.contains(told), "{}", script.output);
    let mut script = Script::new(&site);
    script.send(post("/a", "Origin: https://evil.example\r\nContent-Length: 0\r\n", "").as_bytes(), 9);
    assert!(!script.output.contains("Access-Control"), "{}", script.output);
}

#[test]
fn connection_that_is_quiet_for_a_second_gives_its_memory_back() {
    let site = site();
    let mut script = Script::new(&site);
    assert_eq!(script.connection.held(), 0);
    let request = post("/a", "Content-Length: 9000\r\n", &"x".repeat(9_000));
    let until = script.send(request.as_bytes(), usize::MAX);
    assert!(script.connection.held() > 9_000, "{}", script.connection.held());
    assert_eq!(until, Some(at(101)), "it looks again");
    script.now = at(101);
    assert_eq!(script.run(), Some(at(175)));
    assert_eq!(script.connection.held(), 0);
    assert!(script.send(get("/b").as_bytes(), 1).is_some() && script.told().ends_with("|200 b="));
}

#[test]
fn when_all_hold_too_much_a_body_gives_way_and_a_quiet_connection_stays() {
    let site = site();
    let mut quiet = Script::new(&site);
    quiet.send(get("/a").as_bytes(), 1);
    quiet.connection.crowd();
    assert!(quiet.send(get("/b").as_bytes(), 1).is_some(), "{}", quiet.told());
    let mut greedy = Script::new(&site);
    greedy.send(post("/a", "Content-Length: 9000\r\n", &"x".repeat(8_000)).as_bytes(), 500);
    greedy.connection.crowd();
    assert_eq!(greedy.run(), None);
    assert!(greedy.told().starts_with("503 ") && greedy.output.contains("\r\nRetry-After: 1\r\n"));
}
