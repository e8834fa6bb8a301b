//! What is left to do for a journal whose thread panics: others must learn that nothing is kept any more.

use std::thread;

use parking_lot::Mutex;

use crate::journal::JournalCondition;

/// What has happened then.
pub(super) const DEATH: &str = "the journal's thread has panicked, which is a bug";

/// Fails the journal if its thread panics while this is alive.
pub(super) struct DeathNotice<'a> {
    pub(super) condition: &'a Mutex<JournalCondition>,
    /// Lets those go on who wait for it.
    pub(super) release: &'a dyn Fn(),
}

impl Drop for DeathNotice<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let mut condition = self.condition.lock();
            condition.has_died = true;
            if condition.failing.replace(DEATH.to_owned()).is_none() {
                condition.failures += 1;
            }
            // Nobody counts any more what is not on the disk.
            condition.unsynced = condition.unsynced.max(1);
            drop(condition);
            (self.release)();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        cell::Cell,
        panic::{AssertUnwindSafe, catch_unwind},
    };

    use super::*;

    #[test]
    fn thread_that_panics_leaves_word_and_one_that_ends_does_not() {
        for panics in [false, true] {
            let (condition, is_released) = (Mutex::default(), Cell::new(false));
            let ended = catch_unwind(AssertUnwindSafe(|| {
                let _notice = DeathNotice { condition: &condition, release: &|| is_released.set(true) };
                assert!(!panics, "so it panics here");
            }));
            assert_eq!((ended.is_err(), is_released.get()), (panics, panics));
            let JournalCondition { has_died, failing, failures, unsynced, .. } = condition.into_inner();
            assert_eq!((has_died, failing.is_some()), (panics, panics));
            assert_eq!((failures, unsynced), (u64::from(panics), u64::from(panics)));
        }
    }
}
