//! The links to the neighbours: what waits to be sent, when to dial and when to wait, what to say and when to give up.

mod backoff;
mod dialect;
mod dialling;
mod event;
mod handshake;
mod health;
mod herd;
mod link;
mod outbox;
mod plain;
#[cfg(test)]
mod scene_tests;
mod times;
mod vigil;

pub use self::{
    backoff::Backoff,
    dialect::Broken,
    event::{Event, Lost, RoundOver},
    handshake::Ends,
    health::{Condition, Health, LinkState},
    link::{Link, NEWS_BYTES_MAX, Step},
    outbox::{Encoded, Offer, Outbox, Queue, outbox},
    times::LinkTimes,
    vigil::Vigil,
};
