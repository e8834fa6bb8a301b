//! Generations and tombstones in a store: what replaces what, what is counted, and what is taken after a forgetting.

use super::*;

/// What a line of a journal says.
fn parsed(line: &str) -> ClientRecord<'_> {
    ClientRecord::parse(line.as_bytes()).unwrap()
}

pub(super) fn take(store: &Store, line: &str) -> Outcome {
    let record = parsed(line);
    store.merge(store.key_hash(record.client()), &record)
}

pub(super) fn held(store: &Store, client: &str) -> Option<String> {
    let client = ClientId::new(client.as_bytes()).unwrap();
    let written = |record: &ClientRecord<'_>| {
        let mut line = Vec::new();
        record.write(&mut line);
        String::from_utf8(line).unwrap()
    };
    store.record(store.key_hash(client), client, written)
}

/// A forgetting that makes the tombstone of that generation and time.
fn forget(store: &Store, client: &str, generation: u64, timestamp: &str) {
    let line = format!("FORGOT {client} {generation} {timestamp} Alford");
    let ClientRecord::Tombstone(tombstone) = parsed(&line) else { panic!() };
    let hash = store.key_hash(tombstone.client);
    assert_eq!(store.forget(hash, tombstone.client, |_| Some(tombstone)), Some(tombstone));
}

fn learn(store: &Store, entry: &Entry, taken_seconds: i128) -> Outcome {
    let mut location = entry.location();
    store.learn(store.key_hash(location.client), &mut location, taken_seconds * 1_000_000_000)
}

#[test]
fn report_takes_the_generation_that_stands_and_must_be_newer_than_what_is_hidden() {
    let store = store();
    let entry = |timestamp| Entry::new("kiwi", timestamp, "+1+1", "Welsh");
    assert_eq!(report(&store, &entry("5")), Outcome::Added);
    forget(&store, "kiwi", 1000, "5");
    assert_eq!((store.len(), store.tombstones(), at_line(&store, b"kiwi")), (0, 1, None));
    for timestamp in ["4", "5", "5.0"] {
        assert_eq!(report(&store, &entry(timestamp)), Outcome::Stale, "{timestamp}");
    }
    assert_eq!(report(&store, &entry("5.1")), Outcome::Replaced);
    assert_eq!(held(&store, "kiwi").unwrap(), "AT Welsh +0.000000001 kiwi +1+1 5.1 1000");
    assert_eq!((store.len(), store.tombstones()), (1, 0));
    // What another node still has of before changes nothing, however new.
    assert_eq!(take(&store, "AT Ball +0.000000001 kiwi +2+2 999999999999"), Outcome::Stale);
    assert_eq!(take(&store, "FORGOT kiwi 999 999999999999 Ball"), Outcome::Stale);
    assert_eq!(take(&store, "FORGOT kiwi 1000 5.1 Ball"), Outcome::Replaced);
}

#[test]
fn a_forgetting_is_told_what_it_hides() {
    let store = store();
    let hidden = |client: &str| {
        let (mut hidden, client) = (None, ClientId::new(client.as_bytes()).unwrap());
        let made = store.forget(store.key_hash(client), client, |standing| {
            hidden = standing;
            None
        });
        assert_eq!(made, None);
        hidden.map(|(generation, time)| (generation.number(), time.seconds()))
    };
    take(&store, "AT Ball +0.000000001 kiwi +2+2 7 3");
    take(&store, "FORGOT tui 4 8 Ball");
    assert_eq!((hidden("kiwi"), hidden("tui"), hidden("weka")), (Some((3, 7)), Some((4, 8)), None));
    assert_eq!(held(&store, "kiwi").unwrap(), "AT Ball +0.000000001 kiwi +2+2 7 3");
    assert_eq!(held(&store, "weka"), None);
}

#[test]
fn third_party_nodes_that_repeat_what_was_forgotten_are_not_heard() {
    let store = store();
    let entry = |timestamp| Entry::new("kiwi", timestamp, "+1+1", "Goloman");
    assert_eq!(learn(&store, &entry("5"), 0), Outcome::Added);
    assert_eq!(learn(&store, &entry("6"), 0), Outcome::Replaced, "a generation of 0 asks for nothing");
    // The client's clock was far ahead, so that what they repeat is newer than the tombstone.
    forget(&store, "kiwi", 2_000_000, "6");
    assert_eq!(learn(&store, &entry("4000"), 2_000), Outcome::Stale);
    assert_eq!(learn(&store, &entry("4000"), 2_001), Outcome::Replaced);
    assert_eq!(held(&store, "kiwi").unwrap(), "AT Goloman +0.000000001 kiwi +1+1 4000 2000000");
    assert_eq!(learn(&store, &entry("4001"), 1_999), Outcome::Stale);
}

#[test]
fn tombstones_count_as_bytes_and_not_as_clients_and_are_never_refused() {
    let bounds = StoreBounds { clients: 1, bytes: 1 << 20 };
    let store = Store::with_rules(Placement::of_herd("test"), bounds, Rules::SOUND);
    let entry = |client: &str, timestamp: &str| Entry::new(client, timestamp, "+1+1", "Alford");
    assert_eq!(report(&store, &entry("kiwi", "1")), Outcome::Added);
    assert_eq!(report(&store, &entry("tui", "1")), Outcome::Full);
    forget(&store, "kiwi", 7, "1");
    // Its place is another's now.
    assert_eq!(report(&store, &entry("tui", "1")), Outcome::Added);
    assert_eq!(report(&store, &entry("kiwi", "2")), Outcome::Full);
    assert_eq!((store.len(), store.tombstones(), held(&store, "kiwi").is_some()), (1, 1, true));
    forget(&store, "tui", 8, "1");
    assert_eq!(report(&store, &entry("kiwi", "2")), Outcome::Replaced);
    assert_eq!((store.len(), store.tombstones()), (1, 1));
    let full = bounded(0);
    forget(&full, "kiwi", 7, "0");
    assert!(full.bytes() > 0 && full.tombstones() == 1 && !full.is_empty());
    assert_eq!(report(&full, &entry("tui", "1")), Outcome::OutOfBytes);
    // It has the room of the tombstone, and is longer.
    assert_eq!(report(&full, &entry("kiwi", "1")), Outcome::Replaced);
}

#[test]
fn location_of_the_first_generation_takes_no_more_room_than_its_text() {
    let record = parsed("AT Alford +0.000000001 kiwi +1+1 1479413884.392014450");
    let ClientRecord::Location(location) = record else { panic!() };
    let text = ["Alford", "+0.000000001", "kiwi", "+1+1", "1479413884.392014450"].concat().len();
    assert_eq!(record::RecordFields::of(&record).room(), (16 + text).next_multiple_of(4));
    let later = Location { generation: Generation::MAX, ..location };
    assert_eq!(record::RecordFields::of_location(&later).room(), (16 + text + 7).next_multiple_of(4));
}

/// Records of few clients, generations and times, so that they meet.
fn record_line() -> impl Strategy<Value = String> {
    let timestamp = "[0-3](\\.[05]0?)?";
    let at = ("[AB]", "[a-c]", "\\+[1-3]\\+1", timestamp, 0..3_u64).prop_map(
        |(server, client, position, timestamp, generation)| match generation {
            0 => format!("AT {server} +0.000000001 {client} {position} {timestamp}"),
            _ => format!("AT {server} +0.000000001 {client} {position} {timestamp} {generation}"),
        },
    );
    let forgot =
        ("[AB]", "[a-c]", timestamp, 1..3_u64).prop_map(|(server, client, timestamp, generation)| {
            format!("FORGOT {client} {generation} {timestamp} {server}")
        });
    prop_oneof![2 => at, 1 => forgot]
}

proptest! {
    #[test]
    fn records_of_every_kind_merge_in_any_order_to_the_greatest(
        lines in prop::collection::vec(record_line(), 1..40),
        order in any::<prop::sample::Index>(),
    ) {
        let (forward, backward) = (store(), store());
        let mut turned: Vec<_> = lines.iter().rev().collect();
        turned.rotate_left(order.index(lines.len()));
        lines.iter().for_each(|line| { take(&forward, line); });
        turned.into_iter().for_each(|line| { take(&backward, line); });
        let (mut clients, mut tombstones) = (0, 0);
        for client in ["a", "b", "c"] {
            let of_client = lines.iter().filter(|line| parsed(line).client().as_bytes() == client.as_bytes());
            let greatest = of_client.max_by(|one, other| parsed(one).cmp_age(&parsed(other)));
            let is_tombstone = greatest.is_some_and(|line| line.starts_with("FORGOT"));
            clients += usize::from(greatest.is_some() && !is_tombstone);
            tombstones += usize::from(is_tombstone);
            let known = at_line(&forward, client.as_bytes());
            prop_assert_eq!(known.is_some(), greatest.is_some() && !is_tombstone);
            for store in [&forward, &backward] {
                prop_assert_eq!(held(store, client), greatest.cloned());
            }
        }
        for store in [&forward, &backward] {
            prop_assert_eq!((store.len(), store.tombstones()), (clients, tombstones));
            prop_assert_eq!(store.shard_sums(), forward.shard_sums());
        }
    }

    #[test]
    fn generation_and_kind_count_in_the_sums(line in record_line(), other in record_line()) {
        let (one, two) = (store(), store());
        take(&one, &line);
        take(&two, &other);
        prop_assert_eq!(one.sum() == two.sum(), line == other);
    }
}
