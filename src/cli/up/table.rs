//! What `herd up` prints once the herd is up: the nodes, and what to type next.

use std::{
    ffi::{OsStr, OsString},
    fmt::Write,
    num::NonZeroU16,
    path::{Path, PathBuf},
};

use super::Plan;
use crate::{
    cli::printable,
    config::{Herd, PlacesSource},
    text::{plural, shell_quoted, shell_word},
};

/// Nodes with `addresses` in the order of the configuration, links, logs and lines to try.
pub(super) fn up_text(plan: &Plan<'_>, addresses: &[String]) -> String {
    let herd = plan.herd;
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{} is up: {}", herd.name, counts(herd));
    out.push('\n');
    let links = |node: &crate::config::Node| {
        node.links.iter().map(crate::core::model::NodeId::as_str).collect::<Vec<_>>().join(", ")
    };
    let nodes = herd.nodes.iter().zip(addresses);
    let rows = nodes.map(|(node, address)| [node.id.to_string(), address.clone(), links(node)]);
    let rows: Vec<_> =
        std::iter::once(["NODE", "ADDRESS", "LINKED TO"].map(str::to_owned)).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let (id_width, address_width) = (width(0), width(1));
    for [id, address, links] in &rows {
        let row = format!("  {id:id_width$}  {address:address_width$}  {links}");
        let _ = writeln!(out, "{}", row.trim_end());
    }
    let _ = writeln!(out, "\nLogs: {}", printable::one_line(&plan.log_dir.display().to_string()));
    let kept = match &herd.journal.dir {
        Some(dir) => format!("Kept over a stop, in {}", printable::one_line(&dir.display().to_string())),
        None => "Nothing is kept over a stop; --data-dir DIR keeps what the nodes know".to_owned(),
    };
    let _ = writeln!(out, "{kept}");
    if plan.is_piped {
        let _ = writeln!(
            out,
            "The configuration came through a pipe, and is there for as long as this runs: until then,"
        );
        let _ =
            writeln!(out, "a node that has ended can be brought back by the command that is printed then.");
    }
    let _ = writeln!(out, "{} To try it, in another terminal in this folder:\n", plan.ending);
    let (first, last) = (&herd.nodes[0].id, &herd.nodes[herd.nodes.len() - 1].id);
    let send = |id: &str, line: &str| format!("  {} {}\n", typed(plan, &["send", id]), shell_quoted(line));
    out.push_str(&send(first.as_str(), "IAMAT kiwi.cs.ucla.edu +34.068930-118.445127 1479413884.392014450"));
    if herd.places.source != PlacesSource::None {
        out.push_str(&send(last.as_str(), "WHATSAT kiwi.cs.ucla.edu 10 5"));
    }
    if herd.nodes.iter().any(|node| node.http.is_some()) {
        let _ = writeln!(out, "  {}", typed(plan, &["status"]));
    }
    out
}

/// A subcommand of this herd as the user would type it where this runs.
fn typed(plan: &Plan<'_>, words: &[&str]) -> String {
    command(plan.typed, words, plan.typed_config, plan.base_port, &[])
}

/// The same so that it does the same in any folder and any terminal, with the same log directory.
pub(super) fn cure(plan: &Plan<'_>, words: &[&str]) -> String {
    let absolute = |dir: &Path| std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let mut dirs = vec![("--log-dir", absolute(plan.log_dir))];
    dirs.extend(plan.data_dir.map(|dir| ("--data-dir", absolute(dir))));
    let command = command(plan.callable.as_os_str(), words, plan.config, plan.base_port, &dirs);
    // No flag names the built-in herd, and the other terminal may name another in its environment.
    if plan.config.is_none() { format!("env HERD_CONFIG= {command}") } else { command }
}

fn command(
    program: &OsStr,
    words: &[&str],
    config: Option<&Path>,
    base_port: Option<NonZeroU16>,
    dirs: &[(&str, PathBuf)],
) -> String {
    let mut typed: Vec<OsString> = vec![program.to_owned()];
    typed.extend(words.iter().map(OsString::from));
    let base_port = base_port.map(|port| OsString::from(port.to_string()));
    let flags = [("--config", config.map(|path| path.as_os_str().to_owned())), ("--base-port", base_port)];
    let dirs = dirs.iter().map(|(flag, dir)| (*flag, Some(dir.as_os_str().to_owned())));
    for (flag, value) in flags.into_iter().chain(dirs) {
        typed.extend(value.into_iter().flat_map(|value| [flag.into(), value]));
    }
    typed.iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" ")
}

fn counts(herd: &Herd) -> String {
    let ends: usize = herd.nodes.iter().map(|node| node.links.len()).sum();
    let (nodes, links) = (herd.nodes.len(), ends / 2);
    format!("{nodes} node{}, {links} link{}", plural(nodes), plural(links))
}
