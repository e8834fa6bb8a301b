//! The arguments, as clap reads them, within their bounds.

use std::{path::PathBuf, time::Duration};

use super::LOCKS_MAX;
use crate::{disturbance, words};

/// More threads than the connections that a node ever gets on the machines this is for.
const THREADS_MAX: u32 = 1_024;

/// What the number of a store's locks is worth: updates a second by locks and threads, to a run folder
///
/// Threads in this process do for each line what a node's session does, without its socket: parse it, place its client,
/// update the store, write the reply. In front of the store, whose shards and leaves stay as they are, stand 1, 2, 4,
/// ... 256 locks, each for an equal part of the shards. The results are updates a second, processor time, context
/// switches, and how often a lock was found taken. Every round has a store of its own, and goes through all numbers in
/// a different order.
#[derive(Clone, Debug, clap::Args)]
pub struct Locks {
    /// What is measured, in a word or two: the end of the run folder's name
    #[arg(long, default_value = "locks")]
    pub what: String,
    /// Where the run folder goes
    #[arg(long, default_value = "bench/runs")]
    pub runs: PathBuf,
    /// Rounds; each measures everything once
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// Threads at once, 1024 at most
    #[arg(long, value_name = "N", value_delimiter = ',', num_args = 1.., default_value = "1,2,8,64",
          value_parser = clap::value_parser!(u32).range(1..=i64::from(THREADS_MAX)))]
    pub threads: Vec<u32>,
    /// Locks: powers of two, 256 at most
    #[arg(long, value_name = "N", value_delimiter = ',', num_args = 1.., default_value = "1,2,4,8,16,32,64,128,256",
          value_parser = locks)]
    pub locks: Vec<u32>,
    /// Seconds each is measured
    #[arg(long, value_parser = seconds, default_value = "1")]
    pub seconds: Duration,
    /// Distinct clients, each thread's its own; at least one for each of 1024 threads
    #[arg(long, value_name = "N", default_value_t = 100_000,
          value_parser = clap::value_parser!(u32).range(i64::from(THREADS_MAX)..=10_000_000))]
    pub clients: u32,
    /// How many of 100 lines ask where a client is, rather than report; 90 at most
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=90))]
    pub reads: u32,
    /// When a sample is disturbed
    #[command(flatten)]
    pub disturbance: disturbance::Demands,
}

impl Locks {
    /// With each number measured once, also if it is given twice.
    pub fn once(mut self) -> Self {
        for numbers in [&mut self.threads, &mut self.locks] {
            *numbers = words::distinct(std::mem::take(numbers));
        }
        self
    }
}

fn locks(text: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number: &u32| number.is_power_of_two() && *number <= LOCKS_MAX);
    number.ok_or_else(|| format!("give a power of two, {LOCKS_MAX} at most, so that each has as many shards"))
}

/// Long enough for every thread to have had its turn.
const LENGTH_MIN: Duration = Duration::from_millis(10);
/// Short enough for a run to end.
const LENGTH_MAX: Duration = Duration::from_secs(600);

fn seconds(text: &str) -> Result<Duration, String> {
    let length = words::seconds(text)?;
    let is_fit = (LENGTH_MIN..=LENGTH_MAX).contains(&length);
    is_fit.then_some(length).ok_or_else(|| "give seconds from 0.01 to 600, such as 1 or 0.5".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        locks: Locks,
    }

    fn plan(arguments: &[&str]) -> Option<Locks> {
        Line::try_parse_from([&["locks"], arguments].concat()).ok().map(|line| line.locks.once())
    }

    #[test]
    fn without_arguments_all_locks_meet_all_threads() {
        let plan = plan(&[]).unwrap();
        assert_eq!(plan.threads, [1, 2, 8, 64]);
        assert_eq!(plan.locks, [1, 2, 4, 8, 16, 32, 64, 128, 256]);
        assert_eq!((plan.rounds, plan.clients, plan.reads), (5, 100_000, 0));
        assert_eq!((plan.what.as_str(), plan.seconds), ("locks", Duration::from_secs(1)));
    }

    #[test]
    fn what_is_out_of_bounds_is_refused() {
        for wrong in [
            ["--locks", "0"],
            ["--locks", "3"],
            ["--locks", "1,512"],
            ["--threads", "0"],
            ["--threads", "2,1025"],
            ["--seconds", "0"],
            ["--seconds", "601"],
            ["--seconds", "nan"],
            ["--clients", "1023"],
            ["--clients", "10000001"],
            ["--reads", "91"],
            ["--rounds", "0"],
        ] {
            assert!(plan(&wrong).is_none(), "{wrong:?}");
        }
        for right in [
            ["--locks", "256"],
            ["--threads", "1024"],
            ["--seconds", "0.01"],
            ["--clients", "1024"],
            ["--reads", "90"],
        ] {
            assert!(plan(&right).is_some(), "{right:?}");
        }
    }

    #[test]
    fn a_number_given_twice_is_measured_once() {
        assert_eq!(
            plan(&["--locks", "4,1,4", "--threads", "2,2"]).map(|plan| (plan.locks, plan.threads)),
            Some((vec![4, 1], vec![2]))
        );
    }
}
