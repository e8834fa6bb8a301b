//! Which client is next.

use std::ops::Range;

use rand::{RngExt, rngs::SmallRng};
use rand_distr::{Distribution, Zipf};

/// How a connection comes to its next client.
#[derive(Clone, Debug)]
pub enum Keys {
    /// One after another, from this one on, and again from the first: to report each client once.
    InTurn {
        /// The clients.
        slice: Range<u32>,
        /// The next.
        next: u32,
    },
    /// Any of these, each as likely.
    Uniform(Range<u32>),
    /// By Zipf's law over all clients.
    Zipf(ByRank),
}

impl Keys {
    /// One after the other.
    pub fn in_turn(slice: Range<u32>) -> Self {
        let next = slice.start;
        Self::InTurn { slice, next }
    }

    /// The next client's number.
    pub fn next(&mut self, random: &mut SmallRng) -> u32 {
        match self {
            Self::InTurn { slice, next } => {
                let number = *next;
                *next = if number + 1 >= slice.end { slice.start } else { number + 1 };
                number
            }
            Self::Uniform(slice) => random.random_range(slice.clone()),
            Self::Zipf(by_rank) => by_rank.draw(random),
        }
    }
}

/// Clients by how often they are met: the first of them most, the one of rank r as often as r to the power of minus the
/// exponent. Ranks are spread over all numbers, so that frequent clients are not neighbours in memory.
#[derive(Clone, Debug)]
pub struct ByRank {
    clients: u32,
    stride: u32,
    zipf: Zipf<f64>,
}

impl ByRank {
    /// `None` for no clients, and for an exponent that is negative or not a number.
    pub fn new(clients: u32, exponent: f64) -> Option<Self> {
        if clients == 0 || !exponent.is_finite() {
            return None;
        }
        let zipf = Zipf::new(f64::from(clients), exponent).ok()?;
        Some(Self { clients, stride: scattered_stride(clients), zipf })
    }

    fn draw(&self, random: &mut SmallRng) -> u32 {
        let rank = (self.zipf.sample(random) as u64).clamp(1, u64::from(self.clients)) - 1;
        (rank * u64::from(self.stride) % u64::from(self.clients)) as u32
    }
}

/// The clients `0..clients` cut into `parts` slices, disjoint and as even as they can be.
pub fn slices(clients: u32, parts: u32) -> impl Iterator<Item = Range<u32>> {
    let cut = move |part: u32| (u64::from(clients) * u64::from(part) / u64::from(parts)) as u32;
    (0..parts).map(move |part| cut(part)..cut(part + 1))
}

/// All of `0..clients` in scattered order, and then again: none is met a second time before all were.
pub fn scattered(clients: u32) -> impl Iterator<Item = u32> {
    let (stride, clients) = (u64::from(scattered_stride(clients)), u64::from(clients));
    (0..).map(move |step: u64| (step % clients * stride % clients) as u32)
}

/// About 0.618 of the length, and coprime to it.
fn scattered_stride(length: u32) -> u32 {
    let golden = (u64::from(length) * 618 / 1000).max(1) as u32;
    (golden..length).find(|stride| gcd(*stride, length) == 1).unwrap_or(1)
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rand::SeedableRng;

    use super::*;

    #[test]
    fn slices_are_disjoint_and_cover_every_client() {
        for (clients, parts) in [(100_000, 50), (7, 7), (10, 3), (1, 1), (u32::MAX, 500)] {
            let slices: Vec<_> = slices(clients, parts).collect();
            assert_eq!(slices.len(), parts as usize);
            assert_eq!(slices[0].start, 0);
            assert_eq!(slices[slices.len() - 1].end, clients);
            assert!(slices.windows(2).all(|pair| pair[0].end == pair[1].start));
            assert!(slices.iter().all(|slice| !slice.is_empty()));
        }
    }

    #[test]
    fn in_turn_visits_each_client_once_before_any_twice() {
        let mut random = SmallRng::seed_from_u64(1);
        for length in [1, 2, 3, 2_003] {
            let mut keys = Keys::in_turn(500..500 + length);
            for _lap in 0..2 {
                let seen: Vec<u32> = (0..length).map(|_| keys.next(&mut random)).collect();
                assert_eq!(seen, (500..500 + length).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn uniform_keeps_to_its_slice_and_leaves_no_client_out() {
        let mut random = SmallRng::seed_from_u64(1);
        let mut keys = Keys::Uniform(50..150);
        let mut counts = [0; 100];
        (0..100_000).for_each(|_| counts[keys.next(&mut random) as usize - 50] += 1);
        // A thousand each, give or take five standard deviations.
        assert!(counts.iter().all(|count| (840..1_160).contains(count)), "{counts:?}");
    }

    #[test]
    fn zipf_meets_the_first_twice_as_often_as_the_second() {
        let mut random = SmallRng::seed_from_u64(1);
        let by_rank = ByRank::new(1_000, 1.0).unwrap();
        let (first, second) = (0, by_rank.stride);
        let mut keys = Keys::Zipf(by_rank);
        let (mut firsts, mut seconds) = (0_u32, 0_u32);
        for _ in 0..200_000 {
            let number = keys.next(&mut random);
            assert!(number < 1_000);
            firsts += u32::from(number == first);
            seconds += u32::from(number == second);
        }
        // The harmonic number of 1,000 is 7.485.
        assert!((0.95..1.05).contains(&(f64::from(firsts) * 7.485 / 200_000.0)), "{firsts}");
        assert!((1.9..2.1).contains(&(f64::from(firsts) / f64::from(seconds))), "{firsts} and {seconds}");
    }

    #[test]
    fn scattered_meets_all_before_any_again() {
        for clients in [1, 2, 3, 10, 1_000, 2_003] {
            let numbers: Vec<_> = scattered(clients).take(2 * clients as usize).collect();
            let (first, second) = numbers.split_at(clients as usize);
            assert_eq!(first.iter().collect::<HashSet<_>>().len(), clients as usize);
            assert_eq!(first, second);
        }
    }

    #[test]
    fn zipf_without_clients_or_sense_is_refused() {
        assert!(ByRank::new(0, 1.0).is_none());
        assert!(ByRank::new(10, f64::NAN).is_none());
        assert!(ByRank::new(10, -1.0).is_none());
    }
}
