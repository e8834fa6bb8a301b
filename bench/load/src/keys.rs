//! Which client reports next. Each connection owns a slice of the clients that no other touches, so that
//! every report of a client travels in order on one connection and each is newer than the one before.

use std::ops::Range;

/// In what order a connection goes through its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// One after the other: to report each client once.
    Sequential,
    /// With a long stride, so that a server's caches and prefetchers gain nothing from the order in which
    /// the clients were first stored.
    Scattered,
}

/// An endless walk over one slice of the clients, which visits all of them before any a second time.
#[derive(Clone, Debug)]
pub struct Walk {
    first: u32,
    length: u32,
    stride: u32,
    at: u32,
}

impl Walk {
    /// A walk over `slice`, which must not be empty.
    pub fn new(slice: &Range<u32>, order: Order) -> Self {
        let length = slice.end - slice.start;
        assert!(length > 0, "a connection without clients has nothing to report");
        let stride = match order {
            Order::Sequential => 1 % length,
            Order::Scattered => scattered_stride(length),
        };
        Self { first: slice.start, length, stride, at: 0 }
    }

    /// How many clients the slice holds.
    pub fn length(&self) -> u32 {
        self.length
    }

    /// The next client's number.
    pub fn step(&mut self) -> u32 {
        let number = self.first + self.at;
        let next = u64::from(self.at) + u64::from(self.stride);
        let wrapped = if next >= u64::from(self.length) { next - u64::from(self.length) } else { next };
        self.at = wrapped as u32;
        number
    }
}

/// The clients `0..clients` cut into `parts` slices, disjoint and as even as they can be.
pub fn slices(clients: u32, parts: u32) -> impl Iterator<Item = Range<u32>> {
    let cut = move |part: u32| (u64::from(clients) * u64::from(part) / u64::from(parts)) as u32;
    (0..parts).map(move |part| cut(part)..cut(part + 1))
}

/// About 0.618 of the length, and coprime to it.
fn scattered_stride(length: u32) -> u32 {
    let golden = (u64::from(length) * 618 / 1000).max(1) as u32;
    (golden..length).find(|stride| gcd(*stride, length) == 1).unwrap_or(1 % length)
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
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
    fn a_walk_visits_each_client_once_before_any_twice() {
        for length in [1, 2, 3, 10, 2_000, 2_003] {
            for order in [Order::Sequential, Order::Scattered] {
                let mut walk = Walk::new(&(500..500 + length), order);
                for _lap in 0..2 {
                    let mut seen: Vec<u32> = (0..length).map(|_| walk.step()).collect();
                    seen.sort_unstable();
                    assert_eq!(seen, (500..500 + length).collect::<Vec<_>>());
                }
            }
        }
    }
}
