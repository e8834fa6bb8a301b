//! Which threads live, by name: so that a drain can be waited for with a deadline, and what is left be named.

use std::collections::BTreeMap;

use parking_lot::{Condvar, Mutex};

use crate::{core::model::Tick, system::clock};

/// The living threads.
#[derive(Debug, Default)]
pub(super) struct Threads {
    living: Mutex<Living>,
    one_left: Condvar,
}

#[derive(Debug, Default)]
struct Living {
    names: BTreeMap<u64, String>,
    entered: u64,
}

/// A living thread, until it is dropped.
#[derive(Debug)]
pub(super) struct Alive<'a> {
    threads: &'a Threads,
    number: u64,
}

impl Threads {
    /// Counts a thread in. Called before the thread is made, so that none is overlooked while it starts.
    pub(super) fn enter(&self, name: &str) -> Alive<'_> {
        let mut living = self.living.lock();
        living.entered += 1;
        let number = living.entered;
        living.names.insert(number, name.to_owned());
        Alive { threads: self, number }
    }

    /// Waits until no thread whose name `counts` lives; `false` if some still do at the deadline.
    pub(super) fn wait_until_none(&self, deadline: Tick, counts: impl Fn(&str) -> bool) -> bool {
        let mut living = self.living.lock();
        loop {
            if !living.names.values().any(|name| counts(name)) {
                return true;
            }
            let left = deadline.saturating_sub(clock::tick());
            if left.is_zero() {
                return false;
            }
            self.one_left.wait_for(&mut living, left);
        }
    }

    /// The living threads' names.
    pub(super) fn names(&self) -> Vec<String> {
        self.living.lock().names.values().cloned().collect()
    }
}

impl Drop for Alive<'_> {
    fn drop(&mut self) {
        self.threads.living.lock().names.remove(&self.number);
        self.threads.one_left.notify_all();
    }
}
