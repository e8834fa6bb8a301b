//! `herd status`: what every node says of itself, as one table and one verdict, once or again and again. `fetch` asks,
//! `verdict` judges, `table` and `json` print; here is only the order of it.

mod answer;
mod fetch;
mod json;
mod keys;
mod screen;
mod table;
#[cfg(test)]
mod tests;
mod verdict;

use std::{
    env,
    io::{self, ErrorKind, IsTerminal, Write},
    os::fd::AsFd,
    process::ExitCode,
    thread,
    time::Duration,
};

use self::{fetch::FetchOutcome, screen::Screen, verdict::Verdict};
use super::{
    CommandError, Common, complain,
    exposure::Exposure,
    printable,
    seconds::seconds,
    signals::{ENDING, SignalPipe, wait_any},
    tls_flags::TlsFlags,
    token_flag::TokenFlag,
};
use crate::{config::Herd, core::access::Token, system::clock, transport::Trust};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  herd status                     the built-in herd
  herd status --watch             the same again each second, until q or Ctrl-C
  herd status | grep Ball         one node and its links
  until herd status > /dev/null; do sleep 1; done
  herd status --ca authority.pem --token-file ops.token
                                  where `[http] tls` is true, and the pages want a token
  herd status --json | jq -r '.nodes[] | select(.result != \"answered\").node'

Every node is asked at its `http` address, all at the same time. Its row says:
  running, draining   as it says itself
  down                nothing listens there
  no http             the configuration has no `http` for it: not to be judged
  no answer in 2 s    not reached, or its answer not complete, in --timeout
  bad answer: ...     something answered, but not as this node would
  plain               a third-party node, of dialect plain: its links are judged

A link has a row for each direction, `from > to`, which says:
  in step             `to` was found to have all that `from` has
  up                  connected, and not found in step yet
  behind              an update found no room on the way; the next repair sends it
  refused             `from` takes no line of `to`, a third-party node
  one way             `to` has no connection back
  greeting, down      not connected yet; not connected, and why
  differs             repair did not remove a difference
LAG is the age of the oldest ping that is not answered. Behind a third-party
node stands how many of its lines were refused, and why the last one was.

The last line is `in step`, or `not in step: ` and what differs. In step is a
herd whose nodes all answered and are running, with all links up in both
directions, in step, not behind, and without lasting differences. Digests are
shown and not compared: under load they differ at any moment. Only where
nothing but third-party nodes joins some of the nodes, each is asked twice,
half a second apart, and the digests of those that rest are compared.

Exit codes: 0 in step, 1 not in step or failed, 2 wrong usage or configuration.
With --watch, q, Ctrl-C, SIGTERM or SIGHUP ends it with that of the last look;
Ctrl-Z gives the terminal back until fg. Keys are read only where the table is
drawn in place and standard input is a terminal.")]
pub(super) struct Args {
    /// Look again and again until q or Ctrl-C: in place on a terminal, else one block after another.
    #[arg(long)]
    watch: bool,
    /// Print one JSON object a look, on one line.
    #[arg(long)]
    json: bool,
    /// How long all nodes together have to answer; 0.01 to 60.
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = |text: &str| seconds(text, 60.0))]
    timeout: f64,
    /// With --watch, from the beginning of one look to that of the next; 0.01 to 86400.
    #[arg(long, value_name = "SECONDS", default_value = "1", requires = "watch", value_parser = |text: &str| seconds(text, 86_400.0))]
    interval: f64,
    #[command(flatten)]
    tls: TlsFlags,
    #[command(flatten)]
    token: TokenFlag,
}

/// A herd in pieces that only third-party nodes join rests where nothing changes for this long.
const REST_TIME: Duration = Duration::from_millis(500);

pub(super) fn run(args: &Args, common: &Common) -> Result<ExitCode, CommandError> {
    let token = args.token.read()?;
    let herd = common.herd()?;
    let is_terminal = io::stdout().is_terminal()
        && env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb");
    let wants_colour = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let in_colour = is_terminal && wants_colour;
    // What a web face speaks, the configuration says; who is asked for proof, the flags.
    let trust = args.tls.trust().map_err(CommandError::Usage)?.unwrap_or(Trust::Public);
    let exposure = Exposure {
        whom: &herd.name,
        shows_token: token.is_some(),
        trust: herd.http.tls.then_some(&trust),
        is_beyond_loopback: herd
            .nodes
            .iter()
            .filter_map(|node| node.http.as_ref())
            .any(|http| !http.is_loopback()),
        cure: "`[http] tls` hides it",
    };
    exposure.warning().iter().for_each(|line| complain(line));
    let status = Status { args, herd: &herd, token: token.as_ref(), trust, in_colour };
    let in_step = match args.watch {
        true => status.watch(is_terminal && !args.json)?,
        false => {
            let look = status.look()?;
            finished(print(&look.text, args.json))?;
            look.in_step
        }
    };
    Ok(if in_step { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// As it is; on a terminal without what an answer may hold against its reader. A table has colours, and holds none of that.
fn print(text: &str, is_json: bool) -> io::Result<()> {
    if !is_json {
        return io::stdout().write_all(text.as_bytes());
    }
    let mut out = printable::documents();
    out.write_all(text.as_bytes())?;
    out.finish()
}

/// Whether somebody is still there to read more.
fn finished(written: io::Result<()>) -> Result<bool, CommandError> {
    match written.and_then(|()| io::stdout().flush()) {
        Ok(()) => Ok(true),
        // Whoever read has seen enough, but that does not put the herd in step.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// What was found, once.
struct Look {
    in_step: bool,
    time: String,
    text: String,
}

struct Status<'s> {
    args: &'s Args,
    herd: &'s Herd,
    /// What nodes are shown.
    token: Option<&'s Token>,
    trust: Trust,
    in_colour: bool,
}

impl Status<'_> {
    fn look(&self) -> Result<Look, CommandError> {
        let Self { args, herd, token, ref trust, in_colour } = *self;
        let cannot_ask =
            |error| CommandError::Failed(format!("cannot ask every node at once: {error}; try again"));
        let timeout = Duration::from_secs_f64(args.timeout);
        let ask = || fetch::ask_all(herd, (token, trust), timeout).map_err(cannot_ask);
        let is_in_pieces = herd.pieces().len() > 1;
        let earlier: Option<Vec<FetchOutcome>> = is_in_pieces.then(ask).transpose()?;
        if is_in_pieces {
            thread::sleep(REST_TIME);
        }
        let outcomes = ask()?;
        let verdict: Verdict = verdict::judge(herd, &outcomes, earlier.as_deref(), args.timeout);
        let time = clock::utc_text(clock::wall());
        let text = match args.json {
            true => json::text(herd, &outcomes, &verdict, &time),
            false => table::text(herd, &outcomes, args.timeout, &verdict, in_colour),
        };
        Ok(Look { in_step: verdict.in_step(), time, text })
    }

    /// Whether the herd was in step when it was last looked at.
    fn watch(&self, in_place: bool) -> Result<bool, CommandError> {
        let signals = SignalPipe::listen(&ENDING).map_err(CommandError::Signals)?;
        let interval = Duration::from_secs_f64(self.args.interval);
        let mut screen = if in_place { Some(Screen::enter(&signals)?) } else { None };
        let look = loop {
            let began = clock::tick();
            let look = self.look()?;
            let block = self.block(&look);
            let written = match &screen {
                Some(screen) => screen.draw(&block),
                None => print(&block, self.args.json),
            };
            let has_reader = finished(written)?;
            let left = interval.saturating_sub(clock::tick() - began);
            let mut is_over = || match &mut screen {
                Some(screen) => screen.wait(&signals, left, &block),
                None => Ok(wait_any(&[signals.as_fd()], left).map_err(CommandError::Signals)?.is_some()),
            };
            if !has_reader || is_over()? {
                break look;
            }
        };
        if screen.is_some() {
            drop(screen);
            // What was seen last stays to be read.
            finished(io::stdout().write_all(self.block(&look).as_bytes()))?;
        }
        Ok(look.in_step)
    }

    /// With the herd and the time above it, where it is not for a program.
    fn block(&self, look: &Look) -> String {
        let Look { time, text, .. } = look;
        match self.args.json {
            true => text.clone(),
            false => format!("{} at {time}\n\n{text}\n", self.herd.name),
        }
    }
}
