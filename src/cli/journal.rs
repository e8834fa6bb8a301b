//! `herd journal`: looks at a node's journal while the node does not run, and removes the damaged files that are kept in
//! it.

use std::{
    fmt::{self, Write as _},
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Subcommand, ValueHint};

use super::{CommandError, print, printable};
use crate::{
    journal::{
        BytesRead, Dismissed, Folder, Inspection, LookersLock, Owner, RecoveryError, dismiss, inspect,
        is_journal,
    },
    system::{clock, standard_error},
    text::{grouped, plural, shell_word, size},
};

/// How often a check tells how far it is, at most.
const TELLING_TIME: Duration = Duration::from_secs(1);

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

Exit codes: 0 whole, incomplete last records included; 1 damaged, in use by another process, or
unreadable; 2 there is no journal there.";

const DISMISS: &str = "\
Examples:
  herd journal dismiss kept/Alford               removes its files that end in .damaged

Their good records are in the journal. A node that runs counts them until its next start.

Exit codes: 0 none is left; 1 some cannot be removed, or the folder cannot be read; 2 there is no
journal there.";

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
    let lock = folder.lock_to_look().map_err(|error| unusable(dir, &error, &error))?;
    if matches!(lock, LookersLock::InUse) {
        let line = "is in use by another process, such as its node; end that one first";
        return Err(CommandError::Failed(format!("{} {line}", dir.display())));
    }
    let seen = inspect(&folder, telling()).map_err(|error| match &error {
        RecoveryError::Disk { source, .. } => unusable(dir, &error, source),
        _ => CommandError::Failed(format!("{}: {error}", dir.display())),
    })?;
    print(told(dir, &seen).as_bytes())?;
    match seen.is_whole() {
        true => Ok(()),
        false => Err(CommandError::Failed(verdict(dir, &seen))),
    }
}

/// What is wrong with a journal that is not whole, and what to do.
fn verdict(dir: &Path, seen: &Inspection) -> String {
    let damage = &seen.found.damage;
    let (dir, word) = (dir.display(), shell_word(dir.as_os_str()));
    if damage.is_empty() {
        return format!(
            "{dir} keeps damaged files of an earlier start; look at them, then: herd journal dismiss {word}"
        );
    }
    // Of a file that is gone there is nothing to keep.
    let has_files = damage.iter().any(|damage| !damage.is_missing);
    let kept = if has_files { ", and keeps the damaged files aside" } else { "" };
    format!("{dir} is damaged; a start uses what is good of it{kept}")
}

/// Tells how far the reading is where somebody may wait for it, as a start does.
fn telling() -> impl FnMut(BytesRead) {
    let is_watched = io::stderr().is_terminal();
    let mut next = clock::tick() + TELLING_TIME;
    move |bytes| {
        let now = clock::tick();
        if is_watched && now >= next {
            next = now + TELLING_TIME;
            standard_error::say(format_args!("journal: read {bytes}"));
        }
    }
}

fn remove_damaged(dir: &Path) -> Result<(), CommandError> {
    let folder = opened(dir)?;
    let Dismissed { removed, failed, unsynced } =
        dismiss(&folder).map_err(|error| unusable(dir, &error, &error))?;
    let mut text = String::new();
    for name in &removed {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "removed {name}");
    }
    if !removed.is_empty() {
        let _ = writeln!(
            text,
            "a node that runs counts them until its next start: restart it to clear its alert"
        );
    } else if failed.is_empty() {
        let _ = writeln!(text, "{} keeps no damaged files", printable::one_line(&dir.display().to_string()));
    }
    print(text.as_bytes())?;
    if let Some((_, error)) = failed.first() {
        let names: Vec<_> = failed.iter().map(|(name, error)| format!("{name}: {error}")).collect();
        return Err(unusable(dir, &format_args!("cannot remove {}", names.join(", ")), error));
    }
    match unsynced {
        Some(error) => Err(unusable(dir, &format_args!("a power cut may bring them back: {error}"), &error)),
        None => Ok(()),
    }
}

fn opened(dir: &Path) -> Result<Folder, CommandError> {
    let found = Folder::existing(dir).and_then(|folder| match folder {
        Some(folder) => Ok(is_journal(&folder)?.then_some(folder)),
        None => Ok(None),
    });
    found.map_err(|error| unusable(dir, &error, &error))?.ok_or_else(|| no_journal(dir))
}

fn no_journal(dir: &Path) -> CommandError {
    CommandError::Usage(format!(
        "{} has no journal; give a node's own folder, NODE in the folder that --data-dir names",
        dir.display()
    ))
}

/// What fails in that folder, and the cure if the reason is one that has it.
fn unusable(dir: &Path, what: &dyn fmt::Display, why: &io::Error) -> CommandError {
    let is_denied = why.kind() == io::ErrorKind::PermissionDenied;
    let cure = if is_denied { "; run this as root or as the node's user" } else { "" };
    CommandError::Failed(format!("{}: {what}{cure}", dir.display()))
}

/// What was found, a line each.
fn told(dir: &Path, seen: &Inspection) -> String {
    let dir = printable::one_line(&dir.display().to_string());
    if seen.is_empty() {
        return format!("{dir}: a journal with nothing in it\nwhole\n");
    }
    let owner = match &seen.owner {
        Some(Owner { herd, node, .. }) => printable::one_line(&format!(" of {node} of the herd {herd}")),
        None => ", its owner is unknown".to_owned(),
    };
    let Inspection { snapshots, segments, records, found, .. } = seen;
    let mut text = format!(
        "{dir}: a journal{owner}\n{snapshots} snapshot{}, {segments} segment{}; read {} and {}, {} records\n",
        plural(*snapshots),
        plural(*segments),
        size(found.snapshot_bytes),
        size(found.segment_bytes),
        grouped(*records),
    );
    let mut line = |line: fmt::Arguments<'_>| {
        let _ = writeln!(text, "{line}");
    };
    if found.torn > 0 {
        line(format_args!("incomplete last records of {}, ignored", size(found.torn)));
    }
    found.damage.iter().for_each(|damage| line(format_args!("damaged: {damage}")));
    found.set_aside.iter().for_each(|name| line(format_args!("kept aside: {name}")));
    line(format_args!("{}", if seen.is_whole() { "whole" } else { "not whole" }));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Damage, Recovered};

    fn inspection(damage: Vec<Damage>) -> Inspection {
        let found = Recovered::default();
        let mut seen = Inspection { owner: None, snapshots: 0, segments: 1, records: 0, found };
        seen.found.damage = damage;
        seen
    }

    #[test]
    fn only_files_that_are_there_are_said_to_be_kept_and_the_command_can_be_pasted() {
        let damage =
            |is_missing| Damage { file: "segment-0000000001".into(), at: 0, bytes: None, is_missing };
        let dir = Path::new("it's kept/Alford");
        let told = |damage| verdict(dir, &inspection(damage));
        let line = "it's kept/Alford is damaged; a start uses what is good of it";
        assert_eq!(told(vec![damage(true)]), line);
        let more = ", and keeps the damaged files aside";
        assert_eq!(told(vec![damage(true), damage(false)]), format!("{line}{more}"));
        assert!(told(Vec::new()).ends_with(r": herd journal dismiss 'it'\''s kept/Alford'"));
        let text = super::told(dir, &inspection(vec![damage(true)]));
        assert!(text.starts_with("it's kept/Alford: a journal, its owner is unknown\n"), "{text}");
        assert!(text.contains("\ndamaged: segment-0000000001 is missing\nnot whole\n"), "{text}");
        let mut torn = inspection(Vec::new());
        torn.found.torn = 5000;
        let text = super::told(dir, &torn);
        assert!(text.ends_with("\nincomplete last records of 5.0 kB, ignored\nwhole\n"), "{text}");
    }

    #[test]
    fn who_may_not_look_is_told_who_may() {
        let fails = |kind: io::ErrorKind| {
            let error = io::Error::from(kind);
            unusable(Path::new("kept"), &"cannot read x", &error).to_string()
        };
        let cure = "; run this as root or as the node's user";
        assert_eq!(fails(io::ErrorKind::PermissionDenied), format!("kept: cannot read x{cure}"));
        assert_eq!(fails(io::ErrorKind::StorageFull), "kept: cannot read x");
    }
}
