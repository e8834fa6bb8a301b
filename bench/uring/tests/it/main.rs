//! The herd on io_uring from outside: what it says of its command line and of its driver. What clients see of it is tested
//! with the other models, in the product's tests (`tests/it/processes/models.rs`), which need this one built: a test in this
//! package sees to that. What a peer sees is the same as of the herd on tokio (`bench/tokio/tests/it/peer.rs`).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::process::{Command, Output};

fn run(flag: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_herd-uring")).arg(flag).output().unwrap()
}

#[test]
fn usage_names_the_flags_all_models_have() {
    let usage = String::from_utf8(run("--help").stdout).unwrap();
    for flag in ["--id", "--listen", "--peer", "--upstream", "--log"] {
        assert!(usage.contains(flag), "{flag}: {usage}");
    }
}

#[test]
fn there_is_no_driver_but_io_uring() {
    let output = run("--driver");
    let said = String::from_utf8(output.stdout).unwrap();
    let complained = String::from_utf8(output.stderr).unwrap();
    match output.status.code() {
        Some(0) => assert_eq!((&*said, &*complained), ("IoUring\n", "")),
        // Then it says why in one line.
        code => {
            assert_eq!((code, &*said, complained.lines().count()), (Some(69), "", 1), "{complained}");
            assert!(complained.starts_with("io_uring is not permitted here: "), "{complained}");
        }
    }
}
