//! The pages for operators and their monitors: health, status and metrics.

mod metrics;
mod report;
mod status;

pub use self::report::{
    CertificateReport, ConnectionCounts, LinkReport, NodeReport, Process, RetentionReport, TokensReport,
};
use super::{
    router::{Caller, Claim, Face, Needs},
    wire::{HttpReply, HttpRequest, HttpStatus},
};

/// What is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Page {
    /// The list of pages.
    Index,
    /// Whether the process answers.
    Live,
    /// Whether clients should ask another node.
    Ready,
    /// The node in JSON.
    Status,
    /// The node in Prometheus' text format.
    Metrics,
}

impl Page {
    const ALL: [(&'static str, Self); 5] = [
        ("", Self::Index),
        ("livez", Self::Live),
        ("readyz", Self::Ready),
        ("status", Self::Status),
        ("metrics", Self::Metrics),
    ];

    fn of(request: &HttpRequest) -> Option<Self> {
        let name = match *request.path.slices() {
            [] => &b""[..],
            [name] if !name.is_empty() => name,
            _ => return None,
        };
        Self::ALL.into_iter().find(|(known, _)| known.as_bytes() == name).map(|(_, page)| page)
    }

    /// Those that show more than a node's health are not for everyone.
    fn needs(self) -> Needs {
        match self {
            Self::Index | Self::Live | Self::Ready => Needs::Nothing,
            Self::Status | Self::Metrics => Needs::Monitor,
        }
    }

    fn reply(self, report: &NodeReport) -> HttpReply {
        let text = |status, text: String| HttpReply::text(status, text);
        match (self, report.not_ready()) {
            (Self::Index, _) => text(HttpStatus::OK, index()),
            (Self::Live, Some(why)) if report.has_dead_journal() => {
                text(HttpStatus::UNAVAILABLE, format!("not live: {why}\n"))
            }
            (Self::Live, _) => text(HttpStatus::OK, "live\n".into()),
            (Self::Ready, None) => text(HttpStatus::OK, ready(report)),
            (Self::Ready, Some(why)) => text(HttpStatus::UNAVAILABLE, format!("not ready: {why}\n")),
            (Self::Status, _) => {
                HttpReply::new(HttpStatus::OK, "application/json", status::json(report).into_bytes())
            }
            (Self::Metrics, _) => {
                HttpReply::new(HttpStatus::OK, metrics::CONTENT_TYPE, metrics::text(report).into_bytes())
            }
        }
    }
}

/// The paths of all pages, one per line.
fn index() -> String {
    Page::ALL.iter().map(|(name, _)| format!("/{name}\n")).collect()
}

fn ready(report: &NodeReport) -> String {
    match report.degraded() {
        None => "ready\n".into(),
        Some(why) => format!("ready, degraded: {why}\n"),
    }
}

/// The face; it gathers a report for each request.
pub struct PageFace<R> {
    report: R,
}

impl<R: Fn() -> NodeReport + Sync> PageFace<R> {
    /// With what gathers a report.
    pub fn new(report: R) -> Self {
        Self { report }
    }
}

impl<R: Fn() -> NodeReport + Sync> Face for PageFace<R> {
    fn claim(&self, request: &HttpRequest) -> Option<Claim> {
        Page::of(request).map(|page| Claim::page(page.needs()))
    }

    // Not inlined: what a page needs of the stack would be in every connection.
    #[inline(never)]
    fn answer(&self, request: &HttpRequest, _caller: &Caller) -> HttpReply {
        Page::of(request).unwrap_or(Page::Index).reply(&(self.report)())
    }
}

#[cfg(test)]
mod tests {
    use super::{
        report::tests::{degraded, fresh},
        *,
    };

    fn shown(page: Page, report: &NodeReport) -> (u16, String) {
        let reply = page.reply(report);
        (reply.status().code(), String::from_utf8(reply.body().to_vec()).unwrap())
    }

    #[test]
    fn readiness_is_told_by_the_status_and_in_words() {
        let waiting = "not ready: no neighbour has completed a repair round with this node yet\n";
        assert_eq!(shown(Page::Ready, &fresh()), (503, waiting.to_owned()));
        let ready = NodeReport { uptime: fresh().ready_grace, ..fresh() };
        assert_eq!(shown(Page::Ready, &ready), (200, "ready\n".to_owned()));
        let degraded = NodeReport { uptime: fresh().ready_grace, ..degraded() };
        let text = "ready, degraded: the log cannot be written: full\n";
        assert_eq!(shown(Page::Ready, &degraded), (200, text.to_owned()));
    }

    #[test]
    fn node_whose_journal_has_died_is_neither_live_nor_ready() {
        let journal = Some(crate::journal::JournalCondition { has_died: true, ..Default::default() });
        let report = NodeReport { uptime: fresh().ready_grace, journal, ..fresh() };
        for (page, begin) in [(Page::Live, "not live: "), (Page::Ready, "not ready: ")] {
            let text =
                format!("{begin}its journal's thread has panicked, which is a bug; restart this node\n");
            assert_eq!(shown(page, &report), (503, text));
        }
    }
}
