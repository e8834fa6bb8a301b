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
    seen: Option<FileVersion>,
    asked: Receiver<()>,
    asks: Sender<()>,
}

impl TokenKeeper {
    /// Reads the configured file, if there is one: who may do what, and what keeps that up to date.
    pub(super) fn open(config: &AccessConfig, anyone: Anyone) -> Result<(Access, Option<Self>), TokensError> {
        let Some(path) = &config.tokens_file else { return Ok((Access::without_tokens(anyone), None)) };
        // Before it is read: a change in between is then seen as one.
        let seen = FileVersion::of(path);
        let access =
            Access::with_tokens(anyone, &load_tokens(path)?).map_err(|fault| invalid(path, fault))?;
        let (asks, asked) = bounded(1);
        let keeper = Self { path: path.clone(), every: config.tokens_check_time, seen, asked, asks };
        Ok((access, Some(keeper)))
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

    fn look(&mut self, shared: &Shared<'_>, is_asked: bool) {
        let found = FileVersion::of(&self.path);
        if !is_asked && found == self.seen {
            return;
        }
        self.seen = found;
        let access = shared.node.access();
        let taken = load_tokens(&self.path)
            .and_then(|list| access.replace(&list).map_err(|fault| invalid(&self.path, fault)));
        let failing = match taken {
            Ok(changes) => {
                let count = access.count().unwrap_or_default();
                shared.log.info(format_args!("the tokens are taken anew: {count}{}", told(&changes)));
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

/// How many names are told of one kind of change.
const NAMES_MAX: usize = 10;

fn told(changes: &TokenChanges) -> String {
    let kinds = [("added", &changes.added), ("revoked", &changes.revoked), ("changed", &changes.changed)];
    let kinds = kinds.into_iter().filter(|(_, names)| !names.is_empty()).map(|(kind, names)| {
        let more = names.len().saturating_sub(NAMES_MAX);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("; {kind} {}{more}", names[..names.len().min(NAMES_MAX)].join(", "))
    });
    kinds.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn change_names_whom_it_is_about_and_not_all_of_many() {
        assert_eq!(told(&TokenChanges::default()), "");
        let names = |count: usize| (0..count).map(|number| format!("n{number}")).collect::<Vec<_>>();
        let changes = TokenChanges { added: names(2), revoked: names(NAMES_MAX + 3), changed: Vec::new() };
        assert_eq!(
            told(&changes),
            "; added n0, n1; revoked n0, n1, n2, n3, n4, n5, n6, n7, n8, n9 and 3 more"
        );
    }
}
