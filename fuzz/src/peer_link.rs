//! This node's own flooder, and whatever answers it. Two bytes say how many clients each side knows at first; the rest is
//! a line a step. `@` and a number lets so many milliseconds pass, `^` is the neighbour's good handshake, `*` its next
//! true answer, `!` loses the connection, `~` marks the link, `+` and more is a client's line here; all else is an answer
//! made up. The link is then carried out until it wants to wait, and what it writes is carried to a real
//! neighbour, and a link that has a secret hears the same and stays down. What it writes is sound and bounded; and where a round ends with none but true answers, nothing is missing.

use std::{collections::VecDeque, time::Duration};

use proxyherd::core::{
    links::{Ends, Event, Link, LinkTimes, NEWS_BYTES_MAX, Step, outbox},
    model::{Now, Tick},
    node::{Batch, Node, Origin, Said},
    repair::PUSH_BYTES_MAX,
    store::{KeyHash, Store},
    wire::{Ending, Hello, Line, PeerLine},
};

use super::scene;

/// What one write may hold: a piece of news and a piece of repair, each of which may go over its bound by one record of
/// an input's length, and some questions.
const WRITE_BYTES_MAX: usize = NEWS_BYTES_MAX + PUSH_BYTES_MAX + 64 * 1024;

/// How much the link may want to do before it wants to wait.
const STEPS_MAX: usize = 300;

/// Questions, a ping and a round's end: what a link may have asked and not been answered.
const OWED_MAX: usize = 5;

/// One input.
pub fn peer_link(data: &[u8]) {
    let Some(([ours, theirs], steps)) = data.split_first_chunk() else { return };
    let mut play = Play::new(usize::from(*ours), usize::from(*theirs));
    for step in steps.split(|&byte| byte == b'\n') {
        play.step(step);
        play.settle();
    }
    scene::check_sums(play.node.store());
    scene::check_sums(play.neighbour.store());
}

struct Play {
    node: Node,
    link: Link,
    /// Hears the same, and has a secret that no input knows.
    wary: Link,
    now: Tick,
    neighbour: Node,
    /// What the neighbour would answer.
    answers: VecDeque<Vec<u8>>,
    /// Whether all that was heard on this connection was what the neighbour would answer.
    is_true: bool,
}

impl Play {
    fn new(ours: usize, theirs: usize) -> Self {
        let (node, mut queues) = scene::node("Alford", &["Welsh"]);
        let (neighbour, _) = scene::node("Welsh", &["Alford"]);
        fill(&node, 0..ours);
        // Half of what they know is what we know.
        fill(&neighbour, ours / 2..ours / 2 + theirs);
        let ends = Ends {
            herd: "test".to_owned(),
            id: scene::id("Alford"),
            peer: scene::id("Welsh"),
            incarnation: scene::incarnation("Alford"),
            check: scene::placement().check(),
            secret: None,
        };
        let times = LinkTimes::default();
        let link = Link::new(ends.clone(), times, queues.remove(0));
        let ends = Ends { secret: Some(scene::secret()), ..ends };
        let wary = Link::new(ends, times, outbox(1).1);
        let (now, answers) = (Duration::ZERO, VecDeque::new());
        Self { node, link, wary, now, neighbour, answers, is_true: true }
    }

    fn step(&mut self, step: &[u8]) {
        match step {
            [b'@', digits @ ..] => {
                let number = digits.iter().take(5).filter(|digit| digit.is_ascii_digit());
                let ms = number.fold(0, |sum, digit| 10 * sum + u64::from(digit - b'0'));
                self.now += Duration::from_millis(ms);
            }
            b"^" => {
                let mut line = Vec::new();
                let (from, to) = (scene::id("Welsh"), scene::id("Alford"));
                let check = scene::placement().check();
                Hello::new("test", &from, &to, scene::incarnation("Welsh"), check).write(&mut line);
                self.hear(line.trim_ascii_end());
            }
            b"*" => {
                if let Some(answer) = self.answers.pop_front() {
                    self.hear(&answer);
                }
            }
            b"!" => self.link.failed("it is lost".to_owned()),
            b"~" => self.node.neighbours()[0].outbox.mark_behind(),
            [b'+', line @ ..] => {
                let prepared = self.node.prepare(Line::Whole(line, Ending::Lf), Origin::Client);
                let mut batch = Batch::default();
                self.node.execute(&prepared, self.wall(), &mut batch);
                self.node.flood(&mut batch, Origin::Client, |_| {});
            }
            line => {
                self.is_true = false;
                self.hear(line);
            }
        }
    }

    fn wall(&self) -> Now {
        Now { tick: self.now, ..scene::now() }
    }

    fn hear(&mut self, line: &[u8]) {
        self.wary.connected(self.now, scene::NONCE, self.node.store());
        give(&mut self.wary, line, self.now, self.node.store());
        assert!(!self.wary.is_up(), "linked without a proof");
        self.wary.hung_up(self.now, 0);
        while self.wary.event().is_some() {}
        give(&mut self.link, line, self.now, self.node.store());
        let events: Vec<Event> = std::iter::from_fn(|| self.link.event()).collect();
        for event in events {
            match event {
                Event::Round(over) => {
                    assert!(over.lasting <= over.differing);
                    self.settle();
                    // What was still queued has been written now.
                    if self.is_true && over.in_step {
                        self.check_in_step();
                    }
                }
                Event::Up => assert!(self.link.is_up()),
                Event::Pong(_) => {}
                event => panic!("{event:?}"),
            }
        }
    }

    /// Does what the link says until it waits.
    fn settle(&mut self) {
        for _ in 0..STEPS_MAX {
            match self.link.step(self.now, self.node.store()) {
                Step::Dial => {
                    self.link.connected(self.now, scene::NONCE, self.node.store());
                    self.is_true = true;
                }
                Step::Write { until } => {
                    let out = self.link.output().to_vec();
                    assert!(until > self.now && !out.is_empty() && self.link.news().len() <= out.len());
                    assert!(out.len() <= WRITE_BYTES_MAX, "{} bytes", out.len());
                    if self.link.is_up() {
                        self.carry(&out);
                    } else {
                        assert!(Hello::parse(out.trim_ascii_end()).is_ok());
                    }
                    self.link.wrote(out.len());
                }
                Step::Look => {}
                step @ (Step::Listen { until } | Step::Rest { until } | Step::Pause { until }) => {
                    assert!(self.link.output().is_empty() && until > self.now, "{step:?} at {:?}", self.now);
                    return;
                }
                Step::HangUp => {
                    self.link.hung_up(self.now, 1 << 63);
                    self.answers.clear();
                    assert!(!self.link.is_up() && !self.link.is_grown() && self.link.space().is_empty());
                }
                Step::End => panic!("it was not told to stop"),
            }
            while let Some(event) = self.link.event() {
                if let Event::Lost { why, .. } = event {
                    // It is for an event of one line.
                    let _ = why.to_string();
                }
            }
        }
        panic!("the link does not come to rest");
    }

    /// Has the neighbour take what was written.
    fn carry(&mut self, out: &[u8]) {
        let mut batch = Batch::default();
        for line in out.strip_suffix(b"\n").expect("whole lines").split(|&byte| byte == b'\n') {
            assert!(PeerLine::parse(line).is_some(), "{}", line.escape_ascii());
            let prepared = self.neighbour.prepare(Line::Whole(line, Ending::Lf), Origin::Peer(0));
            let said = self.neighbour.execute(&prepared, self.wall(), &mut batch);
            assert_eq!(said, Said::Nothing, "{}", line.escape_ascii());
            if !batch.replies.is_empty() {
                self.answers.push_back(batch.replies.trim_ascii_end().to_vec());
                batch.replies.clear();
            }
        }
        self.neighbour.flood(&mut batch, Origin::Peer(0), |_| {});
        // Made-up answers are not taken from these, so the count means something only without them.
        assert!(!self.is_true || self.answers.len() <= OWED_MAX, "{} questions", self.answers.len());
    }

    fn check_in_step(&self) {
        let (ours, theirs) = (self.node.store(), self.neighbour.store());
        for shard in 0..ours.shape().shards() {
            for leaf in 0..ours.shape().leaves() {
                ours.locations(shard, leaf, KeyHash::of_bits(0), |entry, location| {
                    let is_there =
                        theirs.get(entry.key, location.client, |held| held.cmp_age(location).is_ge());
                    assert_eq!(is_there, Some(true), "{location:?}");
                    true
                });
            }
        }
    }
}

/// Gives a link a line, in as many reads as it takes. One that has no connection hears nothing.
fn give(link: &mut Link, line: &[u8], now: Tick, store: &Store) {
    let line = [line, b"\n"].concat();
    let mut rest = &line[..];
    while !rest.is_empty() && !link.space().is_empty() {
        let count = rest.len().min(link.space().len());
        link.space()[..count].copy_from_slice(&rest[..count]);
        link.received(count, now, 1 << 62, store);
        rest = &rest[count..];
    }
}

/// Gives a node the clients of these numbers.
fn fill(node: &Node, clients: std::ops::Range<usize>) {
    let mut batch = Batch::default();
    for client in clients {
        let line = format!("AT Bolden +0.000000001 c{client} +1+1 1 Bolden");
        let prepared = node.prepare(Line::Whole(line.as_bytes(), Ending::Lf), Origin::Peer(0));
        node.execute(&prepared, scene::now(), &mut batch);
    }
}
