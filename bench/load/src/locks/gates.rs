//! The locks in front of a store: each covers an equal part of its shards, so that their number can be varied while the
//! store, its shards and its leaves stay as they are.

use parking_lot::{Mutex, MutexGuard};
use proxyherd::core::store::{KeyHash, Placement};

use super::Behind;

/// On cache lines of its own, or threads at neighbouring locks would still hold each other up.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Gate(Mutex<()>);

/// `None` if the store's own locks are all there is.
#[derive(Debug)]
pub(super) struct Gates<'a> {
    placement: &'a Placement,
    gates: Box<[Gate]>,
}

impl<'a> Gates<'a> {
    pub(super) fn new(placement: &'a Placement, behind: Behind) -> Self {
        let count = match behind {
            Behind::Gates(locks) => locks,
            Behind::Own => 0,
        };
        Self { placement, gates: (0..count).map(|_| Gate::default()).collect() }
    }

    /// Waits for the lock that covers the client, if there is one. Counts it if another thread had it.
    #[inline]
    pub(super) fn enter(&self, client: KeyHash, met_locked: &mut u64) -> Option<MutexGuard<'_, ()>> {
        let gate = &self.gates.get(self.number(client))?.0;
        Some(gate.try_lock().unwrap_or_else(|| {
            *met_locked += 1;
            gate.lock()
        }))
    }

    fn number(&self, client: KeyHash) -> usize {
        self.placement.shard(client) % self.gates.len().max(1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn each_lock_covers_as_many_shards() {
        let placement = Placement::of_herd("bench");
        for locks in [1, 2, 64, 256] {
            let gates = Gates::new(&placement, Behind::Gates(locks));
            let mut shards: HashMap<usize, usize> = HashMap::new();
            for shard in 0..256_u64 {
                *shards.entry(gates.number(KeyHash::of_bits(shard << 56 | 77))).or_default() += 1;
            }
            assert_eq!(shards.len(), locks as usize);
            assert!(shards.values().all(|count| *count == 256 / locks as usize));
        }
    }

    #[test]
    fn who_finds_a_lock_taken_counts_it() {
        let placement = Placement::of_herd("bench");
        let gates = Gates::new(&placement, Behind::Gates(2));
        let (even, odd) = (KeyHash::of_bits(0), KeyHash::of_bits(1 << 56));
        let (mut met, mut met_elsewhere) = (0, 0);
        // The other thread may come only when the lock is free again: once more then.
        for _ in 0..10_000 {
            if met > 0 {
                break;
            }
            std::thread::scope(|scope| {
                let held = gates.enter(even, &mut met_elsewhere);
                drop(gates.enter(odd, &mut met_elsewhere));
                let (met, gates) = (&mut met, &gates);
                scope.spawn(move || drop(gates.enter(even, met)));
                std::thread::sleep(std::time::Duration::from_millis(1));
                drop(held);
            });
        }
        assert_eq!((met, met_elsewhere), (1, 0));
        assert!(Gates::new(&placement, Behind::Own).enter(even, &mut met).is_none());
    }
}
