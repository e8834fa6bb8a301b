//! Why a call, or a report among many, is refused: as problem details (RFC 9457), whose `code` programs can rely on.

use std::time::Duration;

use serde_json::{Value, json};

use super::ApiAnswer;
use crate::core::wire::{ForgetFault, Invalid};

/// The media type of problem details.
pub(super) const PROBLEM: &str = "application/problem+json";

/// What is wrong. Its code and status are in [`ProblemKind::TABLE`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ProblemKind {
    Malformed,
    NoToken,
    MayNot,
    UnknownClient,
    NoPath,
    Method,
    GenerationAhead,
    TooLarge,
    MediaType,
    TooFarAhead,
    TooOld,
    LongClient,
    OverQuota,
    TooManyNew,
    NoPlaces,
    SourceFailed,
    SourceBusy,
    NotKept,
    TooManyClients,
    TooManyBytes,
}

impl ProblemKind {
    /// Each with its code and its status.
    pub(super) const TABLE: [(Self, &'static str, u16); 20] = [
        (Self::Malformed, "malformed", 400),
        (Self::NoToken, "no-token", 401),
        (Self::MayNot, "may-not", 403),
        (Self::UnknownClient, "unknown-client", 404),
        (Self::NoPath, "no-path", 404),
        (Self::Method, "method", 405),
        (Self::GenerationAhead, "generation-ahead", 409),
        (Self::TooLarge, "too-large", 413),
        (Self::MediaType, "media-type", 415),
        (Self::TooFarAhead, "too-far-ahead", 422),
        (Self::TooOld, "too-old", 422),
        (Self::LongClient, "long-client", 422),
        (Self::OverQuota, "over-quota", 429),
        (Self::TooManyNew, "too-many-new-clients", 429),
        (Self::NoPlaces, "no-places", 501),
        (Self::SourceFailed, "source-failed", 502),
        (Self::SourceBusy, "source-busy", 503),
        (Self::NotKept, "not-kept", 503),
        (Self::TooManyClients, "too-many-clients", 507),
        (Self::TooManyBytes, "too-many-bytes", 507),
    ];

    fn row(self) -> (&'static str, u16) {
        let row = Self::TABLE.iter().find(|(kind, ..)| *kind == self);
        row.map_or(("malformed", 400), |(_, code, status)| (code, *status))
    }
}

/// What is wrong, and with what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Problem {
    pub(super) kind: ProblemKind,
    detail: String,
    /// When it is worth another try.
    retry_after: Option<Duration>,
    /// The methods that the path has.
    allow: Option<String>,
}

impl Problem {
    pub(super) fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), retry_after: None, allow: None }
    }

    /// Something of the call cannot be read.
    pub(super) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::Malformed, detail)
    }

    /// Nothing is known of the client, or its location may not be seen: nothing says which.
    pub(super) fn unknown_client() -> Self {
        Self::new(ProblemKind::UnknownClient, "no location is known for that client")
    }

    /// Only those methods are there.
    pub(super) fn method(allow: String) -> Self {
        let detail = format!("this path has {allow} only");
        Self { allow: Some(allow), ..Self::new(ProblemKind::Method, detail) }
    }

    /// The same, worth another try after that time.
    pub(super) fn retry_after(self, time: Duration) -> Self {
        Self { retry_after: Some(time), ..self }
    }

    /// Why the node refuses what a client says, which is the same on the line protocol.
    pub(super) fn of(why: Invalid) -> Self {
        use ProblemKind as Kind;
        let kind = match why {
            Invalid::TooFarAhead => Kind::TooFarAhead,
            Invalid::BeforeWatermark => Kind::TooOld,
            Invalid::LongClient | Invalid::NotForgotten(ForgetFault::LongClient) => Kind::LongClient,
            Invalid::TooManyClients => Kind::TooManyClients,
            Invalid::TooManyBytes | Invalid::NotForgotten(ForgetFault::TooManyBytes) => Kind::TooManyBytes,
            Invalid::OverQuota => Kind::OverQuota,
            Invalid::TooManyNew => Kind::TooManyNew,
            Invalid::NotKept | Invalid::NotForgotten(ForgetFault::NotKept) => Kind::NotKept,
            Invalid::NotForgotten(ForgetFault::GenerationAhead) => Kind::GenerationAhead,
            Invalid::MayNotReport | Invalid::NotLetForget => Kind::MayNot,
            Invalid::NoPlaces => Kind::NoPlaces,
            Invalid::UnknownClient | Invalid::MayNotSee => return Self::unknown_client(),
            _ => Kind::Malformed,
        };
        Self::new(kind, why.to_string())
    }

    /// The result of a report among others.
    pub(super) fn result(&self) -> Value {
        let (code, status) = self.kind.row();
        json!({"status": status, "code": code, "detail": self.detail})
    }

    /// The answer to a call.
    pub(super) fn answer(&self) -> ApiAnswer {
        let (code, status) = self.kind.row();
        let title = title(status);
        let body = json!({"type": "about:blank", "title": title, "status": status, "code": code, "detail": self.detail});
        let mut answer = ApiAnswer::new(status, PROBLEM, body.to_string().into_bytes());
        if let Some(time) = self.retry_after {
            let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
            answer.headers.push(("Retry-After", seconds.max(1).to_string()));
        }
        if let Some(allow) = &self.allow {
            answer.headers.push(("Allow", allow.clone()));
        }
        if status == 401 {
            answer.headers.push(("WWW-Authenticate", "Bearer realm=\"herd\"".to_owned()));
        }
        answer
    }
}

/// The name of a status, as its specification has it.
fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        _ => "Insufficient Storage",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_one_code_and_its_answer_says_so() {
        let mut codes: Vec<&str> = ProblemKind::TABLE.iter().map(|(_, code, _)| *code).collect();
        for (kind, code, status) in ProblemKind::TABLE {
            let answer = Problem::new(kind, "x").answer();
            let body: Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(
                (answer.status, &body["code"], &body["status"]),
                (status, &json!(code), &json!(status))
            );
            assert_eq!((answer.content_type, body["title"].as_str().unwrap()), (PROBLEM, title(status)));
        }
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), ProblemKind::TABLE.len());
    }

    #[test]
    fn another_try_is_told_in_whole_seconds_and_never_as_none() {
        for (milliseconds, told) in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2"), (5000, "5")] {
            let problem = Problem::malformed("x").retry_after(Duration::from_millis(milliseconds));
            assert_eq!(problem.answer().headers, [("Retry-After", told.to_owned())]);
        }
    }
}
