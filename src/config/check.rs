//! From a herd's stated parts to a herd that cannot be wrong: ids, addresses and links are checked against each other.
//! Pure; the first fault in the order below is the one reported.

use std::collections::BTreeSet;

use super::{
    Address, Herd, Node,
    error::Fault,
    read::{At, Found, Stated, StatedNode},
};
use crate::core::model::NodeId;

/// Checks everything that takes more than one value to check, and closes the links.
pub(super) fn check(stated: Stated) -> Found<Herd> {
    let nodes = &stated.nodes;
    if nodes.is_empty() {
        return Err(At { line: 1, value: Fault::NoNodes });
    }
    ids_differ(nodes)?;
    addresses_differ(nodes)?;
    if stated.secret_file.is_none() {
        on_loopback(nodes)?;
    }
    let links = links(nodes)?;
    linked_nodes_can_be_dialled(nodes, &links)?;
    plain_neighbours_are_heard(nodes, &links)?;
    in_one_piece(nodes, &links)?;
    let Stated { name, secret_file, log, http, limits, places, nodes } = stated;
    let nodes = nodes.into_iter().zip(links).map(|(node, links)| {
        let listen = node.listen.value;
        let address = node.address.map_or_else(|| listen.clone(), |address| address.value);
        let [http, plain_listen] = [node.http, node.plain_listen].map(|address| address.map(|at| at.value));
        let (id, plain) = (node.id.value, node.plain);
        Node { id, listen, address, http, plain, plain_listen, links: links.into_iter().collect() }
    });
    let nodes = nodes.collect();
    Ok(Herd { name, secret_file, log, http, limits, places, nodes })
}

/// Each node's neighbours, by the node's index.
type Links = Vec<BTreeSet<NodeId>>;

fn ids_differ(nodes: &[StatedNode]) -> Found<()> {
    for (at, node) in nodes.iter().enumerate() {
        let id = &node.id;
        if let Some(first) = nodes[..at].iter().find(|other| other.id.value == id.value) {
            let fault = Fault::DuplicateId { id: id.value.to_string(), first_line: first.id.line };
            return Err(At { line: id.line, value: fault });
        }
    }
    Ok(())
}

fn addresses(node: &StatedNode) -> impl Iterator<Item = &At<Address>> {
    std::iter::once(&node.listen).chain(&node.address).chain(&node.http).chain(&node.plain_listen)
}

/// Where nothing proves who connects, only this machine's users may.
fn on_loopback(nodes: &[StatedNode]) -> Found<()> {
    match nodes.iter().flat_map(addresses).find(|address| !address.value.is_loopback()) {
        Some(At { line, value }) => {
            Err(At { line: *line, value: Fault::BeyondLoopback { address: value.to_string() } })
        }
        None => Ok(()),
    }
}

fn addresses_differ(nodes: &[StatedNode]) -> Found<()> {
    for (at, node) in nodes.iter().enumerate() {
        for address in addresses(node) {
            let others =
                nodes[..at].iter().flat_map(|other| addresses(other).map(move |taken| (other, taken)));
            // What it is dialled at may be where it listens; its web face is a socket of its own.
            let is_http = node.http.as_ref().is_some_and(|http| std::ptr::eq(http, address));
            let own = std::iter::once(&node.listen).chain(&node.address).filter(|_| is_http);
            let others = others.chain(own.map(|taken| (node, taken)));
            let mut clashes = others.filter(|(_, taken)| taken.value.clashes_with(&address.value));
            if let Some((other, taken)) = clashes.next() {
                let fault = Fault::DuplicateAddress {
                    id: node.id.value.to_string(),
                    address: address.value.to_string(),
                    other: other.id.value.to_string(),
                    first_line: taken.line,
                };
                return Err(At { line: address.line, value: fault });
            }
        }
    }
    Ok(())
}

fn links(nodes: &[StatedNode]) -> Found<Links> {
    let mut links: Links = vec![BTreeSet::new(); nodes.len()];
    for (at, node) in nodes.iter().enumerate() {
        let id = &node.id.value;
        for link in &node.links {
            let peer = nodes.iter().position(|other| other.id.value.as_str() == link.value);
            let fault = match peer {
                Some(peer) if peer != at => {
                    links[at].insert(nodes[peer].id.value.clone());
                    links[peer].insert(id.clone());
                    continue;
                }
                Some(_) => Fault::SelfLink { id: id.to_string() },
                None => {
                    let nodes = names(nodes.iter().map(|node| &node.id.value));
                    Fault::UnknownLink { id: id.to_string(), peer: link.value.clone(), nodes }
                }
            };
            return Err(At { line: link.line, value: fault });
        }
    }
    Ok(links)
}

fn linked_nodes_can_be_dialled(nodes: &[StatedNode], links: &Links) -> Found<()> {
    for (node, links) in nodes.iter().zip(links) {
        let dialled = node.address.as_ref().unwrap_or(&node.listen);
        let id = || node.id.value.to_string();
        let fault = match &dialled.value {
            _ if links.is_empty() => continue,
            address if address.port == 0 => Fault::PortZero { id: id() },
            address if address.is_everywhere() => {
                Fault::Everywhere { id: id(), address: address.to_string() }
            }
            _ => continue,
        };
        return Err(At { line: dialled.line, value: fault });
    }
    Ok(())
}

/// Each of this program's nodes that has a plain neighbour listens for it, and no other does.
fn plain_neighbours_are_heard(nodes: &[StatedNode], links: &Links) -> Found<()> {
    let is_plain = |peer: &NodeId| nodes.iter().any(|node| node.id.value == *peer && node.plain.is_some());
    for (node, links) in nodes.iter().zip(links).filter(|(node, _)| node.plain.is_none()) {
        let id = node.id.value.to_string();
        match (&node.plain_listen, links.iter().find(|peer| is_plain(peer))) {
            (None, Some(peer)) => {
                let fault = Fault::NoPlainListen { id, peer: peer.to_string() };
                return Err(At { line: node.id.line, value: fault });
            }
            (Some(At { line, .. }), None) => {
                return Err(At { line: *line, value: Fault::NeedlessPlainListen { id } });
            }
            (None, None) | (Some(_), Some(_)) => {}
        }
    }
    Ok(())
}

fn in_one_piece(nodes: &[StatedNode], links: &Links) -> Found<()> {
    let mut reached = BTreeSet::from([&nodes[0].id.value]);
    loop {
        let before = reached.len();
        for (node, links) in nodes.iter().zip(links) {
            if reached.contains(&node.id.value) {
                reached.extend(links);
            }
        }
        if reached.len() == before {
            break;
        }
    }
    let (reached, cut_off): (Vec<_>, Vec<_>) =
        nodes.iter().map(|node| &node.id).partition(|id| reached.contains(&id.value));
    let Some(first) = cut_off.first() else { return Ok(()) };
    let line = first.line;
    let [reached, cut_off] = [reached, cut_off].map(|piece| names(piece.into_iter().map(|id| &id.value)));
    Err(At { line, value: Fault::Split { reached, cut_off } })
}

fn names<'n>(ids: impl Iterator<Item = &'n NodeId>) -> String {
    ids.map(NodeId::as_str).collect::<Vec<_>>().join(", ")
}
