//! Calls that change something: a report, many reports, a forgetting.

use std::mem;

use serde_json::{Value, json};

use super::{
    ApiAnswer,
    body::{OwnedReport, Reports, no_id},
    exchange::{ApiExchange, ApiNext, CallStage, CallTurn},
    problem::{Problem, ProblemKind},
    view,
};
use crate::core::{
    access::Act,
    model::{ClientId, Location, Now, SkewText},
    wire::Invalid,
};

/// The media type of reports on lines of their own.
const NDJSON: &str = "application/x-ndjson";

/// Reports of one call that are taken one after another.
#[derive(Debug)]
pub(super) struct Reporting {
    /// Where each is in the body.
    items: Vec<(usize, usize)>,
    next: usize,
    results: Vec<Value>,
}

impl ApiExchange<'_> {
    /// `PUT /v1/clients/{id}`
    pub(super) fn put(&mut self, now: Now) -> Result<CallStage, Problem> {
        let [] = self.call.values([])?;
        let client = self.client()?;
        self.may_report(Act::Report(client))?;
        match &*self.call.media_type() {
            super::JSON => {}
            _ => return Err(wrong_media(super::JSON)),
        }
        let line_bytes = self.face.bounds.line_bytes;
        let report = OwnedReport::parse(&self.call.body, Some(client), now.wall, line_bytes)?;
        let body = self.take(&report, now, view::reported)?;
        Ok(self.over(ApiAnswer::new(200, super::JSON, body)))
    }

    /// `POST /v1/reports`
    pub(super) fn post(&mut self) -> Result<CallStage, Problem> {
        let [] = self.call.values([])?;
        let (body, most) = (&self.call.body[..], self.face.bounds.reports);
        let Reports(items) = match &*self.call.media_type() {
            super::JSON => Reports::of_array(body, most)?,
            NDJSON => Reports::of_lines(body, most)?,
            _ => return Err(wrong_media(&format!("{} or {NDJSON}", super::JSON))),
        };
        let start = |item: &[u8]| item.as_ptr() as usize - body.as_ptr() as usize;
        let items: Vec<_> = items.into_iter().map(|item| (start(item), item.len())).collect();
        let results = Vec::with_capacity(items.len());
        Ok(CallStage::Reporting(Reporting { items, next: 0, results }))
    }

    /// Takes some more of them: what is in progress then, and what must happen first.
    pub(super) fn report_on(&mut self, mut reporting: Reporting, now: Now) -> (CallStage, Option<ApiNext>) {
        // The call has paid for one.
        let left = reporting.items.len() - reporting.next;
        let count = match (left, reporting.next) {
            (0, _) => return (self.results(&mut reporting), None),
            (_, 0) => 1,
            _ => match self.turn(left, now.tick) {
                CallTurn::Go(paid) => paid.min(left),
                CallTurn::Rest(until, quota) if self.changes.is_empty() => {
                    return (CallStage::Reporting(reporting), Some(ApiNext::Rest(until, quota)));
                }
                CallTurn::Rest(..) => {
                    return (CallStage::Offering(Box::new(CallStage::Reporting(reporting))), None);
                }
                CallTurn::Refused => {
                    let refused = self.over_quota().result();
                    reporting.results.resize(reporting.items.len(), refused);
                    return (self.results(&mut reporting), None);
                }
            },
        };
        let is_first = reporting.next == 0;
        for &(start, length) in &reporting.items[reporting.next..][..count] {
            let result = self.take_item(start, length, now).unwrap_or_else(|problem| problem.result());
            reporting.results.push(result);
        }
        reporting.next += count;
        if !is_first {
            self.used(count);
        }
        (CallStage::Reporting(reporting), None)
    }

    fn results(&self, reporting: &mut Reporting) -> CallStage {
        let body = json!({"results": mem::take(&mut reporting.results)}).to_string();
        self.over(ApiAnswer::new(200, super::JSON, body.into_bytes()))
    }

    fn take_item(&mut self, start: usize, length: usize, now: Now) -> Result<Value, Problem> {
        let line_bytes = self.face.bounds.line_bytes;
        let report = OwnedReport::parse(&self.call.body[start..][..length], None, now.wall, line_bytes)?;
        self.may_report(Act::Report(report.report()?.client))?;
        self.take(&report, now, |_, is_newest| json!({"status": 200, "newest": is_newest}))
    }

    fn take<R>(
        &mut self,
        report: &OwnedReport,
        now: Now,
        render: impl FnOnce(&Location<'_>, bool) -> R,
    ) -> Result<R, Problem> {
        let report = report.report()?;
        let (key, mut skew) = (self.node.key(report.client), SkewText::default());
        let allowance = self.allowance.as_deref();
        let taken = self.node.report((&report, key), allowance, now, &mut skew, &mut self.changes);
        let taken = taken.map_err(Problem::of)?;
        self.acknowledges |= self.node.waits_for_durable(taken.is_newest);
        Ok(render(&taken.location, taken.is_newest))
    }

    fn may_report(&self, act: Act<'_>) -> Result<(), Problem> {
        if self.may(act)? { Ok(()) } else { Err(Problem::of(Invalid::MayNotReport)) }
    }

    /// `DELETE /v1/clients/{id}`
    pub(super) fn forget(&mut self, now: Now) -> Result<CallStage, Problem> {
        let [] = self.call.values([])?;
        let id = self.client()?.as_bytes().to_vec();
        let client = ClientId::new(&id).ok_or_else(no_id)?;
        if !self.may(Act::Forget(client))? {
            return Err(Problem::of(Invalid::NotLetForget));
        }
        let key = self.node.key(client);
        self.node.forget(client, key, now, &mut self.changes).map_err(Problem::of)?;
        self.acknowledges |= self.node.waits_for_durable(true);
        Ok(self.over(ApiAnswer::new(204, super::JSON, Vec::new())))
    }
}

fn wrong_media(wanted: &str) -> Problem {
    Problem::new(ProblemKind::MediaType, format!("the body must be {wanted}; say so in Content-Type"))
}
