//! `herd journal`: looks at a node's journal while the node does not run, and removes the damaged files that are kept in it.

use std::{
    fmt::Write as _,
    io,
    path::{Path, PathBuf},
};

use clap::{Subcommand, ValueHint};

use super::{CommandError, print, printable};
use crate::{
    journal::{Folder, Inspection, Owner, dismiss, inspect},
    text::{grouped, plural, size},
};

#[derive(Debug, Subcommand)]
pub(super) enum JournalCommand {
    /// Read a node's journal, change nothing in it, and say whether it is whole.
    #[command(after_help = CHECK)]
    Check(Args),
    /// Remove the damaged files that a node's journal keeps aside.
    #[command(after_help = DISMISS)]
    Dismiss(Args),
}

const CHECK: &str = "\
Examples:
  herd journal check kept/Alford                 the folder of one node, which does not run

Exit codes: 0 whole, a torn end included; 1 damaged, in use by a node that runs, or unreadable;
2 there is no journal there.";

const DISMISS: &str = "\
Examples:
  herd journal dismiss kept/Alford               removes its files that end in .damaged

What was good of them is in the journal. A node that runs counts them until its next start.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The node's own folder, NODE in the folder that --data-dir names.
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    dir: PathBuf,
}

pub(super) fn run(command: &JournalCommand) -> Result<(), CommandError> {
    match command {
        JournalCommand::Check(args) => check(&args.dir),
        JournalCommand::Dismiss(args) => remove_damaged(&args.dir),
    }
}

fn check(dir: &Path) -> Result<(), CommandError> {
    let folder = opened(dir)?;
    let unusable = |error: io::Error| CommandError::Failed(format!("{}: {error}", dir.display()));
    let lock = folder.lock_if_there().map_err(unusable)?;
    let Some(_lock) = lock else {
        let dir = dir.display();
        return Err(CommandError::Failed(format!(
            "{dir} is in use by a node that runs; stop that one first"
        )));
    };
    let seen =
        inspect(&folder).map_err(|error| CommandError::Failed(format!("{}: {error}", dir.display())))?;
    if seen.is_empty() {
        return Err(no_journal(dir));
    }
    print(told(dir, &seen).as_bytes())?;
    if seen.is_whole() {
        return Ok(());
    }
    let dir = dir.display();
    Err(CommandError::Failed(match seen.found.damage.is_empty() {
        true => format!(
            "{dir} keeps damaged files of an earlier start; look at them, then: herd journal dismiss {dir}"
        ),
        false => {
            format!("{dir} is damaged; a start uses what is good of it, and keeps the damaged files aside")
        }
    }))
}

fn remove_damaged(dir: &Path) -> Result<(), CommandError> {
    let folder = opened(dir)?;
    let removed = dismiss(&folder).map_err(|error| {
        CommandError::Failed(format!("{}: {error}; run this as the user of the node", dir.display()))
    })?;
    let mut text = String::new();
    for name in &removed {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "removed {name}");
    }
    if removed.is_empty() {
        let _ = writeln!(text, "{} keeps no damaged files", printable::one_line(&dir.display().to_string()));
    }
    print(text.as_bytes())
}

fn opened(dir: &Path) -> Result<Folder, CommandError> {
    Folder::existing(dir).ok_or_else(|| no_journal(dir))
}

fn no_journal(dir: &Path) -> CommandError {
    CommandError::Usage(format!(
        "{} has no journal; give a node's own folder, NODE in the folder that --data-dir names",
        dir.display()
    ))
}

/// What was found, a line each.
fn told(dir: &Path, seen: &Inspection) -> String {
    let dir = printable::one_line(&dir.display().to_string());
    let owner = match &seen.owner {
        Some(Owner { herd, node, .. }) => printable::one_line(&format!("of {node} of the herd {herd}")),
        None => "of nobody knows whom".to_owned(),
    };
    let Inspection { snapshots, segments, records, found, .. } = seen;
    let mut text = format!(
        "{dir}: a journal {owner}\n{snapshots} snapshot{}, {segments} segment{}; read {} and {}, {} records\n",
        plural(*snapshots),
        plural(*segments),
        size(found.snapshot_bytes),
        size(found.segment_bytes),
        grouped(*records),
    );
    let mut line = |line: std::fmt::Arguments<'_>| {
        let _ = writeln!(text, "{line}");
    };
    if found.torn > 0 {
        line(format_args!("torn at the end: {} that a power cut left, of no use", size(found.torn)));
    }
    found.damage.iter().for_each(|damage| line(format_args!("damaged: {damage}")));
    found.set_aside.iter().for_each(|name| line(format_args!("kept aside: {name}")));
    line(format_args!("{}", if seen.is_whole() { "whole" } else { "not whole" }));
    text
}
