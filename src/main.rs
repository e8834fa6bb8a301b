//! The program `herd`: passes its arguments to the command line and exits with the code that it returns.

use std::process::ExitCode;

fn main() -> ExitCode {
    proxyherd::cli::main()
}
