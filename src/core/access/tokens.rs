//! What a tokens file says: who has which token, for what, and until when. Here it is a value, with the rules that it must
//! obey; `keys` reads and writes the file.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::{Patterns, TokenHash, find_token};
use crate::core::model::{NodeId, Timestamp};

/// The most tokens of one file, and the most groups.
pub const TOKENS_MAX: usize = 100_000;

/// What a token is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TokenRole {
    /// Reports, and asks.
    Client,
    /// Asks only.
    Viewer,
    /// Reads the pages that show more than health; knows nothing of clients.
    Monitor,
    /// All of these, and has clients forgotten.
    Operator,
}

impl TokenRole {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Client, Self::Viewer, Self::Monitor, Self::Operator];

    /// Its name in a file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Viewer => "viewer",
            Self::Monitor => "monitor",
            Self::Operator => "operator",
        }
    }

    /// Whether one may report, or see, if patterns allow it.
    pub(super) fn reports_or_sees(self) -> (bool, bool) {
        match self {
            Self::Client | Self::Operator => (true, true),
            Self::Viewer => (false, true),
            Self::Monitor => (false, false),
        }
    }
}

impl fmt::Display for TokenRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a file says of one token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TokenEntry {
    /// Whose it is: 1 to 64 visible ASCII characters.
    pub name: String,
    /// What it hashes to.
    pub hash: TokenHash,
    /// What it is for.
    pub role: TokenRole,
    /// For whom it may report, and whom have forgotten.
    pub may_report: Patterns,
    /// Whom it may ask about.
    pub may_see: Patterns,
    /// The groups whose patterns it has, too.
    pub groups: Vec<String>,
    /// The first moment at which it is no longer valid; `None` for one that stays.
    pub expires: Option<Timestamp>,
}

/// Patterns that several tokens have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TokenGroup {
    /// What tokens call it: 1 to 64 visible ASCII characters.
    pub name: String,
    /// For whom its tokens may report.
    pub may_report: Patterns,
    /// Whom they may ask about.
    pub may_see: Patterns,
}

/// All that a file says.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct TokenList {
    /// In the file's order.
    pub groups: Vec<TokenGroup>,
    /// In the file's order.
    pub tokens: Vec<TokenEntry>,
}

/// What a list may not be. Names no hash.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the texts say what each is")]
pub enum TokensFault {
    #[error("{name:?} cannot name a token or a group; use 1 to 64 visible ASCII characters")]
    Name { name: String },
    #[error(
        "a token itself stands in the place of a name; revoke it, and give each token a name that may be read"
    )]
    TokenAsName,
    #[error("two tokens are called {name}; give each its own name")]
    SameName { name: String },
    #[error("the tokens {first} and {second} are the same; revoke one and add it again")]
    SameToken { first: String, second: String },
    #[error("two groups are called {name}; give each its own name")]
    SameGroup { name: String },
    #[error(
        "the token {token} has the group {group}, which is not there; add [[group]] name = \"{group}\", or leave it out"
    )]
    NoGroup { token: String, group: String },
    #[error("the token {token} is a {role}'s and has `{key}`; leave that out, or make it a client's")]
    Needless { token: String, role: TokenRole, key: &'static str },
    #[error("there are more than {TOKENS_MAX} tokens or groups; remove some")]
    TooMany,
}

impl TokenList {
    /// Whether it obeys all rules.
    pub fn check(&self) -> Result<(), TokensFault> {
        let Self { groups, tokens } = self;
        if tokens.len() > TOKENS_MAX || groups.len() > TOKENS_MAX {
            return Err(TokensFault::TooMany);
        }
        let names = tokens.iter().map(|token| &token.name).chain(groups.iter().map(|group| &group.name));
        for name in names {
            if find_token(name.as_bytes()).is_some() {
                return Err(TokensFault::TokenAsName);
            }
            if !NodeId::is_valid(name.as_bytes()) {
                return Err(TokensFault::Name { name: name.clone() });
            }
        }
        let mut group_names = BTreeSet::new();
        for TokenGroup { name, .. } in groups {
            if !group_names.insert(&**name) {
                return Err(TokensFault::SameGroup { name: name.clone() });
            }
        }
        let mut names = BTreeSet::new();
        let mut hashes = BTreeMap::new();
        for token in tokens {
            let name = &token.name;
            if !names.insert(&**name) {
                return Err(TokensFault::SameName { name: name.clone() });
            }
            if let Some(first) = hashes.insert(token.hash, name) {
                return Err(TokensFault::SameToken { first: first.clone(), second: name.clone() });
            }
            token.check(&group_names)?;
        }
        Ok(())
    }

    /// The patterns that a token has, its groups' among them.
    pub(super) fn patterns(&self, token: &TokenEntry) -> (Patterns, Patterns) {
        let own = (token.may_report.clone(), token.may_see.clone());
        let groups = self.groups.iter().filter(|group| token.groups.contains(&group.name));
        groups.fold(own, |(report, see), group| (report.and(&group.may_report), see.and(&group.may_see)))
    }
}

impl TokenEntry {
    fn check(&self, groups: &BTreeSet<&str>) -> Result<(), TokensFault> {
        if let Some(group) = self.groups.iter().find(|group| !groups.contains(&***group)) {
            return Err(TokensFault::NoGroup { token: self.name.clone(), group: group.clone() });
        }
        let (reports, sees) = self.role.reports_or_sees();
        let needless = [
            ("may_report", !reports && !self.may_report.are_none()),
            ("may_see", !sees && !self.may_see.are_none()),
        ];
        match needless.into_iter().find(|(_, is_needless)| *is_needless) {
            Some((key, _)) => Err(TokensFault::Needless { token: self.name.clone(), role: self.role, key }),
            None => Ok(()),
        }
    }
}
