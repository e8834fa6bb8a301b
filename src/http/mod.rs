//! The web face of a node: health, status and metrics over HTTP, for operators and their monitors. A connection carries
//! one request, GET or HEAD; anything else is answered with an error and harms nobody. The threads belong to the
//! server.

mod connection;
mod metrics;
mod report;
pub mod request;
mod response;
mod status;

pub(crate) use self::connection::{refuse, serve};
pub use self::{
    report::{
        CertificateReport, ConnectionCounts, LinkReport, NodeReport, Process, RetentionReport, TokensReport,
    },
    request::Refused,
};
