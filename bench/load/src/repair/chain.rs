//! Three hops of a flood, from a client's write to the read of the last node, beside bare round trips on the same
//! machine. The graph is that of 2014-2015, whose farthest two nodes are Hamilton and Powell; the tester is Powell.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use serde_json::json;

use super::{
    Repair,
    bed::{Bed, HERD, Plan},
};
use crate::{
    clock::nanoseconds,
    hop::{HopPlan, Neighbour, Timer},
    outcome::{Latency, histogram},
    rounds::{BenchError, Figure},
    server::{Server, own_program},
};

/// The number of turns that a round's reports and round trips are divided into.
const TURNS: u32 = 20;
/// Reports before any is counted.
const WARMUP: u32 = 500;
/// How long a node may take to call its neighbour.
const CALL: Duration = Duration::from_secs(30);
/// Bytes of a bare line, its newline not counted: about what a report and an AT line have.
const LINE_BYTES: usize = 90;

pub(super) fn measure(bed: &Bed<'_>, repair: &Repair) -> Result<Vec<Figure>, BenchError> {
    let [alford, bolden, hamilton, parker, powell] =
        [("Alford", 0), ("Bolden", 1), ("Hamilton", 2), ("Parker", 3), ("Powell", 4)]
            .map(|(id, number)| (id, bed.address(number)));
    let last = Neighbour::listen(powell.1, HERD, powell.0)?;
    let start =
        |node: (_, _), links: &[(&'static str, SocketAddr)]| bed.start(&Plan::new(node.0, node.1, links));
    // Bolden's link to Powell is left out: the tester has one link to listen to.
    let nodes = [
        start(parker, &[alford, bolden, hamilton])?,
        start(bolden, &[parker])?,
        start(hamilton, &[parker])?,
        start(alford, &[parker, powell])?,
    ];
    let (warmup, back_to_back) = (WARMUP.min(repair.hops), repair.hops);
    let plan = HopPlan { warmup, back_to_back, idle: 0, pause: Duration::ZERO };
    let mut timer = Timer::start(last.accept(CALL)?, hamilton.1, plan)?;
    let mut command = own_program()?;
    command
        .arg("echo")
        .arg(format!("--listen={}", bed.address(5)))
        .arg(format!("--line-length={LINE_BYTES}"));
    let echo = Server::start(command)?;
    let mut trips = Trips::start(echo.address(), plan.warmup)?;
    for turn in 0..TURNS {
        let part = repair.hops / TURNS + u32::from(turn < repair.hops % TURNS);
        timer.back_to_back(part)?;
        trips.time(part)?;
    }
    let (chain, bare) =
        (timer.outcome().back_to_back.unwrap_or_default(), Latency::of(&trips.taken).unwrap_or_default());
    drop((timer, trips));
    echo.stop()?;
    nodes.into_iter().try_for_each(|node| node.stop().map(drop))?;
    let ratio = chain.p50_us / (bare.p50_us / 2.0);
    Ok(vec![
        Figure::new("three hops, median, of half a bare round trip", "", ratio)
            .at_most(11.0)
            .with(json!({ "chain": chain, "round_trip": bare })),
        Figure::new("three hops, median", "µs", chain.p50_us),
        Figure::new("three hops, p99", "µs", chain.p99_us),
        Figure::new("half a bare round trip, median", "µs", bare.p50_us / 2.0),
    ])
}

/// Bare round trips: a line there, a line back.
#[derive(Debug)]
struct Trips {
    stream: BufReader<TcpStream>,
    taken: Histogram<u64>,
}

impl Trips {
    fn start(echo: SocketAddr, warmup: u32) -> Result<Self, BenchError> {
        let stream = TcpStream::connect(echo).map_err(BenchError::file("cannot connect to echo"))?;
        stream.set_nodelay(true).map_err(BenchError::file("cannot set up the socket to echo"))?;
        let mut trips = Self { stream: BufReader::new(stream), taken: histogram() };
        trips.time(warmup)?;
        trips.taken.reset();
        Ok(trips)
    }

    fn time(&mut self, count: u32) -> Result<(), BenchError> {
        let mut line = vec![b'x'; LINE_BYTES];
        line.push(b'\n');
        let mut answer = Vec::new();
        for _ in 0..count {
            answer.clear();
            let began = Instant::now();
            self.stream.get_mut().write_all(&line).map_err(BenchError::file("cannot write to echo"))?;
            self.stream.read_until(b'\n', &mut answer).map_err(BenchError::file("no answer from echo"))?;
            self.taken.saturating_record(nanoseconds(began.elapsed()));
        }
        Ok(())
    }
}
