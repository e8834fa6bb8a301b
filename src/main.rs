//! The program `herd`: hands its arguments to the command line and ends with the code it gets back. The only file that is
//! compiled again for each commit, as it says which one it is.

use std::process::ExitCode;

fn main() -> ExitCode {
    proxyherd::cli::main(herd_version::version_with_commit!())
}
