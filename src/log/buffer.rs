//! What waits for the disk: a bounded buffer, appended to under a short lock and swapped away whole.

use crossbeam_channel::Sender;
use parking_lot::Mutex;

use super::{EVENTS_PART, file};

/// The buffer. Traffic may fill seven eighths of it; the rest is kept for events.
#[derive(Debug)]
pub(super) struct Buffer {
    state: Mutex<State>,
    bytes_max: usize,
    /// Woken once when the buffer has become half full.
    half_full: Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    /// Since the node's start.
    dropped: Dropped,
    /// How much of that was taken by [`Buffer::take_dropped`].
    taken: Dropped,
}

/// What there was no room for.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Dropped {
    pub(super) lines: u64,
    pub(super) events: u64,
}

impl Buffer {
    pub(super) fn new(bytes_max: usize, half_full: Sender<()>) -> Self {
        Self { state: Mutex::default(), bytes_max, half_full }
    }

    pub(super) fn append_traffic(&self, block: &[u8], lines: u64) {
        let bound = self.bytes_max - self.bytes_max / EVENTS_PART;
        self.append(block, bound, |dropped| dropped.lines += lines);
    }

    pub(super) fn append_event(&self, line: &[u8]) {
        self.append(line, self.bytes_max, |dropped| dropped.events += 1);
    }

    fn append(&self, block: &[u8], bound: usize, drop: impl FnOnce(&mut Dropped)) {
        let half = self.bytes_max / 2;
        let mut state = self.state.lock();
        let before = state.bytes.len();
        let after = before + block.len();
        if after > bound {
            drop(&mut state.dropped);
            return;
        }
        state.bytes.extend_from_slice(block);
        std::mem::drop(state);
        if before < half && after >= half {
            // A wake-up that is waiting already will do.
            let _ = self.half_full.try_send(());
        }
    }

    /// Puts `spare`, which is empty, in the place of what has gathered.
    pub(super) fn swap(&self, spare: &mut Vec<u8>) {
        std::mem::swap(&mut self.state.lock().bytes, spare);
    }

    /// What was dropped since the node's start.
    pub(super) fn dropped(&self) -> Dropped {
        self.state.lock().dropped
    }

    /// What was dropped since this was last asked.
    pub(super) fn take_dropped(&self) -> Dropped {
        let mut state = self.state.lock();
        let (all, before) = (state.dropped, state.taken);
        state.taken = all;
        Dropped { lines: all.lines - before.lines, events: all.events - before.events }
    }

    /// How many lines wait.
    pub(super) fn lines(&self) -> u64 {
        file::lines(&self.state.lock().bytes)
    }

    /// How many bytes wait.
    #[cfg(test)]
    pub(super) fn length(&self) -> usize {
        self.state.lock().bytes.len()
    }
}
