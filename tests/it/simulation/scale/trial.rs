//! What a large herd is put through, and what is counted meanwhile: single reports, quiet, a partition that heals, a node
//! that is out of reach for a while. Nothing else goes wrong, every byte takes one millisecond, and no thread takes any
//! time, so that a time is a number of links passed.
//!
//! The invariants of `watch.rs` are checked as in every story: what they cost grows as nodes times reports.

use std::time::Duration;

use super::{
    super::{
        graph::Graph,
        herd::{Event, Laws, Simulation},
        meter::{Meter, Said},
        plan::{EPOCH, Plan},
        random::Random,
        session::{ANSWERS, QUESTIONS},
        watch::{Kind as Fault, Violation},
    },
    graphs::Kind,
};

type Herd = Simulation;

/// How long every byte is under way.
pub(super) const DELAY: Duration = Duration::from_millis(1);

/// Reports that are followed through the herd.
pub(super) const FOLLOWED: usize = 5;

/// Reports made on either side of a partition.
pub(super) const APART: usize = 10;

/// How long a partition lasts: its links are given up after some 6 s, and dialled in vain for the rest.
const APART_TIME: Duration = Duration::from_secs(12);

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(600);

const SECOND: Duration = Duration::from_secs(1);

/// What may wait for one neighbour. A channel's places cost memory whether they are taken or not: those of the default of
/// 8 MiB would be 1 MB a link. Nothing here comes near either.
const OUTBOX_BYTES: usize = 16 * 1024;

/// What is found out about one herd.
#[derive(Debug)]
pub(super) struct Trial {
    pub(super) nodes: usize,
    pub(super) links: usize,
    pub(super) reports: Vec<Flooded>,
    pub(super) quiet: Quiet,
    /// Two sides, with reports on both.
    pub(super) partition: Healed,
    /// One node, with reports at the others.
    pub(super) absence: Healed,
    pub(super) events: usize,
}

/// How one report got about.
#[derive(Debug)]
pub(super) struct Flooded {
    /// AT lines, and their bytes.
    pub(super) lines: usize,
    pub(super) bytes: usize,
    /// The most that one node wrote.
    pub(super) lines_of_one: usize,
    /// After how many delays each node knew, fewest first; and how many links it is away from where it was made.
    pub(super) hops: Vec<usize>,
    pub(super) distances: Vec<usize>,
}

/// What is said though nothing differs.
#[derive(Debug)]
pub(super) struct Quiet {
    pub(super) time: Duration,
    pub(super) said: Said,
    pub(super) rounds: usize,
}

/// How a herd came together again.
#[derive(Debug)]
pub(super) struct Healed {
    pub(super) links_cut: usize,
    /// Into how many parts the herd fell.
    pub(super) parts: usize,
    /// From the healing until every node knew everything, and what was said until then.
    pub(super) known: (Duration, Said),
    /// Until every link was up, in step and silent; looked at four times a second.
    pub(super) settled: (Duration, Said),
}

impl Trial {
    /// Puts a herd of this many nodes through all of it.
    pub(super) fn run(kind: Kind, nodes: usize, seed: u64) -> Result<Self, Violation> {
        let mut random = Random::new(seed);
        let graph = kind.graph(nodes, &mut random);
        let links = graph.links.iter().map(Vec::len).sum::<usize>() / 2;
        let side = kind.side(&graph, &mut random);
        let mut absent = vec![false; nodes];
        absent[random.below(nodes)] = true;
        let mut herd = Herd::of_plan(plan(graph), random, Laws::SOUND);
        herd.meter = Some(Meter::new(nodes));
        herd.go_on_until(PATIENCE, Fault::Unlinked, |herd| herd.is_linked() && herd.is_quiet())?;
        let mut clients = 0..;
        let mut reports = Vec::new();
        for client in clients.by_ref().take(FOLLOWED) {
            reports.push(herd.follow(client)?);
        }
        let quiet = herd.stay_quiet()?;
        let partition = herd.part(&side, &mut clients.by_ref().take(2 * APART))?;
        let absence = herd.part(&absent, &mut clients.by_ref().take(APART))?;
        let held = herd.watch.held();
        herd.watch.judge(&held);
        // All stores have one sum by now, so that one of them stands for all; listing each takes longer than the rest.
        herd.watch.check_store(0, herd.servers[0].node.store());
        if let Some(violation) = herd.watch.violation.take() {
            return Err(violation);
        }
        let events = herd.tally.events;
        Ok(Self { nodes, links, reports, quiet, partition, absence, events })
    }
}

/// A herd of default limits, but for what waits for a neighbour, to which nothing happens of itself.
fn plan(graph: Graph) -> Plan {
    let clients = (0..FOLLOWED + 3 * APART).map(|client| client_id(client).into_bytes());
    let mut plan = Plan::undisturbed(graph, clients.collect(), DELAY);
    plan.nodes.iter_mut().for_each(|node| node.outbox_bytes = OUTBOX_BYTES);
    plan
}

fn client_id(client: usize) -> String {
    format!("client-{client:02}.example")
}

impl Herd {
    fn metered(&mut self) -> &mut Meter {
        self.meter.as_mut().expect("it was given one when it began")
    }

    /// A client's first report, of the length the papers' have.
    fn tell(&mut self, node: usize, client: usize) {
        let since = Duration::from_secs(EPOCH) + self.now;
        let (seconds, nanos) = (since.as_secs(), since.subsec_nanos());
        let line = format!("IAMAT {} +34.068930-118.445127 {seconds}.{nanos:09}\n", client_id(client));
        self.report(node, line.as_bytes());
    }

    /// Makes a report somewhere and follows it until all know it.
    fn follow(&mut self, client: usize) -> Result<Flooded, Violation> {
        let (nodes, origin) = (self.servers.len(), self.random.below(self.servers.len()));
        let begin = self.now;
        self.meter = Some(Meter::new(nodes));
        self.tell(origin, client);
        // A session may take its time to read it.
        let is_taken = |herd: &Self| herd.meter.as_ref().is_some_and(|meter| meter.learned[origin].is_some());
        self.go_on_until(begin + PATIENCE, Fault::Apart, |herd| is_taken(herd) && herd.is_together())?;
        let meter = self.metered();
        let hops = |at: &Option<Duration>| at.map_or(0, |at| (at - begin).div_duration_f64(DELAY) as usize);
        let mut hops: Vec<usize> = meter.learned.iter().map(hops).collect();
        hops.sort_unstable();
        let lines_of_one = meter.news_of.iter().copied().max().unwrap_or(0);
        let news = meter.said.news;
        let mut distances = self.plan.graph.distances(origin);
        distances.sort_unstable();
        Ok(Flooded { lines: news.lines, bytes: news.bytes, lines_of_one, hops, distances })
    }

    /// One round's time, begun so that it holds one round of each link: the second one of each begins three to five quarters
    /// of that time after the first.
    fn stay_quiet(&mut self) -> Result<Quiet, Violation> {
        let time = self.plan.times.round;
        self.run_until(time / 4)?;
        let nodes = self.servers.len();
        self.meter = Some(Meter::new(nodes));
        self.watch.is_silent = true;
        let rounds = self.tally.rounds;
        self.run_until(self.now + time + SECOND / 10)?;
        self.watch.is_silent = false;
        Ok(Quiet { time, said: self.metered().said, rounds: self.tally.rounds - rounds })
    }

    /// Cuts all links between one side and the other, has clients report on both in turn, heals, and waits.
    fn part(&mut self, side: &[bool], clients: &mut dyn Iterator<Item = usize>) -> Result<Healed, Violation> {
        let parts = self.plan.graph.parts(|one, other| side[one] == side[other]);
        let crossing = |from: usize, links: &Vec<usize>| {
            let across = links.iter().filter(|&&to| side[from] != side[to]);
            across.map(|&to| (from, to)).collect::<Vec<_>>()
        };
        let links = self.plan.graph.links.iter().enumerate();
        let cut: Vec<_> = links.flat_map(|(from, links)| crossing(from, links)).collect();
        cut.iter().for_each(|&(from, to)| self.set_cut(from, to, true));
        self.report_apart(side, clients)?;
        let begin = self.now;
        self.meter = Some(Meter::new(side.len()));
        cut.iter().for_each(|&(from, to)| self.set_cut(from, to, false));
        self.resume();
        self.go_on_until(begin + PATIENCE, Fault::Apart, Self::is_together)?;
        let (last, said) = self.metered().last.unwrap_or_default();
        let known = (last - begin, said);
        self.go_on_until(begin + PATIENCE, Fault::Noisy, |herd| herd.is_linked() && herd.is_quiet())?;
        let settled = (self.now - begin, self.metered().said);
        Ok(Healed { links_cut: cut.len() / 2, parts, known, settled })
    }

    fn report_apart(
        &mut self,
        side: &[bool],
        clients: &mut dyn Iterator<Item = usize>,
    ) -> Result<(), Violation> {
        let members = |is_in: bool| (0..side.len()).filter(|&node| side[node] == is_in).collect::<Vec<_>>();
        let (one, other) = (members(true), members(false));
        let begin = self.now;
        for (number, client) in clients.enumerate() {
            self.run_until(begin + SECOND / 2 * (number as u32 + 1))?;
            let at = if number % 2 == 0 && one.len() > 1 { &one } else { &other };
            let node = *self.random.of(at);
            self.tell(node, client);
        }
        self.run_until(begin + APART_TIME)
    }

    /// What a cut has held up arrives.
    fn resume(&mut self) {
        for connection in 0..self.connections.len() {
            if self.connections[connection].is_some() {
                self.push(self.now, Event::Arrive { connection, pipe: QUESTIONS });
                self.push(self.now, Event::Arrive { connection, pipe: ANSWERS });
            }
        }
    }
}
