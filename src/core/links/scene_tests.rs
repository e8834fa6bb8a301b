//! A link on a test bench: what its neighbour says is put in, and what it does next comes out.

use std::sync::Arc;

use super::{Broken, Dialled, Ends, Event, Link, LinkTimes, Lost, Outbox, Queue, Step, outbox};
use crate::core::{
    access::Secret,
    model::{NodeId, Tick},
    store::{Placement, Shape, Store},
    wire::Nonce,
};

pub(super) const NONCE: Nonce = Nonce::of_bytes([0xaa; Nonce::BYTES]);

/// Random bits that make a wait just short of its bound.
pub(super) const LONGEST: u64 = u64::MAX;

/// What a node is configured with by default.
pub(super) fn times() -> LinkTimes {
    LinkTimes::default()
}

pub(super) fn ms(ms: u64) -> Tick {
    Tick::from_millis(ms)
}

pub(super) fn id(name: &str) -> NodeId {
    NodeId::new(name).unwrap()
}

/// The ends of the link from A to B.
pub(super) fn ends(secret: Option<Arc<Secret>>) -> Ends {
    let (herd, id, peer) = ("test".to_owned(), id("A"), id("B"));
    Ends { herd, id, peer, incarnation: 1, check: 9, forget_after: None, secret }
}

/// What a link does next, once it has seen that nothing has arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Next {
    Dial,
    Pause(Tick),
    /// It writes, all at once; so many bytes of it are updates.
    Write {
        news: usize,
    },
    Listen(Tick),
    Rest(Tick),
    HangUp,
    End,
}

pub(super) struct Bench {
    pub(super) link: Link,
    pub(super) outbox: Outbox,
    pub(super) store: Store,
    /// Since when a ping is unanswered, as last reported.
    pub(super) pinged_at: Option<Tick>,
    /// What was written last.
    pub(super) said: String,
}

impl Bench {
    pub(super) fn of(link: impl FnOnce(Queue) -> Link) -> Self {
        let (outbox, queue) = outbox(1_000_000);
        let store = Store::new(Placement::of_herd("test").shaped(Shape::new(1, 2)), 1_000_000);
        Self { link: link(queue), outbox, store, pinged_at: None, said: String::new() }
    }

    pub(super) fn connect(&mut self, now: u64) {
        self.link.connected(ms(now), Dialled::plain(NONCE), &self.store);
    }

    /// What is next, and what is written.
    pub(super) fn next(&mut self, now: u64) -> (Next, String) {
        loop {
            match self.link.step(ms(now), &self.store) {
                Step::Look => {}
                Step::Write { .. } => return self.write(),
                Step::Dial => return (Next::Dial, String::new()),
                Step::Pause { until } => return (Next::Pause(until), String::new()),
                Step::Listen { until } => return (Next::Listen(until), String::new()),
                Step::Rest { until } => return (Next::Rest(until), String::new()),
                Step::HalfClose => panic!("its connection lasts"),
                Step::HangUp => return (Next::HangUp, String::new()),
                Step::End => return (Next::End, String::new()),
            }
        }
    }

    fn write(&mut self) -> (Next, String) {
        let text = String::from_utf8(self.link.output().to_vec()).unwrap();
        self.link.wrote(text.len());
        self.said.clone_from(&text);
        (Next::Write { news: self.link.news().len() }, text)
    }

    /// The result of a line from the neighbour, without what was reported before.
    pub(super) fn hear(&mut self, now: u64, line: &str) -> Option<Event> {
        self.events();
        let space = self.link.space();
        space[..line.len()].copy_from_slice(line.as_bytes());
        space[line.len()] = b'\n';
        self.link.received(line.len() + 1, ms(now), 0, &self.store);
        self.events().pop()
    }

    /// What was reported since the last call.
    pub(super) fn events(&mut self) -> Vec<Event> {
        let events: Vec<Event> = std::iter::from_fn(|| self.link.event()).collect();
        for event in &events {
            if let Event::Sent { pinged_at, .. } = event {
                self.pinged_at = *pinged_at;
            }
        }
        events
    }

    /// The connection breaks.
    pub(super) fn lose(&mut self, now: u64) {
        self.link.failed("it broke".to_owned());
        self.lost(now);
    }

    /// Hangs up, and returns why.
    #[track_caller]
    pub(super) fn lost(&mut self, now: u64) -> Lost {
        assert_eq!(self.next(now).0, Next::HangUp);
        self.link.hung_up(ms(now), LONGEST);
        match self.events().pop() {
            Some(Event::Lost { why, .. }) => why,
            other => panic!("{other:?}"),
        }
    }

    /// Hangs up on a neighbour for what it has sent, or has not.
    #[track_caller]
    pub(super) fn broken(&mut self, now: u64) -> Broken {
        match self.lost(now) {
            Lost::Broken(why) => why,
            other => panic!("{other:?}"),
        }
    }
}
