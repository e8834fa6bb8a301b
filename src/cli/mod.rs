//! The command line of `herd`: flags and subcommands in, an exit code and at most one line of error out.
//! Each subcommand is a file or a folder; what nodes do is not here.

mod cert;
mod check_config;
pub mod completions;
mod exposure;
mod forget;
mod help;
mod journal;
pub mod man;
mod node;
mod places;
mod printable;
mod seconds;
mod secret;
mod send;
mod signals;
mod status;
mod tls_flags;
mod token;
mod token_flag;
mod up;
mod usage;

use std::{
    env,
    io::{self, Write},
    num::NonZeroU16,
    path::PathBuf,
    process::ExitCode,
};

use clap::{
    CommandFactory, FromArgMatches, Parser, Subcommand, ValueHint, builder::Resettable, error::ErrorKind,
};

use self::man::ManError;
pub use self::{help::with_whole_notes, tls_flags::TlsFlags, usage::wrong_usage};
use crate::{
    config::{BasePortError, ConfigError, Herd},
    core::access::Secret,
    keys::{SecretError, ShownTokenError, TokensError, load_tokens},
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
  source <(herd completions bash) completes what you type

Exit codes: 0 done, 1 failed (status: not in step), 2 wrong usage or configuration.";

/// The flags that every subcommand takes; `help` hides those that one ignores.
#[derive(Debug, clap::Args)]
struct Common {
    /// The herd's configuration; without it, the built-in herd of the fall of 2016.
    #[arg(long, global = true, env = "HERD_CONFIG", hide_env_values = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
    /// Where each node writes its log, as NODE.log unless configured otherwise; with `herd node`, `-` is standard output.
    #[arg(long, global = true, env = "HERD_LOG_DIR", hide_env_values = true, value_name = "DIR", value_hint = ValueHint::DirPath, default_value = DEFAULT_LOG_DIR)]
    log_dir: PathBuf,
    /// Keep what each node knows over a stop, in a folder of its name below this one; otherwise what `[journal]` says.
    #[arg(long, global = true, env = "HERD_DATA_DIR", hide_env_values = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    data_dir: Option<PathBuf>,
    /// Move the herd's lowest port to N, and its others as far, so that two herds run side by side; 1 to 65535.
    #[arg(long, global = true, env = "HERD_BASE_PORT", hide_env_values = true, value_name = "N")]
    base_port: Option<NonZeroU16>,
}

const DEFAULT_LOG_DIR: &str = "./herd-logs";

impl Common {
    fn herd(&self) -> Result<Herd, CommandError> {
        let herd = self.config.as_deref().map_or_else(|| Ok(Herd::embedded()), Herd::load)?;
        let mut herd = match self.base_port {
            Some(base) => herd.with_base_port(base)?,
            None => herd,
        };
        if let Some(dir) = &self.data_dir {
            herd.journal.dir = Some(dir.clone());
        }
        Ok(herd)
    }

    fn log_dir(&self) -> LogDir {
        match self.log_dir.as_os_str() == "-" {
            true => LogDir::StandardOutput,
            false => LogDir::Folder(self.log_dir.clone()),
        }
    }
}

/// Reads what a node of the herd reads at its start: its secret, its tokens, the files of its places, Google's key. Complains of sources
/// that have nothing to answer from, and returns what each has.
fn check_files(herd: &Herd) -> Result<Vec<Stock>, CommandError> {
    herd.secret_file.as_deref().map_or(Ok(()), |file| Secret::load(file).map(drop))?;
    herd.access.tokens_file.as_deref().map_or(Ok(()), |file| load_tokens(file).map(drop))?;
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
    /// Have the herd forget clients.
    Forget(forget::Args),
    /// Print every node and every link, and whether the herd is in step.
    Status(status::Args),
    /// Validate the configuration and print all of it, defaults too, as TOML.
    CheckConfig(check_config::Args),
    /// Make a file of places out of your own data, or look places up.
    #[command(subcommand)]
    Places(places::PlacesCommand),
    /// Make a herd's secret file, or change its secret.
    Secret(secret::Args),
    /// Make a certificate for a node, signed by an authority of your own.
    Cert(cert::Args),
    /// Give clients, monitors and operators their tokens, or take them away.
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Look at a node's journal, or remove the damaged files that it keeps.
    #[command(subcommand)]
    Journal(journal::JournalCommand),
    /// Print a script that lets your shell complete herd's subcommands, flags and files.
    #[command(after_help = COMPLETIONS)]
    Completions(completions::Args),
    /// Write a manual page for herd and for each of its subcommands.
    #[command(after_help = MAN)]
    Man(man::Args),
}

const COMPLETIONS: &str = "\
Examples:
  source <(herd completions bash)                        for this shell
  herd completions bash > ~/.local/share/bash-completion/completions/herd
  herd completions zsh > \"${fpath[1]}/_herd\"
  herd completions fish > ~/.config/fish/completions/herd.fish

A shell that was started before knows nothing of a new file.";

const MAN: &str = "\
Examples:
  herd man pages                                 then: man -l pages/herd.1
  herd man ~/.local/share/man/man1               then: man herd, man herd-up

Pages that are there already are written over.";

/// Why a subcommand did not do what it was asked to; displays as a line that says what to do, a configuration as a line for
/// each of its faults.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    BasePort(#[from] BasePortError),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Tokens(#[from] TokensError),
    #[error(transparent)]
    ShownToken(#[from] ShownTokenError),
    #[error(transparent)]
    Places(#[from] OpenError),
    #[error(transparent)]
    Man(#[from] ManError),
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
            Self::Config(_)
            | Self::BasePort(_)
            | Self::Secret(_)
            | Self::Tokens(_)
            | Self::ShownToken(_)
            | Self::Places(_)
            | Self::Usage(_) => ExitCode::from(2),
            Self::Man(_) | Self::Failed(_) | Self::Signals(_) | Self::Output(_) => ExitCode::FAILURE,
        }
    }
}

/// Runs the program on its arguments. `version` is what `--version` says.
pub fn main(version: &'static str) -> ExitCode {
    let args = match arguments(version).try_get_matches().and_then(|found| Args::from_arg_matches(&found)) {
        Ok(args) => args,
        Err(error) => return ended(refuse(&error)),
    };
    let done = |()| ExitCode::SUCCESS;
    ended(match &args.command {
        HerdCommand::Up(up) => up::run(up, &args.common).map(done),
        HerdCommand::Node(node) => node::run(node, &args.common).map(done),
        HerdCommand::Send(send) => send::run(send, &args.common).map(done),
        HerdCommand::Forget(forget) => forget::run(forget, &args.common).map(done),
        HerdCommand::Status(status) => status::run(status, &args.common),
        HerdCommand::CheckConfig(check_config) => check_config::run(check_config, &args.common).map(done),
        HerdCommand::Places(places) => places::run(places, &args.common).map(done),
        HerdCommand::Secret(secret) => secret::run(secret).map(done),
        HerdCommand::Cert(cert) => cert::run(cert).map(done),
        HerdCommand::Token(token) => token::run(token, &args.common).map(done),
        HerdCommand::Journal(journal) => journal::run(journal).map(done),
        HerdCommand::Completions(shell) => print(&completions::script(shell, arguments(version))).map(done),
        HerdCommand::Man(man) => man::write(man, arguments(version))
            .map_err(Into::into)
            .and_then(|told| print(format!("{}\n", printable::one_line(&told)).as_bytes()).map(done)),
    })
}

/// What is understood. An environment variable that is empty counts as one that is not set.
fn arguments(version: &'static str) -> clap::Command {
    let is_empty = |name: &std::ffi::OsStr| env::var_os(name).is_some_and(|value| value.is_empty());
    let command =
        Args::command().long_version(version).mut_args(|arg| match arg.get_env().is_some_and(is_empty) {
            true => arg.env(Resettable::Reset),
            false => arg,
        });
    help::without_ignored_flags(with_whole_notes(command))
}

fn print(bytes: &[u8]) -> Result<(), CommandError> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()?;
    Ok(())
}

fn ended(result: Result<ExitCode, CommandError>) -> ExitCode {
    match result {
        Ok(code) => code,
        // Whoever reads our output has seen enough; that is no failure of ours.
        Err(CommandError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            match &failure {
                CommandError::Config(error) => error.lines().iter().for_each(|line| complain(line)),
                other => complain(&other.to_string()),
            }
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

/// Every error and all advice of a subcommand: a line on standard error.
fn complain(line: &str) {
    text::say(&mut io::stderr(), "herd", line);
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn refused(words: &[&str]) -> String {
        let error = arguments("0").try_get_matches_from(std::iter::once(&"herd").chain(words)).unwrap_err();
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
