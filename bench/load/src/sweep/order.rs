//! Whose turn it is: in every round, at every point and in every turn a random order, drawn from the run's seed, so that no
//! server always follows the same one.

use rand::{SeedableRng, rngs::SmallRng, seq::SliceRandom};

use super::point::Point;

/// For each turn the places, in the point's list, of the servers as they follow one another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Order(Vec<Vec<usize>>);

impl Order {
    /// Of a round's point; rounds are from 1, points from 0. The same seed gives the same orders, also for a run that is
    /// resumed.
    pub(super) fn draw(seed: u64, round: u32, index: usize, point: &Point) -> Self {
        let place = u64::from(round) << 32 | index as u64;
        let mut random = SmallRng::seed_from_u64(seed ^ place.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut turn: Vec<usize> = (0..point.servers.len()).collect();
        let next = |_| {
            turn.shuffle(&mut random);
            turn.clone()
        };
        Self((0..point.turns.max(1)).map(next).collect())
    }

    /// Each turn's.
    pub(super) fn turns(&self) -> &[Vec<usize>] {
        &self.0
    }

    /// In which servers are started, and that of those that run alone.
    pub(super) fn first(&self) -> &[usize] {
        &self.0[0]
    }

    /// For the raw data: one order for each turn, or one for servers that run alone.
    pub(super) fn names<'p>(&self, point: &'p Point) -> Vec<Vec<&'p str>> {
        let turns = if point.is_together() { self.turns() } else { &self.0[..1] };
        let named = |turn: &Vec<usize>| turn.iter().map(|index| &*point.servers[*index]).collect();
        turns.iter().map(named).collect()
    }
}
