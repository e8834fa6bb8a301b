//! What a seed stands for: the graph, each node's limits and clocks, how slow and how small the lines are, who reports how
//! often, and how much goes wrong.

use std::{sync::Arc, time::Duration};

use proxyherd::{
    config::Limits,
    core::{
        access::{Secret, SecretKey},
        links::{LinkTimes, NEWS_BYTES_MAX},
        model::{Now, Tick, Timestamp},
        repair::PUSH_BYTES_MAX,
        store::{Placement, Shape},
    },
};

use super::{graph::Graph, journal::JournalPlan, random::Random, retention::RetentionPlan};

/// A simulated herd before anything has happened.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) graph: Graph,
    pub(super) nodes: Vec<NodePlan>,
    pub(super) shape: Shape,
    /// What the herd's nodes prove to each other, in every other story.
    pub(super) secret: Option<Arc<Secret>>,
    pub(super) times: LinkTimes,
    /// For a connection to come about.
    pub(super) connect: Duration,
    /// The longest way of a byte, and by how much it may be shorter.
    pub(super) delay: Duration,
    pub(super) jitter: Duration,
    /// How many bytes are under way in one direction of a connection.
    pub(super) room: usize,
    /// How many bytes a second each direction of a connection carries, where that is bounded.
    pub(super) rate: Option<usize>,
    /// A thread that is waked runs this late at most times, and that late now and then.
    pub(super) wake: Duration,
    pub(super) lag: Duration,
    pub(super) clients: Vec<Vec<u8>>,
    /// The mean time from one client's call to the next, and the most reports it brings.
    pub(super) report_gap: Duration,
    pub(super) reports_max: usize,
    /// One line of a client in so many has a client forgotten; 0 for none.
    pub(super) forgets_one_in: usize,
    /// The mean time from one fault to the next; how often each kind is drawn.
    pub(super) fault_gap: Duration,
    pub(super) losses: usize,
    pub(super) cuts: usize,
    pub(super) crashes: usize,
    /// Whether a node's disk may be lost.
    pub(super) forgets: bool,
    /// How its nodes forget what is old, if they do.
    pub(super) retention: Option<RetentionPlan>,
    /// How its nodes keep what they know, if they do.
    pub(super) journal: Option<JournalPlan>,
    /// When which nodes stop, in every third story, and how long their links have for it: the last one once all is healed.
    pub(super) stops: Vec<(Duration, usize, Duration)>,
    /// Whether each node has more subscribers to its changes than its links. They walk its store again and again.
    pub(super) has_audience: bool,
    /// When the last heal is.
    pub(super) heal_at: Duration,
    /// When the last report is; not before the last heal, so that links come up under reports.
    pub(super) quiet_at: Duration,
    /// More events than this are a story without an end.
    pub(super) events_max: usize,
}

/// What differs from node to node.
#[derive(Clone, Debug)]
pub(super) struct NodePlan {
    pub(super) outbox_bytes: usize,
    pub(super) line_bytes: usize,
    pub(super) max_clients: usize,
    pub(super) max_ahead: Option<Duration>,
    pub(super) liveness: Duration,
    /// What its wall clock shows when the simulation begins, in seconds since 1970.
    pub(super) wall: u64,
    /// What its other clock shows then.
    pub(super) tick: Duration,
}

/// How often rounds come of themselves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Timer {
    /// As the seed has it: for half of the seeds, never.
    Drawn,
    /// Never, so that only what a rule asks for can repair anything.
    Never,
}

/// The day the simulated clients live in, in seconds since 1970.
pub(super) const EPOCH: u64 = 1_400_000_000;

/// Ten times what the busiest of thousands of stories takes, and two hundred times the mean.
const EVENTS_MAX: usize = 2_000_000;

const NEVER: Duration = Duration::from_secs(86_400);

impl Plan {
    pub(super) fn of_seed(seed: u64, timer: Timer, random: &mut Random) -> Self {
        let graph = Graph::of_seed(seed, random);
        // What a node is configured with, and the same at a fifth, which shows as much at a fifth of the price.
        let scale = if random.one_in(8) { 5 } else { 1 };
        let liveness = Duration::from_secs(scale);
        let never = random.one_in(2) || timer == Timer::Never;
        let times = LinkTimes {
            backoff_min: liveness / 50,
            backoff_max: liveness,
            backoff_reset: liveness * 2,
            greeting: liveness / 5 * 2,
            write: liveness,
            ping: liveness / 5,
            liveness,
            answer: liveness * 12,
            round: if never { NEVER } else { liveness * 6 },
            round_gap: liveness / 5,
        };
        let delay = Duration::from_micros(*random.of(&[50, 500, 5_000, 30_000]));
        let lag = liveness / *random.of(&[20, 200, 2_000]);
        let is_crowd = random.one_in(16) && graph.ids.len() <= 6;
        let clients = if is_crowd { random.between(200, 400) } else { random.between(1, 24) };
        let mut plan = Self {
            nodes: graph.ids.iter().map(|_| NodePlan::draw(liveness, is_crowd, random)).collect(),
            graph,
            secret: (seed / 4 % 2 == 1).then(|| Arc::new(Secret::new(SecretKey::of_bytes([1; 32]), [2; 16]))),
            shape: if is_crowd { Shape::new(1, 0) } else { Shape::new(2, 2) },
            times,
            connect: liveness / 5 * 2,
            delay,
            jitter: delay / 2,
            room: room(delay, lag, liveness, random),
            rate: None,
            wake: Duration::from_micros(40),
            lag,
            clients: (0..clients).map(|number| client_id(number, is_crowd, random)).collect(),
            report_gap: liveness / *random.of(&[1, 4, 16, 50]) as u32,
            reports_max: if is_crowd { 60 } else { *random.of(&[1, 3, 12]) },
            // From numbers of its own, so that the stories without it stay as they are.
            forgets_one_in: *Random::new(seed ^ 0x0f0f_0f0f).of(&[0, 0, 40, 6]),
            fault_gap: liveness / *random.of(&[1, 3, 10]) as u32,
            losses: random.below(6),
            cuts: random.below(4),
            crashes: random.below(3),
            forgets: random.one_in(2),
            retention: RetentionPlan::draw(seed, &times),
            journal: None,
            stops: Vec::new(),
            has_audience: true,
            heal_at: liveness * 2 + random.time(liveness * 3),
            quiet_at: Duration::ZERO,
            events_max: EVENTS_MAX,
        };
        plan.quiet_at = plan.heal_at + random.time(liveness * 2);
        if let Some(retention) = plan.retention {
            plan.draw_retention(retention, liveness, &mut Random::new(seed ^ 0x3c3c_3c3c));
        }
        if seed % 3 == 1 {
            plan.draw_stops(&mut Random::new(seed));
        }
        plan.journal = JournalPlan::draw((liveness, lag), plan.heal_at, &mut Random::new(!seed));
        plan
    }

    /// A longer story, in which much grows old.
    fn draw_retention(&mut self, retention: RetentionPlan, liveness: Duration, random: &mut Random) {
        retention.set_clocks(&mut self.nodes, random);
        self.heal_at = liveness * 3 + random.time(liveness * 8);
        self.quiet_at = self.heal_at + random.time(liveness * 2);
        let clocks_stop_at = self.quiet_at + random.time(liveness * 5);
        self.retention = Some(RetentionPlan { clocks_stop_at, ..retention });
    }

    /// The clocks of a node that started then, as it reads them now.
    pub(super) fn clocks_of(&self, node: usize, born: Duration, now: Duration) -> Now {
        let NodePlan { wall, tick, .. } = self.nodes[node];
        let shown = self.retention.map_or(now, |retention| now.min(retention.clocks_stop_at));
        let wall = Duration::from_secs(wall) + shown;
        let tick: Tick = now - born + tick;
        Now { wall: Timestamp::new(wall.as_secs(), wall.subsec_nanos()), tick }
    }

    /// Where clients belong, on a node that has drawn that number.
    pub(super) fn placement(&self, incarnation: u64) -> Placement {
        let placement = match &self.secret {
            Some(secret) => Placement::of_key(secret.placement()),
            None => {
                let random = u128::from(incarnation) << 64 | u128::from(!incarnation);
                Placement::of_herd(&self.graph.name).scattered(random.to_le_bytes())
            }
        };
        placement.shaped(self.shape)
    }

    /// From numbers of its own, so that the other stories stay as they are.
    fn draw_stops(&mut self, random: &mut Random) {
        let time = self.handover_time();
        for _ in 0..random.below(3) {
            let node = random.below(self.nodes.len());
            self.stops.push((random.time(self.heal_at), node, random.time(time)));
        }
        let at = self.heal_at + random.time(self.quiet_at - self.heal_at);
        self.stops.push((at, random.below(self.nodes.len()), time));
    }

    /// A herd of default limits in which nothing goes wrong of itself, nobody reports, every byte takes so long, and no
    /// thread takes any time.
    pub(super) fn undisturbed(graph: Graph, clients: Vec<Vec<u8>>, delay: Duration) -> Self {
        let (limits, times) = (Limits::default(), LinkTimes::default());
        let node = NodePlan {
            outbox_bytes: limits.outbox_bytes,
            line_bytes: limits.line_bytes,
            max_clients: limits.max_clients,
            max_ahead: limits.max_ahead,
            liveness: times.liveness,
            wall: EPOCH,
            tick: Duration::ZERO,
        };
        let second = Duration::from_secs(1);
        Self {
            nodes: vec![node; graph.ids.len()],
            graph,
            shape: Shape::NODE,
            secret: None,
            times,
            connect: limits.connect_time,
            delay,
            jitter: Duration::ZERO,
            room: 256 * 1024,
            rate: None,
            wake: Duration::ZERO,
            lag: Duration::ZERO,
            clients,
            report_gap: second,
            reports_max: 1,
            forgets_one_in: 0,
            fault_gap: second,
            losses: 0,
            cuts: 0,
            crashes: 0,
            forgets: false,
            retention: None,
            journal: None,
            stops: Vec::new(),
            has_audience: true,
            heal_at: Duration::ZERO,
            quiet_at: Duration::ZERO,
            events_max: usize::MAX,
        }
    }

    /// The link times of one node, whose limits may be others than its neighbours'.
    pub(super) fn times_of(&self, node: usize) -> LinkTimes {
        let liveness = self.nodes[node].liveness;
        LinkTimes { liveness, write: liveness, ..self.times }
    }

    /// When every end of a connection that is dead must have found out: a ping is due, is not answered for as long as a
    /// neighbour may be silent, and just before that is over a write begins that is given as long again.
    pub(super) fn found_out_by(&self) -> Duration {
        self.heal_at + self.times.ping + self.times.liveness * 3 + self.lag * 4 + self.delay * 4
    }

    /// When all links must be up again: each has dialled anew, and perhaps once more, since it may first have been refused
    /// in favour of a connection that was dead.
    pub(super) fn linked_by(&self) -> Duration {
        let dial = self.connect + self.times.greeting + self.times.backoff_max + self.lag * 4;
        self.found_out_by().max(self.quiet_at) + dial * 2
    }

    /// How long a link may need to hand over what it must, once nothing goes wrong: it finds out that its connection is dead,
    /// dials until the neighbour has found out too, and runs a round.
    pub(super) fn handover_time(&self) -> Duration {
        let dial = self.connect + self.times.greeting + self.times.backoff_max + self.lag * 4;
        self.found_out_by() - self.heal_at + dial * 3 + self.rounds_time()
    }

    /// How many rounds a link may need after that: what a node learns during one round waits for the next, at each step of
    /// the way.
    pub(super) fn rounds_max(&self) -> usize {
        2 * self.graph.diameter() + 2
    }

    /// How long those may take.
    pub(super) fn rounds_time(&self) -> Duration {
        let round = self.times.round_gap + (self.delay + self.lag) * 60;
        round * 2 * self.rounds_max() as u32
    }
}

impl NodePlan {
    fn draw(liveness: Duration, is_crowd: bool, random: &mut Random) -> Self {
        let hours = |random: &mut Random| random.between(0, 12) as u64 * 3_600;
        Self {
            outbox_bytes: *random.of(&[1_024, 2_048, 4_096, 65_536]),
            line_bytes: *random.of(&[512, 1_024, 16_384]),
            max_clients: if random.one_in(4) && !is_crowd { random.between(0, 10) } else { 1_000 },
            max_ahead: random.one_in(4).then(|| Duration::from_secs(3_600)),
            liveness: liveness + random.time(liveness / 2),
            wall: EPOCH + hours(random) - hours(random),
            tick: random.time(Duration::from_secs(1_000)),
        }
    }
}

/// Little room makes writers wait; but not so little that the most a link writes at once takes a good part of the time
/// after which a neighbour is given up.
fn room(delay: Duration, lag: Duration, liveness: Duration, random: &mut Random) -> usize {
    let turn = delay + lag / 16 + Duration::from_micros(40);
    let is_enough = |room: &usize| turn * ((NEWS_BYTES_MAX + PUSH_BYTES_MAX) / room) as u32 <= liveness / 8;
    let rooms: Vec<usize> = [1_024, 2_048, 4_096, 8_192].into_iter().filter(is_enough).collect();
    if rooms.is_empty() { 32 * 1024 } else { *random.of(&rooms) }
}

/// Ids as nobody should choose them, each with its number in it so that no two are the same.
fn client_id(number: usize, is_crowd: bool, random: &mut Random) -> Vec<u8> {
    let number = number.to_string().into_bytes();
    let odd: &[&[u8]] =
        &[b"c", b"?", b"\xff\xfe\x00", b"AT", b"PING-", b"REFUSED", b"\xc3", b"+1-1", b"kiwi.cs.ucla.edu"];
    let mut id = random.of(odd).to_vec();
    if !is_crowd && random.one_in(6) {
        id.resize(random.between(200, 3_000), *random.of(b"x?\x01\xff"));
    }
    id.extend(number);
    id
}
