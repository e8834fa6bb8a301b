//! A link of either kind, as a thread drives it: one that keeps its connection, or one with a connection for each line.

use super::{Dialled, Event, Lack, Link, Queue, Single, Step};
use crate::core::{model::Tick, store::Store};

/// A link to a neighbour of any kind. [`Link`] says how it is driven.
#[derive(Debug)]
pub enum AnyLink {
    /// It keeps its connection.
    Steady(Link),
    /// It makes a connection for each line.
    Single(Single),
}

/// Passes a call on to the link, whichever it is.
macro_rules! either {
    ($any:expr, $link:ident => $call:expr) => {
        match $any {
            Self::Steady($link) => $call,
            Self::Single($link) => $call,
        }
    };
}

impl AnyLink {
    /// The queue of what waits to be written; to wait for more of it.
    pub fn queue(&self) -> &Queue {
        either!(self, link => link.queue())
    }

    /// Whether something waits to be written, which ends a rest.
    pub fn has_news(&self) -> bool {
        !self.queue().receiver().is_empty()
    }

    /// The bytes to write.
    pub fn output(&self) -> &[u8] {
        either!(self, link => link.output())
    }

    /// The updates in what is being written, or was written last.
    pub fn news(&self) -> &[u8] {
        either!(self, link => link.news())
    }

    /// The space to read into; empty without a connection.
    pub fn space(&mut self) -> &mut [u8] {
        either!(self, link => link.space())
    }

    /// The events since the last call, first to last.
    pub fn event(&mut self) -> Option<Event> {
        either!(self, link => link.event())
    }

    /// The node stops: until `by`, the neighbour is given what it lacks. Only the first call counts.
    pub fn stop(&mut self, by: Tick) {
        either!(self, link => link.stop(by));
    }

    /// What the neighbour may lack, once the link has ended; `None` if it has everything.
    pub fn lack(&self, store: &Store) -> Option<Lack> {
        either!(self, link => link.lack(store))
    }

    /// The neighbour has just connected to this node, so it can be dialled without waiting.
    pub fn called(&mut self, now: Tick) {
        either!(self, link => link.called(now));
    }

    /// A connection is made.
    pub fn connected(&mut self, now: Tick, dialled: Dialled, store: &Store) {
        match self {
            Self::Steady(link) => link.connected(now, dialled, store),
            Self::Single(link) => link.connected(now, store),
        }
    }

    /// So much of [`AnyLink::output`] is written.
    pub fn wrote(&mut self, count: usize) {
        either!(self, link => link.wrote(count));
    }

    /// The output has been ended.
    pub fn half_closed(&mut self) {
        if let Self::Single(link) = self {
            link.half_closed();
        }
    }

    /// So much was read into [`AnyLink::space`]; nothing at the end of the input. `random` is any 64 random bits.
    pub fn received(&mut self, count: usize, now: Tick, random: u64, store: &Store) {
        match self {
            Self::Steady(link) => link.received(count, now, random, store),
            Self::Single(link) => link.received(count),
        }
    }

    /// Dialling, reading or writing failed, for this reason.
    pub fn failed(&mut self, why: String) {
        either!(self, link => link.failed(why));
    }

    /// The connection is closed, or there was none. `random` is any 64 random bits.
    pub fn hung_up(&mut self, now: Tick, random: u64) {
        either!(self, link => link.hung_up(now, random));
    }

    /// What to do at `now`.
    pub fn step(&mut self, now: Tick, store: &Store) -> Step {
        either!(self, link => link.step(now, store))
    }
}
