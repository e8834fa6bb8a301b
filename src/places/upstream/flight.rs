//! A call in progress, and the lookups that wait for it.

use std::{sync::Arc, time::Duration};

use parking_lot::{Condvar, Mutex};

use crate::places::{Failure, cut::Document};

/// The result of a call; the same for all who wait.
pub(super) type Landed = Result<Arc<Document>, Failure>;

/// One call.
#[derive(Default, Debug)]
pub(super) struct Flight {
    answer: Mutex<Option<Landed>>,
    has_landed: Condvar,
}

impl Flight {
    /// Gives the result to those who wait.
    pub(super) fn land(&self, answer: Landed) {
        *self.answer.lock() = Some(answer);
        self.has_landed.notify_all();
    }

    /// Waits for the answer; `None` if it takes longer.
    pub(super) fn wait(&self, patience: Duration) -> Option<Landed> {
        let mut answer = self.answer.lock();
        self.has_landed.wait_while_for(&mut answer, |answer| answer.is_none(), patience);
        answer.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn all_who_wait_get_the_one_answer() {
        let flight = Arc::new(Flight::default());
        assert!(flight.wait(Duration::from_millis(1)).is_none());
        let failure = Failure { status: "UNKNOWN_ERROR", message: "down".to_owned() };
        let wait = |_| {
            let flight = Arc::clone(&flight);
            thread::spawn(move || flight.wait(Duration::from_secs(60)))
        };
        let waiters: Vec<_> = (0..4).map(wait).collect();
        flight.land(Err(failure.clone()));
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), Some(Err(failure.clone())));
        }
        assert!(flight.wait(Duration::ZERO).is_some(), "who comes late has it at once");
    }
}
