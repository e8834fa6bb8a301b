//! The herd on tokio from outside: what it says of its command line, and how it speaks with a peer. What clients see of it
//! is tested with the other models, in the product's tests (`tests/it/processes/models.rs`), which need this one built: a
//! test in this package sees to that.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod command_line;
mod peer;
mod stop;

const PROGRAM: &str = env!("CARGO_BIN_EXE_herd-tokio");

/// Everywhere; the herd on io_uring, which has the same tests, is not.
fn is_available() -> bool {
    true
}
