//! A node: the one place where protocol, store, flooding and places meet. No sockets, no threads, no clock; a WHATSAT
//! blocks its caller while it looks places up, and that plainness is what a thread per connection buys.

mod answer;
mod welcome;

use std::{sync::Arc, time::Duration};

use crossbeam_channel::Sender;

use crate::{
    core::{
        Rules,
        access::Secret,
        links::{Encoded, Health, Offer, Outbox},
        model::{Coordinates, Location, NodeId, Now, Skew},
        store::{KeyHash, Outcome, Placement, Store},
        wire::{
            Ending, Fields, Invalid, Line, PeerLine, PlainForm, PlainLine, QueryLimits, Report, Request,
            Whatsat, write_done, write_flooded, write_pong,
        },
    },
    metrics::UpstreamReport,
    places::{self, Form, Query, Source},
};

pub use self::welcome::{Challenge, Greeting, Welcome};

/// Which field of an AT line is the position.
const POSITION_FIELD: usize = 4;

/// What a node knows and whom it talks with. Shared by all its threads.
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
    places: Option<Box<dyn Source>>,
    form: Form,
    max_ahead: Option<Duration>,
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
    /// Beyond so many, new clients' own reports are refused.
    pub max_clients: usize,
    /// How far a report of a client, or of a node written by others, may be ahead of the clock; `None` for no limit.
    pub max_ahead: Option<Duration>,
    /// Whom it talks with.
    pub neighbours: Vec<Neighbour>,
    /// Where it looks places up; `None` for a herd without a source.
    pub places: Option<Box<dyn Source>>,
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
    /// How to speak to it, where it is a node written by others.
    pub plain: Option<PlainForm>,
    /// How the link is.
    pub health: Health,
}

/// Where a line came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// Anyone.
    Client,
    /// The neighbour of that position, after its handshake.
    Peer(usize),
    /// A node written by others: the neighbour of that position, or one of several at its address.
    Plain(Option<usize>),
}

/// What the lines of one read have led to, until each side effect is done once for all of them.
#[derive(Debug, Default)]
pub struct Batch {
    /// What is owed to the client, ready to be written.
    pub replies: Vec<u8>,
    /// What the neighbours are to hear, ready to be written.
    news: Vec<u8>,
    /// Whether a neighbour has pushed what this node lacked.
    was_repaired: bool,
    /// Locations a neighbour has told or pushed.
    pub updates: u32,
    /// Rounds a neighbour has ended.
    pub rounds: u32,
}

impl Batch {
    /// Whether it holds more memory than a quiet connection needs.
    pub fn is_grown(&self) -> bool {
        self.replies.capacity() + self.news.capacity() > 2048
    }
}

/// A line that has been read but not executed.
#[derive(Debug)]
pub struct Prepared<'a> {
    /// The line itself.
    pub line: Line<'a>,
    command: Result<Command<'a>, Invalid>,
    origin: Origin,
    /// Where the client it is about belongs; none for a line about nobody.
    place: Option<KeyHash>,
}

#[derive(Debug)]
enum Command<'a> {
    Request(Request<'a>),
    Peer(PeerLine<'a>),
    Plain(PlainLine<'a>),
}

/// What became of a line; for the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Said {
    /// A peer's line was taken; what is answered, if anything, is not traffic.
    Nothing,
    /// An AT line was answered.
    At {
        /// Whether the report was the newest of its client.
        is_news: bool,
    },
    /// An AT line was answered, then JSON with so many results, which begins at that place of the batch's replies.
    Places {
        /// How many places.
        results: usize,
        /// Where the JSON begins in [`Batch::replies`].
        json: usize,
        /// Whether the source gave no answer, and the JSON says so.
        is_failed: bool,
    },
    /// The line is invalid, and its copy was answered if it was a client's.
    Invalid(Invalid),
}

impl Node {
    /// A node that knows nobody yet.
    pub fn new(options: Options) -> Self {
        Self::with_rules(options, Rules::SOUND)
    }

    /// The same with rules that may be wrong.
    pub fn with_rules(options: Options, rules: Rules) -> Self {
        let Options { herd, placement, secret, id, incarnation, max_clients, max_ahead, neighbours, places } =
            options;
        let store = Store::with_rules(placement, max_clients, rules);
        let check = placement.check();
        let form = places.as_ref().map_or(Form::PLACES, |places| places.form());
        Self { herd, id, incarnation, check, secret, store, neighbours, places, form, max_ahead, rules }
    }

    /// Whom this node talks with, in the order [`Origin::Peer`] counts them.
    pub fn neighbours(&self) -> &[Neighbour] {
        &self.neighbours
    }

    /// What it remembers.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Reads a line, and finds out where the client it is about belongs. Changes nothing.
    pub fn prepare<'a>(&self, line: Line<'a>, origin: Origin) -> Prepared<'a> {
        let command = match (line, origin) {
            (Line::Whole(text, _), Origin::Client) => {
                Request::parse(text, &self.query_limits()).map(Command::Request)
            }
            (Line::Whole(text, _), Origin::Peer(_)) => {
                PeerLine::parse(text).map(Command::Peer).ok_or(Invalid::NotFromPeer)
            }
            (Line::Whole(text, _), Origin::Plain(_)) => {
                PlainLine::parse(text).map(Command::Plain).ok_or(Invalid::NotFromPeer)
            }
            (Line::TooLong(..), _) => Err(Invalid::TooLong),
        };
        let client = match &command {
            Ok(Command::Request(Request::Iamat(report))) => Some(report.client),
            Ok(Command::Request(Request::Whatsat(query))) => Some(query.client),
            Ok(Command::Peer(PeerLine::At(location) | PeerLine::Push(location))) => Some(location.client),
            Ok(Command::Plain(line)) => Some(line.location.client),
            Ok(Command::Peer(PeerLine::Ask(_) | PeerLine::Ping(_) | PeerLine::Done(_))) | Err(_) => None,
        };
        Prepared { line, command, origin, place: client.map(|client| self.store.key_hash(client)) }
    }

    /// How the upstreams are that places come from.
    pub fn upstreams(&self) -> Vec<UpstreamReport> {
        self.places.as_ref().map(|places| places.upstreams()).unwrap_or_default()
    }

    /// What an operator should hear of the source of places since the last time.
    pub fn lookup_news(&self) -> Vec<String> {
        self.places.as_ref().map(|places| places.take_news()).unwrap_or_default()
    }

    fn query_limits(&self) -> QueryLimits {
        let Form { radius_km_max, bound_max, .. } = self.form;
        QueryLimits { radius_km_max, bound_max }
    }

    /// From now on no lookup of places waits.
    pub fn stop_lookups(&self) {
        if let Some(places) = &self.places {
            places.stop();
        }
    }

    /// Has the processor fetch what executing the lines will read. Worth it where there are several.
    pub fn prefetch(&self, prepared: &[Prepared<'_>]) {
        self.store.prefetch(prepared.iter().filter_map(|line| line.place));
    }

    /// The position of the neighbour that a line of a node written by others names as its sender, if it is one of the
    /// `candidates`: those who may be at the other end.
    pub fn plain_sender(&self, prepared: &Prepared<'_>, candidates: &[usize]) -> Option<usize> {
        let Ok(Command::Plain(PlainLine { sender: Some(sender), .. })) = prepared.command else {
            return None;
        };
        candidates.iter().copied().find(|&link| self.neighbours[link].id.as_bytes() == sender)
    }

    /// Whether executing the line may wait for something outside the process, so that what is owed should leave first.
    pub fn may_wait(&self, prepared: &Prepared<'_>) -> bool {
        matches!(prepared.command, Ok(Command::Request(Request::Whatsat(_))))
            && self.places.as_ref().is_some_and(|places| places.may_wait())
    }

    /// Does what a line says, and adds to the batch what is to be answered and flooded.
    pub fn execute(&self, prepared: &Prepared<'_>, now: Now, batch: &mut Batch) -> Said {
        let (Line::Whole(text, ending) | Line::TooLong(text, ending)) = prepared.line;
        let done = match (&prepared.command, prepared.place) {
            (Ok(Command::Request(Request::Iamat(report))), Some(place)) => {
                self.iamat(report, place, ending, now, batch)
            }
            (Ok(Command::Request(Request::Whatsat(query))), Some(place)) => {
                self.whatsat(query, place, ending, batch)
            }
            (Ok(Command::Peer(line)), place) => self.peer_line(line, place, batch),
            (Ok(Command::Plain(line)), Some(place)) => self.plain_line(line, place, now, batch),
            (Ok(Command::Plain(_)), None) => Ok(Said::Nothing),
            (Ok(Command::Request(_)), None) => Ok(Said::Nothing),
            (Err(why), _) => Err(*why),
        };
        done.unwrap_or_else(|why| {
            if prepared.origin == Origin::Client {
                batch.replies.extend_from_slice(b"? ");
                batch.replies.extend_from_slice(text);
                batch.replies.extend_from_slice(ending.as_bytes());
            }
            Said::Invalid(why)
        })
    }

    /// Hands the batch's news to every neighbour but the one it came from, as one shared piece. `full` is told whose
    /// outbox had no room for it.
    ///
    /// What was learned by repair is not news: it may be much, and most neighbours have it. Their links are marked, so that
    /// a round carries it on to those who have not.
    pub fn flood(&self, batch: &mut Batch, origin: Origin, mut full: impl FnMut(&Neighbour)) {
        let others = || {
            let neighbours = self.neighbours.iter().enumerate();
            let own = match origin {
                Origin::Peer(position) | Origin::Plain(Some(position)) => {
                    Some(position).filter(|_| self.rules.spares_the_sender)
                }
                Origin::Client | Origin::Plain(None) => None,
            };
            neighbours.filter(move |&(position, _)| own != Some(position)).map(|(_, other)| other)
        };
        if std::mem::take(&mut batch.was_repaired) {
            others().for_each(|neighbour| neighbour.outbox.mark_behind());
        }
        if batch.news.is_empty() {
            return;
        }
        let news: Encoded = Arc::from(&batch.news[..]);
        batch.news.clear();
        others().filter(|neighbour| neighbour.outbox.offer(&news) == Offer::Dropped).for_each(&mut full);
    }

    fn peer_line(
        &self,
        line: &PeerLine<'_>,
        place: Option<KeyHash>,
        batch: &mut Batch,
    ) -> Result<Said, Invalid> {
        match (line, place) {
            (PeerLine::At(location), Some(place)) => {
                batch.updates += 1;
                self.learn(self.store.merge(place, location), location, batch);
            }
            (PeerLine::Push(location), Some(place)) => {
                batch.updates += 1;
                batch.was_repaired |= self.store.merge(place, location).is_news();
            }
            (PeerLine::At(_) | PeerLine::Push(_), None) => {}
            (PeerLine::Ask(question), _) => self.answer(question, &mut batch.replies)?,
            (PeerLine::Ping(number), _) => write_pong(*number, &mut batch.replies),
            (PeerLine::Done(number), _) => {
                batch.rounds += 1;
                write_done(*number, &mut batch.replies);
            }
        }
        Ok(Said::Nothing)
    }

    /// Takes the news of a node written by others, which is held to this node's clock as its own clients are.
    fn plain_line(
        &self,
        line: &PlainLine<'_>,
        place: KeyHash,
        now: Now,
        batch: &mut Batch,
    ) -> Result<Said, Invalid> {
        self.check_not_ahead(Skew::between(now.wall, line.location.time))?;
        batch.updates += 1;
        self.learn(self.store.learn(place, &line.location), &line.location, batch);
        Ok(Said::Nothing)
    }

    fn check_not_ahead(&self, skew: Skew) -> Result<(), Invalid> {
        let ahead = |limit: Duration| skew.as_nanoseconds() < -(limit.as_nanos() as i128);
        if self.max_ahead.is_some_and(ahead) { Err(Invalid::TooFarAhead) } else { Ok(()) }
    }

    fn iamat(
        &self,
        report: &Report<'_>,
        place: KeyHash,
        ending: Ending,
        now: Now,
        batch: &mut Batch,
    ) -> Result<Said, Invalid> {
        let skew = Skew::between(now.wall, report.time);
        self.check_not_ahead(skew)?;
        let mut skew_text = [0; Skew::TEXT_BYTES_MAX];
        let location = Location {
            server: self.id.as_bytes(),
            skew: skew.text(&mut skew_text),
            client: report.client,
            position: report.position,
            timestamp: report.timestamp,
            time: report.time,
        };
        let outcome = self.store.report(place, &location);
        if outcome == Outcome::Full {
            return Err(Invalid::TooManyClients);
        }
        location.write_at(&mut batch.replies);
        batch.replies.extend_from_slice(ending.as_bytes());
        self.learn(outcome, &location, batch);
        Ok(Said::At { is_news: outcome.is_news() })
    }

    fn whatsat(
        &self,
        query: &Whatsat<'_>,
        place: KeyHash,
        ending: Ending,
        batch: &mut Batch,
    ) -> Result<Said, Invalid> {
        let places = self.places.as_ref().ok_or(Invalid::NoPlaces)?;
        let replies = &mut batch.replies;
        let at = replies.len();
        self.store
            .get(place, query.client, |location| location.write_at(replies))
            .ok_or(Invalid::UnknownClient)?;
        let position = Fields::of(&replies[at..]).nth(POSITION_FIELD);
        let center = position.and_then(Coordinates::of_position).ok_or(Invalid::Position)?;
        replies.extend_from_slice(ending.as_bytes());
        let json = replies.len();
        let lookup = Query { center, radius_m: query.radius_km * 1000.0, bound: query.bound };
        let found = places.nearby(&lookup, replies);
        if let Err(failure) = &found {
            replies.truncate(json);
            places::write_failure(failure, replies);
        }
        for _ in 0..self.form.newlines {
            replies.extend_from_slice(ending.as_bytes());
        }
        let is_failed = found.is_err();
        Ok(Said::Places { results: found.unwrap_or_default(), json, is_failed })
    }

    /// What changed the store is news for the neighbours; what did not stops here.
    fn learn(&self, outcome: Outcome, location: &Location<'_>, batch: &mut Batch) {
        if outcome.is_news() && !self.neighbours.is_empty() {
            write_flooded(location, &self.id, &mut batch.news);
        }
    }
}
