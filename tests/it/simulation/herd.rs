//! The simulated herd and its one queue of events: servers, connections between them, cuts, and a clock that jumps from
//! one event to the next. What servers and connections do at an event is in the files named after it.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashSet},
    sync::Arc,
    time::Duration,
};

use proxyherd::{
    core::{
        Rules,
        dialogue::Dialogue,
        links::{Ends, Health, Link, outbox},
        model::{Now, Tick},
        node::{Neighbour, Node, Options, ReportLimits, Retainer},
        store::{Placement, Store},
    },
    journal::{JournalRules, fake_disk::FakeDisk},
};

use super::{
    audience::Audience,
    clients::Caller,
    flooder::Flooder,
    journal::{Journal, JournalPlan},
    meter::Meter,
    plan::{Plan, Timer},
    random::Random,
    retention,
    session::Connection,
    stop::Stopping,
    watch::{Kind, Violation, Watch},
};

/// All there is.
pub(super) struct Simulation {
    pub(super) plan: Plan,
    laws: Laws,
    pub(super) random: Random,
    pub(super) now: Duration,
    /// When the events are due, and in which order those of one moment come.
    events: BinaryHeap<Reverse<(Duration, u64)>>,
    pub(super) due: BTreeMap<u64, Event>,
    sequence: u64,
    pub(super) servers: Vec<Server>,
    pub(super) connections: Vec<Option<Box<Connection>>>,
    /// Nothing gets from the first to the second of each of these.
    cut: HashSet<(usize, usize)>,
    pub(super) watch: Watch,
    /// Where what is said is to be counted.
    pub(super) meter: Option<Meter>,
    pub(super) tally: Tally,
}

/// What all nodes of a simulation live by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Laws {
    pub(super) rules: Rules,
    pub(super) journal: JournalRules,
    /// Whether outboxes are bounded as the plan has it.
    pub(super) are_outboxes_bounded: bool,
}

impl Laws {
    /// As a node does.
    pub(super) const SOUND: Self =
        Self { rules: Rules::SOUND, journal: JournalRules::SOUND, are_outboxes_bounded: true };
}

/// More than a story's reports fill.
const UNBOUNDED: usize = 1 << 24;

/// One node and what its threads and sockets would hold.
pub(super) struct Server {
    pub(super) node: Arc<Node>,
    pub(super) flooders: Vec<Flooder>,
    pub(super) audience: Audience,
    /// What it knows after a stop, if the herd keeps anything.
    pub(super) journal: Option<Journal>,
    /// What forgets by age, if the herd does.
    pub(super) retainer: Option<Retainer>,
    /// What its disk had a while ago.
    pub(super) backup: Option<FakeDisk>,
    pub(super) is_alive: bool,
    pub(super) stopping: Option<Stopping>,
    /// How often it has started.
    pub(super) life: u32,
    /// When it last started.
    born: Duration,
}

/// What has happened, to see that it does.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Tally {
    pub(super) events: usize,
    pub(super) reports: usize,
    pub(super) forgettings: usize,
    pub(super) overflows: usize,
    pub(super) losses: usize,
    pub(super) cuts: usize,
    pub(super) crashes: usize,
    pub(super) forgotten: usize,
    pub(super) refusals: usize,
    pub(super) stops: usize,
    pub(super) rounds: usize,
    pub(super) pushed: usize,
    pub(super) blocked: usize,
    pub(super) walks: usize,
    pub(super) power_cuts: usize,
    pub(super) blackouts: usize,
    pub(super) disk_faults: usize,
    pub(super) failures: usize,
    pub(super) snapshots: usize,
    pub(super) waits: usize,
    pub(super) pieces: usize,
    pub(super) hidden: usize,
    pub(super) backups: usize,
    pub(super) crossings: usize,
}

impl Tally {
    /// Adds another seed's.
    pub(super) fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.reports += other.reports;
        self.forgettings += other.forgettings;
        self.overflows += other.overflows;
        self.losses += other.losses;
        self.cuts += other.cuts;
        self.crashes += other.crashes;
        self.forgotten += other.forgotten;
        self.refusals += other.refusals;
        self.stops += other.stops;
        self.rounds += other.rounds;
        self.pushed += other.pushed;
        self.blocked += other.blocked;
        self.walks += other.walks;
        self.power_cuts += other.power_cuts;
        self.blackouts += other.blackouts;
        self.disk_faults += other.disk_faults;
        self.failures += other.failures;
        self.snapshots += other.snapshots;
        self.waits += other.waits;
        self.pieces += other.pieces;
        self.hidden += other.hidden;
        self.backups += other.backups;
        self.crossings += other.crossings;
    }
}

/// What can happen.
#[derive(Debug)]
pub(super) enum Event {
    /// A flooder wakes.
    Flooder { node: usize, life: u32, link: usize, wake: u64 },
    /// Dialling has come to an end.
    Dialled { node: usize, life: u32, link: usize, is_open: bool },
    /// A session wakes.
    Session { connection: usize, wake: u64 },
    /// Bytes arrive.
    Arrive { connection: usize, pipe: usize },
    /// A client's session has executed lines, and offers what they changed.
    Caller { node: usize, life: u32, caller: Box<Caller> },
    /// The thread that forgets by age wakes.
    Retention { node: usize, life: u32 },
    /// A journal's thread wakes.
    Journal { node: usize, life: u32, wake: u64 },
    /// A client calls.
    Call,
    /// A client repeats what it has said.
    Again { node: usize, text: Vec<u8> },
    /// Something goes wrong.
    Fault,
    /// All nodes end at once.
    Blackout,
    /// Something goes wrong with a disk.
    DiskFault,
    /// A disk has room again.
    Freed { node: usize, life: u32 },
    /// A cut heals.
    Uncut { from: usize, to: usize },
    /// A node is told to stop, and its links have so long for it.
    Stop { node: usize, time: Duration },
    /// A node starts again.
    Restart { node: usize },
    /// All that went wrong is mended, and nothing goes wrong from now on.
    Heal,
}

impl Simulation {
    pub(super) fn new(seed: u64, timer: Timer, laws: Laws) -> Self {
        let mut random = Random::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
        let plan = Plan::of_seed(seed, timer, &mut random);
        let mut simulation = Self::of_plan(plan, random, laws);
        simulation.push(simulation.plan.heal_at, Event::Heal);
        simulation.push(Duration::ZERO, Event::Call);
        simulation.push(simulation.plan.fault_gap, Event::Fault);
        for (at, node, time) in simulation.plan.stops.clone() {
            simulation.push(at, Event::Stop { node, time });
        }
        if let Some(journal) = simulation.plan.journal.clone() {
            simulation.push(journal.fault_gap, Event::DiskFault);
            journal.blackouts.into_iter().for_each(|at| simulation.push(at, Event::Blackout));
        }
        simulation
    }

    /// A herd that starts, and to which nothing happens but what it does itself.
    pub(super) fn of_plan(plan: Plan, random: Random, laws: Laws) -> Self {
        let count = plan.graph.ids.len();
        let watch = Watch::new(&plan);
        let mut simulation = Self {
            plan,
            laws,
            random,
            now: Duration::ZERO,
            events: BinaryHeap::new(),
            due: BTreeMap::new(),
            sequence: 0,
            servers: Vec::new(),
            connections: Vec::new(),
            cut: HashSet::new(),
            watch,
            meter: None,
            tally: Tally::default(),
        };
        for node in 0..count {
            let server = simulation.server(node, 1, None);
            simulation.servers.push(server);
            simulation.wake_flooders(node);
            simulation.start_retention(node);
        }
        simulation
    }

    /// A node at its start, with what is on its disk from before; without a disk from before, a new one.
    fn server(&mut self, node: usize, life: u32, disk: Option<FakeDisk>) -> Server {
        let incarnation = self.random.bits();
        let placement = self.plan.placement(incarnation);
        let (neighbours, flooders) = self.neighbours(node, incarnation, placement);
        let Plan { graph, nodes, secret, journal, .. } = &self.plan;
        let (id, limits) = (&graph.ids[node], &nodes[node]);
        let commits = journal.as_ref().is_some_and(|journal| journal.commits);
        let (audience, mut subscribers) =
            Audience::new(incarnation, placement, self.plan.retention.map(|plan| plan.times), commits);
        let (journal_outbox, queue) = journal.as_ref().map(JournalPlan::queue).unzip();
        subscribers.all.extend(journal_outbox);
        let options = Options {
            herd: graph.name.clone(),
            placement,
            secret: secret.clone(),
            id: id.clone(),
            incarnation,
            forget_after: self.plan.retention.map(|retention| retention.times.forget_after),
            reports: ReportLimits {
                max_clients: limits.max_clients,
                max_ahead: limits.max_ahead,
                ..ReportLimits::NONE
            },
            liveness: limits.liveness,
            neighbours,
            subscribers,
            lookups: None,
        };
        let made = Node::with_rules(options, self.laws.rules).forgetting_for_everyone();
        let made = match self.plan.retention {
            Some(retention) => made.forgetting_by(retention.times),
            None => made,
        };
        let made = Arc::new(if commits { made.acknowledging_what_is_durable() } else { made });
        let mut retainer = retention::begin(&self.plan, node, self.now, &made);
        let clocks = self.plan.clocks_of(node, self.now, self.now);
        let journal = self.plan.journal.as_ref().zip(queue).map(|(plan, queue)| {
            let disk = disk.unwrap_or_else(|| plan.disk());
            Journal::start(plan, (disk, queue), &made, self.laws.journal, (retainer.as_mut(), clocks))
        });
        let journal = journal.transpose().unwrap_or_else(|why| {
            self.watch.fail(Kind::Unkept, format!("node {node} does not start: {why}"));
            None
        });
        let (is_alive, stopping, born, backup) = (true, None, self.now, None);
        Server { node: made, flooders, audience, journal, retainer, backup, is_alive, stopping, life, born }
    }

    /// A node's neighbours at its start, and its flooders.
    fn neighbours(
        &self,
        node: usize,
        incarnation: u64,
        placement: Placement,
    ) -> (Vec<Neighbour>, Vec<Flooder>) {
        let Plan { graph, nodes, secret, .. } = &self.plan;
        let both = graph.links[node].iter().map(|&peer| {
            let bounded = self.laws.are_outboxes_bounded;
            let (outbox, queue) = outbox(if bounded { nodes[node].outbox_bytes } else { UNBOUNDED });
            let (called, calls) = crossbeam_channel::bounded(1);
            let (herd, id, peer_id) = (graph.name.clone(), graph.ids[node].clone(), graph.ids[peer].clone());
            let (check, secret) = (placement.check(), secret.clone());
            let forget_after = self.plan.retention.map(|retention| retention.times.forget_after);
            let ends = Ends { herd, id, peer: peer_id.clone(), incarnation, check, forget_after, secret };
            let link = Link::with_rules(ends, self.plan.times_of(node), queue, self.laws.rules);
            let (plain, health) = (None, Health::default());
            (Neighbour { id: peer_id, outbox, called, plain, health }, Flooder::new(peer, calls, link))
        });
        both.unzip()
    }

    /// The node starts again, with its disk or with another.
    pub(super) fn restart(&mut self, node: usize, has_its_disk: bool) {
        let Server { journal, life, stopping, backup, .. } = &mut self.servers[node];
        let backup = backup.take();
        self.tally.backups += usize::from(!has_its_disk && backup.is_some());
        let own = journal.take().filter(|_| has_its_disk).map(|journal| journal.disk);
        let is_its_own = own.is_some();
        let disk = own.or(backup.filter(|_| !has_its_disk));
        let has_handed_over =
            stopping.is_some_and(|stopping| stopping.is_over() && stopping.has_handed_over());
        let life = *life + 1;
        self.servers[node] = self.server(node, life, disk);
        let Server { node: started, journal, .. } = &self.servers[node];
        let own = journal.as_ref().filter(|_| is_its_own);
        let recovery = own.map(|journal| (journal.damage(), self.now));
        self.watch.started(node, started.store(), recovery, has_handed_over);
        self.start_journal(node);
        self.wake_flooders(node);
        self.start_retention(node);
    }

    pub(super) fn push(&mut self, at: Duration, event: Event) {
        self.sequence += 1;
        self.due.insert(self.sequence, event);
        self.events.push(Reverse((at.max(self.now), self.sequence)));
    }

    /// Lets everything happen until then, or until an invariant breaks.
    pub(super) fn run_until(&mut self, end: Duration) -> Result<(), Violation> {
        while let Some(&Reverse((at, sequence))) = self.events.peek()
            && at <= end
        {
            self.events.pop();
            self.now = at;
            self.watch.now = at;
            self.tally.events += 1;
            if self.tally.events > self.plan.events_max {
                self.watch.fail(Kind::Endless, format!("{} events", self.plan.events_max));
            }
            if let Some(event) = self.due.remove(&sequence) {
                self.happen(event);
            }
            if let Some(violation) = self.watch.violation.take() {
                return Err(violation);
            }
        }
        self.now = end;
        Ok(())
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Flooder { node, life, link, wake } => {
                let is_current = self.is_living(node, life) && self.servers[node].flooders[link].wake == wake;
                if is_current {
                    self.run_flooder(node, link);
                }
            }
            Event::Dialled { node, life, link, is_open } => {
                if self.is_living(node, life) {
                    self.dialled(node, link, is_open);
                }
            }
            Event::Session { connection, wake } => self.run_session(connection, wake),
            Event::Arrive { connection, pipe } => self.arrive(connection, pipe),
            Event::Caller { node, life, caller } => {
                if self.is_living(node, life) {
                    self.serve_caller(node, life, caller);
                }
            }
            Event::Journal { node, life, wake } => {
                let is_latest = |journal: &Journal| journal.wake == wake;
                if self.is_living(node, life) && self.servers[node].journal.as_ref().is_some_and(is_latest) {
                    self.run_journal(node);
                }
            }
            Event::Retention { node, life } => {
                if self.is_living(node, life) {
                    self.run_retention(node);
                }
            }
            Event::Call => self.call(),
            Event::Again { node, text } => self.report_if_taken(node, &text),
            Event::Fault => self.go_wrong(),
            Event::Blackout => self.black_out(),
            Event::DiskFault => self.disk_goes_wrong(),
            Event::Freed { node, life } => self.disk_is_freed(node, life),
            Event::Uncut { from, to } => self.uncut(from, to),
            Event::Stop { node, time } => self.stop(node, time),
            Event::Restart { node } => self.come_back(node),
            Event::Heal => self.heal(),
        }
    }

    /// Hands over what a session's lines have changed, and wakes those who rest.
    pub(super) fn offer(&mut self, node: usize, dialogue: &mut Dialogue<Arc<Node>>) {
        dialogue.offer(|_| self.tally.overflows += 1);
        self.offered(node);
    }

    /// Something has been offered: those who rest wake.
    pub(super) fn offered(&mut self, node: usize) {
        self.attend(node);
        self.wake_journal(node);
        self.watch_outboxes(node);
        for link in 0..self.servers[node].flooders.len() {
            if self.servers[node].flooders[link].is_resting_on_news() {
                self.wake_flooder(node, link);
            }
        }
    }

    pub(super) fn is_living(&self, node: usize, life: u32) -> bool {
        self.servers[node].is_alive && self.servers[node].life == life
    }

    fn wake_flooders(&mut self, node: usize) {
        for link in 0..self.servers[node].flooders.len() {
            self.wake_flooder(node, link);
        }
    }

    /// How late a thread runs that has been waked: mostly at once, now and then not so soon.
    pub(super) fn lateness(&mut self) -> Duration {
        let most = if self.random.one_in(16) { self.plan.lag } else { self.plan.wake };
        self.random.time(most)
    }

    /// When what is sent now arrives.
    pub(super) fn arrival(&mut self) -> Duration {
        self.now + self.plan.delay - self.plan.jitter + self.random.time(self.plan.jitter)
    }

    /// The clocks as the node reads them.
    pub(super) fn clocks(&self, node: usize) -> Now {
        self.plan.clocks_of(node, self.servers[node].born, self.now)
    }

    pub(super) fn tick(&self, node: usize) -> Tick {
        self.now - self.servers[node].born + self.plan.nodes[node].tick
    }

    /// When the node's clock shows that.
    pub(super) fn when(&self, node: usize, tick: Tick) -> Duration {
        tick.saturating_sub(self.plan.nodes[node].tick).saturating_add(self.servers[node].born)
    }

    pub(super) fn is_cut(&self, from: usize, to: usize) -> bool {
        !self.cut.is_empty() && self.cut.contains(&(from, to))
    }

    pub(super) fn set_cut(&mut self, from: usize, to: usize, is_cut: bool) {
        if is_cut {
            self.cut.insert((from, to));
        } else {
            self.cut.remove(&(from, to));
        }
    }

    pub(super) fn fail(&mut self, kind: Kind, text: String) {
        self.watch.fail(kind, text);
    }
}

/// All leaves of a store.
pub(super) fn leaves(store: &Store) -> impl Iterator<Item = (usize, usize)> + use<> {
    let shape = store.shape();
    (0..shape.shards()).flat_map(move |shard| (0..shape.leaves()).map(move |leaf| (shard, leaf)))
}
