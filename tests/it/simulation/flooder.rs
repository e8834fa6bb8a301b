//! A flooder as src/server/flooder.rs runs it, cut at each place where its thread would wait: for its time to dial, for the
//! connection, for room to write, for an answer, for news.

use std::time::Duration;

use crossbeam_channel::Receiver;
use proxyherd::core::{
    links::{Broken, Heard, Link, Next},
    wire::{ANSWER_BYTES_MAX, Line, LineBuffer, PEER_LINE_BYTES_MAX, READ_BYTES_MAX},
};

use super::{
    herd::{Event, Simulation},
    session::{ANSWERS, Connection, QUESTIONS},
    watch::Kind,
};

/// How long one read blocks at most, as the real one's.
const LISTEN_SLICE: Duration = Duration::from_millis(100);

/// A link, and where its thread is.
pub(super) struct Flooder {
    pub(super) link: Link,
    /// The neighbour.
    pub(super) peer: usize,
    calls: Receiver<()>,
    pub(super) connection: Option<usize>,
    answers: LineBuffer,
    out: Vec<u8>,
    written: usize,
    doing: Doing,
    /// Only the latest wake counts.
    pub(super) wake: u64,
    is_waked: bool,
    /// Rounds that have ended, to be counted from some moment on.
    pub(super) rounds: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Doing {
    /// Waits for its time to dial, or for the neighbour's call.
    Down,
    Dialling,
    /// Waits for room until then.
    Writing {
        until: Duration,
    },
    Listening,
    Resting,
}

/// Why a connection is of no use any more.
struct Lost(String);

impl Lost {
    fn because(why: &str) -> Self {
        Self(why.to_owned())
    }

    fn broken(why: &Broken) -> Self {
        Self(why.to_string())
    }
}

impl Flooder {
    pub(super) fn new(peer: usize, calls: Receiver<()>, link: Link) -> Self {
        Self {
            link,
            peer,
            calls,
            connection: None,
            answers: LineBuffer::new(ANSWER_BYTES_MAX),
            out: Vec::new(),
            written: 0,
            doing: Doing::Down,
            wake: 0,
            is_waked: false,
            rounds: 0,
        }
    }

    pub(super) fn is_resting_on_news(&self) -> bool {
        self.doing == Doing::Resting && !self.link.queue().receiver().is_empty()
    }

    pub(super) fn is_down(&self) -> bool {
        self.doing == Doing::Down
    }

    pub(super) fn is_listening(&self) -> bool {
        self.doing == Doing::Listening
    }

    pub(super) fn is_writing(&self) -> bool {
        matches!(self.doing, Doing::Writing { .. })
    }
}

impl Simulation {
    /// The flooder runs soon, whatever it waits for.
    pub(super) fn wake_flooder(&mut self, node: usize, link: usize) {
        let at = self.now + self.lateness();
        if !self.servers[node].flooders[link].is_waked {
            self.flooder_sleeps(node, link, at);
            self.servers[node].flooders[link].is_waked = true;
        }
    }

    fn flooder_sleeps(&mut self, node: usize, link: usize, until: Duration) {
        let life = self.servers[node].life;
        let flooder = &mut self.servers[node].flooders[link];
        flooder.wake += 1;
        let wake = flooder.wake;
        self.push(until, Event::Flooder { node, life, link, wake });
    }

    pub(super) fn run_flooder(&mut self, node: usize, link: usize) {
        self.servers[node].flooders[link].is_waked = false;
        match self.servers[node].flooders[link].doing {
            Doing::Down => return self.wait_to_dial(node, link),
            Doing::Dialling => return,
            _ => {}
        }
        let Some(at) = self.servers[node].flooders[link].connection else { return };
        let Some(mut connection) = self.connections[at].take() else { return };
        let kept = self.keep(node, link, at, &mut connection);
        self.connections[at] = Some(connection);
        if let Err(Lost(why)) = kept {
            self.hang_up(at);
            self.lost(node, link, &why);
        }
    }

    fn wait_to_dial(&mut self, node: usize, link: usize) {
        let (tick, server) = (self.tick(node), &mut self.servers[node]);
        let flooder = &mut server.flooders[link];
        if flooder.calls.try_recv().is_ok() {
            flooder.link.neighbour_called(tick);
        }
        match flooder.link.next(tick, server.node.store(), &mut Vec::new()) {
            Ok(Next::Rest(until)) => {
                let until = self.when(node, until);
                self.flooder_sleeps(node, link, until);
            }
            Ok(Next::Dial) => self.dial(node, link),
            other => self.fail(Kind::Confused, format!("a link that is down says {other:?}")),
        }
    }

    fn dial(&mut self, node: usize, link: usize) {
        let flooder = &mut self.servers[node].flooders[link];
        flooder.doing = Doing::Dialling;
        let (peer, life) = (flooder.peer, self.servers[node].life);
        let is_cut = self.is_cut(node, peer) || self.is_cut(peer, node);
        let wait = if is_cut { self.plan.connect } else { self.arrival() - self.now + self.plan.delay };
        self.push(self.now + wait, Event::Dialled { node, life, link, is_open: !is_cut });
    }

    pub(super) fn dialled(&mut self, node: usize, link: usize, is_open: bool) {
        let peer = self.servers[node].flooders[link].peer;
        if !is_open || !self.servers[peer].is_alive {
            return self.lost(node, link, "nobody answers");
        }
        let at = self.connections.len();
        let connection = Connection::new((node, link), peer, &self.plan, self.now);
        self.connections.push(Some(Box::new(connection)));
        self.session_sleeps(at, self.now + self.plan.nodes[peer].liveness);
        let (tick, nonce) = (self.tick(node), self.nonce());
        let server = &mut self.servers[node];
        let flooder = &mut server.flooders[link];
        flooder.connection = Some(at);
        flooder.answers = LineBuffer::new(ANSWER_BYTES_MAX);
        flooder.out.clear();
        flooder.link.connected(tick, nonce, server.node.store(), &mut flooder.out);
        self.begin_write(node, link);
        self.run_flooder(node, link);
    }

    fn begin_write(&mut self, node: usize, link: usize) {
        let until = self.now + self.plan.nodes[node].liveness;
        let flooder = &mut self.servers[node].flooders[link];
        flooder.written = 0;
        flooder.doing = Doing::Writing { until };
        if let Some(meter) = &mut self.meter {
            meter.said(node, &flooder.out);
        }
    }

    /// The connection is gone, or has not come about.
    fn lost(&mut self, node: usize, link: usize, why: &str) {
        let (tick, random) = (self.tick(node), self.random.bits());
        let flooder = &mut self.servers[node].flooders[link];
        if flooder.link.is_up() {
            self.watch.link_lost(node, link, why);
        }
        flooder.link.lost(tick, random);
        flooder.connection = None;
        flooder.doing = Doing::Down;
        self.flooder_sleeps(node, link, self.now);
    }

    /// Does what the link says until it has to wait.
    fn keep(&mut self, node: usize, link: usize, at: usize, connection: &mut Connection) -> Result<(), Lost> {
        loop {
            if let Doing::Writing { until } = self.servers[node].flooders[link].doing
                && !self.write(node, link, at, connection)?
            {
                self.tally.blocked += 1;
                if self.now >= until {
                    return Err(Lost::because("it takes nothing"));
                }
                self.flooder_sleeps(node, link, until);
                return Ok(());
            }
            self.listen(node, link, connection)?;
            let tick = self.tick(node);
            let server = &mut self.servers[node];
            let flooder = &mut server.flooders[link];
            flooder.out.clear();
            let next = flooder
                .link
                .next(tick, server.node.store(), &mut flooder.out)
                .map_err(|broken| Lost::broken(&broken))?;
            match next {
                Next::Write { news } => {
                    self.watch_written(node, link, news);
                    self.begin_write(node, link);
                }
                Next::Listen(until) => {
                    flooder.doing = Doing::Listening;
                    if !connection.pipes[ANSWERS].has_something() {
                        let until = self.when(node, until).min(self.now + LISTEN_SLICE);
                        self.flooder_sleeps(node, link, until);
                        return Ok(());
                    }
                }
                Next::Rest(until) => {
                    flooder.doing = Doing::Resting;
                    if flooder.link.queue().receiver().is_empty() {
                        let until = self.when(node, until);
                        self.flooder_sleeps(node, link, until);
                        return Ok(());
                    }
                }
                Next::Flushed | Next::Dial => {
                    self.fail(Kind::Confused, format!("a link that is up says {next:?}"));
                    return Err(Lost::because("confused"));
                }
            }
        }
    }

    /// Whether all is written.
    fn write(
        &mut self,
        node: usize,
        link: usize,
        at: usize,
        connection: &mut Connection,
    ) -> Result<bool, Lost> {
        if connection.pipes[ANSWERS].is_ended() {
            return Err(Lost::because("it has closed the connection"));
        }
        let arrives = self.arrival();
        let flooder = &mut self.servers[node].flooders[link];
        let sent = connection.pipes[QUESTIONS].send(&flooder.out[flooder.written..], arrives);
        flooder.written += sent;
        let is_done = flooder.written == flooder.out.len();
        self.expect_arrival(at, QUESTIONS, &connection.pipes[QUESTIONS]);
        Ok(is_done)
    }

    /// Hands over what has arrived.
    fn listen(&mut self, node: usize, link: usize, connection: &mut Connection) -> Result<(), Lost> {
        let tick = self.tick(node);
        let server = &mut self.servers[node];
        let flooder = &mut server.flooders[link];
        let pipe = &mut connection.pipes[ANSWERS];
        let count = pipe.read(flooder.answers.space(), &mut self.random);
        if count == 0 {
            return if pipe.is_at_end() { Err(Lost::because("it closed the connection")) } else { Ok(()) };
        }
        flooder.answers.filled(count);
        for line in flooder.answers.take_lines() {
            let Line::Whole(line, _) = line else {
                self.watch.fail(Kind::Unbounded, "an answer is too long".into());
                return Err(Lost::because("confused"));
            };
            match flooder.link.hear(line, tick, || self.random.bits(), server.node.store()) {
                Ok(Heard::Round(over)) => {
                    flooder.rounds += 1;
                    self.tally.rounds += 1;
                    self.tally.pushed += over.pushed;
                }
                Ok(_) => {}
                Err(Broken::Refused(why)) => return Err(Lost(why)),
                Err(broken) => {
                    let text = format!("{broken}: {}", String::from_utf8_lossy(line));
                    self.watch.fail(Kind::Confused, text);
                    return Err(Lost::broken(&broken));
                }
            }
        }
        self.answers_read(connection);
        Ok(())
    }

    /// Looks at what a link is about to write.
    fn watch_written(&mut self, node: usize, link: usize, news: usize) {
        let flooder = &self.servers[node].flooders[link];
        let bounds = (self.plan.nodes[node].outbox_bytes, READ_BYTES_MAX + PEER_LINE_BYTES_MAX + 64);
        self.watch.written((node, link), &self.plan.graph.ids[node], &flooder.out, news, bounds);
    }
}
