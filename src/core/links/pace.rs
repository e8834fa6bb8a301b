//! How much of a repair may be in flight, so that what is sent after it, above all updates, arrives soon even on a slow
//! link. Sockets, and whatever else is between two nodes, may hold megabytes, and nobody can tell how much. So a ping
//! follows what is pushed, and no more is pushed before that is answered.

use std::time::Duration;

/// The window for pushing in a round, sized by how soon the neighbour accepts it.
#[derive(Debug)]
pub(super) struct Pace {
    window: usize,
    /// What was pushed since the last ping.
    pushed: usize,
    /// What was pushed before the unanswered ping.
    pinged: Option<usize>,
}

impl Pace {
    /// If a window takes the neighbour longer than this, the next one is smaller; if not, larger.
    pub(super) const TIME: Duration = Duration::from_millis(500);
    /// The first window, and the smallest: so little that a link of 3 kB/s carries it within the liveness time of 5 s.
    /// It is less than sockets hold, so it leaves at once, and no byte is seen to move until all of it has arrived.
    pub(super) const BYTES_MIN: usize = 16 * 1024;
    /// The largest window: on a link without delay, sending it takes long compared to waiting for an answer.
    pub(super) const BYTES_MAX: usize = 1024 * 1024;

    /// For a connection on which nothing was pushed or pinged yet.
    pub(super) fn new() -> Self {
        Self { window: Self::BYTES_MIN, pushed: 0, pinged: None }
    }

    /// A round begins. What the one before found out may be old.
    pub(super) fn begin(&mut self) {
        self.window = Self::BYTES_MIN;
    }

    /// How much may be pushed now.
    pub(super) fn room(&self) -> usize {
        if self.pinged.is_some() { 0 } else { self.window.saturating_sub(self.pushed) }
    }

    /// So much is pushed.
    pub(super) fn push(&mut self, bytes: usize) {
        self.pushed += bytes;
    }

    /// Whether a ping must follow before more is pushed.
    pub(super) fn is_full(&self) -> bool {
        self.pinged.is_none() && self.pushed >= self.window
    }

    /// A ping follows what was pushed.
    pub(super) fn ping(&mut self) {
        self.pinged = Some(std::mem::take(&mut self.pushed));
    }

    /// That ping was answered after so long. A window that was not full says nothing about a larger one.
    pub(super) fn answered(&mut self, took: Duration) {
        let was_full = self.pinged.take().is_some_and(|pushed| pushed >= self.window);
        if took > Self::TIME {
            self.window = (self.window / 2).max(Self::BYTES_MIN);
        } else if was_full {
            self.window = (self.window * 2).min(Self::BYTES_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Pace::TIME;
    const LATE: Duration = Pace::TIME.saturating_add(Duration::from_nanos(1));

    /// Pushes as much as there is room for, and returns how much that was.
    fn fill(pace: &mut Pace) -> usize {
        let room = pace.room();
        pace.push(room);
        assert!(pace.is_full() && pace.room() == 0);
        pace.ping();
        assert!(!pace.is_full() && pace.room() == 0, "nothing is pushed while a ping is unanswered");
        room
    }

    #[test]
    fn window_follows_what_the_neighbour_takes_within_its_bounds() {
        let mut pace = Pace::new();
        let mut windows = Vec::new();
        for took in [SOON, LATE, LATE, LATE, LATE, SOON, SOON, SOON, SOON, SOON, SOON, SOON] {
            windows.push(fill(&mut pace) / 1024);
            pace.answered(took);
        }
        assert_eq!(windows, [16, 32, 16, 16, 16, 16, 32, 64, 128, 256, 512, 1024]);
        assert_eq!(fill(&mut pace), Pace::BYTES_MAX);
        // The next round does not rely on it, and a ping in flight remains so.
        pace.begin();
        assert_eq!(pace.room(), 0);
        pace.answered(SOON);
        assert_eq!(pace.room(), Pace::BYTES_MIN * 2);
    }

    #[test]
    fn ping_that_came_before_the_window_was_full_makes_it_smaller_but_not_larger() {
        let mut pace = Pace::new();
        fill(&mut pace);
        pace.answered(SOON);
        pace.push(2 * Pace::BYTES_MIN - 1);
        assert!(!pace.is_full() && pace.room() == 1);
        pace.ping();
        pace.answered(SOON);
        assert_eq!(pace.room(), 2 * Pace::BYTES_MIN);
        pace.ping();
        pace.answered(LATE);
        assert_eq!(pace.room(), Pace::BYTES_MIN);
    }
}
