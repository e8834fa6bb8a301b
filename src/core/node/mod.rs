//! A node: what it knows, whom it talks with, and what becomes of a report, a question or another node's news. Values in,
//! values out, but for a handshake's lines (`welcome`): what lines say is for `wire`, where a connection is for `dialogue`.

mod changes;
mod welcome;

use std::{sync::Arc, time::Duration};

use crossbeam_channel::Sender;
use parking_lot::Mutex;

use self::changes::By;
use crate::core::{
    Rules,
    access::{Peers, Secret},
    links::{Health, Outbox},
    model::{ClientId, Coordinates, Location, NodeId, Now, OwnedLocation, Query, Skew, SkewText, Tick},
    repair,
    store::{KeyHash, Outcome, Placement, Store, StoreBounds},
    wire::{Form, Held, Invalid, PlainFault, PlainForm, PlainLine, Question, Report, Whatsat},
};

pub use self::{
    changes::{Changes, Subscribers},
    welcome::{Challenge, Greeting, Welcome},
};

/// What a node knows and whom it talks with. Shared by all its threads.
#[derive(Debug)]
pub struct Node {
    /// The name of its herd.
    pub herd: String,
    /// Its own name.
    pub id: NodeId,
    /// A random number of this start, by which neighbours tell it from another process of its name.
    pub incarnation: u64,
    /// The placement key's check value.
    pub check: u64,
    /// What proves that a node is of the herd; `None` in a herd without one.
    pub secret: Option<Arc<Secret>>,
    store: Store,
    neighbours: Vec<Neighbour>,
    subscribers: Subscribers,
    peers: Mutex<Peers>,
    lookups: Option<LookupRules>,
    reports: ReportLimits,
    rules: Rules,
}

/// What a node begins with.
pub struct Options {
    /// The name of its herd.
    pub herd: String,
    /// Where clients belong, on every node of the herd alike.
    pub placement: Placement,
    /// What proves that a node is of the herd; `None` in a herd without one.
    pub secret: Option<Arc<Secret>>,
    /// Its own name.
    pub id: NodeId,
    /// A random number of this start.
    pub incarnation: u64,
    /// What it takes of clients' reports.
    pub reports: ReportLimits,
    /// A peer that has not been heard for so long may be replaced by another process of its name.
    pub liveness: Duration,
    /// Whom it talks with.
    pub neighbours: Vec<Neighbour>,
    /// Who else wants to know of changes.
    pub subscribers: Subscribers,
    /// How places are looked up; `None` for a herd without a source.
    pub lookups: Option<LookupRules>,
}

/// What a node takes of clients' own reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReportLimits {
    /// Beyond so many, new clients' are refused.
    pub max_clients: usize,
    /// Where the store would take more memory than this, in bytes, they are refused.
    pub max_bytes: usize,
    /// The longest id of a client, in bytes.
    pub client_bytes: usize,
    /// How far they, and those of a third-party node, may be ahead of the clock; `None` for no limit.
    pub max_ahead: Option<Duration>,
}

impl ReportLimits {
    /// Any report is taken.
    pub const NONE: Self =
        Self { max_clients: usize::MAX, max_bytes: usize::MAX, client_bytes: usize::MAX, max_ahead: None };
}

/// A node this one talks with, from the point of view of those who have something for it.
#[derive(Debug)]
pub struct Neighbour {
    /// Its name.
    pub id: NodeId,
    /// What waits to be sent to it.
    pub outbox: Outbox,
    /// Tells its flooder that it has connected to this node.
    pub called: Sender<()>,
    /// How to speak to it, where it is a third-party node.
    pub plain: Option<PlainForm>,
    /// How the link is.
    pub health: Health,
}

/// How places are looked up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LookupRules {
    /// What may be asked of the source, and how its answers end.
    pub form: Form,
    /// Whether a lookup may wait for something outside the process, so that replies already owed should leave first.
    pub may_wait: bool,
}

/// A report that was taken.
#[derive(Clone, Copy, Debug)]
pub struct Reported<'a> {
    /// The location it tells, as this node took it.
    pub location: Location<'a>,
    /// Whether it is the newest of its client.
    pub is_newest: bool,
}

impl Node {
    /// A node that knows nobody yet.
    pub fn new(options: Options) -> Self {
        Self::with_rules(options, Rules::SOUND)
    }

    /// The same with rules that may be wrong.
    pub fn with_rules(options: Options, rules: Rules) -> Self {
        let Options { herd, placement, secret, id, incarnation, reports, .. } = options;
        let Options { liveness, neighbours, subscribers, lookups, .. } = options;
        let bounds = StoreBounds { clients: reports.max_clients, bytes: reports.max_bytes };
        let store = Store::with_rules(placement, bounds, rules);
        let peers = Mutex::new(Peers::new(neighbours.len(), liveness));
        let check = placement.check();
        Self {
            herd,
            id,
            incarnation,
            check,
            secret,
            store,
            neighbours,
            subscribers,
            peers,
            lookups,
            reports,
            rules,
        }
    }

    /// Whom this node talks with. A *link* is a position among them.
    pub fn neighbours(&self) -> &[Neighbour] {
        &self.neighbours
    }

    /// What it remembers.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What may be asked of the source of places.
    pub fn form(&self) -> &Form {
        self.lookups.as_ref().map_or(&Form::PLACES, |lookups| &lookups.form)
    }

    /// How places are looked up; `None` for a herd without a source.
    pub fn lookups(&self) -> Option<LookupRules> {
        self.lookups
    }

    /// Has the processor fetch what calls about these clients will read. Worth it where there are several.
    pub fn prefetch(&self, keys: impl Iterator<Item = KeyHash> + Clone) {
        self.store.prefetch(keys);
    }

    /// Takes a client's report: stored if it is strictly newer than what is known. What the client is told is the same
    /// either way. `skew` holds a part of it.
    pub fn report<'a>(
        &'a self,
        report: &Report<'a>,
        key: KeyHash,
        now: Now,
        skew: &'a mut SkewText,
        changes: &mut Changes,
    ) -> Result<Reported<'a>, Invalid> {
        let Report { client, position, timestamp, time } = *report;
        if client.as_bytes().len() > self.reports.client_bytes {
            return Err(Invalid::LongClient);
        }
        let ahead = Skew::between(now.wall, time);
        self.check_not_ahead(ahead)?;
        skew.set(ahead);
        let (server, skew) = (self.id.as_bytes(), skew.as_bytes());
        let location = Location { server, skew, client, position, timestamp, time };
        let outcome = self.store.report(key, &location);
        if outcome.is_news() {
            changes.add(self, &location, key, By::News);
        }
        match outcome {
            Outcome::Full => Err(Invalid::TooManyClients),
            Outcome::OutOfBytes => Err(Invalid::TooManyBytes),
            _ => Ok(Reported { location, is_newest: outcome.is_news() }),
        }
    }

    /// Takes a peer's news: stored if it is greater in the order of its client's locations.
    pub fn learn(&self, location: &Location<'_>, key: KeyHash, changes: &mut Changes) {
        if self.store.merge(key, location).is_news() {
            changes.add(self, location, key, By::News);
        }
    }

    /// Takes what a peer has found this node to lack.
    pub fn repair(&self, location: &Location<'_>, key: KeyHash, changes: &mut Changes) {
        if self.store.merge(key, location).is_news() {
            changes.add(self, location, key, By::Repair);
        }
    }

    /// Takes the news of a third-party node, which is held to this node's clock and to strictly newer times as its own
    /// clients are.
    pub fn learn_plain(
        &self,
        line: &PlainLine<'_>,
        key: KeyHash,
        now: Now,
        changes: &mut Changes,
    ) -> Result<(), Invalid> {
        self.check_not_ahead(Skew::between(now.wall, line.time))?;
        let skew = line.skew_text();
        let location = line.location(&skew);
        if self.store.learn(key, &location).is_news() {
            changes.add(self, &location, key, By::News);
        }
        Ok(())
    }

    /// Finds out where a client is, whose location is copied into `found`, and what is to be looked up around it.
    pub fn locate(
        &self,
        asked: &Whatsat<'_>,
        key: KeyHash,
        found: &mut OwnedLocation,
    ) -> Result<Query, Invalid> {
        if self.lookups.is_none() {
            return Err(Invalid::NoPlaces);
        }
        let known = self.store.get(key, asked.client, |location| found.copy_from(location));
        known.ok_or(Invalid::UnknownClient)?;
        let center = Coordinates::of_position(found.of(asked.client).position).ok_or(Invalid::Position)?;
        Ok(Query { center, radius_m: asked.radius_km * 1000.0, bound: asked.bound })
    }

    /// What this node holds of what a peer asks about; `None` for a part that the store does not have.
    pub fn answer(&self, question: &Question) -> Option<Held> {
        repair::answer(&self.store, question)
    }

    /// Where a client's location belongs: what every call about it wants to be told.
    pub fn key(&self, client: ClientId<'_>) -> KeyHash {
        self.store.key_hash(client)
    }

    /// Reads a line of a third-party node: by the form of the one at the end of that link, or by those of the `candidates`,
    /// who may be at the other end, in turn.
    pub fn read_plain<'a>(
        &self,
        line: &'a [u8],
        link: Option<usize>,
        candidates: &[usize],
    ) -> Result<PlainLine<'a>, PlainFault> {
        let links = link.as_ref().map_or(candidates, std::slice::from_ref);
        let mut forms = links.iter().filter_map(|&link| self.neighbours[link].plain.as_ref());
        let first = forms.next().map_or(Err(PlainFault::Keyword), |form| PlainLine::parse(line, form));
        first.or_else(|fault| forms.find_map(|form| PlainLine::parse(line, form).ok()).ok_or(fault))
    }

    /// The form by which a third-party node's lines are answered, if they are: that of the one at the end of that link, or of
    /// the first of the `candidates` who wants answers.
    pub fn plain_answer(&self, link: Option<usize>, candidates: &[usize]) -> Option<&PlainForm> {
        let links = link.as_ref().map_or(candidates, std::slice::from_ref);
        let mut forms = links.iter().filter_map(|&link| self.neighbours[link].plain.as_ref());
        forms.find(|form| form.answer.is_some())
    }

    /// The link that a line of a third-party node names as its sender, if it is one of the `candidates`: those who may be
    /// at the other end.
    pub fn plain_sender(&self, line: &PlainLine<'_>, candidates: &[usize]) -> Option<usize> {
        let sender = line.sender?;
        candidates.iter().copied().find(|&link| self.neighbours[link].id.as_bytes() == sender)
    }

    /// A peer's connection has said something.
    pub(super) fn heard(&self, link: usize, connection: u64, now: Tick) {
        self.peers.lock().heard(link, connection, now);
    }

    /// A peer's connection has ended.
    pub(super) fn left(&self, link: usize, connection: u64) {
        self.peers.lock().left(link, connection);
    }

    fn check_not_ahead(&self, skew: Skew) -> Result<(), Invalid> {
        let ahead = |limit: Duration| skew.as_nanoseconds() < -(limit.as_nanos() as i128);
        if self.reports.max_ahead.is_some_and(ahead) { Err(Invalid::TooFarAhead) } else { Ok(()) }
    }
}
