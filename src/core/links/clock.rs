//! How far a neighbour's clock is from this node's, by the times that come with the answers to pings. Both clocks are
//! arguments.

use std::{collections::VecDeque, time::Duration};

use crate::core::model::Timestamp;

/// How many of the last answers are kept. Pings are a second apart, so a clock that is set shows after so many seconds.
const SAMPLES_MAX: usize = 8;

/// What the last answers have shown. The neighbour read its clock at some moment between a ping and its answer, and is
/// taken to have done so half-way: so an offset is wrong by half the round trip at most, and the one with the shortest
/// is the best.
#[derive(Clone, Default, Debug)]
pub(super) struct ClockOffset {
    samples: VecDeque<OffsetSample>,
}

#[derive(Clone, Copy, Debug)]
struct OffsetSample {
    round_trip: Duration,
    offset_ns: i64,
}

impl ClockOffset {
    /// An answer has come at `now`, so long after its ping, with the neighbour's time.
    pub(super) fn answered(&mut self, round_trip: Duration, theirs: Timestamp, now: Timestamp) {
        let half_ns = (round_trip / 2).as_nanos() as i128;
        let offset_ns = theirs.as_nanoseconds() - now.as_nanoseconds() + half_ns;
        // Times may be thirty thousand years apart, and three hundred are enough to see what is wrong.
        let offset_ns = offset_ns.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
        self.samples.truncate(SAMPLES_MAX - 1);
        self.samples.push_front(OffsetSample { round_trip, offset_ns });
    }

    /// How far the neighbour's clock is ahead, in nanoseconds; `None` before the first answer.
    pub(super) fn nanoseconds(&self) -> Option<i64> {
        self.samples.iter().min_by_key(|sample| sample.round_trip).map(|sample| sample.offset_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Timestamp {
        Timestamp::new(1_479_413_884 + milliseconds / 1_000, (milliseconds % 1_000) as u32 * 1_000_000)
    }

    /// Of answers with these round trips and times, in milliseconds, that come at 10 s.
    fn measured(answers: &[(u64, u64)]) -> Option<i64> {
        let mut offset = ClockOffset::default();
        for &(round_trip, theirs) in answers {
            offset.answered(Duration::from_millis(round_trip), at(theirs), at(10_000));
        }
        offset.nanoseconds().map(|ns| ns / 1_000_000)
    }

    #[test]
    fn half_the_round_trip_is_taken_off() {
        assert_eq!(measured(&[]), None);
        assert_eq!(measured(&[(0, 10_000)]), Some(0));
        // The neighbour has read its clock half a second before the answer came.
        assert_eq!(measured(&[(1_000, 9_500)]), Some(0));
        assert_eq!(measured(&[(1_000, 12_500)]), Some(3_000), "its clock is ahead");
        assert_eq!(measured(&[(1_000, 7_500)]), Some(-2_000), "its clock is behind");
    }

    #[test]
    fn sample_with_the_shortest_round_trip_of_the_last_eight_counts() {
        let mut answers = vec![(2, 10_005)];
        for later in 0..7 {
            answers.push((200 + later, 10_050));
            assert_eq!(measured(&answers), Some(6));
        }
        answers.push((300, 10_050));
        assert_eq!(measured(&answers), Some(150), "the first is too old");
    }

    #[test]
    fn clocks_that_are_absurdly_far_apart_are_as_far_as_can_be_told() {
        let mut offset = ClockOffset::default();
        offset.answered(Duration::MAX, Timestamp::new(999_999_999_999, 0), Timestamp::default());
        assert_eq!(offset.nanoseconds(), Some(i64::MAX));
        let mut offset = ClockOffset::default();
        offset.answered(Duration::ZERO, Timestamp::default(), Timestamp::new(999_999_999_999, 0));
        assert_eq!(offset.nanoseconds(), Some(i64::MIN));
    }
}
