//! The links to the neighbours: what waits to be sent, when to dial and when to wait, what to say and when to give up.

mod any;
mod clock;
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
mod single;
mod times;
mod vigil;

use crate::core::store::Store;

pub use self::{
    any::AnyLink,
    dialect::Broken,
    handshake::{Dialled, Ends},
    health::{Condition, Event, Health, LinkState, Lost, RoundOver},
    link::{Lack, Link, NEWS_BYTES_MAX, Step},
    outbox::{Encoded, Offer, Outbox, Queue, outbox},
    single::Single,
    times::LinkTimes,
    vigil::Vigil,
};

/// How many lines end in these bytes.
fn count_lines(bytes: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', bytes).count()
}

/// Whether a third-party node is told anything of that store: it knows nothing of tombstones.
fn has_clients(store: &Store) -> bool {
    let clients = store.len();
    clients > 0
}
