//! A node: the one place where protocol, store, flooding and places meet. No sockets, no threads, no clock; a WHATSAT
//! blocks its caller while it looks places up, and that plainness is what a thread per connection buys.

use std::{sync::Arc, time::Duration};

use crossbeam_channel::Sender;

use crate::{
    clock::Now,
    flood::{Encoded, Offer, Outbox},
    model::{Coordinates, Location, NodeId, Skew},
    places::{self, Query, Source},
    protocol::{
        Ending, Fields, Invalid, Line, PeerLine, QueryLimits, Report, Request, Whatsat, write_flooded,
    },
    store::{KeyHash, Outcome, Placement, Store},
};

/// How far a WHATSAT may reach: what Google's Nearby Search supports conveniently.
const QUERY_LIMITS: QueryLimits = QueryLimits { radius_km_max: 50, bound_max: 20 };

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
    store: Store,
    neighbours: Vec<Neighbour>,
    places: Option<Box<dyn Source>>,
    max_ahead: Option<Duration>,
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
}

/// Where a line came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// Anyone.
    Client,
    /// The neighbour of that position, after its handshake.
    Peer(usize),
}

/// What the lines of one read have led to, until each side effect is done once for all of them.
#[derive(Debug, Default)]
pub struct Batch {
    /// What is owed to the client, ready to be written.
    pub replies: Vec<u8>,
    /// What the neighbours are to hear, ready to be written.
    news: Vec<u8>,
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
}

/// What became of a line; for the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Said {
    /// A peer's line was taken; nothing is answered.
    Nothing,
    /// An AT line was answered.
    At,
    /// An AT line was answered, then JSON with so many results, which begins at that place of the batch's replies.
    Places {
        /// How many places.
        results: usize,
        /// Where the JSON begins in [`Batch::replies`].
        json: usize,
    },
    /// The line is invalid, and its copy was answered if it was a client's.
    Invalid(Invalid),
}

impl Node {
    /// A node that knows nobody yet. `places` is `None` for a herd without a source.
    pub fn new(
        herd: &str,
        id: NodeId,
        incarnation: u64,
        max_clients: usize,
        max_ahead: Option<Duration>,
        neighbours: Vec<Neighbour>,
        places: Option<Box<dyn Source>>,
    ) -> Self {
        let placement = Placement::of_herd(herd);
        let store = Store::new(placement, max_clients);
        let check = placement.check();
        Self { herd: herd.to_owned(), id, incarnation, check, store, neighbours, places, max_ahead }
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
                Request::parse(text, &QUERY_LIMITS).map(Command::Request)
            }
            (Line::Whole(text, _), Origin::Peer(_)) => {
                PeerLine::parse(text).map(Command::Peer).ok_or(Invalid::NotFromPeer)
            }
            (Line::TooLong(..), _) => Err(Invalid::TooLong),
        };
        let client = match &command {
            Ok(Command::Request(Request::Iamat(report))) => Some(report.client),
            Ok(Command::Request(Request::Whatsat(query))) => Some(query.client),
            Ok(Command::Peer(PeerLine::At(location))) => Some(location.client),
            Ok(Command::Peer(PeerLine::Idle)) | Err(_) => None,
        };
        Prepared { line, command, origin, place: client.map(|client| self.store.key_hash(client)) }
    }

    /// Has the processor fetch what executing the line will read. Worth it where several lines are executed after it.
    pub fn prefetch(&self, prepared: &Prepared<'_>) {
        if let Some(place) = prepared.place {
            self.store.prefetch(place);
        }
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
            (Ok(Command::Peer(PeerLine::At(location))), Some(place)) => {
                self.learn(self.store.merge(place, location), location, batch);
                Ok(Said::Nothing)
            }
            (Ok(_), _) => Ok(Said::Nothing),
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
    pub fn flood(&self, batch: &mut Batch, origin: Origin, mut full: impl FnMut(&Neighbour)) {
        if batch.news.is_empty() {
            return;
        }
        let news: Encoded = Arc::from(&batch.news[..]);
        batch.news.clear();
        for (position, neighbour) in self.neighbours.iter().enumerate() {
            if origin != Origin::Peer(position) && neighbour.outbox.offer(&news) == Offer::Dropped {
                full(neighbour);
            }
        }
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
        if let Some(max_ahead) = self.max_ahead
            && skew.as_nanoseconds() < -(max_ahead.as_nanos() as i128)
        {
            return Err(Invalid::TooFarAhead);
        }
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
        Ok(Said::At)
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
        let results = places.nearby(&lookup, replies).unwrap_or_else(|failure| {
            replies.truncate(json);
            places::write_failure(&failure, replies);
            0
        });
        replies.extend_from_slice(ending.as_bytes());
        replies.extend_from_slice(ending.as_bytes());
        Ok(Said::Places { results, json })
    }

    /// What changed the store is news for the neighbours; what did not stops here.
    fn learn(&self, outcome: Outcome, location: &Location<'_>, batch: &mut Batch) {
        if outcome.is_news() && !self.neighbours.is_empty() {
            write_flooded(location, &self.id, &mut batch.news);
        }
    }
}
