//! What a node is made of before it serves: its listeners, its log, its places, its neighbours.

use std::{net::TcpListener, path::Path, sync::Arc};

use crossbeam_channel::{Receiver, bounded};

use super::{Resolve, Server, StartError, Surroundings, line_door::PlainDoor, resolver::Resolver, web::Web};
use crate::{
    config::{self, Address, Herd},
    core::{
        access::Secret,
        links::{Health, Queue, outbox},
        model::NodeId,
        node::{self, LookupRules, Neighbour, Node, Subscribers},
        store::Placement,
    },
    log::{self, Log, LogError},
    places,
    system::random,
    transport,
};

/// What a flooder is given of its own.
pub(super) struct Mailbox {
    /// What waits for its neighbour.
    pub(super) queue: Queue,
    /// Gets a word when the neighbour has connected to this node.
    pub(super) called: Receiver<()>,
    /// Where it dials.
    pub(super) address: Address,
    /// What that name means.
    pub(super) resolver: Arc<Resolver>,
}

impl Server {
    /// Opens the log, binds and listens. Nothing is served before [`Server::run`]; quick clients wait in the backlog.
    pub fn bind(
        herd: &Herd,
        id: &NodeId,
        log_dir: &Path,
        mut surroundings: Surroundings,
    ) -> Result<Self, StartError> {
        let missing = || StartError::NoSuchNode(id.clone(), herd.name.clone());
        let configured = herd.node(id.as_str()).ok_or_else(missing)?;
        let secret = herd.secret_file.as_deref().map(Secret::load).transpose()?.map(Arc::new);
        let listen = |address| listen(id, address, secret.is_some());
        let listener = listen(&configured.listen)?;
        let web = configured.http.as_ref().map(listen).transpose()?;
        let web = web.map(|listener| Web::new(listener, &herd.http, configured));
        let log = open_log(herd, id, log_dir)?;
        let (neighbours, mailboxes) = neighbours(herd, configured, &surroundings.resolve);
        let plain = configured.plain_listen.as_ref().map(listen).transpose()?;
        let plain = plain.map(|listener| PlainDoor::new(listener, third_party(&neighbours, &mailboxes)));
        let places = match surroundings.places.take() {
            Some(given) => Some(given),
            None => open_places(herd, &log)?,
        };
        let node = Node::new(node::Options {
            herd: herd.name.clone(),
            placement: match &secret {
                Some(secret) => Placement::of_key(secret.placement()),
                None => Placement::of_herd(&herd.name),
            },
            secret,
            id: id.clone(),
            incarnation: random::bits(),
            max_clients: herd.limits.max_clients,
            max_ahead: herd.limits.max_ahead,
            liveness: herd.limits.liveness_time,
            neighbours,
            subscribers: Subscribers::default(),
            lookups: places
                .as_deref()
                .map(|places| LookupRules { form: places.form(), may_wait: places.may_wait() }),
        });
        let limits = herd.limits.clone();
        Ok(Self { node, places, limits, mailboxes, listener, plain, web, log, surroundings })
    }
}

/// Binds, within what a herd without a secret may.
fn listen(id: &NodeId, address: &Address, has_secret: bool) -> Result<TcpListener, StartError> {
    let refused = |error| StartError::Listen { id: id.clone(), address: address.clone(), error };
    let listener = transport::listen(&address.host, address.port).map_err(refused)?;
    let bound = listener.local_addr()?;
    if !has_secret && !bound.ip().is_loopback() {
        return Err(StartError::BeyondLoopback { id: id.clone(), address: bound });
    }
    Ok(listener)
}

fn open_log(herd: &Herd, id: &NodeId, log_dir: &Path) -> Result<Log, LogError> {
    Log::open(log::LogOptions {
        path: log_dir.join(format!("{id}.log")),
        traffic: herd.log.traffic,
        bodies: herd.log.bodies,
        buffer_bytes: herd.log.buffer_bytes,
        file_bytes: herd.log.file_bytes,
        files_kept: herd.log.files_kept,
    })
}

/// The configured source of places. What it has to answer from is logged.
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
        let (id, plain, health) = (peer.id.clone(), peer.plain, Health::default());
        let neighbour = Neighbour { id, outbox, called: call, plain, health };
        let address = peer.address.clone();
        let resolver = Arc::new(Resolver::new(Arc::clone(resolve), &address.host, address.port));
        (neighbour, Mailbox { queue, called, address, resolver })
    });
    both.unzip()
}

/// Which neighbours are third-party nodes, and what their names mean.
fn third_party(neighbours: &[Neighbour], mailboxes: &[Mailbox]) -> Vec<(usize, Arc<Resolver>)> {
    let all = neighbours.iter().zip(mailboxes).enumerate();
    let plain = all.filter(|(_, (neighbour, _))| neighbour.plain.is_some());
    plain.map(|(link, (_, mailbox))| (link, Arc::clone(&mailbox.resolver))).collect()
}
