//! `herd forget`: has the herd forget clients. One node of each part is enough, since it tells the others; third-party
//! nodes, which may join the parts, know nothing of forgetting.

use std::{ffi::OsString, io, os::unix::ffi::OsStrExt};

use super::{
    CommandError, Common, complain,
    exposure::Exposure,
    node, print, printable, send,
    tls_flags::{self, TlsFlags},
    token_flag::TokenFlag,
};
use crate::{
    config::{Herd, Node},
    core::{
        access::Token,
        model::{ClientId, NodeId},
        wire::write_forgotten,
    },
    transport::Trust,
};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  herd forget kiwi.cs.ucla.edu                   tells the first node that can be reached
  herd forget kiwi tui --node Ball               tells that one
  herd forget kiwi --ca authority.pem --token-file ops.token

The node tells the others, and those that are down once they are back. Where only third-party nodes
join parts of the herd, a node of each part is told. Reports that are newer than what was forgotten
make the client known again. Logs keep what they have, and so do backups. It needs an operator's
token, but for a herd that is open and stays on loopback.

Exits 0 once a node of each part has forgotten them, or that of --node, and 1 otherwise.")]
pub(super) struct Args {
    /// Whom to forget, known or not.
    #[arg(value_name = "CLIENT", required = true)]
    clients: Vec<OsString>,
    /// The node to tell; without it, of each part of the herd the first of the configuration that can be reached.
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
    #[command(flatten)]
    tls: TlsFlags,
    #[command(flatten)]
    token: TokenFlag,
}

/// For all of it, at each node that is tried.
const ASKING_SECONDS: f64 = 10.0;

pub(super) fn run(args: &Args, common: &Common) -> Result<(), CommandError> {
    let clients: Vec<_> = args.clients.iter().map(client).collect::<Result<_, _>>()?;
    let token = args.token.read()?;
    let herd = common.herd()?;
    let mut lines = Vec::new();
    for client in &clients {
        lines.extend_from_slice(b"FORGET ");
        lines.extend_from_slice(client.as_bytes());
        lines.push(b'\n');
    }
    let trust = args.tls.trust().map_err(CommandError::Usage)?;
    let parts = to_tell(&herd, args.node.as_deref())?;
    // Before anybody is told: it is the command that would be wrong.
    for node in parts.iter().flat_map(|part| &part.tried) {
        tls_flags::address(node, trust.as_ref())?;
    }
    let exposure = Exposure {
        whom: args.node.as_deref().unwrap_or(&herd.name),
        shows_token: token.is_some(),
        trust: trust.as_ref(),
        is_beyond_loopback: parts.iter().flat_map(|part| &part.tried).any(|node| !node.address.is_loopback()),
        cure: tls_flags::CURE,
    };
    exposure.warning().iter().for_each(|line| complain(line));
    let mut failures = Vec::new();
    for part in parts {
        match part.tell(&herd, &clients, (&lines, token.as_ref(), trust.as_ref())) {
            Ok(told) => print(told.as_bytes())?,
            Err(failure) => failures.push(failure),
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(CommandError::Failed(failures.join("; "))) }
}

fn client(text: &OsString) -> Result<ClientId<'_>, CommandError> {
    let unfit = || {
        let shown = printable::text_of(text.as_bytes());
        CommandError::Usage(format!("{shown:?} is no client's id, which is not empty and has no white space"))
    };
    ClientId::new(text.as_bytes()).ok_or_else(unfit)
}

/// Nodes that tell each other: if one of them forgets a client, all of them do.
struct HerdPart<'h> {
    /// All of them.
    ids: Vec<&'h NodeId>,
    /// Those to try, in their order.
    tried: Vec<&'h Node>,
    /// Whether the herd has no other part.
    is_all: bool,
}

/// The parts of the herd of which a node is to be told.
fn to_tell<'h>(herd: &'h Herd, named: Option<&str>) -> Result<Vec<HerdPart<'h>>, CommandError> {
    let named = named.map(|name| node::known(herd, name)).transpose()?;
    if let Some(Node { id, plain: Some(_), .. }) = named {
        let text = format!("{id} is a third-party node, which cannot be told to forget; name another");
        return Err(CommandError::Usage(text));
    }
    let pieces = herd.pieces();
    let is_all = pieces.len() == 1;
    let is_wanted = |ids: &Vec<&NodeId>| named.is_none_or(|node| ids.contains(&&node.id));
    let part = |ids: Vec<&'h NodeId>| {
        let all = || ids.iter().filter_map(|id| herd.node(id.as_str())).collect();
        let tried = named.map_or_else(all, |node| vec![node]);
        HerdPart { ids, tried, is_all }
    };
    Ok(pieces.into_iter().filter(is_wanted).map(part).collect())
}

impl HerdPart<'_> {
    /// Tells the first of its nodes that can be reached. Returns what to print, or what went wrong.
    fn tell(
        &self,
        herd: &Herd,
        clients: &[ClientId<'_>],
        (lines, token, trust): (&[u8], Option<&Token>, Option<&Trust>),
    ) -> Result<String, String> {
        let mut failed = None;
        for node in &self.tried {
            let address = tls_flags::address(node, trust).map_err(|fault| fault.to_string())?;
            match send::ask((&address, trust), token, lines.to_vec(), ASKING_SECONDS) {
                Err(error) => failed = Some((*node, error)),
                Ok(Err(fault)) => {
                    return Err(format!("{}: {fault}; to forget a client twice does no harm", node.id));
                }
                Ok(Ok(replies)) => return self.told(node, clients, &replies),
            }
        }
        Err(self.unreached(herd, failed))
    }

    /// What to print once the node has answered, or whom it did not forget.
    fn told(&self, node: &Node, clients: &[ClientId<'_>], replies: &[u8]) -> Result<String, String> {
        let kept = kept(clients, replies);
        let (id, others) = (&node.id, self.others());
        match (kept.is_empty(), clients.len()) {
            (true, 1) => Ok(format!("{id} has forgotten 1 client{others}\n")),
            (true, count) => Ok(format!("{id} has forgotten {count} clients{others}\n")),
            (false, _) => Err(format!(
                "{id} does not forget {}; it does so for an operator's token (--token-file), or for anyone if it is open and all \
                 its addresses are loopback, and not while its journal cannot be written: its log says which it is",
                kept.join(", ")
            )),
        }
    }

    fn others(&self) -> &'static str {
        match (self.ids.len(), self.is_all) {
            (..=1, _) => "",
            (_, true) => ", and tells the other nodes",
            (_, false) => ", and tells the other nodes of its part of the herd",
        }
    }

    fn unreached(&self, herd: &Herd, failed: Option<(&Node, io::Error)>) -> String {
        let name = &herd.name;
        let whom =
            if self.is_all { name.clone() } else { format!("the part of {name} with {}", shown(&self.ids)) };
        match failed {
            None => format!("{whom} has no node that could be told"),
            Some((node, error)) => format!(
                "no node of {whom} can be reached, {} at {} for one: {error}; is it up? herd up starts the whole herd",
                node.id, node.address
            ),
        }
    }
}

/// So many ids are named; of more, how many there are.
const SHOWN_IDS_MAX: usize = 5;

fn shown(ids: &[&NodeId]) -> String {
    let mut named: Vec<_> = ids.iter().take(SHOWN_IDS_MAX).map(ToString::to_string).collect();
    if ids.len() > SHOWN_IDS_MAX {
        named.push(format!("{} more", ids.len() - SHOWN_IDS_MAX));
    }
    named.join(", ")
}

/// Which of the clients the node has not forgotten.
fn kept(clients: &[ClientId<'_>], replies: &[u8]) -> Vec<String> {
    let mut came = replies.split(|&byte| byte == b'\n');
    let mut kept = Vec::new();
    for client in clients {
        let mut due = Vec::new();
        write_forgotten(*client, &mut due);
        if came.next() != Some(&due) {
            kept.push(printable::text_of(client.as_bytes()));
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_the_node_has_not_forgotten_is_said() {
        let herd = Herd::embedded();
        let (node, parts) = (&herd.nodes[0], to_tell(&herd, None).unwrap());
        let told =
            |clients: &[_], replies: &[u8]| parts[0].told(node, clients, replies).unwrap_or_else(|why| why);
        let ids = [&b"kiwi"[..], b"t\xffi"].map(|id| ClientId::new(id).unwrap());
        let one = told(&ids[..1], b"FORGOT kiwi\n");
        assert_eq!(one, format!("{} has forgotten 1 client, and tells the other nodes\n", node.id));
        assert!(told(&ids, b"FORGOT kiwi\nFORGOT t\xffi\n").contains("has forgotten 2 clients"));
        let kept = told(&ids, b"FORGOT kiwi\n? FORGET t\xffi\n");
        assert!(
            kept.starts_with(&format!("{} does not forget t\\xffi; it does so for an", node.id)),
            "{kept}"
        );
        assert!(told(&ids, b"").contains("does not forget kiwi, t\\xffi; "));
    }

    #[test]
    fn ids_with_white_space_are_refused_before_anyone_is_told() {
        for id in ["", "a b", "a\n", "\t"] {
            let refused = client(&OsString::from(id)).unwrap_err();
            assert!(matches!(refused, CommandError::Usage(_)), "{id:?}: {refused}");
        }
        assert_eq!(client(&OsString::from("kiwi")).unwrap().as_bytes(), b"kiwi");
    }

    #[test]
    fn third_party_nodes_are_not_told() {
        let mut herd = Herd::embedded();
        herd.nodes[0].plain = Some(crate::core::wire::PlainForm::default());
        let id = herd.nodes[0].id.clone();
        assert!(to_tell(&herd, None).unwrap().iter().flat_map(|part| &part.tried).all(|node| node.id != id));
        let refused = to_tell(&herd, Some(id.as_str())).err().unwrap();
        assert!(refused.to_string().contains("third-party node"), "{refused}");
        let named = to_tell(&herd, Some(herd.nodes[1].id.as_str())).unwrap();
        let [HerdPart { tried, .. }] = &named[..] else { panic!() };
        assert_eq!(tried.iter().map(|node| &node.id).collect::<Vec<_>>(), [&herd.nodes[1].id]);
    }

    #[test]
    fn node_of_each_part_is_told_and_says_whom_it_tells() {
        let node = |id: &str, port: u16, more: &str| {
            format!("[[node]]\nid = \"{id}\"\nlisten = \"127.0.0.1:{port}\"\n{more}\n")
        };
        let text = "[herd]\nname = \"h\"\n".to_owned()
            + &node("A", 1, "plain_listen = \"127.0.0.1:11\"\nlinks = [\"B\"]")
            + &node("B", 2, "")
            + &node("P", 3, "dialect = \"plain\"\nlinks = [\"A\", \"C\"]")
            + &node("C", 4, "plain_listen = \"127.0.0.1:14\"");
        let herd = Herd::parse(&text, "h.toml").unwrap();
        let kiwi = ClientId::new(b"kiwi").unwrap();
        let told = |part: &HerdPart<'_>| part.told(part.tried[0], &[kiwi], b"FORGOT kiwi\n").unwrap();
        let all: Vec<_> = to_tell(&herd, None).unwrap().iter().map(told).collect();
        let part = "has forgotten 1 client, and tells the other nodes of its part of the herd\n";
        assert_eq!(all, [format!("A {part}"), "C has forgotten 1 client\n".to_owned()]);
        let named: Vec<_> = to_tell(&herd, Some("B")).unwrap().iter().map(told).collect();
        assert_eq!(named, [format!("B {part}")]);
        let error = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let parts = to_tell(&herd, None).unwrap();
        let unreached = parts[0].unreached(&herd, Some((parts[0].tried[1], error())));
        assert!(
            unreached
                .starts_with("no node of the part of h with A, B can be reached, B at 127.0.0.1:2 for one: ")
        );
        let id = NodeId::new("N").unwrap();
        assert_eq!(shown(&[&id; 5]), "N, N, N, N, N");
        assert_eq!(shown(&[&id; 7]), "N, N, N, N, N, 2 more");
    }
}
