//! The allowances of those who have no token, by where they come from: a table with a bound.

use std::{collections::HashMap, hash::Hash, sync::Arc, time::Duration};

use parking_lot::Mutex;

use super::{Allowance, QuotaRules};
use crate::core::model::Tick;

/// A table that is not larger is not searched for entries to drop.
const SMALL: usize = 1_024;

/// A full table is not searched more often.
const SEARCH_INTERVAL: Duration = Duration::from_secs(1);

/// Allowances by `K`. An entry that nobody uses any more, and that is as good as new, is dropped when room is needed. Whoever
/// finds the table full of others shares one allowance with all who do.
#[derive(Debug)]
pub struct Ledger<K> {
    rules: QuotaRules,
    entries_max: usize,
    /// For all who have no entry.
    crowd: Arc<Allowance>,
    state: Mutex<State<K>>,
}

#[derive(Debug)]
struct State<K> {
    entries: HashMap<K, Arc<Allowance>>,
    /// With so many entries it is time to drop some.
    search_at: usize,
    searched: Tick,
}

impl<K: Eq + Hash> Ledger<K> {
    /// A table of at most so many entries.
    pub fn new(rules: QuotaRules, entries_max: usize) -> Self {
        let crowd = Arc::new(Allowance::new(&rules));
        let search_at = SMALL.min(entries_max);
        let state = State { entries: HashMap::new(), search_at, searched: Tick::ZERO };
        Self { rules, entries_max, crowd, state: Mutex::new(state) }
    }

    /// The allowance of `key`, for as long as a connection lasts.
    pub fn of(&self, key: K, now: Tick) -> Arc<Allowance> {
        let mut state = self.state.lock();
        if let Some(known) = state.entries.get(&key) {
            return Arc::clone(known);
        }
        if state.entries.len() >= state.search_at {
            state.drop_untouched(self.entries_max, now);
        }
        if state.entries.len() >= self.entries_max {
            return Arc::clone(&self.crowd);
        }
        let allowance = Arc::new(Allowance::new(&self.rules));
        state.entries.insert(key, Arc::clone(&allowance));
        allowance
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.state.lock().entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K> State<K> {
    fn drop_untouched(&mut self, entries_max: usize, now: Tick) {
        let is_full = self.entries.len() >= entries_max;
        if is_full && now < self.searched + SEARCH_INTERVAL {
            return;
        }
        self.searched = now;
        self.entries.retain(|_, allowance| Arc::strong_count(allowance) > 1 || !allowance.is_untouched(now));
        // The next search is due after as many newcomers as were looked at in vain now.
        self.search_at = (2 * self.entries.len()).max(SMALL).min(entries_max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: QuotaRules = QuotaRules { requests: Some(1), ..QuotaRules::NONE };

    fn at(seconds: u64) -> Tick {
        Duration::from_secs(seconds)
    }

    fn is_same(one: &Arc<Allowance>, other: &Arc<Allowance>) -> bool {
        Arc::ptr_eq(one, other)
    }

    #[test]
    fn each_has_its_own_and_finds_it_again() {
        let ledger = Ledger::new(RULES, 10);
        let (one, other) = (ledger.of(1, at(0)), ledger.of(2, at(0)));
        assert!(!is_same(&one, &other) && is_same(&one, &ledger.of(1, at(9))));
        assert_eq!(one.charge_now(at(9)), Ok(()));
        assert!(one.charge_now(at(9)).is_err() && other.charge_now(at(9)).is_ok());
    }

    #[test]
    fn full_table_drops_what_is_as_good_as_new_and_nobody_uses() {
        let ledger = Ledger::new(RULES, 3);
        let held = ledger.of(1, at(100));
        ledger.of(2, at(100)).charge_now(at(100)).unwrap();
        ledger.of(3, at(100));
        let newcomer = ledger.of(4, at(100));
        assert!(!is_same(&newcomer, &ledger.crowd) && ledger.len() == 3, "3 has gone");
        // 2 owes until a second is over; 1 and 4 are in use.
        assert!(is_same(&ledger.of(5, at(100)), &ledger.crowd));
        assert!(is_same(&ledger.of(1, at(100)), &held));
        assert!(ledger.of(2, at(100)).charge_now(at(100)).is_err(), "its debt is not forgotten");
        let late = ledger.of(5, at(101));
        assert!(!is_same(&late, &ledger.crowd) && ledger.len() == 3);
        assert!(is_same(&ledger.of(6, at(102)), &ledger.crowd), "all are in use");
        assert_eq!(ledger.len(), 3);
    }

    #[test]
    fn those_without_an_entry_share_one_allowance() {
        let ledger = Ledger::new(RULES, 1);
        let _held = ledger.of(1, at(5));
        assert_eq!(ledger.of(2, at(5)).charge_now(at(5)), Ok(()));
        assert!(ledger.of(3, at(5)).charge_now(at(5)).is_err());
    }

    #[test]
    fn full_table_is_searched_once_a_second() {
        let ledger = Ledger::new(RULES, 2);
        let (one, other) = (ledger.of(1, at(50)), ledger.of(2, at(50)));
        assert!(is_same(&ledger.of(3, at(50)), &ledger.crowd));
        drop((one, other));
        assert!(is_same(&ledger.of(3, at(50)), &ledger.crowd), "they are not looked for again so soon");
        assert!(!is_same(&ledger.of(3, at(51)), &ledger.crowd));
    }

    #[test]
    fn table_of_passers_by_stays_small() {
        let ledger = Ledger::new(RULES, 1 << 20);
        for key in 0..100_000 {
            ledger.of(key, at(1));
        }
        assert!(ledger.len() <= SMALL, "{}", ledger.len());
    }
}
