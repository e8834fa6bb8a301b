//! What a node says about itself, gathered once per request: plain values, from which `status` and `metrics` are
//! written.

use std::time::Duration;

use crate::{
    core::{access::Quota, links::Condition, model::Timestamp},
    journal::JournalCondition,
    log,
    metrics::{RequestKind, RequestOutcome, Spread, UpstreamReport},
};

/// A node at one moment.
#[derive(Clone, PartialEq, Debug)]
pub struct NodeReport {
    /// The herd's name.
    pub herd: String,
    /// The node's id.
    pub node: String,
    /// How long it has run.
    pub uptime: Duration,
    /// The time after its start when it is ready, whatever its neighbours do.
    pub ready_grace: Duration,
    /// Whether it is about to stop.
    pub is_draining: bool,
    /// Clients whose location it has.
    pub clients: usize,
    /// Tombstones: clients that were forgotten, and have not reported since.
    pub tombstones: usize,
    /// How much memory locations and tombstones take, in bytes.
    pub store_bytes: usize,
    /// How much they may use before clients' reports are refused.
    pub store_bytes_max: usize,
    /// The sum of its whole store.
    pub sum: u64,
    /// Its connections.
    pub connections: ConnectionCounts,
    /// How often clients' lines waited for their turn, by what they waited for.
    pub quota_waits: Vec<(Quota, u64)>,
    /// How many pages were refused because of a quota.
    pub pages_refused: u64,
    /// How often something happened that the audit log is about.
    pub audited: Vec<(log::AuditKind, u64)>,
    /// How many requests had each outcome.
    pub outcomes: Vec<(RequestOutcome, u64)>,
    /// How long they took.
    pub spreads: Vec<(RequestKind, Spread)>,
    /// Its links, in the order of its neighbours.
    pub links: Vec<LinkReport>,
    /// What clients that speak TLS are shown; `None` where nobody is.
    pub certificate: Option<CertificateReport>,
    /// The upstreams it asks for places.
    pub upstreams: Vec<UpstreamReport>,
    /// The state of its journal; `None` if nothing is kept over a stop.
    pub journal: Option<JournalCondition>,
    /// Its tokens; `None` where nobody has any.
    pub tokens: Option<TokensReport>,
    /// What it forgets by age; `None` in a herd that keeps everything.
    pub retention: Option<RetentionReport>,
    /// The state of its log.
    pub log: log::LogCondition,
    /// What the system reports about the process.
    pub process: Process,
}

/// What a node forgets by age.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct RetentionReport {
    /// Everything before it is forgotten, in seconds since 1970.
    pub watermark: u64,
    /// Records that are forgotten, and not erased yet.
    pub hidden: usize,
    /// Records that were erased since the start.
    pub erased: usize,
    /// How often all of the store was walked.
    pub passes: u64,
    /// How long the longest piece of a walk took, with the waits for its lock and for a processor.
    pub longest_piece: Duration,
    /// How long a piece of a walk had a processor at most: without others, it keeps its lock no longer.
    pub longest_piece_cpu: Duration,
    /// Why a clock must be wrong, if one must.
    pub clock_off: Option<String>,
    /// Whether its thread has ended by a panic.
    pub has_died: bool,
}

/// How many connections there are and were.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct ConnectionCounts {
    /// Clients' now.
    pub clients: usize,
    /// Neighbours' now.
    pub peers: usize,
    /// Connections now in seats kept for neighbours that have not proved to be one.
    pub waiting: usize,
    /// Those of the web face now.
    pub http: usize,
    /// The most that clients may have.
    pub max: usize,
    /// Accepted since the start: each got a seat.
    pub accepted: u64,
    /// Refused since the start: there was no seat, thread or descriptor for them, or only a seat kept for neighbours.
    pub refused: u64,
}

/// The certificate that clients are shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CertificateReport {
    /// When its time is over.
    pub expires: Timestamp,
    /// Why its files are not what is shown, if they are not.
    pub fault: Option<String>,
}

/// What a node says of the tokens by which clients say who they are.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct TokensReport {
    /// How many are in force, those that have expired included.
    pub count: usize,
    /// Why their file cannot be taken anew, while it cannot: then those of before are in force.
    pub failing: Option<String>,
}

/// One link at one moment.
#[derive(Clone, PartialEq, Debug)]
pub struct LinkReport {
    /// The neighbour's id.
    pub peer: String,
    /// The dialect that is spoken on it.
    pub dialect: &'static str,
    /// Whether an update was dropped that the next repair round must send.
    pub is_behind: bool,
    /// Bytes that wait to be sent.
    pub outbox_bytes: usize,
    /// What its threads report.
    pub condition: Condition,
}

impl LinkReport {
    /// How far the neighbour's clock is ahead of this node's; `None` while that is not known.
    pub fn clock_offset_seconds(&self) -> Option<f64> {
        self.condition.clock_offset_ns.map(|offset| offset as f64 / 1e9)
    }

    /// Whether the neighbour has everything that this node had when the last round began, nothing was lost since, and
    /// the lines that it sends are accepted.
    pub fn is_in_step(&self) -> bool {
        self.condition.is_in_step && !self.is_behind && !self.condition.is_refused
    }
}

/// What the system reports about the process; 0 for what it does not report.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct Process {
    /// Memory in use, in bytes.
    pub resident_bytes: u64,
    /// Open descriptors.
    pub descriptors: u64,
    /// The most that may be open.
    pub descriptors_max: u64,
    /// Threads.
    pub threads: u64,
    /// Processor time used, in seconds.
    pub cpu_seconds: f64,
    /// When it started, in POSIX seconds.
    pub started_seconds: f64,
}

impl NodeReport {
    /// Why this node is not ready. It is once one peer has completed a repair round with it, or after `ready_seconds`.
    pub fn not_ready(&self) -> Option<String> {
        if self.is_draining {
            return Some("this node is stopping".into());
        }
        if self.has_dead_journal() {
            return Some("its journal's thread has panicked, which is a bug; restart this node".into());
        }
        let failing = self.journal.as_ref().filter(|journal| journal.is_awaited);
        if let Some(why) = failing.and_then(|journal| journal.failing.as_ref()) {
            return Some(format!("it acknowledges no reports, since its journal cannot be written: {why}"));
        }
        if failing.is_some_and(|journal| journal.is_short) {
            return Some("it acknowledges no reports until its journal's next snapshot".into());
        }
        let retention = self.retention.as_ref();
        if retention.is_some_and(|retention| retention.has_died) {
            return Some(
                "its thread that forgets by age has panicked, which is a bug; restart this node".into(),
            );
        }
        if let Some(why) = retention.and_then(|retention| retention.clock_off.as_ref()) {
            return Some(format!("clock off: {why}"));
        }
        if let Some(link) = self.links.iter().find(|link| link.condition.lasting > 0) {
            return Some(format!("{} still differs from this node as it did one round ago", link.peer));
        }
        let has_heard = self.links.iter().any(|link| link.condition.rounds_received > 0);
        let is_waiting = !self.links.is_empty() && !has_heard && self.uptime < self.ready_grace;
        is_waiting.then(|| "no neighbour has completed a repair round with this node yet".into())
    }

    /// Whether nothing that changes is kept any more, although it should be: only a restart mends that.
    pub fn has_dead_journal(&self) -> bool {
        self.journal.as_ref().is_some_and(|journal| journal.has_died)
    }

    /// What is wrong with a node that still serves. One full disk must not take every node away from its clients.
    pub fn degraded(&self) -> Option<String> {
        let journal = self.journal.as_ref().and_then(|journal| journal.failing.as_ref());
        let log = self.log.failing.as_ref().map(|failing| &failing.error);
        let unwritten = [("journal", journal), ("log", log)].into_iter();
        let unwritten =
            unwritten.filter_map(|(what, why)| Some(format!("the {what} cannot be written: {}", why?)));
        let tokens = self.tokens.as_ref().and_then(|tokens| tokens.failing.as_ref());
        let tokens = tokens.map(|why| format!("the tokens of before stay in force: {why}"));
        let certificate = self.certificate.as_ref().and_then(|certificate| certificate.fault.as_ref());
        let certificate = certificate.map(|why| format!("the certificate cannot be replaced: {why}"));
        let told: Vec<_> = unwritten.chain(tokens).chain(certificate).collect();
        (!told.is_empty()).then(|| told.join("; "))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::core::links::Health;

    /// A node with one link that has never been up.
    pub(crate) fn fresh() -> NodeReport {
        let condition = Health::default().condition(Duration::ZERO);
        NodeReport {
            herd: "fall-2016".into(),
            node: "Alford".into(),
            uptime: Duration::from_millis(1500),
            ready_grace: Duration::from_secs(10),
            is_draining: false,
            clients: 3,
            tombstones: 2,
            store_bytes: 3_200,
            store_bytes_max: 1 << 30,
            sum: 0x64cd_decd_e2d1_d05b,
            connections: ConnectionCounts {
                clients: 2,
                peers: 1,
                waiting: 0,
                http: 1,
                max: 12_000,
                accepted: 9,
                refused: 1,
            },
            quota_waits: Quota::ALL.into_iter().zip(40..).collect(),
            pages_refused: 60,
            audited: log::AuditKind::ALL.into_iter().zip(50..).collect(),
            outcomes: RequestOutcome::ALL.into_iter().zip(1..).collect(),
            spreads: RequestKind::ALL.into_iter().map(|kind| (kind, Spread::default())).collect(),
            links: vec![LinkReport {
                peer: "Ball".into(),
                dialect: "herd",
                is_behind: false,
                outbox_bytes: 0,
                condition,
            }],
            certificate: None,
            upstreams: vec![crate::metrics::Lookups::default().report("google")],
            journal: Some(JournalCondition::default()),
            tokens: Some(TokensReport { count: 4, failing: None }),
            retention: None,
            log: log::LogCondition::default(),
            process: Process::default(),
        }
    }

    /// The same, on a full disk.
    pub(crate) fn degraded() -> NodeReport {
        let failing = log::Failing { duration: Duration::from_millis(2500), error: "full".into() };
        let log = log::LogCondition { failing: Some(failing), dropped_lines: 7, dropped_events: 2 };
        NodeReport { log, ..fresh() }
    }

    #[test]
    fn node_is_ready_once_a_neighbour_has_ended_a_round_or_the_grace_is_over() {
        let report = fresh();
        assert_eq!(
            report.not_ready().unwrap(),
            "no neighbour has completed a repair round with this node yet"
        );
        let mut heard = report.clone();
        heard.links[0].condition.rounds_received = 1;
        assert_eq!(heard.not_ready(), None);
        assert_eq!(NodeReport { uptime: report.ready_grace, ..report.clone() }.not_ready(), None);
        assert_eq!(NodeReport { links: Vec::new(), ..report }.not_ready(), None);
    }

    #[test]
    fn node_that_stops_or_differs_lastingly_is_not_ready() {
        let mut report = NodeReport { uptime: Duration::from_secs(60), ..fresh() };
        assert_eq!(report.not_ready(), None);
        report.links[0].condition.lasting = 1;
        assert_eq!(report.not_ready().unwrap(), "Ball still differs from this node as it did one round ago");
        report.links[0].condition.lasting = 0;
        report.is_draining = true;
        assert_eq!(report.not_ready().unwrap(), "this node is stopping");
    }

    #[test]
    fn node_whose_journal_has_died_is_not_ready() {
        let mut report = NodeReport { uptime: Duration::from_secs(60), ..fresh() };
        assert!(!report.has_dead_journal());
        report.journal = Some(JournalCondition { has_died: true, ..JournalCondition::default() });
        let why = report.not_ready().unwrap();
        assert_eq!(why, "its journal's thread has panicked, which is a bug; restart this node");
        assert!(report.has_dead_journal());
    }

    #[test]
    fn node_whose_tokens_cannot_be_taken_anew_serves_with_those_of_before_and_says_so() {
        let tokens = Some(TokensReport { count: 4, failing: Some("t is gone".to_owned()) });
        let report = NodeReport { uptime: Duration::from_secs(60), tokens, ..fresh() };
        assert_eq!(report.not_ready(), None);
        assert_eq!(report.degraded().unwrap(), "the tokens of before stay in force: t is gone");
    }

    #[test]
    fn link_that_is_behind_or_refused_is_not_in_step() {
        let mut link = fresh().links.remove(0);
        assert!(!link.is_in_step());
        link.condition.is_in_step = true;
        assert!(link.is_in_step());
        link.is_behind = true;
        assert!(!link.is_in_step());
        (link.is_behind, link.condition.is_refused) = (false, true);
        assert!(!link.is_in_step());
    }
}
