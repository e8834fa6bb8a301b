//! The links to the neighbours: what waits to be sent, when to dial and when to wait, what to say and when to give up.

mod connection;
mod dialect;
mod dialling;
mod handshake;
mod health;
mod herd;
mod link;
mod outbox;
mod pace;
mod plain;
#[cfg(test)]
mod scene_tests;
mod times;
mod vigil;

pub use self::{
    dialect::Broken,
    handshake::Ends,
    health::{Condition, Event, Health, LinkState, Lost, RoundOver},
    link::{Link, NEWS_BYTES_MAX, Step},
    outbox::{Encoded, Offer, Outbox, Queue, outbox},
    times::LinkTimes,
    vigil::Vigil,
};
