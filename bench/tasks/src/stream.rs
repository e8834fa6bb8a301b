//! What a runtime does for a connection, and a wait that ends in time on any of them.

use std::{
    io,
    pin::{Pin, pin},
    time::Duration,
};

use futures_util::future::{Either, select};
use proxyherd::{core::model::Tick, system::clock};

/// A TCP connection, as a runtime carries it. Its futures may be dropped before they are done, and lose nothing by it.
pub trait Stream: Sized {
    /// Dials, with `TCP_NODELAY`.
    fn connect(address: &str) -> impl Future<Output = io::Result<Self>>;

    /// Reads what there is; no bytes are the end.
    fn read(&mut self, space: &mut [u8]) -> impl Future<Output = io::Result<usize>>;

    /// Writes some of the bytes. After a future that was dropped, the next is for the same bytes, and maybe more.
    fn write(&mut self, bytes: &[u8]) -> impl Future<Output = io::Result<usize>>;

    /// A connection to the upstream that was kept, and is nobody else's now.
    fn kept() -> Option<Self>;

    /// Keeps a connection to the upstream for the next lookup.
    fn keep(self);

    /// Waits.
    fn sleep(time: Duration) -> impl Future<Output = ()>;
}

/// Ends waits. It is left as it is where it would only be put off, and the wait goes on when it rings too early, so that a
/// busy connection seldom touches its runtime's timers.
pub(crate) struct Alarm<F, M> {
    make: M,
    sleep: Pin<Box<F>>,
    at: Tick,
}

impl<F: Future<Output = ()>, M: Fn(Duration) -> F> Alarm<F, M> {
    /// Of a runtime's [`Stream::sleep`].
    pub(crate) fn new(make: M) -> Self {
        let sleep = Box::pin(make(Duration::ZERO));
        Self { make, sleep, at: Tick::MAX }
    }

    /// What is done by then, if it is.
    pub(crate) async fn until<T>(&mut self, until: Tick, done: impl Future<Output = T>) -> Option<T> {
        let mut done = pin!(done);
        loop {
            if until < self.at {
                self.sleep.set((self.make)(until.saturating_sub(clock::tick())));
                self.at = until;
            }
            match select(done.as_mut(), self.sleep.as_mut()).await {
                Either::Left((done, _)) => return Some(done),
                Either::Right(_) => self.at = Tick::MAX,
            }
            if clock::tick() >= until {
                return None;
            }
        }
    }
}

/// What is there already.
pub(crate) async fn at_once<T>(done: impl Future<Output = T>) -> Option<T> {
    match select(pin!(done), std::future::ready(())).await {
        Either::Left((done, _)) => Some(done),
        Either::Right(_) => None,
    }
}
