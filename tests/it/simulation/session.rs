//! A session as its thread runs it: it does what the connection's own `Dialogue` says, cut at each place where the thread
//! would wait, and also between storing and offering, where other threads may run. With it the connection it serves.

use std::{sync::Arc, time::Duration};

use proxyherd::core::{
    access::Refusal,
    dialogue::{Closing, Dialogue, Host, Looked, Next, Opening, Party, Reply, Times},
    model::{Now, Timestamp},
    node::Node,
    wire::{Line, Nonce},
};

use super::{
    herd::{Event, Simulation},
    meter::Meter,
    plan::Plan,
    watch::{Kind, Owed, Watch},
    wire::Pipe,
};

/// The pipe from the node that dialled.
pub(super) const QUESTIONS: usize = 0;

/// The pipe back.
pub(super) const ANSWERS: usize = 1;

/// What may be answered and not yet read. Any socket's buffers hold it.
const OUTSTANDING_MAX: usize = 16 * 1024;

/// Of no use: nobody shakes hands any more.
pub(super) const NO_NONCE: Nonce = Nonce::of_bytes([0; Nonce::BYTES]);

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
    dialogue: Dialogue<Arc<Node>>,
    /// Whether its lines are executed and not offered yet, while others may run.
    is_thinking: bool,
    /// How much of the replies is written, and until when there may be room for the rest.
    writing: Option<(usize, Duration)>,
    wake: u64,
    is_waked: bool,
}

/// The connection ends.
struct Ended;

/// What a session's lines lead to is seen by the watch at once.
pub(super) struct Ear<'a> {
    pub(super) server: usize,
    pub(super) now: Duration,
    pub(super) node: &'a Node,
    pub(super) watch: &'a mut Watch,
    pub(super) meter: Option<&'a mut Meter>,
    /// What the node's clock showed when the lines came.
    pub(super) wall: Timestamp,
    /// Drawn in a herd that has a secret.
    pub(super) nonce: Nonce,
    /// How many lines were executed.
    pub(super) lines: usize,
    /// Whether the connection is a neighbour's, on which nothing may pass for a client's.
    pub(super) is_neighbours: bool,
    /// Gets what a client's replies acknowledge, where that is to be on the disk first.
    pub(super) owed: Option<&'a mut Vec<Owed>>,
}

impl Host for Ear<'_> {
    fn nonce(&mut self) -> Result<Nonce, String> {
        Ok(self.nonce)
    }

    fn said(&mut self, line: Line<'_>, party: &Party, reply: &Reply<'_>) {
        self.lines += 1;
        self.watch.forgettings += usize::from(matches!(reply, Reply::Forgot { .. }));
        if self.is_neighbours && party.is_client() {
            self.watch.fail(Kind::Confused, format!("a neighbour's line is a client's: {line:?}"));
        }
        if let (Reply::Invalid(why), true) = (reply, self.is_neighbours) {
            let text = format!("a neighbour said what is invalid: {why}, {line:?}");
            self.watch.fail(Kind::Confused, text);
        }
        // A client is not forgotten where that could not be kept.
        let is_taken = !matches!(reply, Reply::Invalid(_));
        if let Line::Whole(text, _) = line
            && is_taken
            && self.watch.executed(self.server, text, (party, self.wall), self.node.store())
            && let Some(meter) = &mut self.meter
        {
            meter.learned(self.server, self.now);
        }
        let client = match reply {
            Reply::At { location, .. } => Some(location.client),
            Reply::Forgot { client } => Some(*client),
            _ => None,
        };
        if let (Some(owed), Some(client)) = (&mut self.owed, client) {
            owed.extend(self.watch.owed(self.server, client));
        }
    }

    fn looked(&mut self, _looked: &Looked, _document: &[u8]) {}
}

impl Connection {
    pub(super) fn new(
        at: usize,
        dialler: (usize, usize),
        server: usize,
        (node, tick): (&Arc<Node>, Duration),
        plan: &Plan,
    ) -> Self {
        let never = Duration::from_secs(1 << 32);
        let liveness = plan.nodes[server].liveness;
        let times = Times { idle: never, line: never, handshake: liveness, liveness };
        let (node, opening) = (Arc::clone(node), Opening::Common { is_kept: false });
        let line_bytes = plan.nodes[server].line_bytes;
        Self {
            pipes: [Pipe::new(plan.room, plan.rate), Pipe::new(OUTSTANDING_MAX + 1024, plan.rate)],
            dialler,
            server,
            is_open: [true; 2],
            dialogue: Dialogue::new(node, opening, (times, line_bytes), at as u64, tick),
            is_thinking: false,
            writing: None,
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
        let (is_end, is_reading) = (connection.pipes[pipe].is_ended(), !connection.is_thinking);
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
        if connection.is_open[1] && connection.writing.is_some() {
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
        let server = connection.server;
        loop {
            let (Now { wall, tick }, now) = (self.clocks(server), self.now);
            let nonce = if connection.dialogue.party() == &Party::Stranger { self.nonce() } else { NO_NONCE };
            let node = Arc::clone(&self.servers[server].node);
            let (watch, meter) = (&mut self.watch, self.meter.as_mut());
            // Half a handshake at the end of the input is a client's line.
            let is_neighbours = !connection.pipes[QUESTIONS].is_at_end();
            let (lines, owed) = (0, None);
            let mut ear =
                Ear { server, now, node: &node, watch, meter, wall, nonce, lines, is_neighbours, owed };
            match connection.dialogue.next(tick, &mut ear) {
                Next::Wait(until) => {
                    if connection.pipes[QUESTIONS].is_at_end() {
                        connection.dialogue.ended(self.clocks(server));
                    } else if !self.read(connection) {
                        return Ok(Some(self.when(server, until)));
                    }
                }
                Next::Joined(joined) => {
                    if let Some(earlier) = joined.replaces {
                        self.end_session(earlier as usize);
                    }
                }
                Next::Offer => {
                    let was_thinking = std::mem::replace(&mut connection.is_thinking, true);
                    if !was_thinking && self.random.one_in(8) {
                        return Ok(Some(self.now + self.lateness()));
                    }
                    connection.is_thinking = false;
                    self.offer(server, &mut connection.dialogue);
                }
                Next::Commit => {
                    self.fail(Kind::Confused, "a neighbour waits for a journal".into());
                    return Err(Ended);
                }
                Next::Write => {
                    let until = self.now + self.plan.nodes[server].liveness;
                    let (_, until) = *connection.writing.get_or_insert((0, until));
                    if !self.reply(at, connection) {
                        return if self.now >= until { Err(Ended) } else { Ok(Some(until)) };
                    }
                    let was_stranger = connection.dialogue.party() == &Party::Stranger;
                    connection.writing = None;
                    connection.dialogue.wrote();
                    if !was_stranger {
                        self.wake_dialler_of(server, connection.dialogue.party());
                    }
                }
                Next::Rest(..) => {
                    self.fail(Kind::Confused, "a neighbour is held to a quota".into());
                    return Err(Ended);
                }
                Next::Look(_) | Next::Secure(_) => {
                    self.fail(Kind::Confused, "a neighbour looks places up, or speaks TLS".into());
                    return Err(Ended);
                }
                Next::Close(why) => {
                    self.closes(&why);
                    return Err(Ended);
                }
            }
        }
    }

    /// Only another process of the neighbour's name may be refused, and only silence is a reason to end.
    fn closes(&mut self, why: &Closing) {
        match why {
            Closing::Refused(why) => {
                self.tally.refusals += 1;
                if !matches!(**why, Refusal::NameInUse { .. }) {
                    self.fail(Kind::Confused, format!("a neighbour was refused: {why}"));
                }
            }
            Closing::ByPeer | Closing::EndedUnproved | Closing::SilentPeer(_) | Closing::NoProof(_) => {}
            other => self.fail(Kind::Confused, format!("a session ends: {other}")),
        }
    }

    /// A neighbour that has connected lives, so its flooder need not wait to dial it.
    fn wake_dialler_of(&mut self, server: usize, party: &Party) {
        if let Party::Peer(link) = *party
            && self.servers[server].flooders[link].is_down()
        {
            self.wake_flooder(server, link);
        }
    }

    /// Whether something has come.
    fn read(&mut self, connection: &mut Connection) -> bool {
        let now = self.clocks(connection.server);
        let count = connection.pipes[QUESTIONS].read(connection.dialogue.space(), &mut self.random);
        if count == 0 {
            return false;
        }
        connection.dialogue.received(count, now);
        let (node, link) = connection.dialler;
        // The dialler may wait for room; a message that it has some comes sooner or later.
        if self.servers[node].is_alive && self.servers[node].flooders[link].is_writing() {
            self.wake_flooder(node, link);
        }
        true
    }

    /// For a handshake; drawn where the herd has a secret only, so that the other stories stay as they are.
    pub(super) fn nonce(&mut self) -> Nonce {
        let mut half = || if self.plan.secret.is_some() { self.random.bits() } else { 0 };
        let bits = u128::from(half()) << 64 | u128::from(half());
        Nonce::of_bytes(bits.to_be_bytes())
    }

    /// Whether all replies are written.
    fn reply(&mut self, at: usize, connection: &mut Connection) -> bool {
        let (begin, until) = connection.writing.unwrap_or_default();
        let replies = &connection.dialogue.replies()[begin..];
        let outstanding = connection.pipes[ANSWERS].outstanding() + replies.len();
        if outstanding > OUTSTANDING_MAX {
            self.watch.fail(Kind::Unbounded, format!("{outstanding} bytes of answers are outstanding"));
        }
        let arrives = self.arrival();
        let sent = connection.pipes[ANSWERS].send(replies, arrives);
        if let Some(meter) = &mut self.meter {
            meter.answered(&replies[..sent]);
        }
        let is_done = sent == replies.len();
        connection.writing = Some((begin + sent, until));
        self.expect_arrival(at, ANSWERS, &connection.pipes[ANSWERS]);
        is_done
    }

    /// The session closes its end.
    pub(super) fn end_session(&mut self, at: usize) {
        let Some(mut connection) = self.connections[at].take() else { return };
        if connection.is_open[1] {
            // What its lines have changed is offered, whoever has closed its socket.
            connection.dialogue.leave();
            self.offered(connection.server);
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
