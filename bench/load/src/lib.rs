//! herd-load: puts a herd under load and reports what came back, and how soon.
//!
//! The modules, from the nouns up. Only `main` prints; sockets are in `address`, `listener`, `drive`, `echo`, `flood`, `hop`,
//! `skeleton` and `upstream`, and some parts of `repair`, `places` and `sweep` have their own; only `server` starts
//! processes. What servers do is measured from outside; only `locks` runs the node's own code, and `hop` its handshake.

pub mod address;
pub mod clock;
mod digits;
pub mod exit;
pub mod interrupt;
pub mod keys;
mod moving;
pub mod place;
mod processors;
pub mod reply;
pub mod requests;
pub mod stamp;
pub mod whole;
pub mod words;

pub mod outcome;

pub mod drive;
pub mod load;

pub mod echo;
pub mod hop;
pub mod listener;
pub mod server;
pub mod skeleton;
pub mod upstream;
pub mod usage;

pub mod compare;
pub mod figures;
pub mod flood;
pub mod lines;
pub mod locks;
pub mod places;
pub mod plot;
pub mod repair;
pub mod report;
pub mod rounds;
pub mod run;
pub mod sweep;
