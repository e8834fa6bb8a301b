//! Who may have a request answered: tokens, rights and quotas, which hold alike for all faces.

use std::{fmt, sync::atomic::Ordering};

use super::WebDoor;
use crate::{
    core::{
        access::{Act, Quota},
        model::Tick,
    },
    log::AuditKind,
    server::{
        Shared,
        seats::{Origin, SEAT_TIME, WebSeat},
        shown_address::ShownAddress,
    },
    system::clock,
    transport::Stream,
    web::{
        Caller, Face, Needs, Router,
        wire::{HttpReply, HttpRequest, Refused},
    },
};

/// A request that is let in.
pub(super) struct LetIn<'f> {
    pub(super) face: &'f dyn Face,
    pub(super) caller: Caller,
    pub(super) body_bytes: usize,
}

impl WebDoor<'_> {
    /// Finds who is to answer a request, and whether its sender may have it answered. Its body has not come yet.
    // Not inlined: a connection that waits does not need it on its stack.
    #[inline(never)]
    pub(super) fn let_in<'f>(
        &self,
        stream: &Stream,
        seat: &WebSeat<'_>,
        router: &Router<'f>,
        request: &HttpRequest,
    ) -> Result<LetIn<'f>, HttpReply> {
        let (face, claim) = router.route(request)?;
        let now = clock::tick();
        if claim.needs != Needs::Nothing && !seat.leave_reserved(now + SEAT_TIME) {
            return Err(Refused::Full.reply());
        }
        let caller = match claim.needs {
            Needs::Nothing => Caller::default(),
            needs => self.check(stream, request, needs, now).map_err(Refused::reply)?,
        };
        Ok(LetIn { face, caller, body_bytes: claim.body_bytes })
    }

    fn check(
        &self,
        stream: &Stream,
        request: &HttpRequest,
        needs: Needs,
        now: Tick,
    ) -> Result<Caller, Refused> {
        let (access, log) = (self.shared.node.access(), self.shared.log);
        let principal = request.token.as_ref().and_then(|token| access.find(token, clock::wall()));
        let caller = Caller { address: stream.peer_address().ok(), principal };
        let is_wrong = caller.principal.is_none() && request.token.is_some() && access.has_tokens();
        let may = match needs {
            // What anyone may do is not denied for a wrong token where pages are read.
            Needs::Monitor => access.allows(caller.principal.as_ref(), Act::Monitor),
            Needs::Client | Needs::Nothing => !is_wrong,
        };
        if may {
            self.charge(&caller, now)?;
            return Ok(caller);
        }
        let shown = ShownCaller(&caller);
        match (&caller.principal, request.token) {
            (Some(_), _) => {
                log.audit(AuditKind::Forbidden, now, format_args!("{shown}: a page for monitors"));
                Err(Refused::NotMonitor)
            }
            (None, Some(_)) => {
                log.audit(AuditKind::AuthFailed, now, format_args!("{shown}"));
                Err(Refused::NoToken)
            }
            (None, None) => Err(Refused::NoToken),
        }
    }

    /// A request counts as one, and cannot wait.
    fn charge(&self, caller: &Caller, now: Tick) -> Result<(), Refused> {
        let Shared { node, log, rate_limits, counters, .. } = self.shared;
        let allowance = match &caller.principal {
            Some(principal) => principal.account().allowance(node.quotas()),
            None => {
                caller.address.and_then(|address| self.shared.allowance_of(Origin::of(address.ip()), now))
            }
        };
        let Err(wait) = allowance.map_or(Ok(()), |allowance| allowance.charge_now(now)) else {
            return Ok(());
        };
        counters.pages_refused.fetch_add(1, Ordering::Relaxed);
        if let Some(untold) = rate_limits.over_quota.allow(now) {
            let shown = ShownCaller(caller);
            log.warn(format_args!("{shown} is refused a page because of {}{untold}", Quota::Requests));
        }
        Err(Refused::TooMany(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)))
    }
}

/// Displays for those who look for who did something.
struct ShownCaller<'a>(&'a Caller);

impl fmt::Display for ShownCaller<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(Caller { principal, address }) = self;
        let of = principal.as_ref().map(|principal| format!(" of {}", principal.name()));
        write!(f, "HTTP{} from {}", of.unwrap_or_default(), ShownAddress(*address))
    }
}
