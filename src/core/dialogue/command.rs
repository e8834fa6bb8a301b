//! A line parsed once into a closed enum, each variant with the key of whom it is about, and what executing it adds to the
//! batch.

use super::{
    Host,
    party::{Party, Reply},
};
use crate::core::{
    model::{Location, Now, OwnedLocation, Query},
    node::{Changes, Node},
    store::KeyHash,
    wire::{
        Ending, Form, Invalid, Line, PeerLine, PlainLine, Question, Report, Request, Whatsat, write_done,
        write_pong,
    },
};

/// A valid line.
#[derive(Debug)]
pub(super) enum Command<'a> {
    /// A client says where it is.
    Report(Report<'a>, KeyHash),
    /// A client asks what is near a client.
    Whatsat(Whatsat<'a>, KeyHash),
    /// A peer tells news.
    Learn(Location<'a>, KeyHash),
    /// A peer tells what this node was found to lack.
    Repair(Location<'a>, KeyHash),
    /// A third-party node tells news.
    Plain(PlainLine<'a>, KeyHash),
    /// A peer asks what this node holds.
    Ask(Question),
    /// A peer wants to know that all before is done.
    Ping(u64),
    /// A peer's repair round is over.
    Done(u64),
}

impl<'a> Command<'a> {
    /// Reads a line of that party's, and finds the key of whom it is about. Changes nothing.
    pub(super) fn parse(line: Line<'a>, party: Party, node: &Node) -> Result<Self, Invalid> {
        let Line::Whole(text, _) = line else { return Err(Invalid::TooLong) };
        match party {
            Party::Stranger | Party::Client(_) => {
                let form = node.lookups().map_or(Form::PLACES, |lookups| lookups.form);
                Request::parse(text, &form).map(|request| match request {
                    Request::Iamat(report) => Self::Report(report, node.key(report.client)),
                    Request::Whatsat(asked) => Self::Whatsat(asked, node.key(asked.client)),
                })
            }
            Party::Peer(_) => {
                let line = PeerLine::parse(text).ok_or(Invalid::NotFromPeer)?;
                Ok(match line {
                    PeerLine::At(location) => Self::Learn(location, node.key(location.client)),
                    PeerLine::Push(location) => Self::Repair(location, node.key(location.client)),
                    PeerLine::Ask(question) => Self::Ask(question),
                    PeerLine::Ping(number) => Self::Ping(number),
                    PeerLine::Done(number) => Self::Done(number),
                })
            }
            Party::Plain(_) => {
                let line = PlainLine::parse(text).ok_or(Invalid::NotFromPeer)?;
                Ok(Self::Plain(line, node.key(line.location.client)))
            }
        }
    }

    /// The key of whom it is about.
    pub(super) fn key(&self) -> Option<KeyHash> {
        match self {
            Self::Report(_, key)
            | Self::Whatsat(_, key)
            | Self::Learn(_, key)
            | Self::Repair(_, key)
            | Self::Plain(_, key) => Some(*key),
            Self::Ask(_) | Self::Ping(_) | Self::Done(_) => None,
        }
    }
}

/// What executed lines have led to, until each side effect is done once for all of them.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// What is owed to the other end, ready to be written.
    pub(super) replies: Vec<u8>,
    /// What is to be offered.
    pub(super) changes: Changes,
    /// Locations a neighbour has told or pushed.
    pub(super) updates: u32,
    /// Repair rounds a peer has ended.
    pub(super) rounds: u32,
    /// A neighbour's lines that were skipped.
    pub(super) bad_lines: u32,
    /// Where the client is that was asked about last.
    found: OwnedLocation,
}

impl Batch {
    /// Bytes of memory it holds.
    pub(super) fn capacity(&self) -> usize {
        self.replies.capacity() + self.changes.capacity() + self.found.capacity()
    }

    /// Whether there is nothing to hand over, be it to the other end or to others.
    pub(super) fn is_empty(&self) -> bool {
        let Self { replies, changes, updates, rounds, bad_lines, .. } = self;
        replies.is_empty() && changes.is_empty() && *updates + *rounds + *bad_lines == 0
    }

    /// Does what a line says. Gives what is to be looked up before anything else is done.
    pub(super) fn execute(
        &mut self,
        node: &Node,
        (line, command): (Line<'_>, &Result<Command<'_>, Invalid>),
        party: Party,
        now: Now,
        host: &mut impl Host,
    ) -> Option<Query> {
        let (Line::Whole(_, ending) | Line::TooLong(_, ending)) = line;
        let mut query = None;
        let done = match command {
            Ok(Command::Report(report, key)) => {
                node.report(report, *key, now, &mut self.changes).map(|reported| {
                    let location = reported.location();
                    self.write_at(&location, ending);
                    host.said(line, party, &Reply::At { location, is_newest: reported.is_newest });
                })
            }
            Ok(Command::Whatsat(asked, key)) => {
                let mut found = std::mem::take(&mut self.found);
                let done = node.locate(asked, *key, &mut found).map(|asked_of_source| {
                    let location = found.of(asked.client);
                    self.write_at(&location, ending);
                    host.said(line, party, &Reply::Near { location });
                    query = Some(asked_of_source);
                });
                self.found = found;
                done
            }
            Ok(command) => self.execute_neighbours(node, command, now).map(|()| {
                host.said(line, party, &Reply::None);
            }),
            Err(why) => Err(*why),
        };
        if let Err(why) = done {
            self.refuse(line, party);
            host.said(line, party, &Reply::Invalid(why));
        }
        query
    }

    fn execute_neighbours(&mut self, node: &Node, command: &Command<'_>, now: Now) -> Result<(), Invalid> {
        match command {
            Command::Learn(location, key) => {
                self.updates += 1;
                node.learn(location, *key, &mut self.changes);
            }
            Command::Repair(location, key) => {
                self.updates += 1;
                node.repair(location, *key, &mut self.changes);
            }
            Command::Plain(line, key) => {
                node.learn_plain(line, *key, now, &mut self.changes)?;
                self.updates += 1;
            }
            Command::Ask(question) => {
                let held = node.answer(question).ok_or(Invalid::NotFromPeer)?;
                held.write(question, &mut self.replies);
            }
            Command::Ping(number) => write_pong(*number, &mut self.replies),
            Command::Done(number) => {
                self.rounds += 1;
                write_done(*number, &mut self.replies);
            }
            Command::Report(..) | Command::Whatsat(..) => {}
        }
        Ok(())
    }

    fn write_at(&mut self, location: &Location<'_>, ending: Ending) {
        location.write_at(&mut self.replies);
        self.replies.extend_from_slice(ending.as_bytes());
    }

    fn refuse(&mut self, line: Line<'_>, party: Party) {
        let (Line::Whole(text, ending) | Line::TooLong(text, ending)) = line;
        if party.is_client() {
            self.replies.extend_from_slice(b"? ");
            self.replies.extend_from_slice(text);
            self.replies.extend_from_slice(ending.as_bytes());
        } else {
            self.bad_lines += 1;
        }
    }
}
