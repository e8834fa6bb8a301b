//! Everything that decides and cannot wait: what a node knows, what its lines mean, and what to do next on a connection
//! and on a link. There is no socket, thread, file, clock or randomness: bytes, times and random numbers are arguments.

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
