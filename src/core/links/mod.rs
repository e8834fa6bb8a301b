//! The links to the neighbours: what waits to be sent, when to dial and when to wait, what to say and when to give up.

mod backoff;
mod conversation;
mod dialling;
mod handshake;
mod health;
mod link;
mod outbox;
mod plain;
mod times;
mod vigil;

pub use self::{
    backoff::Backoff,
    conversation::Conversation,
    handshake::Ends,
    health::{Condition, Health, LinkState},
    link::{Broken, Heard, Link, Next, RoundOver},
    outbox::{Encoded, Offer, Outbox, Queue, outbox},
    plain::PlainLink,
    times::LinkTimes,
    vigil::Vigil,
};
