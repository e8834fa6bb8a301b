//! The plain link's own rules: what form its lines take, and when everything is told anew.

use super::*;
use crate::core::{
    links::{Offer, Outbox, outbox},
    model::{ClientId, Location, Timestamp},
    store::{Placement, Shape},
};

/// What a node is configured with unless it is told otherwise.
fn times() -> LinkTimes {
    LinkTimes::default()
}

fn ms(ms: u64) -> Tick {
    Tick::from_millis(ms)
}

struct Bench {
    link: PlainLink,
    outbox: Outbox,
    store: Store,
}

impl Bench {
    fn new() -> Self {
        let (outbox, queue) = outbox(1000);
        let placement = Placement::of_herd("test").shaped(Shape::new(1, 2));
        let link = PlainLink::new(NodeId::new("A").unwrap(), PlainForm::default(), times(), queue);
        Self { link, outbox, store: Store::new(placement, 1_000_000) }
    }

    /// One that is up and has told everything at the time 0.
    fn swept() -> Self {
        let mut bench = Self::new();
        bench.link.connected(ms(0));
        assert!(bench.next(0).1.is_some());
        bench
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
        };
        self.store.merge(self.store.key_hash(location.client), &location);
    }

    fn next(&mut self, now: u64) -> (Next, Option<RoundOver>, String) {
        let mut out = Vec::new();
        let (next, over) = self.link.next(ms(now), &self.store, &mut out);
        (next, over, String::from_utf8(out).unwrap())
    }

    fn offer(&self, line: &str) -> Offer {
        self.outbox.offer(&line.as_bytes().into())
    }
}

#[test]
fn lines_take_the_form_the_neighbour_wants() {
    let flooded = b"AT A +1.000000000 k +1+1 7 A\nAT B -0.000000001 l +2+2 8.5 A\n";
    let form = |has_sender, is_crlf| {
        let mut out = Vec::new();
        rewrite(flooded, PlainForm { has_sender, is_crlf }, &mut out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(form(true, false).as_bytes(), flooded);
    assert_eq!(form(false, false), "AT A +1.000000000 k +1+1 7\nAT B -0.000000001 l +2+2 8.5\n");
    assert_eq!(form(true, true), "AT A +1.000000000 k +1+1 7 A\r\nAT B -0.000000001 l +2+2 8.5 A\r\n");
}

#[test]
fn everything_is_told_after_a_connect_in_pieces_with_news_between() {
    let mut bench = Bench::new();
    assert_eq!(bench.next(0).0, Next::Dial);
    let clients = 5000;
    (0..clients).for_each(|client| bench.know(&format!("client{client}")));
    assert_eq!(bench.offer("AT lost\n"), Offer::Down);
    bench.link.connected(ms(0));
    let mut told = Vec::new();
    for piece in 0.. {
        assert_eq!(bench.offer(&format!("AT news{piece} A\n")), Offer::Queued);
        let (next, over, out) = bench.next(piece);
        assert!(out.len() <= READ_BYTES_MAX + 100, "{}", out.len());
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
    // Looked at each second; a sweep begins a second after the last one did.
    let (next, over, out) = bench.next(500);
    assert_eq!((next, over, out.as_str()), (Next::Rest(ms(1000)), None, ""));
    let (_, over, out) = bench.next(1000);
    assert_eq!((over.unwrap().pushed, out.as_str()), (1, "AT A +1.000000000 kiwi +1+1 7 A\n"));
    let (next, over, _) = bench.next(1500);
    assert_eq!((next, over), (Next::Rest(ms(2500)), None));
}

#[test]
fn mark_during_a_sweep_starts_another() {
    let mut bench = Bench::new();
    (0..5000).for_each(|client| bench.know(&format!("client{client}")));
    bench.link.connected(ms(0));
    assert!(bench.next(0).1.is_none());
    bench.outbox.mark_behind();
    let over = (1..).find_map(|now| bench.next(now).1).unwrap();
    assert_eq!((over.number, over.in_step), (1, false));
    let over = (2000..).find_map(|now| bench.next(now).1).unwrap();
    assert_eq!((over.number, over.pushed, over.in_step), (2, 5000, true));
}

#[test]
fn lost_link_waits_and_begins_anew() {
    let mut bench = Bench::swept();
    bench.link.lost(ms(100), u64::MAX);
    assert!(!bench.link.is_up());
    assert_eq!(bench.offer("AT x\n"), Offer::Down);
    assert!(matches!(bench.next(150).0, Next::Rest(until) if until <= ms(200)));
    assert_eq!(bench.next(200).0, Next::Dial);
    bench.link.lost(ms(200), u64::MAX);
    bench.link.neighbour_called(ms(201));
    assert_eq!(bench.next(201).0, Next::Dial);
    bench.know("kiwi");
    bench.link.connected(ms(300));
    assert_eq!(bench.next(300).1.unwrap().pushed, 1);
}

#[test]
fn stopping_link_writes_what_is_queued_and_no_more() {
    let mut bench = Bench::swept();
    bench.know("kiwi");
    bench.outbox.mark_behind();
    bench.offer("AT x A\n");
    bench.link.stop();
    assert_eq!(bench.next(5000), (Next::Write { news: 7 }, None, "AT x A\n".to_owned()));
    assert_eq!(bench.next(5000).0, Next::Flushed);
}
