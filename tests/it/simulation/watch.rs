//! The invariants, checked as the simulation runs, and what is remembered to check them. It knows the total order and the
//! lines by itself, so that a fault in the program's own order or parser is not shared.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    hash::{DefaultHasher, Hasher},
    time::Duration,
};

use proxyherd::core::{
    dialogue::Party,
    model::{ClientId, Location, NodeId},
    store::{KeyHash, Store},
};

use super::{herd::leaves, journal::Recovery, kept::Kept, plan::Plan};

/// How an invariant broke.
#[derive(Debug)]
pub(super) struct Violation {
    pub(super) kind: Kind,
    at: Duration,
    text: String,
}

/// Which one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// A node replaced a location by an older one.
    WentBack,
    /// News went to where it came from, or what is no news went as news.
    FloodedBack,
    /// More memory than the bounds allow.
    Unbounded,
    /// Something was said that nobody should say.
    Confused,
    /// Links do not come up, or not stay up, though nothing is in their way.
    Unlinked,
    /// Stores or sums stay different.
    Apart,
    /// All agree on something else than the newest.
    Wrong,
    /// More happens than any story holds, so that it would never end.
    Endless,
    /// More is said than needed, though all is settled.
    Noisy,
    /// A subscriber to changes has missed one, or was told one twice.
    Unheard,
    /// What a node knew when it stopped is not where it should be.
    Lost,
    /// News waits behind what is less urgent.
    Late,
    /// A journal lacks what it must have, or cannot be read.
    Unkept,
    /// A journal has what its node never knew.
    Invented,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} after {:?}: {}", self.kind, self.at, self.text)
    }
}

/// One location, ordered as PROTOCOL.md orders them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Version {
    time: i128,
    timestamp: Box<[u8]>,
    position: Box<[u8]>,
    server: Box<[u8]>,
    skew: Box<[u8]>,
}

impl Version {
    fn of(location: &Location<'_>) -> Self {
        Self {
            time: location.time.as_nanoseconds(),
            timestamp: location.timestamp.into(),
            position: location.position.into(),
            server: location.server.into(),
            skew: location.skew.into(),
        }
    }

    fn is_of(&self, location: &Location<'_>) -> bool {
        *self.timestamp == *location.timestamp
            && *self.position == *location.position
            && *self.server == *location.server
            && *self.skew == *location.skew
    }
}

/// How a node came to know a location.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum How {
    Reported,
    News(usize),
    Repair,
}

/// What a reply acknowledges: the client, and what is known of it.
pub(super) type Owed = (usize, Option<usize>);

/// All that is remembered.
pub(super) struct Watch {
    pub(super) now: Duration,
    pub(super) violation: Option<Violation>,
    clients: HashMap<Vec<u8>, usize>,
    /// What each node has of each client.
    known: Vec<Vec<Option<Version>>>,
    /// How each node learned what it has, or had, since its start.
    learned: Vec<HashMap<u64, How>>,
    /// The greatest any node took from each client itself.
    greatest: Vec<Option<Version>>,
    /// All that any node took from a client.
    reported: HashSet<u64>,
    /// What each node's journal owes, where they have journals.
    pub(super) kept: Vec<Kept>,
    /// The clients of which a node has forgotten what perhaps it alone knew.
    forgotten: Vec<bool>,
    /// Whether links must stay up.
    pub(super) is_linked: bool,
    /// Whether nothing but pings and short rounds may be said.
    pub(super) is_silent: bool,
}

impl Watch {
    pub(super) fn new(plan: &Plan) -> Self {
        let numbered = plan.clients.iter().enumerate();
        let (nodes, clients) = (plan.nodes.len(), plan.clients.len());
        Self {
            now: Duration::ZERO,
            violation: None,
            clients: numbered.map(|(number, id)| (id.clone(), number)).collect(),
            known: vec![vec![None; clients]; nodes],
            learned: vec![HashMap::new(); nodes],
            greatest: vec![None; clients],
            reported: HashSet::new(),
            kept: match plan.journal {
                Some(_) => (0..nodes).map(|_| Kept::new(clients)).collect(),
                None => Vec::new(),
            },
            forgotten: vec![false; clients],
            is_linked: false,
            is_silent: false,
        }
    }

    pub(super) fn fail(&mut self, kind: Kind, text: String) {
        let at = self.now;
        self.violation.get_or_insert(Violation { kind, at, text });
    }

    /// A node starts again with what is in its store. If it has handed over what it knew before it stopped, nothing is
    /// forgotten. What it has read is told if it has the disk that it had.
    pub(super) fn started(
        &mut self,
        node: usize,
        store: &Store,
        recovery: Option<Recovery<'_>>,
        has_handed_over: bool,
    ) {
        let clients = self.forgotten.len();
        let (mut read, mut found) = (vec![None; clients], vec![None; clients]);
        for (shard, leaf) in leaves(store) {
            store.locations(shard, leaf, KeyHash::of_bits(0), |_, location| {
                if let Some(&client) = self.clients.get(location.client.as_bytes()) {
                    read[client] = Some(hash_of(location));
                    found[client] = Some(Version::of(location));
                }
                true
            });
        }
        if let (Some(Recovery { is_sure, damage }), Some(kept)) = (recovery, self.kept.get_mut(node)) {
            let may_be_damaged = kept.may_be_damaged();
            let (missing, invented) = kept.started(&read, is_sure);
            if let (Some(damage), false) = (damage, may_be_damaged) {
                let text = format!("node {node} takes for damage what was never synced: {damage}");
                self.fail(Kind::Unkept, text);
            }
            if let Some(client) = missing.first() {
                let (read, before) = (&found[*client], &self.known[node][*client]);
                let text = format!("of client {client}, node {node} knew {before:?} and has read {read:?}");
                self.fail(Kind::Unkept, text);
            }
            if let Some(client) = invented.first() {
                let text = format!("node {node} never knew {:?}", found[*client]);
                self.fail(Kind::Invented, text);
            }
        } else if let Some(kept) = self.kept.get_mut(node) {
            *kept = Kept::new(clients);
        }
        for (client, found) in found.iter().enumerate() {
            self.forgotten[client] |= !has_handed_over && *found < self.known[node][client];
        }
        self.known[node] = found;
        self.learned[node].clear();
    }

    /// What the reply to a client's report acknowledges that a node has just executed.
    pub(super) fn owed(&self, node: usize, client: ClientId<'_>) -> Option<Owed> {
        let client = *self.clients.get(client.as_bytes())?;
        Some((client, self.kept.get(node)?.known(client)))
    }

    /// A reply has left.
    pub(super) fn answered(&mut self, node: usize, owed: impl Iterator<Item = Owed>) {
        for (client, known) in owed {
            self.kept[node].answered(client, known);
        }
    }

    /// A link says, as its node stops, that its neighbour has all that the node knows.
    pub(super) fn handed_over(&mut self, node: usize, peer: usize) {
        let (ours, theirs) = (&self.known[node], &self.known[peer]);
        if let Some(client) = (0..ours.len()).find(|&client| theirs[client] < ours[client]) {
            let text = format!(
                "of client {client}, node {node} had {:?}, {peer} has {:?}",
                ours[client], theirs[client]
            );
            self.fail(Kind::Lost, text);
        }
    }

    /// A node has executed a line. Gives whether it has learned anything by it.
    pub(super) fn executed(&mut self, node: usize, line: &[u8], party: Party, store: &Store) -> bool {
        let Some((id, how)) = subject(line, party) else { return false };
        let Some(&number) = self.clients.get(id) else { return false };
        let Some(client) = ClientId::new(id) else { return false };
        let known = &mut self.known[node][number];
        let mut learned = None;
        let found = store.get(store.key_hash(client), client, |location| {
            if !known.as_ref().is_some_and(|known| known.is_of(location)) {
                learned = Some((Version::of(location), hash_of(location)));
            }
        });
        let Some((version, hash)) = learned else {
            if found.is_none() && known.is_some() {
                self.fail(Kind::WentBack, format!("node {node} has lost client {number}"));
            }
            return false;
        };
        let before = known.replace(version.clone());
        if let Some(kept) = self.kept.get_mut(node) {
            kept.learned(number, hash, self.now);
        }
        if how == How::Reported {
            self.reported.insert(hash);
            self.greatest[number] = self.greatest[number].take().max(Some(version.clone()));
        }
        self.learned[node].insert(hash, how);
        if before.as_ref() > Some(&version) {
            self.fail(Kind::WentBack, format!("node {node}, client {number}: {before:?} became {version:?}"));
        }
        true
    }

    /// A link is about to write; so many bytes of it are news. `bounds` are those of news and of the rest.
    pub(super) fn written(
        &mut self,
        (node, link): (usize, usize),
        id: &NodeId,
        bytes: &[u8],
        news: usize,
        bounds: (usize, usize),
    ) {
        if news > bounds.0 || bytes.len() - news > bounds.1 {
            let text = format!("node {node} writes {news} bytes of news, {} in all", bytes.len());
            self.fail(Kind::Unbounded, text);
        }
        if self.is_silent {
            let may_be_said =
                |line: &[u8]| [&b"PING "[..], b"SUM", b"DONE "].iter().any(|word| line.starts_with(word));
            if let Some(line) = lines(bytes).find(|line| !may_be_said(line)) {
                self.fail(Kind::Noisy, format!("node {node} still says {}", String::from_utf8_lossy(line)));
            }
        }
        for line in lines(&bytes[..news]) {
            let sender = line.len() - id.as_bytes().len();
            let how = match line.split_at_checked(sender) {
                Some((at, sender)) if sender == id.as_bytes() => {
                    self.learned[node].get(&hash_of_bytes(at.trim_ascii_end())).copied()
                }
                _ => None,
            };
            match how {
                Some(How::Reported) => {}
                Some(How::News(from)) if from != link => {}
                _ => {
                    let text =
                        format!("node {node} on link {link}, learned by {how:?}: {}", line.escape_ascii());
                    self.fail(Kind::FloodedBack, text);
                }
            }
        }
    }

    /// A link that was up is lost.
    pub(super) fn link_lost(&mut self, node: usize, link: usize, why: &str) {
        if self.is_linked {
            self.fail(Kind::Unlinked, format!("node {node} has lost its link {link}: {why}"));
        }
    }

    /// The greatest that any node holds, for each client.
    pub(super) fn held(&self) -> Vec<Option<Version>> {
        let greatest = |client: usize| self.known.iter().filter_map(|known| known[client].clone()).max();
        (0..self.greatest.len()).map(greatest).collect()
    }

    /// Whether all nodes know the same.
    pub(super) fn is_agreed(&self) -> bool {
        self.known.windows(2).all(|pair| pair[0] == pair[1])
    }

    /// What the first two nodes that know different things differ in.
    pub(super) fn difference(&self) -> String {
        for (node, pair) in self.known.windows(2).enumerate() {
            if let Some(client) = (0..pair[0].len()).find(|&client| pair[0][client] != pair[1][client]) {
                let (one, other) = (&pair[0][client], &pair[1][client]);
                return format!("of client {client}, node {node} has {one:?}, the next {other:?}");
            }
        }
        "only sums differ".into()
    }

    /// All agree; is it on what they should? `held` is what they held when the last report was in.
    pub(super) fn judge(&mut self, held: &[Option<Version>]) {
        for (client, held) in held.iter().enumerate() {
            let (agreed, greatest) = (&self.known[0][client], &self.greatest[client]);
            let is_right = if self.forgotten[client] { agreed >= held } else { agreed == greatest };
            if !is_right || agreed > greatest {
                let text = format!("client {client}: {agreed:?}, though there was {greatest:?}");
                return self.fail(Kind::Wrong, text);
            }
        }
    }

    /// A store holds just what the watch believes, and each of it was reported.
    pub(super) fn check_store(&mut self, node: usize, store: &Store) {
        let mut count = 0;
        let mut wrong = None;
        for (shard, leaf) in leaves(store) {
            store.locations(shard, leaf, KeyHash::of_bits(0), |_, location| {
                count += 1;
                let number = self.clients.get(location.client.as_bytes());
                let known = number.and_then(|&number| self.known[node][number].as_ref());
                let is_known = known.is_some_and(|known| known.is_of(location));
                if !is_known || !self.reported.contains(&hash_of(location)) {
                    wrong = Some(format!("node {node} holds {location:?}, the watch {known:?}"));
                }
                true
            });
        }
        let known = self.known[node].iter().flatten().count();
        if count != known || count != store.len() {
            wrong =
                Some(format!("node {node} holds {count} locations, counts {}, learned {known}", store.len()));
        }
        if let Some(text) = wrong {
            self.fail(Kind::Wrong, text);
        }
    }
}

/// Whom a line is about, and how its receiver learns what it says.
fn subject(line: &[u8], party: Party) -> Option<(&[u8], How)> {
    let mut fields = line.split(|byte| *byte == b' ');
    let keyword = fields.next()?;
    match (keyword, party) {
        (b"IAMAT", Party::Stranger | Party::Client(_)) => Some((fields.next()?, How::Reported)),
        (b"AT", Party::Peer(link)) => Some((fields.nth(2)?, How::News(link))),
        (b"PUSH", Party::Peer(_)) => Some((fields.nth(2)?, How::Repair)),
        _ => None,
    }
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

fn hash_of(location: &Location<'_>) -> u64 {
    let mut at = Vec::with_capacity(256);
    location.write_at(&mut at);
    hash_of_bytes(&at)
}

fn hash_of_bytes(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}
