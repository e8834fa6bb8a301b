//! The simulation: a herd of nodes in one thread over in-memory lines, a fake clock and one seed. `story.rs` tells what a
//! seed is put through and what must come of it, `wrong.rs` that wrong policies are seen to be wrong.
//!
//! `PROXYHERD_SEEDS=100000 cargo test --test it simulation` tries more seeds than the usual 2,000;
//! `PROXYHERD_SEED=123 cargo test --test it simulation` replays one.

#![allow(clippy::print_stdout, reason = "a test's output is shown where it failed, or was asked for")]

mod ages;
mod audience;
mod clients;
mod days;
mod faults;
mod flooder;
mod graph;
mod herd;
mod journal;
mod kept;
mod meter;
mod plan;
mod random;
mod retention;
mod scale;
mod session;
mod stop;
mod story;
mod strain;
mod version;
mod watch;
mod wire;
mod wrong;

use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use self::{
    herd::{Laws, Simulation, Tally},
    plan::Timer,
    watch::Violation,
};

/// How many seeds the usual run tries.
const SEEDS: u64 = 2_000;

/// How many threads share them; the tests beside this one want to run, too.
const THREADS: usize = 2;

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// Tells one seed's story; a panic on the way tells the seed too.
fn tell(seed: u64, timer: Timer, laws: Laws) -> Result<Tally, Violation> {
    catch_unwind(AssertUnwindSafe(|| Simulation::run(seed, timer, laws))).unwrap_or_else(|panic| {
        println!("a panic; replay it with {}", replay(seed));
        resume_unwind(panic)
    })
}

fn replay(seed: u64) -> String {
    format!("PROXYHERD_SEED={seed} cargo test --test it simulation")
}

/// Tells the stories of all these seeds, and sums up what happened in them.
fn tell_all(seeds: u64) -> Tally {
    let next = AtomicU64::new(0);
    let tell_some = || {
        let mut sum = Tally::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return sum;
            }
            match tell(seed, Timer::Drawn, Laws::SOUND) {
                Ok(tally) => sum.add(&tally),
                Err(violation) => panic!("{violation}\nreplay it with {}", replay(seed)),
            }
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(tell_some)).collect();
        let mut sum = Tally::default();
        for thread in threads {
            sum.add(&thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        sum
    })
}

#[test]
fn every_seed_ends_well() {
    if let Some(seed) = number("PROXYHERD_SEED") {
        let tally = tell(seed, Timer::Drawn, Laws::SOUND);
        println!("{}", tally.map_or_else(|violation| panic!("{violation}"), |tally| format!("{tally:?}")));
        return;
    }
    let tally = tell_all(number("PROXYHERD_SEEDS").unwrap_or(SEEDS));
    println!("{tally:?}");
    // A simulation in which nothing happens shows nothing.
    let happened = [
        tally.forgettings,
        tally.overflows,
        tally.losses,
        tally.cuts,
        tally.crashes,
        tally.forgotten,
        tally.refusals,
        tally.stops,
    ];
    assert!(happened.iter().all(|&count| count > 0), "{tally:?}");
    let on_disks =
        [tally.power_cuts, tally.blackouts, tally.disk_faults, tally.failures, tally.snapshots, tally.waits];
    assert!(on_disks.iter().all(|&count| count > 0), "{tally:?}");
    assert!(tally.pieces > 0 && tally.hidden > 0 && tally.backups > 0, "{tally:?}");
    assert!(tally.pushed > 0 && tally.blocked > 0 && tally.walks > 0, "{tally:?}");
}
