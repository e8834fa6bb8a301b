//! The sessions that are open. Stop wakes those that read, and whoever drains waits until each has finished what it had
//! read.

use std::{
    collections::HashMap,
    future::poll_fn,
    mem::take,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
};

use futures_util::task::AtomicWaker;

/// All that are open.
pub(crate) struct Sessions {
    open: Mutex<Open>,
    is_stopping: AtomicBool,
    /// Nothing comes here. It is disconnected once the last sender has gone.
    ended: flume::Receiver<()>,
}

struct Open {
    /// By the number of the connection.
    wakers: HashMap<u64, Arc<AtomicWaker>>,
    /// Each session has a clone. After stop there is none, so none begins.
    sender: Option<flume::Sender<()>>,
}

impl Sessions {
    pub(crate) fn new() -> Self {
        let (sender, ended) = flume::bounded(0);
        let open = Mutex::new(Open { wakers: HashMap::new(), sender: Some(sender) });
        Self { open, is_stopping: AtomicBool::new(false), ended }
    }

    /// Begins one, unless this node stops.
    pub(crate) fn begin(&self, number: u64) -> Option<OpenSession<'_>> {
        let mut open = self.lock();
        let sender = open.sender.clone()?;
        let waker = Arc::<AtomicWaker>::default();
        open.wakers.insert(number, Arc::clone(&waker));
        Some(OpenSession { sessions: self, number, waker, _sender: sender })
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    /// Ends every wait for a read.
    pub(crate) fn stop(&self) {
        self.is_stopping.store(true, Ordering::Release);
        // Not under the lock: to wake a ring's task waits while the ring has many that were woken, and one of these may
        // be at its end, which takes the lock.
        let wakers = {
            let mut open = self.lock();
            open.sender = None;
            take(&mut open.wakers)
        };
        wakers.values().for_each(|waker| waker.wake());
    }

    /// Waits until stop was called and no session is left.
    pub(crate) async fn ended(&self) {
        let _ = self.ended.recv_async().await;
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One that is open until this is dropped.
pub(crate) struct OpenSession<'s> {
    sessions: &'s Sessions,
    number: u64,
    waker: Arc<AtomicWaker>,
    _sender: flume::Sender<()>,
}

impl OpenSession<'_> {
    /// What is done before this node stops, if it is.
    pub(crate) async fn unless_stopped<T>(&self, done: impl Future<Output = T>) -> Option<T> {
        let mut done = pin!(done);
        poll_fn(|context| {
            if self.sessions.is_stopping() {
                return Poll::Ready(None);
            }
            if let Poll::Ready(done) = done.as_mut().poll(context) {
                return Poll::Ready(Some(done));
            }
            self.waker.register(context.waker());
            // Whoever stops it now finds the waker; whoever did so before is seen here.
            if self.sessions.is_stopping() { Poll::Ready(None) } else { Poll::Pending }
        })
        .await
    }
}

impl Drop for OpenSession<'_> {
    fn drop(&mut self) {
        self.sessions.lock().wakers.remove(&self.number);
    }
}
