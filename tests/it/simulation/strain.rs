//! A link under strain: a repair of megabytes over a line that carries little, through whatever holds megabytes on the way.
//! The link is kept, little more is said than must be, and news overtakes the repair. Rules that are wrong are seen to be.

use std::time::Duration;

use proxyherd::core::{
    Rules,
    model::{ClientId, NodeId},
    store::Shape,
};

use super::{
    graph::Graph,
    herd::{Laws, Simulation},
    meter::{Amount, Meter},
    plan::{EPOCH, Plan},
    random::Random,
    watch::{Kind, Violation},
};

const SECOND: Duration = Duration::from_secs(1);

/// How long every byte is under way, besides the time for those before it.
const DELAY: Duration = Duration::from_millis(1);

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(600);

/// From one report that is followed to the next, and how many there may be.
const NEWS_GAP: Duration = Duration::from_millis(700);
const NEWS_MAX: usize = 500;

/// What a line carries and holds, and what one of two nodes has that the other lacks.
#[derive(Clone, Copy)]
struct Strain {
    rate: usize,
    room: usize,
    clients: usize,
    id_bytes: usize,
    shape: Shape,
    /// How soon news must be known, if it is followed.
    news_within: Option<Duration>,
}

/// 10 MB at 200 kB/s, behind 4 MB that may wait in between, as in the buffers of a system left to itself.
const SLOW: Strain = Strain {
    rate: 200_000,
    room: 4 << 20,
    clients: 19_000,
    id_bytes: 480,
    shape: Shape::NODE,
    news_within: Some(SECOND),
};

/// A line so slow that what is pushed at once takes longer than a neighbour may be silent. Stores that are all one leaf have
/// enough to push at once.
const SLOWEST: Strain = Strain {
    rate: 2_000,
    room: 4_096,
    clients: 200,
    id_bytes: 480,
    shape: Shape::new(1, 0),
    news_within: None,
};

/// What came of a repair.
#[derive(Debug)]
struct Repaired {
    /// What the neighbour lacked, as it is pushed.
    needed: usize,
    /// What both have said, news aside.
    said: usize,
    took: Duration,
    /// How late the news was known that came last.
    news: Vec<Duration>,
    connections: usize,
}

impl Strain {
    fn plan(self) -> Plan {
        let graph = Graph {
            name: "pair".to_owned(),
            ids: ["A", "B"].map(|id| NodeId::new(id).unwrap()).to_vec(),
            links: vec![vec![1], vec![0]],
        };
        let clients = (0..self.clients + NEWS_MAX).map(|number| self.client(number).into_bytes());
        let mut plan = Plan::undisturbed(graph, clients.collect(), DELAY);
        (plan.rate, plan.room, plan.shape) = (Some(self.rate), self.room, self.shape);
        plan.has_audience = false;
        plan
    }

    fn client(self, number: usize) -> String {
        format!("client-{number:0width$}", width = self.id_bytes - "client-".len())
    }

    fn report(self, herd: &mut Simulation, number: usize) {
        let line = format!("IAMAT {} +34.068930-118.445127 {EPOCH}.000000000\n", self.client(number));
        herd.report(0, line.as_bytes());
    }

    /// Two nodes find each other, of which the first knows all and the second nothing, until both know the same. Their links
    /// must stay up.
    fn repair(self, rules: Rules) -> Result<Repaired, Violation> {
        let laws = Laws { rules, ..Laws::SOUND };
        let mut herd = Simulation::of_plan(self.plan(), Random::new(1), laws);
        (0..self.clients).for_each(|number| self.report(&mut herd, number));
        herd.meter = Some(Meter::new(2));
        herd.go_on_until(PATIENCE, Kind::Unlinked, Simulation::is_linked)?;
        herd.watch.is_linked = true;
        let mut news = Vec::new();
        while !herd.is_together() {
            match self.news_within {
                Some(within) if news.len() < NEWS_MAX => {
                    news.push(self.tell_news(&mut herd, news.len(), within)?);
                }
                _ => herd.run_until(herd.now + SECOND)?,
            }
            if herd.now > PATIENCE {
                herd.fail(Kind::Apart, "the repair does not end".to_owned());
            }
        }
        let said = herd.meter.as_ref().map(|meter| meter.said).unwrap_or_default();
        let Amount { bytes, .. } = [said.repair(), said.pings].into_iter().sum();
        let (needed, connections) = (self.pushed_bytes(&herd), herd.connections.len());
        Ok(Repaired { needed, said: bytes, took: herd.now, news, connections })
    }

    /// How long all that the second node lacked is as it is pushed.
    fn pushed_bytes(self, herd: &Simulation) -> usize {
        let store = herd.servers[0].node.store();
        let of_client = |number| {
            let id = self.client(number);
            let (client, mut at) = (ClientId::new(id.as_bytes()).unwrap(), Vec::new());
            store.get(store.key_hash(client), client, |location| location.write_at(&mut at)).unwrap();
            // The keyword is two letters longer, and a newline follows.
            at.len() + 3
        };
        (0..self.clients).map(of_client).sum()
    }

    /// A client reports to the first node; how long after that the second one knows it.
    fn tell_news(
        self,
        herd: &mut Simulation,
        number: usize,
        within: Duration,
    ) -> Result<Duration, Violation> {
        let (client, began) = (self.clients + number, herd.now);
        self.report(herd, client);
        let id = self.client(client);
        while !knows(herd, 1, &id) {
            herd.run_until(herd.now + DELAY)?;
            if herd.now > began + within {
                herd.fail(Kind::Late, format!("news is not known after {within:?}"));
            }
        }
        let took = herd.now - began;
        herd.run_until(began + NEWS_GAP.max(took))?;
        Ok(took)
    }
}

fn knows(herd: &Simulation, node: usize, client: &str) -> bool {
    let store = herd.servers[node].node.store();
    let client = ClientId::new(client.as_bytes()).unwrap();
    store.get(store.key_hash(client), client, |_| ()).is_some()
}

#[test]
fn large_repair_over_a_slow_line_costs_no_link_and_little_more_than_it_must_and_news_overtakes_it() {
    let repaired = SLOW.repair(Rules::SOUND).unwrap_or_else(|violation| panic!("{violation}"));
    let Repaired { needed, said, took, news, connections } = &repaired;
    let slowest = news.iter().max().unwrap();
    println!("{needed} bytes lacked, {said} said in {took:?}; {} news, the slowest {slowest:?}", news.len());
    assert!(*needed >= 10_000_000 && *said <= needed / 10 * 12, "{needed} {said}");
    assert!(news.len() > 50 && *connections == 2, "{} news, {connections} connections", news.len());
}

#[test]
fn line_that_takes_longer_for_a_piece_than_a_neighbour_may_be_silent_costs_no_link() {
    let repaired = SLOWEST.repair(Rules::SOUND).unwrap_or_else(|violation| panic!("{violation}"));
    assert!(repaired.said <= repaired.needed / 10 * 12 && repaired.connections == 2, "{repaired:?}");
}

#[track_caller]
fn expect_caught(strain: Strain, rules: Rules, kind: Kind) {
    match strain.repair(rules) {
        Err(violation) => assert_eq!(violation.kind, kind, "{violation}"),
        Ok(repaired) => panic!("not caught: {} bytes said", repaired.said),
    }
}

#[test]
fn repair_that_does_not_wait_for_pings_is_caught() {
    expect_caught(SLOW, Rules { repair_is_paced: false, ..Rules::SOUND }, Kind::Late);
    // So is what comes of it where only whole answers are heard.
    let strain = Strain { news_within: None, ..SLOW };
    let rules = Rules { repair_is_paced: false, moving_is_living: false, ..Rules::SOUND };
    expect_caught(strain, rules, Kind::Unlinked);
}

#[test]
fn link_that_takes_moving_bytes_for_silence_is_caught() {
    expect_caught(SLOWEST, Rules { moving_is_living: false, ..Rules::SOUND }, Kind::Unlinked);
}
