//! A neighbour's session as src/server/session/mod.rs runs it, cut at each place where its thread would wait, and also
//! between storing and flooding, where other threads may run. With it the connection it serves.

use std::{sync::Arc, time::Duration};

use proxyherd::core::{
    access::Refusal,
    node::{Batch, Challenge, Greeting, Origin, Said, Welcome},
    wire::{Line, LineBuffer, Nonce, PEER_LINE_BYTES_MAX, is_hello, write_refusal},
};

use super::{
    herd::{Event, Simulation},
    plan::Plan,
    watch::Kind,
    wire::Pipe,
};

/// The pipe from the node that dialled.
pub(super) const QUESTIONS: usize = 0;

/// The pipe back.
pub(super) const ANSWERS: usize = 1;

/// What may be answered and not yet read. Any socket's buffers hold it.
const OUTSTANDING_MAX: usize = 16 * 1024;

/// One connection, and the session at its end.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) pipes: [Pipe; 2],
    /// The node that dialled, and which of its links it is.
    pub(super) dialler: (usize, usize),
    /// The node that was dialled.
    pub(super) server: usize,
    /// Whether each end is still held by its node: the dialler's, the session's.
    pub(super) is_open: [bool; 2],
    origin: Origin,
    buffer: LineBuffer,
    batch: Batch,
    stage: Stage,
    /// Ends once its replies are written.
    is_refused: bool,
    doing: Doing,
    heard: Duration,
    wake: u64,
    is_waked: bool,
}

/// What the next line is.
#[derive(Clone, Copy, Debug)]
enum Stage {
    First,
    Proof(Challenge),
    Lines,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Doing {
    Reading,
    /// Its lines are executed, and not yet flooded.
    Thinking,
    /// Waits for room until then.
    Replying {
        until: Duration,
    },
}

/// The connection ends.
struct Ended;

impl Connection {
    pub(super) fn new(dialler: (usize, usize), server: usize, plan: &Plan, now: Duration) -> Self {
        Self {
            pipes: [Pipe::new(plan.room), Pipe::new(OUTSTANDING_MAX + 1024)],
            dialler,
            server,
            is_open: [true; 2],
            origin: Origin::Client,
            buffer: LineBuffer::new(plan.nodes[server].line_bytes),
            batch: Batch::default(),
            stage: Stage::First,
            is_refused: false,
            doing: Doing::Reading,
            heard: now,
            wake: 0,
            is_waked: false,
        }
    }

    /// Who sends into that pipe, and who reads from it.
    pub(super) fn ways(&self, pipe: usize) -> (usize, usize) {
        if pipe == QUESTIONS { (self.dialler.0, self.server) } else { (self.server, self.dialler.0) }
    }
}

impl Simulation {
    pub(super) fn session_sleeps(&mut self, at: usize, until: Duration) {
        if let Some(connection) = &mut self.connections[at] {
            connection.wake += 1;
            let wake = connection.wake;
            self.push(until, Event::Session { connection: at, wake });
        }
    }

    pub(super) fn wake_session(&mut self, at: usize) {
        let late = self.now + self.lateness();
        if self.connections[at].as_ref().is_some_and(|connection| !connection.is_waked) {
            self.session_sleeps(at, late);
            if let Some(connection) = &mut self.connections[at] {
                connection.is_waked = true;
            }
        }
    }

    /// Bytes arrive, or the end does: whoever waits for them wakes.
    pub(super) fn arrive(&mut self, at: usize, pipe: usize) {
        let Some(connection) = &self.connections[at] else { return };
        let (from, to) = connection.ways(pipe);
        if self.is_cut(from, to) {
            return;
        }
        let Some(connection) = &mut self.connections[at] else { return };
        let next = connection.pipes[pipe].arrive(self.now);
        let (is_open, (node, link)) = (connection.is_open[1 - pipe], connection.dialler);
        let (is_end, is_reading) = (connection.pipes[pipe].is_ended(), connection.doing != Doing::Thinking);
        if let Some(next) = next {
            self.push(next, Event::Arrive { connection: at, pipe });
        }
        if pipe == QUESTIONS {
            if is_open && is_reading {
                self.wake_session(at);
            }
        } else if self.servers[node].flooders[link].connection == Some(at) {
            let flooder = &self.servers[node].flooders[link];
            if flooder.is_listening() || is_end && flooder.is_writing() {
                self.wake_flooder(node, link);
            }
        }
    }

    /// Something has been sent into the pipe.
    pub(super) fn expect_arrival(&mut self, at: usize, pipe: usize, of: &Pipe) {
        if let Some(next) = of.next_arrival() {
            self.push(next, Event::Arrive { connection: at, pipe });
        }
    }

    /// Answers have been read. Nobody may have waited to write more of them.
    pub(super) fn answers_read(&mut self, connection: &Connection) {
        if connection.is_open[1] && matches!(connection.doing, Doing::Replying { .. }) {
            self.fail(Kind::Unbounded, "a session waited to answer".into());
        }
    }

    pub(super) fn run_session(&mut self, at: usize, wake: u64) {
        let is_current = |connection: &Connection| connection.wake == wake && connection.is_open[1];
        if !self.connections[at].as_deref().is_some_and(is_current) {
            return;
        }
        let Some(mut connection) = self.connections[at].take() else { return };
        connection.is_waked = false;
        let served = self.serve(at, &mut connection);
        self.connections[at] = Some(connection);
        match served {
            Ok(Some(until)) => self.session_sleeps(at, until),
            Ok(None) => {}
            Err(Ended) => self.end_session(at),
        }
    }

    /// Runs until it has to wait, and gives until when.
    fn serve(&mut self, at: usize, connection: &mut Connection) -> Result<Option<Duration>, Ended> {
        loop {
            match connection.doing {
                Doing::Reading => {
                    if !self.read(connection) {
                        let silent = connection.heard + self.plan.nodes[connection.server].liveness;
                        let is_over = connection.pipes[QUESTIONS].is_at_end() || self.now >= silent;
                        return if is_over { Err(Ended) } else { Ok(Some(silent)) };
                    }
                    self.execute(at, connection);
                    connection.doing = Doing::Thinking;
                    if self.random.one_in(8) {
                        return Ok(Some(self.now + self.lateness()));
                    }
                }
                Doing::Thinking => {
                    self.flood(connection.server, &mut connection.batch, connection.origin);
                    let until = self.now + self.plan.nodes[connection.server].liveness;
                    connection.doing = Doing::Replying { until };
                }
                Doing::Replying { until } => {
                    self.reply(at, connection);
                    if !connection.batch.replies.is_empty() {
                        return if self.now >= until { Err(Ended) } else { Ok(Some(until)) };
                    }
                    if connection.is_refused {
                        return Err(Ended);
                    }
                    connection.doing = Doing::Reading;
                }
            }
        }
    }

    /// Whether something has come.
    fn read(&mut self, connection: &mut Connection) -> bool {
        let count = connection.pipes[QUESTIONS].read(connection.buffer.space(), &mut self.random);
        if count == 0 {
            return false;
        }
        connection.buffer.filled(count);
        connection.heard = self.now;
        let (node, link) = connection.dialler;
        // The dialler may wait for room; a message that it has some comes sooner or later.
        if self.servers[node].is_alive && self.servers[node].flooders[link].is_writing() {
            self.wake_flooder(node, link);
        }
        true
    }

    fn execute(&mut self, at: usize, connection: &mut Connection) {
        let Connection { server, origin, batch, stage, is_refused, buffer, .. } = connection;
        let server = *server;
        let now = self.clocks(server);
        if let Origin::Peer(link) = *origin {
            self.servers[server].peers.heard(link, at as u64, now.tick);
        }
        let node = Arc::clone(&self.servers[server].node);
        let mut lines = buffer.take_lines();
        while !matches!(stage, Stage::Lines)
            && !*is_refused
            && let Some(line) = lines.next()
        {
            match self.shake_hands(at, server, *stage, line, batch) {
                Some((next, link)) => (*stage, *origin) = (next, link.map_or(*origin, Origin::Peer)),
                None => *is_refused = true,
            }
        }
        if *is_refused {
            return;
        }
        for line in lines {
            let said = node.execute(&node.prepare(line, *origin), now, batch);
            if let Said::Invalid(why) = said {
                self.fail(Kind::Confused, format!("a neighbour said what is invalid: {why}, {line:?}"));
            }
            if let Line::Whole(text, _) = line {
                self.executed(server, text, *origin);
            }
        }
        if let Origin::Peer(_) = *origin {
            buffer.set_limit(PEER_LINE_BYTES_MAX);
        }
    }

    /// What comes next, and which link it is once that is known; `None` for a refusal.
    fn shake_hands(
        &mut self,
        at: usize,
        server: usize,
        stage: Stage,
        line: Line<'_>,
        batch: &mut Batch,
    ) -> Option<(Stage, Option<usize>)> {
        let (tick, nonce) = (self.tick(server), self.nonce());
        let node = Arc::clone(&self.servers[server].node);
        let peers = &mut self.servers[server].peers;
        let admit = |link, incarnation| peers.admit(link, incarnation, at as u64, tick);
        let Line::Whole(text, _) = line else {
            self.fail(Kind::Confused, "a handshake is too long".into());
            return None;
        };
        let judged = match stage {
            Stage::Proof(challenge) => {
                node.check_proof(&challenge, text, admit, &mut batch.replies).map(Greeting::Welcome)
            }
            _ if is_hello(text) => node.greet(text, nonce, admit, &mut batch.replies),
            _ => {
                self.fail(Kind::Confused, "a neighbour did not begin with its handshake".into());
                return None;
            }
        };
        let Welcome { link, replaces } = match judged {
            Ok(Greeting::Welcome(welcome)) => welcome,
            Ok(Greeting::Challenge(challenge)) => return Some((Stage::Proof(challenge), None)),
            Err(why) => {
                self.tally.refusals += 1;
                if !matches!(why, Refusal::NameInUse { .. }) {
                    self.fail(Kind::Confused, format!("a neighbour was refused: {why}"));
                }
                write_refusal(&why, &mut batch.replies);
                return None;
            }
        };
        if let Some(earlier) = replaces {
            self.end_session(earlier as usize);
        }
        let _ = node.neighbours()[link].called.try_send(());
        if self.servers[server].flooders[link].is_down() {
            self.wake_flooder(server, link);
        }
        Some((Stage::Lines, Some(link)))
    }

    /// For a handshake; drawn where the herd has a secret only, so that the other stories stay as they are.
    pub(super) fn nonce(&mut self) -> Nonce {
        let mut half = || if self.plan.secret.is_some() { self.random.bits() } else { 0 };
        let bits = u128::from(half()) << 64 | u128::from(half());
        Nonce::of_bytes(bits.to_be_bytes())
    }

    fn reply(&mut self, at: usize, connection: &mut Connection) {
        let replies = &mut connection.batch.replies;
        let outstanding = connection.pipes[ANSWERS].outstanding() + replies.len();
        if outstanding > OUTSTANDING_MAX {
            self.watch.fail(Kind::Unbounded, format!("{outstanding} bytes of answers are outstanding"));
        }
        let arrives = self.arrival();
        let sent = connection.pipes[ANSWERS].send(replies, arrives);
        if let Some(meter) = &mut self.meter {
            meter.answered(&replies[..sent]);
        }
        replies.drain(..sent);
        self.expect_arrival(at, ANSWERS, &connection.pipes[ANSWERS]);
    }

    /// The session closes its end.
    pub(super) fn end_session(&mut self, at: usize) {
        let Some(mut connection) = self.connections[at].take() else { return };
        if connection.is_open[1] {
            let (server, origin) = (connection.server, connection.origin);
            // Its thread finishes the batch it has in hand, whoever has closed its socket.
            self.flood(server, &mut connection.batch, origin);
            if let Origin::Peer(link) = origin {
                self.servers[server].peers.left(link, at as u64);
            }
        }
        self.connections[at] = Some(connection);
        self.close(at, 1);
    }

    /// The flooder closes its end.
    pub(super) fn hang_up(&mut self, at: usize) {
        self.close(at, 0);
    }

    fn close(&mut self, at: usize, end: usize) {
        let arrives = self.arrival();
        let Some(connection) = &mut self.connections[at] else { return };
        connection.is_open[end] = false;
        connection.pipes[end].end(arrives);
        if connection.is_open == [false; 2] {
            self.connections[at] = None;
        } else {
            self.push(arrives, Event::Arrive { connection: at, pipe: end });
        }
    }
}
