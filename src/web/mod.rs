//! The web face of a node: HTTP for operators, their monitors and whatever else is mounted beside. `wire` is HTTP itself;
//! `router` finds the face that answers; each face takes a request and gives a reply. The sockets and the threads belong to
//! the server.

mod pages;
mod router;
pub mod wire;

pub use self::{
    pages::{
        CertificateReport, ConnectionCounts, LinkReport, NodeReport, PageFace, Process, RetentionReport,
        TokensReport,
    },
    router::{Caller, Claim, Face, Needs, Router},
};
