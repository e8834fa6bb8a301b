//! The herd on io_uring from outside: what it says of its command line and of its driver, and how it speaks with a peer. What
//! clients see of it is tested with the other models, in the product's tests (`tests/it/processes/models.rs`), which need this
//! one built: a test in this package sees to that.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::{env, process::Command};

#[path = "../../../tokio/tests/it/command_line.rs"]
mod command_line;
mod driver;
#[path = "../../../tokio/tests/it/peer.rs"]
mod peer;
#[path = "../../../tokio/tests/it/stop.rs"]
mod stop;

const PROGRAM: &str = env!("CARGO_BIN_EXE_herd-uring");

/// Where it is not, tests are skipped, except in CI.
fn is_available() -> bool {
    let output = Command::new(PROGRAM).arg("--driver").output().unwrap();
    if output.status.success() {
        assert_eq!(output.stdout, b"IoUring\n");
        return true;
    }
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "{why}");
    eprintln!("SKIPPED, the herd on io_uring is not tested: {why}");
    false
}
