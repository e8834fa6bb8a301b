//! What flooding to everyone costs as a herd grows: the simulation once more, with a hundred nodes in every run, and with
//! thousands where it is asked for:
//!
//! `PROXYHERD_SCALE=1000,10000 cargo test --test it simulation::scale -- --ignored --nocapture` writes the run folder
//! `bench/runs/DATE-scale`. The test profile is optimised; the figures are the same in any.

mod figures;
mod graphs;
mod trial;

use std::{
    env,
    panic::resume_unwind,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use self::{
    figures::{Sample, figures, summary},
    graphs::Kind,
    trial::{APART, FOLLOWED, Healed, Trial},
};
use super::THREADS;
use crate::support::RunFolder;

/// In every run; enough for the tree to have regions of regions.
const NODES: usize = 120;

/// How often all is done where it is asked for.
const ROUNDS: u64 = 3;

/// What a round says on one link in one direction where nothing differs, with the answers to it.
const ROUND: &[u8] = b"SUM 0\nSUM 0123456789abcdef 0\nDONE 2\nDONE 2\n";

/// Runs a trial; a violation tells how to have it again.
#[track_caller]
fn run(kind: Kind, nodes: usize, seed: u64) -> Trial {
    let trial = Trial::run(kind, nodes, seed);
    trial.unwrap_or_else(|violation| panic!("{kind}, {nodes} nodes, seed {seed}: {violation}"))
}

#[track_caller]
fn expect_reports_by_the_shortest_way(trial: &Trial) {
    assert_eq!(trial.reports.len(), FOLLOWED);
    for report in &trial.reports {
        // Each link carries it both ways, but for the one by which a node first heard of it.
        assert_eq!(report.lines, 2 * trial.links - (trial.nodes - 1));
        assert_eq!(report.hops, report.distances);
    }
}

#[track_caller]
fn expect_one_round_a_link_and_pings(trial: &Trial) {
    let (quiet, directions) = (&trial.quiet, 2 * trial.links);
    assert_eq!(quiet.rounds, directions);
    assert_eq!(quiet.said.sums.bytes, directions * ROUND.len());
    // A ping a second, and its answer.
    let pings = directions * quiet.time.as_secs() as usize * 2;
    assert!((pings..=pings + 2 * directions).contains(&quiet.said.pings.lines), "{quiet:?}");
    assert_eq!(quiet.said.repair(), quiet.said.sums);
}

/// That all know all in the end is seen to by the trial itself.
#[track_caller]
fn expect_repair(trial: &Trial, healed: &Healed, at_least: usize) {
    let ((known, until_known), (settled, until_settled)) = (healed.known, healed.settled);
    assert!(Duration::ZERO < known && known <= settled, "{healed:?}");
    assert!(until_known.pushes.lines >= at_least, "{healed:?}");
    assert!(until_known.repair().bytes <= until_settled.repair().bytes, "{healed:?}");
    assert_eq!(until_settled.news.lines, 0, "{healed:?}");
    assert!(healed.links_cut > 0 && healed.links_cut < trial.links && healed.parts > 1, "{healed:?}");
}

#[track_caller]
fn expect_all(kind: Kind) {
    let trial = run(kind, NODES, 1);
    expect_reports_by_the_shortest_way(&trial);
    expect_one_round_a_link_and_pings(&trial);
    // What is pushed once to each node that lacks it, at least.
    let region = NODES / 10;
    expect_repair(&trial, &trial.partition, APART * region);
    expect_repair(&trial, &trial.absence, APART);
}

#[test]
fn report_passes_links_of_a_random_herd_as_often_as_it_must_and_a_partition_is_repaired() {
    expect_all(Kind::Regular);
}

#[test]
fn report_passes_links_of_a_small_world_as_often_as_it_must_and_a_partition_is_repaired() {
    expect_all(Kind::SmallWorld);
}

#[test]
fn report_passes_each_link_of_a_tree_once_and_a_partition_is_repaired() {
    expect_all(Kind::Tree);
    let trial = run(Kind::Tree, 11, 1);
    assert!(trial.reports.iter().all(|report| report.lines == 10), "{trial:?}");
}

/// Runs all trials, a round after the other, and gives their samples in that order.
fn run_all(sizes: &[usize]) -> Vec<Sample> {
    let of_round =
        |round| Kind::ALL.into_iter().flat_map(move |kind| sizes.iter().map(move |&n| (round, kind, n)));
    let trials: Vec<(u64, Kind, usize)> = (1..=ROUNDS).flat_map(of_round).collect();
    let next = AtomicUsize::new(0);
    let run_some = || {
        let mut samples = Vec::new();
        while let at = next.fetch_add(1, Ordering::Relaxed)
            && let Some(&(round, kind, nodes)) = trials.get(at)
        {
            let trial = run(kind, nodes, round);
            println!("round {round}  {kind}, {nodes} nodes: {} events", trial.events);
            let of_trial = figures(&trial).into_iter();
            samples.extend(of_trial.map(|figure| (at, Sample { round, kind, nodes, figure })));
        }
        samples
    };
    let mut samples = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(run_some)).collect();
        let samples =
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        samples.flatten().collect::<Vec<_>>()
    });
    samples.sort_by_key(|&(at, _)| at);
    samples.into_iter().map(|(_, sample)| sample).collect()
}

#[test]
#[ignore = "takes minutes and gigabytes, and writes a run folder"]
fn herds_of_thousands_are_measured() {
    let text = env::var("PROXYHERD_SCALE").unwrap_or_else(|_| "1000,10000".into());
    let sizes: Vec<usize> = text.split(',').map(|size| size.parse().unwrap()).collect();
    let command =
        format!("PROXYHERD_SCALE={text} cargo test --test it simulation::scale -- --ignored --nocapture");
    let mut folder = RunFolder::create("scale", &command);
    let samples = run_all(&sizes);
    samples.iter().for_each(|sample| folder.append(&sample.as_json()));
    folder.finish(&summary(ROUNDS, &sizes, &samples));
}
