//! It is carried by io_uring, or says that it cannot be.

use std::process::Command;

use crate::PROGRAM;

#[test]
fn there_is_no_driver_but_io_uring() {
    crate::is_available();
}

#[test]
fn where_there_can_be_no_ring_it_says_so_in_one_line() {
    // Too few descriptors for a ring are refused as one that is not permitted is.
    let starved = format!("ulimit -n 4 && exec {PROGRAM} --id A --listen 127.0.0.1:0");
    let output = Command::new("sh").args(["-c", &starved]).output().unwrap();
    let complained = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(69), 0), "{complained}");
    let is_line =
        complained.starts_with("io_uring is not available here: ") && complained.lines().count() == 1;
    assert!(is_line, "{complained}");
}
