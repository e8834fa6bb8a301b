//! Keeps the tokens in force those of their file: takes it anew when it changes, and when a signal says so. A file that is
//! gone or broken changes nothing but what the node says of itself.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use crossbeam_channel::{Receiver, Sender, bounded, select};

use super::Shared;
use crate::{
    config::AccessConfig,
    core::access::{Access, Anyone, TokenChanges, TokensFault},
    keys::{FileVersion, TokensError, load_tokens},
    log::AuditKind,
    system::clock,
};

/// What a node says of its tokens.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct TokensStanding {
    /// Why the file cannot be taken anew; then those of before are in force.
    pub(super) failing: Option<String>,
}

/// The tokens' file, and what was seen of it last.
pub(super) struct TokenKeeper {
    path: PathBuf,
    every: Duration,
    /// What was taken, or refused, last.
    taken: Option<FileVersion>,
    /// What was found at the last look.
    found: Option<FileVersion>,
    asked: Receiver<()>,
    asks: Sender<()>,
}

impl TokenKeeper {
    /// Reads the configured file, if there is one: who may do what, and what keeps that up to date.
    pub(super) fn open(config: &AccessConfig, anyone: Anyone) -> Result<(Access, Option<Self>), TokensError> {
        let Some(path) = &config.tokens_file else { return Ok((Access::without_tokens(anyone), None)) };
        // Before it is read: a change in between is then seen as one.
        let taken = FileVersion::of(path);
        let access =
            Access::with_tokens(anyone, &load_tokens(path)?).map_err(|fault| invalid(path, fault))?;
        let (asks, asked) = bounded(1);
        let (path, every) = (path.clone(), config.tokens_check_time);
        Ok((access, Some(Self { path, every, taken, found: taken, asked, asks })))
    }

    /// Has it look at once. One message waiting is enough.
    pub(super) fn asks(&self) -> Sender<()> {
        self.asks.clone()
    }

    /// Looks from time to time, until the channel closes.
    pub(super) fn run(mut self, shared: &Shared<'_>, stop: &Receiver<()>) {
        loop {
            let is_asked = select! {
                recv(stop) -> _ => return,
                recv(self.asked) -> _ => true,
                default(self.every) => false,
            };
            self.look(shared, is_asked);
        }
    }

    /// Whether what was found now is to be taken.
    fn is_due(&mut self, found: Option<FileVersion>, is_asked: bool) -> bool {
        // One that still changes from look to look is being copied: half of it may be a file of fewer tokens.
        let is_settled = std::mem::replace(&mut self.found, found) == found;
        let is_due = is_asked || found != self.taken && is_settled;
        if is_due {
            self.taken = found;
        }
        is_due
    }

    fn look(&mut self, shared: &Shared<'_>, is_asked: bool) {
        if !self.is_due(FileVersion::of(&self.path), is_asked) {
            return;
        }
        let access = shared.node.access();
        let taken = load_tokens(&self.path)
            .and_then(|list| access.replace(&list).map_err(|fault| invalid(&self.path, fault)));
        let failing = match taken {
            Ok(changes) => {
                let count = access.count().unwrap_or_default();
                let of_log = told(&changes, NAMES_LOGGED_MAX);
                shared.log.info(format_args!("the tokens are taken anew: {count}{of_log}"));
                if !changes.are_none() {
                    let told = told(&changes, NAMES_AUDITED_MAX);
                    shared.log.audit(
                        AuditKind::Tokens,
                        clock::tick(),
                        format_args!("{count} in force{told}"),
                    );
                }
                None
            }
            Err(error) => {
                shared.log.warn(format_args!("the tokens of before stay in force: {error}"));
                Some(error.to_string())
            }
        };
        if let Some(standing) = &shared.tokens {
            standing.lock().failing = failing;
        }
    }
}

fn invalid(path: &Path, fault: TokensFault) -> TokensError {
    TokensError::Invalid { file: path.display().to_string(), fault: fault.into() }
}

/// How many names the log and the audit log have of one kind of change.
const NAMES_LOGGED_MAX: usize = 10;
const NAMES_AUDITED_MAX: usize = 100;

fn told(changes: &TokenChanges, names_max: usize) -> String {
    let kinds = [("added", &changes.added), ("revoked", &changes.revoked), ("changed", &changes.changed)];
    let kinds = kinds.into_iter().filter(|(_, names)| !names.is_empty()).map(|(kind, names)| {
        let more = names.len().saturating_sub(names_max);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("; {kind} {}{more}", names[..names.len().min(names_max)].join(", "))
    });
    kinds.collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn file_that_has_changed_is_taken_once_it_stays_as_it_is_or_when_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("herd.tokens");
        let version = |text: &str| {
            fs::write(&path, text).unwrap();
            FileVersion::of(&path)
        };
        let [first, half, whole] = ["a", "ab", "abc"].map(version);
        let (asks, asked) = bounded(1);
        let every = Duration::from_secs(1);
        let (taken, found) = (first, first);
        let mut keeper = TokenKeeper { path: path.clone(), every, taken, found, asked, asks };
        let looks = [
            (first, false),
            (half, false),
            (whole, false),
            (whole, true),
            (whole, false),
            (None, false),
            (None, true),
        ];
        for (found, is_due) in looks {
            assert_eq!(keeper.is_due(found, false), is_due, "{found:?}");
        }
        assert!(keeper.is_due(half, true) && keeper.is_due(half, true) && !keeper.is_due(half, false));
    }

    #[test]
    fn change_names_whom_it_is_about_and_not_all_of_many() {
        assert_eq!(told(&TokenChanges::default(), 10), "");
        let names = |count: usize| (0..count).map(|number| format!("n{number}")).collect::<Vec<_>>();
        let changes = TokenChanges { added: names(2), revoked: names(13), changed: Vec::new() };
        assert_eq!(
            told(&changes, 10),
            "; added n0, n1; revoked n0, n1, n2, n3, n4, n5, n6, n7, n8, n9 and 3 more"
        );
    }
}
