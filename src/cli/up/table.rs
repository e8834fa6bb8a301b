//! What `herd up` prints once the herd is up: the nodes, and what to type next.

use std::{ffi::OsStr, fmt::Write, path::Path};

use super::Plan;
use crate::{
    cli::DEFAULT_LOG_DIR,
    config::{Herd, PlacesSource},
};

/// Nodes with `addresses` in the order of the configuration, links, logs and lines to try.
pub(super) fn up_text(plan: &Plan<'_>, addresses: &[String]) -> String {
    let herd = plan.herd;
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{} is up: {}", herd.name, counts(herd));
    out.push('\n');
    let links = |node: &crate::config::Node| {
        node.links.iter().map(crate::model::NodeId::as_str).collect::<Vec<_>>().join(", ")
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
    let _ = writeln!(out, "\nLogs: {}", plan.log_dir.display());
    let _ = writeln!(out, "Ctrl-C ends the herd. To try it, in another terminal:\n");
    let (first, last) = (&herd.nodes[0].id, &herd.nodes[herd.nodes.len() - 1].id);
    let send = |id: &str, line: &str| format!("  {} {}\n", typed(plan, &["send", id], false), quoted(line));
    out.push_str(&send(first.as_str(), "IAMAT kiwi.cs.ucla.edu +34.068930-118.445127 1479413884.392014450"));
    if herd.places.source != PlacesSource::None {
        out.push_str(&send(last.as_str(), "WHATSAT kiwi.cs.ucla.edu 10 5"));
    }
    if herd.nodes.iter().any(|node| node.http.is_some()) {
        let _ = writeln!(out, "  {}", typed(plan, &["status"], false));
    }
    out
}

/// A subcommand of this herd as the user would type it, with the flags that it takes to mean the same herd and, where
/// `with_logs`, the same log directory.
pub(super) fn typed(plan: &Plan<'_>, words: &[&str], with_logs: bool) -> String {
    let mut typed: Vec<_> =
        std::iter::once(plan.typed).chain(words.iter().map(OsStr::new)).map(shell_word).collect();
    if let Some(config) = plan.config {
        typed.extend(["--config".to_owned(), shell_word(config.as_os_str())]);
    }
    if with_logs && plan.log_dir != Path::new(DEFAULT_LOG_DIR) {
        typed.extend(["--log-dir".to_owned(), shell_word(plan.log_dir.as_os_str())]);
    }
    typed.join(" ")
}

fn counts(herd: &Herd) -> String {
    let plural = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    let ends: usize = herd.nodes.iter().map(|node| node.links.len()).sum();
    format!("{}, {}", plural(herd.nodes.len(), "node"), plural(ends / 2, "link"))
}

fn shell_word(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@%+=,".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) { word.into_owned() } else { quoted(&word) }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
