//! The command line of the load tester. It parses, calls the library, and is the only file that prints.
mod cli;

use std::{
    error::Error,
    fmt::Display,
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use clap::{FromArgMatches, error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand as MissingSubcommand};
use herd_load::{
    address::{AddressError, resolve},
    compare::Comparison,
    echo,
    exit::Exit,
    flood,
    hop::{self, Neighbour},
    listener, locks, places, plot,
    repair::{self, Repair},
    report::first_difference,
    rounds::Finished,
    run::{self, RunError},
    server::Server,
    sweep::{self, SweepError},
    upstream,
    whole::WholeFile,
};
use proxyherd::{
    cli::{completions, man, wrong_usage},
    keys::ShownTokenError,
    system::scheduling::take_turns,
    text::say,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::cli::{Cli, Command, Usage, arguments};

/// How long a node may take to call its neighbour: longer than its longest backoff.
const CALL: Duration = Duration::from_secs(30);

type Done = Result<ExitCode, Box<dyn Error>>;

fn main() -> ExitCode {
    raise_descriptor_limit();
    let parsed = arguments().try_get_matches().and_then(|found| Cli::from_arg_matches(&found));
    let command = match parsed {
        Ok(cli) => cli.command,
        // Help, also if a subcommand is missing, and the version.
        Err(error) if !error.use_stderr() || error.kind() == MissingSubcommand => error.exit(),
        Err(error) => {
            complain(&wrong_usage(&error, &arguments(), std::env::args_os().skip(1)));
            return Exit::Usage.into();
        }
    };
    run(command).unwrap_or_else(|error| {
        // Whoever reads our output has seen enough; that is no failure.
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
            return ExitCode::SUCCESS;
        }
        let exit = exit(&*error);
        let subcommand = std::env::args().nth(1).unwrap_or_default();
        let hint =
            if exit == Exit::Usage { format!("; try herd-load {subcommand} --help") } else { String::new() };
        complain(&format!("{error}{hint}"));
        exit.into()
    })
}

fn exit(error: &(dyn Error + 'static)) -> Exit {
    let is_usage = error.is::<Usage>()
        || error.is::<ShownTokenError>()
        || matches!(error.downcast_ref(), Some(AddressError::Form(_)))
        || error.downcast_ref().is_some_and(SweepError::is_usage);
    let of_run = error.downcast_ref().map_or(Exit::Failed, RunError::exit);
    if is_usage { Exit::Usage } else { of_run }
}

/// Writes a line to standard output. Unlike `println!` it does not panic where nobody reads.
fn out(line: impl Display) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}

fn complain(line: &str) {
    say(&mut io::stderr(), "herd-load", line);
}

/// How far a run has got. If nobody can read it, the run goes on.
fn progress(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

fn run(command: Command) -> Done {
    match command {
        Command::Echo(args) => echo(&args),
        Command::Run(args) => run_load(&args),
        Command::Hop(args) => hop(&args),
        Command::Flood(args) => flood(&args),
        Command::Repair(args) => repair(&args),
        Command::Places(args) => finish(&places::run(&args, &|said| progress(said))?),
        Command::Locks(args) => finish(&locks::run(&args.once(), &|said| progress(said))?),
        Command::Report(args) => report(&args),
        Command::Sweep(args) => finish(&sweep::run(&args, &|said| progress(said))?),
        Command::Upstream(args) => upstream(&args),
        Command::Plot(args) => plot(&args),
        Command::Compare(args) => compare(&args),
        Command::Completions(args) => {
            io::stdout().write_all(&completions::script(&args, arguments()))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Man(args) => {
            out(man::write(&args, arguments())?)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn echo(args: &cli::Echo) -> Done {
    if args.batch {
        take_turns()?;
    }
    let listener = listener::bind(args.listen)?;
    out(format_args!("listening {}", listener.local_addr()?))?;
    Err(echo::serve(listener, args.shape, args.line_length).into())
}

fn run_load(args: &cli::Run) -> Done {
    let (exit, written) = run::run(&args.plan(cli::version())?)?;
    write!(io::stdout(), "{}", written.unwrap_or_default())?;
    Ok(exit.into())
}

fn hop(args: &cli::Hop) -> Done {
    let neighbour = Neighbour::listen(args.listen, &args.herd, &args.id)?;
    let outcome = match (&args.node, &args.command[..]) {
        (Some(node), _) => hop::measure(neighbour.accept(CALL)?, resolve(node)?, args.hops)?,
        (None, [program, arguments @ ..]) => {
            let mut command = std::process::Command::new(program);
            command.args(arguments);
            let server = Server::start(command)?;
            let outcome = hop::measure(neighbour.accept(CALL)?, server.address(), args.hops)?;
            server.stop()?;
            outcome
        }
        (None, []) => {
            return Err(Usage("give --node ADDRESS or the command that starts the node".to_owned()).into());
        }
    };
    if args.json {
        out(serde_json::to_string(&outcome)?)?;
    } else {
        out(&outcome)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn flood(args: &flood::Args) -> Done {
    let outcome = flood::measure(&args.plan)?;
    if args.json {
        outcome.figures().iter().try_for_each(|figure| out(serde_json::to_string(figure)?))?;
    } else {
        out(&outcome)?;
    }
    Ok(if outcome.is_whole() { Exit::Good } else { Exit::Failed }.into())
}

fn repair(args: &Repair) -> Done {
    if let Some(more) = args.differing.iter().find(|differing| **differing > args.clients) {
        return Err(Usage(format!("--differing {more}: there are only {} clients", args.clients)).into());
    }
    finish(&repair::run(args, &|said| progress(said))?)
}

/// Prints what came out of a run that is in its folder.
fn finish(finished: &Finished) -> Done {
    out(&finished.summary)?;
    out(format_args!("written to {}", finished.folder.display()))?;
    Ok(finished.exit.into())
}

fn report(args: &cli::Report) -> Done {
    let cli::Report { report, out, check } = args;
    let text = report.render()?;
    if !check {
        return Ok(WholeFile::write(out, text).map(|()| ExitCode::SUCCESS)?);
    }
    let written = std::fs::read_to_string(out).map_err(|error| format!("{}: {error}", out.display()))?;
    if let Some((line, is, should_be)) = first_difference(&written, &text) {
        let place = format!("{}:{line}", out.display());
        complain(&format!(
            "{place} is not what the runs say, is: {is}, should be: {should_be}; write it again without --check"
        ));
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn upstream(args: &cli::Upstream) -> Done {
    let listener = listener::bind(args.listen)?;
    out(format_args!("listening {}", listener.local_addr()?))?;
    Err(upstream::serve(&listener, &args.upstream).into())
}

fn plot(args: &cli::Plot) -> Done {
    for chart in plot::run(&args.run, args.out.as_deref(), !args.no_captions, &args.only_servers)? {
        out(chart.display())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn compare(args: &cli::Compare) -> Done {
    let comparison = Comparison::read(&args.a, &args.b, args.fail_above)?;
    if args.json {
        out(serde_json::to_string(&comparison)?)?;
    } else {
        write!(io::stdout(), "{comparison}")?;
    }
    Ok(if comparison.fails() { Exit::Missed } else { Exit::Good }.into())
}

/// Ten thousand connections need as many descriptors. If the limit stays, connecting fails and says so.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let _refused = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
