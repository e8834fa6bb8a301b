//! What one principal may do at a node, all its connections together: requests and bytes a second, new clients an hour.

use std::{fmt, time::Duration};

use super::Bucket;
use crate::core::model::Tick;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

/// Of a second's requests, one part in so many is what one connection waits for at a time: so connections that share an
/// allowance take turns, and none needs a turn for each line.
const TURNS_A_SECOND: u64 = 100;

/// How much is allowed to each principal; `None` for any amount.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QuotaRules {
    /// Lines a second.
    pub requests: Option<u64>,
    /// Bytes a second that it sends.
    pub bytes: Option<u64>,
    /// Clients an hour that the node did not know.
    pub new_clients: Option<u64>,
    /// For how long requests and bytes that are not used are saved up, at least a second. New clients are saved for an
    /// hour.
    pub burst: Duration,
    /// How long a line may wait for its turn, at least a second; then it is refused.
    pub wait: Duration,
}

impl QuotaRules {
    /// Everything is allowed.
    pub const NONE: Self =
        Self { requests: None, bytes: None, new_clients: None, burst: SECOND, wait: SECOND };

    /// Whether anything is limited.
    pub fn are_any(&self) -> bool {
        self.requests.is_some() || self.bytes.is_some() || self.new_clients.is_some()
    }
}

/// Which of them holds something up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quota {
    /// Lines a second.
    Requests,
    /// Bytes a second.
    Bytes,
}

impl Quota {
    /// Both, in the order of their numbers.
    pub const ALL: [Self; 2] = [Self::Requests, Self::Bytes];

    /// Its name in metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Bytes => "bytes",
        }
    }
}

/// The key of the setting that limits it.
impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Requests => "requests_per_second",
            Self::Bytes => "bytes_per_second",
        })
    }
}

/// What was taken from an allowance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Charge {
    /// How many lines it pays for: at least one, unless none was asked for.
    pub lines: usize,
    /// When they may be executed.
    pub at: Tick,
    /// What they wait for, if they have to wait.
    pub quota: Quota,
}

/// What one principal has left. Shared by its connections, without a lock.
#[derive(Debug)]
pub struct Allowance {
    requests: Option<Bucket>,
    bytes: Option<Bucket>,
    new_clients: Option<Bucket>,
    /// How many requests a connection waits for at once.
    piece: u64,
    wait: Duration,
}

impl Allowance {
    /// All that the rules allow.
    pub fn new(rules: &QuotaRules) -> Self {
        let QuotaRules { requests, bytes, new_clients, burst, wait } = *rules;
        let per_second = |count: u64| {
            let saved = u128::from(count) * burst.as_nanos() / SECOND.as_nanos();
            Bucket::new(count, SECOND, u64::try_from(saved).unwrap_or(u64::MAX))
        };
        Self {
            requests: requests.map(per_second),
            bytes: bytes.map(per_second),
            new_clients: new_clients.map(|count| Bucket::new(count, HOUR, count)),
            piece: (requests.unwrap_or(1) / TURNS_A_SECOND).max(1),
            wait,
        }
    }

    /// How long a line may wait for its turn.
    pub fn wait(&self) -> Duration {
        self.wait
    }

    /// Pays for some of so many lines, as many as are saved up or a few if that is more, and for all of so many bytes. If their turn
    /// would come too late, nothing is paid, and the result is what there is too little of.
    pub fn charge(&self, lines: usize, bytes: usize, now: Tick) -> Result<Charge, Quota> {
        let mut charge = Charge { lines, at: now, quota: Quota::Requests };
        let wanted = |saved: u64| (lines as u64).min(saved.max(self.piece));
        if let Some(requests) = self.requests.as_ref().filter(|_| lines > 0) {
            let taken = requests.take_some(wanted, now, self.wait);
            let (paid, at) = taken.ok_or(Quota::Requests)?;
            (charge.lines, charge.at) = (paid as usize, at);
        }
        if let Some(all) = self.bytes.as_ref().filter(|_| bytes > 0) {
            let Some(at) = all.take(bytes as u64, now, self.wait) else {
                self.refund(charge.lines);
                return Err(Quota::Bytes);
            };
            if at > charge.at {
                (charge.at, charge.quota) = (at, Quota::Bytes);
            }
        }
        Ok(charge)
    }

    /// Takes back so many lines that were paid for and are not executed.
    pub fn refund(&self, lines: usize) {
        self.requests.iter().for_each(|requests| requests.put_back(lines as u64));
    }

    /// Pays for a request that cannot wait, or says how long it would have to.
    pub fn charge_now(&self, now: Tick) -> Result<(), Duration> {
        let Some(requests) = &self.requests else { return Ok(()) };
        requests.take(1, now, Duration::ZERO).map(drop).ok_or_else(|| requests.time_until(1, now))
    }

    /// Whether a client that the node did not know may be added, which is then paid for.
    pub fn admits_new_client(&self, now: Tick) -> bool {
        self.new_clients.as_ref().is_none_or(|bucket| bucket.take(1, now, Duration::ZERO).is_some())
    }

    /// Whether it is as good as a new one.
    pub(super) fn is_untouched(&self, now: Tick) -> bool {
        let buckets = [&self.requests, &self.bytes, &self.new_clients];
        buckets.into_iter().flatten().all(|bucket| bucket.is_full(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: QuotaRules = QuotaRules {
        requests: Some(1_000),
        bytes: Some(100_000),
        new_clients: Some(3),
        burst: Duration::from_secs(2),
        wait: Duration::from_secs(5),
    };

    fn at(milliseconds: u64) -> Tick {
        Duration::from_millis(milliseconds)
    }

    fn paid(lines: usize, milliseconds: u64, quota: Quota) -> Result<Charge, Quota> {
        Ok(Charge { lines, at: at(milliseconds), quota })
    }

    #[test]
    fn what_is_saved_is_paid_at_once_and_then_a_piece_at_a_time() {
        let allowance = Allowance::new(&RULES);
        assert_eq!(allowance.charge(1_999, 10, at(0)), paid(1_999, 0, Quota::Requests));
        assert_eq!(allowance.charge(1, 10, at(0)), paid(1, 0, Quota::Requests));
        assert_eq!(allowance.charge(500, 10, at(0)), paid(10, 10, Quota::Requests));
        assert_eq!(allowance.charge(1, 10, at(0)), paid(1, 11, Quota::Requests));
        // A piece rather than the few that have accrued.
        assert_eq!(allowance.charge(500, 10, at(14)), paid(10, 21, Quota::Requests));
        assert_eq!(allowance.charge(0, 10, at(0)), paid(0, 0, Quota::Requests), "no line, no turn");
    }

    #[test]
    fn turn_that_would_come_too_late_is_not_taken() {
        let allowance = Allowance::new(&RULES);
        assert_eq!(allowance.charge(2_000, 0, at(0)), paid(2_000, 0, Quota::Requests));
        for turn in 1..=500 {
            assert_eq!(allowance.charge(10, 0, at(0)), paid(10, 10 * turn, Quota::Requests));
        }
        assert_eq!(allowance.charge(1, 0, at(0)), Err(Quota::Requests));
        assert_eq!(allowance.charge(1, 0, at(1)), paid(1, 5_001, Quota::Requests));
    }

    #[test]
    fn bytes_are_paid_in_full_and_without_them_no_line_is_paid() {
        let allowance = Allowance::new(&RULES);
        assert_eq!(allowance.charge(1, 200_000, at(0)), paid(1, 0, Quota::Requests));
        let a_byte_later = Charge { lines: 1, at: Duration::from_micros(10), quota: Quota::Bytes };
        assert_eq!(allowance.charge(1, 1, at(0)), Ok(a_byte_later));
    }

    #[test]
    fn lines_whose_bytes_have_no_turn_are_put_back() {
        let allowance = Allowance::new(&RULES);
        assert_eq!(allowance.charge(2_000, 700_001, at(0)), Err(Quota::Bytes));
        assert_eq!(allowance.charge(2_000, 700_000, at(0)), paid(2_000, 5_000, Quota::Bytes));
    }

    #[test]
    fn request_that_cannot_wait_is_told_how_long_it_would_have_to() {
        let allowance = Allowance::new(&QuotaRules { requests: Some(2), ..RULES });
        for _ in 0..4 {
            assert_eq!(allowance.charge_now(at(100_000)), Ok(()));
        }
        assert_eq!(allowance.charge_now(at(100_000)), Err(at(500)));
        assert_eq!(allowance.charge_now(at(100_499)), Err(at(1)));
        assert_eq!(allowance.charge_now(at(100_500)), Ok(()));
        assert_eq!(Allowance::new(&QuotaRules::NONE).charge_now(at(0)), Ok(()));
    }

    #[test]
    fn new_clients_are_admitted_up_to_an_hours_worth_and_then_as_it_accrues() {
        let allowance = Allowance::new(&RULES);
        let hour = 3_600_000;
        let admitted = |milliseconds| allowance.admits_new_client(at(milliseconds));
        assert_eq!([0; 4].map(admitted), [true, true, true, false]);
        assert_eq!([hour / 3 - 1, hour / 3, hour / 3].map(admitted), [false, true, false]);
        assert!(Allowance::new(&QuotaRules::NONE).admits_new_client(at(0)));
    }

    #[test]
    fn where_nothing_is_limited_everything_is_paid() {
        let allowance = Allowance::new(&QuotaRules::NONE);
        assert_eq!(allowance.charge(1 << 20, 1 << 40, at(3)), paid(1 << 20, 3, Quota::Requests));
        assert!(!QuotaRules::NONE.are_any() && RULES.are_any());
    }
}
