//! Whether to stay awake for what a neighbour's thread is about to hand over, or to sleep until it has done so.

use std::time::Duration;

use crate::core::model::Tick;

/// On a busy link the next batch is microseconds away, and sleeping and being woken costs more than that, above all if
/// an idle processor must be woken. A thread whose last wait was shorter than [`Vigil::TIME`] spins, yielding, for up
/// to that time before it sleeps; after a longer wait it sleeps at once.
#[derive(Clone, Copy, Default, Debug)]
pub struct Vigil {
    is_kept: bool,
}

impl Vigil {
    /// How long to stay awake at most. Longer waits are not worth the processor's time.
    pub const TIME: Duration = Duration::from_micros(100);

    /// Until when to stay awake in a wait that begins now.
    pub fn until(&self, now: Tick) -> Option<Tick> {
        self.is_kept.then(|| now + Self::TIME)
    }

    /// The wait that began then is over.
    pub fn ended(&mut self, began: Tick, now: Tick) {
        self.is_kept = now.saturating_sub(began) < Self::TIME;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_waited_shortly_stays_awake() {
        let now = Duration::from_secs(7);
        let mut vigil = Vigil::default();
        assert_eq!(vigil.until(now), None);
        vigil.ended(now, now + Vigil::TIME - Duration::from_nanos(1));
        assert_eq!(vigil.until(now), Some(now + Vigil::TIME));
        vigil.ended(now, now + Vigil::TIME);
        assert_eq!(vigil.until(now), None);
    }
}
