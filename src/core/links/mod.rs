//! The links to the neighbours: what waits to be sent, when to dial and when to wait, what to say and when to give up.

mod backoff;
#[cfg(test)]
mod bench;
mod dialect;
mod dialling;
mod event;
mod handshake;
mod health;
mod herd;
mod link;
mod outbox;
mod plain;
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
