//! What hides the plumbing: a node that runs in this process until its guard is dropped, a client, a neighbour made of
//! test code, a forwarder that fails as it is told, sources of places, a service in Google's stead, and what the machine has
//! for tests. Everything that waits has a deadline, so that what hangs fails.

mod authority;
mod client;
mod forwarder;
mod machine;
mod neighbour;
mod node;
pub(crate) mod pbf;
pub(crate) mod peers_tls;
mod places;
mod plain;
mod run_folder;
mod secret_peer;
mod third_party;
mod upstream;

use std::{
    thread,
    time::{Duration, Instant},
};

use parking_lot::{Mutex, MutexGuard};

pub(crate) use self::{
    authority::Authority,
    client::Client,
    forwarder::{Fault, Forwarder, Passed},
    machine::{own_ip, skipped, skipped_in_ci_too},
    neighbour::{FakePeer, HERD, check, expect_hello},
    node::{Setup, TestNode},
    places::{BlockedPlaces, BlockedReports, FailingPlaces, FaultyPlaces, KnownPlaces, LargePlaces},
    plain::{Manners, PlainNode, connect_from},
    run_folder::RunFolder,
    secret_peer::{SecretPeer, secret_of},
    third_party::{Habit, ThirdParty},
    upstream::{Answer, Held, Upstream, gate},
};

/// How long anything may take before it counts as not happening. Generous: it is only ever used up by a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Held by a scenario that takes most of the machine, so that such run one at a time.
pub(crate) fn heavy() -> MutexGuard<'static, ()> {
    static HEAVY: Mutex<()> = Mutex::new(());
    HEAVY.lock()
}

/// Asks again and again until something has come about.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut has_come_about: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !has_come_about() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
