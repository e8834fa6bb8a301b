//! What connections' buffers hold: when a connection gives memory back, and what all of them may hold together.

use std::{
    ops::Deref,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use super::{Closing, Dialogue, Host, execute::Batch};
use crate::core::{model::Tick, node::Node};

/// How long a connection keeps large buffers after the last batch that needed them.
const LINGER_TIME: Duration = Duration::from_secs(1);

/// A batch needs its large buffers if its input and output together fill at least one part of them in this many.
const NEEDED_PART: usize = 4;

/// Anything larger than this, whether a batch, its lines or an incomplete line, exceeds what a quiet connection needs.
pub(super) const QUIET_BYTES: usize = 2048;

/// The sum over all connections, and its bound. Touched when a connection's buffers grow or shrink, never for a line.
#[derive(Debug)]
pub struct Buffers {
    most: usize,
    held: AtomicUsize,
    /// What was freed but may still belong to the process.
    freed: AtomicUsize,
}

impl Buffers {
    /// Of the memory they have freed, the process keeps at most this much.
    pub const KEPT_BYTES: usize = 16 * 1024 * 1024;

    /// They may hold so many bytes. For a while they may hold more, when many grow at once; each one that has grown
    /// gives back what it can, or ends.
    pub fn new(most: usize) -> Self {
        Self { most, held: AtomicUsize::new(0), freed: AtomicUsize::new(0) }
    }

    /// A connection that held `before` now holds `after`. Returns whether enough has been freed for the system to get
    /// it back.
    pub fn replace(&self, before: usize, after: usize) -> bool {
        // Both wrap around together, so the sum is right again after each.
        self.held.fetch_add(after.wrapping_sub(before), Ordering::Relaxed);
        let freed = before.saturating_sub(after);
        let is_due = freed > 0 && self.freed.fetch_add(freed, Ordering::Relaxed) + freed >= Self::KEPT_BYTES;
        if is_due {
            self.freed.store(0, Ordering::Relaxed);
        }
        is_due
    }

    /// What they hold.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Whether that is more than they may hold.
    pub fn is_exceeded(&self) -> bool {
        self.held() > self.most
    }
}

impl<N: Deref<Target = Node>> Dialogue<N> {
    /// Bytes of memory that are held for lines and for their results.
    fn held(&self) -> usize {
        self.buffer.capacity() + self.batch.capacity()
    }

    /// The same, but nothing for a quiet connection's.
    pub(super) fn counted(&self, host: &impl Host) -> usize {
        let is_quiet = self.buffer.capacity() <= QUIET_BYTES && self.batch.capacity() <= QUIET_BYTES;
        if is_quiet && !host.is_grown() { 0 } else { self.held() }
    }

    /// Before the results of a batch are handed over: whether it needed its large buffers.
    pub(super) fn note_need(&mut self) {
        if self.heard_bytes + self.batch.len() >= self.held() / NEEDED_PART {
            self.needed = self.heard.tick;
        }
    }

    /// Gives memory back that no batch has needed for a while, or returns when that will be. If all connections
    /// together hold too much, a client's connection gives it back at once, and must end if its incomplete line still
    /// holds too much.
    pub(super) fn give_back(&mut self, now: Tick, host: &mut impl Host) -> Result<Option<Tick>, Closing> {
        let is_client = self.party.is_client();
        let mut is_crowded = host.holds(self.counted(host)) && is_client;
        let is_grown = self.buffer.is_grown() || self.batch.capacity() > QUIET_BYTES || host.is_grown();
        let lingers_until = self.needed + LINGER_TIME;
        if is_grown && !is_crowded && now < lingers_until {
            return Ok(Some(lingers_until));
        }
        if is_grown {
            self.buffer.shrink();
            self.batch = Batch::default();
            host.give_back();
            is_crowded = host.holds(self.counted(host)) && is_client;
        }
        match self.buffer.begun() {
            begun if is_crowded && begun > QUIET_BYTES => Err(Closing::Crowded(begun)),
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bound_is_exceeded_by_one_byte_more_and_no_longer_once_it_is_given_back() {
        let buffers = Buffers::new(100);
        buffers.replace(0, 60);
        buffers.replace(0, 40);
        assert!(!buffers.is_exceeded());
        buffers.replace(60, 61);
        assert!(buffers.is_exceeded());
        buffers.replace(61, 0);
        assert_eq!((buffers.held(), buffers.is_exceeded()), (40, false));
    }

    #[test]
    fn what_is_freed_is_handed_to_the_system_a_piece_at_a_time() {
        let buffers = Buffers::new(usize::MAX);
        let half = Buffers::KEPT_BYTES / 2;
        for _ in 0..3 {
            assert!(!buffers.replace(0, half) && !buffers.replace(0, half));
            assert!(!buffers.replace(half, 0), "half of it");
            assert!(buffers.replace(half, 0), "all of it");
        }
        buffers.replace(0, half);
        assert!(!buffers.replace(half, 1) && !buffers.replace(1, 0));
        buffers.replace(0, half);
        assert!(buffers.replace(half, 0));
    }
}
