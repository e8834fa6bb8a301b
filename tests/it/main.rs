//! The integration tests: one binary, a file a subject. Those of processes start the program `herd` itself.

mod processes;
mod tidy;
