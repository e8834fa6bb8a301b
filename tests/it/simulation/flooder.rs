//! A flooder's thread, and the network under it: what src/server/flooder.rs does with sockets, cut at each place where it
//! would wait: for its time to dial, for the connection, for room to write, for an answer, for news. What is done is for
//! the node's own `Link`.

use std::time::Duration;

use crossbeam_channel::Receiver;
use proxyherd::core::{
    links::{Broken, Dialled, Event as Told, Link, Lost, Step},
    model::Tick,
    repair::PUSH_BYTES_MAX,
    wire::PEER_LINE_BYTES_MAX,
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
    /// Which start of it this one is connected to, or was last.
    pub(super) peer_life: u32,
    calls: Receiver<()>,
    pub(super) connection: Option<usize>,
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
    Pausing,
    Dialling,
    Running,
    /// Waits for room.
    Writing,
    Listening,
    Resting,
    Ended,
}

impl Flooder {
    pub(super) fn new(peer: usize, calls: Receiver<()>, link: Link) -> Self {
        let (connection, doing) = (None, Doing::Pausing);
        Self { link, peer, peer_life: 0, calls, connection, doing, wake: 0, is_waked: false, rounds: 0 }
    }

    /// Its node stops, and the link has ended. Gives the connection that is to be closed.
    pub(super) fn end(&mut self) -> Option<usize> {
        self.doing = Doing::Ended;
        self.connection.take()
    }

    pub(super) fn is_resting_on_news(&self) -> bool {
        self.doing == Doing::Resting && self.link.has_news()
    }

    pub(super) fn is_down(&self) -> bool {
        self.doing == Doing::Pausing
    }

    pub(super) fn is_listening(&self) -> bool {
        self.doing == Doing::Listening
    }

    pub(super) fn is_writing(&self) -> bool {
        self.doing == Doing::Writing
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

    /// Does what the link says until it has to wait.
    pub(super) fn run_flooder(&mut self, node: usize, link: usize) {
        self.servers[node].flooders[link].is_waked = false;
        loop {
            if matches!(self.servers[node].flooders[link].doing, Doing::Dialling | Doing::Ended) {
                return;
            }
            let (tick, server) = (self.tick(node), &mut self.servers[node]);
            let wait = match server.flooders[link].link.step(tick, server.node.store()) {
                Step::Dial => self.link_dials(node, link),
                Step::Pause { until } => self.link_pauses(node, link, until),
                Step::Write { until } => self.link_writes(node, link, until),
                Step::Look => self.read_answers(node, link),
                Step::HalfClose => unreachable!("links between peers last"),
                Step::Listen { until } => self.link_listens(node, link, until),
                Step::Rest { until } => self.link_rests(node, link, until),
                Step::HangUp => self.link_hangs_up(node, link),
                Step::End => return self.link_ends(node, link),
            };
            self.link_tells(node, link);
            if let Some(until) = wait {
                return self.flooder_sleeps(node, link, until);
            }
        }
    }

    fn link_pauses(&mut self, node: usize, link: usize, until: Tick) -> Option<Duration> {
        let tick = self.tick(node);
        self.watch_memory(node, link);
        let flooder = &mut self.servers[node].flooders[link];
        flooder.doing = Doing::Pausing;
        if flooder.calls.try_recv().is_ok() {
            flooder.link.called(tick);
            return None;
        }
        Some(self.when(node, until))
    }

    fn link_dials(&mut self, node: usize, link: usize) -> Option<Duration> {
        let flooder = &mut self.servers[node].flooders[link];
        flooder.doing = Doing::Dialling;
        let (peer, life) = (flooder.peer, self.servers[node].life);
        let is_cut = self.is_cut(node, peer) || self.is_cut(peer, node);
        let wait = if is_cut { self.plan.connect } else { self.arrival() - self.now + self.plan.delay };
        self.push(self.now + wait, Event::Dialled { node, life, link, is_open: !is_cut });
        None
    }

    pub(super) fn dialled(&mut self, node: usize, link: usize, is_open: bool) {
        let flooder = &mut self.servers[node].flooders[link];
        flooder.doing = Doing::Running;
        let peer = flooder.peer;
        if is_open && self.takes_in(peer) {
            let at = self.connections.len();
            let served = (&self.servers[peer].node, self.tick(peer));
            let connection = Connection::new(at, (node, link), peer, served, &self.plan);
            self.connections.push(Some(Box::new(connection)));
            self.session_sleeps(at, self.now + self.plan.nodes[peer].liveness);
            let (tick, nonce, peer_life) = (self.tick(node), self.nonce(), self.servers[peer].life);
            let server = &mut self.servers[node];
            let flooder = &mut server.flooders[link];
            (flooder.connection, flooder.peer_life) = (Some(at), peer_life);
            flooder.link.connected(tick, Dialled::plain(nonce), server.node.store());
        } else {
            self.servers[node].flooders[link].link.failed("nobody answers".into());
        }
        self.run_flooder(node, link);
    }

    fn link_writes(&mut self, node: usize, link: usize, until: Tick) -> Option<Duration> {
        if self.servers[node].flooders[link].doing != Doing::Writing {
            self.watch_written(node, link);
        }
        let arrives = self.arrival();
        let (at, mut connection) = self.take_connection(node, link)?;
        let flooder = &mut self.servers[node].flooders[link];
        if connection.pipes[ANSWERS].is_ended() {
            flooder.link.failed("it has closed the connection".into());
            self.connections[at] = Some(connection);
            return None;
        }
        flooder.link.wrote(connection.pipes[QUESTIONS].send(flooder.link.output(), arrives));
        let is_whole = flooder.link.output().is_empty();
        flooder.doing = if is_whole { Doing::Running } else { Doing::Writing };
        self.expect_arrival(at, QUESTIONS, &connection.pipes[QUESTIONS]);
        self.connections[at] = Some(connection);
        self.tally.blocked += usize::from(!is_whole);
        (!is_whole).then(|| self.when(node, until))
    }

    fn link_listens(&mut self, node: usize, link: usize, until: Tick) -> Option<Duration> {
        let (at, connection) = self.take_connection(node, link)?;
        let has_something = connection.pipes[ANSWERS].has_something();
        self.connections[at] = Some(connection);
        self.servers[node].flooders[link].doing = Doing::Listening;
        if has_something {
            return self.read_answers(node, link);
        }
        Some(self.when(node, until).min(self.now + LISTEN_SLICE))
    }

    /// Hands over what has arrived.
    fn read_answers(&mut self, node: usize, link: usize) -> Option<Duration> {
        let tick = self.tick(node);
        let (at, mut connection) = self.take_connection(node, link)?;
        let server = &mut self.servers[node];
        let flooder = &mut server.flooders[link];
        let pipe = &mut connection.pipes[ANSWERS];
        let count = pipe.read(flooder.link.space(), &mut self.random);
        if count > 0 || pipe.is_at_end() {
            flooder.link.received(count, tick, self.random.bits(), server.node.store());
            self.answers_read(&connection);
        }
        self.connections[at] = Some(connection);
        None
    }

    fn link_rests(&mut self, node: usize, link: usize, until: Tick) -> Option<Duration> {
        self.watch_memory(node, link);
        let flooder = &mut self.servers[node].flooders[link];
        flooder.doing = Doing::Resting;
        if flooder.link.has_news() { None } else { Some(self.when(node, until)) }
    }

    fn link_hangs_up(&mut self, node: usize, link: usize) -> Option<Duration> {
        if let Some(at) = self.servers[node].flooders[link].connection.take() {
            self.hang_up(at);
        }
        let (tick, random) = (self.tick(node), self.random.bits());
        let flooder = &mut self.servers[node].flooders[link];
        flooder.doing = Doing::Running;
        flooder.link.hung_up(tick, random);
        None
    }

    /// To be put back.
    fn take_connection(&mut self, node: usize, link: usize) -> Option<(usize, Box<Connection>)> {
        let flooder = &mut self.servers[node].flooders[link];
        let taken = flooder.connection.and_then(|at| Some((at, self.connections[at].take()?)));
        if taken.is_none() {
            flooder.link.failed("there is no connection".into());
            self.fail(Kind::Confused, "a link has no connection".into());
        }
        taken
    }

    fn link_tells(&mut self, node: usize, link: usize) {
        while let Some(event) = self.servers[node].flooders[link].link.event() {
            match event {
                Told::Round(over) => {
                    self.servers[node].flooders[link].rounds += 1;
                    self.tally.rounds += 1;
                    self.tally.pushed += over.pushed;
                }
                Told::Lost { why, was_up } => {
                    if let Lost::Broken(Broken::Nonsense | Broken::OutOfOrder | Broken::Stranger(_)) = why {
                        self.fail(Kind::Confused, why.to_string());
                    }
                    if was_up {
                        self.watch.link_lost(node, link, &why.to_string());
                    }
                }
                _ => {}
            }
        }
    }

    /// Looks at what a link is about to write.
    fn watch_written(&mut self, node: usize, link: usize) {
        let written = &self.servers[node].flooders[link].link;
        let bounds = (self.plan.nodes[node].outbox_bytes, PUSH_BYTES_MAX + PEER_LINE_BYTES_MAX + 64);
        let (id, news) = (&self.plan.graph.ids[node], written.news().len());
        self.watch.written((node, link), id, written.output(), news, bounds);
        if let Some(meter) = &mut self.meter {
            meter.said(node, written.output());
        }
    }

    /// A link that rests, or is down, has given back what it needed before.
    fn watch_memory(&mut self, node: usize, link: usize) {
        if self.servers[node].flooders[link].link.is_grown() {
            self.fail(Kind::Unbounded, format!("link {link} of node {node} rests and keeps its memory"));
        }
    }

    /// Looks at what waits for a node's neighbours.
    pub(super) fn watch_outboxes(&mut self, node: usize) {
        let bound = self.plan.nodes[node].outbox_bytes;
        let outboxes = self.servers[node].node.neighbours().iter().map(|neighbour| neighbour.outbox.bytes());
        if let Some(bytes) = outboxes.max().filter(|&bytes| bytes > bound) {
            self.fail(Kind::Unbounded, format!("{bytes} bytes wait for a neighbour of node {node}"));
        }
    }
}
