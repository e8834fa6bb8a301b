//! Who a token says one is, and what that one may do. The decision is made from the id alone, before anything stored is
//! looked at: so whoever may not see a client learns nothing of whether it exists, from what is said or from how long it
//! takes.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use super::{Allowance, Patterns, QuotaRules, TokenEntry, TokenHash, TokenList, TokenRole};
use crate::core::model::{ClientId, Timestamp};

/// What somebody wants to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act<'a> {
    /// Report for that client.
    Report(ClientId<'a>),
    /// Ask about that client.
    See(ClientId<'a>),
    /// Have that client forgotten.
    Forget(ClientId<'a>),
    /// Read pages that show more than health.
    Monitor,
}

/// What a node keeps for the holder of a name, for as long as tokens of that name are in its file, whatever else becomes of
/// them.
#[derive(Debug)]
pub struct Account {
    name: Box<str>,
    /// What is left of its quotas, from its first connection on.
    allowance: OnceLock<Arc<Allowance>>,
}

impl Account {
    /// For that name.
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.into(), allowance: OnceLock::new() }
    }

    /// What all its connections together have left; `None` if nothing is limited.
    pub fn allowance(&self, rules: &QuotaRules) -> Option<Arc<Allowance>> {
        let allowance = || self.allowance.get_or_init(|| Arc::new(Allowance::new(rules)));
        rules.are_any().then(|| Arc::clone(allowance()))
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Who a token says one is. Cheap to clone. Two are equal if they have one name.
#[derive(Clone)]
pub struct Principal(Arc<Grant>);

/// What a token grants, once its groups are looked up.
struct Grant {
    account: Arc<Account>,
    hash: TokenHash,
    role: TokenRole,
    may_report: Patterns,
    may_see: Patterns,
    expires: Option<Timestamp>,
}

impl Principal {
    /// Whom that token of the list is for.
    pub(super) fn new(list: &TokenList, token: &TokenEntry, account: Arc<Account>) -> Self {
        let (reports, sees) = token.role.reports_or_sees();
        let (may_report, may_see) = list.patterns(token);
        let held = |may: bool, patterns| if may { patterns } else { Patterns::none() };
        Self(Arc::new(Grant {
            account,
            hash: token.hash,
            role: token.role,
            may_report: held(reports, may_report),
            may_see: held(sees, may_see),
            expires: token.expires,
        }))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.0.account.name()
    }

    /// What the node keeps for it. The same for all of its connections, and after its token was changed.
    pub fn account(&self) -> &Arc<Account> {
        &self.0.account
    }

    /// What it is for.
    pub fn role(&self) -> TokenRole {
        self.0.role
    }

    /// What its token hashes to.
    pub(super) fn hash(&self) -> &TokenHash {
        &self.0.hash
    }

    /// Whether its token is still valid at `now`.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.0.expires.is_none_or(|expires| now < expires)
    }

    /// Whether it may do that.
    #[inline]
    pub fn may(&self, act: Act<'_>) -> bool {
        let Grant { role, may_report, may_see, .. } = &*self.0;
        match act {
            Act::Report(client) => may_report.match_client(client),
            Act::See(client) => may_see.match_client(client),
            Act::Forget(client) => *role == TokenRole::Operator && may_report.match_client(client),
            Act::Monitor => matches!(role, TokenRole::Monitor | TokenRole::Operator),
        }
    }

    /// Whether both may do the same for the same time.
    pub(super) fn grants_as(&self, other: &Self) -> bool {
        let (own, other) = (&*self.0, &*other.0);
        own.hash == other.hash
            && own.role == other.role
            && own.may_report == other.may_report
            && own.may_see == other.may_see
            && own.expires == other.expires
    }
}

impl PartialEq for Principal {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Principal {}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Principal({})", self.name())
    }
}
