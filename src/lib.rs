//! proxyherd: a herd of servers that keeps everyone's last known location.
//!
//! The modules, from the nouns up; imports point from later modules to earlier ones only (ARCHITECTURE.md has the
//! rest).

pub mod text;

mod regular_file;
mod whole_file;

pub mod core;

pub mod keys;
pub mod system;
pub mod transport;

pub mod config;
pub mod log;
pub mod metrics;

pub mod journal;

pub mod places;

pub mod import;

pub mod web;

pub mod server;

pub mod cli;
