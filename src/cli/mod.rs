//! The command line of `herd`: flags and subcommands in, an exit code and at most one line of error out.
//! Each subcommand is a file or a folder; what nodes do is not here.

mod check_config;
mod node;
mod places;
mod printable;
mod seconds;
mod secret;
mod send;
mod signals;
mod status;
mod up;
mod usage;

use std::{env, io, path::PathBuf, process::ExitCode};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, builder::Resettable, error::ErrorKind};

pub use self::usage::wrong_usage;
use crate::{
    config::{ConfigError, Herd},
    core::access::Secret,
    keys::SecretError,
    log::LogDir,
    places::{OpenError, Stock},
    text,
};

/// A herd of servers that keeps everyone's last known location.
#[derive(Debug, Parser)]
#[command(name = "herd", bin_name = "herd", version, max_term_width = 100, after_help = EXAMPLES)]
struct Args {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: HerdCommand,
}

const EXAMPLES: &str = "\
Examples:
  herd up                         the built-in herd of five, until Ctrl-C
  herd up --config config/2020.toml
  herd send Alford 'IAMAT kiwi.cs.ucla.edu +34.068930-118.445127 1479413884.392014450'
  herd send Welsh 'WHATSAT kiwi.cs.ucla.edu 10 5'
  herd status                     is the herd in step?

Exit codes: 0 done, 1 failed (status: not in step), 2 wrong usage or configuration.";

/// The flags of every subcommand.
#[derive(Debug, clap::Args)]
struct Common {
    /// The herd's configuration; without it, the built-in herd of the fall of 2016.
    #[arg(long, global = true, env = "HERD_CONFIG", hide_env_values = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where each node writes its log, as NODE.log unless configured otherwise; with `herd node`, `-` is standard output.
    #[arg(long, global = true, env = "HERD_LOG_DIR", hide_env_values = true, value_name = "DIR", default_value = DEFAULT_LOG_DIR)]
    log_dir: PathBuf,
}

const DEFAULT_LOG_DIR: &str = "./herd-logs";

impl Common {
    fn herd(&self) -> Result<Herd, ConfigError> {
        self.config.as_deref().map_or_else(|| Ok(Herd::embedded()), Herd::load)
    }

    fn log_dir(&self) -> LogDir {
        match self.log_dir.as_os_str() == "-" {
            true => LogDir::StandardOutput,
            false => LogDir::Folder(self.log_dir.clone()),
        }
    }
}

/// Reads what a node of the herd reads at its start: its secret, the files of its places, Google's key. Complains of sources
/// that have nothing to answer from, and returns what each has.
fn check_files(herd: &Herd) -> Result<Vec<Stock>, CommandError> {
    herd.secret_file.as_deref().map_or(Ok(()), |file| Secret::load(file).map(drop))?;
    let stock = crate::places::open(&herd.places)?.stock;
    for source in stock.iter().filter(|source| source.is_empty) {
        complain(&format!("{}: places: {}", herd.name, source.line));
    }
    Ok(stock)
}

#[derive(Debug, Subcommand)]
enum HerdCommand {
    /// Run every node of the herd, each as its own process, until Ctrl-C.
    Up(up::Args),
    /// Run one node in the foreground.
    Node(node::Args),
    /// Send lines to a node and print its replies.
    Send(send::Args),
    /// Print every node and every link, and whether the herd is in step.
    Status(status::Args),
    /// Validate the configuration and print all of it, defaults too, as TOML.
    CheckConfig(check_config::Args),
    /// Make a file of places out of your own data, or look places up.
    #[command(subcommand)]
    Places(places::PlacesCommand),
    /// Make a herd's secret file, or change its secret.
    Secret(secret::Args),
}

/// Why a subcommand did not do what it was asked to; displays as one line that says what to do.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Places(#[from] OpenError),
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Failed(String),
    #[error("cannot watch for signals: {0}; try again")]
    Signals(io::Error),
    #[error("cannot write to standard output: {0}; make room there or redirect it elsewhere")]
    Output(#[from] io::Error),
}

impl CommandError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(_) | Self::Secret(_) | Self::Places(_) | Self::Usage(_) => ExitCode::from(2),
            Self::Failed(_) | Self::Signals(_) | Self::Output(_) => ExitCode::FAILURE,
        }
    }
}

/// Runs the program on its arguments.
pub fn main() -> ExitCode {
    let args = match arguments().try_get_matches().and_then(|found| Args::from_arg_matches(&found)) {
        Ok(args) => args,
        Err(error) => return ended(refuse(&error)),
    };
    let done = |()| ExitCode::SUCCESS;
    ended(match &args.command {
        HerdCommand::Up(up) => up::run(up, &args.common).map(done),
        HerdCommand::Node(node) => node::run(node, &args.common).map(done),
        HerdCommand::Send(send) => send::run(send, &args.common).map(done),
        HerdCommand::Status(status) => status::run(status, &args.common),
        HerdCommand::CheckConfig(check_config) => check_config::run(check_config, &args.common).map(done),
        HerdCommand::Places(places) => places::run(places, &args.common).map(done),
        HerdCommand::Secret(secret) => secret::run(secret).map(done),
    })
}

/// What is understood. An environment variable that is empty counts as one that is not set.
fn arguments() -> clap::Command {
    let is_empty = |name: &std::ffi::OsStr| env::var_os(name).is_some_and(|value| value.is_empty());
    Args::command().mut_args(|arg| match arg.get_env().is_some_and(is_empty) {
        true => arg.env(Resettable::Reset),
        false => arg,
    })
}

fn ended(result: Result<ExitCode, CommandError>) -> ExitCode {
    match result {
        Ok(code) => code,
        // Whoever reads our output has seen enough; that is no failure of ours.
        Err(CommandError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            complain(&failure.to_string());
            failure.exit_code()
        }
    }
}

/// Help and version as they are; anything else is wrong usage.
fn refuse(error: &clap::Error) -> Result<ExitCode, CommandError> {
    if !error.use_stderr() {
        error.print()?;
        return Ok(ExitCode::SUCCESS);
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        // Nobody is left to tell if this fails.
        let _ = error.print();
        return Ok(ExitCode::from(2));
    }
    Err(CommandError::Usage(wrong_usage(error, &Args::command(), env::args_os().skip(1))))
}

/// Every error and all advice of a subcommand: one line on standard error.
fn complain(line: &str) {
    text::say(&mut io::stderr(), "herd", line);
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn refused(words: &[&str]) -> String {
        let error = arguments().try_get_matches_from(std::iter::once(&"herd").chain(words)).unwrap_err();
        wrong_usage(&error, &Args::command(), words.iter().map(OsString::from))
    }

    #[test]
    fn the_definition_of_the_arguments_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn common_flags_go_before_and_after_the_subcommand() {
        for words in [["herd", "--config", "x", "up"], ["herd", "up", "--config", "x"]] {
            let args = Args::try_parse_from(words).unwrap();
            assert_eq!(args.common.config, Some(PathBuf::from("x")));
        }
    }

    #[test]
    fn wrong_usage_is_one_line_with_its_cure() {
        assert_eq!(
            refused(&["upp"]),
            "unrecognized subcommand 'upp'; a similar subcommand exists: 'up'; try herd --help"
        );
        assert_eq!(
            refused(&["node"]),
            "the following required arguments were not provided: <NAME>; try herd node --help"
        );
        for (words, help) in [
            (&["up", "--speed"][..], "up "),
            (&["--config", "x", "up", "--config"], "up "),
            (&["node", "A", "B"], "node "),
            (&["check-config", "x"], "check-config "),
            (&["status", "--interval", "1"], "status "),
            (&["places", "near", "1", "2", "x"], "places near "),
            (&["places", "near", "1", "2", "3", "--\n\nUsage: rm x"], "places near "),
        ] {
            let line = refused(words);
            assert!(!line.contains('\n') && line.ends_with(&format!("; try herd {help}--help")), "{line}");
        }
    }
}
