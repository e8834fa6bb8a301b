//! The watermark as a machine over a node's two clocks and its neighbours' watermarks: before which moment everything is
//! forgotten. It moves in whole steps, never back, and no faster than twice as fast as time, so that a clock that is wrong
//! has at most a few things forgotten too early before somebody looks.

use std::{collections::VecDeque, fmt, time::Duration};

use crate::core::{
    Rules,
    model::{Now, RetentionTimes, Tick, Timestamp},
};

/// It moves so many steps in the time of one, at most.
const PACE: u32 = 2;

/// How finely the day is divided after which what was hidden is erased: so much later it may be.
const DAY_PARTS: u32 = 64;

/// The watermark of one node, and how it moves.
#[derive(Clone, Debug)]
pub(super) struct Watermark {
    times: RetentionTimes,
    rules: Rules,
    at: u64,
    /// It does not move before.
    not_before: Tick,
    /// What was hidden, and when it is to be erased: first to last.
    hidden: VecDeque<Hidden>,
    erase_before: u64,
}

/// Everything before a watermark, which was reached after `since`.
#[derive(Clone, Copy, Debug)]
struct Hidden {
    since: Tick,
    erase_at: Tick,
    watermark: u64,
}

/// Why a clock must be wrong. Displays as a sentence's part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClockOff {
    /// This node's clock is behind its own watermark by so many seconds more than a clock may be.
    Back(u64),
    /// A neighbour's watermark is ahead by so many.
    Neighbour {
        /// Which link.
        link: usize,
        /// How far beyond what is followed.
        seconds: u64,
    },
}

impl fmt::Display for ClockOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Back(seconds) => {
                write!(f, "it is {seconds} s further behind what has been forgotten than clocks may differ")
            }
            Self::Neighbour { seconds, .. } => {
                write!(f, "a neighbour has forgotten {seconds} s more than clocks may differ")
            }
        }
    }
}

impl Watermark {
    /// That of a node that begins at `now`, and had `stored` when it last ended, if it knows. One that is further ahead
    /// than clocks may differ is not followed; then it is returned, too.
    pub(super) fn begin(times: RetentionTimes, rules: Rules, stored: u64, now: Now) -> (Self, Option<u64>) {
        let seconds = now.wall.seconds();
        let (clocks, stored) = (times.watermark_at(seconds), times.whole_steps(stored));
        let is_followed = stored <= times.watermark_max_at(seconds) || !rules.watermark_is_bounded;
        let at = if is_followed { clocks.max(stored) } else { clocks };
        let (hidden, erase_before) = (VecDeque::new(), 0);
        let watermark = Self { times, rules, at, not_before: now.tick, hidden, erase_before };
        (watermark, (!is_followed).then_some(stored))
    }

    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// What is hidden and before this is erased.
    pub(super) fn erase_before(&self) -> u64 {
        self.erase_before
    }

    /// Moves by a step, if its own clock is that far, or a neighbour that need not be wrong, and if it may move so soon.
    /// Returns whether it did.
    pub(super) fn step(&mut self, now: Now, neighbours: impl Iterator<Item = u64>) -> bool {
        let seconds = now.wall.seconds();
        let (clocks, most) = (self.times.watermark_at(seconds), self.times.watermark_max_at(seconds));
        let is_followed = |theirs: &u64| *theirs <= most || !self.rules.watermark_is_bounded;
        let theirs = neighbours.map(|theirs| self.times.whole_steps(theirs)).filter(is_followed);
        let goal = theirs.fold(clocks, u64::max);
        if !self.rules.watermark_stays && goal < self.at {
            self.at = goal;
            return true;
        }
        if goal <= self.at || now.tick < self.not_before {
            return false;
        }
        self.at += self.times.step;
        self.not_before = now.tick + Duration::from_secs(self.times.step) / PACE;
        true
    }

    /// Whether something is to be erased, beyond what was before.
    pub(super) fn erase(&mut self, now: Tick) -> bool {
        let mut is_more = false;
        while let Some(first) = self.hidden.front()
            && first.erase_at <= now
        {
            (self.erase_before, is_more) = (first.watermark, true);
            self.hidden.pop_front();
        }
        is_more
    }

    /// Everything before it is hidden by now.
    pub(super) fn reached(&mut self, now: Tick) {
        let day = Duration::from_secs(self.times.day);
        let (erase_at, watermark) = (now + day, self.at);
        if watermark == self.hidden.back().map_or(self.erase_before, |last| last.watermark) {
            return;
        }
        match self.hidden.back_mut() {
            // Few are remembered, and each is a little late.
            Some(last) if now < last.since + day / DAY_PARTS => {
                (last.erase_at, last.watermark) = (erase_at, watermark);
            }
            _ => self.hidden.push_back(Hidden { since: now, erase_at, watermark }),
        }
    }

    /// Whether a clock must be wrong: this node's, or that of a neighbour at that link with that watermark.
    pub(super) fn clock_off(
        &self,
        wall: Timestamp,
        neighbours: impl Iterator<Item = (usize, u64)>,
    ) -> Option<ClockOff> {
        let most = self.times.watermark_max_at(wall.seconds());
        let ahead = |watermark: u64| watermark.checked_sub(most).filter(|seconds| *seconds > 0);
        if let Some(seconds) = ahead(self.at) {
            return Some(ClockOff::Back(seconds));
        }
        let off = |(link, theirs)| Some(ClockOff::Neighbour { link, seconds: ahead(theirs)? });
        neighbours.into_iter().find_map(off)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600;
    const DAY: Duration = Duration::from_secs(86_400);

    fn now(wall: u64, tick: u64) -> Now {
        Now { wall: Timestamp::new(wall, 0), tick: Duration::from_secs(tick) }
    }

    /// Of a herd that keeps locations for an hour: it moves by 60 s, and follows 900 s beyond its own.
    fn begun(stored: u64, wall: u64) -> (Watermark, Option<u64>) {
        Watermark::begin(RetentionTimes::of(HOUR), Rules::SOUND, stored, now(wall, 0))
    }

    #[test]
    fn it_begins_with_the_greater_of_what_is_stored_and_its_clock_and_drops_what_is_beyond_all_clocks() {
        let wall = 1_000_000;
        for (stored, at, dropped) in [
            (0, 996_360, None),
            (996_300, 996_360, None),
            (997_260, 997_260, None),
            (997_320, 996_360, Some(997_320)),
            (u64::MAX, 996_360, Some(u64::MAX / 60 * 60)),
        ] {
            let (watermark, was_dropped) = begun(stored, wall);
            assert_eq!((watermark.at(), was_dropped), (at, dropped), "{stored}");
        }
    }

    #[test]
    fn it_moves_with_its_clock_a_step_at_a_time() {
        let (mut watermark, _) = begun(0, 1_000_000);
        assert!(!watermark.step(now(1_000_019, 19), [].into_iter()));
        assert!(watermark.step(now(1_000_020, 20), [].into_iter()));
        assert_eq!(watermark.at(), 996_420);
        assert!(!watermark.step(now(1_000_079, 79), [].into_iter()));
        assert!(watermark.step(now(1_000_080, 80), [].into_iter()));
    }

    #[test]
    fn it_moves_two_steps_in_the_time_of_one_however_far_its_clock_jumps_and_never_back() {
        let (mut watermark, _) = begun(0, 1_000_000);
        let begin = watermark.at();
        let mut moved = 0;
        for tick in 1..=600 {
            moved += u64::from(watermark.step(now(9_000_000, tick), [].into_iter()));
        }
        assert_eq!((moved, watermark.at()), (20, begin + 20 * 60));
        assert!(!watermark.step(now(5, 700), [].into_iter()));
        assert_eq!(watermark.at(), begin + 20 * 60);
        assert!(matches!(watermark.clock_off(Timestamp::new(5, 0), [].into_iter()), Some(ClockOff::Back(_))));
    }

    #[test]
    fn it_follows_neighbours_as_far_as_clocks_may_differ() {
        let (mut watermark, _) = begun(0, 1_000_000);
        let most = 997_260;
        let wall = Timestamp::new(1_000_000, 0);
        assert!(!watermark.step(now(1_000_000, 1), [most + 60].into_iter()));
        assert_eq!(
            watermark.clock_off(wall, [(0, most), (1, most + 60)].into_iter()),
            Some(ClockOff::Neighbour { link: 1, seconds: 20 })
        );
        for count in 1..=15_u64 {
            assert!(watermark.step(now(1_000_000, count * 30), [most, most + 60].into_iter()));
        }
        assert_eq!(watermark.at(), most);
        assert!(!watermark.step(now(1_000_000, 900), [most, most + 60].into_iter()));
        assert_eq!(watermark.clock_off(wall, [(0, most)].into_iter()), None);
    }

    #[test]
    fn what_was_hidden_is_erased_a_day_later_and_few_days_are_remembered() {
        let (mut watermark, _) = begun(0, 1_000_000);
        let mut begin = watermark.at();
        let mut reached = Vec::new();
        for minute in 1..=3_000_u64 {
            let now = now(1_000_000 + minute * 60, minute * 60);
            assert!(watermark.step(now, [].into_iter()));
            watermark.reached(now.tick);
            reached.push((now.tick, watermark.at()));
            assert!(watermark.hidden.len() <= 66, "{}", watermark.hidden.len());
            if watermark.erase(now.tick) {
                let erased = watermark.erase_before();
                assert!(erased > begin);
                begin = erased;
            }
            let due = |late: Duration| {
                let before = reached.iter().take_while(|(tick, _)| *tick + DAY + late <= now.tick);
                before.last().map_or(0, |(_, watermark)| *watermark)
            };
            let erased = watermark.erase_before();
            assert!(erased <= due(Duration::ZERO) && erased >= due(DAY / 64), "{minute}");
        }
    }
}
