//! Executes the lines of a batch, a few at a time.

use std::{mem, ops::Deref};

use arrayvec::ArrayVec;

use super::{
    Dialogue, Host, InputState, Phase, Then,
    beginning::{Beginning, Stage},
    command::Command,
    party::{Closing, Party},
};
use crate::core::{
    model::Query,
    node::Node,
    wire::{Ending, Invalid, Line},
};

/// So many bytes of replies are owed at most before they are written: a batch is closed early then.
pub(super) const REPLIES_BYTES_MAX: usize = 64 * 1024;

/// How many lines are parsed before the first of them is executed.
pub(super) const GROUP_LINES: usize = 16;

/// Why a group of lines was left.
enum Left {
    NoLine,
    Done,
    /// Something else is to be done first.
    Waiting,
}

/// A line and what it says, which is not executed yet.
struct Prepared<'a> {
    line: Line<'a>,
    command: Result<Command<'a>, Invalid>,
    /// How many bytes of lines come after it.
    left: usize,
}

/// What stands between two lines.
enum Interruption {
    Settle,
    Join(usize),
    Look(Query, Ending),
}

impl<N: Deref<Target = Node>> Dialogue<N> {
    /// Executes every complete line, a few at a time, so that what the store must fetch from memory for one is under way
    /// while another is executed.
    ///
    /// Not inlined: what it needs of the stack, a connection that says nothing must not hold.
    #[inline(never)]
    pub(super) fn execute(&mut self, host: &mut impl Host) {
        loop {
            let left = match self.beginning(host) {
                Beginning::NoLine => Left::NoLine,
                Beginning::Waiting => return,
                Beginning::Lines(most) => self.execute_group(most, host),
            };
            match left {
                Left::Done => {}
                Left::Waiting => return,
                Left::NoLine if self.input == InputState::Open => return self.end_lines(),
                Left::NoLine => return self.execute_last(host),
            }
        }
    }

    /// Executes some of the complete lines.
    fn execute_group(&mut self, most: usize, host: &mut impl Host) -> Left {
        let Self { node, buffer, batch, party, candidates, heard, .. } = self;
        let node: &Node = node;
        let may_wait = node.lookups().is_some_and(|lookups| lookups.may_wait);
        let mut lines = buffer.lines();
        // Filled in its place: collected, it would be on the stack twice, and each connection's memory a page more.
        let mut group: ArrayVec<Prepared<'_>, GROUP_LINES> = ArrayVec::new();
        let mut left = lines.left();
        while group.len() < most
            && let Some(line) = lines.next()
        {
            let command = Command::parse(line, *party, node);
            let is_lookup = matches!(command, Ok(Command::Whatsat(..)));
            group.push(Prepared { line, command, left: lines.left() });
            // What comes behind a lookup is parsed after it.
            if is_lookup {
                break;
            }
        }
        if group.is_empty() {
            return Left::NoLine;
        }
        if group.len() > 1 {
            node.prefetch(group.iter().filter_map(|line| line.command.as_ref().ok()?.key()));
        }
        let mut stop = None;
        for Prepared { line, command, left: after } in &group {
            let is_lookup = matches!(command, Ok(Command::Whatsat(..)));
            if batch.replies.len() >= REPLIES_BYTES_MAX || is_lookup && may_wait && !batch.is_empty() {
                stop = Some(Interruption::Settle);
                break;
            }
            if *party == Party::Plain(None)
                && let Ok(Command::Plain(line, _)) = command
                && let Some(link) = node.plain_sender(line, candidates)
            {
                stop = Some(Interruption::Join(link));
                break;
            }
            let query = batch.execute(node, (*line, command), *party, *heard, host);
            left = *after;
            if let Some(query) = query {
                let (Line::Whole(_, ending) | Line::TooLong(_, ending)) = *line;
                stop = Some(Interruption::Look(query, ending));
                break;
            }
        }
        drop(group);
        buffer.consume(left);
        self.stop(stop)
    }

    fn stop(&mut self, stop: Option<Interruption>) -> Left {
        match stop {
            None => return Left::Done,
            Some(Interruption::Settle) => self.settle(Then::Execute),
            Some(Interruption::Join(link)) => {
                self.then = Then::Execute;
                self.doing = Phase::Joining(self.join_plain(link), false);
            }
            Some(Interruption::Look(query, ending)) => {
                self.doing = Phase::Looking(query, ending, self.batch.replies.len());
            }
        }
        Left::Waiting
    }

    /// All complete lines are executed.
    fn end_lines(&mut self) {
        self.line_began = match self.line_began {
            _ if !self.buffer.is_mid_line() => None,
            Some(began) if !self.had_line => Some(began),
            _ => Some(self.heard.tick),
        };
        match self.other_protocol_begins() {
            Some(other) => self.settle(Then::Close(Closing::OtherProtocol(other))),
            // All was handed over before the last lines turned out to be none.
            None if self.batch.is_empty() && self.heard_bytes == 0 => self.doing = Phase::Reading,
            None => self.settle(Then::Read),
        }
    }

    /// At the end of a client's input: executes the line that has no terminator. On a neighbour's connection, half a line can
    /// be a valid, wrong one.
    fn execute_last(&mut self, host: &mut impl Host) {
        let is_taken = mem::replace(&mut self.input, InputState::Done) == InputState::Ended;
        let is_wanted = is_taken && self.party.is_client() && !matches!(self.stage, Stage::Proof(..));
        let Self { node, buffer, batch, party, heard, .. } = self;
        let Some(line) = (if is_wanted { buffer.last_line() } else { None }) else {
            return self.settle(Then::Close(Closing::ByPeer));
        };
        // Half a handshake is none, and so a client's line.
        let closing = self.stage.refuses_lines(line, self.is_kept);
        if let Some(closing) = closing {
            return self.settle(Then::Close(closing));
        }
        let command = Command::parse(line, *party, node);
        let query = batch.execute(node, (line, &command), *party, *heard, host);
        let (Line::Whole(_, ending) | Line::TooLong(_, ending)) = line;
        if let Some(query) = query {
            // What is owed leaves with the answer: nobody sends any more lines.
            self.doing = Phase::Looking(query, ending, self.batch.replies.len());
        }
    }
}
