//! How a link ends when its node stops: it hands over what its neighbour lacks while there is time, and says what was
//! not accepted. Updates may lie unread in sockets, so only what the neighbour has confirmed counts.

use super::{Link, Speech};
use crate::core::{
    links::{Lost, count_lines, has_clients},
    model::Tick,
    store::Store,
};

/// What a neighbour may lack of what a node knew when it stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lack {
    /// Updates that were queued or written, but not confirmed.
    pub updates: usize,
    /// Whether a repair round was due or in progress: how much it would have sent is not known.
    pub round: bool,
    /// Whether the neighbour was linked when the node stopped, or since, and has not left. A neighbour that ended the
    /// link and cannot be dialled any more has ended, or is ending. One that only fell silent may be alive on the other
    /// side of a cut.
    pub is_stuck: bool,
}

/// A link whose node stops.
#[derive(Clone, Copy, Debug)]
pub(in crate::core::links) struct Stopping {
    by: Tick,
    was_up: bool,
    /// Whether the neighbour ended the link.
    has_left: bool,
    /// Whether it was dialled since the stop, and whether it cannot be.
    has_dialled: bool,
    is_gone: bool,
}

impl Stopping {
    /// A link that must have ended by then.
    pub(in crate::core::links) fn new(by: Tick, was_up: bool) -> Self {
        Self { by, was_up, has_left: false, has_dialled: false, is_gone: false }
    }

    /// The link has come up.
    pub(in crate::core::links) fn up(&mut self) {
        (self.was_up, self.has_left) = (true, false);
    }

    /// The link was lost.
    pub(in crate::core::links) fn lost(&mut self, why: Option<&Lost>) {
        self.has_left |= matches!(why, Some(Lost::Closed | Lost::Failed(_)));
    }

    /// The neighbour has left, as far as can be known of one that never keeps a connection.
    pub(in crate::core::links) fn left(&mut self) {
        self.has_left = true;
    }

    /// The neighbour is dialled.
    pub(in crate::core::links) fn dials(&mut self) {
        self.has_dialled = true;
    }

    /// Dialling has failed, which means nothing if it began before the stop.
    pub(in crate::core::links) fn not_reached(&mut self, now: Tick) {
        self.is_gone |= self.has_dialled && now < self.by;
    }

    /// Whether the neighbour must still be dialled once.
    pub(in crate::core::links) fn is_to_dial(&self) -> bool {
        !self.has_dialled
    }

    /// Whether time is up, or nobody is there to accept anything.
    pub(in crate::core::links) fn is_over(&self, now: Tick) -> bool {
        self.is_gone || now >= self.by
    }

    /// That time, or when the link must have ended.
    pub(in crate::core::links) fn no_later(&self, until: Tick) -> Tick {
        until.min(self.by)
    }

    /// What a neighbour lacks that has not confirmed so many updates; `round` if a round, or a sweep, was due to it.
    pub(in crate::core::links) fn lack(&self, updates: usize, round: bool) -> Option<Lack> {
        let is_stuck = self.was_up && !(self.is_gone && self.has_left);
        (updates > 0 || round).then_some(Lack { updates, round, is_stuck })
    }
}

impl Link {
    /// The node stops: until `by`, the neighbour is given what it lacks, dialled once more if the link is down, and
    /// asked to confirm it. Nothing else is begun. Only the first call counts.
    pub fn stop(&mut self, by: Tick) {
        if self.stopping.is_none() {
            self.stopping = Some(Stopping::new(by, self.is_up()));
            self.dialling.called(Tick::ZERO);
        }
    }

    /// What the neighbour may lack, once the link has ended; `None` if it has everything.
    pub fn lack(&self, store: &Store) -> Option<Lack> {
        let stopping = self.stopping?;
        let dialect = self.connection.as_ref().map(|connection| &connection.dialect);
        let unconfirmed = dialect.map_or(0, |dialect| dialect.unconfirmed());
        // As it would have been written: a third-party node is told nothing of tombstones. Without a connection nothing is
        // queued.
        let mut left = Vec::new();
        while let (Some(dialect), Ok(batch)) = (dialect, self.queue.take()) {
            dialect.write_news(&batch, &mut left);
        }
        let is_quiet = dialect.is_some_and(|dialect| dialect.is_quiet()) && !self.queue.is_behind();
        let round = !is_quiet && self.has_to_tell(store);
        stopping.lack(unconfirmed + count_lines(&left), round)
    }

    /// Whether the store has anything that the neighbour is told.
    fn has_to_tell(&self, store: &Store) -> bool {
        match self.speech {
            Speech::Herd(..) => !store.is_empty(),
            Speech::Plain(..) => has_clients(store),
        }
    }

    /// Whether the node stops and nothing more can be handed over: time is up, nobody is there to accept it, or there
    /// is no reason to dial because the node knows nothing.
    pub(super) fn is_over(&self, now: Tick, store: &Store) -> bool {
        let is_needless = self.connection.is_none() && !self.has_to_tell(store);
        self.stopping.is_some_and(|stopping| stopping.is_over(now) || is_needless)
    }

    /// That time, or when the link of a node that stops must have ended.
    pub(super) fn no_later(&self, until: Tick) -> Tick {
        self.stopping.map_or(until, |stopping| stopping.no_later(until))
    }
}

#[cfg(test)]
#[path = "stopping_tests.rs"]
mod tests;
