//! What a flooder carries out: a link in this program's own words, or one to a node written by others.

use super::{Broken, Heard, Link, Next, PlainLink, Queue, RoundOver};
use crate::core::{
    model::Tick,
    store::Store,
    wire::{Line, Nonce},
};

/// Either kind of link.
#[derive(Debug)]
pub enum Conversation {
    /// With one of this program's nodes.
    Herd(Link),
    /// With a node written by others.
    Plain(PlainLink),
}

impl Conversation {
    /// What waits to be written; to wait for more of it.
    pub fn queue(&self) -> &Queue {
        match self {
            Self::Herd(link) => link.queue(),
            Self::Plain(link) => link.queue(),
        }
    }

    /// Whether news is queued and written.
    pub fn is_up(&self) -> bool {
        match self {
            Self::Herd(link) => link.is_up(),
            Self::Plain(link) => link.is_up(),
        }
    }

    /// When the oldest ping was sent that is not answered.
    pub fn pinged_at(&self) -> Option<Tick> {
        match self {
            Self::Herd(link) => link.pinged_at(),
            Self::Plain(_) => None,
        }
    }

    /// When the neighbour is gone that owes an answer, unless it is heard before.
    pub fn silent_at(&self) -> Option<Tick> {
        match self {
            Self::Herd(link) => link.silent_at(),
            Self::Plain(_) => None,
        }
    }

    /// What is left in the queue is written, and nothing else begun.
    pub fn stop(&mut self) {
        match self {
            Self::Herd(link) => link.stop(),
            Self::Plain(link) => link.stop(),
        }
    }

    /// A connection is there: appends what is said first.
    pub fn connected(&mut self, now: Tick, nonce: Nonce, store: &Store, out: &mut Vec<u8>) {
        match self {
            Self::Herd(link) => link.connected(now, nonce, store, out),
            Self::Plain(link) => link.connected(now),
        }
    }

    /// The connection broke, or dialling failed. `random` is any 64 random bits.
    pub fn lost(&mut self, now: Tick, random: u64) {
        match self {
            Self::Herd(link) => link.lost(now, random),
            Self::Plain(link) => link.lost(now, random),
        }
    }

    /// The neighbour has just connected to this node, so it can be dialled without waiting.
    pub fn neighbour_called(&mut self, now: Tick) {
        match self {
            Self::Herd(link) => link.neighbour_called(now),
            Self::Plain(link) => link.neighbour_called(now),
        }
    }

    /// What to do at `now`, and what a sweep that has ended has done.
    pub fn next(
        &mut self,
        now: Tick,
        store: &Store,
        out: &mut Vec<u8>,
    ) -> Result<(Next, Option<RoundOver>), Broken> {
        match self {
            Self::Herd(link) => link.next(now, store, out).map(|next| (next, None)),
            Self::Plain(link) => Ok(link.next(now, store, out)),
        }
    }

    /// Takes a line of the neighbour. What a node written by others says on this connection is thrown away.
    pub fn hear(
        &mut self,
        line: Line<'_>,
        now: Tick,
        random: impl FnOnce() -> u64,
        store: &Store,
    ) -> Result<Heard, Broken> {
        match (self, line) {
            (Self::Herd(link), Line::Whole(line, _)) => link.hear(line, now, random, store),
            (Self::Herd(_), Line::TooLong(..)) => Err(Broken::Nonsense),
            (Self::Plain(_), _) => Ok(Heard::Nothing),
        }
    }
}
