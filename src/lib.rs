//! proxyherd: a herd of servers that keeps everyone's last known location.
//!
//! The map, from the nouns up; imports point from later modules to earlier ones only (ARCHITECTURE.md has the rest).

pub mod clock;
pub mod config;
pub mod model;
pub mod protocol;

pub mod store;

pub mod places;
