//! The threads: scopes that own every one of them, the listener, a session a connection, and the order in which all of
//! it ends. What a line means is decided in `node`; here it is only carried.

mod accept;
mod admission;
mod capacity;
mod connections;
mod ended;
mod flooder;
mod links;
mod plain;
mod process;
mod resolver;
mod seats;
mod session;
mod start;
mod threads;
mod usage;
mod web;

use std::{
    fmt, io,
    net::{SocketAddr, TcpListener},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use crossbeam_channel::{Receiver, bounded};
use parking_lot::Mutex;

use self::{
    connections::Connections,
    plain::PlainDoor,
    start::{Doors, listen},
    threads::Threads,
    web::Web,
};
use self::{
    flooder::{Flooder, Host, Wiring},
    resolver::Resolver,
};
pub use self::{
    process::run_node,
    resolver::{Resolve, system_resolve},
    start::StartError,
};
use crate::{
    config::{self, Address, Limits},
    core::{
        access::{Peers, Secret},
        links::{Health, Queue, outbox},
        model::{NodeId, Tick},
        node::{self, Neighbour, Node},
        store::Placement,
        wire::Nonce,
    },
    log::{self, Log, RateLimit},
    metrics::Requests,
    places,
    system::{clock, random},
    transport,
};

/// The thread that accepts the connections of third-party nodes.
const PLAIN_ACCEPT: &str = "accept-plain";

/// A session's stack. Its deepest call is a places lookup; threads are many, and only touched pages count.
const STACK_BYTES: usize = 256 * 1024;

/// What a node tells whoever started it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Announcement {
    /// It takes connections.
    Listening(SocketAddr),
    /// Its link to that neighbour is up.
    Linked(NodeId),
}

/// Whether a thread of that name may be made.
pub type BeforeSpawn = Box<dyn Fn(&str) -> io::Result<()> + Send + Sync>;

/// What a node takes from its surroundings, and tests may put something else in the place of.
pub struct Surroundings {
    /// Told what those who start nodes wait for.
    pub announce: Box<dyn Fn(Announcement) + Send + Sync>,
    /// How neighbours' names are resolved.
    pub resolve: Resolve,
    /// Asked before a thread of that name is made; an error stands for a system that has none left.
    pub before_spawn: BeforeSpawn,
    /// Where WHATSAT looks places up, instead of the configured source.
    pub places: Option<Box<dyn places::Source>>,
}

impl Default for Surroundings {
    /// The system's resolver and threads, and nobody to tell.
    fn default() -> Self {
        Self {
            announce: Box::new(|_| {}),
            resolve: system_resolve(),
            before_spawn: Box::new(|_| Ok(())),
            places: None,
        }
    }
}

/// A node that listens, and does not yet serve.
pub struct Server {
    node: Node,
    limits: Limits,
    addresses: Vec<Address>,
    mailboxes: Vec<Mailbox>,
    listener: TcpListener,
    plain: Option<PlainDoor>,
    web: Option<Web>,
    log: Log,
    surroundings: Surroundings,
}

/// What all threads of a running node share.
struct Shared<'a> {
    node: &'a Node,
    limits: &'a Limits,
    log: &'a Log,
    surroundings: &'a Surroundings,
    connections: Connections,
    peers: Mutex<Peers>,
    threads: Threads,
    capacity: usize,
    http_address: Option<SocketAddr>,
    started: Tick,
    /// In POSIX seconds.
    process_started: f64,
    /// Set at stop; its channel's other end is dropped then, for those who wait.
    is_stopping: AtomicBool,
    stop: Receiver<()>,
    connection_count: AtomicU64,
    accepted: AtomicU64,
    refused: AtomicU64,
    requests: Requests,
    rate_limits: RateLimits,
}

/// Events of each kind are logged once a second at most.
#[derive(Default)]
struct RateLimits {
    refusals: RateLimit,
    closings: RateLimit,
    overflows: RateLimit,
    bad_lines: RateLimit,
    handshakes: RateLimit,
    other_protocols: RateLimit,
    panics: RateLimit,
}

impl RateLimits {
    /// Counts what was not told of each kind, which no later event will do.
    fn log_untold(&self, log: &Log) {
        let Self { refusals, closings, overflows, bad_lines, handshakes, other_protocols, panics } = self;
        for (kind, limit) in [
            ("bad lines", bad_lines),
            ("connections closed", closings),
            ("connections refused", refusals),
            ("handshakes refused", handshakes),
            ("connections of another protocol", other_protocols),
            ("batches missed by a full outbox", overflows),
            ("panics", panics),
        ] {
            if let Some(count) = limit.take_untold() {
                log.warn(format_args!("{kind}: {count} more since the last such line"));
            }
        }
    }
}

/// What can be asked of a running node by the thread that runs it.
pub struct Controls<'a> {
    log: &'a Log,
}

impl Controls<'_> {
    /// Closes the log file and opens it by its name, for those who moved it.
    pub fn reopen_log(&self) {
        self.log.reopen();
    }
}

impl Server {
    /// Opens the log, binds and listens. Nothing is served before [`Server::run`]; quick clients wait in the backlog.
    pub fn bind(
        herd: &config::Herd,
        id: &NodeId,
        log_dir: &Path,
        mut surroundings: Surroundings,
    ) -> Result<Self, StartError> {
        let missing = || StartError::NoSuchNode(id.clone(), herd.name.clone());
        let configured = herd.node(id.as_str()).ok_or_else(missing)?;
        let address = &configured.listen;
        let secret = herd.secret_file.as_deref().map(Secret::load).transpose()?.map(Arc::new);
        let listen = |address| listen(id, address, secret.is_some());
        let listener = listen(address)?;
        let web = match &configured.http {
            Some(address) => Some(Web::new(listen(address)?, &herd.http, configured)),
            None => None,
        };
        let log = Log::open(log::LogOptions {
            path: log_dir.join(format!("{id}.log")),
            traffic: herd.log.traffic,
            bodies: herd.log.bodies,
            buffer_bytes: herd.log.buffer_bytes,
            file_bytes: herd.log.file_bytes,
            files_kept: herd.log.files_kept,
        })?;
        let (neighbours, mailboxes, addresses) = neighbours(herd, configured);
        let plain = match &configured.plain_listen {
            Some(address) => {
                let plain = neighbours.iter().zip(&addresses).enumerate();
                let plain = plain.filter(|(_, (neighbour, _))| neighbour.plain.is_some());
                let plain = plain.map(|(link, (_, address))| (link, address.clone())).collect();
                Some(PlainDoor::new(listen(address)?, plain))
            }
            None => None,
        };
        let places = match surroundings.places.take() {
            None => {
                let opened = places::open(&herd.places)?;
                opened.stock.iter().for_each(|stock| log_stock(stock, &log));
                opened.source
            }
            given => given,
        };
        let Limits { max_clients, max_ahead, .. } = herd.limits;
        let node = Node::new(node::Options {
            herd: herd.name.clone(),
            placement: match &secret {
                Some(secret) => Placement::of_key(secret.placement()),
                None => Placement::of_herd(&herd.name),
            },
            secret,
            id: id.clone(),
            incarnation: random::bits(),
            max_clients,
            max_ahead,
            neighbours,
            places,
        });
        Ok(Self {
            node,
            limits: herd.limits.clone(),
            addresses,
            mailboxes,
            listener,
            plain,
            web,
            log,
            surroundings,
        })
    }

    /// Where it listens; the port the system picked, where the configured one is 0.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Where its web face listens, if it has one.
    pub fn http_address(&self) -> io::Result<Option<SocketAddr>> {
        self.web.as_ref().map(Web::address).transpose()
    }

    /// Where it takes the news of third-party nodes, if it has any as neighbours.
    pub fn plain_address(&self) -> io::Result<Option<SocketAddr>> {
        self.plain.as_ref().map(|door| door.listener().local_addr()).transpose()
    }

    /// Serves until `until` returns, then drains: stops accepting, finishes the batches in hand, flushes the outboxes.
    /// Ends the process with status 1 where that takes longer than the configured time.
    ///
    /// Where a thread cannot be made that the node needs, what has begun is ended in the same way, and `until` is not called.
    pub fn run(self, until: impl FnOnce(&Controls<'_>)) -> Result<(), StartError> {
        let Self { node, limits, addresses, mailboxes, listener, plain, web, log, surroundings } = self;
        let (stop_accept, accept_stop) = bounded(0);
        let web_capacity = web.as_ref().map_or(0, Web::capacity);
        let capacity = capacity::connections(&limits, node.neighbours().len(), web_capacity, &log);
        let shared = Shared {
            node: &node,
            limits: &limits,
            log: &log,
            surroundings: &surroundings,
            connections: Connections::new(capacity, 2 * node.neighbours().len() + 4),
            peers: Mutex::new(Peers::new(node.neighbours().len(), limits.liveness_time)),
            threads: Threads::default(),
            capacity,
            http_address: web.as_ref().map(Web::address).transpose()?,
            started: clock::tick(),
            process_started: usage::process_started(clock::wall()),
            is_stopping: AtomicBool::new(false),
            stop: accept_stop,
            connection_count: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            requests: Requests::default(),
            rate_limits: RateLimits::default(),
        };
        let address = listener.local_addr()?;
        let doors = Doors::new(&listener, plain.as_ref())?;
        let (stop_flooders, flooders_stop) = bounded(0);
        let (stop_log, log_stop) = bounded(0);
        thread::scope(|outer| {
            shared.spawn(outer, "log", || log.write_until(&log_stop))?;
            log.info(format_args!("{} of the herd {} starts at {address}", node.id, node.herd));
            let started = shared
                .start_flooders(outer, &addresses, mailboxes, &flooders_stop)
                .and_then(|()| web.as_ref().map_or(Ok(()), |web| shared.start_web(outer, web)));
            drop(flooders_stop);
            let (served, stopped_at) = thread::scope(|inner| {
                let served = started.and_then(|()| shared.start_accepting(inner, doors));
                match &served {
                    Ok(()) => {
                        (surroundings.announce)(Announcement::Listening(address));
                        until(&Controls { log: &log });
                    }
                    Err(error) => log.error(format_args!("{} does not start: {error}", node.id)),
                }
                let stopped_at = clock::tick();
                drop(stop_accept);
                shared
                    .stop([&listener].into_iter().chain(plain.as_ref().map(PlainDoor::listener)), stopped_at);
                (served, stopped_at)
            });
            drop(stop_flooders);
            // It told of the drain as long as there was one to tell of.
            if let Some(web) = &web {
                web.stop();
            }
            shared.wait_for_threads(stopped_at + limits.drain_time);
            shared.rate_limits.log_untold(&log);
            if served.is_ok() {
                log.info(format_args!("{} stops, drained", node.id));
            }
            drop(stop_log);
            served
        })
    }
}

/// What waits for a neighbour, and what wakes whoever dials it.
type Mailbox = (Queue, Receiver<()>);

/// Logs what a source of places has to answer from.
fn log_stock(stock: &places::Stock, log: &Log) {
    let line = format_args!("places: {}", stock.line);
    if stock.is_empty { log.warn(line) } else { log.info(line) }
}

/// A node's neighbours, their mailboxes, and where they are dialled.
fn neighbours(herd: &config::Herd, node: &config::Node) -> (Vec<Neighbour>, Vec<Mailbox>, Vec<Address>) {
    let (mut neighbours, mut mailboxes, mut addresses) = (Vec::new(), Vec::new(), Vec::new());
    for peer in node.links.iter().filter_map(|peer| herd.node(peer.as_str())) {
        let (outbox, queue) = outbox(herd.limits.outbox_bytes);
        let (called, calls) = bounded(1);
        let (id, plain, health) = (peer.id.clone(), peer.plain, Health::default());
        neighbours.push(Neighbour { id, outbox, called, plain, health });
        mailboxes.push((queue, calls));
        addresses.push(peer.address.clone());
    }
    (neighbours, mailboxes, addresses)
}

impl<'a> Shared<'a> {
    /// Makes a named thread of a scope, where the system has one left.
    fn spawn<'scope, F>(
        &'scope self,
        scope: &'scope thread::Scope<'scope, '_>,
        name: &str,
        body: F,
    ) -> Result<(), StartError>
    where
        F: FnOnce() + Send + 'scope,
    {
        let spawned = self.try_spawn(scope, name, body);
        spawned.map_err(|error| StartError::Thread { name: name.to_owned(), error })
    }

    /// The same, for those who go on without it.
    fn try_spawn<'scope, F>(
        &self,
        scope: &'scope thread::Scope<'scope, '_>,
        name: &str,
        body: F,
    ) -> io::Result<()>
    where
        F: FnOnce() + Send + 'scope,
    {
        (self.surroundings.before_spawn)(name)?;
        thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES).spawn_scoped(scope, body)?;
        Ok(())
    }

    fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    fn next_connection(&self) -> u64 {
        self.connection_count.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Runs what serves one connection. If that panics, the connection ends and nothing else: the scope of its thread would
    /// hand the panic to main.
    fn contain(&self, connection: fmt::Arguments<'_>, serve: impl FnOnce()) {
        if catch_unwind(AssertUnwindSafe(serve)).is_err()
            && let Some(untold) = self.rate_limits.panics.allow(clock::tick())
        {
            self.log.error(format_args!(
                "{connection} is closed: its thread panicked; this is a fault of the program{untold}"
            ));
        }
    }

    /// Stops the listener and the sessions, and sees to it that they end.
    fn stop<'l>(&self, listeners: impl IntoIterator<Item = &'l TcpListener>, now: Tick) {
        self.log.info(format_args!("{} stops: {} connections", self.node.id, self.connections.count()));
        self.is_stopping.store(true, Ordering::Release);
        self.node.stop_lookups();
        listeners.into_iter().for_each(transport::wake_accept);
        self.connections.stop();
        let drain_time = self.limits.drain_time;
        let is_session =
            |name: &str| name.starts_with("session-") || name == "accept" || name == PLAIN_ACCEPT;
        // A client that does not take its last replies has half of the time for it.
        if !self.threads.wait_until_none(now + drain_time / 2, is_session) {
            self.connections.abort();
        }
        if !self.threads.wait_until_none(now + drain_time, is_session) {
            self.give_up();
        }
    }

    fn wait_for_threads(&self, deadline: Tick) {
        if !self.threads.wait_until_none(deadline, |_| true) {
            self.give_up();
        }
    }

    /// A thread that cannot be stopped would keep its scope, and so the process, for ever.
    fn give_up(&self) -> ! {
        let left = self.threads.names().join(", ");
        self.rate_limits.log_untold(self.log);
        self.log.error(format_args!("{} ends without having drained; threads left: {left}", self.node.id));
        self.log.flush();
        std::process::exit(1);
    }

    fn wiring(&self, stop: Receiver<()>) -> Wiring<'_> {
        Wiring {
            store: self.node.store(),
            limits: self.limits,
            log: self.log,
            resolve: self.surroundings.resolve.clone(),
            stop,
            host: self,
        }
    }
}

impl Host for Shared<'_> {
    fn linked(&self, peer: &NodeId) {
        (self.surroundings.announce)(Announcement::Linked(peer.clone()));
    }

    fn next_connection(&self) -> u64 {
        self.next_connection()
    }

    fn random(&self) -> u64 {
        random::bits()
    }

    fn nonce(&self) -> io::Result<Nonce> {
        random::bytes().map(Nonce::of_bytes)
    }
}
