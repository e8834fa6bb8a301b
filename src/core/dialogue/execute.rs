//! Executes the lines of a batch, a few at a time: each as a command, whose results are added to the batch.

use std::{mem, ops::Deref, slice};

use arrayvec::ArrayVec;

use super::{
    Closing, Dialogue, Host, InputState, Party, Phase, Reply, Then,
    beginning::{Beginning, Stage},
    command::Command,
    toll::Toll,
};
use crate::core::{
    access::{Allowance, Principal},
    model::{Location, Now, OwnedLocation, Query, SkewText, Tick},
    node::{Changes, Node, Reported},
    wire::{Ending, Invalid, Line, Lines, PlainFault, write_done, write_forgotten, write_pong},
};

/// At most so many bytes of replies wait to be written: then a batch is closed early.
pub(super) const REPLIES_BYTES_MAX: usize = 64 * 1024;

/// How many lines are parsed before the first of them is executed.
pub(super) const GROUP_LINES: usize = 16;

/// The results of executed lines, collected until each side effect is done once for all of them.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Replies to the other end, ready to be written.
    pub(super) replies: Vec<u8>,
    /// Changes to be offered.
    pub(super) changes: Changes,
    /// Whether the replies acknowledge what must be durable first.
    pub(super) acknowledges: bool,
    /// Locations and tombstones that a neighbour has sent or pushed.
    pub(super) updates: u32,
    /// Repair rounds that a peer has ended.
    pub(super) rounds: u32,
    /// A neighbour's lines that were skipped, and why the last one was.
    pub(super) bad_lines: u32,
    pub(super) last_bad: Option<Invalid>,
    /// The location of the client that was last asked about.
    found: OwnedLocation,
    /// The watermark of the last sum that a peer was answered.
    compared: u64,
}

impl Batch {
    /// Bytes of memory it holds.
    pub(super) fn capacity(&self) -> usize {
        self.replies.capacity() + self.changes.capacity() + self.found.capacity()
    }

    /// Bytes of output: to the other end, and to the neighbours.
    pub(super) fn len(&self) -> usize {
        self.replies.len() + self.changes.len()
    }

    /// Whether there is nothing to hand over, either to the other end or to others.
    pub(super) fn is_empty(&self) -> bool {
        let Self { replies, changes, updates, rounds, bad_lines, .. } = self;
        replies.is_empty() && changes.is_empty() && *updates + *rounds + *bad_lines == 0
    }

    /// Executes a line. Returns what must be looked up before anything else is done.
    pub(super) fn execute(
        &mut self,
        node: &Node,
        prepared: &Prepared<'_>,
        (party, allowance): (&Party, Option<&Allowance>),
        now: Now,
        host: &mut impl Host,
    ) -> Option<Query> {
        let Prepared { line, command, .. } = prepared;
        let (line, ending) = (*line, line.ending());
        let mut query = None;
        let done = match command {
            Ok(Command::Report(report, key)) => {
                let mut skew = SkewText::default();
                match &node.report((report, *key), allowance, now, &mut skew, &mut self.changes) {
                    Ok(Reported { location, is_newest }) => {
                        self.write_at(location, ending);
                        self.acknowledges |= node.waits_for_durable(*is_newest);
                        host.said(line, party, &Reply::At { location, is_newest: *is_newest });
                        Ok(())
                    }
                    Err(why) => Err(*why),
                }
            }
            Ok(Command::Whatsat(asked, key)) => {
                let mut found = mem::take(&mut self.found);
                let done = node.locate(asked, *key, &mut found).map(|asked_of_source| {
                    let location = found.of(asked.client);
                    self.write_at(&location, ending);
                    host.said(line, party, &Reply::Near { location: &location });
                    query = Some(asked_of_source);
                });
                self.found = found;
                done
            }
            Ok(Command::Forget(client, key)) => {
                node.forget(*client, *key, now, &mut self.changes).map(|()| {
                    write_forgotten(*client, &mut self.replies);
                    self.replies.extend_from_slice(ending.as_bytes());
                    self.acknowledges |= node.waits_for_durable(true);
                    host.said(line, party, &Reply::Forgot { client: *client });
                })
            }
            Ok(command) => self.execute_neighbours(node, command, party, now).map(|()| {
                host.said(line, party, &Reply::None);
            }),
            Err(why) => Err(*why),
        };
        if let Err(why) = done {
            // A token may stand where a client's id belongs.
            let line = line.masked();
            self.refuse(line, party, why);
            host.said(line, party, &Reply::Invalid(why));
        }
        query
    }

    fn execute_neighbours(
        &mut self,
        node: &Node,
        command: &Command<'_>,
        party: &Party,
        now: Now,
    ) -> Result<(), Invalid> {
        match command {
            Command::Learn(record, key) => {
                self.updates += 1;
                node.learn(record, *key, &mut self.changes);
            }
            Command::Repair(record, key) => {
                self.updates += 1;
                node.repair(record, *key, &mut self.changes);
            }
            Command::Plain(line, key) => {
                node.learn_plain(line, *key, now, &mut self.changes)?;
                self.updates += 1;
            }
            Command::Ask(question) => {
                let link = party.link().ok_or(Invalid::NotFromPeer)?;
                let held = node.answer(link, question, &mut self.compared).ok_or(Invalid::NotFromPeer)?;
                held.write(question, &mut self.replies);
            }
            Command::Ping(number) => write_pong(*number, now.wall, &mut self.replies),
            Command::Done(number) => {
                self.rounds += 1;
                write_done(*number, &mut self.replies);
            }
            Command::Report(..) | Command::Whatsat(..) | Command::Forget(..) | Command::Auth(_) => {}
        }
        Ok(())
    }

    fn write_at(&mut self, location: &Location<'_>, ending: Ending) {
        location.write_at(&mut self.replies);
        self.replies.extend_from_slice(ending.as_bytes());
    }

    pub(super) fn refuse(&mut self, line: Line<'_>, party: &Party, why: Invalid) {
        if party.is_client() {
            self.replies.extend_from_slice(b"? ");
            self.replies.extend_from_slice(line.text());
            self.replies.extend_from_slice(line.ending().as_bytes());
        } else {
            self.bad_lines += 1;
            self.last_bad = Some(why);
        }
    }
}

/// Whether a line of a third-party node is answered, if its lines are answered at all: an AT line is, accepted or
/// refused. Anything else may be an answer to an answer, which must not get one.
fn is_answered(command: &Result<Command<'_>, Invalid>) -> bool {
    match command {
        Ok(_) => true,
        Err(Invalid::NotPlain(fault)) => *fault != PlainFault::Keyword,
        Err(_) => false,
    }
}

/// Why a group of lines was left before its end.
enum Left {
    NoLine,
    Done,
    /// Something else must be done first.
    Waiting,
}

/// A line and its command, not executed yet.
pub(super) struct Prepared<'a> {
    /// What may be shown of it.
    line: Line<'a>,
    command: Result<Command<'a>, Invalid>,
    /// How many bytes of lines come after it.
    left: usize,
}

impl<'a> Prepared<'a> {
    /// Inlined, as the parsing is.
    #[inline(always)]
    fn new(line: Line<'a>, command: Result<Command<'a>, Invalid>, left: usize) -> Self {
        let is_auth = matches!(command, Ok(Command::Auth(_)));
        Self { line: if is_auth { line.masked() } else { line }, command, left }
    }

    fn is_lookup(&self) -> bool {
        matches!(self.command, Ok(Command::Whatsat(..)))
    }

    /// Whether the lines that follow are parsed after it.
    fn ends_group(&self) -> bool {
        matches!(self.command, Ok(Command::Whatsat(..) | Command::Auth(_)))
    }
}

/// What must happen between two lines.
enum Interruption {
    Settle,
    Join(usize),
    Look(Query, Ending),
    Authenticated(Option<Principal>),
}

/// What lines are executed with.
struct Executing<'d> {
    node: &'d Node,
    batch: &'d mut Batch,
    party: &'d Party,
    /// What its principal has left.
    allowance: Option<&'d Allowance>,
    /// Whether its lines are refused, whatever they are.
    refuses: bool,
    candidates: &'d [usize],
    now: Now,
    /// How many bytes of lines are not executed yet.
    left: usize,
    /// How many lines are.
    executed: usize,
}

impl Executing<'_> {
    /// Inlined, so that what is prepared is built in its final place.
    #[inline(always)]
    fn prepare<'a>(&self, lines: &mut Lines<'a>) -> Option<Prepared<'a>> {
        let line = lines.next()?;
        let command = match self.refuses {
            false => Command::parse(line, self.party, self.candidates, self.node),
            true => Err(Invalid::OverQuota),
        };
        Some(Prepared::new(line, command, lines.left()))
    }

    /// Executes the first and several more, so that the store fetches what one needs from memory while another is
    /// executed.
    ///
    /// Not inlined: a connection that sends one line at a time does not touch the stack that many lines need.
    #[inline(never)]
    fn execute_several(
        &mut self,
        first: Prepared<'_>,
        mut lines: Lines<'_>,
        most: usize,
        host: &mut impl Host,
    ) -> Option<Interruption> {
        // Filled in place: collecting it would put it on the stack twice, a page more for each connection.
        let mut group: ArrayVec<Prepared<'_>, GROUP_LINES> = ArrayVec::new();
        group.push(first);
        while group.len() < most
            && let Some(next) = self.prepare(&mut lines)
        {
            let ends_group = next.ends_group();
            group.push(next);
            if ends_group {
                break;
            }
        }
        self.node.prefetch(group.iter().filter_map(|line| line.command.as_ref().ok()?.key()));
        self.execute(&group, host)
    }

    /// Executes them in order, until something else must be done first.
    fn execute(&mut self, group: &[Prepared<'_>], host: &mut impl Host) -> Option<Interruption> {
        let Self { node, batch, allowance, candidates, now, left, executed, .. } = self;
        let party = self.party;
        for prepared in group {
            let Prepared { line, command, left: after } = prepared;
            let may_wait = || prepared.is_lookup() && node.lookups().is_some_and(|lookups| lookups.may_wait);
            if batch.replies.len() >= REPLIES_BYTES_MAX || may_wait() && !batch.is_empty() {
                return Some(Interruption::Settle);
            }
            if let Ok(Command::Auth(token)) = command {
                *left = *after;
                *executed += 1;
                let principal = batch.authenticate(node, (*line, *token), (party, *now), host);
                return Some(Interruption::Authenticated(principal));
            }
            if *party == Party::Plain(None)
                && let Ok(Command::Plain(line, _)) = command
                && let Some(link) = node.plain_sender(line, candidates)
            {
                return Some(Interruption::Join(link));
            }
            let query = batch.execute(node, prepared, (party, *allowance), *now, host);
            if let Party::Plain(link) = *party
                && is_answered(command)
                && let Some(form) = node.plain_answer(link, candidates)
            {
                form.write_answer(&mut batch.replies);
            }
            *left = *after;
            *executed += 1;
            if let Some(query) = query {
                return Some(Interruption::Look(query, line.ending()));
            }
        }
        None
    }
}

impl<N: Deref<Target = Node>> Dialogue<N> {
    /// Executes every complete line, a few at a time.
    ///
    /// Not inlined, so that a connection that sends nothing does not hold the stack it needs.
    #[inline(never)]
    pub(super) fn execute(&mut self, now: Tick, host: &mut impl Host) {
        loop {
            let left = match self.beginning(host) {
                Beginning::NoLine => Left::NoLine,
                Beginning::Waiting => return,
                Beginning::Lines(most) => match self.toll(now) {
                    Toll::Execute(paid) => self.execute_group((most.min(paid), false), host),
                    Toll::Refuse(lines) => self.execute_group((most.min(lines), true), host),
                    Toll::Rest(until, quota) => return self.rest(until, quota),
                },
            };
            match left {
                Left::Done => {}
                Left::Waiting => return,
                Left::NoLine if self.input == InputState::Open => {
                    return match self.toll_for_bytes(now) {
                        Toll::Rest(until, quota) => self.rest(until, quota),
                        Toll::Execute(_) | Toll::Refuse(_) => self.end_lines(),
                    };
                }
                Left::NoLine => {
                    return match self.toll_for_last(now) {
                        Toll::Execute(_) => self.execute_last(false, host),
                        Toll::Refuse(_) => self.execute_last(true, host),
                        Toll::Rest(until, quota) => self.rest(until, quota),
                    };
                }
            }
        }
    }

    /// Executes some of the complete lines, or refuses them.
    fn execute_group(&mut self, (most, refuses): (usize, bool), host: &mut impl Host) -> Left {
        let Self { node, buffer, batch, meter, party, candidates, heard, .. } = self;
        let (party, candidates, now) = (&*party, &candidates[..], *heard);
        let mut lines = buffer.lines();
        let (allowance, left) = (meter.allowance(), lines.left());
        let mut executing =
            Executing { node, batch, party, allowance, refuses, candidates, now, left, executed: 0 };
        let Some(first) = executing.prepare(&mut lines) else { return Left::NoLine };
        let stop = if first.left == 0 || most == 1 || first.ends_group() {
            executing.execute(slice::from_ref(&first), host)
        } else {
            executing.execute_several(first, lines, most, host)
        };
        let (left, executed) = (executing.left, if refuses { 0 } else { executing.executed });
        buffer.consume(left);
        meter.executed(executed);
        match stop {
            None if left == 0 => Left::NoLine,
            None => Left::Done,
            Some(interruption) => {
                self.interrupt(interruption);
                Left::Waiting
            }
        }
    }

    fn interrupt(&mut self, interruption: Interruption) {
        match interruption {
            Interruption::Settle => self.settle(Then::Execute),
            Interruption::Join(link) => {
                self.then = Then::Execute;
                self.doing = Phase::Joining(self.join_plain(link));
            }
            Interruption::Authenticated(principal) => self.authenticated(principal),
            Interruption::Look(query, ending) => {
                self.doing = Phase::Looking(query, ending, self.batch.replies.len());
            }
        }
    }

    /// All complete lines are executed.
    fn end_lines(&mut self) {
        self.line_began = match self.line_began {
            _ if !self.buffer.is_mid_line() => None,
            Some(began) if !self.had_line => Some(began),
            // The time for the rest of the line begins when it can be read.
            _ => Some(self.heard.tick.max(self.meter.rested())),
        };
        match self.other_protocol_begins() {
            Some(other) => self.settle(Then::Close(Closing::OtherProtocol(other))),
            // Everything was handed over before it turned out that no lines were left.
            None if self.batch.is_empty() && self.heard_bytes == 0 => self.doing = Phase::Reading,
            None => self.settle(Then::Read),
        }
    }

    /// At the end of a client's input: executes the line that has no terminator. On a peer's connection, half a line
    /// can be valid and wrong; a third-party node's last line has been given its terminator.
    fn execute_last(&mut self, refuses: bool, host: &mut impl Host) {
        let is_taken = mem::replace(&mut self.input, InputState::Done) == InputState::Ended;
        let owes_proof = matches!(self.stage, Stage::Proof(..));
        let is_wanted = is_taken && self.party.is_client() && !owes_proof;
        let no_peer = self.no_peer();
        let Self { node, buffer, batch, meter, party, heard, .. } = self;
        let Some(line) = (if is_wanted { buffer.last_line() } else { None }) else {
            let closing = if owes_proof { Closing::EndedUnproved } else { Closing::ByPeer };
            return self.settle(Then::Close(closing));
        };
        // Half a handshake is not a handshake, and so is a client's line.
        let closing = self.stage.refuses_lines(line, no_peer);
        if let Some(closing) = closing {
            return self.settle(Then::Close(closing));
        }
        let command = if refuses { Err(Invalid::OverQuota) } else { Command::parse(line, party, &[], node) };
        let prepared = Prepared::new(line, command, 0);
        let line = prepared.line;
        if let Ok(Command::Auth(token)) = prepared.command {
            let principal = batch.authenticate(node, (line, token), (party, *heard), host);
            return self.authenticated(principal);
        }
        let party = (&*party, meter.allowance());
        if let Some(query) = batch.execute(node, &prepared, party, *heard, host) {
            // Anything owed leaves with the answer: no more lines will come.
            self.doing = Phase::Looking(query, line.ending(), self.batch.replies.len());
        }
    }
}
