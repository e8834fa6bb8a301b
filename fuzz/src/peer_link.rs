//! This node's own flooder, and whatever answers it. Two bytes say how many clients each side knows at first; the rest is
//! a line a step. `@` and a number lets so many milliseconds pass, `^` is the neighbour's good handshake, `*` its next
//! true answer, `!` loses the connection, `~` marks the link, `+` and more is a client's line here; all else is an answer
//! made up. The link is then carried out until it wants to wait, and what it writes is carried to a real
//! neighbour, and a link that has a secret hears the same and stays down. What it writes is sound and bounded; and where a round ends with none but true answers, nothing is missing.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use proxyherd::core::{
    dialogue::{Party, Reply},
    links::{Dialled, Ends, Event, Link, LinkTimes, NEWS_BYTES_MAX, Step, outbox},
    model::{Now, Tick},
    node::Node,
    repair::PUSH_BYTES_MAX,
    store::{KeyHash, Store},
    wire::{Hello, Line, PeerLine},
};

use super::{
    scene,
    session::{Deaf, Ear, Session},
};

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
    node: Arc<Node>,
    /// Here a client speaks.
    client: Session,
    link: Link,
    /// Hears the same, and has a secret that no input knows.
    wary: Link,
    now: Tick,
    neighbour: Arc<Node>,
    /// Where the neighbour takes what is written to it.
    session: Session,
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
            forget_after: None,
            secret: None,
        };
        let times = LinkTimes::default();
        let link = Link::new(ends.clone(), times, queues.remove(0));
        let ends = Ends { secret: Some(scene::secret()), ..ends };
        let wary = Link::new(ends, times, outbox(1).1);
        let (now, answers) = (Duration::ZERO, VecDeque::new());
        let mut client = Session::new(&node, 512);
        // After it nothing is a handshake, nor another protocol.
        client.say(b"?\n", scene::now(), &mut Deaf);
        let session = Session::peer(&neighbour, "Alford");
        Self { node, client, link, wary, now, neighbour, session, answers, is_true: true }
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
                Hello::new("test", &from, &to, scene::placement().check()).write(&mut line);
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
                let now = self.wall();
                self.client.say(&[line, b"\n"].concat(), now, &mut Deaf);
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
        self.wary.connected(self.now, Dialled::plain(scene::NONCE), self.node.store());
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
                Event::Pong { .. } => {}
                event => panic!("{event:?}"),
            }
        }
    }

    /// Does what the link says until it waits.
    fn settle(&mut self) {
        for _ in 0..STEPS_MAX {
            match self.link.step(self.now, self.node.store()) {
                Step::Dial => {
                    self.link.connected(self.now, Dialled::plain(scene::NONCE), self.node.store());
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
                Step::HalfClose => panic!("its connection lasts"),
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
        for line in out.strip_suffix(b"\n").expect("whole lines").split(|&byte| byte == b'\n') {
            assert!(PeerLine::parse(line).is_some(), "{}", line.escape_ascii());
        }
        let now = self.wall();
        self.session.say(out, now, &mut Carried(&mut self.answers));
        // Made-up answers are not taken from these, so the count means something only without them.
        assert!(!self.is_true || self.answers.len() <= OWED_MAX, "{} questions", self.answers.len());
    }

    fn check_in_step(&self) {
        let (ours, theirs) = (self.node.store(), self.neighbour.store());
        for shard in 0..ours.shape().shards() {
            for leaf in 0..ours.shape().leaves() {
                ours.records(shard, leaf, KeyHash::of_bits(0), |entry, record| {
                    let is_there =
                        theirs.record(entry.key, record.client(), |held| held.cmp_age(record).is_ge());
                    assert_eq!(is_there, Some(true), "{record:?}");
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

/// What the neighbour answers: every line is good, and an answer is a line.
struct Carried<'a>(&'a mut VecDeque<Vec<u8>>);

impl Ear for Carried<'_> {
    fn said(&mut self, line: Line<'_>, _party: &Party, reply: &Reply<'_>) {
        assert_eq!(*reply, Reply::None, "{line:?}");
    }

    fn replied(&mut self, replies: &[u8]) {
        let lines = replies.strip_suffix(b"\n").expect("whole lines").split(|&byte| byte == b'\n');
        self.0.extend(lines.map(<[u8]>::to_vec));
    }
}

/// Gives a node the clients of these numbers.
fn fill(node: &Arc<Node>, clients: std::ops::Range<usize>) {
    let neighbour = node.neighbours()[0].id.clone();
    let mut session = Session::peer(node, neighbour.as_str());
    for client in clients {
        let line = format!("AT Bolden +0.000000001 c{client} +1+1 1 Bolden\n");
        session.say(line.as_bytes(), scene::now(), &mut Deaf);
    }
}
