//! The merge laws, the sums, and the memory of a store, over generated histories.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::core::Rules;

mod expiry;
mod forgetting;
mod removal;

/// A location that owns its text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Entry {
    client: Vec<u8>,
    timestamp: String,
    position: String,
    server: String,
    skew: String,
}

impl Entry {
    fn new(client: &str, timestamp: &str, position: &str, server: &str) -> Self {
        let (client, timestamp) = (client.as_bytes().to_vec(), timestamp.to_owned());
        Self {
            client,
            timestamp,
            position: position.to_owned(),
            server: server.to_owned(),
            skew: "+0.000000001".to_owned(),
        }
    }

    fn record(&self) -> ClientRecord<'_> {
        self.location().into()
    }

    fn location(&self) -> Location<'_> {
        let [server, skew, position, timestamp] =
            [&self.server, &self.skew, &self.position, &self.timestamp].map(String::as_bytes);
        Location::of_fields([server, skew, &self.client, position, timestamp]).unwrap()
    }
}

fn store() -> Store {
    Store::new(Placement::of_herd("test"), usize::MAX)
}

fn merged<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Store {
    let store = store();
    for entry in entries {
        merge(&store, entry);
    }
    store
}

fn report(store: &Store, entry: &Entry) -> Outcome {
    let mut location = entry.location();
    store.report(store.key_hash(location.client), &mut location, || true)
}

fn merge(store: &Store, entry: &Entry) -> Outcome {
    let record = entry.record();
    store.merge(store.key_hash(record.client()), &record)
}

/// Asserts that the client's stored location is this one.
fn assert_stored(store: &Store, entry: &Entry) {
    let client = entry.location().client;
    store.get(store.key_hash(client), client, |location| assert_eq!(*location, entry.location())).unwrap();
}

fn at_line(store: &Store, client: &[u8]) -> Option<String> {
    let client = ClientId::new(client).unwrap();
    store.get(store.key_hash(client), client, |location| {
        let mut line = Vec::new();
        location.write_at(&mut line);
        String::from_utf8_lossy(&line).into_owned()
    })
}

/// The whole contents, as text by client.
fn contents(store: &Store, entries: &[Entry]) -> BTreeMap<Vec<u8>, Option<String>> {
    entries.iter().map(|entry| (entry.client.clone(), at_line(store, &entry.client))).collect()
}

fn permutations<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    let [] = items else {
        let mut all = Vec::new();
        for at in 0..items.len() {
            let mut rest = items.to_vec();
            let first = rest.remove(at);
            all.extend(permutations(&rest).into_iter().map(|mut tail| {
                tail.insert(0, first.clone());
                tail
            }));
        }
        return all;
    };
    vec![Vec::new()]
}

#[test]
fn every_order_of_merging_ends_with_the_same_bytes_and_sums() {
    // Equal times that differ in each field the tie-break looks at, and one time written in two ways.
    let mut skewed = Entry::new("a", "5", "+1+1", "Alford");
    skewed.skew = "-0.000000001".into();
    let entries = [
        Entry::new("a", "5", "+1+1", "Alford"),
        Entry::new("a", "5", "+1+1", "Welsh"),
        Entry::new("a", "5", "+2+1", "Alford"),
        Entry::new("a", "5.0", "+1+1", "Alford"),
        skewed,
        Entry::new("a", "4.999999999", "+9+9", "Welsh"),
    ];
    let expected = merged(&entries);
    let orders = permutations(&entries);
    assert_eq!(orders.len(), 720);
    for order in orders {
        let store = merged(&order);
        assert_eq!(at_line(&store, b"a"), at_line(&expected, b"a"), "{order:?}");
        assert_eq!(store.sum(), expected.sum(), "{order:?}");
    }
}

#[test]
fn own_report_must_be_strictly_newer() {
    let store = store();
    let report = |timestamp, position| report(&store, &Entry::new("a", timestamp, position, "Alford"));
    assert_eq!(report("5", "+1+1"), Outcome::Added);
    assert_eq!(report("5", "+2+2"), Outcome::Stale);
    assert_eq!(report("5.0", "+2+2"), Outcome::Stale);
    assert_eq!(report("4.9", "+2+2"), Outcome::Stale);
    assert_eq!(report("5.000000001", "+3+3"), Outcome::Replaced);
    assert_eq!(at_line(&store, b"a").unwrap(), "AT Alford +0.000000001 a +3+3 5.000000001");
    assert_eq!(store.len(), 1);
}

#[test]
fn a_full_store_refuses_new_clients_own_reports_and_nothing_else() {
    let store = Store::new(Placement::of_herd("test"), 2);
    let entry = |client, timestamp| Entry::new(client, timestamp, "+1+1", "Alford");
    assert_eq!(report(&store, &entry("a", "1")), Outcome::Added);
    assert_eq!(report(&store, &entry("b", "1")), Outcome::Added);
    assert_eq!(report(&store, &entry("c", "1")), Outcome::Full);
    assert_eq!(at_line(&store, b"c"), None);
    assert_eq!(report(&store, &entry("a", "2")), Outcome::Replaced);
    assert_eq!(merge(&store, &entry("c", "1")), Outcome::Added);
    assert_eq!(report(&store, &entry("c", "2")), Outcome::Replaced);
    assert_eq!(store.len(), 3);
}

fn bounded(bytes: usize) -> Store {
    let bounds = StoreBounds { clients: usize::MAX, bytes };
    Store::with_rules(Placement::of_herd("test"), bounds, Rules::SOUND)
}

#[test]
fn store_out_of_bytes_refuses_reports_that_make_it_grow_and_nothing_else() {
    let entry = |client, timestamp, digits| {
        Entry::new(client, timestamp, &format!("+1.{}+1", "1".repeat(digits)), "Alford")
    };
    // To the byte: what the first client uses, with its shard's first page, slots and sums.
    let first = entry("a", "1", 100);
    let bytes = merged([&first]).bytes();
    assert_eq!(bytes, 256 * 8 + 8 * 8 + 1024 + 32);
    let store = bounded(bytes - 1);
    assert_eq!((report(&store, &first), store.bytes(), store.len()), (Outcome::OutOfBytes, 0, 0));
    let store = bounded(bytes);
    assert_eq!((report(&store, &first), store.bytes()), (Outcome::Added, bytes));
    // Another client is in another shard, which has no page yet.
    assert_eq!((report(&store, &entry("b", "1", 1)), store.len()), (Outcome::OutOfBytes, 1));
    // As long, shorter, and longer with room on its page.
    for (timestamp, digits) in [("2", 100), ("3", 1), ("4", 100), ("5", 120), ("6", 120)] {
        assert_eq!(report(&store, &entry("a", timestamp, digits)), Outcome::Replaced, "{timestamp}");
    }
    assert_eq!(report(&store, &entry("a", "7", 1000)), Outcome::OutOfBytes);
    assert_stored(&store, &entry("a", "6", 120));
    assert_eq!(report(&store, &entry("a", "5", 1000)), Outcome::Stale);
    // What other nodes send is accepted, whatever room it needs.
    assert_eq!(merge(&store, &entry("a", "8", 5000)), Outcome::Replaced);
    assert_eq!(merge(&store, &entry("b", "1", 5000)), Outcome::Added);
    let learned = entry("c", "1", 1);
    let hash = store.key_hash(learned.location().client);
    assert_eq!(store.learn(hash, &mut learned.location(), 0), Outcome::Added);
    assert!(store.bytes() > bytes + 10_000, "{}", store.bytes());
    assert_eq!(report(&store, &entry("b", "2", 5000)), Outcome::Replaced);
}

#[test]
fn client_that_finds_no_place_takes_no_bytes() {
    let store = Store::new(Placement::of_herd("test"), 0);
    let entry = Entry::new("a", "1", "+1+1", "Alford");
    assert_eq!((report(&store, &entry), store.bytes()), (Outcome::Full, 0));
}

#[test]
fn bytes_are_those_of_all_shards_whatever_comes_and_goes() {
    let store = bounded(1 << 20);
    for round in 0..40 {
        for client in 0..200 {
            let position = format!("+1.{}+1", "1".repeat(1 + (round * 61 + client * 7) % 900));
            let entry = Entry::new(&format!("client{client}"), &round.to_string(), &position, "Alford");
            if client % 2 == 0 {
                report(&store, &entry)
            } else {
                merge(&store, &entry)
            };
        }
        let all: usize = store.shards.iter().map(|shard| shard.lock().holding().bytes).sum();
        assert_eq!(store.bytes(), all);
    }
}

#[test]
fn placement_is_the_same_in_every_build() {
    // Fixed by the protocol's version: nodes of different builds must agree.
    let placement = Placement::of_herd("fall-2016");
    let hash = placement.key_hash(ClientId::new(b"kiwi.cs.ucla.edu").unwrap());
    assert_eq!(format!("{:016x} {hash:x?}", placement.check()), "3f9c068409f45991 KeyHash(1693ff37c81893d0)");
    let entry = Entry::new("kiwi.cs.ucla.edu", "1479413884.392014450", "+34.068930-118.445127", "Alford");
    let store = Store::new(placement, 1);
    merge(&store, &entry);
    assert_eq!(format!("{:016x}", store.sum()), "64cddecde2d1d05b");
}

#[test]
fn records_that_change_size_leave_no_memory_behind() {
    let mut shard = Shard::default();
    let placement = Placement::of_herd("test");
    let mut time = 0;
    for round in 0..60 {
        for client in 0..300 {
            time += 1;
            let position = format!("+1.{}+1", "1".repeat(1 + (round * 37 + client) % 400));
            let entry = Entry::new(&format!("client{client}"), &time.to_string(), &position, "Alford");
            let mut location = entry.location();
            let hash = placement.key_hash(location.client);
            let with = (&placement, Rules::SOUND);
            assert!(shard.report(with, hash, &mut location, |_| true, |_| Ok(())).is_news());
            assert_eq!(shard.get(&placement, hash, location.client), Some(location.into()));
        }
    }
    let live: usize = 300 * 300;
    let bytes = shard.holding().bytes;
    assert!(bytes < 3 * live + 2 * 64 * 1024, "{bytes} bytes for about {live}");
    let sums = shard.leaf_sums().to_vec();
    let mut fresh = Shard::default();
    for client in 0..300 {
        let id = format!("client{client}");
        let id = ClientId::new(id.as_bytes()).unwrap();
        let hash = placement.key_hash(id);
        fresh.merge((&placement, Rules::SOUND), hash, &shard.get(&placement, hash, id).unwrap());
    }
    assert_eq!(fresh.leaf_sums(), sums);
}

#[test]
fn the_largest_line_a_peer_can_send_is_stored() {
    let mut entry = Entry::new("a", "1", "+1+1", "Alford");
    entry.client = vec![b'x'; crate::core::wire::PEER_LINE_BYTES_MAX - 50];
    let store = merged([&entry]);
    assert_stored(&store, &entry);
    entry.timestamp = "2".into();
    assert_eq!(merge(&store, &entry), Outcome::Replaced);
    entry.client = b"y".to_vec();
    entry.position = format!("+1.{}+1", "1".repeat(crate::core::wire::PEER_LINE_BYTES_MAX - 60));
    merge(&store, &entry);
    assert_stored(&store, &entry);
}

fn entry() -> impl Strategy<Value = Entry> {
    let client = prop_oneof![
        "[a-f]".prop_map(String::into_bytes),
        prop::collection::vec(
            any::<u8>().prop_filter("white", |&byte| !crate::core::model::is_white_space(byte)),
            1..60
        ),
    ];
    let position = "[-+][0-8]?[0-9](\\.[0-9]{1,30})?[-+][0-9]{1,2}/?";
    // The server took all of them at a time that a timestamp tells.
    let (skew, timestamp) = ("[-+](0|[1-9][0-9]{0,8})\\.[0-9]{9}", "0?50000000[0-9]{2}(\\.[0-9]{1,2})?");
    (client, timestamp, position, "[A-D][a-z]{0,3}", skew).prop_map(
        |(client, timestamp, position, server, skew)| Entry { client, timestamp, position, server, skew },
    )
}

proptest! {
    #[test]
    fn merging_is_commutative_associative_and_idempotent(
        entries in prop::collection::vec(entry(), 1..40),
        order in any::<prop::sample::Index>(),
        again in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
    ) {
        let forward = merged(&entries);
        let mut history: Vec<&Entry> = entries.iter().rev().collect();
        history.rotate_left(order.index(entries.len()));
        history.extend(again.iter().map(|at| &entries[at.index(entries.len())]));
        let other = merged(history);
        prop_assert_eq!(contents(&forward, &entries), contents(&other, &entries));
        prop_assert_eq!(forward.sum(), other.sum());
        prop_assert_eq!(forward.shard_sums(), other.shard_sums());
        prop_assert_eq!(forward.len(), other.len());
    }

    #[test]
    fn what_is_stored_is_the_greatest_in_the_total_order(entries in prop::collection::vec(entry(), 1..40)) {
        let store = merged(&entries);
        for entry in &entries {
            let of_client = entries.iter().filter(|other| other.client == entry.client);
            let greatest = of_client.max_by(|a, b| a.record().cmp_age(&b.record())).unwrap();
            assert_stored(&store, greatest);
        }
    }

    #[test]
    fn every_difference_shows_in_the_sums(entries in prop::collection::vec(entry(), 1..20), extra in entry()) {
        let (one, other) = (merged(&entries), merged(entries.iter().chain([&extra])));
        let differ = contents(&one, &entries) != contents(&other, &entries) || one.len() != other.len();
        prop_assert_eq!(one.sum() != other.sum(), differ);
        let placement = Placement::of_herd("test");
        let hash = placement.key_hash(extra.location().client);
        for shard in 0..one.shape().shards() {
            let (ones, others) = (one.leaf_sums(shard), other.leaf_sums(shard));
            for leaf in 0..one.shape().leaves() {
                let is_its_leaf = (shard, leaf) == (placement.shard(hash), placement.leaf(hash));
                prop_assert_eq!(ones[leaf] != others[leaf], differ && is_its_leaf);
            }
        }
    }

    #[test]
    fn leaves_list_what_is_stored_in_the_order_of_keys(
        entries in prop::collection::vec(entry(), 1..80),
        (shard_bits, leaf_bits) in (0..=8_u32, 0..=8_u32),
        from in any::<u64>(),
        random in prop::option::of(any::<[u8; 16]>()),
    ) {
        let placement = Placement::of_herd("test").shaped(Shape::new(shard_bits, leaf_bits));
        let placement = random.map_or(placement, |random| placement.scattered(random));
        let store: Store = Store::new(placement, usize::MAX);
        entries.iter().for_each(|entry| {
            merge(&store, entry);
        });
        let (shards, leaves) = (store.shape().shards(), store.shape().leaves());
        let mut clients = std::collections::BTreeSet::new();
        for (shard, leaf) in (0..shards).flat_map(|shard| (0..leaves).map(move |leaf| (shard, leaf))) {
            let listed = store.entries(shard, leaf, KeyHash::of_bits(0));
            prop_assert!(listed.is_sorted());
            prop_assert_eq!(listed.iter().fold(0, |sum, entry| sum ^ entry.hash), store.leaf_sums(shard)[leaf]);
            let later: Vec<_> = listed.iter().copied().filter(|entry| entry.key.bits() >= from).collect();
            prop_assert_eq!(store.entries(shard, leaf, KeyHash::of_bits(from)), later);
            let mut visited = Vec::new();
            store.records(shard, leaf, KeyHash::of_bits(0), |entry, record| {
                assert_eq!((placement.shard(entry.key), placement.leaf(entry.key)), (shard, leaf));
                assert_eq!(placement.key_hash(record.client()), entry.key);
                clients.insert(record.client().as_bytes().to_vec());
                visited.push(entry);
                true
            });
            prop_assert_eq!(visited, listed);
        }
        prop_assert_eq!(clients, entries.iter().map(|entry| entry.client.clone()).collect());
    }

    #[test]
    fn every_field_counts_in_the_sums(entry in entry(), which in 0..4_usize) {
        let mut other = entry.clone();
        match which {
            0 => other.position.insert(1, '0'),
            1 => other.server.push('x'),
            2 => other.skew = if entry.skew.starts_with('+') { entry.skew.replace('+', "-") } else { entry.skew.replace('-', "+") },
            _ => other.timestamp.insert(0, '0'),
        }
        prop_assert_ne!(merged([&entry]).sum(), merged([&other]).sum());
    }

    #[test]
    fn time_orders_before_content(a in entry(), b in entry()) {
        let b = Entry { client: a.client.clone(), ..b };
        let (a, b) = (a.record(), b.record());
        let order = a.cmp_age(&b);
        prop_assert_eq!(order, b.cmp_age(&a).reverse());
        prop_assert_eq!(order.is_eq(), a == b);
        if a.rank() != b.rank() {
            prop_assert_eq!(order, a.rank().cmp(&b.rank()));
        }
    }
}
