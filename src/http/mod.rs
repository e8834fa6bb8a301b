//! The web face of a node: health, status and metrics over HTTP, for operators and their monitors. A connection is one
//! request, GET or HEAD; whatever else comes is answered with an error and harms nobody. The threads are the server's.

mod connection;
mod metrics;
mod report;
pub mod request;
mod response;
mod status;

pub(crate) use self::connection::{refuse, serve};
pub use self::report::{ConnectionCounts, LinkReport, NodeReport, Process};
