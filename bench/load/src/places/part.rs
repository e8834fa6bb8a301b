//! The parts of what places take, and what each promises.

use std::fmt;

use clap::ValueEnum;
use serde::Serialize;

use crate::rounds;

/// What is measured by itself, in the order it is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// A node's start, until it listens.
    Start,
    /// The embedded places, with one processor.
    Embedded,
    /// One question, asked by many at once.
    SingleFlight,
    /// What an upstream that takes its time lets through.
    Upstream,
    /// Clients' reports while lookups hang.
    Hanging,
}

impl rounds::Part for Part {
    const COMMAND: &'static str = "places";

    fn promise(self) -> &'static str {
        match self {
            Self::Start => {
                "From making the process, with its configuration and its log, to its word that it listens."
            }
            Self::Embedded => {
                "A node on one processor answers at least 20,000 lookups/s from the places built in: 4 connections, 16 in \
                 flight on each, 1,000 clients within 1 km at UCLA, radius 10, bound 20. A lookup around Tokyo, radius 50, \
                 bound 20, alone on one connection, takes at most 1 ms at p99. The tester keeps off the node's processor \
                 where there is another; a node below its \
                 whole processor had to share it, or to wait for the tester."
            }
            Self::SingleFlight => {
                "200 connections ask the same at once, of an upstream that takes 300 ms: it is called once, and all get its \
                 answer."
            }
            Self::Upstream => {
                "250 connections, one lookup in flight on each and no two alike, of an upstream that takes 50 ms, with \
                 bodies of 2 KB: at least 4,500 lookups/s, 0.9 of what can be. No limit on calls; nothing is cached."
            }
            Self::Hanging => {
                "Reports on one connection while 250 others wait for an upstream that does not answer in time: p99 at most \
                 1.5 times that with the 250 silent. Both take turns on one node. Limits are the defaults, but for calls a \
                 second and failures in a row, so that all 250 wait."
            }
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.to_possible_value().as_ref().map_or("", |value| value.get_name()))
    }
}
