//! The load tester from outside: its own commands against its own servers and a small node. Counts and shapes
//! are asserted, never times.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod compare;
mod echo;
mod flood;
mod hop;
mod lines;
mod locks;
mod open_loop;
mod percentiles;
mod places;
mod plot;
mod recorded;
mod repair;
mod report;
mod run;
mod run_checked;
mod run_ends;
mod run_failures;
mod support;
mod sweep;
mod tls;
mod upstream;
mod usage;
