//! Why a call brought no places, and what the client is told of it.

#![deny(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]

use crate::{metrics::CallOutcome, places::Failure};

/// A call that failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::places) struct CallFault {
    /// For the metrics and the breaker.
    pub(in crate::places) outcome: CallOutcome,
    /// For the client.
    pub(in crate::places) failure: Failure,
    /// Details for the log; may be empty. Never holds a key.
    pub(in crate::places) cause: String,
}

impl CallFault {
    /// A failure with Google's status for the case.
    pub(in crate::places) fn new(outcome: CallOutcome, message: String) -> Self {
        let status = match outcome {
            CallOutcome::Denied => "REQUEST_DENIED",
            CallOutcome::Limited => "OVER_QUERY_LIMIT",
            CallOutcome::Invalid => "INVALID_REQUEST",
            CallOutcome::Ok | CallOutcome::Unavailable | CallOutcome::Timeout | CallOutcome::Malformed => {
                "UNKNOWN_ERROR"
            }
        };
        Self { outcome, failure: Failure { status, message }, cause: String::new() }
    }

    /// What an HTTP status says if the body says nothing.
    pub(in crate::places) fn of_http(status: u16, source: &str) -> Self {
        let outcome = match status {
            400 => CallOutcome::Invalid,
            401 | 403 => CallOutcome::Denied,
            429 => CallOutcome::Limited,
            500.. => CallOutcome::Unavailable,
            _ => CallOutcome::Malformed,
        };
        Self::new(outcome, format!("{source} answered with HTTP status {status} and nothing to show."))
    }

    /// Whether the same call may do better in a moment.
    pub(super) fn may_retry(&self) -> bool {
        self.outcome == CallOutcome::Unavailable
    }
}
