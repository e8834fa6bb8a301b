//! What waits for one subscriber to changes, a link or another: batches shared with the other subscribers, bounded in
//! bytes and in number. Sessions offer and never wait; the subscriber takes. A batch that finds no room leaves a mark,
//! which makes the subscriber compare with the store: a link by a round, any other by walking it.
//!
//! Nothing is missed if both sides keep their order. A session stores, then offers or marks. The flooder opens the outbox,
//! clears the mark, then reads the store's sums. So whatever is not in those sums will be queued, or will mark again.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use crossbeam_channel::{Receiver, Sender, TryRecvError, TrySendError};

/// Lines ready to be written, terminators included.
pub type Encoded = Arc<[u8]>;

/// What bounds the number of batches: as many as fill the bytes at this size, so that the channel's own memory is a
/// tenth of the bytes. Batches of lines are seldom shorter than half of it, so on a busy link the bytes are the bound;
/// batches of keys take 8 bytes per key, so the number is, unless a batch has many.
const BATCH_BYTES_MEAN: usize = 256;

/// What became of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Offer {
    /// It will be written.
    Queued,
    /// There was no room; the subscriber is marked, and compares with the store.
    Dropped,
    /// The subscriber sleeps. Nothing is queued for it, and it compares with the store when it wakes.
    Down,
}

/// The sessions' end.
#[derive(Debug)]
pub struct Outbox<T = u8> {
    sender: Sender<Arc<[T]>>,
    shared: Arc<OutboxState>,
    bytes_max: usize,
}

/// The subscriber's end.
#[derive(Debug)]
pub struct Queue<T = u8> {
    receiver: Receiver<Arc<[T]>>,
    shared: Arc<OutboxState>,
}

#[derive(Debug, Default)]
struct OutboxState {
    is_open: AtomicBool,
    /// Set if the subscriber may lack something that this node has, other than what is queued.
    is_behind: AtomicBool,
    bytes: AtomicUsize,
}

/// The two ends of an outbox that holds at most `bytes_max`. It is closed at first.
pub fn outbox<T>(bytes_max: usize) -> (Outbox<T>, Queue<T>) {
    let (sender, receiver) = crossbeam_channel::bounded((bytes_max / BATCH_BYTES_MEAN).max(1));
    let shared = Arc::new(OutboxState::default());
    (Outbox { sender, shared: Arc::clone(&shared), bytes_max }, Queue { receiver, shared })
}

impl<T> Outbox<T> {
    /// Queues a batch if there is room for it. Never waits.
    pub fn offer(&self, batch: &Arc<[T]>) -> Offer {
        if !self.is_open() {
            return Offer::Down;
        }
        let length = size_of_val(&batch[..]);
        let held = self.shared.bytes.fetch_add(length, Ordering::Relaxed);
        if held + length <= self.bytes_max {
            match self.sender.try_send(Arc::clone(batch)) {
                Ok(()) => return Offer::Queued,
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
            }
        }
        self.shared.bytes.fetch_sub(length, Ordering::Relaxed);
        // A subscriber that waits for batches must be woken, or it would see the mark only with the next one.
        self.mark_behind();
        Offer::Dropped
    }

    /// Whether there is anyone to offer to. Asked after storing: a subscriber that opens later finds what is stored.
    pub fn is_open(&self) -> bool {
        self.shared.is_open.load(Ordering::Acquire)
    }

    /// How many bytes wait.
    pub fn bytes(&self) -> usize {
        self.shared.bytes.load(Ordering::Relaxed)
    }

    /// Whether the subscriber may lack what is stored and is not queued.
    pub fn is_behind(&self) -> bool {
        self.shared.is_behind.load(Ordering::Relaxed)
    }

    /// Notes that the store has something that this subscriber may lack and will not be offered.
    pub fn mark_behind(&self) {
        // An empty batch wakes a waiting subscriber, once per mark, so that empty batches do not use up the room. If
        // there is no room for it, nobody is waiting.
        if !self.shared.is_behind.swap(true, Ordering::AcqRel) {
            let _ = self.sender.try_send(Arc::default());
        }
    }
}

impl<T> Queue<T> {
    /// Starts queueing. Discards first what a session had in hand when the link went down.
    pub fn open(&self) {
        while self.take().is_ok() {}
        self.shared.is_open.store(true, Ordering::Release);
    }

    /// Stops queueing, and discards what is queued.
    pub fn close(&self) {
        self.shared.is_open.store(false, Ordering::Release);
        while self.take().is_ok() {}
    }

    /// Whether the subscriber may lack what is stored and is not queued.
    pub fn is_behind(&self) -> bool {
        self.shared.is_behind.load(Ordering::Acquire)
    }

    /// The subscriber begins to compare with the store, which takes care of all marks so far. Returns whether there was
    /// one.
    pub fn clear_mark(&self) -> bool {
        self.shared.is_behind.swap(false, Ordering::AcqRel)
    }

    /// Takes back [`Queue::clear_mark`]: the subscriber could not compare.
    pub fn mark_again(&self) {
        self.shared.is_behind.swap(true, Ordering::AcqRel);
    }

    /// The next batch, if there is one now.
    pub fn take(&self) -> Result<Arc<[T]>, TryRecvError> {
        self.receiver.try_recv().map(|batch| self.taken(batch))
    }

    /// To wait on; whatever comes out of it must be passed through [`Queue::taken`].
    pub fn receiver(&self) -> &Receiver<Arc<[T]>> {
        &self.receiver
    }

    /// Accounts for a batch that came out of the channel.
    pub fn taken(&self, batch: Arc<[T]>) -> Arc<[T]> {
        self.shared.bytes.fetch_sub(size_of_val(&batch[..]), Ordering::Relaxed);
        batch
    }
}

/// A subscriber that is gone, however it went, is offered nothing more, and from then on lacks what is stored.
impl<T> Drop for Queue<T> {
    fn drop(&mut self) {
        self.close();
        self.shared.is_behind.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(length: usize) -> Encoded {
        vec![b'x'; length].into()
    }

    #[test]
    fn bytes_are_bounded_at_the_edge_and_come_free_again() {
        let (outbox, queue) = outbox(1000);
        queue.open();
        assert_eq!(outbox.offer(&batch(600)), Offer::Queued);
        assert_eq!(outbox.offer(&batch(401)), Offer::Dropped);
        assert_eq!(outbox.offer(&batch(400)), Offer::Queued);
        assert_eq!(outbox.offer(&batch(1)), Offer::Dropped);
        assert_eq!(queue.take().unwrap().len(), 600);
        assert_eq!(outbox.offer(&batch(600)), Offer::Queued);
        assert_eq!(outbox.offer(&batch(1)), Offer::Dropped);
    }

    #[test]
    fn what_finds_no_room_leaves_a_mark() {
        let (outbox, queue) = outbox(1000);
        queue.open();
        outbox.offer(&batch(1000));
        assert!(!queue.is_behind());
        outbox.offer(&batch(1));
        assert!(queue.is_behind());
        queue.clear_mark();
        assert!(!queue.is_behind());
        queue.take().unwrap();
        outbox.mark_behind();
        assert!(queue.is_behind());
        assert_eq!(queue.take().as_deref(), Ok(&[][..]));
    }

    #[test]
    fn number_is_bounded_too() {
        let (outbox, queue) = outbox(BATCH_BYTES_MEAN * 3);
        queue.open();
        let offers: Vec<Offer> = (0..4).map(|_| outbox.offer(&batch(1))).collect();
        assert_eq!(offers, [Offer::Queued, Offer::Queued, Offer::Queued, Offer::Dropped]);
    }

    #[test]
    fn nothing_is_queued_while_the_link_is_down() {
        let (outbox, queue) = outbox(1000);
        assert_eq!(outbox.offer(&batch(1)), Offer::Down);
        queue.open();
        assert_eq!(outbox.offer(&batch(1000)), Offer::Queued);
        queue.close();
        assert_eq!(outbox.offer(&batch(1)), Offer::Down);
        queue.open();
        assert_eq!(queue.take(), Err(TryRecvError::Empty));
        assert_eq!(outbox.offer(&batch(1000)), Offer::Queued);
    }

    #[test]
    fn subscriber_that_is_gone_is_offered_nothing_and_is_behind() {
        let (outbox, queue) = outbox(1000);
        queue.open();
        assert_eq!(outbox.offer(&batch(600)), Offer::Queued);
        assert!(!outbox.is_behind());
        drop(queue);
        assert_eq!((outbox.offer(&batch(1)), outbox.bytes()), (Offer::Down, 0));
        assert!(outbox.is_behind());
    }
}
