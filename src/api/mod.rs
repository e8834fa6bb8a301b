//! The JSON face of a node: `/v1`. A call comes in as a value, an answer goes out as one; between them an [`ApiExchange`]
//! says what else must happen, as a dialogue does for the line protocol. No sockets, no threads and no clock: whoever
//! speaks HTTP drives it.

#![deny(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]

mod body;
mod call;
mod exchange;
mod ids;
mod numbers;
mod openapi;
mod pages;
mod problem;
mod reading;
mod reporting;
mod view;

use std::{fmt, time::Duration};

pub use self::{
    call::{ApiCall, ApiMethod},
    exchange::{ApiExchange, ApiNext},
    openapi::OPENAPI,
};

/// The media type of answers.
const JSON: &str = "application/json";

/// The media type of answers that maps show.
const GEOJSON: &str = "application/geo+json";

/// How much a call may ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ApiBounds {
    /// The longest line of a client, in bytes: a report of a call must fit one, so that every node can pass it on.
    pub line_bytes: usize,
    /// The most reports of one call.
    pub reports: usize,
    /// The most clients on a page.
    pub page_clients: usize,
    /// A page ends after so many bytes, however many clients were asked for. The last client may exceed it.
    pub page_bytes: usize,
    /// About how many of the store's records are looked at for one page.
    pub page_records: usize,
    /// How long a call may wait for the next report.
    pub wait: Duration,
}

impl Default for ApiBounds {
    fn default() -> Self {
        Self {
            line_bytes: 16 * 1024,
            reports: 1_000,
            page_clients: 1_000,
            page_bytes: 1 << 20,
            page_records: 16_384,
            wait: Duration::from_secs(60),
        }
    }
}

/// What all calls to a node have in common.
#[derive(Clone)]
pub struct ApiFace {
    bounds: ApiBounds,
    cursors: pages::CursorKey,
}

impl ApiFace {
    /// `random` encrypts the cursors of pages; a cursor is good while it stays the same.
    pub fn new(bounds: ApiBounds, random: [u8; 32]) -> Self {
        Self { bounds, cursors: pages::CursorKey::new(random) }
    }
}

impl fmt::Debug for ApiFace {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiFace").field("bounds", &self.bounds).finish_non_exhaustive()
    }
}

/// What a call is answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ApiAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The media type of the body.
    pub content_type: &'static str,
    /// More header fields.
    pub headers: Vec<(&'static str, String)>,
    /// The body; empty for the statuses that have none.
    pub body: Vec<u8>,
}

impl ApiAnswer {
    fn new(status: u16, content_type: &'static str, body: Vec<u8>) -> Self {
        Self { status, content_type, headers: Vec::new(), body }
    }
}

#[cfg(test)]
mod tests;
