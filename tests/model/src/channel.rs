//! What the outbox has of `crossbeam_channel`: a bounded queue under one of the checker's locks. It promises less order
//! than the real one only where a model cannot tell: nobody waits in it.

use std::collections::VecDeque;

use loom::sync::Mutex;

use crate::sync::Arc;

/// Why nothing was received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TryRecvError {
    /// There is nothing now.
    Empty,
    /// There never will be; not so in a model, which keeps both ends.
    Disconnected,
}

/// Why something was not sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TrySendError<T> {
    /// There is no room.
    Full(T),
    /// Nobody will receive it; not so in a model.
    Disconnected(T),
}

#[derive(Debug)]
struct Shared<T> {
    queue: Mutex<VecDeque<T>>,
    capacity: usize,
}

/// The sending end.
#[derive(Debug)]
pub struct Sender<T>(Arc<Shared<T>>);

/// The receiving end.
#[derive(Debug)]
pub struct Receiver<T>(Arc<Shared<T>>);

/// The two ends of a queue for so many.
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared { queue: Mutex::new(VecDeque::new()), capacity });
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

impl<T> Shared<T> {
    fn with<R>(&self, act: impl FnOnce(&mut VecDeque<T>) -> R) -> R {
        act(&mut self.queue.lock().expect("nobody panics under it"))
    }
}

impl<T> Sender<T> {
    /// Queues it if there is room.
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        self.0.with(|queue| {
            if queue.len() == self.0.capacity {
                return Err(TrySendError::Full(value));
            }
            queue.push_back(value);
            Ok(())
        })
    }
}

impl<T> Receiver<T> {
    /// Takes the first, if there is one.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.0.with(|queue| queue.pop_front().ok_or(TryRecvError::Empty))
    }

    /// Whether there is nothing now.
    pub fn is_empty(&self) -> bool {
        self.0.with(|queue| queue.is_empty())
    }
}
