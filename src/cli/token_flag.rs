//! The flag of every subcommand that talks to nodes: the file of the token that it shows them.

use std::path::PathBuf;

use clap::ValueHint;

use super::CommandError;
use crate::{core::access::Token, keys::load_token};

#[derive(Debug, Default, clap::Args)]
pub(super) struct TokenFlag {
    /// Show nodes the token in this file, which only its owner may be able to read: as `herd token add --to` makes it.
    #[arg(long, env = "HERD_TOKEN_FILE", hide_env_values = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    token_file: Option<PathBuf>,
}

impl TokenFlag {
    /// The token to show; `None` without one.
    pub(super) fn read(&self) -> Result<Option<Token>, CommandError> {
        Ok(self.token_file.as_deref().map(load_token).transpose()?)
    }
}
