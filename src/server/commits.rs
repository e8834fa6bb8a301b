//! Where sessions wait for the journal, if their replies may leave only once what they acknowledge is on the disk.
//!
//! Batches are offered and numbered under one lock, and under the same lock the journal's thread takes all that were
//! offered. So whatever has a number up to the one it finds there is in its hands, and nothing has to be counted again.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use thiserror::Error;

use crate::{core::model::Tick, system::clock};

/// The numbers of batches, offered and on the disk.
#[derive(Debug)]
pub(super) struct Commits {
    offered: Mutex<u64>,
    committed: Mutex<Committed>,
    more: Condvar,
    /// How long a session waits.
    time: Duration,
}

#[derive(Debug, Default)]
struct Committed {
    /// Everything up to that number is on the disk.
    number: u64,
    /// When nobody waits any longer, and why, if that is so.
    end: Option<(Tick, Uncommitted)>,
}

/// Why a batch is not known to be on the disk. Displays as `within 5s`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub(super) enum Uncommitted {
    /// It took longer than that.
    #[error("within {0:?}")]
    Late(Duration),
    /// The node stops.
    #[error("in time for this node's stop")]
    Stopping,
    /// The journal's thread has panicked.
    #[error("when the journal's thread panicked")]
    Panicked,
}

impl Commits {
    pub(super) fn new(time: Duration) -> Self {
        Self { offered: Mutex::new(0), committed: Mutex::default(), more: Condvar::new(), time }
    }

    /// Offers a batch; its number.
    pub(super) fn offer(&self, offer: impl FnOnce()) -> u64 {
        let mut offered = self.offered.lock();
        offer();
        *offered += 1;
        *offered
    }

    /// Takes everything that was offered; the last number of it.
    pub(super) fn take(&self, take: impl FnOnce()) -> u64 {
        let offered = self.offered.lock();
        take();
        *offered
    }

    /// Everything up to that number is on the disk.
    pub(super) fn commit(&self, number: u64) {
        self.committed.lock().number = number;
        self.more.notify_all();
    }

    /// Nobody waits beyond that time, nor beyond an earlier one that was given before.
    pub(super) fn stop(&self, by: Tick, why: Uncommitted) {
        let mut committed = self.committed.lock();
        if committed.end.is_none_or(|(end, _)| by < end) {
            committed.end = Some((by, why));
        }
        drop(committed);
        self.more.notify_all();
    }

    /// Waits until a batch is on the disk, for as long as sessions wait.
    pub(super) fn wait(&self, number: u64) -> Result<(), Uncommitted> {
        let until: Tick = clock::tick() + self.time;
        let late = (until, Uncommitted::Late(self.time));
        let mut committed = self.committed.lock();
        while committed.number < number {
            let (until, why) = committed.end.filter(|(end, _)| *end < until).unwrap_or(late);
            let left = until.saturating_sub(clock::tick());
            if left.is_zero() {
                return Err(why);
            }
            self.more.wait_for(&mut committed, left);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// Longer than any test takes.
    const LONG: Duration = Duration::from_secs(3_600);

    #[test]
    fn batch_is_awaited_until_it_is_on_the_disk_and_no_longer() {
        let commits = Commits::new(LONG);
        let mut taken = Vec::new();
        let queue = Mutex::new(Vec::new());
        let first = commits.offer(|| queue.lock().push("first"));
        let number = commits.take(|| taken.append(&mut queue.lock()));
        let second = commits.offer(|| queue.lock().push("second"));
        assert_eq!((number, taken), (first, vec!["first"]));
        assert!(second > first);
        commits.commit(number);
        assert_eq!(commits.wait(first), Ok(()));
        thread::scope(|scope| {
            let waits = scope.spawn(|| commits.wait(second));
            commits.commit(commits.take(|| queue.lock().clear()));
            assert_eq!(waits.join().unwrap(), Ok(()));
        });
    }

    #[test]
    fn nobody_waits_beyond_the_stop() {
        let commits = Commits::new(LONG);
        let number = commits.offer(|| {});
        thread::scope(|scope| {
            let waits = scope.spawn(|| commits.wait(number));
            commits.stop(clock::tick(), Uncommitted::Stopping);
            assert_eq!(waits.join().unwrap(), Err(Uncommitted::Stopping));
        });
    }

    #[test]
    fn nobody_waits_for_a_journal_that_has_panicked_though_the_stop_would_give_time() {
        let commits = Commits::new(LONG);
        let number = commits.offer(|| {});
        commits.stop(Tick::ZERO, Uncommitted::Panicked);
        commits.stop(clock::tick() + LONG, Uncommitted::Stopping);
        assert_eq!(commits.wait(number), Err(Uncommitted::Panicked));
    }

    #[test]
    fn wait_that_is_too_long_says_how_long_it_was() {
        let time = Duration::from_millis(1);
        let commits = Commits::new(time);
        let number = commits.offer(|| {});
        assert_eq!(commits.wait(number), Err(Uncommitted::Late(time)));
    }
}
