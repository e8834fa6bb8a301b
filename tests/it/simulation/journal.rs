//! A node's journal as its thread runs it: what src/server/journal.rs does with a folder and clocks, on a disk in memory,
//! cut where the thread would wait: for changes, for its time, and for the disk to sync. What is done is for the node's own
//! `Keeper`. Clients whose replies wait for the journal rest here meanwhile.

use std::{io, iter, time::Duration};

use proxyherd::{
    core::{
        links::{Outbox, Queue, outbox},
        model::{Now, Tick},
        node::{Node, Retainer},
        store::Store,
    },
    journal::{
        Damage, JournalBounds, JournalRules, JournalWriter, Keeper, KeeperEvent, LinesRead, Owner, Recovered,
        SnapshotBounds,
        fake_disk::{Dice, DiskFault, FakeDisk},
        recover, store_lines,
    },
};
use rustix::io::Errno;

use super::{
    clients::Caller,
    herd::{Event, Server, Simulation},
    random::Random,
    retention::knows_the_same,
    watch::Kind,
};

/// How all nodes of a herd keep what they know.
#[derive(Clone, Debug)]
pub(super) struct JournalPlan {
    /// Whether reports are acknowledged only once they are on the disk.
    pub(super) commits: bool,
    bounds: JournalBounds,
    snapshots: SnapshotBounds,
    /// What may wait for the journal's thread.
    queue_bytes: usize,
    /// What a power cut leaves is whole in pieces of so many bytes.
    sector: usize,
    /// The longest that a sync takes, and any other piece of the thread's work.
    takes: Duration,
    /// How late whoever hands over a change, and the journal's thread, may be.
    lag: Duration,
    /// The mean time from one fault of a disk to the next.
    pub(super) fault_gap: Duration,
    /// When all nodes end at once.
    pub(super) blackouts: Vec<Duration>,
}

impl JournalPlan {
    /// For a herd in which things go wrong until `heal_at`; for a quarter of them, none.
    pub(super) fn draw(
        (liveness, lag): (Duration, Duration),
        heal_at: Duration,
        random: &mut Random,
    ) -> Option<Self> {
        let kind = random.below(4);
        let bounds = JournalBounds {
            segment_bytes: *random.of(&[500, 2_000, 8_000]),
            sync_bytes: *random.of(&[200, 2_000, 1 << 20]),
            sync_time: liveness / *random.of(&[4, 20, 100]),
            waiting_bytes: *random.of(&[4_000, 1 << 20, 1 << 20]),
            retry_time: liveness / 50,
            is_synced: true,
        };
        let snapshots = SnapshotBounds {
            bytes: *random.of(&[500, 4_000, 1 << 30]),
            share: *random.of(&[1, 4]),
            piece_bytes: *random.of(&[100, 1_000]),
            sync_bytes: 300,
            retry_time: liveness / 20,
            forgetting_time: liveness,
        };
        let times = random.below(3);
        let plan = Self {
            commits: kind >= 2,
            bounds,
            snapshots,
            queue_bytes: *random.of(&[1_024, 16_384, 65_536]),
            sector: *random.of(&[64, 512]),
            takes: liveness / *random.of(&[50, 500, 5_000]),
            lag,
            fault_gap: liveness / *random.of(&[1, 4, 16]),
            blackouts: (0..times).map(|_| random.time(heal_at)).collect(),
        };
        (kind > 0).then_some(plan)
    }

    /// A new disk.
    pub(super) fn disk(&self) -> FakeDisk {
        FakeDisk::with_sectors(self.sector)
    }

    /// What waits for the journal's thread.
    pub(super) fn queue(&self) -> (Outbox, Queue) {
        outbox(self.queue_bytes)
    }

    /// What is older when the node is killed is in the system's hands: lines are executed, offered and taken, each a while
    /// after the other, and taken not before the thread is done with what it does.
    fn window_of_kill(&self) -> Duration {
        self.lag * 4 + self.takes * 3
    }

    /// What is older when the power is cut is on the disk.
    fn window_of_power_cut(&self) -> Duration {
        self.window_of_kill() * 2 + self.bounds.sync_time
    }
}

type Salts = Box<dyn FnMut() -> io::Result<[u8; 16]>>;

/// What the thread is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Doing {
    Waiting,
    Syncing,
}

/// One node's journal.
pub(super) struct Journal {
    pub(super) disk: FakeDisk,
    keeper: Keeper<FakeDisk, Salts>,
    doing: Doing,
    /// Only the latest wake counts.
    pub(super) wake: u64,
    is_waked: bool,
    /// The numbers of the last batch that was offered, and of the last of which sessions know that it is on the disk.
    offered: u64,
    committed: u64,
    /// Clients whose replies wait.
    waiting: Vec<Caller>,
    /// What the start has taken for damage.
    damage: Option<Damage>,
    /// Whether it is by a power cut that the node ends once its disk has crashed.
    ends_by_power_cut: bool,
}

impl Journal {
    /// Reads what is on the disk into the node's store.
    pub(super) fn start(
        plan: &JournalPlan,
        (disk, queue): (FakeDisk, Queue),
        node: &Node,
        rules: JournalRules,
        (retainer, clocks): (Option<&mut Retainer>, Now),
    ) -> Result<Self, String> {
        let room = plan.bounds.waiting_bytes;
        let (owner, (mut found, watermark)) = (owner(node), read((&disk, room), node, node.store())?);
        if retainer.is_some_and(|retainer| retainer.recovered(node, watermark, clocks)) {
            (found, _) = read((&disk, room), node, node.store())?;
        }
        let mut random = Random::new(node.incarnation);
        let salts: Salts =
            Box::new(move || Ok((u128::from(random.bits()) << 64 | u128::from(random.bits())).to_le_bytes()));
        let writer = JournalWriter::with_rules((disk.clone(), owner), salts, plan.bounds, &found, rules);
        let keeper = Keeper::new(writer, queue, plan.snapshots, (&found, Duration::ZERO), plan.commits);
        Ok(Self {
            disk,
            keeper,
            doing: Doing::Waiting,
            wake: 0,
            is_waked: false,
            offered: 0,
            committed: 0,
            waiting: Vec::new(),
            damage: found.damage.into_iter().next(),
            ends_by_power_cut: false,
        })
    }

    /// A batch has been offered that a client's reply waits for; its number.
    pub(super) fn number(&mut self) -> u64 {
        self.offered += 1;
        self.offered
    }

    pub(super) fn has_committed(&self, batch: u64) -> bool {
        batch <= self.committed
    }

    /// The client waits until its batch is on the disk.
    pub(super) fn wait(&mut self, caller: Caller) {
        self.waiting.push(caller);
    }

    /// Nothing goes wrong with the disk from now on.
    pub(super) fn mend(&self) {
        self.disk.set_room(None);
        self.disk.fail_at(usize::MAX, DiskFault::Error(Errno::IO));
    }

    /// The node ends at one of the disk's next operations.
    pub(super) fn crash_soon(&mut self, by_power_cut: bool, random: &mut Random) {
        self.ends_by_power_cut = by_power_cut;
        self.disk.fail_at(self.disk.operations() + random.below(12), DiskFault::Crash);
    }

    /// What the start has taken for damage.
    pub(super) fn damage(&self) -> Option<&Damage> {
        self.damage.as_ref()
    }

    /// Whether everything is on the disk, and nobody waits.
    fn is_done(&self) -> bool {
        let is_idle = self.doing == Doing::Waiting && !self.has_batches();
        // As of the last look, which was when it last ran.
        let is_well = self.keeper.condition().lack().is_none() && !self.keeper.refuses_reports();
        is_idle && is_well && self.waiting.is_empty()
    }

    fn has_batches(&self) -> bool {
        !self.keeper.queue().receiver().is_empty()
    }

    fn take(&mut self, commits: bool, now: Tick) {
        let batches: Vec<_> = iter::from_fn(|| self.keeper.queue().take().ok()).collect();
        batches.iter().for_each(|batch| self.keeper.take(batch, now));
        if commits {
            self.keeper.has_taken(self.offered);
        }
    }

    /// What its thread does until it waits again; how many snapshots that has finished.
    fn step(&mut self, store: &Store, now: Tick) -> u64 {
        let before = self.keeper.condition().snapshots;
        self.commit();
        self.keeper.step(store, now);
        self.commit();
        self.keeper.look().snapshots - before
    }

    fn commit(&mut self) {
        self.committed = self.keeper.commit().unwrap_or(self.committed);
    }
}

fn owner(node: &Node) -> Owner {
    Owner { herd: node.herd.clone(), node: node.id.to_string(), placement: node.check }
}

/// Reads what the disk of that node has, as its start does; with it comes the greatest watermark.
fn read((disk, room): (&FakeDisk, usize), node: &Node, store: &Store) -> Result<(Recovered, u64), String> {
    let mut read = LinesRead::default();
    let found =
        recover(disk, (&owner(node), room), |lines| read = read.with(store_lines(store, lines)), |_| {});
    match read.bad_lines {
        0 => found.map(|found| (found, read.watermark)).map_err(|error| error.to_string()),
        bad_lines => Err(format!("{bad_lines} lines are no locations")),
    }
}

impl Simulation {
    /// Something waits in its queue: the journal's thread runs soon, unless it is busy.
    pub(super) fn wake_journal(&mut self, node: usize) {
        let is_wakeable =
            |journal: &Journal| journal.doing == Doing::Waiting && !journal.is_waked && journal.has_batches();
        if self.servers[node].journal.as_ref().is_some_and(is_wakeable) {
            let late = self.lateness();
            self.journal_sleeps(node, late);
        }
    }

    /// The thread of a journal that has just been read runs soon: something may be due at once.
    pub(super) fn start_journal(&mut self, node: usize) {
        let late = self.lateness();
        self.journal_sleeps(node, late);
    }

    fn journal_sleeps(&mut self, node: usize, time: Duration) {
        let server = &mut self.servers[node];
        let Some(journal) = &mut server.journal else { return };
        journal.wake += 1;
        journal.is_waked = true;
        let (life, wake) = (server.life, journal.wake);
        self.push(self.now + time, Event::Journal { node, life, wake });
    }

    /// The thread of a living node's journal runs until it waits.
    pub(super) fn run_journal(&mut self, node: usize) {
        let Some(JournalPlan { commits, takes, .. }) = self.plan.journal else { return };
        let (tick, takes) = (self.tick(node), self.random.time(takes));
        let server = &mut self.servers[node];
        let Some(journal) = &mut server.journal else { return };
        journal.is_waked = false;
        if journal.doing == Doing::Waiting {
            journal.take(commits, tick);
            journal.keeper.write(tick);
            if journal.keeper.is_sync_due(tick) {
                journal.doing = Doing::Syncing;
                return self.journal_sleeps(node, takes);
            }
        } else {
            journal.keeper.sync(|| tick);
            journal.doing = Doing::Waiting;
        }
        self.tally.snapshots += journal.step(server.node.store(), tick) as usize;
        let is_crashed = journal.disk.is_crashed();
        self.journal_tells(node);
        if is_crashed {
            return self.disk_crashed(node);
        }
        let Some(journal) = &self.servers[node].journal else { return };
        if journal.has_batches() {
            self.wake_journal(node);
        } else if let Some(due) = journal.keeper.due() {
            let wait = self.when(node, due).saturating_sub(self.now);
            self.journal_sleeps(node, wait.max(takes));
            // What is offered meanwhile wakes it earlier.
            if let Some(journal) = &mut self.servers[node].journal {
                journal.is_waked = false;
            }
        }
    }

    /// Passes on what the journal says: to reports, to the watch, and to the clients whose batches are on the disk.
    fn journal_tells(&mut self, node: usize) {
        let (now, life) = (self.now, self.servers[node].life);
        let Some(journal) = &mut self.servers[node].journal else { return };
        while let Some(event) = journal.keeper.event() {
            self.tally.failures += usize::from(matches!(event, KeeperEvent::Failing(_)));
        }
        let (committed, lacks) = (journal.committed, journal.keeper.refuses_reports());
        let is_ready = |caller: &mut Caller| caller.batch <= committed;
        let ready: Vec<_> = journal.waiting.extract_if(.., is_ready).collect();
        self.servers[node].node.refuse_reports(lacks);
        self.watch.kept[node].is_well(!lacks, now);
        for caller in ready {
            let late = self.lateness();
            self.push(now + late, Event::Caller { node, life, caller: Box::new(caller) });
        }
    }

    fn disk_crashed(&mut self, node: usize) {
        let journal = self.servers[node].journal.as_ref();
        let by_power_cut = journal.is_some_and(|journal| journal.ends_by_power_cut);
        self.die(node, by_power_cut);
    }

    /// The node's process is gone. What the next start finds on its disk is decided now.
    pub(super) fn journal_dies(&mut self, node: usize, by_power_cut: bool) {
        let Some(plan) = &self.plan.journal else { return };
        let window = if by_power_cut { plan.window_of_power_cut() } else { plan.window_of_kill() };
        let dice = self.random.bits();
        if let Some(journal) = &mut self.servers[node].journal {
            journal.waiting.clear();
            journal.disk = match by_power_cut {
                true => journal.disk.after_power_cut(&mut Dice::new(dice)),
                false => journal.disk.after_kill(),
            };
            self.watch.kept[node].died(self.now, window, plan.window_of_power_cut());
        }
    }

    /// The node has stopped in order, and now its journal does. A disk that fails is given a few more chances.
    pub(super) fn end_journal(&mut self, node: usize) {
        let tick = self.tick(node);
        let server = &mut self.servers[node];
        let Some(journal) = &mut server.journal else { return };
        let keeper = &mut journal.keeper;
        keeper.stop(tick);
        let mut chances = 3;
        while chances > 0
            && let Some(pause) = keeper.step_to_end(server.node.store(), tick)
        {
            chances -= usize::from(!pause.is_zero());
        }
        keeper.end();
        let lacks = keeper.condition().lack().is_some();
        let by_power_cut = journal.disk.is_crashed() && journal.ends_by_power_cut;
        self.journal_tells(node);
        self.journal_dies(node, by_power_cut);
        if !lacks {
            self.watch.kept[node].stopped();
        }
    }

    /// Whether every journal has everything.
    pub(super) fn are_journals_done(&self) -> bool {
        self.servers.iter().filter_map(|server| server.journal.as_ref()).all(Journal::is_done)
    }

    /// The power of all nodes is cut after the end. Has any journal less than its node knows?
    pub(super) fn check_journals(&mut self) {
        for node in 0..self.servers.len() {
            let dice = self.random.bits();
            let Server { node: knowing, journal, .. } = &self.servers[node];
            let Some(journal) = journal else { return };
            let disk = journal.disk.after_power_cut(&mut Dice::new(dice));
            let kept = Store::new(self.plan.placement(0), usize::MAX);
            let kept = knowing.retention().into_iter().fold(kept, Store::with_retention);
            let watermark = knowing.store().watermark();
            kept.begin_at(watermark);
            let found = read((&disk, 0), knowing, &kept);
            if let Err(why) = found {
                self.fail(Kind::Unkept, format!("node {node} would not start: {why}"));
            } else if found.is_ok_and(|(_, kept)| kept != watermark) {
                self.fail(
                    Kind::Unkept,
                    format!("node {node} has the watermark {watermark}, its journal not"),
                );
            } else if !knows_the_same(&kept, knowing.store()) {
                let (kept, known) = (kept.len(), knowing.store().len());
                self.fail(Kind::Unkept, format!("node {node} knows {known} clients, its journal {kept}"));
            }
        }
    }
}
