//! An accepted connection as a machine, whatever carries its bytes: a thread, a simulation, a task. It takes bytes,
//! times and the results of lookups, and says what to do next. It has no socket and no clock, and nothing in it waits.
//!
//! # The contract
//!
//! The driver of a dialogue calls [`Dialogue::next`] and does what it says, over and over until it is [`Next::Close`],
//! beginning right after the dialogue is made. Each [`Next`] names the call that answers it. Until that call, `next`
//! returns the same again, except for [`Next::Joined`], which is returned once and needs no answer. An answer to
//! something that was not asked changes nothing. What was stored is offered even if the dialogue is dropped before it
//! says so.
//!
//! ```
//! # use proxyherd::core::{dialogue::*, model::*, node::*, store::Placement, wire::{Channel, Form, Line, Nonce}};
//! # use std::time::Duration;
//! struct Quiet;
//!
//! impl Host for Quiet {
//!     fn nonce(&mut self) -> Result<Nonce, String> {
//!         Err("nobody shakes hands here".to_owned())
//!     }
//!     fn said(&mut self, _line: Line<'_>, _party: &Party, _reply: &Reply<'_>) {}
//!     fn looked(&mut self, _looked: &Looked, _document: &[u8]) {}
//! }
//!
//! # let node = Node::new(Options {
//! #     herd: "test".to_owned(), placement: Placement::of_herd("test"), secret: None,
//! #     id: NodeId::new("Alford").unwrap(), incarnation: 1, forget_after: None, reports: ReportLimits::NONE,
//! #     liveness: Duration::from_secs(5), neighbours: Vec::new(), subscribers: Subscribers::default(),
//! #     lookups: Some(LookupRules { form: Form::PLACES, may_wait: false }),
//! # });
//! # let times = Times { idle: Duration::from_secs(60), line: Duration::from_secs(60),
//! #     handshake: Duration::from_secs(1), liveness: Duration::from_secs(5) };
//! let mut input = &b"IAMAT kiwi +34.07-118.45 1479413884\nWHATSAT kiwi 10 5\nnonsense"[..];
//! let mut output = Vec::new();
//! let mut now = Now { wall: Timestamp::new(1_479_413_884, 0), tick: Duration::ZERO };
//!
//! let mut dialogue = Dialogue::new(&node, Opening::Common { is_kept: false }, (times, 16 * 1024), 1, now.tick);
//! let closing = loop {
//!     match dialogue.next(now.tick, &mut Quiet) {
//!         // Bytes come, or the input ends, or it is that time: then only `next` is asked again.
//!         Next::Wait(_until) if input.is_empty() => dialogue.ended(now),
//!         Next::Wait(_until) => {
//!             let space = dialogue.space();
//!             let (read, rest) = input.split_at(input.len().min(space.len()));
//!             space[..read.len()].copy_from_slice(read);
//!             dialogue.received(read.len(), now);
//!             input = rest;
//!         }
//!         // Only where the node takes peers over TLS.
//!         Next::Secure(_until) => dialogue.secured(Channel::Plain),
//!         // Only where there are quotas: not before that time.
//!         Next::Rest(until, _quota) => now.tick = until,
//!         Next::Joined(_joined) => {}
//!         // The lines so far are executed: what they changed is handed over before anything is acknowledged.
//!         Next::Offer => dialogue.offer(|_overflowing| {}),
//!         // Only where the node acknowledges nothing before it is durable.
//!         Next::Commit => dialogue.committed(),
//!         Next::Write => {
//!             output.extend_from_slice(dialogue.replies());
//!             dialogue.wrote();
//!         }
//!         Next::Look(query) => {
//!             dialogue.document().extend_from_slice(format!("{{{}}}", query.bound).as_bytes());
//!             dialogue.looked(Looked { results: 0, is_failed: false }, &mut Quiet);
//!         }
//!         Next::Close(why) => break why,
//!     }
//! };
//! assert_eq!(closing, Closing::ByPeer);
//! let at = "AT Alford +0.000000000 kiwi +34.07-118.45 1479413884\n";
//! assert_eq!(String::from_utf8(output).unwrap(), format!("{at}{at}{{5}}\n\n? nonsense\n"));
//! ```

mod authentication;
mod beginning;
mod buffers;
mod closing;
mod command;
mod execute;
mod host;
mod toll;
mod waiting;

use std::{mem, ops::Deref, time::Duration};

use self::{beginning::Stage, execute::Batch, toll::Meter};
pub use self::{
    beginning::{Joined, Opening, Party},
    buffers::Buffers,
    closing::Closing,
    host::{Host, Looked, Reply},
};
use crate::core::{
    access::Quota,
    model::{Now, Query, Tick, Timestamp},
    node::{Neighbour, Node},
    wire::{Channel, Ending, LineBuffer, PEER_LINE_BYTES_MAX},
};

/// How long a connection may take for each of these.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Times {
    /// A connection that sends nothing for so long is closed.
    pub idle: Duration,
    /// A line must be complete so long after its first byte.
    pub line: Duration,
    /// A handshake, that of TLS included, and a proof that was asked for.
    pub handshake: Duration,
    /// A peer that is silent for so long is gone.
    pub liveness: Duration,
}

/// What to do next.
#[derive(Clone, PartialEq, Debug)]
pub enum Next {
    /// Nothing before bytes come, the input ends, or it is that time: [`Dialogue::received`], [`Dialogue::ended`], or
    /// nothing but the time given to the next call.
    Wait(Tick),
    /// The connection begins as a peer's TLS does. Speak TLS on it, beginning with [`Dialogue::unread`], until that
    /// time at most: [`Dialogue::secured`]. If that fails, the connection ends.
    Secure(Tick),
    /// Nothing before that time, whatever comes: its principal has used that up, and lines wait for their turn. Nothing but
    /// the time is given to the next call.
    Rest(Tick, Quota),
    /// The connection turned out to be a neighbour's. Returned once, and needs no answer.
    Joined(Joined),
    /// Offer what the lines have changed: [`Dialogue::offer`].
    Offer,
    /// Wait until what was just offered is durable: [`Dialogue::committed`]. If it is not in time, the connection ends
    /// and the replies are dropped.
    Commit,
    /// Write [`Dialogue::replies`], all of them: [`Dialogue::wrote`].
    Write,
    /// Look up places, and append the document to [`Dialogue::document`]: [`Dialogue::looked`].
    Look(Query),
    /// End the connection. Nothing follows.
    Close(Closing),
}

/// One connection. `N` is how the driver holds the node: a reference or an `Arc`.
#[derive(Debug)]
pub struct Dialogue<N: Deref<Target = Node>> {
    node: N,
    times: Times,
    number: u64,
    party: Party,
    /// How often the node's tokens had been replaced at the last batch.
    as_of: u64,
    /// How many tokens it has shown that were not valid.
    wrong_tokens: u8,
    stage: Stage,
    /// What carries it, as far as a handshake covers that.
    channel: Channel,
    /// Whether a handshake may make it a peer's.
    takes_peers: bool,
    /// When a handshake must have made it a peer's, if only peers may go on: its seat is kept for them, or it speaks
    /// their TLS.
    greet_by: Option<Tick>,
    /// The links that it may belong to, by its address.
    candidates: Vec<usize>,
    buffer: LineBuffer,
    batch: Batch,
    /// What its lines cost.
    meter: Meter,
    doing: Phase,
    then: Then,
    /// When the last bytes arrived; for a peer, also when bytes that had waited were last sent.
    heard: Now,
    /// When a batch last needed its large buffers.
    needed: Tick,
    /// When the first byte of the incomplete line arrived.
    line_began: Option<Tick>,
    /// Whether the last bytes completed a line.
    had_line: bool,
    /// The number of bytes that have arrived since changes were last offered.
    heard_bytes: usize,
    input: InputState,
    /// Whether to wake the neighbour's flooder once the answer to its handshake is written.
    calls: bool,
    has_left: bool,
}

/// What is in progress: all but the first three wait for an answer.
#[derive(Debug)]
enum Phase {
    Reading,
    Executing,
    /// Until when.
    Securing(Tick),
    /// Until that time, because of that quota.
    Resting(Tick, Quota),
    Joining(Joined),
    Offering,
    Committing,
    Writing,
    /// Where the document begins in the replies.
    Looking(Query, Ending, usize),
    Over(Closing),
}

/// What follows once the replies are written.
#[derive(Debug)]
enum Then {
    Read,
    Execute,
    Close(Closing),
}

/// How far the input is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum InputState {
    Open,
    /// It has ended, and the line without a terminator still has to be executed.
    Ended,
    Done,
}

impl<N: Deref<Target = Node>> Dialogue<N> {
    /// A new connection of that number. `line_bytes` bounds a client's line.
    pub fn new(
        node: N,
        opening: Opening,
        (times, line_bytes): (Times, usize),
        number: u64,
        now: Tick,
    ) -> Self {
        let is_plain = matches!(opening, Opening::Plain(_));
        let takes_peers = matches!(opening, Opening::Common { .. });
        let (is_kept, candidates, stage) = match opening {
            Opening::Common { is_kept } | Opening::Secured { is_kept } => (is_kept, Vec::new(), Stage::First),
            Opening::Plain(links) => (false, links, Stage::Blank),
        };
        let mut dialogue = Self {
            node,
            times,
            number,
            party: if is_plain { Party::Plain(None) } else { Party::Stranger },
            as_of: 0,
            wrong_tokens: 0,
            stage,
            channel: Channel::Plain,
            takes_peers,
            greet_by: is_kept.then(|| now + times.handshake),
            candidates,
            buffer: LineBuffer::new(if is_plain { PEER_LINE_BYTES_MAX } else { line_bytes }),
            batch: Batch::default(),
            meter: Meter::default(),
            doing: Phase::Reading,
            then: Then::Read,
            heard: Now { wall: Timestamp::default(), tick: now },
            needed: now,
            line_began: None,
            had_line: false,
            heard_bytes: 0,
            input: InputState::Open,
            calls: false,
            has_left: false,
        };
        if let [link] = dialogue.candidates[..] {
            dialogue.doing = Phase::Joining(dialogue.join_plain(link));
        }
        dialogue
    }

    /// Whose it is.
    pub fn party(&self) -> &Party {
        &self.party
    }

    /// Whether it is a peer's, or may still become one by the handshake it has begun.
    pub fn has_greeted(&self) -> bool {
        matches!(self.party, Party::Peer(_)) || matches!(self.stage, Stage::Proof(..))
    }

    /// When the last bytes arrived.
    pub fn heard(&self) -> Tick {
        self.heard.tick
    }

    /// What to do at `now`.
    pub fn next(&mut self, now: Tick, host: &mut impl Host) -> Next {
        loop {
            match &self.doing {
                Phase::Reading => return self.wait(now, host),
                Phase::Executing => self.execute(now, host),
                &Phase::Securing(until) => return Next::Secure(until),
                &Phase::Resting(until, _) if now >= until => self.doing = Phase::Executing,
                &Phase::Resting(until, quota) => match self.cannot_rest(quota, host) {
                    None => return Next::Rest(until, quota),
                    Some(closing) => self.doing = Phase::Over(closing),
                },
                &Phase::Joining(joined) => {
                    self.doing = Phase::Offering;
                    return Next::Joined(joined);
                }
                Phase::Offering => return Next::Offer,
                Phase::Committing => {
                    host.holds(self.counted(host));
                    return Next::Commit;
                }
                Phase::Writing => {
                    // A client that does not read them may hold them for long.
                    host.holds(self.counted(host));
                    return Next::Write;
                }
                Phase::Looking(query, ..) => return Next::Look(*query),
                Phase::Over(why) => return Next::Close(why.clone()),
            }
        }
    }

    /// The space for bytes that arrive; never empty.
    pub fn space(&mut self) -> &mut [u8] {
        self.buffer.space()
    }

    /// So many bytes have arrived, and were put at the front of [`Dialogue::space`].
    pub fn received(&mut self, count: usize, now: Now) {
        if !matches!(self.doing, Phase::Reading) {
            return;
        }
        self.heard = now;
        self.heard_bytes += count;
        self.meter.arrived(count);
        self.buffer.filled(count);
        if let Party::Peer(link) = self.party {
            self.node.heard(link, self.number, now.tick);
        }
        self.had_line = self.buffer.lines().left() > 0;
        self.renew();
        self.doing = Phase::Executing;
    }

    /// The input has ended.
    pub fn ended(&mut self, now: Now) {
        if !matches!(self.doing, Phase::Reading) {
            return;
        }
        self.heard.wall = now.wall;
        self.renew();
        self.input = InputState::Ended;
        if let Party::Plain(_) = self.party
            && self.buffer.is_mid_line()
        {
            // Third-party nodes may end the connection instead of a line.
            self.buffer.space()[0] = b'\n';
            self.buffer.filled(1);
        }
        self.doing = Phase::Executing;
    }

    /// Offers what the lines have changed to everyone except their sender. Calls `full` for each neighbour whose outbox
    /// had no room.
    pub fn offer(&mut self, full: impl FnMut(&Neighbour)) {
        if !matches!(self.doing, Phase::Offering) {
            return;
        }
        self.note_need();
        self.node.offer(&mut self.batch.changes, self.party.link(), full);
        let Batch { updates, bad_lines, last_bad, rounds, .. } = &mut self.batch;
        let (bytes, updates) = (mem::take(&mut self.heard_bytes), mem::take(updates));
        let (bad_lines, rounds) = (mem::take(bad_lines), mem::take(rounds));
        let last_bad = last_bad.take();
        let health = |link: usize| &self.node.neighbours()[link].health;
        match self.party.link() {
            Some(link) => health(link).received(bytes, updates, (bad_lines, last_bad), rounds),
            // If it is unknown which neighbour sent them, they count for the address: for all that may be there.
            None => self.candidates.iter().for_each(|&link| {
                health(link).received_at_address(updates, (bad_lines, last_bad));
            }),
        }
        let acknowledges = mem::take(&mut self.batch.acknowledges);
        self.doing = match self.batch.replies.is_empty() {
            true => self.after(),
            false if acknowledges => Phase::Committing,
            false => Phase::Writing,
        };
    }

    /// Whether its replies will wait for what is offered to be durable.
    pub fn acknowledges(&self) -> bool {
        self.batch.acknowledges
    }

    /// What was offered is durable.
    pub fn committed(&mut self) {
        if matches!(self.doing, Phase::Committing) {
            self.doing = Phase::Writing;
        }
    }

    /// The replies to write.
    pub fn replies(&self) -> &[u8] {
        &self.batch.replies
    }

    /// Some of [`Dialogue::replies`] that had waited for room was accepted: the other end lives. Returns whether its
    /// time for the rest begins again. A peer's does, because a link may be slow. A client's does not, or its replies
    /// would be kept for ever if it accepted a byte now and then.
    pub fn took_some(&mut self, now: Tick) -> bool {
        let (Phase::Writing, &Party::Peer(link)) = (&self.doing, &self.party) else { return false };
        self.heard.tick = now;
        self.node.heard(link, self.number, now);
        true
    }

    /// All of [`Dialogue::replies`] is written.
    pub fn wrote(&mut self) {
        if !matches!(self.doing, Phase::Writing) {
            return;
        }
        self.batch.replies.clear();
        if let Some(link) = self.party.link().filter(|_| mem::take(&mut self.calls)) {
            // It is alive, so there is no need to wait before dialling it. One message waiting is enough.
            let _ = self.node.neighbours()[link].called.try_send(());
        }
        self.doing = self.after();
    }

    /// The buffer to which the document that answers a lookup is appended.
    pub fn document(&mut self) -> &mut Vec<u8> {
        &mut self.batch.replies
    }

    /// The document that answers the lookup is there.
    pub fn looked(&mut self, looked: Looked, host: &mut impl Host) {
        if let Phase::Looking(_, ending, began) = self.doing {
            host.looked(&looked, &self.batch.replies[began..]);
            for _ in 0..self.node.lookups().map_or(0, |lookups| lookups.form.newlines) {
                self.batch.replies.extend_from_slice(ending.as_bytes());
            }
            self.doing = Phase::Executing;
        }
    }

    /// The connection is over: what its lines have changed is offered, and it no longer counts as a neighbour's.
    /// Dropping the dialogue does the same.
    pub fn leave(&mut self) {
        if mem::replace(&mut self.has_left, true) {
            return;
        }
        self.node.offer(&mut self.batch.changes, self.party.link(), |_| {});
        if let Party::Peer(link) = self.party {
            self.node.left(link, self.number);
        }
        if let Some(link) = self.party.link() {
            self.node.neighbours()[link].health.left();
        }
    }

    fn after(&mut self) -> Phase {
        match mem::replace(&mut self.then, Then::Read) {
            Then::Read => Phase::Reading,
            Then::Execute => Phase::Executing,
            Then::Close(why) => Phase::Over(why),
        }
    }

    /// Hand over and write what has been executed, and then do that.
    fn settle(&mut self, then: Then) {
        (self.doing, self.then) = (Phase::Offering, then);
    }
}

impl<N: Deref<Target = Node>> Drop for Dialogue<N> {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests;
