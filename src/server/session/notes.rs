//! What is recorded about a connection and its lines, in the log and in the counters.

use std::{fmt, net::SocketAddr};

use crate::{
    core::{
        access::Quota,
        dialogue::{Host, Looked, Party, Reply},
        model::{ClientId, Now, Tick},
        wire::{Fields, ForgetFault, Invalid, Line, Nonce, is_hello},
    },
    log::{AuditKind, ShownId, Traffic, Untold},
    metrics::{Counts, RequestOutcome},
    server::{Shared, ended::Ended, shown_address::ShownAddress},
    system::{clock, memory, random},
};

/// How much of a bad line its event shows.
const SHOWN_BYTES_MAX: usize = 80;

/// How much of a handshake that was not one: its keyword.
const HELLO_BYTES: usize = "HELLO".len();

/// How a connection came in.
pub(crate) struct Arrival {
    /// Where it came from; unknown if the other end left too soon.
    address: Option<SocketAddr>,
    at: Tick,
    /// Whether the log has said so, or need not.
    is_introduced: bool,
}

impl Arrival {
    /// The connection of that number has arrived, which is logged unless too many do. The thread that accepts it writes
    /// the line: that takes more stack than a connection that sends nothing else would touch.
    pub(crate) fn now(shared: &Shared<'_>, number: u64, address: Option<SocketAddr>) -> Self {
        let mut arrival = Self { address, at: clock::tick(), is_introduced: !shared.log.takes_connections() };
        if !arrival.is_introduced
            && let Some(untold) = shared.connection_events.begins.allow(arrival.at)
        {
            arrival.introduce(shared, number, untold);
        }
        arrival
    }

    #[inline(never)]
    fn introduce(&mut self, shared: &Shared<'_>, number: u64, untold: Untold) {
        self.is_introduced = true;
        shared.log.info(format_args!("#{number} comes from {}{untold}", ShownAddress(self.address)));
    }
}

/// What remains to be recorded about one connection.
pub(super) struct Notes<'a> {
    shared: &'a Shared<'a>,
    number: u64,
    arrival: Arrival,
    lines: u64,
    bytes_in: u64,
    bytes_out: u64,
    traffic: Traffic,
    /// Its share in what all connections' buffers are counted to hold.
    held: usize,
    /// What has become of a client's requests since the last replies were written.
    pub(super) counts: Counts,
}

impl<'a> Notes<'a> {
    pub(super) fn new(shared: &'a Shared<'a>, number: u64, arrival: Arrival) -> Self {
        Self {
            shared,
            number,
            arrival,
            lines: 0,
            bytes_in: 0,
            bytes_out: 0,
            traffic: Traffic::default(),
            held: 0,
            counts: Counts::default(),
        }
    }

    /// The log is about to show its lines. If too many connections began at the same time, its address is logged only
    /// now; otherwise a flood of connections could hide who reports.
    #[cold]
    fn introduce_late(&mut self) {
        self.arrival.introduce(self.shared, self.number, Untold::default());
        self.shared.connection_events.begins.told_after_all();
    }

    /// The connection has ended.
    #[inline(never)]
    pub(super) fn end(&self, ended: &Ended) {
        let Shared { log, connection_events, .. } = self.shared;
        let now = clock::tick();
        if !log.takes_connections() {
            return;
        }
        let mut allowed = connection_events.ends.allow(now);
        // As at its beginning: otherwise a flood of connections could hide how long others lasted.
        if allowed.is_none() && self.lines > 0 && log.takes_traffic() {
            connection_events.ends.told_after_all();
            allowed = Some(Untold::default());
        }
        if let Some(untold) = allowed {
            let Self { number, lines, bytes_in, bytes_out, .. } = self;
            let (address, lasted) =
                (ShownAddress(self.arrival.address), now.saturating_sub(self.arrival.at).as_secs_f64());
            let lines = if *lines == 1 { "1 line".to_owned() } else { format!("{lines} lines") };
            log.info(format_args!(
                "#{number} from {address} ended after {lasted:.3} s: {lines}, {bytes_in} bytes in, {bytes_out} bytes out; \
                 {ended}{untold}"
            ));
        }
    }

    /// So many bytes have arrived, and the lines in them, at `now`.
    pub(super) fn begin(&mut self, now: Now, bytes: usize) {
        self.bytes_in += bytes as u64;
        if self.shared.log.takes_traffic() {
            self.traffic.begin(now.wall, self.number);
        }
    }

    /// Hands the lines so far to the log.
    pub(super) fn log(&mut self) {
        if self.shared.log.takes_traffic() {
            if !self.arrival.is_introduced && !self.traffic.is_empty() {
                self.introduce_late();
            }
            self.traffic.finish(self.shared.log);
        }
    }

    /// So many bytes of replies were written.
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.bytes_out += bytes as u64;
    }

    fn count_as_held(&mut self, bytes: usize) {
        if self.shared.buffers.replace(self.held, bytes) {
            memory::trim();
        }
        self.held = bytes;
    }

    #[cold]
    fn log_bad_line(&mut self, text: &[u8], party: &Party, why: Invalid) {
        let Shared { rate_limits, .. } = self.shared;
        // What clients send must not hide what is wrong with a neighbour.
        let limit =
            if party.is_client() { &rate_limits.bad_lines } else { &rate_limits.bad_lines_of_neighbours };
        match why {
            Invalid::OverQuota | Invalid::TooManyNew => return self.log_over_quota(party, why),
            Invalid::WrongToken => self.audit(AuditKind::AuthFailed, party, format_args!("")),
            Invalid::MayNotReport | Invalid::MayNotSee | Invalid::NotLetForget => {
                // What was said of the client, such as where it is, does not belong there.
                let mut fields = Fields::of(text);
                let [act, client] = [(); 2].map(|()| ShownId(fields.next().unwrap_or_default()));
                self.audit(AuditKind::Forbidden, party, format_args!(": {act} {client}"));
            }
            _ => {}
        }
        if let Some(untold) = limit.allow(clock::tick()) {
            if !self.arrival.is_introduced {
                self.introduce_late();
            }
            let shown = String::from_utf8_lossy(shown_of(text));
            self.shared.log.warn(format_args!("bad line on #{}: {why}: {shown}{untold}", self.number));
        }
    }
}

/// Quotas, and what the audit log is about: who it was is told with each.
impl Notes<'_> {
    /// Lines wait for their turn.
    pub(super) fn log_wait(&self, quota: Quota, party: &Party) {
        let Shared { log, rate_limits, .. } = self.shared;
        if let Some(untold) = rate_limits.quota_waits.allow(clock::tick()) {
            log.info(format_args!("{} waits for its turn because of {quota}{untold}", self.sender(party)));
        }
    }

    fn log_over_quota(&self, party: &Party, why: Invalid) {
        let Shared { log, rate_limits, .. } = self.shared;
        if let Some(untold) = rate_limits.over_quota.allow(clock::tick()) {
            log.warn(format_args!("a line on {} is refused: {why}{untold}", self.sender(party)));
        }
    }

    #[cold]
    fn audit_forgetting(&self, client: ClientId<'_>, party: &Party) {
        self.audit(AuditKind::Forget, party, format_args!(": {}", ShownId(client.as_bytes())));
    }

    #[cold]
    fn audit(&self, kind: AuditKind, party: &Party, what: fmt::Arguments<'_>) {
        self.shared.log.audit(kind, clock::tick(), format_args!("{}{what}", self.sender(party)));
    }

    fn sender<'p>(&self, party: &'p Party) -> Sender<'p> {
        Sender { number: self.number, address: ShownAddress(self.arrival.address), party }
    }
}

/// A connection with whose it is and where it comes from, for those who look for who did something.
struct Sender<'p> {
    number: u64,
    address: ShownAddress,
    party: &'p Party,
}

impl fmt::Display for Sender<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, address, party } = self;
        write!(f, "#{number}")?;
        if let Some(principal) = party.principal() {
            write!(f, " of {}", principal.name())?;
        }
        write!(f, " from {address}")
    }
}

impl Host for Notes<'_> {
    fn nonce(&mut self) -> Result<Nonce, String> {
        random::bytes().map(Nonce::of_bytes).map_err(|error| error.to_string())
    }

    #[inline]
    fn said(&mut self, line: Line<'_>, party: &Party, reply: &Reply<'_>) {
        let text = line.text();
        self.lines += 1;
        match *reply {
            Reply::Invalid(why) => self.log_bad_line(text, party, why),
            Reply::Forgot { client } => self.audit_forgetting(client, party),
            _ => {}
        }
        if let Some(outcome) = outcome(reply).filter(|_| party.is_client()) {
            self.counts.add(outcome);
        }
        if self.shared.log.takes_traffic() {
            self.traffic.said(line, party, reply);
        }
    }

    fn looked(&mut self, looked: &Looked, document: &[u8]) {
        let log = self.shared.log;
        self.counts.add(if looked.is_failed {
            RequestOutcome::SourceFailed
        } else {
            RequestOutcome::Answered
        });
        if log.takes_traffic() {
            self.traffic.looked(looked, document, log.takes_bodies());
        }
    }

    fn is_grown(&self) -> bool {
        self.traffic.is_grown()
    }

    fn give_back(&mut self) {
        self.traffic = Traffic::default();
    }

    fn holds(&mut self, bytes: usize) -> bool {
        let bytes = if bytes == 0 { 0 } else { bytes + self.traffic.capacity() };
        if bytes != self.held {
            self.count_as_held(bytes);
        }
        bytes > 0 && self.shared.buffers.is_exceeded()
    }
}

impl Drop for Notes<'_> {
    fn drop(&mut self) {
        self.count_as_held(0);
    }
}

/// What the log shows of a bad line. A handshake that came where none is taken, as at the door for third-party nodes, may
/// have a node's incarnation in it, by which others could take its place.
fn shown_of(text: &[u8]) -> &[u8] {
    let most = if is_hello(text) {
        text.len() - text.trim_ascii_start().len() + HELLO_BYTES
    } else {
        SHOWN_BYTES_MAX
    };
    &text[..text.len().min(most)]
}

/// What became of a client's line, if that is known yet.
fn outcome(reply: &Reply<'_>) -> Option<RequestOutcome> {
    Some(match reply {
        Reply::None | Reply::Near { .. } => return None,
        Reply::At { is_newest: true, .. } => RequestOutcome::Stored,
        Reply::At { is_newest: false, .. } => RequestOutcome::Stale,
        Reply::Forgot { .. } => RequestOutcome::Forgotten,
        Reply::Welcome { .. } => RequestOutcome::Welcomed,
        Reply::Invalid(Invalid::TooFarAhead) => RequestOutcome::Ahead,
        Reply::Invalid(Invalid::LongClient) => RequestOutcome::LongClient,
        Reply::Invalid(Invalid::TooManyClients) => RequestOutcome::Full,
        Reply::Invalid(Invalid::TooManyBytes) => RequestOutcome::OutOfBytes,
        Reply::Invalid(Invalid::TooManyNew) => RequestOutcome::TooManyNew,
        Reply::Invalid(Invalid::OverQuota) => RequestOutcome::OverQuota,
        Reply::Invalid(Invalid::NotKept) => RequestOutcome::NotKept,
        Reply::Invalid(Invalid::NotForgotten(ForgetFault::NotKept)) => RequestOutcome::ForgetNotKept,
        Reply::Invalid(Invalid::NotForgotten(_)) => RequestOutcome::ForgetRefused,
        Reply::Invalid(Invalid::UnknownClient) => RequestOutcome::UnknownClient,
        Reply::Invalid(Invalid::NoPlaces) => RequestOutcome::NoPlaces,
        Reply::Invalid(Invalid::MayNotReport) => RequestOutcome::ReportForbidden,
        Reply::Invalid(Invalid::MayNotSee) => RequestOutcome::QuestionForbidden,
        Reply::Invalid(Invalid::NotLetForget) => RequestOutcome::ForgettingForbidden,
        Reply::Invalid(Invalid::WrongToken) => RequestOutcome::WrongToken,
        Reply::Invalid(_) => RequestOutcome::Invalid,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_handshake_that_came_where_none_is_taken_only_the_keyword_is_shown() {
        assert_eq!(shown_of(b" HELLO 2 test Welsh Alford 00c0ffee00c0ffee 3f9c - - -"), b" HELLO");
        assert_eq!(shown_of(b"HELLO world"), b"HELLO world");
        assert_eq!(shown_of(&[b'x'; 81]), [b'x'; 80]);
    }

    #[test]
    fn refused_forgettings_are_no_reports() {
        for (why, expected) in [
            (Invalid::NotKept, RequestOutcome::NotKept),
            (Invalid::NotForgotten(ForgetFault::NotKept), RequestOutcome::ForgetNotKept),
            (Invalid::LongClient, RequestOutcome::LongClient),
            (Invalid::NotForgotten(ForgetFault::LongClient), RequestOutcome::ForgetRefused),
            (Invalid::NotForgotten(ForgetFault::TooManyBytes), RequestOutcome::ForgetRefused),
            (Invalid::NotForgotten(ForgetFault::GenerationAhead), RequestOutcome::ForgetRefused),
            (Invalid::NotLetForget, RequestOutcome::ForgettingForbidden),
        ] {
            assert_eq!(outcome(&Reply::Invalid(why)), Some(expected), "{why}");
        }
    }
}
