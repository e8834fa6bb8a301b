//! Who takes the steps of TLS handshakes: a few threads, for all connections. A step computes and never waits, but it goes
//! deep into the stack. Taken by the connection's own thread, it would leave pages touched for as long as that lives; and
//! thousands of handshakes at once would all compete with whoever is being served.

use std::{
    any::Any,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

use crossbeam_channel::{Receiver, Sender, bounded, select};

/// How many steps may wait for a thread. Further connections wait to hand theirs over.
const WAITING_STEPS_MAX: usize = 256;

type Step = Box<dyn FnOnce() + Send>;

/// Where handshakes take their steps: in the threads that serve it.
pub(crate) struct HandshakePool {
    steps: Sender<Step>,
    waiting: Receiver<Step>,
}

impl fmt::Debug for HandshakePool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandshakePool")
    }
}

impl Default for HandshakePool {
    fn default() -> Self {
        let (steps, waiting) = bounded(WAITING_STEPS_MAX);
        Self { steps, waiting }
    }
}

impl HandshakePool {
    /// Takes steps for others until `stop` disconnects. Those who ask must have ended by then.
    pub(crate) fn serve(&self, stop: &Receiver<()>) {
        loop {
            select! {
                recv(self.waiting) -> step => step.into_iter().for_each(|step| step()),
                recv(stop) -> _ => return,
            }
        }
    }

    /// Has a step taken, and waits for what comes of it. A panic in it is its caller's.
    #[inline(never)]
    pub(super) fn take<T: Send + 'static>(&self, step: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, result) = bounded(1);
        let step = move || drop(done.send(catch_unwind(AssertUnwindSafe(step))));
        // The pool has both ends, so neither call fails.
        let sent = self.steps.send(Box::new(step)).map_err(|_| lost());
        match sent.and_then(|()| result.recv().map_err(|_| lost())) {
            Ok(Ok(taken)) => taken,
            Ok(Err(panic)) | Err(panic) => resume_unwind(panic),
        }
    }
}

fn lost() -> Box<dyn Any + Send> {
    Box::new("a step of a handshake was lost")
}

#[cfg(test)]
pub(super) mod tests {
    use std::thread;

    use super::*;

    /// A pool with that many threads, while `body` runs.
    pub(in crate::transport::tls) fn with_threads<R>(
        count: usize,
        body: impl FnOnce(&HandshakePool) -> R,
    ) -> R {
        let (pool, (stop, stopped)) = (HandshakePool::default(), bounded(0));
        thread::scope(|scope| {
            for _ in 0..count {
                scope.spawn(|| pool.serve(&stopped));
            }
            // Dropped in any case, so that a failure does not wait for the threads.
            let _stop: Sender<()> = stop;
            body(&pool)
        })
    }

    #[test]
    fn steps_are_taken_by_the_pools_threads_and_come_back_to_whoever_asked() {
        with_threads(1, |pool| {
            let taker = pool.take(|| thread::current().id());
            assert_ne!(taker, thread::current().id());
            thread::scope(|scope| {
                // Far more than may wait.
                let asked: Vec<_> = (0..3 * WAITING_STEPS_MAX)
                    .map(|number| scope.spawn(move || pool.take(move || (number, thread::current().id()))))
                    .collect();
                for (number, asked) in asked.into_iter().enumerate() {
                    assert_eq!(asked.join().unwrap(), (number, taker));
                }
            });
        });
    }

    #[test]
    fn panic_in_a_step_is_its_callers_and_the_thread_goes_on() {
        with_threads(1, |pool| {
            let panic = catch_unwind(AssertUnwindSafe(|| pool.take(|| resume_unwind(Box::new("a bug")))));
            assert_eq!(panic.map(|()| "none").unwrap_err().downcast_ref(), Some(&"a bug"));
            assert_eq!(pool.take(|| 7), 7);
        });
    }
}
