//! One call as a machine: what must happen next, until there is its answer. The driver does what [`ApiExchange::next`] says
//! and calls it again.

use std::{mem, sync::Arc};

use super::{
    ApiAnswer, ApiCall, ApiFace,
    body::no_id,
    call::Operation,
    problem::{Problem, ProblemKind},
    reading::{Looking, Watching},
    reporting::Reporting,
};
use crate::core::{
    access::{Act, Allowance, Charge, Principal, Quota},
    dialogue::Looked,
    model::{ClientId, Now, Query, Tick},
    node::{Changes, Neighbour, Node},
    store::KeyHash,
    wire::Invalid,
};

/// What to do next.
#[derive(Clone, PartialEq, Debug)]
pub enum ApiNext {
    /// Nothing before that time: the principal has used that up. Nothing is read from the connection meanwhile.
    Rest(Tick, Quota),
    /// Offer what has changed: [`ApiExchange::offer`].
    Offer,
    /// Wait until what was offered last is durable: [`ApiExchange::committed`], or [`ApiExchange::not_committed`] if it is not in
    /// time.
    Commit,
    /// Look up places, and append the document to [`ApiExchange::document`]: [`ApiExchange::looked`].
    Look(Query),
    /// Watch that key among the node's changes; then, because it may have changed before that, call [`ApiExchange::next`] once
    /// more at once. After that call it when the key has changed or it is that time, as long as it returns this.
    Watch {
        /// The client's key.
        key: KeyHash,
        /// When there is an answer, changed or not.
        until: Tick,
    },
    /// That is the answer. Nothing follows.
    Answer(ApiAnswer),
}

/// One call and whose it is.
#[derive(Debug)]
pub struct ApiExchange<'n> {
    pub(super) node: &'n Node,
    pub(super) face: &'n ApiFace,
    pub(super) call: ApiCall,
    pub(super) principal: Option<Principal>,
    pub(super) allowance: Option<Arc<Allowance>>,
    pub(super) changes: Changes,
    /// Whether the answer acknowledges what must be durable first.
    pub(super) acknowledges: bool,
    operation: Option<Operation>,
    meter: CallMeter,
    doing: CallStage,
}

/// What is in progress.
#[derive(Debug)]
pub(super) enum CallStage {
    Beginning,
    Reporting(Reporting),
    /// Changes must be offered, and then that goes on.
    Offering(Box<CallStage>),
    Committing(ApiAnswer),
    Looking(Looking),
    Watching(Watching),
    Over(ApiAnswer),
}

/// What the call has paid for.
#[derive(Debug)]
struct CallMeter {
    bytes: usize,
    paid: usize,
    turn: Option<Charge>,
}

/// What may be done with the next reports.
pub(super) enum CallTurn {
    Go(usize),
    Rest(Tick, Quota),
    Refused,
}

impl<'n> ApiExchange<'n> {
    /// A call of that principal, or of nobody's, which is paid for from that allowance.
    pub fn new(
        node: &'n Node,
        face: &'n ApiFace,
        call: ApiCall,
        principal: Option<Principal>,
        allowance: Option<Arc<Allowance>>,
    ) -> Self {
        let meter = CallMeter { bytes: call.bytes, paid: 0, turn: None };
        let (changes, doing) = (Changes::default(), CallStage::Beginning);
        Self {
            node,
            face,
            call,
            principal,
            allowance,
            changes,
            acknowledges: false,
            operation: None,
            meter,
            doing,
        }
    }

    /// What to do at `now`.
    pub fn next(&mut self, now: Now) -> ApiNext {
        // Whoever waits may have lost the right meanwhile.
        self.principal = self.principal.take().and_then(|one| self.node.access().renewed(&one, now.wall));
        loop {
            match mem::replace(&mut self.doing, CallStage::Beginning) {
                CallStage::Beginning => match self.turn(1, now.tick) {
                    CallTurn::Go(_) => {
                        self.meter.paid -= 1;
                        self.doing = self.begin(now).unwrap_or_else(|problem| self.over(problem.answer()));
                    }
                    CallTurn::Rest(until, quota) => return ApiNext::Rest(until, quota),
                    CallTurn::Refused => self.doing = self.over(self.over_quota().answer()),
                },
                CallStage::Reporting(reporting) => {
                    let (doing, next) = self.report_on(reporting, now);
                    self.doing = doing;
                    if let Some(next) = next {
                        return next;
                    }
                }
                CallStage::Watching(watching) => {
                    let (key, until) = (watching.key, watching.until);
                    self.doing = self.watch(watching, now);
                    if let CallStage::Watching(_) = self.doing {
                        return ApiNext::Watch { key, until };
                    }
                }
                waiting => {
                    self.doing = waiting;
                    return match &self.doing {
                        CallStage::Offering(_) => ApiNext::Offer,
                        CallStage::Committing(_) => ApiNext::Commit,
                        CallStage::Looking(looking) => ApiNext::Look(looking.query),
                        CallStage::Over(answer) => ApiNext::Answer(answer.clone()),
                        CallStage::Beginning | CallStage::Reporting(_) | CallStage::Watching(_) => continue,
                    };
                }
            }
        }
    }

    /// Offers what the call has changed to everyone. Calls `full` for each neighbour whose outbox had no room.
    pub fn offer(&mut self, full: impl FnMut(&Neighbour)) {
        if let CallStage::Offering(then) = &mut self.doing {
            let then = mem::replace(&mut **then, CallStage::Beginning);
            self.node.offer(&mut self.changes, None, full);
            self.doing = match then {
                CallStage::Over(answer) if mem::take(&mut self.acknowledges) => CallStage::Committing(answer),
                then => then,
            };
        }
    }

    /// What was offered is durable.
    pub fn committed(&mut self) {
        if let CallStage::Committing(answer) = &self.doing {
            self.doing = CallStage::Over(answer.clone());
        }
    }

    /// What was offered is not durable in time. It is stored all the same, and may be sent again.
    pub fn not_committed(&mut self) {
        if let CallStage::Committing(_) = self.doing {
            self.doing = self.over(Problem::of(Invalid::NotKept).answer());
        }
    }

    /// The buffer to which the document that answers a lookup is appended.
    pub fn document(&mut self) -> Option<&mut Vec<u8>> {
        match &mut self.doing {
            CallStage::Looking(looking) => Some(&mut looking.document),
            _ => None,
        }
    }

    /// The document that answers the lookup is there.
    pub fn looked(&mut self, looked: Looked) {
        if let CallStage::Looking(looking) = &self.doing {
            self.doing = self.over(looking.answer(looked));
        }
    }

    fn begin(&mut self, now: Now) -> Result<CallStage, Problem> {
        let operation = self.call.operation()?;
        self.operation = Some(operation);
        match operation {
            Operation::ListClients => self.list().map(|answer| self.over(answer)),
            Operation::GetClient => self.get(now),
            Operation::PutClient => self.put(now),
            Operation::ForgetClient => self.forget(now),
            Operation::GetPlacesNearClient => self.near_client(),
            Operation::PostReports => self.post(),
            Operation::GetPlaces => self.near_point(),
            Operation::GetHerd => self.herd(now).map(|answer| self.over(answer)),
            Operation::GetOpenApi => {
                let [] = self.call.values([])?;
                Ok(self.over(ApiAnswer::new(200, super::JSON, super::OPENAPI.into())))
            }
        }
    }

    /// That is the answer, once what has changed is offered.
    pub(super) fn over(&self, answer: ApiAnswer) -> CallStage {
        debug_assert!(
            self.operation.and_then(Operation::row).is_none_or(|row| row.statuses.contains(&answer.status)),
            "{:?} may not answer {}",
            self.operation,
            answer.status
        );
        match self.acknowledges || !self.changes.is_empty() {
            true => CallStage::Offering(Box::new(CallStage::Over(answer))),
            false => CallStage::Over(answer),
        }
    }

    /// The client of the path.
    pub(super) fn client(&self) -> Result<ClientId<'_>, Problem> {
        ClientId::new(self.call.path.get(2).map_or(&[][..], Vec::as_slice)).ok_or_else(no_id)
    }

    /// Whether it may do that, which the client's id decides alone. Whoever shows no token where there are tokens is told
    /// to.
    pub(super) fn may(&self, act: Act<'_>) -> Result<bool, Problem> {
        let access = self.node.access();
        if access.allows(self.principal.as_ref(), act) {
            return Ok(true);
        }
        if self.principal.is_none() && access.has_tokens() {
            return Err(no_token());
        }
        Ok(false)
    }

    /// Pays for some of so many reports, or says when it can.
    pub(super) fn turn(&mut self, wanted: usize, now: Tick) -> CallTurn {
        let Some(allowance) = &self.allowance else {
            self.meter.paid = wanted;
            return CallTurn::Go(wanted);
        };
        if self.meter.paid == 0 && self.meter.turn.is_none() {
            match allowance.charge(wanted, self.meter.bytes, now) {
                Ok(charge) => self.meter.turn = Some(charge),
                Err(_) => return CallTurn::Refused,
            }
            self.meter.bytes = 0;
        }
        if let Some(Charge { lines, at, quota }) = self.meter.turn {
            if now < at {
                return CallTurn::Rest(at, quota);
            }
            (self.meter.turn, self.meter.paid) = (None, lines);
        }
        CallTurn::Go(self.meter.paid)
    }

    /// So many of what was paid for is used.
    pub(super) fn used(&mut self, count: usize) {
        self.meter.paid = self.meter.paid.saturating_sub(count);
    }

    /// What is said of a call, or a report, whose turn would come too late.
    pub(super) fn over_quota(&self) -> Problem {
        let wait = self.allowance.as_ref().map(|allowance| allowance.wait()).unwrap_or_default();
        Problem::of(Invalid::OverQuota).retry_after(wait)
    }
}

impl Drop for ApiExchange<'_> {
    /// What it has stored is offered, whatever became of its connection.
    fn drop(&mut self) {
        self.node.offer(&mut self.changes, None, |_| {});
    }
}

/// What is said to somebody without a valid token who would need one.
pub(super) fn no_token() -> Problem {
    let detail = "this needs a token that is valid; herd token add NAME makes one";
    Problem::new(ProblemKind::NoToken, detail)
}
