//! What a node is made of before it serves: its listeners, its log, its places, its neighbours.

use std::{io, net::TcpListener, sync::Arc};

use crossbeam_channel::{Receiver, bounded};

use super::{
    Announcement, Resolve, Server, StartError, Surroundings, certificates::Certificates, journal::Journal,
    line_door::PlainDoor, recover::Telling, resolver::Resolver, tokens::TokenKeeper, web::Web,
};
use crate::{
    config::{self, AccessConfig, Address, Herd, Limits},
    core::{
        access::{Access, Anyone, PeerTls, Secret},
        links::{Health, Queue, outbox},
        model::NodeId,
        node::{self, LookupRules, Neighbour, Node, ReportLimits, Retainer, Subscribers},
        store::Placement,
    },
    log::{AuditOptions, Log, LogContent, LogDir, LogError, LogOptions},
    places,
    system::{clock, memory, random},
    transport::{Bound, PeersTls},
};

/// What belongs to one flooder alone.
pub(super) struct Mailbox {
    /// The updates waiting for its neighbour.
    pub(super) queue: Queue,
    /// Receives a message when the neighbour has connected to this node.
    pub(super) called: Receiver<()>,
    /// The address it dials.
    pub(super) address: Address,
    /// The resolver of that address's name.
    pub(super) resolver: Arc<Resolver>,
}

impl Server {
    /// Opens the log, reads the journal, and listens. Nothing is served before [`Server::run`]; quick clients wait in the
    /// backlog. Addresses are bound first, so that one that is taken is told before a long recovery.
    pub fn bind(
        herd: &Herd,
        id: &NodeId,
        log_dir: &LogDir,
        mut surroundings: Surroundings,
    ) -> Result<Self, StartError> {
        let missing = || StartError::NoSuchNode(id.clone(), herd.name.clone());
        let configured = herd.node(id.as_str()).ok_or_else(missing)?;
        let secret = herd.secret_file.as_deref().map(Secret::load).transpose()?.map(Arc::new);
        let addresses = Addresses { id, has_secret: secret.is_some(), says_who: herd.access.says_who() };
        let bound = BoundDoors::bind(&addresses, configured)?;
        // An address beyond this machine says that something passes connections on to a listener on loopback.
        let is_local = configured.address.is_loopback() && bound.are_loopback()?;
        let (access, tokens) = access(&herd.access, is_local, bound.web.as_ref())?;
        let log = open_log(herd, id, log_dir)?;
        let certificates = Certificates::load(&herd.tls, id.as_str(), &log)?;
        let (neighbours, mailboxes) = neighbours(herd, configured, &surroundings.resolve);
        let third_party = third_party(&neighbours, &mailboxes);
        let given = surroundings.places.take();
        let places = given.map_or_else(|| open_places(herd, &log), |given| Ok(Some(given)))?;
        let folder = herd.journal.folder(id.as_str());
        let (journal_outbox, journal_queue) =
            folder.as_ref().map(|_| outbox(herd.journal.waiting_bytes)).unzip();
        let node = Node::new(node::Options {
            herd: herd.name.clone(),
            placement: placement(&herd.name, secret.as_deref())?,
            secret,
            id: id.clone(),
            incarnation: random::bits(),
            forget_after: herd.forget_after.map(|time| time.as_secs()),
            reports: reports(&herd.limits, &log),
            liveness: herd.limits.liveness_time,
            neighbours,
            subscribers: Subscribers { all: journal_outbox.into_iter().collect(), keys: Vec::new() },
            lookups: places.as_deref().map(lookup_rules),
        });
        let commits = folder.is_some() && herd.journal.commits();
        let node = if commits { node.acknowledging_what_is_durable() } else { node };
        let node =
            node.granting(access).limited_by(herd.limits.quotas(is_local)).with_peer_tls(herd.peer_tls);
        let peers_tls = if herd.peer_tls == PeerTls::Off { None } else { Some(PeersTls::new()?) };
        let mut retainer = Retainer::begin(&node, clock::now());
        let announce = |progress| (surroundings.announce)(Announcement::Reading(progress));
        let open = |(folder, queue)| {
            let telling = Telling::new(&log, &announce, clock::tick);
            Journal::open((&herd.journal, folder), &node, (queue, retainer.as_mut()), telling)
        };
        let journal = folder.zip(journal_queue).map(open).transpose()?;
        let Listeners { lines: listener, tls, web, plain } = bound.listen(&addresses)?;
        let web = web.map(|listener| Web::new(listener, (&herd.http, &herd.limits), configured));
        let plain = plain.map(|listener| PlainDoor::new(listener, third_party));
        warn_if_open_to_others(herd, is_local, &log);
        Ok(Self {
            node,
            peers_tls,
            places,
            limits: herd.limits.clone(),
            mailboxes,
            journal,
            tokens,
            retainer,
            listener,
            tls,
            certificates,
            plain,
            web,
            log,
            surroundings,
        })
    }
}

/// The addresses of a node, bound.
struct BoundDoors<'n> {
    lines: BoundDoor<'n>,
    tls: Option<BoundDoor<'n>>,
    web: Option<BoundDoor<'n>>,
    plain: Option<BoundDoor<'n>>,
}

type BoundDoor<'n> = (&'n Address, Bound);

/// What listens at them.
struct Listeners {
    lines: TcpListener,
    tls: Option<TcpListener>,
    web: Option<TcpListener>,
    plain: Option<TcpListener>,
}

impl<'n> BoundDoors<'n> {
    fn bind(addresses: &Addresses<'_>, node: &'n config::Node) -> Result<Self, StartError> {
        let bind = |address: &'n Option<Address>| {
            address.as_ref().map(|address| addresses.bind(address)).transpose()
        };
        Ok(Self {
            lines: addresses.bind(&node.listen)?,
            tls: bind(&node.tls_listen)?,
            web: bind(&node.http)?,
            plain: bind(&node.plain_listen)?,
        })
    }

    /// Whether all of them can be reached from this machine only.
    fn are_loopback(&self) -> io::Result<bool> {
        are_loopback([Some(&self.lines), self.tls.as_ref(), self.web.as_ref(), self.plain.as_ref()])
    }

    fn listen(self, addresses: &Addresses<'_>) -> Result<Listeners, StartError> {
        let listen = |door: Option<BoundDoor<'_>>| door.map(|door| addresses.listen(door)).transpose();
        let lines = addresses.listen(self.lines)?;
        Ok(Listeners { lines, tls: listen(self.tls)?, web: listen(self.web)?, plain: listen(self.plain)? })
    }
}

/// How that source is asked.
fn lookup_rules(places: &dyn places::Source) -> LookupRules {
    LookupRules { form: places.form(), may_wait: places.may_wait() }
}

/// Who may do what, and what keeps it up to date.
fn access(
    config: &AccessConfig,
    is_local: bool,
    web: Option<&BoundDoor<'_>>,
) -> Result<(Access, Option<TokenKeeper>), StartError> {
    let is_web_local = are_loopback([web])?;
    let anyone = Anyone {
        reports_and_sees: config.is_open(),
        forgets: config.is_open() && is_local,
        monitors: config.is_open() && is_web_local,
    };
    Ok(TokenKeeper::open(config, anyone)?)
}

fn warn_if_open_to_others(herd: &Herd, is_local: bool, log: &Log) {
    if herd.access.is_open() && !is_local {
        log.warn(format_args!(
            "anyone who can connect may report for any client and ask for any ([access] clients = \"open\")"
        ));
    }
}

/// Whether all of these can be reached from this machine only.
fn are_loopback<'b, 'n: 'b, const N: usize>(bound: [Option<&'b BoundDoor<'n>>; N]) -> io::Result<bool> {
    let mut is_local = true;
    for (_, bound) in bound.into_iter().flatten() {
        is_local &= bound.address()?.ip().is_loopback();
    }
    Ok(is_local)
}

/// Where clients belong in the store. In a herd without a secret, public knowledge must not be enough to crowd one part
/// of it.
fn placement(herd: &str, secret: Option<&Secret>) -> io::Result<Placement> {
    match secret {
        Some(secret) => Ok(Placement::of_key(secret.placement())),
        None => Ok(Placement::of_herd(herd).scattered(random::bytes()?)),
    }
}

/// How a node's addresses become listeners.
struct Addresses<'n> {
    id: &'n NodeId,
    has_secret: bool,
    /// Whether it is configured who clients are.
    says_who: bool,
}

impl Addresses<'_> {
    /// Binds, within the limits of a herd without a secret, or without a word on who clients are.
    fn bind<'a>(&self, address: &'a Address) -> Result<(&'a Address, Bound), StartError> {
        let bound = Bound::at(&address.host, address.port).map_err(|error| self.refused(address, error))?;
        let found = bound.address()?;
        if !self.has_secret && !found.ip().is_loopback() {
            return Err(StartError::BeyondLoopback { id: self.id.clone(), address: found });
        }
        if !self.says_who && !found.ip().is_loopback() {
            return Err(StartError::ClientsUnsaid { id: self.id.clone(), address: found });
        }
        Ok((address, bound))
    }

    fn listen(&self, (address, bound): (&Address, Bound)) -> Result<TcpListener, StartError> {
        bound.listen().map_err(|error| self.refused(address, error))
    }

    fn refused(&self, address: &Address, error: io::Error) -> StartError {
        StartError::Listen { id: self.id.clone(), address: address.clone(), error }
    }
}

/// If not configured, clients' reports may use one part in this many of the machine's memory.
const MEMORY_PARTS: u64 = 8;

/// The limits on clients' reports. The memory they may use is logged, since it may depend on the machine.
fn reports(limits: &Limits, log: &Log) -> ReportLimits {
    let Limits { max_clients, client_bytes, max_ahead, .. } = *limits;
    let part = || usize::try_from(memory::available() / MEMORY_PARTS).unwrap_or(usize::MAX);
    let max_bytes = limits.max_bytes.unwrap_or_else(part);
    log.info(format_args!("clients' reports may use {max_bytes} bytes of memory"));
    ReportLimits { max_clients, max_bytes, client_bytes, max_ahead }
}

fn open_log(herd: &Herd, id: &NodeId, log_dir: &LogDir) -> Result<Log, LogError> {
    let config::LogConfig { traffic, bodies, connections, buffer_bytes, file_bytes, files_kept, .. } =
        herd.log;
    let content = LogContent { traffic, bodies, connections };
    let LogDir::Folder(folder) = log_dir else { return Log::on_standard_output(content, buffer_bytes) };
    let start = clock::compact_text(clock::wall());
    let (file, events_file) = herd.log.names(id.as_str(), &start);
    let audit = AuditOptions {
        path: folder.join(herd.log.audit_name(id.as_str(), &start)),
        buffer_bytes: herd.log.audit_buffer_bytes,
        file_bytes: herd.log.audit_file_bytes,
        files_kept: herd.log.audit_files_kept,
    };
    Log::open(LogOptions {
        path: folder.join(file),
        events_path: events_file.map(|name| folder.join(name)),
        audit: Some(audit),
        content,
        buffer_bytes,
        file_bytes,
        files_kept,
    })
}

/// The configured source of places. Logs what it answers from.
fn open_places(herd: &Herd, log: &Log) -> Result<Option<Box<dyn places::Source>>, places::OpenError> {
    let opened = places::open(&herd.places)?;
    for stock in &opened.stock {
        let line = format_args!("places: {}", stock.line);
        if stock.is_empty { log.warn(line) } else { log.info(line) }
    }
    Ok(opened.source)
}

/// A node's neighbours, and their mailboxes.
fn neighbours(herd: &Herd, node: &config::Node, resolve: &Resolve) -> (Vec<Neighbour>, Vec<Mailbox>) {
    let peers = node.links.iter().filter_map(|peer| herd.node(peer.as_str()));
    let both = peers.map(|peer| {
        let (outbox, queue) = outbox(herd.limits.outbox_bytes);
        let (call, called) = bounded(1);
        let (id, plain, health) = (peer.id.clone(), peer.plain.clone(), Health::default());
        let neighbour = Neighbour { id, outbox, called: call, plain, health };
        let address = peer.address.clone();
        let resolver = Arc::new(Resolver::new(Arc::clone(resolve), &address.host, address.port));
        (neighbour, Mailbox { queue, called, address, resolver })
    });
    both.unzip()
}

/// Which neighbours are third-party nodes, and the resolvers of their names.
fn third_party(neighbours: &[Neighbour], mailboxes: &[Mailbox]) -> Vec<(usize, Arc<Resolver>)> {
    let all = neighbours.iter().zip(mailboxes).enumerate();
    let plain = all.filter(|(_, (neighbour, _))| neighbour.plain.is_some());
    plain.map(|(link, (_, mailbox))| (link, Arc::clone(&mailbox.resolver))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::access::SecretKey;

    #[test]
    fn store_of_a_herd_without_a_secret_is_scattered() {
        assert!(placement("test", None).unwrap().is_scattered());
        let secret = Secret::new(SecretKey::of_bytes([7; 32]), [8; 16]);
        assert!(!placement("test", Some(&secret)).unwrap().is_scattered());
    }
}
