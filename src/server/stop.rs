//! How a node ends: what is told to stop, in which order and for how long, and what happens to threads that do not.

use std::time::Duration;

use super::{
    Shared, accept::Door, commits::Uncommitted, line_door::LineDoor, threads::DrainTurn, web::WebDoor,
};
use crate::{
    core::model::{NodeId, Tick},
    journal::JournalLack,
    system::{clock, standard_error},
};

/// How long the log has to be written out, whatever part of the drain's time the others used.
const LOG_TIME: Duration = Duration::from_secs(1);

/// How long the journal has for its last sync, whatever part of the drain's time the others used.
const JOURNAL_TIME: Duration = Duration::from_secs(1);

/// What a stop left undone.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Lacking {
    /// The neighbours that were linked then and did not take all that they lacked.
    pub neighbours: Vec<NodeId>,
    /// What the journal lacks of what has changed.
    pub journal: Option<JournalLack>,
}

impl Lacking {
    /// Whether nothing was left undone.
    pub fn is_nothing(&self) -> bool {
        self.neighbours.is_empty() && self.journal.is_none()
    }
}

/// A drain: when it began, and how long it may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drain {
    began: Tick,
    time: Duration,
}

impl Drain {
    pub(super) fn new(began: Tick, time: Duration) -> Self {
        Self { began, time }
    }

    /// When a client that does not read its last replies is cut off: halfway.
    fn cuts_off_at(self) -> Tick {
        self.began + self.time / 2
    }

    /// When a neighbour that does not accept what it lacks is given up: after three quarters, so that what must be
    /// logged about it reaches the log in time.
    fn gives_up_at(self) -> Tick {
        self.began + self.time * 3 / 4
    }

    fn ends_at(self) -> Tick {
        self.began + self.time
    }
}

impl Shared<'_> {
    /// Stops accepting at those doors, and has the sessions finish what they have in hand.
    pub(super) fn stop_intake<'d>(&self, doors: impl Iterator<Item = &'d LineDoor<'d>>, drain: Drain) {
        self.log.info(format_args!("{} stops: {} connections", self.node.id, self.connections.count()));
        self.stop(DrainTurn::First).set(drain.cuts_off_at());
        // From now on no lookup waits.
        self.places.iter().for_each(|places| places.stop());
        doors.for_each(Door::wake);
        self.commits.iter().for_each(|commits| commits.stop(drain.cuts_off_at(), Uncommitted::Stopping));
        self.connections.stop();
        let left = self.threads.wait_for(DrainTurn::First, drain.cuts_off_at());
        // If no time is left, there is none to end them in either.
        if !left.is_empty() && clock::tick() < drain.ends_at() {
            self.connections.abort();
        }
        self.end_by(DrainTurn::First, drain.ends_at());
    }

    /// Has the flooders hand over what their neighbours lack. The web face ends too: it was there to report on the
    /// drain while clients were served.
    pub(super) fn stop_links(&self, web: Option<&WebDoor<'_>>, drain: Drain) {
        self.stop(DrainTurn::Second).set(drain.gives_up_at());
        if let Some(door) = web {
            door.wake();
            door.end_all();
        }
        self.end_by(DrainTurn::Second, drain.ends_at());
    }

    /// Has the journal bring to the disk what has changed, with a snapshot if there is time.
    pub(super) fn stop_journal(&self, drain: Drain) {
        self.stop(DrainTurn::Third).set(drain.ends_at());
        self.end_by(DrainTurn::Third, drain.ends_at().max(clock::tick()) + JOURNAL_TIME);
    }

    /// Ends the log after its last lines. Returns what was left undone.
    pub(super) fn stop_log(&self, has_served: bool, drain: Drain) -> Lacking {
        let neighbours = std::mem::take(&mut *self.lacking.lock());
        let journal = self.journal.as_ref().and_then(|journal| journal.lock().lack());
        let lacking = Lacking { neighbours, journal };
        self.log_untold();
        let id = &self.node.id;
        if !lacking.neighbours.is_empty() {
            let names: Vec<_> = lacking.neighbours.iter().map(NodeId::as_str).collect();
            self.log.error(format_args!(
                "{id} stops without having handed over everything to {}",
                names.join(", ")
            ));
        }
        if lacking.journal.is_some() {
            self.log.error(format_args!("{id} stops without having kept everything in its journal"));
        }
        if has_served && lacking.is_nothing() {
            self.log.info(format_args!("{id} stops, drained"));
        }
        let by = drain.ends_at().max(clock::tick() + LOG_TIME);
        self.stop(DrainTurn::Last).set(by);
        self.end_by(DrainTurn::Last, by);
        lacking
    }

    /// Waits for the threads of that turn. One that cannot be stopped would keep its scope, and so the process, alive
    /// for ever.
    fn end_by(&self, turn: DrainTurn, deadline: Tick) {
        let left = self.threads.wait_for(turn, deadline);
        if !left.is_empty() {
            self.give_up(turn, &left.join(", "));
        }
    }

    /// Names the threads that are left, in the log and on standard error, and ends the process. Even then the log is
    /// written only by its own thread, because what that thread writes to may be what hangs.
    fn give_up(&self, turn: DrainTurn, left: &str) -> ! {
        let id = &self.node.id;
        let last_words = match turn {
            DrainTurn::Last => format!("{id} has drained, but its log has not; threads left: {left}"),
            _ => format!("{id} ends without having drained; threads left: {left}"),
        };
        self.log_untold();
        self.log.error(format_args!("{last_words}"));
        let by = if turn == DrainTurn::Last { Tick::ZERO } else { clock::tick() + LOG_TIME };
        self.stop(DrainTurn::Last).set(by);
        if !self.threads.wait_for_log(by).is_empty() {
            self.log.tell_stalled();
        }
        standard_error::say(last_words);
        std::process::exit(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_have_half_of_a_drain_and_neighbours_three_quarters() {
        let drain = Drain::new(Duration::from_secs(100), Duration::from_secs(10));
        let seconds = [drain.cuts_off_at(), drain.gives_up_at(), drain.ends_at()].map(|at| at.as_millis());
        assert_eq!(seconds, [105_000, 107_500, 110_000]);
    }
}
