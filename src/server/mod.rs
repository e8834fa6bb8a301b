//! The threads: scopes that own every one of them, the listener, a session a connection, and the order in which all of
//! it ends. What a line means is decided in `node`; here it is only carried.

mod accept;
mod capacity;
mod connections;
mod ended;
mod links;
mod plain;
mod process;
mod session;
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

pub use self::process::run_node;
use self::{connections::Connections, plain::PlainDoor, threads::Threads, web::Web};
use crate::{
    clock::{self, Tick},
    config::{self, Address, Limits},
    flood::{self, Flooder, Health, Peers, Queue, Resolve, Wiring},
    log::{self, Log, LogError, RateLimit},
    metrics::Requests,
    model::NodeId,
    node::{self, Neighbour, Node},
    places,
    protocol::Nonce,
    random,
    secret::{Secret, SecretError},
    socket,
    store::Placement,
};

/// A session's stack. Its deepest call is a places lookup; threads are many, and only touched pages count.
const STACK_BYTES: usize = 256 * 1024;

/// The thread that takes neighbours written by others in.
const PLAIN_ACCEPT: &str = "accept-plain";

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No node of that name is configured.
    #[error("there is no node {0} in the herd {1}; see `herd check-config`")]
    NoSuchNode(NodeId, String),
    /// The address is taken, is not this machine's, or is not allowed.
    #[error("{id} cannot listen on {address}: {error}; {}", bind_cure(error))]
    Listen {
        /// Who.
        id: NodeId,
        /// Where.
        address: Address,
        /// Why not.
        error: io::Error,
    },
    /// The name means an address beyond loopback.
    #[error(
        "{id} would listen on {address}, which others can reach, and a herd without a secret is open to all; \
         make one with `herd secret FILE` and name it as secret_file in [herd], or use a loopback address"
    )]
    BeyondLoopback {
        /// Who.
        id: NodeId,
        /// Where.
        address: SocketAddr,
    },
    /// The secret file is not there, or not as it must be.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The log file cannot be written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A source of places lacks its file, or its key.
    #[error(transparent)]
    Places(#[from] places::OpenError),
    /// Signals, standard input or threads are not to be had.
    #[error("the system refuses what a node needs: {0}; raise its limits and start again")]
    System(#[from] io::Error),
}

fn bind_cure(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "end what runs there (another herd?) or configure another port",
        io::ErrorKind::AddrNotAvailable => "configure one of this machine's addresses",
        _ => "configure another address",
    }
}

/// What a node tells whoever started it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Announcement {
    /// It takes connections.
    Listening(SocketAddr),
    /// Its link to that neighbour is up.
    Linked(NodeId),
}

/// What a node takes from its surroundings, and tests may put something else in the place of.
pub struct Surroundings {
    /// Told what those who start nodes wait for.
    pub announce: Box<dyn Fn(Announcement) + Send + Sync>,
    /// How neighbours' names are resolved.
    pub resolve: Resolve,
    /// Asked before a session's thread is made; an error stands for a system that has none left.
    pub before_spawn: Box<dyn Fn() -> io::Result<()> + Send + Sync>,
    /// Where WHATSAT looks places up, instead of the configured source.
    pub places: Option<Box<dyn places::Source>>,
}

impl Default for Surroundings {
    /// The system's resolver and threads, and nobody to tell.
    fn default() -> Self {
        Self {
            announce: Box::new(|_| {}),
            resolve: flood::system_resolve(),
            before_spawn: Box::new(|| Ok(())),
            places: None,
        }
    }
}

/// A node that listens, and does not yet serve.
pub struct Server {
    node: Node,
    limits: Limits,
    addresses: Vec<Address>,
    mailboxes: Vec<(Queue, Receiver<()>)>,
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
    started: Tick,
    /// Set at stop; its channel's other end is dropped then, for those who wait.
    is_stopping: AtomicBool,
    stop: Receiver<()>,
    connection_count: AtomicU64,
    accepted: AtomicU64,
    refused: AtomicU64,
    requests: Requests,
    refusals: RateLimit,
    closings: RateLimit,
    overflows: RateLimit,
    bad_lines: RateLimit,
    handshakes: RateLimit,
    panics: RateLimit,
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
        let log = Log::open(log::Options {
            path: log_dir.join(format!("{id}.log")),
            traffic: herd.log.traffic,
            bodies: herd.log.bodies,
            buffer_bytes: herd.log.buffer_bytes,
            file_bytes: herd.log.file_bytes,
            files_kept: herd.log.files_kept,
        })?;
        let (mut neighbours, mut mailboxes, mut addresses) = (Vec::new(), Vec::new(), Vec::new());
        for peer in configured.links.iter().filter_map(|peer| herd.node(peer.as_str())) {
            let (outbox, queue) = flood::outbox(herd.limits.outbox_bytes);
            let (called, calls) = bounded(1);
            let (id, plain, health) = (peer.id.clone(), peer.plain, Health::default());
            neighbours.push(Neighbour { id, outbox, called, plain, health });
            mailboxes.push((queue, calls));
            addresses.push(peer.address.clone());
        }
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
                opened.stock.iter().for_each(|stock| stock.log(&log));
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

    /// Where it takes the news of neighbours written by others, if it has any.
    pub fn plain_address(&self) -> io::Result<Option<SocketAddr>> {
        self.plain.as_ref().map(|door| door.listener().local_addr()).transpose()
    }

    /// Serves until `until` returns, then drains: stops accepting, finishes the batches in hand, flushes the outboxes.
    /// Ends the process with status 1 where that takes longer than the configured time.
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
            started: clock::tick(),
            is_stopping: AtomicBool::new(false),
            stop: accept_stop,
            connection_count: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            requests: Requests::default(),
            refusals: RateLimit::default(),
            closings: RateLimit::default(),
            overflows: RateLimit::default(),
            bad_lines: RateLimit::default(),
            handshakes: RateLimit::default(),
            panics: RateLimit::default(),
        };
        let (stop_flooders, flooders_stop) = bounded(0);
        let (stop_log, log_stop) = bounded(0);
        let spare = accept::Spare::new()?;
        thread::scope(|outer| {
            spawn(outer, "log", || log.write_until(&log_stop))?;
            log.info(format_args!(
                "{} of the herd {} starts at {}",
                node.id,
                node.herd,
                listener.local_addr()?
            ));
            for ((neighbour, address), (queue, called)) in
                node.neighbours().iter().zip(&addresses).zip(mailboxes)
            {
                let wiring = shared.wiring(flooders_stop.clone());
                let link = links::link(&node, neighbour, &limits, queue);
                let flooder = Flooder::new(wiring, &neighbour.id, address, link, &neighbour.health, called);
                let name = format!("flood-{}", neighbour.id);
                let alive = shared.threads.enter(&name);
                let log = &log;
                spawn(outer, &name, move || {
                    let _alive = alive;
                    // The others go on, and the node with them; its scope would hand the panic to main.
                    if catch_unwind(AssertUnwindSafe(|| flooder.run())).is_err() {
                        let peer = &neighbour.id;
                        log.error(format_args!("no link to {peer} until this node restarts: its flooder panicked, a fault of the program"));
                    }
                })?;
            }
            drop(flooders_stop);
            if let Some(web) = &web {
                let alive = shared.threads.enter("accept-http");
                let (shared, address) = (&shared, web.address()?);
                spawn(outer, "accept-http", move || {
                    let _alive = alive;
                    web.run(outer, shared);
                })?;
                log.info(format_args!("status and metrics are at http://{address}"));
            }
            let stopped_at = thread::scope(|inner| {
                let (shared, listener) = (&shared, &listener);
                let accept = |name, listener, plain, spare| {
                    let alive = shared.threads.enter(name);
                    spawn(inner, name, move || {
                        let _alive = alive;
                        accept::run(inner, shared, listener, plain, spare);
                    })
                };
                accept("accept", listener, None, spare)?;
                if let Some(door) = &plain {
                    log.warn(format_args!(
                        "whoever connects to {} from a plain neighbour's address can write to this herd; nothing proves who it is",
                        door.listener().local_addr()?
                    ));
                    accept(PLAIN_ACCEPT, door.listener(), Some(door), accept::Spare::new()?)?;
                }
                (surroundings.announce)(Announcement::Listening(listener.local_addr()?));
                until(&Controls { log: &log });
                let stopped_at = clock::tick();
                drop(stop_accept);
                shared
                    .stop([listener].into_iter().chain(plain.as_ref().map(PlainDoor::listener)), stopped_at);
                Ok::<_, StartError>(stopped_at)
            })?;
            drop(stop_flooders);
            // It told of the drain as long as there was one to tell of.
            if let Some(web) = &web {
                web.stop();
            }
            shared.wait_for_threads(stopped_at + limits.drain_time);
            log.info(format_args!("{} stops, drained", node.id));
            drop(stop_log);
            Ok(())
        })
    }
}

/// Binds, within what a herd without a secret may.
fn listen(id: &NodeId, address: &Address, has_secret: bool) -> Result<TcpListener, StartError> {
    let refused = |error| StartError::Listen { id: id.clone(), address: address.clone(), error };
    let listener = socket::listen(&address.host, address.port).map_err(refused)?;
    let bound = listener.local_addr()?;
    if !has_secret && !bound.ip().is_loopback() {
        return Err(StartError::BeyondLoopback { id: id.clone(), address: bound });
    }
    Ok(listener)
}

impl Shared<'_> {
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
            && let Some(untold) = self.panics.allow(clock::tick())
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
        listeners.into_iter().for_each(socket::wake_accept);
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

impl flood::Host for Shared<'_> {
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

/// A named thread of a scope. The system may have none left.
fn spawn<'scope, F>(scope: &'scope thread::Scope<'scope, '_>, name: &str, body: F) -> io::Result<()>
where
    F: FnOnce() + Send + 'scope,
{
    thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES).spawn_scoped(scope, body)?;
    Ok(())
}
