//! The parts of what repair takes, and what each promises.

use std::fmt;

use clap::ValueEnum;
use serde::Serialize;

use crate::rounds;

/// What is measured by itself, in the order it is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// What one link carries.
    Link,
    /// A node that starts with nothing.
    Join,
    /// Nodes that differ in few clients or in none.
    Differ,
    /// A neighbour that is stopped for a while.
    Stopped,
    /// Three hops of a flood.
    Chain,
}

impl rounds::Part for Part {
    const COMMAND: &'static str = "repair";

    fn promise(self) -> &'static str {
        match self {
            Self::Link => {
                "One link carries 1.2 M updates/s from memory to the neighbour's store, and 0.8 M over TLS. The tester is the neighbour \
                 and writes lines that were made before; the time ends when a ping behind them is answered."
            }
            Self::Join => {
                "An empty node joins a herd that holds all clients and is in step within 4 s of its start, while its \
                 neighbour still answers clients at half its usual rate or better. In step is when the neighbour's log \
                 says so; once nobody reports any more, both nodes' sums are compared."
            }
            Self::Stopped => {
                "A neighbour is stopped under full load, P=1 (command.txt says for how long): clients' p99 meanwhile \
                 within 1.5 times of that before; in step within 10 s of going on. The load goes on until then. Memory, \
                 second by second, is in raw.jsonl."
            }
            Self::Chain => {
                "Three hops of the graph of 2014-2015, Hamilton to Parker to Alford to Powell, Bolden beside them: at most \
                 11 times half a bare round trip, back to back, median. The tester is the client and Powell; bare round \
                 trips to an echo process take turns with the reports."
            }
            Self::Differ => {
                "Two nodes that hold all clients: 10 differ: at most 60 kB a direction and 100 ms until in step; none \
                 differ: at most 200 bytes a round and direction. A forwarder between the nodes counts what passes, \
                 pings left out. The time is from the first `linked` to the last `in step` of both logs."
            }
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.to_possible_value().as_ref().map_or("", |value| value.get_name()))
    }
}
