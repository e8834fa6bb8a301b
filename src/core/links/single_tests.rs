//! What a link does that takes one line per connection: what is sent when, when it counts as accepted, and what is sent
//! again.

use super::*;
use crate::core::{
    access::{Pattern, Patterns},
    links::{
        Offer, Outbox, outbox,
        scene_tests::{LONGEST, id, ms, times},
    },
    model::{ClientId, ClientRecord, Generation, Location, Timestamp},
    store::{Placement, Shape},
    wire::Ending,
};

struct Scene {
    link: Single,
    outbox: Outbox,
    store: Store,
    now: u64,
}

/// How a neighbour takes a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Takes {
    Line,
    /// It ends the connection by a reset.
    Nothing,
    /// It keeps the connection open.
    ForEver,
}

impl Scene {
    fn new() -> Self {
        Self::of(PlainForm { has_sender: false, ..PlainForm::default() })
    }

    fn of(form: PlainForm) -> Self {
        let (outbox, queue) = outbox(1_000_000);
        let store = Store::new(Placement::of_herd("test").shaped(Shape::new(1, 2)), 1_000_000);
        Self { link: Single::new(id("A"), form, times(), queue), outbox, store, now: 0 }
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

    fn offer(&self, client: &str) -> Offer {
        self.outbox.offer(&format!("{} A\n", at(client)).as_bytes().into())
    }

    fn step(&mut self) -> Step {
        self.link.step(ms(self.now), &self.store)
    }

    /// Waits, as long as it takes, until the link dials; then serves a connection. Returns what was said on it.
    #[track_caller]
    fn connection(&mut self, takes: Takes) -> String {
        self.connection_of(|_| takes)
    }

    /// The same; how the connection is handled depends on what was said.
    #[track_caller]
    fn connection_of(&mut self, takes: impl Fn(&[u8]) -> Takes) -> String {
        self.events();
        self.wait_to_dial();
        self.link.connected(ms(self.now), &self.store);
        let mut said = Vec::new();
        loop {
            match self.step() {
                Step::Write { .. } => {
                    // A pipe that takes ten bytes at a time.
                    let count = self.link.output().len().min(10);
                    said.extend_from_slice(&self.link.output()[..count]);
                    self.link.wrote(count);
                }
                Step::HalfClose => self.link.half_closed(),
                Step::Listen { until } => match takes(&said) {
                    Takes::Line => {
                        assert!(!self.told_all(), "told before the other end has taken it");
                        self.link.received(3);
                        assert!(matches!(self.step(), Step::Listen { .. }), "what it says is thrown away");
                        self.link.received(0);
                    }
                    Takes::Nothing => self.link.failed("reset".to_owned()),
                    Takes::ForEver => self.now = until.as_millis() as u64,
                },
                Step::HangUp => {
                    self.link.hung_up(ms(self.now), LONGEST);
                    return String::from_utf8(said).unwrap();
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[track_caller]
    fn wait_to_dial(&mut self) {
        for _ in 0..10 {
            match self.step() {
                Step::Dial => return,
                Step::Pause { until } | Step::Rest { until } => {
                    self.now = until.as_nanos().div_ceil(1_000_000) as u64;
                }
                other => panic!("{other:?}"),
            }
        }
        panic!("it does not dial");
    }

    /// Connections that each take a line, until the link rests; returns what was sent.
    fn settle(&mut self) -> Vec<String> {
        let mut told = vec![self.connection(Takes::Line)];
        while !self.link.is_quiet() {
            told.push(self.connection(Takes::Line));
        }
        told.retain(|line| !line.is_empty());
        told
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.link.event()).collect()
    }

    /// Whether an event since the last look said that everything was sent.
    fn told_all(&mut self) -> bool {
        self.swept().is_some_and(|over| over.in_step)
    }

    fn swept(&mut self) -> Option<RoundOver> {
        self.events().into_iter().find_map(|event| match event {
            Event::Swept(over) => Some(over),
            _ => None,
        })
    }
}

fn at(client: &str) -> String {
    format!("AT A +1.000000000 {client} +1+1 7")
}

#[test]
fn each_line_has_a_connection_of_its_own_and_all_are_told_once_the_last_is_taken() {
    let mut scene = Scene::of(PlainForm { ending: Ending::CrLf, ..PlainForm::default() });
    (0..5).for_each(|client| scene.know(&format!("c{client}")));
    let mut told: Vec<String> = (0..5).map(|_| scene.connection(Takes::Line)).collect();
    let over = scene.swept().unwrap();
    assert_eq!((over.number, over.pushed, over.in_step), (1, 5, true));
    told.sort();
    let all: Vec<String> = (0..5).map(|client| format!("{} A\r\n", at(&format!("c{client}")))).collect();
    assert_eq!(told, all);
    assert!(scene.link.is_quiet() && scene.link.is_up());
}

#[test]
fn link_is_up_once_a_line_was_taken_or_it_was_found_that_there_is_none() {
    let mut scene = Scene::new();
    assert_eq!(scene.connection(Takes::Line), "", "there is nothing to tell");
    let events = scene.events();
    assert!(matches!(events[..], [Event::Up, Event::Swept(_)]), "{events:?}");
    let mut scene = Scene::new();
    scene.know("kiwi");
    scene.connection(Takes::Nothing);
    assert!(!scene.link.is_up());
    let lost = scene.events().pop().unwrap();
    assert_eq!(lost, Event::Lost { why: Lost::Failed("reset".to_owned()), was_up: false });
    scene.connection(Takes::ForEver);
    let lost = scene.events().pop().unwrap();
    assert_eq!(lost, Event::Lost { why: Lost::Unended(times().write), was_up: false });
    assert_eq!(scene.connection(Takes::Line), at("kiwi") + "\n");
    assert!(scene.link.is_up());
}

#[test]
fn news_goes_before_the_rest_of_a_sweep_one_line_a_connection() {
    let mut scene = Scene::new();
    (0..5).for_each(|client| scene.know(&format!("c{client}")));
    scene.connection(Takes::Line);
    scene.events();
    let two = format!("{} A\n{} A\n", at("new"), at("newer"));
    assert_eq!(scene.outbox.offer(&two.as_bytes().into()), Offer::Queued);
    assert_eq!(scene.connection(Takes::Line), at("new") + "\n");
    let sent = Event::Sent { bytes: at("new").len() + 1, updates: 1, pinged_at: None };
    assert_eq!(scene.events(), [sent]);
    assert_eq!(scene.connection(Takes::Line), at("newer") + "\n");
    assert_eq!(scene.settle().len(), 4);
}

#[test]
fn sweep_goes_on_where_a_connection_failed_and_another_follows() {
    let mut scene = Scene::new();
    (0..5).for_each(|client| scene.know(&format!("c{client}")));
    scene.connection(Takes::Line);
    let lost = scene.connection(Takes::Nothing);
    assert_eq!(scene.connection(Takes::Line), lost, "it is told again");
    for _ in 0..3 {
        assert!(!scene.told_all());
        scene.connection(Takes::Line);
    }
    let over = scene.swept().unwrap();
    assert_eq!((over.number, over.pushed, over.in_step), (1, 5, false), "it may have forgotten the first");
    assert_eq!(scene.settle().len(), 5);
    assert_eq!(scene.swept().map(|over| (over.number, over.in_step)), Some((2, true)));
}

#[test]
fn line_that_is_never_taken_holds_up_nothing_and_is_never_told_to_have_been() {
    let mut scene = Scene::new();
    (0..5).for_each(|client| scene.know(&format!("c{client}")));
    let poison = at("c3") + "\n";
    let takes = |said: &[u8]| if said == poison.as_bytes() { Takes::Nothing } else { Takes::Line };
    let mut said = Vec::new();
    let over = loop {
        said.push(scene.connection_of(takes));
        if let Some(over) = scene.swept() {
            break over;
        }
    };
    assert_eq!((over.pushed, over.in_step), (4, false));
    let tries = said.iter().filter(|line| **line == poison).count();
    assert_eq!((tries, said.len()), (LINE_TRIES_MAX as usize, 4 + LINE_TRIES_MAX as usize));
}

#[test]
fn news_that_was_not_taken_is_told_by_the_sweep_that_follows() {
    let mut scene = Scene::new();
    scene.connection(Takes::Line);
    scene.know("kiwi");
    scene.offer("kiwi");
    let line = at("kiwi") + "\n";
    assert_eq!(scene.connection(Takes::Nothing), line);
    assert_eq!(scene.offer("kiwi"), Offer::Down);
    assert_eq!(scene.settle(), [line]);
}

#[test]
fn all_is_told_again_each_round_since_a_restart_does_not_show() {
    let mut scene = Scene::new();
    scene.know("kiwi");
    assert_eq!(scene.settle().len(), 1);
    let quiet_since = scene.now;
    let Step::Rest { until } = scene.step() else { panic!() };
    assert_eq!(until, ms(quiet_since) + times().round);
    assert_eq!(scene.connection(Takes::Line), at("kiwi") + "\n");
    // A mark comes sooner, but not at once.
    scene.outbox.mark_behind();
    let Step::Rest { until } = scene.step() else { panic!() };
    assert_eq!(until, ms(scene.now) + times().round_gap);
}

#[test]
fn lines_of_a_sweep_are_apart_and_news_is_not() {
    let mut scene = Scene::new();
    (0..3).for_each(|client| scene.know(&format!("c{client}")));
    scene.connection(Takes::Line);
    let Step::Rest { until } = scene.step() else { panic!() };
    assert_eq!(until, ms(scene.now) + SWEEP_LINE_TIME);
    scene.offer("new");
    assert_eq!(scene.step(), Step::Dial);
}

#[test]
fn stop_tells_what_is_queued_and_missing_and_begins_nothing_else() {
    let mut scene = Scene::new();
    (0..3).for_each(|client| scene.know(&format!("c{client}")));
    scene.connection(Takes::Line);
    scene.offer("new");
    scene.link.stop(ms(scene.now) + Duration::from_secs(2));
    assert_eq!(scene.connection(Takes::Line), at("new") + "\n");
    scene.connection(Takes::Line);
    scene.connection(Takes::Line);
    assert_eq!(scene.step(), Step::End);
    let mut late = Scene::new();
    late.know("kiwi");
    late.connection(Takes::Line);
    late.offer("new");
    late.link.stop(ms(late.now));
    assert_eq!(late.step(), Step::End);
}

#[test]
fn stop_does_not_go_on_telling_what_was_taken_before() {
    let mut scene = Scene::new();
    (0..3).for_each(|client| scene.know(&format!("c{client}")));
    assert_eq!(scene.settle().len(), 3);
    // The next sweep is there only because it is time for one.
    scene.connection(Takes::Line);
    scene.link.stop(ms(scene.now) + Duration::from_secs(2));
    assert_eq!((scene.step(), scene.link.lack(&scene.store)), (Step::End, None));
}

#[test]
fn neighbour_is_told_of_those_only_whom_it_may_see() {
    let may_see = Patterns::new(vec![Pattern::parse("k*").unwrap()]);
    let mut scene = Scene::of(PlainForm { has_sender: false, may_see, ..PlainForm::default() });
    scene.know("kiwi");
    scene.know("tui");
    assert_eq!(scene.settle(), [format!("{}\n", at("kiwi"))]);
    for client in ["weka", "kea"] {
        scene.offer(client);
    }
    assert_eq!(scene.connection(Takes::Line), format!("{}\n", at("kea")));
    assert!(matches!(scene.step(), Step::Rest { .. }) && scene.link.is_quiet());
}

#[test]
fn neighbour_is_told_nothing_of_tombstones() {
    let mut scene = Scene::new();
    scene.know("kiwi");
    scene.know("tui");
    scene.forget("kiwi");
    assert_eq!(scene.settle(), [format!("{}\n", at("tui"))]);
    scene.outbox.offer(&b"FORGOT tui 9 7 A A\n"[..].into());
    scene.offer("weka");
    scene.outbox.offer(&b"FORGOT weka 9 7 A A\nFORGOT moa 9 0 A A\n"[..].into());
    assert_eq!(scene.connection(Takes::Line), format!("{}\n", at("weka")));
    assert!(matches!(scene.step(), Step::Rest { .. }) && scene.link.is_quiet());
    // Nor does it lack any.
    scene.outbox.offer(&b"FORGOT tui 10 7 A A\nFORGOT moa 10 0 A A\n"[..].into());
    scene.link.stop(ms(scene.now));
    assert_eq!(scene.link.lack(&scene.store), None);
    let mut scene = Scene::new();
    scene.forget("kiwi");
    scene.link.stop(ms(scene.now) + Duration::from_secs(2));
    assert_eq!((scene.link.lack(&scene.store), scene.step()), (None, Step::End));
}
