//! What the tests of processes share: a process that ends with its test, a herd of them, a client, and a reader of logs.
//! Waiting is for something that can be seen, up to a deadline; nothing here sleeps and hopes.

mod client;
mod faulty;
mod herd;
mod load;
mod logs;
mod namespace;
mod process;
mod proxy;
mod wire;

use std::{
    thread,
    time::{Duration, Instant},
};

pub(super) use crate::support::heavy;

pub(super) use self::{
    client::Client,
    faulty::{FaultyHerd, line_of},
    herd::{Herd, shipped, solo},
    load::{Floors, Load, answers, count_lacking, wait_until_agreed},
    logs::{is_well_formed, traffic, unescaped},
    namespace::Namespace,
    process::{Process, Watched, children_of, herd_command},
    proxy::Proxy,
    wire::Wire,
};

/// How long anything here may take before the test has failed.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// How often a condition is looked at.
const LOOK_TIME: Duration = Duration::from_millis(10);

/// Looks until `condition` holds, or fails with `what` was waited for.
#[track_caller]
pub(super) fn eventually(what: &str, condition: impl FnMut() -> bool) {
    assert!(comes_true_within(PATIENCE, condition), "not within {PATIENCE:?}: {what}");
}

/// Looks for as long as `time` whether `condition` comes true.
pub(super) fn comes_true_within(time: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + time;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(LOOK_TIME);
    }
}
