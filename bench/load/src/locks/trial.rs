//! One trial: so many threads at so many locks, for so long. They start together once all are there, and each returns
//! what the system reports about it.

use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use parking_lot::RwLock;
use proxyherd::{
    core::store::{Placement, Store},
    system::scheduling,
};
use serde::Serialize;

use super::{
    Behind,
    gates::Gates,
    session::{Done, Session},
};
use crate::{
    clock::thread_cpu,
    keys::slices,
    rounds::BenchError,
    usage::{Switches, own_switches},
    words::as_seconds,
};

/// What is measured.
#[derive(Debug)]
pub(super) struct Trial<'a> {
    pub(super) store: &'a Store,
    pub(super) placement: &'a Placement,
    pub(super) threads: u32,
    pub(super) behind: Behind,
    pub(super) length: Duration,
    pub(super) clients: u32,
    pub(super) reads: u32,
}

/// What all threads together have done, and what it cost.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Counts {
    #[serde(rename = "seconds", serialize_with = "as_seconds")]
    pub(super) took: Duration,
    pub(super) updates: u64,
    pub(super) answers: u64,
    pub(super) failures: u64,
    pub(super) met_locked: u64,
    #[serde(rename = "cpu_seconds", serialize_with = "as_seconds")]
    pub(super) cpu: Duration,
    #[serde(flatten)]
    pub(super) switches: Switches,
}

impl Trial<'_> {
    pub(super) fn run(&self) -> Result<Counts, BenchError> {
        let gates = Gates::new(self.placement, self.behind);
        let (start, stop) = (RwLock::new(()), AtomicBool::new(false));
        thread::scope(|scope| {
            let not_yet = start.write();
            let mut running = Vec::new();
            for (number, clients) in slices(self.clients, self.threads).enumerate() {
                let session = Session::new(self.store, &gates, clients, self.reads);
                let (start, stop) = (&start, &stop);
                let work = move || one(session, start, stop);
                match thread::Builder::new().name(format!("session-{number}")).spawn_scoped(scope, work) {
                    Ok(thread) => running.push(thread),
                    Err(source) => {
                        // Those that are there already wait to be released, and then see this at once.
                        stop.store(true, Ordering::Relaxed);
                        return Err(BenchError::file("cannot start so many --threads, give fewer")(source));
                    }
                }
            }
            let began = Instant::now();
            drop(not_yet);
            thread::sleep(self.length);
            stop.store(true, Ordering::Relaxed);
            let all = running.into_iter().map(|thread| {
                let ended = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                ended.map_err(BenchError::file("cannot read a thread's context switches from /proc"))
            });
            let counts = all.sum::<Result<Counts, BenchError>>()?;
            // Up to the end of the last batch, since all of them are counted.
            Ok(Counts { took: began.elapsed(), ..counts })
        })
    }
}

/// One thread, under the scheduler's policy of a node's threads. It does one batch at least: a thread that a busy machine
/// has not run by the time the trial is over would otherwise make a trial of nothing.
fn one(mut session: Session<'_>, start: &RwLock<()>, stop: &AtomicBool) -> io::Result<Counts> {
    scheduling::take_turns()?;
    drop(start.read());
    let (cpu, switches) = (thread_cpu(), own_switches()?);
    loop {
        session.batch();
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    let (cpu, switches) = (thread_cpu().saturating_sub(cpu), own_switches()?.since(switches));
    let Done { updates, answers, failures, met_locked } = session.done();
    Ok(Counts { took: Duration::ZERO, updates, answers, failures, met_locked, cpu, switches })
}

impl Counts {
    /// All lines that had a result.
    pub(super) fn lines(&self) -> u64 {
        self.updates + self.answers
    }

    /// Updates a second.
    pub(super) fn rate(&self) -> f64 {
        self.updates as f64 / self.took.as_secs_f64()
    }

    /// Why it does not count.
    pub(super) fn objection(&self) -> Option<String> {
        if self.updates == 0 {
            return Some("nothing was stored".to_owned());
        }
        (self.failures > 0).then(|| format!("nothing came of {} lines", self.failures))
    }
}

impl std::iter::Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |all, one| Self {
            took: all.took.max(one.took),
            updates: all.updates + one.updates,
            answers: all.answers + one.answers,
            failures: all.failures + one.failures,
            met_locked: all.met_locked + one.met_locked,
            cpu: all.cpu + one.cpu,
            switches: all.switches.and(one.switches),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::locks::session::fill;

    #[test]
    fn threads_at_one_lock_all_get_on_and_count_what_they_did() {
        let placement = Placement::of_herd("bench");
        let store = Store::new(placement, 1_000);
        fill(&store, &Gates::new(&placement, Behind::Own), 1_000);
        let length = Duration::from_millis(30);
        let (store, placement) = (&store, &placement);
        let trial = Trial {
            store,
            placement,
            threads: 8,
            behind: Behind::Gates(1),
            length,
            clients: 1_000,
            reads: 10,
        };
        let counts = trial.run().unwrap();
        assert!(counts.updates > 0 && counts.answers > 0 && counts.cpu > Duration::ZERO, "{counts:?}");
        assert!(counts.took >= length && counts.objection().is_none(), "{counts:?}");
        // None of the threads has reported another's clients, or some reports would have come late.
        assert_eq!((counts.failures, store.len()), (0, 1_000));
    }

    #[test]
    fn a_trial_that_is_over_at_once_has_a_batch_of_each_thread() {
        let placement = Placement::of_herd("bench");
        let store = Store::new(placement, 1_000);
        let gates = Gates::new(&placement, Behind::Own);
        let session = Session::new(&store, &gates, 0..1_000, 0);
        let counts = one(session, &RwLock::new(()), &AtomicBool::new(true)).unwrap();
        assert!(counts.updates > 0, "{counts:?}");
    }

    #[test]
    fn what_stored_nothing_does_not_count() {
        assert!(Counts::default().objection().is_some());
        let counts = Counts { updates: 5, failures: 1, ..Counts::default() };
        assert_eq!(counts.objection().as_deref(), Some("nothing came of 1 lines"));
    }
}
