//! `herd check-config`: is this configuration sound, and what is in force with it?

use std::io::{self, Write};

use super::{Common, Failure, check_files, complain, printable};
use crate::config::{Herd, PlacesSource};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  herd check-config                              the built-in herd
  herd check-config --config config/2020.toml
  herd check-config > my.toml                    a file to start from; then herd up --config my.toml")]
pub(super) struct Args {}

pub(super) fn run(_: &Args, common: &Common) -> Result<(), Failure> {
    let herd = common.herd()?;
    check_files(&herd)?;
    let origin = match &common.config {
        Some(file) => file.display().to_string(),
        None => format!("{}, built in", Herd::EMBEDDED_FILE),
    };
    let mut out = io::stdout().lock();
    write!(out, "{}", effective(&herd, &origin))?;
    out.flush()?;
    for node in herd.nodes.iter().filter(|node| node.plain_listen.is_some()) {
        complain(&format!("{}: {OPEN_TO_PLAIN}", node.id));
    }
    if herd.places.source == PlacesSource::None {
        complain(&format!("{}: {NO_PLACES}", herd.name));
    }
    Ok(())
}

const OPEN_TO_PLAIN: &str = "whoever connects to its plain_listen from a plain neighbour's address can write to the herd; nothing proves who it is";

const NO_PLACES: &str = "WHATSAT is refused, with `? ` and its copy, as [places] source is \"none\"; write \"embedded\" for places";

fn effective(herd: &Herd, origin: &str) -> String {
    // A newline in a file's name must not end the comment.
    let origin = printable::one_line(origin);
    format!("# The effective configuration, from {origin}\n\n{}", herd.to_toml())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_the_same_herd() {
        let herd = Herd::embedded();
        let text = effective(&herd, "odd\nname.toml");
        assert!(
            text.starts_with("# The effective configuration, from odd\\x0aname.toml\n\n[herd]\n"),
            "{text}"
        );
        assert_eq!(Herd::parse(&text, "again").unwrap(), herd);
    }
}
