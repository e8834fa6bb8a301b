//! `herd node`: one node in the foreground, by hand or as a child of `herd up`.

use super::{CommandError, Common};
use crate::{
    config::{Herd, Node},
    core::model::NodeId,
    journal::JournalLack,
    server::{self, Lacking, StartError},
    text::{did_you_mean, nearest},
};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  herd node Alford                               listens, and links up with the neighbours that run
  herd node Hill --config config/2020.toml --log-dir /var/log/herd
  herd node Hill --config config/2020.toml --log-dir - | grep WARN

It prints `listening ADDRESS` and, as links come up, `linked PEER`.
With --log-dir - it prints its log instead, and those two are lines of it. Then
`file`, `events_file`, `file_bytes`, `files_kept` and what [log] says of the audit
log are not used: a container's runtime or systemd keeps what is printed.
SIGTERM or Ctrl-C drains it, a second signal ends it at once.
SIGHUP reopens its log, and has it read its tokens and its certificate again.
While it reads its journal there is nothing to drain, and the first ends it at once.")]
pub(super) struct Args {
    /// The node's id in the configuration.
    name: String,
    /// Drain when standard input ends too. How `herd up` leaves nothing behind, however it ends.
    #[arg(long, hide = true)]
    lifeline: bool,
}

pub(super) fn run(args: &Args, common: &Common) -> Result<(), CommandError> {
    let herd = common.herd()?;
    let node = known(&herd, &args.name)?;
    if node.plain.is_some() {
        let id = &node.id;
        return Err(CommandError::Usage(format!(
            "{id} is a third-party node (dialect \"plain\"); start its own program"
        )));
    }
    let id = node.id.clone();
    let ended = server::run_node(&herd, &id, &common.log_dir(), args.lifeline);
    let lacking = ended.map_err(|error| match error {
        StartError::Secret(error) => error.into(),
        StartError::Tokens(error) => error.into(),
        StartError::Places(error) => error.into(),
        StartError::Certificate(error) => CommandError::Usage(error.to_string()),
        // What restarting does not change.
        StartError::Journal(error) if error.is_of_the_folder() => CommandError::Usage(error.to_string()),
        error => CommandError::Failed(error.to_string()),
    })?;
    if lacking.is_nothing() {
        return Ok(());
    }
    Err(CommandError::Failed(left_undone(&id, &lacking)))
}

fn left_undone(id: &NodeId, lacking: &Lacking) -> String {
    let names = lacking.neighbours.iter().map(NodeId::as_str).collect::<Vec<_>>().join(", ");
    let more = match lacking.journal {
        // No time would have helped.
        Some(JournalLack::AllSincePanic) if names.is_empty() => "",
        _ => ", and a longer drain_seconds gives more time",
    };
    match lacking.journal {
        None => {
            format!("{id} has ended, and {names} did not take all it knew; its log says how much{more}")
        }
        Some(lack) if names.is_empty() => {
            format!("{id} has ended, and its journal {lack}; its log says why{more}")
        }
        Some(lack) => format!(
            "{id} has ended, {names} did not take all it knew, and its journal {lack}; its log says why{more}"
        ),
    }
}

/// The node called `name`, or a refusal that asks for the nearest name and lists them all.
pub(super) fn known<'h>(herd: &'h Herd, name: &str) -> Result<&'h Node, CommandError> {
    if let Some(node) = herd.node(name) {
        return Ok(node);
    }
    let names: Vec<_> = herd.nodes.iter().map(|node| node.id.as_str()).collect();
    let meant = did_you_mean(nearest(name, names.iter().copied()));
    let (herd, names) = (&herd.name, names.join(", "));
    Err(CommandError::Usage(format!("{herd} has no node {name:?}{meant}; its nodes are {names}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_end_left_undone_is_told_in_one_line() {
        let id = |name: &str| NodeId::new(name).unwrap();
        let told = |neighbours: &[&str], journal| {
            let neighbours = neighbours.iter().map(|name| id(name)).collect();
            left_undone(&id("Ball"), &Lacking { neighbours, journal })
        };
        let end = ", and a longer drain_seconds gives more time";
        assert_eq!(
            told(&["Alford", "Welsh"], None),
            format!("Ball has ended, and Alford, Welsh did not take all it knew; its log says how much{end}")
        );
        let journal = "its journal lacks 7 bytes of the last changes; its log says why";
        let seven = Some(JournalLack::Bytes(7));
        assert_eq!(told(&[], seven), format!("Ball has ended, and {journal}{end}"));
        let both = format!("Ball has ended, Welsh did not take all it knew, and {journal}{end}");
        assert_eq!(told(&["Welsh"], seven), both);
        let some = "its journal lacks some of the last changes; its log says why";
        assert_eq!(told(&[], Some(JournalLack::Uncounted)), format!("Ball has ended, and {some}{end}"));
        assert_eq!(
            told(&[], Some(JournalLack::AllSincePanic)),
            "Ball has ended, and its journal lacks all changes since its thread panicked, which is a bug; its log says why"
        );
    }
}
