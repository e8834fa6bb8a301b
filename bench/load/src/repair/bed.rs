//! Where the nodes of a part run: an address of this process's own, a port for each node, and a neighbour that they all
//! have, played by the tester.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use super::peer::Peer;
pub(super) use crate::rounds::{
    log::{now, seconds_between},
    node::{HERD, Plan, Running},
};
use crate::{hop::Neighbour, rounds::BenchError};

/// The neighbour that the tester plays.
pub(super) const TESTER: &str = "Bench";

/// The first port; below the ephemeral range, so that no client's socket can be sitting on one.
const PORTS: u16 = 21_620;
/// The tester's port, where nothing listens except while the check value is asked for.
const TESTER_PORT: u16 = 9;
/// How long a node may take to call its neighbour.
const CALL: Duration = Duration::from_secs(30);
/// How often two nodes' sums are compared.
const LOOK: Duration = Duration::from_millis(5);

/// The nodes' surroundings.
#[derive(Debug)]
pub(super) struct Bed<'a> {
    herd: &'a Path,
    ip: Ipv4Addr,
    /// What a neighbour must know to be admitted.
    check: u64,
}

impl<'a> Bed<'a> {
    /// Starts a node once, to see that it can be and to hear the herd's check value.
    pub(super) fn new(herd: &'a Path) -> Result<Self, BenchError> {
        let [.., high, low] = std::process::id().to_be_bytes();
        let mut bed = Self { herd, ip: Ipv4Addr::new(127, 78, high, low.clamp(1, 254)), check: 0 };
        let neighbour = Neighbour::listen(bed.address(TESTER_PORT), HERD, TESTER)?;
        let node = bed.start(&Plan::new("Solo", bed.address(0), &[bed.tester()]))?;
        bed.check = neighbour.accept(CALL)?.check();
        node.stop()?;
        Ok(bed)
    }

    /// The address of that number, up to 8.
    pub(super) fn address(&self, number: u16) -> SocketAddr {
        SocketAddr::from((self.ip, PORTS + number))
    }

    /// The tester, as a node's neighbour that it will not reach.
    pub(super) fn tester(&self) -> (&'static str, SocketAddr) {
        (TESTER, self.address(TESTER_PORT))
    }

    pub(super) fn start(&self, plan: &Plan<'_>) -> Result<Running, BenchError> {
        plan.start(self.herd)
    }

    /// A link to the node, as its neighbour's.
    pub(super) fn dial(&self, node: &Running) -> Result<Peer, BenchError> {
        Peer::dial(node.address(), node.id(), self.check)
    }

    /// Waits until two nodes have the same sum; returns why they do not, if they never do.
    pub(super) fn await_alike(
        &self,
        nodes: [&Running; 2],
        within: Duration,
    ) -> Result<Option<String>, BenchError> {
        let deadline = Instant::now() + within;
        let mut peers = [self.dial(nodes[0])?, self.dial(nodes[1])?];
        loop {
            let [one, other] = &mut peers;
            if one.ask("SUM 0")? == other.ask("SUM 0")? {
                return Ok(None);
            }
            if Instant::now() >= deadline {
                return Ok(Some(format!("the nodes' sums still differ {} s later", within.as_secs())));
            }
            thread::sleep(LOOK);
        }
    }
}
