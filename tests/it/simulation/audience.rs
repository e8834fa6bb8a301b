//! Two more subscribers to each node's changes, as a journal and a view are: one wants all, one wants keys. They sleep and
//! wake, take what waits when they please, and are offered more than they have room for. Each believes what it was told,
//! and walks the store where it was told that something is missing; so in the end each knows what the store holds.

use std::collections::{HashMap, HashSet};

use proxyherd::core::{
    links::{Outbox, Queue, outbox},
    model::{ClientRecord, RetentionTimes},
    node::Subscribers,
    store::{Cursor, KeyHash, Placement, Store},
    wire::parse_watermark,
};

use super::{
    herd::Simulation,
    random::Random,
    retention::{knows_the_same, obey},
    watch::Kind,
};

/// So little room that it is often too little.
const ROOM_BYTES: usize = 400;

/// What one node's subscribers have been told.
pub(super) struct Audience {
    random: Random,
    all: Queue,
    keys: Queue<KeyHash>,
    is_awake: bool,
    /// What the one that wants all believes the store holds.
    believed: Store,
    /// What it was told since it last walked the store, which it must not be told again,
    told: HashSet<Vec<u8>>,
    /// unless stale reports have it told again.
    is_told_again: bool,
    /// The hash of what the one that wants keys has last looked up, by key.
    seen: HashMap<KeyHash, u64>,
    /// How often it was walked.
    pub(super) walks: usize,
}

impl Audience {
    /// Who has heard nothing, and how changes reach them.
    pub(super) fn new(
        seed: u64,
        placement: Placement,
        retention: Option<RetentionTimes>,
        is_told_again: bool,
    ) -> (Self, Subscribers) {
        let (all_outbox, all): (Outbox, Queue) = outbox(ROOM_BYTES);
        let (keys_outbox, keys) = outbox(ROOM_BYTES / 8);
        let (random, believed) = (Random::new(seed), Store::new(placement, usize::MAX));
        let believed = retention.into_iter().fold(believed, Store::with_retention);
        let (told, seen) = (HashSet::new(), HashMap::new());
        let (is_awake, walks) = (false, 0);
        let audience = Self { random, all, keys, is_awake, believed, told, is_told_again, seen, walks };
        (audience, Subscribers { all: vec![all_outbox], keys: vec![keys_outbox] })
    }

    /// Now and then: sleeps, wakes, or takes what waits. Gives what is wrong.
    pub(super) fn attend(&mut self, store: &Store) -> Result<(), String> {
        match self.random.below(12) {
            0 if self.is_awake => {
                self.all.close();
                self.keys.close();
                self.is_awake = false;
                Ok(())
            }
            0..4 => self.catch_up(store),
            _ => Ok(()),
        }
    }

    /// Takes all there is, and looks at what was missed.
    pub(super) fn catch_up(&mut self, store: &Store) -> Result<(), String> {
        if !self.is_awake {
            // In this order: open, clear the mark, read the store.
            self.all.open();
            self.keys.open();
            self.is_awake = true;
            self.walk_all(store);
            self.walk_keys(store);
        }
        while let Ok(batch) = self.all.take() {
            for line in batch.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
                if let Some(watermark) = parse_watermark(line) {
                    obey(&self.believed, watermark);
                    continue;
                }
                let record = ClientRecord::parse(line).ok_or("a change is no record")?;
                self.believed.merge(self.believed.key_hash(record.client()), &record);
                if !self.told.insert(line.to_vec()) && !self.is_told_again {
                    return Err(format!("told twice: {}", line.escape_ascii()));
                }
            }
        }
        let mut touched = HashSet::new();
        while let Ok(batch) = self.keys.take() {
            touched.extend(batch.iter().copied());
        }
        Cursor::default().walk(store, |entry, _| {
            if touched.contains(&entry.key) {
                self.seen.insert(entry.key, entry.hash);
            }
            true
        });
        if self.all.is_behind() {
            self.walk_all(store);
        }
        if self.keys.is_behind() {
            self.walk_keys(store);
        }
        Ok(())
    }

    fn walk_all(&mut self, store: &Store) {
        self.walks += 1;
        self.all.clear_mark();
        self.told.clear();
        obey(&self.believed, store.watermark());
        let mut cursor = Cursor::default();
        // In pieces of three, to see that none is lost between two.
        let mut is_over = false;
        while !is_over {
            let mut room = 3;
            is_over = cursor.walk(store, |entry, record| {
                if room > 0 {
                    room -= 1;
                    self.believed.merge(entry.key, record);
                    return true;
                }
                false
            });
        }
    }

    fn walk_keys(&mut self, store: &Store) {
        self.keys.clear_mark();
        Cursor::default().walk(store, |entry, _| {
            self.seen.insert(entry.key, entry.hash);
            true
        });
    }

    /// Whether both know what the store holds.
    fn check(&self, store: &Store) -> Result<(), String> {
        if !knows_the_same(&self.believed, store) {
            let count = |store: &Store| store.len() + store.tombstones();
            return Err(format!("{} of {} records", count(&self.believed), count(store)));
        }
        let mut missed = None;
        Cursor::default().walk(store, |entry, record| {
            if self.seen.get(&entry.key) != Some(&entry.hash) {
                missed = Some(format!("{record:?}"));
            }
            true
        });
        missed.map_or(Ok(()), Err)
    }
}

impl Simulation {
    /// Has a node's subscribers do something, perhaps.
    pub(super) fn attend(&mut self, node: usize) {
        if !self.plan.has_audience {
            return;
        }
        let server = &mut self.servers[node];
        if let Err(why) = server.audience.attend(server.node.store()) {
            self.fail(Kind::Unheard, format!("node {node}: {why}"));
        }
    }

    /// All subscribers take what is left. Has anybody missed anything?
    pub(super) fn check_audiences(&mut self) {
        for node in 0..self.servers.len() {
            let server = &mut self.servers[node];
            let store = server.node.store();
            let heard = server.audience.catch_up(store).and_then(|()| server.audience.check(store));
            self.tally.walks += server.audience.walks;
            if let Err(why) = heard {
                self.fail(Kind::Unheard, format!("node {node}: {why}"));
            }
        }
    }
}
