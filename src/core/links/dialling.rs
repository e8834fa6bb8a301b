//! When to dial a neighbour, for links of either kind: at once at first and when it calls, else after a wait that grows
//! with each failure until a connection was good for a while.

use super::{Backoff, LinkTimes};
use crate::core::model::Tick;

/// Whether a link is up, and when it may be dialled where it is not.
#[derive(Debug)]
pub(super) struct Dialling {
    backoff: Backoff,
    /// Before this nobody dials.
    dial_at: Tick,
    up_since: Option<Tick>,
}

impl Dialling {
    /// Of a link that dials at once.
    pub(super) fn new(times: &LinkTimes) -> Self {
        let backoff = Backoff::new(times.backoff_min, times.backoff_max, times.backoff_reset);
        Self { backoff, dial_at: Tick::ZERO, up_since: None }
    }

    /// When the neighbour is to be dialled.
    pub(super) fn dial_at(&self) -> Tick {
        self.dial_at
    }

    /// Whether the handshake is done, where there is one, and nothing has failed since.
    pub(super) fn is_up(&self) -> bool {
        self.up_since.is_some()
    }

    /// The link is up.
    pub(super) fn up(&mut self, now: Tick) {
        self.up_since = Some(now);
    }

    /// The connection broke, or did not come about. `random` is any 64 random bits.
    pub(super) fn lost(&mut self, now: Tick, random: u64) {
        if let Some(since) = self.up_since.take() {
            self.backoff.was_up(now.saturating_sub(since));
        }
        self.dial_at = now + self.backoff.next_wait(random);
    }

    /// The neighbour has just connected to this node, so it can be dialled without waiting.
    pub(super) fn called(&mut self, now: Tick) {
        self.dial_at = now;
    }
}
