//! HTTP/1.1 as a server speaks it (RFC 9110, RFC 9112): bytes and what they mean. [`WebConnection`] is a connection as a
//! machine; [`HttpRequest`] and [`HttpReply`] are what goes out of it and into it. Pure: no socket, no clock.

#![deny(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]

mod chunks;
mod connection;
mod framing;
mod head;
mod headers;
mod input;
mod method;
mod percent;
mod refused;
mod reply;
mod scan;
mod site;
mod target;
mod token;

pub use self::{
    connection::{WebConnection, WebNext, WireRules},
    head::{HEADERS_MAX, HttpRequest},
    headers::{HeaderName, KeptHeaders},
    method::{Method, Methods},
    refused::Refused,
    reply::{HttpReply, HttpStatus},
    site::{PageOrigin, Site},
    target::{PAIRS_MAX, QueryPairs, SEGMENTS_MAX, Segments},
};

#[cfg(test)]
mod connection_tests;
#[cfg(test)]
mod head_tests;
