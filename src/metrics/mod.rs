//! What can become of a client's request, under the names that the metrics show, and a node's counts of it: plain
//! atomics, added to once per batch, read on request.

mod histogram;
mod lookups;

use std::{
    array,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

pub use self::{
    histogram::{BOUNDS, Histogram, Spread},
    lookups::{CallOutcome, LookupOutcome, Lookups, NotAsked, UpstreamReport},
};

/// The number of copies of the counters, so that sessions on many cores do not compete for one cache line.
const STRIPES: usize = 8;

/// Which command a request was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RequestKind {
    /// A report.
    Iamat,
    /// A question.
    Whatsat,
    /// A forgetting.
    Forget,
    /// A token that was shown.
    Auth,
    /// None of these: the line is not a command, not one for that client, or one too many to be looked at.
    Invalid,
}

impl RequestKind {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Iamat, Self::Whatsat, Self::Forget, Self::Auth, Self::Invalid];

    /// The label `kind`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Iamat => "iamat",
            Self::Whatsat => "whatsat",
            Self::Forget => "forget",
            Self::Auth => "auth",
            Self::Invalid => "invalid",
        }
    }
}

/// What became of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RequestOutcome {
    /// A report that is its client's newest.
    Stored,
    /// A report that is not strictly newer than what is known; answered all the same.
    Stale,
    /// A report too far ahead of the server's clock.
    Ahead,
    /// A report from a new client, when the store has as many as it may.
    Full,
    /// A report for which the store would use more memory than it may.
    OutOfBytes,
    /// A report whose client's id is too long.
    LongClient,
    /// A report of a new client, beyond those that its principal may add in an hour.
    TooManyNew,
    /// A report that came while the journal failed, in which it would have to be first.
    NotKept,
    /// A report for a client for whom the sender may not report.
    ReportForbidden,
    /// A question that was answered by the source of places.
    Answered,
    /// A question whose source failed; answered with the source's error.
    SourceFailed,
    /// A question about an unknown client.
    UnknownClient,
    /// A question in a herd without a source of places.
    NoPlaces,
    /// A question about a client that the sender may not see.
    QuestionForbidden,
    /// A client was forgotten.
    Forgotten,
    /// A forgetting that came while the journal failed, in which it would have to be first.
    ForgetNotKept,
    /// A forgetting that was refused for another reason.
    ForgetRefused,
    /// A forgetting by somebody who may not.
    ForgettingForbidden,
    /// A token that is valid.
    Welcomed,
    /// A token that is not.
    WrongToken,
    /// A line beyond what its principal may send, whatever it was.
    OverQuota,
    /// A line that is not a valid command.
    Invalid,
}

impl RequestOutcome {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 22] = [
        Self::Stored,
        Self::Stale,
        Self::Ahead,
        Self::Full,
        Self::OutOfBytes,
        Self::LongClient,
        Self::TooManyNew,
        Self::NotKept,
        Self::ReportForbidden,
        Self::Answered,
        Self::SourceFailed,
        Self::UnknownClient,
        Self::NoPlaces,
        Self::QuestionForbidden,
        Self::Forgotten,
        Self::ForgetNotKept,
        Self::ForgetRefused,
        Self::ForgettingForbidden,
        Self::Welcomed,
        Self::WrongToken,
        Self::OverQuota,
        Self::Invalid,
    ];

    /// Which command it was.
    pub fn kind(self) -> RequestKind {
        match self {
            Self::Stored
            | Self::Stale
            | Self::Ahead
            | Self::Full
            | Self::OutOfBytes
            | Self::LongClient
            | Self::TooManyNew
            | Self::NotKept
            | Self::ReportForbidden => RequestKind::Iamat,
            Self::Answered
            | Self::SourceFailed
            | Self::UnknownClient
            | Self::NoPlaces
            | Self::QuestionForbidden => RequestKind::Whatsat,
            Self::Forgotten | Self::ForgetNotKept | Self::ForgetRefused | Self::ForgettingForbidden => {
                RequestKind::Forget
            }
            Self::Welcomed | Self::WrongToken => RequestKind::Auth,
            Self::OverQuota | Self::Invalid => RequestKind::Invalid,
        }
    }

    /// The label `outcome`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Stale => "stale",
            Self::Ahead => "ahead",
            Self::Full => "full",
            Self::OutOfBytes => "out_of_bytes",
            Self::LongClient => "long_client",
            Self::TooManyNew => "too_many_new",
            Self::NotKept | Self::ForgetNotKept => "not_kept",
            Self::Answered => "answered",
            Self::SourceFailed => "source_failed",
            Self::UnknownClient => "unknown_client",
            Self::NoPlaces => "no_places",
            Self::Forgotten => "forgotten",
            Self::ForgetRefused => "refused",
            Self::ReportForbidden | Self::QuestionForbidden | Self::ForgettingForbidden => "forbidden",
            Self::Welcomed => "welcomed",
            Self::WrongToken => "wrong_token",
            Self::OverQuota => "over_quota",
            Self::Invalid => "invalid",
        }
    }
}

/// What has become of requests since the last batch ended; each session has its own.
#[derive(Clone, Copy, Default, Debug)]
pub struct Counts {
    outcomes: [u32; RequestOutcome::ALL.len()],
    is_any: bool,
}

impl Counts {
    /// One more.
    pub fn add(&mut self, outcome: RequestOutcome) {
        self.outcomes[outcome as usize] += 1;
        self.is_any = true;
    }

    /// Whether there is anything to hand over.
    pub fn is_empty(&self) -> bool {
        !self.is_any
    }
}

/// What has become of all requests since the node's start, and how long each kind took: from the read that brought a
/// request to the write that accepted its reply.
#[derive(Default, Debug)]
pub struct Requests {
    stripes: [Stripe; STRIPES],
}

/// Many processors fetch two cache lines together.
#[derive(Debug)]
#[repr(align(128))]
struct Stripe {
    outcomes: [AtomicU64; RequestOutcome::ALL.len()],
    durations: [Histogram; RequestKind::ALL.len()],
}

impl Default for Stripe {
    fn default() -> Self {
        Self {
            outcomes: array::from_fn(|_| AtomicU64::new(0)),
            durations: array::from_fn(|_| Histogram::default()),
        }
    }
}

impl Requests {
    /// Adds what `counts` holds, all of which took that long. The connection's number spreads the counters.
    pub fn take(&self, counts: &mut Counts, took: Duration, connection: u64) {
        let stripe = &self.stripes[connection as usize % STRIPES];
        let mut of_kind = [0_u64; RequestKind::ALL.len()];
        for (outcome, &count) in
            RequestOutcome::ALL.iter().zip(&counts.outcomes).filter(|&(_, &count)| count > 0)
        {
            stripe.outcomes[*outcome as usize].fetch_add(u64::from(count), Ordering::Relaxed);
            of_kind[outcome.kind() as usize] += u64::from(count);
        }
        for (histogram, count) in stripe.durations.iter().zip(of_kind).filter(|&(_, count)| count > 0) {
            histogram.add(took, count);
        }
        *counts = Counts::default();
    }

    /// How many requests ended so.
    pub fn count(&self, outcome: RequestOutcome) -> u64 {
        self.stripes.iter().map(|stripe| stripe.outcomes[outcome as usize].load(Ordering::Relaxed)).sum()
    }

    /// How long requests of that kind took.
    pub fn spread(&self, kind: RequestKind) -> Spread {
        let mut all = Spread::default();
        self.stripes.iter().for_each(|stripe| all.add(&stripe.durations[kind as usize]));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sessions_hand_over_adds_up_over_all_stripes() {
        let requests = Requests::default();
        for connection in 0..20 {
            let mut counts = Counts::default();
            assert!(counts.is_empty());
            counts.add(RequestOutcome::Stored);
            counts.add(RequestOutcome::Stored);
            counts.add(RequestOutcome::UnknownClient);
            assert!(!counts.is_empty());
            requests.take(&mut counts, Duration::from_micros(30), connection);
            assert!(counts.is_empty());
        }
        assert_eq!(requests.count(RequestOutcome::Stored), 40);
        assert_eq!(requests.count(RequestOutcome::UnknownClient), 20);
        assert_eq!(requests.count(RequestOutcome::Stale), 0);
        let spread = requests.spread(RequestKind::Iamat);
        assert_eq!((spread.count(), spread.sum_seconds()), (40, 0.0012));
        assert_eq!(requests.spread(RequestKind::Whatsat).count(), 20);
        assert_eq!(requests.spread(RequestKind::Invalid).count(), 0);
    }

    #[test]
    fn numbers_are_places_in_the_lists() {
        assert!(RequestOutcome::ALL.iter().enumerate().all(|(place, &outcome)| outcome as usize == place));
        assert!(RequestKind::ALL.iter().enumerate().all(|(place, &kind)| kind as usize == place));
    }
}
