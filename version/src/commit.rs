//! Asks git for the commit of a folder. A folder without git, or git without the folder, is no error.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// So many digits of a commit, however many others a copy of the repository has.
const DIGITS: usize = 7;

/// The commit that a folder is at.
#[derive(PartialEq, Debug)]
pub(crate) struct Checkout {
    /// Its first digits.
    commit: String,
    /// `2026-11-30`
    date: String,
    /// The files that change when the folder comes to be at another commit.
    pub(crate) watched: Vec<PathBuf>,
}

impl Checkout {
    /// `None` where no repository has the folder's `Cargo.toml`: it may lie in the one of somebody who has unpacked it there.
    pub(crate) fn find(folder: &Path) -> Option<Self> {
        git(folder, &["ls-files", "--error-unmatch", "--", "Cargo.toml"])?;
        let about = git(
            folder,
            &[
                "-c",
                "log.showSignature=false",
                "log",
                "-1",
                "--date=format-local:%Y-%m-%d",
                "--format=%H %cd",
            ],
        )?;
        let (commit, date) = about.split_once(' ')?;
        // The log of HEAD grows whenever HEAD moves; the others are for a repository that keeps none.
        let mut names = vec!["HEAD".to_owned(), "logs/HEAD".to_owned(), "packed-refs".to_owned()];
        names.extend(git(folder, &["symbolic-ref", "--quiet", "HEAD"]));
        let path = |name: &String| Some(folder.join(git(folder, &["rev-parse", "--git-path", name])?));
        let watched = names.iter().filter_map(path).filter(|path| path.is_file()).collect();
        Some(Self { commit: commit.get(..DIGITS)?.to_owned(), date: date.to_owned(), watched })
    }
}

/// What git answers, without the line's end; `None` where there is no git, or it refuses.
fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(arguments).env("TZ", "UTC");
    // Set while a hook runs; the folder is what is asked about.
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX"] {
        command.env_remove(variable);
    }
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim_end().to_owned())
}

/// The number, and what is known of the commit. The epoch's date, in seconds, replaces the commit's.
pub(crate) fn version(number: &str, checkout: Option<&Checkout>, epoch: Option<u64>) -> String {
    match checkout {
        None => number.to_owned(),
        Some(Checkout { commit, date, .. }) => {
            let date = epoch.map_or_else(|| date.clone(), date_of);
            format!("{number} ({commit} {date})")
        }
    }
}

/// The day in UTC of a time in seconds since 1970.
fn date_of(seconds: u64) -> String {
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let (mut days, mut year, mut month) = (seconds / 86_400, 1970, 1);
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", days + 1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests;
