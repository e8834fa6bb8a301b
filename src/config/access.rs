//! Who clients are, and where the tokens are by which they say so.

use std::{path::PathBuf, time::Duration};

use super::settings::table;

/// Who clients may be: those who show a token, or anyone.
pub(super) const CLIENTS: [&str; 2] = ["tokens", "open"];

table! {
    /// The table `[access]`.
    #[derive(Clone, PartialEq, Eq, Debug)]
    pub struct AccessConfig fills "access" {
        /// Who may report and ask: `"tokens"`, whoever shows a token, for the clients that the token names; `"open"`, anyone who
        /// can connect, for any client. A herd needs it as soon as an address in the file is beyond loopback. On loopback it is
        /// `"open"` unless it says otherwise.
        clients: Option<String> = "clients", OptionalWord { among: &CLIENTS }, "who may report and ask";
        /// The file of tokens, as `herd token add` makes it. `clients = "tokens"` needs one. With `"open"`, it has the tokens of
        /// operators, who may have clients forgotten, and of monitors, who may read status and metrics.
        tokens_file: Option<PathBuf> = "tokens_file", Path {}, "made by herd token add";
        /// How often a node looks at the file of tokens. One that has changed is taken anew at the next look that finds it the
        /// same, so that no half of it is; SIGHUP has it taken at once.
        tokens_check_time: Duration = "tokens_check_seconds", Seconds { default: 1.0, min: 0.01, max: 3_600.0 }, "between two looks at whether the tokens have changed";
    }
}

impl AccessConfig {
    /// Whether anyone may report and ask, without a token.
    pub fn is_open(&self) -> bool {
        self.clients.as_deref() != Some(CLIENTS[0])
    }

    /// Whether it is said who clients are, as a node beyond loopback needs.
    pub fn says_who(&self) -> bool {
        self.clients.is_some()
    }
}
