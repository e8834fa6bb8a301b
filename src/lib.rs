//! proxyherd: a herd of servers that keeps everyone's last known location.
//!
//! The map, from the nouns up; imports point from later modules to earlier ones only (ARCHITECTURE.md has the rest).

pub mod model;
mod regular_file;
pub mod text;
mod whole_file;

mod private_file;

pub mod clock;
pub mod config;
pub mod log;
pub mod metrics;
pub mod random;
#[expect(
    unsafe_code,
    reason = "a policy for the scheduler, which no safe library sets alone; its run folder shows what it saves"
)]
pub mod scheduling;
pub mod secret;
pub mod signals;
mod socket;

pub mod protocol;

pub mod flood;
pub mod places;
pub mod store;

pub mod import;
pub mod node;

pub mod http;

pub mod server;

pub mod cli;
