//! What the number of a store's locks is worth: the node's own store, with so many locks in front of it, under threads
//! that each do what a session does for a report. No sockets, no nodes: all of it runs in this process, and only here
//! is the node's code used.

mod args;
mod gates;
mod session;
mod summary;
mod trial;

pub use args::Locks;

use std::{collections::HashMap, fmt, time::Duration};

use proxyherd::core::store::{Placement, Store};
use serde_json::json;

use crate::{
    disturbance::{Limits, Watch},
    interrupt,
    rounds::{BenchError, Better, Figure, Finished, Sample, folder::Folder, summary::notes},
};
use gates::Gates;
use trial::{Counts, Trial};

/// As many locks as the node's store has shards; the other counts are judged by this one.
const LOCKS_MAX: u32 = 256;
/// A trial before those of a round, this long at most, so that none of them is the first to touch the store.
const WARMUP: Duration = Duration::from_millis(200);

/// The locks in front of the store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Behind {
    /// So many locks, each for an equal part of the shards; so no two threads meet at a shard's own.
    Gates(u32),
    /// Nothing but the shards' own.
    Own,
}

impl fmt::Display for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gates(1) => f.write_str("1 lock"),
            Self::Gates(locks) => write!(f, "{locks} locks"),
            Self::Own => f.write_str("shards' own"),
        }
    }
}

/// Measures everything; `tell` is called with every sample as it comes.
pub fn run(locks: &Locks, tell: &dyn Fn(&str)) -> Result<Finished, BenchError> {
    if locks.rounds == 0 {
        return Err(BenchError::NoRounds);
    }
    let stop = interrupt::watch().map_err(BenchError::file("cannot wait for signals"))?;
    let watch = Watch::new(Limits::default(), &locks.disturbance, &stop, tell);
    let settings = json!({ "limits": watch.limits() });
    let mut folder = Folder::create(&locks.runs, &locks.what, &[], &command(locks), &settings)?;
    let mut samples = Vec::new();
    for round in (1..=locks.rounds).take_while(|_| !watch.is_stopped()) {
        for (threads, figure) in measure(locks, round, &watch)? {
            let sample = Sample::new(round, part(threads), figure);
            folder.append(&sample)?;
            tell(&sample.to_string());
            samples.push(sample);
        }
    }
    let interrupted = watch.is_stopped();
    let summary = summary::render(locks, &samples, &notes(&samples, &watch.limits(), interrupted));
    folder.add("summary.md", &summary)?;
    Ok(Finished::new(&folder, summary, &samples, interrupted, false))
}

/// A section's name.
fn part(threads: u32) -> String {
    format!("T={threads}")
}

/// The figures of a round, each with its number of threads.
fn measure(locks: &Locks, round: u32, watch: &Watch<'_>) -> Result<Vec<(u32, Figure)>, BenchError> {
    let placement = Placement::of_herd("bench");
    let store = Store::new(placement, locks.clients as usize);
    session::fill(&store, &Gates::new(&placement, Behind::Own), locks.clients);
    let trial = |threads, behind, length| {
        let Locks { clients, reads, .. } = *locks;
        Trial { store: &store, placement: &placement, threads, behind, length, clients, reads }.run()
    };
    trial(locks.threads[0], Behind::Own, locks.seconds.min(WARMUP))?;
    let mut figures = Vec::new();
    for &threads in &in_turn(&locks.threads, round) {
        let mut rates = HashMap::new();
        for behind in in_turn(&locks.behind(), round) {
            if watch.is_stopped() {
                return Ok(figures);
            }
            let (counts, seen) = watch.sample(|| trial(threads, behind, locks.seconds))?;
            if counts.objection().is_none() {
                rates.insert(behind, counts.rate());
            }
            let found = figures_of(locks, threads, behind, &counts);
            figures.extend(found.into_iter().map(|figure| (threads, figure.amid(seen))));
        }
        let whole = rates.get(&Behind::Gates(LOCKS_MAX)).copied();
        for behind in locks.behind() {
            let Some((rate, whole)) = rates.get(&behind).zip(whole) else { continue };
            let ratio = Figure::new("ratio", "", rate / whole).better(Better::More);
            figures.push((threads, ratio.of(&behind.to_string(), locks.at(threads, behind))));
        }
    }
    Ok(figures)
}

fn figures_of(locks: &Locks, threads: u32, behind: Behind, counts: &Counts) -> Vec<Figure> {
    let lines = counts.lines() as f64;
    let objection = counts.objection();
    let mut figures = vec![
        Figure::new("updates", "k/s", counts.rate() / 1e3).better(Better::More).with(counts),
        Figure::new("cpu", "µs", counts.cpu.as_secs_f64() * 1e6 / lines).better(Better::Less),
        Figure::new("blocked", "/1000", counts.switches.voluntary as f64 * 1e3 / lines).better(Better::Less),
        Figure::new("interrupted", "/1000", counts.switches.involuntary as f64 * 1e3 / lines)
            .better(Better::Less),
    ];
    // Whether the shards' own were found locked is not known.
    if behind != Behind::Own {
        let met = counts.met_locked as f64 * 1e3 / lines;
        figures.push(Figure::new("met locked", "/1000", met).better(Better::Less));
    }
    let at = locks.at(threads, behind);
    let told = |figure: Figure| figure.of(&behind.to_string(), at.clone()).invalid_if(objection.clone());
    figures.into_iter().map(told).collect()
}

/// Each round begins with another, and every second one goes backwards.
fn in_turn<T: Clone>(all: &[T], round: u32) -> Vec<T> {
    let mut turn = all.to_vec();
    turn.rotate_left((round as usize - 1) / 2 % all.len().max(1));
    if round.is_multiple_of(2) {
        turn.reverse();
    }
    turn
}

impl Locks {
    /// All the ways in which locks are put in front of the store.
    fn behind(&self) -> Vec<Behind> {
        self.locks.iter().map(|locks| Behind::Gates(*locks)).chain([Behind::Own]).collect()
    }

    /// The load, as numbers by name.
    fn at(&self, threads: u32, behind: Behind) -> serde_json::Value {
        let Self { clients, reads, .. } = self;
        let load = json!({ "threads": threads, "clients": clients, "iamat": 100 - reads, "whatsat": reads });
        match (behind, load) {
            (Behind::Gates(locks), serde_json::Value::Object(mut load)) => {
                load.insert("locks".to_owned(), locks.into());
                load.into()
            }
            (_, load) => load,
        }
    }
}

/// The command as it would be typed, and how it was built.
fn command(locks: &Locks) -> String {
    let Locks { what, rounds, clients, reads, .. } = locks;
    let list = |counts: &[u32]| counts.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    let built = if cfg!(debug_assertions) { "with" } else { "without" };
    format!(
        "herd-load locks --what {what} --rounds {rounds} --threads {} --locks {} --seconds {} --clients {clients} \
         --reads {reads}\n\nNode and tester are one process, built {built} debug assertions.\n",
        list(&locks.threads),
        list(&locks.locks),
        locks.seconds.as_secs_f64(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disturbance::Demands;

    #[test]
    fn rounds_begin_elsewhere_and_go_back_and_forth() {
        let turn = |round| in_turn(&[1, 2, 3], round);
        assert_eq!([turn(1), turn(2)], [[1, 2, 3], [3, 2, 1]]);
        assert_eq!([turn(3), turn(4)], [[2, 3, 1], [1, 3, 2]]);
        assert_eq!(turn(7), [1, 2, 3]);
        assert!(in_turn::<u32>(&[], 1).is_empty());
    }

    #[test]
    fn a_figure_names_its_load() {
        let locks = Locks {
            what: "locks".to_owned(),
            runs: "runs".into(),
            rounds: 1,
            threads: vec![2],
            locks: vec![1, 16],
            seconds: Duration::from_millis(500),
            clients: 1_000,
            reads: 10,
            disturbance: Demands::default(),
        };
        let expected = json!({ "threads": 2, "clients": 1_000, "iamat": 90, "whatsat": 10, "locks": 16 });
        assert_eq!(locks.at(2, Behind::Gates(16)), expected);
        assert!(locks.at(2, Behind::Own).get("locks").is_none());
        let typed = "herd-load locks --what locks --rounds 1 --threads 2 --locks 1,16 --seconds 0.5 --clients 1000 --reads 10\n";
        assert!(command(&locks).starts_with(typed));
    }
}
