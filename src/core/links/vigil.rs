//! Whether to stay awake for what a neighbour's thread is about to hand over, or to sleep until it has.

use std::time::Duration;

use crate::core::model::Tick;

/// On a busy link the next batch is some microseconds away, and falling asleep and being woken costs more than that, above
/// all where it is another, idle processor that is woken. So who was made to wait for less than [`Vigil::TIME`] stays awake
/// so long the next time, giving way to every other thread; who was made to wait longer sleeps at once.
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
