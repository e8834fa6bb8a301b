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

type HandshakeStep = Box<dyn FnOnce() + Send>;

/// Where handshakes take their steps: in the threads that serve it.
pub(crate) struct HandshakePool {
    steps: Sender<HandshakeStep>,
    waiting: Receiver<HandshakeStep>,
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
pub(super) mod tests;
