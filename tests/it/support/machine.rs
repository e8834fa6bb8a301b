//! What tests ask of the machine: loopback addresses that no other test has, and what to do where it cannot give a test
//! what it needs.

use std::{
    env,
    io::{self, Write},
    net::Ipv4Addr,
    sync::atomic::{AtomicU8, Ordering},
};

/// A loopback address that no other test has, of this process or of another, so that its ports are the test's alone.
pub(crate) fn own_ip() -> Ipv4Addr {
    static COUNT: AtomicU8 = AtomicU8::new(1);
    let process = std::process::id();
    let [.., high, low] = process.to_be_bytes();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    assert_ne!(count, u8::MAX, "each process of tests has 254 addresses");
    Ipv4Addr::new(127, 64 + high % 128, low, count)
}

/// Says that `what` is not tested, and why: what it needs is missing, which somebody can provide, so in CI this fails.
#[track_caller]
pub(crate) fn skipped(what: &str, why: &str) {
    assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "in CI, {what} must be tested: {why}");
    skipped_in_ci_too(what, why);
}

/// The same where the machine does not allow what the test needs, which is no fault of whoever keeps it.
pub(crate) fn skipped_in_ci_too(what: &str, why: &str) {
    // Past the harness, which keeps back what a test prints that does not fail; as one write, which no other test breaks.
    let told = format!("\nSKIPPED, {what} is not tested: {why}\n");
    io::stderr().write_all(told.as_bytes()).unwrap();
}
