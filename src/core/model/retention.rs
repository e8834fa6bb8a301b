//! How long a herd keeps what its clients have said.

/// The times by which a herd forgets what is old, in whole seconds. All of them follow from the first; a simulation may
/// have others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RetentionTimes {
    /// How long after its server took it a location is forgotten.
    pub forget_after: u64,
    /// The watermark is a multiple of this, so that it moves seldom.
    pub step: u64,
    /// How far apart clocks may be: a tombstone stays for so much longer than what it hides, and so long after it was
    /// hidden a record is erased.
    pub day: u64,
}

impl RetentionTimes {
    /// The least [`RetentionTimes::forget_after`], in seconds.
    pub const FORGET_AFTER_MIN: u64 = 3_600;

    /// The times of a herd that forgets a location after so many seconds.
    pub fn of(forget_after: u64) -> Self {
        Self { forget_after, step: (forget_after / 64).max(60), day: 86_400 }
    }

    /// The watermark by a clock that shows that: a multiple of the step.
    pub fn watermark_at(&self, seconds: u64) -> u64 {
        self.whole_steps(seconds.saturating_sub(self.forget_after))
    }

    /// The greatest watermark that a node follows whose clock shows that: clocks differ, and one that is wrong must not
    /// have everything forgotten.
    pub fn watermark_max_at(&self, seconds: u64) -> u64 {
        seconds.saturating_sub(self.forget_after).saturating_add((self.forget_after / 4).min(self.day))
    }

    /// The last multiple of the step up to there.
    pub fn whole_steps(&self, seconds: u64) -> u64 {
        seconds / self.step * self.step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn step_is_a_64th_and_at_least_a_minute() {
        assert_eq!(RetentionTimes::of(3_600).step, 60);
        assert_eq!(RetentionTimes::of(64 * 3_600).step, 3_600);
    }

    #[test]
    fn watermark_is_a_whole_step_and_its_bound_is_not_rounded() {
        let times = RetentionTimes::of(3_600);
        assert_eq!(times.watermark_at(1_000_000), 996_360);
        assert_eq!((times.watermark_at(3_600 + 59), times.watermark_at(3_600 + 60)), (0, 60));
        assert_eq!(times.watermark_at(5), 0);
        assert_eq!(times.watermark_max_at(1_000_000), 996_400 + 900);
        assert_eq!(RetentionTimes::of(864_000).watermark_max_at(1_000_000), 136_000 + 86_400);
    }
}
