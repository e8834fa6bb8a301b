//! Tests of `herd` as processes: herds of real nodes that are stopped, killed and brought back, and the subcommands as a
//! user runs them. Every herd has a loopback address of its own; the heavy tests run one at a time.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

mod check_config;
mod credentials;
mod cuts;
mod descriptors;
mod documented;
mod drain;
mod editions;
mod examples;
mod forget;
mod half_open;
mod halt;
mod handover;
mod hostile;
mod imports;
mod in_step;
mod journal;
mod kill;
mod log_file;
mod log_lines;
mod machines;
mod memory;
mod metrics;
mod models;
mod namespace;
mod outages;
mod peer_tls;
mod places;
mod plain;
mod secret;
mod send;
mod shells;
mod standard_output;
mod status;
mod strain;
mod terminal;
mod third_party;
mod threads;
mod tls;
mod tokens;
mod tweets;
mod up;
mod upstream;
mod usage;
