//! The invariants, checked as the simulation runs, and what is remembered to check them. It knows the lines by itself, so
//! that a fault in the program's own parser is not shared.

use std::{collections::HashMap, fmt, time::Duration};

use proxyherd::{
    core::{
        dialogue::Party,
        model::{ClientId, NodeId, RetentionTimes, Timestamp},
        store::{KeyHash, Store},
    },
    journal::Damage,
};

use super::{
    herd::leaves,
    kept::Kept,
    plan::Plan,
    version::{Version, hash_of, hash_of_bytes, is_old},
};

/// How an invariant broke.
#[derive(Debug)]
pub(super) struct Violation {
    pub(super) kind: Kind,
    pub(super) at: Duration,
    pub(super) text: String,
}

/// Which one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// A node replaced a record by an older one.
    WentBack,
    /// A node that had heard that a client was forgotten knows again what was known before.
    Undead,
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
    /// Something is forgotten for its age too early, too late, or not by all.
    Untimely,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} after {:?}: {}", self.kind, self.at, self.text)
    }
}

/// Each forgetting makes a generation that is at least one more than the one before, a millisecond; so long at most in all.
const GENERATIONS_MS: u64 = 1_000;

/// By how much the generations of forgettings may tell less than when they were made. A forgetting in a herd that forgets by
/// age outbids by the fastest clock that its node has heard of, and that is a step late.
fn contemporary_ms(plan: &Plan) -> u64 {
    let walls = || plan.nodes.iter().map(|node| node.wall);
    let apart = walls().max().unwrap_or_default() - walls().min().unwrap_or_default();
    GENERATIONS_MS + plan.retention.map_or(0, |retention| (apart + retention.times.step) * 1_000)
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

pub(super) struct Watch {
    pub(super) now: Duration,
    pub(super) violation: Option<Violation>,
    /// How often a client was forgotten.
    pub(super) forgettings: usize,
    pub(super) clients: HashMap<Vec<u8>, usize>,
    /// What each node has of each client.
    pub(super) known: Vec<Vec<Option<Version>>>,
    /// When each client was last forgotten, as far as each node has heard and remembers, by the clock of the node that
    /// was told to: milliseconds since 1970, and 0 if it never was.
    pub(super) heard: Vec<Vec<u64>>,
    /// Of each record that a node took from a client, by the hash of its line, when its client was last forgotten then.
    lives: HashMap<u64, u64>,
    /// When each was taken, and from when it counts.
    pub(super) made: HashMap<u64, Duration>,
    counted: HashMap<u64, i128>,
    /// When the last forgetting was made of which a node has heard, for each client.
    pub(super) forgotten_at: Vec<Vec<Duration>>,
    /// The same as `heard` of what a node has hidden since it started, whose generation it still knows.
    pub(super) remembered: Vec<Vec<u64>>,
    pub(super) retention: Option<RetentionTimes>,
    /// Forgettings count as one another's contemporaries within so many milliseconds.
    pub(super) contemporary_ms: u64,
    /// What each node has forgotten everything before.
    pub(super) watermarks: Vec<u64>,
    /// How often a node was pushed what was too old there.
    pub(super) crossings: usize,
    /// How many records nodes have hidden.
    pub(super) hidden: usize,
    /// How each node learned what it has, or had, since its start.
    learned: Vec<HashMap<u64, How>>,
    /// The greatest any node took from each client itself.
    greatest: Vec<Option<Version>>,
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
            forgettings: 0,
            clients: numbered.map(|(number, id)| (id.clone(), number)).collect(),
            known: vec![vec![None; clients]; nodes],
            heard: vec![vec![0; clients]; nodes],
            lives: HashMap::new(),
            made: HashMap::new(),
            counted: HashMap::new(),
            forgotten_at: vec![vec![Duration::ZERO; clients]; nodes],
            remembered: vec![vec![0; clients]; nodes],
            retention: plan.retention.map(|retention| retention.times),
            contemporary_ms: contemporary_ms(plan),
            watermarks: vec![0; nodes],
            crossings: 0,
            hidden: 0,
            learned: vec![HashMap::new(); nodes],
            greatest: vec![None; clients],
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
    /// forgotten. If it has the disk that it had, what it has taken for damage there is told, and when.
    pub(super) fn started(
        &mut self,
        node: usize,
        store: &Store,
        recovery: Option<(Option<&Damage>, Duration)>,
        has_handed_over: bool,
    ) {
        let (clients, day) = (self.forgotten.len(), self.day());
        let watermark = store.watermark();
        let (mut read, mut found) = (vec![None; clients], vec![None; clients]);
        for (shard, leaf) in leaves(store) {
            store.records(shard, leaf, KeyHash::of_bits(0), |_, record| {
                if let Some(&client) = self.clients.get(record.client().as_bytes()) {
                    read[client] = Some(hash_of(record));
                    found[client] = Some(Version::of(record, day));
                }
                true
            });
        }
        if let (Some((damage, now)), Some(kept)) = (recovery, self.kept.get_mut(node)) {
            let is_old = |hash: u64| {
                let counted = self.counted.get(&hash).copied().unwrap_or(i128::MAX);
                is_old(counted, watermark)
            };
            let (missing, mut invented) = kept.started(&read, now, is_old);
            if watermark > 0 {
                // What gave way to a record that is too old by now may be there again.
                invented.retain(|client| !read[*client].is_some_and(|hash| self.lives.contains_key(&hash)));
            }
            if let Some(damage) = damage {
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
            *kept = Kept::of(&read, self.now);
        }
        for (client, found) in found.iter().enumerate() {
            self.forgotten[client] |= !has_handed_over && *found < self.known[node][client];
        }
        // It has heard of the forgettings that what it holds shows.
        let life = |hash: &Option<u64>| hash.and_then(|hash| self.lives.get(&hash).copied());
        self.heard[node] = read.iter().map(|hash| life(hash).unwrap_or_default()).collect();
        self.known[node] = found;
        self.learned[node].clear();
        self.watermarks[node] = watermark;
        self.forgotten_at[node].fill(Duration::ZERO);
        self.remembered[node].fill(0);
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
        let watermark = self.watermarks[peer];
        let lacks = |client: usize| {
            let is_old = |version: &Version| version.is_old(watermark);
            theirs[client] < ours[client] && !ours[client].as_ref().is_some_and(is_old)
        };
        if let Some(client) = (0..ours.len()).find(|&client| lacks(client)) {
            let text = format!(
                "of client {client}, node {node} had {:?}, {peer} has {:?}",
                ours[client], theirs[client]
            );
            self.fail(Kind::Lost, text);
        }
    }

    /// A node has executed a line, which came when its clock showed that. Gives whether it has learned anything by it.
    pub(super) fn executed(
        &mut self,
        node: usize,
        line: &[u8],
        (party, wall): (&Party, Timestamp),
        store: &Store,
    ) -> bool {
        let Some((id, how)) = subject(line, party) else { return false };
        let Some(&number) = self.clients.get(id) else { return false };
        let Some(client) = ClientId::new(id) else { return false };
        self.hear_of_forgetting(node, number, line, wall);
        let (day, watermark) = (self.day(), store.watermark());
        self.count_crossing(line, watermark);
        let known = &mut self.known[node][number];
        let mut learned = None;
        let found = store.record(store.key_hash(client), client, |record| {
            if !known.as_ref().is_some_and(|known| known.is_of(record)) {
                learned = Some((Version::of(record, day), hash_of(record)));
            }
        });
        let Some((version, hash)) = learned else {
            // To clients, one without a record is as unknown as one that has a tombstone.
            let is_lost = |known: &Version| !known.is_tombstone && !known.is_old(watermark);
            let was_known = found.is_none() && known.as_ref().is_some_and(is_lost);
            if found.is_none() && !known.as_ref().is_some_and(|known| known.is_old(watermark)) {
                *known = None;
            }
            if was_known && !line.starts_with(b"FORG") {
                self.fail(Kind::WentBack, format!("node {node} has lost client {number}"));
            }
            return false;
        };
        // What is too old gives way to anything.
        let before = known.replace(version.clone()).filter(|before| !before.is_old(watermark));
        self.counted.insert(hash, version.counted);
        if let Some(kept) = self.kept.get_mut(node) {
            kept.learned(number, hash, self.now);
        }
        let heard = self.heard[node][number];
        if how == How::Reported {
            let remembered = if version.is_afresh() { self.remembered[node][number] } else { 0 };
            let life = self.lives.entry(hash).or_default();
            *life = heard.max(*life).max(remembered);
            self.made.entry(hash).or_insert(self.now);
            self.greatest[number] = self.greatest[number].take().max(Some(version.clone()));
        }
        let life = self.lives.get(&hash).copied().unwrap_or_default();
        // It shows that there was one.
        self.heard[node][number] = heard.max(life);
        self.learned[node].insert(hash, how);
        self.check_forgotten((node, number), &version, hash);
        if !version.is_tombstone && life + self.contemporary_ms < heard {
            let text = format!("node {node}, client {number}: {version:?} of {life}, forgotten at {heard}");
            self.fail(Kind::Undead, text);
        }
        if before.as_ref() > Some(&version) {
            self.fail(Kind::WentBack, format!("node {node}, client {number}: {before:?} became {version:?}"));
        }
        true
    }

    /// If the line says that the client is forgotten, the node must not know again what was known before.
    fn hear_of_forgetting(&mut self, node: usize, number: usize, line: &[u8], wall: Timestamp) {
        let heard = &mut self.heard[node][number];
        if line.starts_with(b"FORGET ") {
            *heard = (wall.as_nanoseconds() / 1_000_000).try_into().unwrap_or(0).max(*heard);
        } else if line.starts_with(b"FORGOT ") {
            // Up to the server, which the sender may follow.
            let end = line.iter().enumerate().filter(|(_, byte)| **byte == b' ').nth(4);
            let record = &line[..end.map_or(line.len(), |(end, _)| end)];
            let life = self.lives.get(&hash_of_bytes(record)).copied();
            *heard = life.unwrap_or_default().max(*heard);
        }
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
        let watermark = self.watermarks[0];
        for (client, held) in held.iter().enumerate() {
            let (agreed, greatest) = (&self.known[0][client], &self.greatest[client]);
            // What has come in the place of one that was too old need not be greater.
            let is_old =
                |version: &Option<Version>| version.as_ref().is_some_and(|version| version.is_old(watermark));
            if is_old(agreed) {
                return self.fail(Kind::Untimely, format!("client {client}: {agreed:?} at {watermark}"));
            }
            if is_old(greatest) || is_old(held) {
                continue;
            }
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
            store.records(shard, leaf, KeyHash::of_bits(0), |_, record| {
                count += 1;
                let number = self.clients.get(record.client().as_bytes());
                let known = number.and_then(|&number| self.known[node][number].as_ref());
                let is_known = known.is_some_and(|known| known.is_of(record));
                if !is_known || !self.lives.contains_key(&hash_of(record)) {
                    wrong = Some(format!("node {node} holds {record:?}, the watch {known:?}"));
                }
                true
            });
        }
        let known = self.known[node].iter().flatten();
        let (clients, known) = (known.clone().filter(|version| !version.is_tombstone).count(), known.count());
        let (len, tombstones) = (store.len(), store.tombstones());
        if (count, len, tombstones) != (known, clients, known - clients) {
            let counts = format!("counts {len} and {tombstones}, learned {known}");
            wrong = Some(format!("node {node} holds {count} records, {counts}"));
        }
        if let Some(text) = wrong {
            self.fail(Kind::Wrong, text);
        }
    }
}

/// Whom a line is about, and how its receiver learns what it says.
fn subject<'l>(line: &'l [u8], party: &Party) -> Option<(&'l [u8], How)> {
    let mut fields = line.split(|byte| *byte == b' ');
    let keyword = fields.next()?;
    match (keyword, party) {
        (b"IAMAT", Party::Stranger | Party::Client(_)) => Some((fields.next()?, How::Reported)),
        (b"FORGET", Party::Stranger | Party::Client(_)) => Some((fields.next()?, How::Reported)),
        (b"FORGOT", Party::Peer(link)) => {
            let client = fields.next()?;
            // Generation, time and server; then the sender of what is news.
            Some((client, if fields.count() > 3 { How::News(*link) } else { How::Repair }))
        }
        (b"AT", Party::Peer(link)) => Some((fields.nth(2)?, How::News(*link))),
        (b"PUSH", Party::Peer(_)) => Some((fields.nth(2)?, How::Repair)),
        _ => None,
    }
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}
