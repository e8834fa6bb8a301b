//! `man`: a manual page for a program and for each of its subcommands, made from what `--help` says. For this program and the
//! load tester.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::{Arg, Command, ValueHint, builder::Resettable};
use clap_mangen::{
    Man,
    roff::{Roff, roman},
};

/// What the subcommand is told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The directory for the pages; it is made if it is not there.
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    dir: PathBuf,
}

/// A page that could not be written; displays as one line.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot be written: {error}; make room there, or give another directory", .path.display())]
pub struct ManError {
    path: PathBuf,
    error: io::Error,
}

/// Writes the pages of a program, and says how to read them.
pub fn write(args: &Args, program: Command) -> Result<String, ManError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        |error| ManError { path, error }
    };
    fs::create_dir_all(&args.dir).map_err(failed(&args.dir))?;
    let first = args.dir.join(format!("{}.1", program.get_name()));
    let pages = pages(program).map_err(failed(&args.dir))?;
    for (name, page) in &pages {
        let path = args.dir.join(name);
        fs::write(&path, page).map_err(failed(&path))?;
    }
    // A path without a slash would be taken for the name of a page.
    let first = if first.components().count() == 1 { Path::new(".").join(first) } else { first };
    Ok(format!("{} pages; to read the first: man -l {}", pages.len(), first.display()))
}

/// Each page with the name of its file.
fn pages(program: Command) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut program = without_help(program);
    program.build();
    let source = format!("{} {}", program.get_name(), program.get_version().unwrap_or_default());
    let mut pages = Vec::new();
    let mut open = vec![program];
    while let Some(command) = open.pop() {
        open.extend(command.get_subcommands().filter(|command| !command.is_hide_set()).cloned());
        let notes =
            command.get_after_long_help().or_else(|| command.get_after_help()).map(ToString::to_string);
        // Its paragraphs would be filled, and the examples run together.
        let command = command.after_help(Resettable::Reset).after_long_help(Resettable::Reset);
        let command = command.mut_args(with_aliases);
        let man = Man::new(command).source(source.clone()).manual("The herd");
        let mut page = Vec::new();
        man.render(&mut page)?;
        write_notes(&notes.unwrap_or_default(), &mut page)?;
        pages.push((man.get_filename(), page));
    }
    Ok(pages)
}

/// `herd help up` says what `herd up --help` says, and needs no page.
fn without_help(command: Command) -> Command {
    command.disable_help_subcommand(true).mut_subcommands(without_help)
}

/// A page names a flag's other names only in what is said about the flag.
fn with_aliases(flag: Arg) -> Arg {
    let names = flag.get_visible_aliases().unwrap_or_default();
    if names.is_empty() {
        return flag;
    }
    let names: Vec<_> = names.into_iter().map(|name| format!("--{name}")).collect();
    let about = flag.get_long_help().or_else(|| flag.get_help()).map(ToString::to_string).unwrap_or_default();
    flag.long_help(format!("{about} [alias: {}]", names.join(", ")))
}

const EXAMPLES: &str = "Examples:\n";

/// What stands below a command's help, line by line: examples first, where there are any.
fn write_notes(notes: &str, page: &mut Vec<u8>) -> io::Result<()> {
    let (examples, others) = match notes.strip_prefix(EXAMPLES) {
        Some(rest) => rest.split_once("\n\n").unwrap_or((rest, "")),
        None => ("", notes),
    };
    let mut roff = Roff::new();
    for (title, text) in [("EXAMPLES", examples), ("NOTES", others)] {
        if text.is_empty() {
            continue;
        }
        roff.control("SH", [title]).control("nf", []);
        for line in text.lines() {
            roff.text([roman(line)]);
        }
        roff.control("fi", []);
    }
    roff.to_writer(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subcommand_has_a_page_with_its_flags_and_its_examples_line_by_line() {
        let pages = pages(crate::cli::arguments("0.1.0")).unwrap();
        let page = |name: &str| {
            let page = pages.iter().find(|(file, _)| file == name).unwrap_or_else(|| panic!("{name}"));
            String::from_utf8(page.1.clone()).unwrap().replace("\\-", "-")
        };
        for (name, parts) in [
            ("herd.1", &["herd-up(1)", "--base-port", "HERD_CONFIG", "\nherd-places(1)"][..]),
            ("herd-up.1", &["--log-dir", "\n.SH EXAMPLES\n.nf\n  herd up   "]),
            ("herd-node.1", &["NAME", "SIGHUP reopens its log"]),
            ("herd-send.1", &["\\*(AqWHATSAT kiwi.cs.ucla.edu 10 5\\*(Aq\n"]),
            ("herd-status.1", &["--watch", "--timeout", "\n  one way  "]),
            ("herd-places.1", &["herd-places-near(1)"]),
            ("herd-places-import.1", &["--attribution", "--columns"]),
            ("herd-places-near.1", &["herd places near", "--json"]),
            ("herd-secret.1", &["--switch"]),
            ("herd-journal-check.1", &["herd journal check kept/Alford"]),
        ] {
            let text = page(name);
            assert!(parts.iter().all(|part| text.contains(part)), "{name}: {text}");
        }
        assert!(!page("herd-secret.1").contains("--config"));
        assert!(!pages.iter().any(|(name, page)| name.contains("help") || page.is_empty()));
    }
}
