//! `herd check-config`: is this configuration sound, and what is in force with it?

use std::io::{self, Write};

use super::{CommandError, Common, check_files, complain, printable};
use crate::{
    config::{Herd, PlacesSource},
    core::model::NodeId,
    log::LogDir,
    places::Stock,
};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  herd check-config                              the built-in herd
  herd check-config --config config/2020.toml
  herd check-config --base-port 21600            the built-in herd with its ports moved
  herd check-config > my.toml                    a file to start from; then herd up --config my.toml")]
pub(super) struct Args {}

pub(super) fn run(_: &Args, common: &Common) -> Result<(), CommandError> {
    let herd = common.herd()?;
    let stock = check_files(&herd)?;
    let origin = match &common.config {
        Some(file) => file.display().to_string(),
        None => format!("{}, built in", Herd::EMBEDDED_FILE),
    };
    let moved =
        common.base_port.map_or_else(String::new, |base| format!(", its ports moved to {base} and up"));
    let origin = origin + &moved;
    let mut out = io::stdout().lock();
    write!(out, "{}", effective(&herd, &origin, &stock))?;
    out.flush()?;
    if common.log_dir() == LogDir::StandardOutput {
        complain(&format!("{}: {TO_STANDARD_OUTPUT}", herd.name));
    }
    for node in herd.nodes.iter().filter(|node| node.plain_listen.is_some()) {
        complain(&format!("{}: {OPEN_TO_PLAIN}", node.id));
    }
    let pieces = herd.pieces();
    if let [first, rest @ ..] = &pieces[..]
        && !rest.is_empty()
    {
        let names = |piece: &[&NodeId]| piece.iter().map(|id| id.as_str()).collect::<Vec<_>>().join(", ");
        for piece in rest {
            complain(&format!("{} and {}: {JOINED_BY_PLAIN}", names(first), names(piece)));
        }
    }
    if herd.access.is_open() && herd.access.says_who() {
        complain(&format!("{}: {OPEN_TO_CLIENTS}", herd.name));
    }
    if herd.places.source == PlacesSource::None {
        complain(&format!("{}: {NO_PLACES}", herd.name));
    }
    Ok(())
}

const TO_STANDARD_OUTPUT: &str = "nodes log to standard output (--log-dir -): `file`, `events_file`, `file_bytes`, `files_kept` and what is said of the audit log in [log] are not used, and herd up takes a folder only";

const OPEN_TO_PLAIN: &str = "anyone who connects to its plain_listen from a third-party node's address can write to the herd; nothing proves who they are";

const OPEN_TO_CLIENTS: &str = "anyone who can connect may report for any client and ask for any, as [access] clients is \"open\"; write \"tokens\" for those with tokens only";

const JOINED_BY_PLAIN: &str = "only third-party nodes join them, so nothing repairs what differs: of two reports of one client with equal times each side keeps its own; link them directly, too";

const NO_PLACES: &str = "WHATSAT is refused, with `? ` and its copy, as [places] source is \"none\"; write \"embedded\" for places";

fn effective(herd: &Herd, origin: &str, stock: &[Stock]) -> String {
    let about = format!("The effective configuration, from {origin}");
    let places = stock.iter().map(|source| format!("Places: {}", source.line));
    // A newline in a file's name must not end the comment.
    let comment = |line: String| format!("# {}\n", printable::one_line(&line));
    let comments: String = std::iter::once(about).chain(places).map(comment).collect();
    format!("{comments}\n{}", herd.to_toml())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_the_same_herd() {
        let herd = Herd::embedded();
        let stock = [Stock { line: "5 in odd\nname.bin".to_owned(), is_empty: false }];
        let text = effective(&herd, "odd\nname.toml", &stock);
        let comments = "# The effective configuration, from odd\\x0aname.toml\n# Places: 5 in odd\\x0aname.bin\n\n[herd]\n";
        assert!(text.starts_with(comments), "{text}");
        assert_eq!(Herd::parse(&text, "again").unwrap(), herd);
    }
}
