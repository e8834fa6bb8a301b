//! A node: what it knows, who its neighbours are, and what becomes of a report, a question or another node's update.
//! Values in, values out, except for a handshake's lines (`welcome`): `wire` says what lines mean, and `dialogue` where
//! a connection stands.

mod changes;
mod forgetting;
mod herd_clock;
mod retainer;
mod watermark;
mod welcome;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crossbeam_channel::Sender;
use parking_lot::Mutex;

use self::{changes::By, herd_clock::HerdClock};
use crate::core::{
    Rules,
    access::{Access, Allowance, PeerTls, Peers, QuotaRules, Secret},
    links::{Health, Outbox},
    model::{
        ClientId, ClientRecord, Coordinates, Generation, Location, NodeId, Now, OwnedLocation, Query,
        RetentionTimes, Skew, SkewText, Tick,
    },
    repair,
    store::{KeyHash, Outcome, Placement, Store, StoreBounds},
    wire::{Form, Held, Invalid, PlainFault, PlainForm, PlainLine, Question, Report, Whatsat},
};

pub use self::{
    changes::{Changes, Subscribers},
    retainer::{Retainer, RetainerEvent, RetentionCondition},
    watermark::ClockOff,
    welcome::{Challenge, Greeting, Welcome},
};

/// What a node knows and whom it talks with. Shared by all its threads.
#[derive(Debug)]
pub struct Node {
    /// The name of its herd.
    pub herd: String,
    /// Its own name.
    pub id: NodeId,
    /// A random number drawn at this start, by which neighbours distinguish it from another process of its name.
    pub incarnation: u64,
    /// The placement key's check value.
    pub check: u64,
    /// After how many seconds nodes of the herd forget locations; `None` for never.
    pub forget_after: Option<u64>,
    /// What proves that a node belongs to the herd; `None` in a herd without a secret.
    pub secret: Option<Arc<Secret>>,
    /// Whether peers speak TLS with it.
    pub peer_tls: PeerTls,
    store: Store,
    /// By which times; `None` where nothing is forgotten for its age.
    retention: Option<RetentionTimes>,
    herd_clock: HerdClock,
    neighbours: Vec<Neighbour>,
    subscribers: Subscribers,
    peers: Mutex<Peers>,
    lookups: Option<LookupRules>,
    reports: ReportLimits,
    /// How much each principal may do.
    quotas: QuotaRules,
    /// Whether reports are refused for now; `None` if they are acknowledged at once.
    refuses: Option<AtomicBool>,
    access: Access,
    rules: Rules,
}

/// What a node begins with.
pub struct Options {
    /// The name of its herd.
    pub herd: String,
    /// Where clients belong in the store, the same on every node of the herd.
    pub placement: Placement,
    /// What proves that a node belongs to the herd; `None` in a herd without a secret.
    pub secret: Option<Arc<Secret>>,
    /// Its own name.
    pub id: NodeId,
    /// A random number drawn at this start.
    pub incarnation: u64,
    /// After how many seconds nodes of the herd forget locations; `None` for never.
    pub forget_after: Option<u64>,
    /// The limits on clients' reports.
    pub reports: ReportLimits,
    /// A peer that has not been heard from for so long may be replaced by another process of its name.
    pub liveness: Duration,
    /// The nodes it talks with.
    pub neighbours: Vec<Neighbour>,
    /// The other subscribers to changes.
    pub subscribers: Subscribers,
    /// How places are looked up; `None` for a herd without a source.
    pub lookups: Option<LookupRules>,
}

/// The limits on clients' own reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReportLimits {
    /// New clients beyond this number are refused.
    pub max_clients: usize,
    /// Reports that would make the store use more memory than this, in bytes, are refused.
    pub max_bytes: usize,
    /// The longest id of a client, in bytes.
    pub client_bytes: usize,
    /// How far they, and those of a third-party node, may be ahead of the clock; `None` for any distance.
    pub max_ahead: Option<Duration>,
}

impl ReportLimits {
    /// Any report is accepted.
    pub const NONE: Self =
        Self { max_clients: usize::MAX, max_bytes: usize::MAX, client_bytes: usize::MAX, max_ahead: None };
}

/// A node this one talks with, as seen by those that have something for it.
#[derive(Debug)]
pub struct Neighbour {
    /// Its name.
    pub id: NodeId,
    /// What waits to be sent to it.
    pub outbox: Outbox,
    /// Tells its flooder that it has connected to this node.
    pub called: Sender<()>,
    /// How to speak to it, if it is a third-party node.
    pub plain: Option<PlainForm>,
    /// The state of its link.
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

/// A report that was accepted.
#[derive(Clone, Copy, Debug)]
pub struct Reported<'a> {
    /// The location in the reply, as this node recorded it.
    pub location: Location<'a>,
    /// Whether it is its client's newest.
    pub is_newest: bool,
}

impl Node {
    /// A node that knows no clients yet.
    pub fn new(options: Options) -> Self {
        Self::with_rules(options, Rules::SOUND)
    }

    /// The same with rules that may be wrong.
    pub fn with_rules(options: Options, rules: Rules) -> Self {
        let Options { herd, placement, secret, id, incarnation, forget_after, reports, .. } = options;
        let Options { liveness, neighbours, subscribers, lookups, .. } = options;
        let bounds = StoreBounds { clients: reports.max_clients, bytes: reports.max_bytes };
        let store = Store::with_rules(placement, bounds, rules);
        let retention = forget_after.map(RetentionTimes::of);
        let store = retention.into_iter().fold(store, Store::with_retention);
        let peers = Mutex::new(Peers::new(neighbours.len(), liveness));
        let check = placement.check();
        Self {
            herd,
            id,
            incarnation,
            check,
            forget_after,
            secret,
            peer_tls: PeerTls::Off,
            store,
            retention,
            herd_clock: HerdClock::default(),
            neighbours,
            subscribers,
            peers,
            lookups,
            reports,
            quotas: QuotaRules::NONE,
            refuses: None,
            access: Access::default(),
            rules,
        }
    }

    /// The same, acknowledging a client's report only once a subscriber to all changes has made it durable: then a
    /// dialogue has its driver wait for that.
    #[must_use]
    pub fn acknowledging_what_is_durable(self) -> Self {
        Self { refuses: Some(AtomicBool::new(false)), ..self }
    }

    /// The same, and this says who may do what. Without it, anyone may report for any client and ask for any.
    #[must_use]
    pub fn granting(self, access: Access) -> Self {
        Self { access, ..self }
    }

    /// Who may do what here. Whoever speaks for a client asks it before [`Node::report`], [`Node::locate`] and
    /// [`Node::forget`], which do not ask.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// The same, where each principal may do no more than that.
    #[must_use]
    pub fn limited_by(self, quotas: QuotaRules) -> Self {
        Self { quotas, ..self }
    }

    /// How much each principal may do.
    pub fn quotas(&self) -> &QuotaRules {
        &self.quotas
    }

    /// The same by other times than follow from `forget_after`, for the simulation.
    #[must_use]
    pub fn forgetting_by(self, times: RetentionTimes) -> Self {
        Self { store: self.store.with_retention(times), retention: Some(times), ..self }
    }

    /// By which times it forgets what is old, if it does.
    pub fn retention(&self) -> Option<RetentionTimes> {
        self.retention
    }

    /// The same, speaking TLS with peers as that mode has it; without it, no peer does.
    #[must_use]
    pub fn with_peer_tls(self, peer_tls: PeerTls) -> Self {
        Self { peer_tls, ..self }
    }

    /// Whether the acknowledgement of a report waits until it is durable, or what it met if it is not the newest.
    pub(super) fn waits_for_durable(&self, is_newest: bool) -> bool {
        self.refuses.is_some() && (is_newest || self.rules.stale_reports_wait)
    }

    fn is_stale(&self, report: &Report<'_>, key: KeyHash) -> bool {
        let met = self.store.get(key, report.client, |met| met.time >= report.time);
        met == Some(true)
    }

    /// While nothing can be made durable, reports are refused before they are stored.
    pub fn refuse_reports(&self, refuses: bool) {
        if let Some(refused) = &self.refuses {
            refused.store(refuses, Ordering::Relaxed);
        }
    }

    /// The nodes that this one talks with. A *link* is a position among them.
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

    /// Makes the processor fetch what calls about these clients will read. Worth it for several at once.
    pub fn prefetch(&self, keys: impl Iterator<Item = KeyHash> + Clone) {
        self.store.prefetch(keys);
    }

    /// Takes a client's report: stored if it is strictly newer than what is known. The reply is the same either way.
    /// A client that is not known is paid for from the `allowance`. `skew` holds a part of the reply.
    pub fn report<'a>(
        &'a self,
        (report, key): (&Report<'a>, KeyHash),
        allowance: Option<&Allowance>,
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
        if self.rules.stale_reports_wait || !self.is_stale(report, key) {
            self.check_kept()?;
        }
        skew.set(ahead);
        let (server, skew, generation) = (self.id.as_bytes(), skew.as_bytes(), Generation::FIRST);
        let mut location = Location { server, skew, client, position, timestamp, time, generation };
        let admits_new = || allowance.is_none_or(|allowance| allowance.admits_new_client(now.tick));
        let outcome = self.store.report(key, &mut location, admits_new);
        if outcome.is_news() {
            changes.add(self, &location.into(), key, By::News);
        } else if outcome == Outcome::Stale && self.waits_for_durable(false) {
            // What it met may not have been offered yet, and this report is acknowledged for its sake.
            self.store.record(key, client, |met| changes.add_again(self, met));
        }
        match outcome {
            Outcome::Full => Err(Invalid::TooManyClients),
            Outcome::OutOfBytes => Err(Invalid::TooManyBytes),
            Outcome::Rationed => Err(Invalid::TooManyNew),
            Outcome::TooOld => Err(Invalid::BeforeWatermark),
            _ => Ok(Reported { location, is_newest: outcome.is_news() }),
        }
    }

    /// Takes a peer's update: stored if it is greater in the order of its client's records.
    pub fn learn(&self, record: &ClientRecord<'_>, key: KeyHash, changes: &mut Changes) {
        if self.store.merge(key, record).is_news() {
            changes.add(self, record, key, By::News);
        }
    }

    /// Takes what a peer has found this node to lack.
    pub fn repair(&self, record: &ClientRecord<'_>, key: KeyHash, changes: &mut Changes) {
        if self.store.merge(key, record).is_news() {
            changes.add(self, record, key, By::Repair);
        }
    }

    /// Takes the update of a third-party node, which must obey this node's clock and be strictly newer, as its own
    /// clients must; and if the client was forgotten, its server must have taken it later.
    pub fn learn_plain(
        &self,
        line: &PlainLine<'_>,
        key: KeyHash,
        now: Now,
        changes: &mut Changes,
    ) -> Result<(), Invalid> {
        self.check_not_ahead(Skew::between(now.wall, line.time))?;
        let skew = line.skew_text();
        let mut location = line.location(&skew);
        let is_kept_too_long = |times: RetentionTimes| {
            line.taken() > now.wall.as_nanoseconds() + i128::from(times.day) * 1_000_000_000
        };
        if self.retention.is_some_and(is_kept_too_long) {
            return Err(Invalid::TooFarAhead);
        }
        match self.store.learn(key, &mut location, line.taken()) {
            Outcome::TooOld => return Err(Invalid::BeforeWatermark),
            outcome if outcome.is_news() => changes.add(self, &location.into(), key, By::News),
            _ => {}
        }
        Ok(())
    }

    /// Finds a client's location, copies it into `found`, and returns what to look up around it.
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

    /// What this node holds of what the peer at that link asks about; `None` for a part that the store does not have.
    /// `compared` is kept for the peer's connection, from 0 on: the watermark of the last sum that it was answered.
    pub fn answer(&self, link: usize, question: &Question, compared: &mut u64) -> Option<Held> {
        if let Question::Sum { watermark } = question {
            self.neighbours[link].health.told_watermark(*watermark);
        }
        repair::answer(&self.store, question, compared)
    }

    /// Where a client's location belongs: every call about it needs this.
    pub fn key(&self, client: ClientId<'_>) -> KeyHash {
        self.store.key_hash(client)
    }

    /// Parses a line from a third-party node: by the form of the one at that link, or in turn by those of the
    /// `candidates` that may be at the other end.
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

    /// The form by which a third-party node's lines are answered, if they are: that of the one at that link, or of the
    /// first of the `candidates` that wants answers.
    pub fn plain_answer(&self, link: Option<usize>, candidates: &[usize]) -> Option<&PlainForm> {
        let links = link.as_ref().map_or(candidates, std::slice::from_ref);
        let mut forms = links.iter().filter_map(|&link| self.neighbours[link].plain.as_ref());
        forms.find(|form| form.answer.is_some())
    }

    /// The link that a line from a third-party node names as its sender, if it is one of the `candidates` that may be
    /// at the other end.
    pub fn plain_sender(&self, line: &PlainLine<'_>, candidates: &[usize]) -> Option<usize> {
        let sender = line.sender?;
        candidates.iter().copied().find(|&link| self.neighbours[link].id.as_bytes() == sender)
    }

    /// Something arrived on a peer's connection.
    pub(super) fn heard(&self, link: usize, connection: u64, now: Tick) {
        self.peers.lock().heard(link, connection, now);
    }

    /// A peer's connection has ended.
    pub(super) fn left(&self, link: usize, connection: u64) {
        self.peers.lock().left(link, connection);
    }

    fn check_kept(&self) -> Result<(), Invalid> {
        let refuses = self.refuses.as_ref().is_some_and(|refuses| refuses.load(Ordering::Relaxed));
        if refuses { Err(Invalid::NotKept) } else { Ok(()) }
    }

    fn check_not_ahead(&self, skew: Skew) -> Result<(), Invalid> {
        let ahead = |limit: Duration| skew.as_nanoseconds() < -(limit.as_nanos() as i128);
        if self.reports.max_ahead.is_some_and(ahead) { Err(Invalid::TooFarAhead) } else { Ok(()) }
    }
}
