//! What is noted of a connection's lines: in the log, and in the counters.

use crate::{
    core::{
        dialogue::{Host, Looked, Party, Reply},
        model::Now,
        wire::{Invalid, Line, Nonce},
    },
    log::Traffic,
    metrics::{Counts, RequestOutcome},
    server::Shared,
    system::{clock, memory, random},
};

/// How much of a bad line its event shows.
const SHOWN_BYTES_MAX: usize = 80;

/// What is still to be noted of one connection.
pub(super) struct Notes<'a> {
    shared: &'a Shared<'a>,
    number: u64,
    traffic: Traffic,
    /// What of all connections' buffers is counted as this one's.
    held: usize,
    /// What has become of a client's requests since the last replies were written.
    pub(super) counts: Counts,
}

impl<'a> Notes<'a> {
    pub(super) fn new(shared: &'a Shared<'a>, number: u64) -> Self {
        Self { shared, number, traffic: Traffic::default(), held: 0, counts: Counts::default() }
    }

    /// The lines that follow came at `now`.
    pub(super) fn begin(&mut self, now: Now) {
        if self.shared.log.takes_traffic() {
            self.traffic.begin(now.wall, self.number);
        }
    }

    /// Hands the lines so far to the log.
    pub(super) fn log(&mut self) {
        if self.shared.log.takes_traffic() {
            self.traffic.finish(self.shared.log);
        }
    }

    fn count_as_held(&mut self, bytes: usize) {
        if self.shared.buffers.replace(self.held, bytes) {
            memory::trim();
        }
        self.held = bytes;
    }

    #[cold]
    fn log_bad_line(&self, text: &[u8], why: Invalid) {
        if let Some(untold) = self.shared.rate_limits.bad_lines.allow(clock::tick()) {
            let shown = String::from_utf8_lossy(&text[..text.len().min(SHOWN_BYTES_MAX)]);
            self.shared.log.warn(format_args!("bad line on #{}: {why}: {shown}{untold}", self.number));
        }
    }
}

impl Host for Notes<'_> {
    fn nonce(&mut self) -> Result<Nonce, String> {
        random::bytes().map(Nonce::of_bytes).map_err(|error| error.to_string())
    }

    #[inline]
    fn said(&mut self, line: Line<'_>, party: Party, reply: &Reply<'_>) {
        let (Line::Whole(text, _) | Line::TooLong(text, _)) = line;
        if let Reply::Invalid(why) = *reply {
            self.log_bad_line(text, why);
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

/// What became of a client's line, where that is known yet.
fn outcome(reply: &Reply<'_>) -> Option<RequestOutcome> {
    Some(match reply {
        Reply::None | Reply::Near { .. } => return None,
        Reply::At { is_newest: true, .. } => RequestOutcome::Stored,
        Reply::At { is_newest: false, .. } => RequestOutcome::Stale,
        Reply::Invalid(Invalid::TooFarAhead) => RequestOutcome::Ahead,
        Reply::Invalid(Invalid::TooManyClients) => RequestOutcome::Full,
        Reply::Invalid(Invalid::UnknownClient) => RequestOutcome::UnknownClient,
        Reply::Invalid(Invalid::NoPlaces) => RequestOutcome::NoPlaces,
        Reply::Invalid(_) => RequestOutcome::Invalid,
    })
}
