//! When each request of an open loop should leave: at even intervals from the start, the connections in turn, whatever
//! the server does meanwhile.

/// A rate, from a moment on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    start_ns: u64,
    step_ns: f64,
    connections: u64,
}

impl Schedule {
    /// `rate` requests a second over `connections`, the first at `start_ns`.
    pub(crate) fn new(start_ns: u64, rate: f64, connections: u32) -> Self {
        Self { start_ns, step_ns: 1e9 / rate, connections: u64::from(connections) }
    }

    /// When request `number`, counted from 0, should leave.
    pub(crate) fn planned_ns(&self, number: u64) -> u64 {
        self.start_ns + (number as f64 * self.step_ns) as u64
    }

    /// When the request that is `turn`, counted from 0, on its connection should leave.
    pub(crate) fn planned_on(&self, connection: usize, turn: u64) -> u64 {
        self.planned_ns(turn * self.connections + connection as u64)
    }

    /// How many requests should have left by `now_ns`, not counting any planned for `end_ns` or later.
    pub(crate) fn due(&self, now_ns: u64, end_ns: u64) -> u64 {
        // The first number that is planned for later; division alone may be off by one.
        let until = now_ns.saturating_add(1).min(end_ns);
        let guess = (until.saturating_sub(self.start_ns) as f64 / self.step_ns) as u64;
        (guess.saturating_sub(1)..).find(|number| self.planned_ns(*number) >= until).unwrap_or(guess)
    }

    /// The connection whose turn request `number` is.
    pub(crate) fn connection(&self, number: u64) -> usize {
        (number % self.connections) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_planned_at_even_steps_and_in_turn() {
        let schedule = Schedule::new(1_000, 1e6, 3);
        assert_eq!([0, 1, 7].map(|number| schedule.planned_ns(number)), [1_000, 2_000, 8_000]);
        assert_eq!([0, 1, 2, 3].map(|number| schedule.connection(number)), [0, 1, 2, 0]);
        assert_eq!(schedule.planned_on(1, 2), schedule.planned_ns(7));
    }

    #[test]
    fn what_is_due_is_what_was_planned_until_now_and_before_the_end() {
        let schedule = Schedule::new(1_000, 1e6, 3);
        let never = u64::MAX;
        for (now, end, due) in [
            (0, never, 0),
            (999, never, 0),
            (1_000, never, 1),
            (1_999, never, 1),
            (2_000, never, 2),
            (5_500, never, 5),
        ] {
            assert_eq!(schedule.due(now, end), due, "at {now}");
        }
        assert_eq!(schedule.due(9_999, 3_000), 2);
        // Steps that are not whole nanoseconds.
        let odd = Schedule::new(7, 333_333.0, 5);
        for number in 0..10_000 {
            let planned = odd.planned_ns(number);
            assert_eq!(odd.due(planned, never), number + 1);
            assert_eq!(odd.due(planned - 1, never), number);
            assert_eq!(odd.due(never / 2, planned), number);
        }
    }
}
