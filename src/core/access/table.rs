//! Who may do what at a node: what anyone may, and what the holders of tokens may. The tokens can be replaced while
//! connections use them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::RwLock;

use super::{Account, Act, Principal, TokenHash, TokenList, TokensFault};
use crate::core::model::Timestamp;

/// What anyone may do, without a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Anyone {
    /// Report for any client, and ask for any.
    pub reports_and_sees: bool,
    /// Have any client forgotten.
    pub forgets: bool,
    /// Read pages that show more than health.
    pub monitors: bool,
}

/// Who may do what at a node.
#[derive(Debug)]
pub struct Access {
    anyone: Anyone,
    /// `None` where nobody has tokens.
    tokens: Option<LiveTokens>,
}

/// The tokens in force.
#[derive(Debug, Default)]
struct LiveTokens {
    /// How often they have been replaced: connections look their principals up again when it has changed.
    generation: AtomicU64,
    table: RwLock<TokenTable>,
}

#[derive(Debug, Default)]
struct TokenTable {
    by_hash: BTreeMap<TokenHash, Principal>,
}

/// How one list of tokens differs from the one before: the names that each is about, sorted.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct TokenChanges {
    /// They have a token, and had none.
    pub added: Vec<String>,
    /// They had one, and have none.
    pub revoked: Vec<String>,
    /// They have another, or may do something else with theirs, or for another time.
    pub changed: Vec<String>,
}

impl TokenChanges {
    /// Whether nothing has changed.
    pub fn are_none(&self) -> bool {
        *self == Self::default()
    }
}

impl Access {
    /// Anyone may do that, and nobody has tokens.
    pub fn without_tokens(anyone: Anyone) -> Self {
        Self { anyone, tokens: None }
    }

    /// Anyone may do that, and the holders of these tokens what they say.
    pub fn with_tokens(anyone: Anyone, list: &TokenList) -> Result<Self, TokensFault> {
        let access = Self { anyone, tokens: Some(LiveTokens::default()) };
        access.replace(list)?;
        Ok(access)
    }

    /// The same, and anyone may do that, too.
    pub(crate) fn also_for_anyone(self, change: impl FnOnce(&mut Anyone)) -> Self {
        let mut anyone = self.anyone;
        change(&mut anyone);
        Self { anyone, ..self }
    }

    /// Whether somebody may do that: with a token that is valid, or without one. Every right of a client, a page and a
    /// command is decided here.
    #[inline]
    pub fn allows(&self, principal: Option<&Principal>, act: Act<'_>) -> bool {
        let may_anyone = match act {
            Act::Report(_) | Act::See(_) => self.anyone.reports_and_sees,
            Act::Forget(_) => self.anyone.forgets,
            Act::Monitor => self.anyone.monitors,
        };
        may_anyone || principal.is_some_and(|principal| principal.may(act))
    }

    /// Whether anybody has tokens.
    pub fn has_tokens(&self) -> bool {
        self.tokens.is_some()
    }

    /// How many tokens are in force; `None` where nobody has any.
    pub fn count(&self) -> Option<usize> {
        self.tokens.as_ref().map(|tokens| tokens.table.read().by_hash.len())
    }

    /// Grows each time that the tokens are replaced.
    #[inline]
    pub fn generation(&self) -> u64 {
        self.tokens.as_ref().map_or(0, |tokens| tokens.generation.load(Ordering::Acquire))
    }

    /// Whom a token is for, if it is valid at `now`.
    pub fn find(&self, hash: &TokenHash, now: Timestamp) -> Option<Principal> {
        let table = self.tokens.as_ref()?.table.read();
        table.by_hash.get(hash).filter(|principal| principal.is_valid(now)).cloned()
    }

    /// The same one, with what its token grants by now; `None` if it is no longer valid at `now`.
    pub fn renewed(&self, principal: &Principal, now: Timestamp) -> Option<Principal> {
        self.find(principal.hash(), now)
    }

    /// Has other tokens in force from here on: for the next batch of every connection. What is kept for a name stays. A list
    /// that breaks a rule changes nothing.
    pub fn replace(&self, list: &TokenList) -> Result<TokenChanges, TokensFault> {
        list.check()?;
        let Some(tokens) = &self.tokens else { return Ok(TokenChanges::default()) };
        let mut table = tokens.table.write();
        let before: BTreeMap<&str, &Principal> =
            table.by_hash.values().map(|principal| (principal.name(), principal)).collect();
        let mut changes = TokenChanges::default();
        let mut after = BTreeMap::new();
        for token in &list.tokens {
            let known = before.get(&*token.name);
            let account = known
                .map_or_else(|| Arc::new(Account::new(&token.name)), |known| Arc::clone(known.account()));
            let principal = Principal::new(list, token, account);
            match known {
                None => changes.added.push(token.name.clone()),
                Some(known) if !known.grants_as(&principal) => changes.changed.push(token.name.clone()),
                Some(_) => {}
            }
            after.insert(token.hash, principal);
        }
        let names: BTreeSet<&str> = list.tokens.iter().map(|token| &*token.name).collect();
        changes.revoked =
            before.keys().filter(|name| !names.contains(**name)).map(ToString::to_string).collect();
        changes.added.sort_unstable();
        changes.changed.sort_unstable();
        table.by_hash = after;
        drop(table);
        tokens.generation.fetch_add(1, Ordering::Release);
        Ok(changes)
    }
}

impl Default for Access {
    /// Anyone may report for any client and ask for any, and nothing else.
    fn default() -> Self {
        Self::without_tokens(Anyone { reports_and_sees: true, forgets: false, monitors: true })
    }
}
