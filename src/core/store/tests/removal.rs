//! A store from which clients are removed, beside a map, while a cursor walks it.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// What happens to a store.
#[derive(Clone, Debug)]
enum Step {
    /// A location of that client and time, its position so many digits long.
    Merge {
        client: usize,
        time: u8,
        digits: usize,
    },
    Remove {
        client: usize,
    },
    /// The walk goes on by so many.
    Walk {
        most: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..60_usize, any::<u8>(), prop_oneof![1..40_usize, 1..900_usize])
            .prop_map(|(client, time, digits)| Step::Merge { client, time, digits }),
        3 => (0..60_usize).prop_map(|client| Step::Remove { client }),
        1 => (0..30_usize).prop_map(|most| Step::Walk { most }),
    ]
}

/// A walk, and what it must see: what was there when it began, and has not changed since.
#[derive(Default)]
struct Walk {
    cursor: Cursor,
    must_see: BTreeSet<Vec<u8>>,
    seen: BTreeSet<Vec<u8>>,
}

impl Walk {
    fn begin(model: &BTreeMap<Vec<u8>, Entry>) -> Self {
        Self { must_see: model.keys().cloned().collect(), ..Self::default() }
    }

    fn go_on(&mut self, most: usize, store: &Store, model: &BTreeMap<Vec<u8>, Entry>) {
        let mut left = most;
        let is_over = self.cursor.walk(store, |_, record| {
            let has_room = left > 0;
            if has_room {
                left -= 1;
                let client = record.client().as_bytes();
                assert_eq!(*record, model[client].record());
                assert!(self.seen.insert(client.to_vec()), "seen twice");
            }
            has_room
        });
        if is_over {
            assert!(self.must_see.is_subset(&self.seen), "missed");
            *self = Self::begin(model);
        }
    }
}

fn check(store: &Store, model: &BTreeMap<Vec<u8>, Entry>) {
    assert_eq!(store.len(), model.len());
    let bytes: usize = store.shards.iter().map(|shard| shard.lock().holding().bytes).sum();
    assert_eq!(store.bytes(), bytes);
    let fresh = Store::new(store.placement, usize::MAX);
    for entry in model.values() {
        merge(&fresh, entry);
        assert_stored(store, entry);
    }
    assert_eq!(store.shard_sums(), fresh.shard_sums());
    for shard in 0..store.shape().shards() {
        assert_eq!(store.leaf_sums(shard), fresh.leaf_sums(shard));
        for leaf in 0..store.shape().leaves() {
            let from = KeyHash::of_bits(0);
            assert_eq!(store.entries(shard, leaf, from), fresh.entries(shard, leaf, from));
        }
    }
}

proptest! {
    #[test]
    fn store_holds_what_was_merged_and_not_removed_since(
        steps in prop::collection::vec(step(), 1..300),
        (shard_bits, leaf_bits) in (0..=2_u32, 0..=3_u32),
        random in prop::option::of(any::<[u8; 16]>()),
    ) {
        let placement = Placement::of_herd("test").shaped(Shape::new(shard_bits, leaf_bits));
        let placement = random.map_or(placement, |random| placement.scattered(random));
        let store = Store::new(placement, usize::MAX);
        let mut model: BTreeMap<Vec<u8>, Entry> = BTreeMap::new();
        let mut walk = Walk::default();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Merge { client, time, digits } => {
                    let position = format!("+1.{}+1", "1".repeat(digits));
                    let entry = Entry::new(&format!("client{client}"), &time.to_string(), &position, "A");
                    let is_news = merge(&store, &entry).is_news();
                    let stored = model.get(&entry.client);
                    let is_greater =
                        stored.is_none_or(|stored| entry.record().cmp_age(&stored.record()).is_gt());
                    prop_assert_eq!(is_news, is_greater);
                    if is_greater {
                        walk.must_see.remove(&entry.client);
                        model.insert(entry.client.clone(), entry);
                    }
                }
                Step::Remove { client } => {
                    let id = format!("client{client}").into_bytes();
                    let client = ClientId::new(&id).unwrap();
                    let is_removed = store.remove(store.key_hash(client), client);
                    prop_assert_eq!(is_removed, model.remove(&id).is_some());
                    prop_assert_eq!(at_line(&store, &id), None);
                    walk.must_see.remove(&id);
                }
                Step::Walk { most } => walk.go_on(most, &store, &model),
            }
            if number % 16 == 0 {
                check(&store, &model);
            }
        }
        check(&store, &model);
        for id in model.into_keys() {
            let client = ClientId::new(&id).unwrap();
            prop_assert!(store.remove(store.key_hash(client), client));
        }
        check(&store, &BTreeMap::new());
        prop_assert_eq!(store.sum(), 0);
    }
}

#[test]
fn what_was_removed_leaves_its_memory_to_others() {
    let mut shard = Shard::default();
    let placement = Placement::of_herd("test");
    let entries: Vec<_> =
        (0..2_000).map(|client| Entry::new(&format!("client{client}"), "1", "+1+1", "Alford")).collect();
    let mut most = 0;
    for round in 0..20 {
        for entry in &entries {
            let record = entry.record();
            let hash = placement.key_hash(record.client());
            assert!(shard.merge((&placement, Rules::SOUND), hash, &record).is_news());
        }
        let Holding { clients, bytes, .. } = shard.holding();
        assert_eq!(clients, entries.len());
        if round == 0 {
            most = bytes;
        }
        assert!(bytes <= most + 64 * 1024, "{bytes} bytes in round {round}, {most} at first");
        for entry in &entries {
            let client = entry.location().client;
            assert!(shard.remove(&placement, placement.key_hash(client), client));
        }
        let left = shard.holding();
        // Slots, sums, and a list of pages that hold nothing.
        assert!(left.clients == 0 && left.bytes < most / 4, "{left:?} of {most}");
    }
}
