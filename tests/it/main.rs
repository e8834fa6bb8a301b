//! The integration tests: one binary, a file a subject. Nodes run in this process on ports the system picks, or, below
//! `processes`, as the program `herd` itself; what a client or a neighbour would do is done from outside, over sockets.
//! `simulation` needs none of that.

#![allow(clippy::unwrap_used, reason = "a test that cannot do its part has failed")]

mod support;

mod changes;
mod connections;
mod corpus;
mod crowd;
mod drain;
mod flooding;
mod forget;
mod handshake;
mod http;
mod iamat;
mod lines;
mod links;
mod log;
mod metric_proofs;
mod metrics;
mod operations;
mod other_protocols;
mod overflow;
mod peer_tls;
mod plain;
mod plain_seats;
mod quotas;
mod refused;
mod retention;
mod secret;
mod skipped;
mod start;
mod tls;
mod tokens;
mod transcripts;
mod upstream;
mod web;
mod whatsat;

mod processes;

mod simulation;

mod documents;
mod load_layers;
mod purity;
mod threat_model;
mod tidy;
