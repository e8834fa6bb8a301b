//! How a node ends: what is told to stop, in which order, and what becomes of those who do not.

use super::{Shared, accept::Door, line_door::LineDoor, threads::DrainTurn, web::WebDoor};
use crate::core::model::Tick;

impl Shared<'_> {
    /// Takes in no more at those doors, and has the sessions finish what they have in hand.
    pub(super) fn stop_intake<'d>(&self, doors: impl Iterator<Item = &'d LineDoor<'d>>, began: Tick) {
        let drain_time = self.limits.drain_time;
        self.log.info(format_args!("{} stops: {} connections", self.node.id, self.connections.count()));
        self.stop(DrainTurn::First).set();
        // From now on no lookup waits.
        self.places.iter().for_each(|places| places.stop());
        doors.for_each(Door::wake);
        self.connections.stop();
        // A client that does not take its last replies has half of the time for it.
        if !self.threads.wait_for(DrainTurn::First, began + drain_time / 2) {
            self.connections.abort();
        }
        self.end_by(DrainTurn::First, began + drain_time);
    }

    /// Has the flooders flush. The web face ends too: it told of the drain as long as there was one to tell of.
    pub(super) fn stop_links(&self, web: Option<&WebDoor<'_>>, began: Tick) {
        self.stop(DrainTurn::Second).set();
        if let Some(door) = web {
            door.wake();
            door.end_all();
        }
        self.end_by(DrainTurn::Second, began + self.limits.drain_time);
    }

    /// Ends the log, with what is still to be told.
    pub(super) fn stop_log(&self, has_served: bool) {
        self.log_untold();
        if has_served {
            self.log.info(format_args!("{} stops, drained", self.node.id));
        }
        self.stop(DrainTurn::Last).set();
    }

    /// Waits for the threads of that turn. One that cannot be stopped would keep its scope, and so the process, for ever.
    fn end_by(&self, turn: DrainTurn, deadline: Tick) {
        if self.threads.wait_for(turn, deadline) {
            return;
        }
        let left = self.threads.names_left().join(", ");
        self.log_untold();
        self.log.error(format_args!("{} ends without having drained; threads left: {left}", self.node.id));
        self.log.flush();
        std::process::exit(1);
    }
}
