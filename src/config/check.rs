//! From a herd's stated parts to a herd that cannot be wrong: ids, addresses and links are checked against each other.
//! Pure. A value that could not be read is not judged, so that no reported fault is only the consequence of another.

use std::collections::BTreeSet;

use super::{
    AccessConfig, Address, Herd, Node,
    error::{At, Fault},
    faults::{Faults, Found},
    read::{Stated, StatedNode},
};
use crate::{
    core::{access::PeerTls, model::NodeId},
    text::nearest,
};

/// Checks everything that takes more than one value to check, and closes the links.
pub(super) fn check(stated: Stated, faults: &Faults) -> Found<Herd> {
    let nodes = &stated.nodes;
    if nodes.is_empty() {
        stated.has_all_nodes?;
        return Err(faults.note(1, Fault::NoNodes));
    }
    let are_ids_sound = stated.has_all_nodes.and(ids_differ(nodes, faults));
    addresses_differ(nodes, faults);
    let links = links(nodes, are_ids_sound, faults);
    match &stated.secret_file {
        Ok(None) => on_loopback(nodes, faults),
        _ => {
            linked_nodes_lead_somewhere(nodes, &links, faults);
            clients_are_said(nodes, &stated.access, faults);
        }
    }
    let peer_tls = peer_tls(&stated, faults);
    what_serves_tls_has_a_certificate(&stated, faults);
    tokens_have_a_file(&stated.access, faults);
    linked_nodes_have_ports(nodes, &links, faults);
    plain_neighbours_are_heard(nodes, &links, faults);
    let ids = nodes.iter().map(|node| Ok(node.id.as_ref().map_err(|noted| *noted)?.value.clone()));
    let ids: Vec<NodeId> = ids.collect::<Found<_>>()?;
    links.are_all?;
    in_one_piece(nodes, &ids, &links, faults);
    let Stated { name, secret_file, forget_after, access, .. } = stated;
    let Stated { log, journal, http, tls, limits, places, nodes, .. } = stated;
    let nodes = nodes.into_iter().zip(&links.of);
    let nodes =
        nodes.map(|(node, peers)| node_of(node, peers.iter().map(|&peer| ids[peer].clone()).collect()));
    let nodes = nodes.collect::<Found<_>>()?;
    let (log, journal, http, tls, limits, places) = (log?, journal?, http?, tls?, limits?, places?);
    let (name, secret_file, peer_tls) = (name?, secret_file?, peer_tls?);
    let (forget_after, access) = (forget_after?, access?.value);
    Ok(Herd {
        name,
        secret_file,
        peer_tls,
        forget_after,
        access,
        log,
        journal,
        http,
        tls,
        limits,
        places,
        nodes,
    })
}

fn node_of(node: StatedNode, mut links: Vec<NodeId>) -> Found<Node> {
    links.sort_unstable();
    let value = |address: Option<At<Address>>| address.map(|at| at.value);
    let listen = node.listen?.value;
    let address = value(node.address?).unwrap_or_else(|| listen.clone());
    let (tls_listen, http) = (value(node.tls_listen?), value(node.http?));
    let plain_listen = value(node.plain_listen?);
    Ok(Node {
        id: node.id?.value,
        listen,
        address,
        tls_listen,
        http,
        plain: node.plain?,
        plain_listen,
        links,
    })
}

/// A node that serves TLS shows a certificate.
fn what_serves_tls_has_a_certificate(stated: &Stated, faults: &Faults) {
    let Ok(tls) = &stated.tls else { return };
    if tls.certificate_file.is_some() {
        return;
    }
    let is_https = stated.http.as_ref().is_ok_and(|http| http.tls);
    for node in &stated.nodes {
        let https = node.http.iter().flatten().filter(|_| is_https).map(|at| (at, "http"));
        let lines = node.tls_listen.iter().flatten().map(|at| (at, "tls_listen"));
        for (At { line, .. }, key) in lines.chain(https) {
            faults.note(*line, Fault::NoCertificate { id: node.name(), key });
        }
    }
}

/// Whether peers speak TLS. Without a secret nothing would say to whom.
fn peer_tls(stated: &Stated, faults: &Faults) -> Found<PeerTls> {
    let Some(At { line, value: mode }) = stated.peer_tls.as_ref().map_err(|noted| *noted)? else {
        let is_secret = !matches!(stated.secret_file, Ok(None));
        return Ok(if is_secret { PeerTls::Required } else { PeerTls::Off });
    };
    match &stated.secret_file {
        Ok(None) if *mode != PeerTls::Off => Err(faults.note(*line, Fault::TlsWithoutSecret { mode: *mode })),
        _ => Ok(*mode),
    }
}

/// The links, as far as they are known.
struct Links {
    /// Each node's neighbours, as indices; every one of them has the node among its own.
    of: Vec<BTreeSet<usize>>,
    /// Whether these are all.
    are_all: Found<()>,
}

/// Whether every node has an id, and one of its own.
fn ids_differ(nodes: &[StatedNode], faults: &Faults) -> Found<()> {
    let mut differ = Ok(());
    for (at, node) in nodes.iter().enumerate() {
        let id = match &node.id {
            Ok(id) => id,
            Err(noted) => {
                differ = Err(*noted);
                continue;
            }
        };
        let mut before = nodes[..at].iter().filter_map(|other| other.id.as_ref().ok());
        if let Some(first) = before.find(|other| other.value == id.value) {
            let fault = Fault::DuplicateId { id: id.value.to_string(), first_line: first.line };
            differ = Err(faults.note(id.line, fault));
        }
    }
    differ
}

/// Where nothing proves who connects, only this machine's users may. One fault, the lack of a secret, wherever it shows.
fn on_loopback(nodes: &[StatedNode], faults: &Faults) {
    let mut addresses = nodes.iter().flat_map(StatedNode::addresses);
    if let Some(At { line, value }) = addresses.find(|address| !address.value.is_loopback()) {
        faults.note(*line, Fault::BeyondLoopback { address: value.to_string() });
    }
}

/// Beyond loopback it is said who clients are. One fault, wherever it shows.
fn clients_are_said(nodes: &[StatedNode], access: &Found<At<AccessConfig>>, faults: &Faults) {
    let Ok(At { value: access, .. }) = access else { return };
    let own = nodes.iter().filter(|node| matches!(node.plain, Ok(None)));
    let mut addresses = own.flat_map(StatedNode::addresses);
    if !access.says_who()
        && let Some(At { line, value }) = addresses.find(|address| !address.value.is_loopback())
    {
        faults.note(*line, Fault::ClientsUnsaid { address: value.to_string() });
    }
}

fn tokens_have_a_file(access: &Found<At<AccessConfig>>, faults: &Faults) {
    if let Ok(At { line, value: access }) = access
        && !access.is_open()
        && access.tokens_file.is_none()
    {
        faults.note(*line, Fault::NoTokensFile);
    }
}

fn addresses_differ(nodes: &[StatedNode], faults: &Faults) {
    for (at, node) in nodes.iter().enumerate() {
        for address in node.addresses() {
            let others =
                nodes[..at].iter().flat_map(|other| other.addresses().map(move |taken| (other, taken)));
            // What it is dialled at may be where it listens; its web face is a socket of its own.
            let http = node.http.as_ref().ok().and_then(Option::as_ref);
            let is_http = http.is_some_and(|http| std::ptr::eq(http, address));
            let dialled = node.address.iter().flatten();
            let own = node.listen.iter().chain(dialled).filter(|_| is_http);
            let others = others.chain(own.map(|taken| (node, taken)));
            let mut clashes = others.filter(|(_, taken)| taken.value.clashes_with(&address.value));
            if let Some((other, taken)) = clashes.next() {
                let fault = Fault::DuplicateAddress {
                    id: node.name(),
                    address: address.value.to_string(),
                    other: other.name(),
                    first_line: taken.line,
                };
                faults.note(address.line, fault);
            }
        }
    }
}

fn links(nodes: &[StatedNode], are_ids_sound: Found<()>, faults: &Faults) -> Links {
    let mut links = Links { of: vec![BTreeSet::new(); nodes.len()], are_all: are_ids_sound };
    let ids = || nodes.iter().filter_map(|node| Some(node.id.as_ref().ok()?.value.as_str()));
    let position = |link: &At<String>| {
        nodes.iter().position(|node| node.id.as_ref().is_ok_and(|id| id.value.as_str() == link.value))
    };
    for (at, node) in nodes.iter().enumerate() {
        links.are_all = links.are_all.and(node.has_all_links);
        for link in &node.links {
            let fault = match position(link) {
                Some(peer) if peer != at => {
                    links.of[at].insert(peer);
                    links.of[peer].insert(at);
                    continue;
                }
                Some(_) => Fault::SelfLink { id: node.name() },
                // The node may be one of those whose id is at fault.
                None if are_ids_sound.is_err() => continue,
                None => {
                    let nearest = nearest(&link.value, ids()).map(str::to_owned);
                    let nodes = ids().collect::<Vec<_>>().join(", ");
                    Fault::UnknownLink { id: node.name(), peer: link.value.clone(), nearest, nodes }
                }
            };
            links.are_all = Err(faults.note(link.line, fault));
        }
    }
    links
}

/// Where the linked nodes are dialled.
fn dialled<'n>(
    nodes: &'n [StatedNode],
    links: &Links,
) -> impl Iterator<Item = (&'n StatedNode, &'n At<Address>)> {
    nodes.iter().zip(&links.of).filter(|(_, links)| !links.is_empty()).filter_map(|(node, _)| {
        let listen = node.listen.as_ref().ok();
        Some((node, node.address.as_ref().ok()?.as_ref().or(listen)?))
    })
}

fn linked_nodes_have_ports(nodes: &[StatedNode], links: &Links, faults: &Faults) {
    for (node, At { line, .. }) in dialled(nodes, links).filter(|(_, address)| address.value.port == 0) {
        faults.note(*line, Fault::PortZero { id: node.name() });
    }
}

fn linked_nodes_lead_somewhere(nodes: &[StatedNode], links: &Links, faults: &Faults) {
    let nowhere = |address: &Address| address.port != 0 && address.is_everywhere();
    for (node, At { line, value }) in dialled(nodes, links).filter(|(_, address)| nowhere(&address.value)) {
        faults.note(*line, Fault::Everywhere { id: node.name(), address: value.to_string() });
    }
}

/// Each of this program's nodes that has a plain neighbour listens for it, and no other does.
fn plain_neighbours_are_heard(nodes: &[StatedNode], links: &Links, faults: &Faults) {
    for (node, peers) in nodes.iter().zip(&links.of).filter(|(node, _)| matches!(node.plain, Ok(None))) {
        let mut plain =
            peers.iter().map(|&peer| &nodes[peer]).filter(|peer| matches!(peer.plain, Ok(Some(_))));
        let are_peers_known = links.are_all.is_ok() && peers.iter().all(|&peer| nodes[peer].plain.is_ok());
        match (&node.plain_listen, plain.next()) {
            (Ok(None), Some(peer)) => {
                faults.note(node.line, Fault::NoPlainListen { id: node.name(), peer: peer.name() });
            }
            (Ok(Some(At { line, .. })), None) if are_peers_known => {
                faults.note(*line, Fault::NeedlessPlainListen { id: node.name() });
            }
            _ => {}
        }
    }
}

fn in_one_piece(nodes: &[StatedNode], ids: &[NodeId], links: &Links, faults: &Faults) {
    let (mut reached, mut open) = (BTreeSet::from([0]), vec![0]);
    while let Some(node) = open.pop() {
        open.extend(links.of[node].iter().copied().filter(|&peer| reached.insert(peer)));
    }
    let (reached, cut_off): (Vec<_>, Vec<_>) = (0..ids.len()).partition(|node| reached.contains(node));
    let Some(&first) = cut_off.first() else { return };
    let [reached, cut_off] = [reached, cut_off]
        .map(|piece| piece.into_iter().map(|node| ids[node].as_str()).collect::<Vec<_>>().join(", "));
    faults.note(nodes[first].line, Fault::Split { reached, cut_off });
}
