//! `completions`: a script that lets a shell complete a program's subcommands, flags and files. For this program and the
//! load tester.

use clap::Command;
use clap_complete::{Shell, generate};

/// What the subcommand is told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell that is to complete.
    #[arg(value_enum)]
    shell: Shell,
}

/// The script for that shell; it calls the program by its name.
pub fn script(args: &Args, mut program: Command) -> Vec<u8> {
    let (name, mut script) = (program.get_name().to_owned(), Vec::new());
    generate(args.shell, &mut program, name, &mut script);
    script
}
