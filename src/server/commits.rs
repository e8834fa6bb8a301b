//! Where sessions wait for the journal, if their replies may leave only once what they acknowledge is on the disk.
//!
//! Batches are offered and numbered under one lock, and under the same lock the journal's thread takes all that were
//! offered. So whatever has a number up to the one it finds there is in its hands, and nothing has to be counted again.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

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
    /// When nobody waits any longer, if the node stops.
    by: Option<Tick>,
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

    /// The node stops: nobody waits beyond that time.
    pub(super) fn stop(&self, by: Tick) {
        self.committed.lock().by = Some(by);
        self.more.notify_all();
    }

    /// Waits until a batch is on the disk; how long that was too long, if it is not.
    pub(super) fn wait(&self, number: u64) -> Result<(), Duration> {
        let until: Tick = clock::tick() + self.time;
        let mut committed = self.committed.lock();
        while committed.number < number {
            let until = committed.by.map_or(until, |by| until.min(by));
            let left = until.saturating_sub(clock::tick());
            if left.is_zero() {
                return Err(self.time);
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
            commits.stop(clock::tick());
            assert_eq!(waits.join().unwrap(), Err(LONG));
        });
    }

    #[test]
    fn wait_that_is_too_long_says_how_long_it_was() {
        let time = Duration::from_millis(1);
        let commits = Commits::new(time);
        let number = commits.offer(|| {});
        assert_eq!(commits.wait(number), Err(time));
    }
}
