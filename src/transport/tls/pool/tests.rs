//! What a pool takes, and whose its panics are.

use std::thread;

use super::*;

/// A pool with that many threads, while `body` runs.
pub(in crate::transport::tls) fn with_threads<R>(count: usize, body: impl FnOnce(&HandshakePool) -> R) -> R {
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
