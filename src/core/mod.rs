//! All that decides and cannot wait: what a node knows, what its lines mean, and what is to be done next on a connection
//! and on a link. No socket, thread, file, clock or randomness: bytes, times and random numbers are handed in.

#![deny(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]

pub mod model;
pub mod wire;

mod hex;
mod rules;

pub mod store;

pub mod access;
pub mod repair;

pub mod links;

pub mod node;

pub mod dialogue;

pub use self::rules::Rules;
