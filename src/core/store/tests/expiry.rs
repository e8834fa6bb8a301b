//! What is too old in a store: what counts from when, what is hidden, replaced and erased, and what others do meanwhile.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{
    forgetting::{held, take},
    *,
};

/// Clocks differ by so many seconds at most.
const DAY: u64 = 50;

fn times() -> RetentionTimes {
    RetentionTimes { forget_after: 100, step: 10, day: DAY }
}

fn keeping(shape: Shape) -> Store {
    Store::new(Placement::of_herd("test").shaped(shape), usize::MAX).with_retention(times())
}

/// A whole pass.
fn pass(store: &Store, watermark: u64, erase_before: u64) {
    let mut pass = store.begin_pass(watermark, erase_before);
    while !store.go_on(&mut pass) {}
}

fn is_told(store: &Store, client: &str) -> bool {
    let client = ClientId::new(client.as_bytes()).unwrap();
    store.get(store.key_hash(client), client, |_| ()).is_some()
}

#[test]
fn location_counts_from_when_its_server_took_it_whatever_its_own_time_is() {
    let store = keeping(Shape::NODE);
    let of_2016 = "AT A +900.000000000 old +1+1 100";
    let of_2099 = "AT A -8000.000000000 new +1+1 9000";
    assert!(take(&store, of_2016).is_news() && take(&store, of_2099).is_news());
    pass(&store, 1000, 0);
    assert_eq!(
        (held(&store, "old").as_deref(), held(&store, "new").as_deref()),
        (Some(of_2016), Some(of_2099))
    );
    pass(&store, 1001, 0);
    assert_eq!((held(&store, "old"), held(&store, "new")), (None, None));
    assert_eq!((store.len(), store.hidden(), store.sum()), (0, 2, 0));
    assert_eq!(take(&store, of_2016), Outcome::TooOld);
    assert_eq!(store.settled_watermark(), Some(1001));
}

#[test]
fn what_is_hidden_gives_way_to_whatever_comes_and_its_generation_is_taken_while_it_is_in_memory() {
    let store = keeping(Shape::NODE);
    assert!(take(&store, "AT A +0.000000000 kiwi +1+1 100 7").is_news());
    pass(&store, 110, 0);
    // Older by its client's time.
    let location = Entry::new("kiwi", "90", "+2+2", "B");
    let mut location = Location { skew: b"+30.000000000", ..location.location() };
    assert_eq!(store.report(store.key_hash(location.client), &mut location, || true), Outcome::Replaced);
    assert_eq!(held(&store, "kiwi").unwrap(), "AT B +30.000000000 kiwi +2+2 90 7");
    assert_eq!((store.len(), store.hidden()), (1, 0));
    pass(&store, 130, 0);
    assert_eq!(take(&store, "AT C +0.000000000 kiwi +3+3 131"), Outcome::Replaced);
    pass(&store, 140, 0);
    pass(&store, 150, 140);
    assert_eq!((store.hidden(), store.erased()), (0, 1));
    let location = Entry::new("kiwi", "160", "+2+2", "B");
    let mut location = location.location();
    assert_eq!(store.report(store.key_hash(location.client), &mut location, || true), Outcome::Added);
    assert_eq!(location.generation, Generation::FIRST);
}

#[test]
fn generation_stands_a_day_longer_than_what_it_hides_even_where_a_location_has_taken_the_tombstones_place() {
    let store = keeping(Shape::NODE);
    // Forgotten at 1000; reported afresh at 1001. A node that was cut off, whose clock is ahead by 40 s, took this before.
    let stale = "AT B +0.000000000 kiwi +5+5 1040";
    assert!(take(&store, "FORGOT kiwi 1000000 900 A").is_news());
    assert!(take(&store, "AT A +0.000000000 kiwi +1+1 1001 1000000").is_news());
    assert!(is_told(&store, "kiwi"));
    pass(&store, 1010, 0);
    assert!(!is_told(&store, "kiwi"), "clients are not told what is too old");
    assert_eq!(take(&store, stale), Outcome::Stale, "it was forgotten");
    pass(&store, 1040, 0);
    assert_eq!(take(&store, stale), Outcome::Stale);
    pass(&store, 1050, 0);
    assert_eq!((take(&store, stale), store.hidden()), (Outcome::TooOld, 0));
    pass(&store, 1060, 0);
    assert_eq!((held(&store, "kiwi"), store.hidden()), (None, 1));
}

#[test]
fn tombstone_counts_from_its_generation_and_a_day() {
    let store = keeping(Shape::NODE);
    assert!(take(&store, "FORGOT kiwi 1000000 5 A").is_news());
    pass(&store, 1050, 0);
    assert_eq!((store.tombstones(), store.hidden()), (1, 0));
    pass(&store, 1060, 0);
    assert_eq!((store.tombstones(), store.hidden(), store.sum()), (0, 1, 0));
    assert_eq!(take(&store, "FORGOT kiwi 1000000 5 A"), Outcome::TooOld);
}

#[test]
fn what_is_hidden_counts_among_no_clients_and_still_takes_memory() {
    let store = Store::with_rules(
        Placement::of_herd("test"),
        StoreBounds { clients: 1, bytes: usize::MAX },
        Rules::SOUND,
    )
    .with_retention(times());
    let entries = [("a", "100"), ("b", "200"), ("a", "201")]
        .map(|(client, time)| Entry::new(client, time, "+1+1", "A"));
    let [mut first, mut second, mut again] = entries.each_ref().map(Entry::location);
    assert_eq!(store.report(store.key_hash(first.client), &mut first, || true), Outcome::Added);
    assert_eq!(store.report(store.key_hash(second.client), &mut second, || true), Outcome::Full);
    let bytes = store.bytes();
    pass(&store, 150, 0);
    assert_eq!((store.len(), store.bytes()), (0, bytes));
    assert_eq!(store.report(store.key_hash(second.client), &mut second, || true), Outcome::Added);
    assert_eq!(store.report(store.key_hash(again.client), &mut again, || true), Outcome::Full);
}

#[test]
fn while_the_watermark_moves_no_sum_is_settled_and_a_pass_is_cut_into_short_pieces() {
    let store = keeping(Shape::new(0, 4));
    for client in 0..2_000 {
        assert!(take(&store, &format!("AT A +0.000000000 c{client} +1+1 {}", client % 20)).is_news());
    }
    let mut pass = store.begin_pass(10, 0);
    let (mut pieces, mut hidden) = (0, 0);
    loop {
        assert_eq!((store.settled_watermark(), store.watermark()), (None, 10));
        let is_over = store.go_on(&mut pass);
        assert!(store.hidden() - hidden <= 128);
        (pieces, hidden) = (pieces + 1, store.hidden());
        if is_over {
            break;
        }
    }
    assert!(pieces > 15, "{pieces}");
    assert_eq!((store.settled_watermark(), store.hidden(), store.len()), (Some(10), 1_000, 1_000));
}

#[test]
fn pages_in_which_nothing_is_old_are_passed_over() {
    let store = keeping(Shape::new(0, 4));
    for client in 0..20_000 {
        assert!(take(&store, &format!("AT A +0.000000000 c{client} +1+1 5000")).is_news());
    }
    let pieces = |watermark| {
        let mut pass = store.begin_pass(watermark, 0);
        (1..).find(|_| store.go_on(&mut pass)).unwrap()
    };
    let (first, second) = (pieces(1000), pieces(1010));
    assert!(first > 150 && second < first / 8, "{first} pieces, then {second}");
    pass(&store, 5010, 0);
    assert_eq!((store.len(), store.hidden()), (0, 20_000));
    pass(&store, 5020, 5010);
    assert_eq!((store.hidden(), store.erased()), (0, 20_000));
    assert!(store.bytes() < 700_000, "{} bytes are kept for nothing", store.bytes());
}

#[test]
fn page_that_was_half_looked_at_when_another_was_remade_is_looked_at_again() {
    let store = keeping(Shape::new(0, 4));
    let large = "1".repeat(800);
    assert!(take(&store, &format!("AT A +0.000000000 large +1.{large}+1 10")).is_news());
    for client in 0..3_000 {
        assert!(take(&store, &format!("AT A +0.000000000 c{client} +1+1 20")).is_news());
    }
    let mut pass = store.begin_pass(1000, 0);
    for piece in 0..20 {
        assert!(!store.go_on(&mut pass));
        // The large record's own page becomes vacant, and then that of others.
        if piece == 10 {
            assert!(take(&store, "AT A +0.000000000 large +1+1 5000").is_news());
            for client in 0..3_000 {
                assert!(take(&store, &format!("AT A +0.000000000 n{client} +1+1 5000")).is_news());
            }
        }
    }
    while !store.go_on(&mut pass) {}
    assert_eq!((store.len(), store.hidden()), (3_001, 3_000));
}

/// What happens to a store.
#[derive(Clone, Debug)]
enum Step {
    /// A record of that client: taken then by a server whose clock is so far ahead, of that generation in seconds.
    Merge { client: usize, time: u64, skew: i64, generation: u64, is_tombstone: bool, digits: usize },
    /// The watermark begins to move by so much, and what was hidden before so much less is erased.
    Begin { by: u64, erased: u64 },
    /// So many pieces of the pass.
    Pieces { count: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let digits = prop_oneof![3 => 1..40_usize, 1 => 1..900_usize];
    let merge = (0..80_usize, 100..500_u64, -60..60_i64, 0..4_u64, any::<bool>(), digits);
    prop_oneof![
        12 => merge.prop_map(|(client, time, skew, generation, is_tombstone, digits)| Step::Merge {
            client,
            time,
            skew,
            generation: generation * 100,
            is_tombstone: is_tombstone && generation > 0,
            digits,
        }),
        1 => (0..6_u64, 0..4_u64).prop_map(|(by, erased)| Step::Begin { by: by * 10, erased: erased * 20 }),
        3 => (1..3_usize).prop_map(|count| Step::Pieces { count }),
    ]
}

/// What is kept of a client, and from when it counts.
#[derive(Clone)]
struct Kept {
    line: String,
    counted: i64,
}

#[derive(Default)]
struct Model {
    kept: BTreeMap<String, Kept>,
    watermark: i64,
}

impl Model {
    /// Whether the line's record is stored.
    fn takes(&mut self, client: &str, line: &str, counted: i64) -> bool {
        let greater = |kept: &Kept| {
            let (ours, theirs) =
                (ClientRecord::parse(kept.line.as_bytes()), ClientRecord::parse(line.as_bytes()));
            theirs.unwrap().cmp_age(&ours.unwrap()).is_gt()
        };
        let is_taken = counted >= self.watermark
            && self.kept.get(client).is_none_or(|kept| kept.counted < self.watermark || greater(kept));
        if is_taken {
            self.kept.insert(client.to_owned(), Kept { line: line.to_owned(), counted });
        }
        is_taken
    }

    fn check(&self, store: &Store, is_settled: bool) {
        let fresh = Store::new(store.placement, usize::MAX);
        let mut old = 0;
        for (client, kept) in &self.kept {
            let is_old = kept.counted < self.watermark;
            old += usize::from(is_old);
            assert_eq!(held(store, client), (!is_old).then(|| kept.line.clone()), "{client}");
            if !is_old {
                take(&fresh, &kept.line);
            }
        }
        if is_settled {
            assert_eq!(store.shard_sums(), fresh.shard_sums());
            let counts = (store.len(), store.tombstones(), store.hidden());
            assert_eq!(counts, (fresh.len(), fresh.tombstones(), old));
            for leaf in 0..store.shape().leaves() {
                let from = KeyHash::of_bits(0);
                assert_eq!(store.leaf_sums(0)[leaf], fresh.leaf_sums(0)[leaf]);
                assert_eq!(store.entries(0, leaf, from), fresh.entries(0, leaf, from));
            }
        }
        let bytes: usize = store.shards.iter().map(|shard| shard.lock().holding().bytes).sum();
        assert_eq!(store.bytes(), bytes);
    }
}

proptest! {
    #[test]
    fn store_holds_what_was_merged_and_is_not_too_old(
        steps in prop::collection::vec(step(), 1..400),
        random in prop::option::of(any::<[u8; 16]>()),
    ) {
        // One shard, so that all of the store obeys a watermark from the first piece on.
        let placement = Placement::of_herd("test").shaped(Shape::new(0, 3));
        let placement = random.map_or(placement, |random| placement.scattered(random));
        let store = Store::new(placement, usize::MAX).with_retention(times());
        let mut model = Model::default();
        let (mut watermark, mut passing): (u64, Option<(Pass, u64)>) = (0, None);
        for step in steps {
            match step {
                Step::Merge { client, time, skew, generation, is_tombstone, digits } => {
                    let client = format!("client{client}");
                    let of_generation = generation as i64 + DAY as i64;
                    let taken = time as i64 + skew;
                    let written = if generation > 0 { format!(" {}", generation * 1000) } else { String::new() };
                    let (line, counted) = if is_tombstone {
                        (format!("FORGOT {client}{written} {time} A"), of_generation)
                    } else {
                        let sign = if skew < 0 { '-' } else { '+' };
                        let position = format!("+1.{}+1", "1".repeat(digits));
                        let line = format!("AT A {sign}{}.000000000 {client} {position} {time}{written}", skew.abs());
                        (line, if generation > 0 { taken.max(of_generation) } else { taken })
                    };
                    let is_news = take(&store, &line).is_news();
                    prop_assert_eq!(is_news, model.takes(&client, &line, counted), "{}", line);
                }
                Step::Begin { by, erased } if passing.is_none() => {
                    watermark += by;
                    let erase = watermark.saturating_sub(erased);
                    passing = Some((store.begin_pass(watermark, erase), erase));
                }
                Step::Begin { .. } => {}
                Step::Pieces { count } => {
                    for _ in 0..count {
                        let Some((pass, erase)) = &mut passing else { break };
                        model.watermark = watermark as i64;
                        if store.go_on(pass) {
                            model.kept.retain(|_, kept| kept.counted >= (*erase as i64).min(watermark as i64));
                            passing = None;
                        }
                    }
                    model.check(&store, passing.is_none());
                }
            }
        }
        if let Some((mut last, _)) = passing {
            while !store.go_on(&mut last) {}
        }
        pass(&store, watermark + 10, watermark + 10);
        model.watermark = watermark as i64 + 10;
        model.kept.retain(|_, kept| kept.counted >= model.watermark);
        model.check(&store, true);
    }
}
