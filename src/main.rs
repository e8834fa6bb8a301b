//! The program `herd`: hands its arguments to the command line and ends with the code it gets back.

use std::process::ExitCode;

fn main() -> ExitCode {
    proxyherd::cli::main()
}
