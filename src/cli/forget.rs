//! `herd forget`: has a node forget clients. One node is enough, since it tells the others.

use std::{ffi::OsString, io, os::unix::ffi::OsStrExt};

use super::{CommandError, Common, node, print, printable, send, token_flag::TokenFlag};
use crate::{
    config::{Herd, Node},
    core::{model::ClientId, wire::write_forgotten},
};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  herd forget kiwi.cs.ucla.edu                   tells the first node that can be reached
  herd forget kiwi tui --node Ball               tells that one

The node tells the others, and those that are down once they are back. Reports that are newer than
what was forgotten make the client known again. Logs keep what they have, and so do backups.
It needs an operator's token, but for a herd that is open and stays on loopback.")]
pub(super) struct Args {
    /// Whom to forget, known or not.
    #[arg(value_name = "CLIENT", required = true)]
    clients: Vec<OsString>,
    /// The node to tell; without it, the first of the configuration that can be reached.
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
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
    let mut failed = None;
    for node in to_tell(&herd, args.node.as_deref())? {
        match send::ask(&node.address, token.as_ref(), lines.clone(), ASKING_SECONDS) {
            Err(error) => failed = Some((node, error)),
            Ok(Err(fault)) => {
                let text = format!("{}: {fault}; to forget a client twice does no harm", node.id);
                return Err(CommandError::Failed(text));
            }
            Ok(Ok(replies)) => return print(told(node, &clients, &replies)?.as_bytes()),
        }
    }
    Err(CommandError::Failed(unreached(&herd, failed)))
}

fn client(text: &OsString) -> Result<ClientId<'_>, CommandError> {
    let unfit = || {
        let shown = printable::text_of(text.as_bytes());
        CommandError::Usage(format!("{shown:?} is no client's id, which is not empty and has no white space"))
    };
    ClientId::new(text.as_bytes()).ok_or_else(unfit)
}

/// The nodes to try, in their order. Third-party nodes know nothing of forgetting.
fn to_tell<'h>(herd: &'h Herd, named: Option<&str>) -> Result<Vec<&'h Node>, CommandError> {
    let Some(name) = named else {
        return Ok(herd.nodes.iter().filter(|node| node.plain.is_none()).collect());
    };
    let node = node::known(herd, name)?;
    if node.plain.is_some() {
        let text = format!("{name} is a third-party node, which cannot be told to forget; name another");
        return Err(CommandError::Usage(text));
    }
    Ok(vec![node])
}

/// What to print once the node has answered, or whom it did not forget.
fn told(node: &Node, clients: &[ClientId<'_>], replies: &[u8]) -> Result<String, CommandError> {
    let mut came = replies.split(|&byte| byte == b'\n');
    let mut kept = Vec::new();
    for client in clients {
        let mut due = Vec::new();
        write_forgotten(*client, &mut due);
        if came.next() != Some(&due) {
            kept.push(printable::text_of(client.as_bytes()));
        }
    }
    let id = &node.id;
    match (kept.is_empty(), clients.len()) {
        (true, 1) => Ok(format!("{id} has forgotten 1 client, and tells the other nodes\n")),
        (true, count) => Ok(format!("{id} has forgotten {count} clients, and tells the other nodes\n")),
        (false, _) => Err(CommandError::Failed(format!(
            "{id} does not forget {}; it does so for an operator's token (--token-file), or for anyone if it is open and all \
             its addresses are loopback, and not while its journal cannot be written: its log says which it is",
            kept.join(", ")
        ))),
    }
}

fn unreached(herd: &Herd, failed: Option<(&Node, io::Error)>) -> String {
    let name = &herd.name;
    match failed {
        None => format!("{name} has no node that could be told"),
        Some((node, error)) => format!(
            "no node of {name} can be reached, {} at {} for one: {error}; is it up? herd up starts the whole herd",
            node.id, node.address
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(result: Result<String, CommandError>) -> String {
        result.unwrap_or_else(|error| error.to_string())
    }

    #[test]
    fn whom_the_node_has_not_forgotten_is_said() {
        let herd = Herd::embedded();
        let node = &herd.nodes[0];
        let ids = [&b"kiwi"[..], b"t\xffi"].map(|id| ClientId::new(id).unwrap());
        let one = text(told(node, &ids[..1], b"FORGOT kiwi\n"));
        assert_eq!(one, format!("{} has forgotten 1 client, and tells the other nodes\n", node.id));
        assert!(text(told(node, &ids, b"FORGOT kiwi\nFORGOT t\xffi\n")).contains("has forgotten 2 clients"));
        let kept = text(told(node, &ids, b"FORGOT kiwi\n? FORGET t\xffi\n"));
        assert!(
            kept.starts_with(&format!("{} does not forget t\\xffi; it does so for an", node.id)),
            "{kept}"
        );
        assert!(text(told(node, &ids, b"")).contains("does not forget kiwi, t\\xffi; "));
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
        assert!(to_tell(&herd, None).unwrap().iter().all(|node| node.id != id));
        assert!(to_tell(&herd, Some(id.as_str())).unwrap_err().to_string().contains("third-party node"));
        assert_eq!(to_tell(&herd, Some(herd.nodes[1].id.as_str())).unwrap().len(), 1);
    }
}
