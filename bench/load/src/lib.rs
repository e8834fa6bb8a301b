//! herd-load: puts a herd under load and reports what came back, and how soon.
//!
//! The modules, from the nouns up; each uses only those of the groups above its own (`tests/it/load_layers.rs`). Only
//! `main` prints; sockets are in `address`, `listener`, `drive`, `echo`, `flood`, `hop` and `upstream`, and some parts of
//! `repair`, `places` and `sweep` have their own; only `server` starts processes, but for those that `rounds` asks for
//! their versions, and what counts lines for `report`. What servers do is measured from outside; only `locks` runs the
//! node's own code, and `hop` its handshake.

pub mod address;
pub mod clock;
mod digits;
pub mod interrupt;
pub mod keys;
pub mod listener;
pub mod machine;
mod processors;
pub mod statistics;
pub mod tls;
pub mod usage;
pub mod whole;
pub mod words;

pub mod disturbance;
pub mod exit;
pub mod load;
pub mod outcome;
pub mod server;
pub mod stamp;

pub mod requests;

pub mod reply;

pub mod drive;
pub mod echo;
pub mod hop;

pub mod flood;
pub mod upstream;

pub mod rounds;

pub mod compare;
pub mod locks;
pub mod places;
pub mod plot;
pub mod repair;
pub mod report;
pub mod run;
pub mod sweep;
