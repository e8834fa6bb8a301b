//! The program `herd`: passes its arguments to the command line and exits with the code that it returns. This is the only
//! file that is recompiled for each commit, because `--version` names the commit.

use std::process::ExitCode;

fn main() -> ExitCode {
    proxyherd::cli::main(herd_version::version_with_commit!())
}
