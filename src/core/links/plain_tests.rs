//! What a third-party node that keeps its connection is sent: when everything is sent again.

use super::*;
use crate::core::{
    access::{Pattern, Patterns},
    links::{
        Link, Offer,
        scene_tests::{Bench, Next, id, ms, times},
    },
    model::{ClientId, ClientRecord, Generation, Location, Timestamp},
};

impl Bench {
    fn plain() -> Self {
        Self::of(|queue| Link::plain(id("A"), PlainForm::default(), times(), queue))
    }

    /// One that is up and has sent everything at the time 0.
    fn swept() -> Self {
        let mut bench = Self::plain();
        bench.connect(0);
        bench.next(0);
        assert!(bench.swept_over().is_some());
        bench
    }

    /// The sweep that has ended since the last call.
    fn swept_over(&mut self) -> Option<RoundOver> {
        self.events().into_iter().find_map(|event| match event {
            Event::Swept(over) => Some(over),
            _ => None,
        })
    }

    fn know(&self, client: &str) {
        let timestamp: &[u8] = b"7";
        let location = Location {
            server: b"A",
            skew: b"+1.000000000",
            client: ClientId::new(client.as_bytes()).unwrap(),
            position: b"+1+1",
            timestamp,
            time: Timestamp::parse(timestamp).unwrap(),
            generation: Generation::FIRST,
        };
        self.store.merge(self.store.key_hash(location.client), &location.into());
    }

    fn forget(&self, client: &str) {
        let line = format!("FORGOT {client} 8 7 A");
        let record = ClientRecord::parse(line.as_bytes()).unwrap();
        self.store.merge(self.store.key_hash(record.client()), &record);
    }

    /// The same, with the sweep that ends by it.
    fn go_on(&mut self, now: u64) -> (Next, Option<RoundOver>, String) {
        let (next, out) = self.next(now);
        (next, self.swept_over(), out)
    }

    fn offer(&self, line: &str) -> Offer {
        self.outbox.offer(&line.as_bytes().into())
    }
}

#[test]
fn everything_is_told_after_a_connect_in_pieces_with_news_between() {
    let mut bench = Bench::plain();
    assert_eq!(bench.go_on(0).0, Next::Dial);
    let clients = 5000;
    (0..clients).for_each(|client| bench.know(&format!("client{client}")));
    assert_eq!(bench.offer("AT lost\n"), Offer::Down);
    bench.connect(0);
    let mut told = Vec::new();
    for piece in 0.. {
        assert_eq!(bench.offer(&format!("AT news{piece} A\n")), Offer::Queued);
        let (next, over, out) = bench.go_on(piece);
        assert!(out.len() <= SWEEP_BYTES_MAX + 100, "{}", out.len());
        let news = format!("AT news{piece} A\n");
        assert_eq!(next, Next::Write { news: news.len() });
        told.extend(out.strip_prefix(&news).unwrap().lines().map(str::to_owned));
        if let Some(over) = over {
            assert_eq!((over.number, over.pushed, over.in_step), (1, clients, true));
            assert_eq!(over.took, ms(piece));
            break;
        }
    }
    told.sort();
    told.dedup();
    assert_eq!(told.len(), clients);
    assert!(told.contains(&"AT A +1.000000000 client7 +1+1 7 A".to_owned()));
}

#[test]
fn loss_is_made_good_for_by_another_sweep_but_not_at_once() {
    let mut bench = Bench::swept();
    bench.know("kiwi");
    bench.outbox.mark_behind();
    // It looks each second; a sweep begins a second after the last one did.
    let (next, over, out) = bench.go_on(500);
    assert_eq!((next, over, out.as_str()), (Next::Rest(ms(1000)), None, ""));
    let (_, over, out) = bench.go_on(1000);
    assert_eq!((over.unwrap().pushed, out.as_str()), (1, "AT A +1.000000000 kiwi +1+1 7 A\n"));
    let (next, over, _) = bench.go_on(1500);
    assert_eq!((next, over), (Next::Rest(ms(2500)), None));
}

#[test]
fn mark_during_a_sweep_starts_another() {
    let mut bench = Bench::plain();
    (0..5000).for_each(|client| bench.know(&format!("client{client}")));
    bench.connect(0);
    assert!(bench.go_on(0).1.is_none());
    bench.outbox.mark_behind();
    let over = (1..).find_map(|now| bench.go_on(now).1).unwrap();
    assert_eq!((over.number, over.in_step), (1, false));
    let over = (2000..).find_map(|now| bench.go_on(now).1).unwrap();
    assert_eq!((over.number, over.pushed, over.in_step), (2, 5000, true));
}

#[test]
fn everything_is_told_again_on_the_next_connection() {
    let mut bench = Bench::swept();
    bench.lose(100);
    assert_eq!(bench.offer("AT x\n"), Offer::Down);
    bench.know("kiwi");
    bench.connect(300);
    assert_eq!(bench.go_on(300).1.map(|over| (over.number, over.pushed)), Some((1, 1)));
}

#[test]
fn neighbour_is_told_of_those_only_whom_it_may_see() {
    let may_see = Patterns::new(vec![Pattern::parse("k*").unwrap()]);
    let form = PlainForm { may_see, ..PlainForm::default() };
    let mut bench = Bench::of(|queue| Link::plain(id("A"), form, times(), queue));
    bench.know("kiwi");
    bench.know("tui");
    bench.connect(0);
    let (_, over, out) = bench.go_on(0);
    assert_eq!((over.unwrap().pushed, out.as_str()), (1, "AT A +1.000000000 kiwi +1+1 7 A\n"));
    bench.offer("AT A +1.000000000 weka +1+1 7 A\nAT A +1.000000000 kea +1+1 7 A\n");
    assert_eq!(bench.go_on(100).2, "AT A +1.000000000 kea +1+1 7 A\n");
}

#[test]
fn neighbour_is_told_nothing_of_tombstones() {
    let mut bench = Bench::plain();
    bench.know("kiwi");
    bench.know("tui");
    bench.forget("kiwi");
    bench.connect(0);
    let (_, over, out) = bench.go_on(0);
    assert_eq!((over.unwrap().pushed, out.as_str()), (1, "AT A +1.000000000 tui +1+1 7 A\n"));
    bench.offer("FORGOT tui 9 7 A A\nAT A +1.000000000 weka +1+1 7 A\n");
    assert_eq!(bench.go_on(100).2, "AT A +1.000000000 weka +1+1 7 A\n");
    bench.offer("FORGOT weka 9 7 A A\n");
    assert_eq!(bench.go_on(200).2, "");
}
