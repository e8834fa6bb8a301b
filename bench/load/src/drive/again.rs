//! Turns that do not count: what was measured before one can be put back after it, and a turn that was abandoned leaves
//! nothing to the next. What was sent stays, since a server's log holds it, and so does each reply that was wrong: no host
//! makes a reply wrong.

use super::{Drive, SoFar, connect, connection::Connection, tally::Counts};
use crate::{
    load::LoadError,
    outcome::{End, Errors},
};

/// What the turns so far have measured.
#[derive(Clone, Debug)]
pub struct Measured {
    counts: Counts,
    errors: Errors,
    so_far: SoFar,
}

impl Measured {
    /// Whether all turns went to their ends. One that was given up or cut off was no longer under the load.
    pub fn is_whole(&self) -> bool {
        self.so_far.end == End::Complete
    }
}

impl Drive {
    /// What the turns so far have measured.
    pub fn measured(&mut self) -> Measured {
        self.tally.take_in();
        let (counts, so_far) = (self.tally.counts.clone(), self.so_far.clone());
        Measured { counts, errors: self.tally.errors, so_far }
    }

    /// Has measured this, and nothing else but replies that were wrong. Fails if the turn that is dropped was abandoned
    /// and the server does not take new connections.
    pub fn restore(&mut self, measured: &Measured) -> Result<(), LoadError> {
        self.tally.take_in();
        let was_abandoned = self.is_over();
        // What a dropped turn got no answer to may never have reached the server.
        let Errors { refused, wrong, surplus, unanswered, .. } = self.tally.errors;
        let Measured { counts, errors, so_far } = measured.clone();
        self.sent = self.sent + errors.unanswered - unanswered;
        (self.tally.counts, self.so_far) = (counts, so_far);
        self.tally.errors = Errors { refused, wrong, surplus, ..errors };
        if was_abandoned && !self.is_over() { self.reopen_all() } else { Ok(()) }
    }

    /// Whether a turn that counts was not taken to its end; then no more are taken.
    pub fn is_over(&self) -> bool {
        self.so_far.end != End::Complete
    }

    /// Requests sent in all turns, those included that do not count, except what was not answered in these.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Replaces all connections, on which replies to an abandoned turn could still come.
    fn reopen_all(&mut self) -> Result<(), LoadError> {
        let Self { load, connections, questioner, poll, .. } = self;
        for connection in connections.iter_mut() {
            let Connection { keys, quota, due, left, .. } = connection;
            questioner.forget(keys);
            (*quota, *due, *left) = (0, 0, 0);
            connection.hang_up();
        }
        self.closed.clear();
        self.outstanding = 0;
        // A server that hangs may leave even a connection waiting.
        connect(load, connections, poll.registry(), load.patience)
    }
}
