//! What a call has done, for the node's counters and its audit log. It is counted as the line protocol counts the same.

use super::{call::Operation, problem::ProblemKind};
use crate::{
    core::access::Act,
    metrics::{Counts, RequestOutcome},
};

/// Something that few may do: done, or tried in vain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ApiDeed {
    /// That client was forgotten.
    Forgot(Vec<u8>),
    /// That was not for the caller to do.
    Denied {
        /// What.
        act: &'static str,
        /// With which client; nothing if with none in particular.
        client: Vec<u8>,
    },
}

/// What one call has done.
#[derive(Debug, Default)]
pub struct ApiDeeds {
    /// What became of its reports, its question or its forgetting.
    pub counts: Counts,
    /// What the audit log is about, each once.
    pub audited: Vec<ApiDeed>,
}

impl ApiDeeds {
    /// That was not for the caller to do.
    pub(super) fn deny(&mut self, act: Act<'_>) {
        let (act, client) = match act {
            Act::Report(client) => ("report", client.as_bytes()),
            Act::See(client) => ("see", client.as_bytes()),
            Act::Forget(client) => ("forget", client.as_bytes()),
            Act::Monitor => ("monitor", &b""[..]),
        };
        let denied = ApiDeed::Denied { act, client: client.to_vec() };
        // Who waits is judged again each time.
        if self.audited.last() != Some(&denied) {
            self.audited.push(denied);
        }
    }

    /// The call, or one report of it, is refused.
    pub(super) fn refuse(&mut self, operation: Option<Operation>, why: ProblemKind) {
        if let Some(outcome) = outcome(operation, why) {
            self.counts.add(outcome);
        }
    }
}

/// What became of what was refused; `None` for what nobody counts.
fn outcome(operation: Option<Operation>, why: ProblemKind) -> Option<RequestOutcome> {
    use ProblemKind as Why;
    use RequestOutcome as Is;
    Some(match (operation, why) {
        (_, Why::OverQuota) => Is::OverQuota,
        (Some(Operation::PutClient | Operation::PostReports), why) => match why {
            Why::NoToken | Why::MayNot => Is::ReportForbidden,
            Why::TooFarAhead => Is::Ahead,
            Why::LongClient => Is::LongClient,
            Why::TooManyNew => Is::TooManyNew,
            Why::TooManyClients => Is::Full,
            Why::TooManyBytes => Is::OutOfBytes,
            Why::NotKept => Is::NotKept,
            Why::Stopping => return None,
            _ => Is::Invalid,
        },
        (Some(Operation::ForgetClient), why) => match why {
            Why::NoToken | Why::MayNot => Is::ForgettingForbidden,
            Why::NotKept => Is::ForgetNotKept,
            Why::Malformed => Is::Invalid,
            Why::Stopping => return None,
            _ => Is::ForgetRefused,
        },
        (Some(Operation::GetPlacesNearClient), why) => match why {
            Why::NoToken | Why::MayNot => Is::QuestionForbidden,
            Why::UnknownClient => Is::UnknownClient,
            Why::NoPlaces => Is::NoPlaces,
            Why::Malformed => Is::Invalid,
            _ => return None,
        },
        _ => return None,
    })
}
