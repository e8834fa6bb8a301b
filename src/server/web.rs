//! The web face's threads: one that accepts, and one a connection, with a limit of their own. And the report they show,
//! gathered from all over the node.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::{Arc, atomic::Ordering},
    thread::Scope,
    time::Duration,
};

use super::{
    Shared,
    accept::{Acceptor, RETRY_TIME},
    admission::Unadmitted,
    connections::Tally,
    seats::Seats,
    usage,
};
use crate::{
    config::{self, HttpConfig},
    core::{links::LinkState, model::Tick, node::Neighbour},
    http::{self, LinkReport, NodeReport},
    metrics::{RequestKind, RequestOutcome},
    system::clock,
    transport::{self, Stream},
};

/// How long one that gives its seat up has for it. Its thread needs no more than to be woken.
const SEAT_TIME: Duration = Duration::from_secs(1);

/// The web face of one node.
pub(super) struct Web {
    listener: TcpListener,
    config: HttpConfig,
    /// The names it answers to.
    hosts: Vec<String>,
    seats: Seats,
}

impl Web {
    /// What listens at `listener` for this node.
    pub(super) fn new(listener: TcpListener, config: &HttpConfig, node: &config::Node) -> Self {
        let own = [Some(&node.listen), Some(&node.address), node.http.as_ref()];
        let own = own.into_iter().flatten().map(|address| address.host.clone());
        Self {
            listener,
            config: config.clone(),
            hosts: own.chain(config.hosts.iter().cloned()).collect(),
            seats: Seats::new(config.connections),
        }
    }

    /// How many connections it may have.
    pub(super) fn capacity(&self) -> usize {
        self.config.connections
    }

    /// Where it listens.
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// What [`Web::run`] accepts with.
    pub(super) fn acceptor(&self) -> io::Result<Acceptor<'_>> {
        Acceptor::new(&self.listener)
    }

    /// Takes connections until [`Web::stop`].
    pub(super) fn run<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        shared: &'scope Shared<'scope>,
        mut acceptor: Acceptor<'_>,
    ) {
        for number in 0.. {
            let accepted = acceptor.accept();
            if self.seats.is_stopped() {
                return;
            }
            match accepted {
                Ok(stream) => self.start(scope, shared, stream, number),
                Err(error) => {
                    if !acceptor.recover(&error) {
                        self.seats.wait_for_change(RETRY_TIME);
                    }
                }
            }
        }
    }

    fn start<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        shared: &'scope Shared<'scope>,
        stream: Stream,
        number: u64,
    ) {
        let stream = Arc::new(stream);
        let seat = match self.seats.take(number, &stream, clock::tick() + SEAT_TIME) {
            Ok(seat) => seat,
            Err(Unadmitted::Full) => return http::refuse(&stream, &self.config),
            Err(Unadmitted::Stopped) => return,
        };
        let name = format!("http-{number}");
        let alive = shared.threads.enter(&name);
        // Where no thread is to be had, the closure is dropped, and the connection and its seat with it.
        let _ = shared.try_spawn(scope, &name, move || {
            let (_alive, seat) = (alive, seat);
            shared.contain(format_args!("the web face's connection {number}"), || {
                let report = || {
                    seat.has_asked();
                    self.report(shared, clock::tick())
                };
                let is_served = http::serve(&stream, &self.config, &self.hosts, report);
                if !is_served && seat.is_evicted() {
                    http::refuse(&stream, &self.config);
                }
            });
        });
    }

    /// Ends it, and all its connections.
    pub(super) fn stop(&self) {
        self.seats.stop();
        transport::wake_accept(&self.listener);
    }

    fn report(&self, shared: &Shared<'_>, now: Tick) -> NodeReport {
        let Shared { node, connections, requests, .. } = shared;
        let uptime = now.saturating_sub(shared.started);
        let link = |neighbour: &Neighbour| {
            let condition = neighbour.health.condition(now);
            // Nothing waits for a link that is down: what a session just missed its end with is thrown away.
            let is_up = condition.state == LinkState::Up;
            LinkReport {
                peer: neighbour.id.to_string(),
                dialect: if neighbour.plain.is_some() { "plain" } else { "herd" },
                is_behind: is_up && neighbour.outbox.is_behind(),
                outbox_bytes: if is_up { neighbour.outbox.bytes() } else { 0 },
                condition,
            }
        };
        let Tally { clients, peers, waiting } = connections.tally();
        NodeReport {
            herd: node.herd.clone(),
            node: node.id.to_string(),
            incarnation: node.incarnation,
            uptime,
            ready_grace: self.config.ready_grace,
            is_draining: shared.is_stopping(),
            clients: node.store().len(),
            sum: node.store().sum(),
            connections: http::ConnectionCounts {
                clients,
                peers,
                waiting,
                http: self.seats.count(),
                max: shared.capacity,
                accepted: shared.accepted.load(Ordering::Relaxed),
                refused: shared.refused.load(Ordering::Relaxed),
            },
            outcomes: RequestOutcome::ALL.map(|outcome| (outcome, requests.count(outcome))).to_vec(),
            spreads: RequestKind::ALL.map(|kind| (kind, requests.spread(kind))).to_vec(),
            links: node.neighbours().iter().map(link).collect(),
            upstreams: node.upstreams(),
            log: shared.log.condition(now),
            process: usage::read(shared.process_started),
        }
    }
}
