//! A whole herd under load: linked nodes of one kind, reports at all of them at once, and the time until every node
//! knows what each was last told. Floods are in order on a link, so a node that knows another's last report has
//! received what was flooded before it; this does not show what overflowed an outbox and is repaired later.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use super::{
    bed::{Bed, Place, Running},
    graph::Graph,
    measure::Turns,
    order::Order,
    plan::{Plan, Server as Kind},
    point::Point,
};
use crate::{
    clock::Clock,
    disturbance::{Disturbance, Watch},
    drive::{Drive, drive},
    flood::{self, Endpoint, FloodPlan},
    load::Load,
    outcome::{Latency, Outcome},
    requests::LOCATION,
    rounds::BenchError,
    server::Server,
    stamp::Stamp,
    usage::Usage,
};

/// How long nodes may take to link up, and to be in step.
const WITHIN: Duration = Duration::from_secs(60);
/// A node that was not linked yet when a marker was flooded may never hear of it, so another is reported.
const MARKER: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(1);
/// Reports that are timed for each distance.
const HOPS: u32 = 200;
/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was found of a herd.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    pub(super) prefill: Outcome,
    pub(super) outcome: Outcome,
    /// Of all nodes together, until they were in step.
    pub(super) turns: Turns,
    /// Of all nodes together, after the last turn, in bytes.
    pub(super) loaded: u64,
    /// From the last reply until all nodes knew the last marker of each.
    pub(super) in_step: Duration,
    /// How long a report takes from a node at the edge to one so many links away, after the load; from one link on.
    pub(super) hops: Vec<Latency>,
    /// What else the machine did while they came into step, and while hops were timed.
    pub(super) amid: [Option<Disturbance>; 2],
    pub(super) objection: Option<String>,
}

/// Measures a point's kinds of servers, one herd after another.
pub(super) fn measure(
    bed: &Bed,
    plan: &Plan,
    point: &Point,
    order: &Order,
    watch: &Watch<'_>,
) -> Vec<(String, Result<Measured, BenchError>)> {
    let kinds: Vec<&Kind> = point.servers.iter().filter_map(|name| plan.server(name)).collect();
    let in_order = order.first().iter().map(|index| kinds[*index]).take_while(|_| !watch.is_stopped());
    in_order.map(|kind| (kind.name.clone(), measure_one(bed, point, kind, watch))).collect()
}

fn measure_one(bed: &Bed, point: &Point, kind: &Kind, watch: &Watch<'_>) -> Result<Measured, BenchError> {
    let places = places(bed, point);
    let nodes =
        places.iter().map(|place| bed.start(kind, place)).collect::<Result<Vec<Running>, BenchError>>()?;
    let addresses: Vec<SocketAddr> = nodes.iter().map(Running::address).collect();
    Markers(&addresses).await_links()?;
    let load = point.load(addresses.clone(), kind);
    // The replies name several nodes, and each is checked as it is for one.
    let prefill = drive(&Load { verify: kind.verify, ..load.prefill() })?;
    Markers(&addresses).await_step(WITHIN)?;
    let mut drive = Drive::open(load)?;
    drive.end_once(watch.stop());
    let mut turns = Turns::default();
    for _turn in (0..point.turns).take_while(|_| !watch.is_stopped()) {
        turns.take(&mut drive, watch, || usage(&nodes), || nodes[0].warm())?;
    }
    let before = usage(&nodes)?;
    let ended = Instant::now();
    let (in_step, spreading) = watch.once(|| {
        Markers(&addresses).await_step(WITHIN)?;
        Ok::<_, BenchError>(ended.elapsed())
    })?;
    turns.usage = turns.usage.and(&usage(&nodes)?.since(&before));
    let loaded = nodes.iter().map(|node| node.server.resident_bytes()).sum::<io::Result<u64>>();
    let loaded = loaded.map_err(BenchError::file("cannot read a node's memory"))?;
    let outcome = drive.outcome();
    drop(drive);
    let (hops, flooding) = watch.sample(|| hops(&addresses, &point.graph))?;
    let mut objection = prefill.objection().or_else(|| outcome.objection());
    for node in nodes {
        // How many requests came to which node is not known, but a log that dropped some says so.
        let dropped = node.stop(0)?;
        objection = objection.or(dropped);
    }
    let amid = [spreading, flooding];
    Ok(Measured { prefill, outcome, turns, loaded, in_step, hops, amid, objection })
}

/// Times of reports from a node at the edge to one at each distance, one at a time: a node that is watched alone is
/// watched closely.
fn hops(nodes: &[SocketAddr], graph: &Graph) -> Result<Vec<Latency>, BenchError> {
    let edge = graph.edge();
    let distances = graph.distances(edge);
    let first_at = |distance| distances.iter().position(|own| *own == Some(distance));
    let time = |node: usize| {
        let [from, to] = [nodes[edge], nodes[node]].map(Endpoint::from);
        let plan = FloodPlan { reports: HOPS, ..FloodPlan::new(from, vec![to]) };
        let outcome = flood::measure(&plan)?;
        let hop = outcome.nodes.first().filter(|node| node.lost == 0).map(|node| node.hop);
        hop.ok_or_else(|| BenchError::Late {
            what: "a report at another node".to_owned(),
            within: plan.timeout,
        })
    };
    (1..nodes.len()).map_while(first_at).map(time).collect()
}

fn usage(nodes: &[Running]) -> Result<Usage, BenchError> {
    let each = nodes.iter().map(|node| Server::usage(&node.server)).collect::<io::Result<Vec<_>>>();
    let each = each.map_err(BenchError::file("cannot read a node's usage"))?;
    Ok(each.iter().fold(Usage::default(), |all, usage| all.and(usage)))
}

/// A place for each node, with its neighbours for servers that take them as arguments, and the herd's tables for those
/// that read them.
fn places(bed: &Bed, point: &Point) -> Vec<Place> {
    let count = point.graph.nodes;
    let ids: Vec<_> = (1..=count).map(|number| format!("N{number}")).collect();
    let addresses: Vec<_> = (0..count).map(|_| bed.next_address()).collect();
    let nodes = tables(&ids, &addresses, &point.graph.links);
    let named = |other: usize| (ids[other].clone(), addresses[other]);
    let neighbours = |own: usize| point.graph.neighbours(own).map(named).collect();
    let place = |own: usize| Place {
        id: ids[own].clone(),
        address: addresses[own],
        neighbours: neighbours(own),
        nodes: nodes.clone(),
    };
    (0..count).map(place).collect()
}

/// The herd as a node's configuration has it: each link is named once, at either end.
fn tables(ids: &[String], addresses: &[SocketAddr], links: &[(usize, usize)]) -> String {
    let table = |(own, (id, address)): (usize, (&String, &SocketAddr))| {
        let linked = links.iter().filter(|(one, _)| *one == own).map(|(_, two)| format!("{:?}", ids[*two]));
        let linked: Vec<_> = linked.collect();
        format!("[[node]]\nid = {id:?}\nlisten = \"{address}\"\nlinks = [{}]\n\n", linked.join(", "))
    };
    ids.iter().zip(addresses).enumerate().map(table).collect()
}

/// A client for each node that is reported there and asked for everywhere.
#[derive(Debug)]
struct Markers<'a>(&'a [SocketAddr]);

impl Markers<'_> {
    /// Waits until what is reported at any node reaches all.
    fn await_links(&self) -> Result<(), BenchError> {
        let deadline = Instant::now() + WITHIN;
        loop {
            match self.await_step(MARKER) {
                Err(BenchError::Late { .. }) if Instant::now() < deadline => {}
                done => return done,
            }
        }
    }

    /// Reports each marker at its node and waits until every node knows all of them.
    fn await_step(&self, within: Duration) -> Result<(), BenchError> {
        let deadline = Instant::now() + within;
        let failed = || BenchError::file("a node did not answer to a marker");
        let stamps = self.report().map_err(failed())?;
        for address in self.0 {
            let mut asker = Asker::connect(*address).map_err(failed())?;
            for (number, stamp) in stamps.iter().enumerate() {
                while !asker.knows(number, stamp).map_err(failed())? {
                    if Instant::now() >= deadline {
                        return Err(BenchError::Late { what: "all nodes' knowing of all".into(), within });
                    }
                    thread::sleep(LOOK);
                    asker = Asker::connect(*address).map_err(failed())?;
                }
                asker = Asker::connect(*address).map_err(failed())?;
            }
        }
        Ok(())
    }

    fn report(&self) -> io::Result<Vec<String>> {
        let now = Stamp::new(Clock::start().posix_ns(0));
        let stamp = String::from_utf8_lossy(now.text()).into_owned();
        for (number, address) in self.0.iter().enumerate() {
            let mut asker = Asker::connect(*address)?;
            let answer = asker.ask(&format!("IAMAT {} {LOCATION} {stamp}\n", client(number)))?;
            if !answer.starts_with("AT ") {
                return Err(io::Error::other(format!("the answer was {answer:?}")));
            }
        }
        Ok(vec![stamp; self.0.len()])
    }
}

fn client(number: usize) -> String {
    format!("marker{number}.herd-load")
}

/// A connection for one question: what follows the first line of an answer is not read.
#[derive(Debug)]
struct Asker(TcpStream);

impl Asker {
    fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(stream))
    }

    fn ask(&mut self, line: &str) -> io::Result<String> {
        (&self.0).write_all(line.as_bytes())?;
        let mut answer = String::new();
        BufReader::new(&self.0).read_line(&mut answer)?;
        Ok(answer)
    }

    fn knows(&mut self, number: usize, stamp: &str) -> io::Result<bool> {
        let answer = self.ask(&format!("WHATSAT {} 1 1\n", client(number)))?;
        Ok(answer.starts_with("AT ") && answer.split_ascii_whitespace().any(|field| field == stamp))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_named_at_its_first_end() {
        let ids = ["N1", "N2", "N3"].map(str::to_owned);
        let addresses = [1, 2, 3].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let text = tables(&ids, &addresses, &[(0, 1), (1, 2)]);
        assert!(text.contains("id = \"N1\"\nlisten = \"127.0.0.1:1\"\nlinks = [\"N2\"]\n"), "{text}");
        assert!(text.contains("id = \"N3\"\nlisten = \"127.0.0.1:3\"\nlinks = []\n"), "{text}");
    }
}
